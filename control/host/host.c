/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel is the slow path, and this is where the control process meets it. Four streams run
 * through one event loop:
 *
 *   configuration -> host_configure() -> twins' sysctls, addresses, routes
 *   data plane    -> host_set_dataplane() -> devices' guards
 *   netlink       -> the mirror       -> the sink (which programs the data plane)
 *   data plane    -> host_want_neighbour() -> managed neighbours in the kernel
 *
 * Notifications are subscribed to before the first dump, and both are read by the same functions,
 * so that nothing falls between them: whatever a dump showed too early or too late is corrected by
 * a notification that waits behind it. Where the kernel is silent (IPv4 routes that go with a
 * device or an address) or notifications were lost, everything is dumped again, soon.
 *
 * A twin that appears gets its configuration at once; so a restart of the data plane, which takes
 * the twins with it, needs nobody's help.
 */
#include "control/host/host_priv.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "common/base/log.h"
#include "common/base/pool.h"

LOG_TYPE(host);

enum {
	RESYNC_MS = 50,   /* several causes make one dump */
	REFRESH_S = 5,    /* of wanted neighbours */
	SETTLE_TURNS = 8, /* applying makes notifications, which may ask for more */
};

static void settled(struct host *host)
{
	if (!host->changed)
		return;
	host->changed = false;
	if (host->sink.settled != NULL)
		host->sink.settled(host->sink.context);
}

static void apply_pending_of(struct host *host, bool devices)
{
	for (struct host_link *link = host->links; link != NULL; link = link->hh.next) {
		if (link->pending && (link->kind == LINK_DEVICE) == devices)
			link_apply(host, link);
	}
}

/* Puts the configuration on what appeared and takes in what that changes. A twin takes over from
 * its device. */
static void apply_pending(struct host *host)
{
	for (int i = 0; i < SETTLE_TURNS; i++) {
		struct host_link *link = host->links;

		while (link != NULL && !link->pending)
			link = link->hh.next;
		if (link == NULL)
			return;
		apply_pending_of(host, true);
		apply_pending_of(host, false);
		if (netlink_drain(host) < 0)
			host_resync_soon(host);
	}
}

static int dump_all(struct host *host)
{
	/* Links tell what counts; addresses and neighbours, what may be done with a gateway. */
	static const int kinds[] = {RTM_GETLINK, RTM_GETADDR, RTM_GETNEIGH, RTM_GETROUTE};

	host->round++;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int error = netlink_dump(host, kinds[i]);

		if (error < 0) {
			log_error(host, "dump %d: %s", kinds[i], strerrordesc_np(-error));
			return error;
		}
		if (kinds[i] == RTM_GETLINK)
			link_sweep(host);
	}
	local_sweep(host);
	route_sweep(host);
	owned_sweep(host);
	neighbour_sweep(host);
	return 0;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
	struct host *host = context;

	if (netlink_drain(host) < 0)
		host_resync_soon(host);
	apply_pending(host);
	settled(host);
}

static void on_resync(evutil_socket_t fd, short what, void *context)
{
	struct host *host = context;

	if (netlink_drain(host) < 0 || dump_all(host) < 0)
		host_resync_soon(host);
	apply_pending(host);
	settled(host);
}

static void on_refresh(evutil_socket_t fd, short what, void *context)
{
	wanted_refresh(context);
}

void host_resync_soon(struct host *host)
{
	struct timeval soon = {.tv_usec = RESYNC_MS * 1000};

	if (!event_pending(host->resync, EV_TIMEOUT, NULL))
		event_add(host->resync, &soon);
}

struct host *host_create(struct event_base *base, const struct host_sink *sink, int *error)
{
	struct timeval refresh = {.tv_sec = REFRESH_S};
	struct host *host = calloc(1, sizeof(*host));

	if (host == NULL) {
		*error = -ENOMEM;
		return NULL;
	}
	host->base = base;
	host->sink = *sink;
	host->pool = pool_create();
	*error = netlink_open(host);
	if (*error == 0)
		*error = guard_open(host);
	if (*error == 0)
		*error = device_open(host);
	if (*error < 0)
		goto err_destroy;
	*error = -ENOMEM;
	host->resync = evtimer_new(base, on_resync, host);
	host->refresh = event_new(base, -1, EV_PERSIST, on_refresh, host);
	host->readable = event_new(
		base, nl_socket_get_fd(host->events), EV_READ | EV_PERSIST, on_readable, host);
	if (host->resync == NULL || host->refresh == NULL || host->readable == NULL ||
		event_add(host->refresh, &refresh) < 0 || event_add(host->readable, NULL) < 0)
		goto err_destroy;
	*error = 0;
	return host;

err_destroy:
	host_destroy(&host);
	return NULL;
}

static bool is_iface_name(const char *name, size_t size)
{
	size_t length = strnlen(name, size);

	return length > 0 && length < size && strchr(name, '/') == NULL &&
	       strpbrk(name, " \t\n\":") == NULL;
}

static bool is_valid(const struct host_config *config)
{
	if (!is_iface_name(config->overlay, sizeof(config->overlay)))
		return false;
	for (size_t i = 0; i < config->port_count; i++) {
		const struct host_port *port = &config->ports[i];

		if (!is_iface_name(port->name, sizeof(port->name)) || port->port == 0 ||
			(port->iface[0] != '\0' &&
				!is_iface_name(port->iface, sizeof(port->iface))))
			return false;
	}
	return true;
}

static void *copy(struct pool *pool, const void *array, size_t count, size_t size)
{
	void *result = pool_alloc(pool, count > 0 ? count * size : 1);

	if (count > 0)
		memcpy(result, array, count * size);
	return result;
}

static void keep_config(struct host *host, const struct host_config *config)
{
	struct pool *pool = pool_create();
	struct host_config kept = *config;
	struct host_port *ports = copy(pool, config->ports, config->port_count, sizeof(*ports));

	for (size_t i = 0; i < kept.port_count; i++)
		ports[i].addresses = copy(pool, ports[i].addresses, ports[i].address_count,
			sizeof(*ports[i].addresses));
	kept.ports = ports;
	kept.overlay_addresses = copy(pool, config->overlay_addresses,
		config->overlay_address_count, sizeof(*config->overlay_addresses));
	kept.routes = copy(pool, config->routes, config->route_count, sizeof(*config->routes));
	pool_destroy(&host->pool);
	host->pool = pool;
	host->config = kept;
}

/* Ports' devices first, and with their errors: no port may start on one that is not guarded. */
int host_apply_devices(struct host *host)
{
	int error = device_apply_all(host);

	apply_pending(host);
	settled(host);
	return error;
}

/* What is ours on a twin that the configuration no longer has goes with the twin. */
int host_configure(struct host *host, const struct host_config *config)
{
	int error;

	if (!is_valid(config))
		return -EINVAL;
	keep_config(host, config);
	link_classify_all(host);
	error = netlink_drain(host);
	if (error == 0 || error == -ENOBUFS)
		error = dump_all(host);
	if (error == 0)
		error = device_apply_all(host);
	apply_pending(host);
	reserved_apply(host);
	settled(host);
	return error;
}

void host_replay(const struct host *host, const struct host_sink *sink)
{
	local_replay(host, sink);
	route_replay(host, sink);
	neighbour_replay(host, sink);
	if (sink->settled != NULL)
		sink->settled(sink->context);
}

void host_want_neighbour(struct host *host, uint16_t port, const struct addr *addr)
{
	wanted_add(host, port, addr);
}

int host_set_folder(struct host *host, const char *folder)
{
	if (strlen(folder) >= sizeof(host->folder))
		return -ENAMETOOLONG;
	strcpy(host->folder, folder);
	return 0;
}

int host_withdraw(struct host *host)
{
	int error = netlink_drain(host);

	if (error == 0 || error == -ENOBUFS)
		error = dump_all(host);
	if (error < 0)
		return error;
	reserved_withdraw(host);
	wanted_withdraw(host);
	owned_withdraw(host);
	local_withdraw(host);
	guard_withdraw(host);
	return 0;
}

void host_destroy(struct host **host)
{
	struct host *gone = *host;

	if (gone == NULL)
		return;
	*host = NULL;
	if (gone->readable != NULL)
		event_free(gone->readable);
	if (gone->resync != NULL)
		event_free(gone->resync);
	if (gone->refresh != NULL)
		event_free(gone->refresh);
	device_close(gone);
	guard_close(gone);
	netlink_close(gone);
	wanted_free(gone);
	neighbour_free(gone);
	owned_free(gone);
	route_free(gone);
	local_free(gone);
	link_free(gone);
	pool_destroy(&gone->pool);
	free(gone);
}

void host_device_iface(const char *device, char iface[HOST_IFACE_MAX])
{
	static const char *const drivers[] = {"net_af_packet", "eth_af_packet", "net_af_xdp"};
	const char *value = NULL;
	size_t length;

	iface[0] = '\0';
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (strncmp(device, drivers[i], strlen(drivers[i])) == 0)
			value = strstr(device, ",iface=");
	}
	if (value == NULL)
		return;
	value += strlen(",iface=");
	length = strcspn(value, ",");
	if (length == 0 || length >= HOST_IFACE_MAX)
		return;
	memcpy(iface, value, length);
	iface[length] = '\0';
}
