/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port's own device, and whose it is: the kernel's until a data plane is about to start the port,
 * the port's while the data plane lives, and the kernel's again when that stays away for too long.
 *
 * A twin goes with the data plane. So a device whose port has one is never given back, whatever the
 * connection to the data plane says: it may be one with which this process cannot speak.
 *
 * A data plane that starts, takes the devices and ends again, over and over, counts as away all
 * the time: what it was away for is forgotten only after STABLE_S with its ports.
 */
#include "control/host/host_priv.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"

LOG_TYPE(host_device);

enum {
	STABLE_S = 10,
	LOOK_AGAIN_MS = 1000, /* at a device that is due while its twin is there */
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* How long it stays taken without a data plane. What no port has ever stood on: not at all. */
static uint64_t stay_ms(const struct host *host, const struct host_link *link)
{
	const struct host_port *port = link_config(host, link);

	if (!link->proven)
		return 0;
	if (port == NULL || port->give_back_s == HOST_GIVE_BACK_NEVER)
		return UINT64_MAX;
	if (port->give_back_s != HOST_GIVE_BACK_OWN)
		return (uint64_t)port->give_back_s * 1000;
	return moved_exists(host, link->name) ? HOST_GIVE_BACK_DEFAULT_S * 1000ULL : UINT64_MAX;
}

static void give_back(struct host *host, struct host_link *link)
{
	log_warn(host_device, "%s: goes back to the kernel: %s", link->name,
		link->proven ? "its port's data plane stays away" : "no port was started on it");
	guard_remove(host, link->name);
	link->taken = link->proven = false;
}

static void wake_in(struct host *host, uint64_t ms)
{
	struct timeval delay = {
		.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	event_add(host->give_back, &delay);
}

/* Gives back what is due and sleeps until the next one is. */
static void look_at_all(struct host *host)
{
	uint64_t gone_ms = now_ms() - host->away_since_ms, next = UINT64_MAX;

	event_del(host->give_back);
	for (struct host_link *link = host->links; link != NULL; link = link->hh.next) {
		uint64_t stay, left;

		if (link->kind != LINK_DEVICE || !link->taken)
			continue;
		stay = stay_ms(host, link);
		left = gone_ms < stay ? stay - gone_ms : LOOK_AGAIN_MS;
		if (gone_ms >= stay && link_of_port(host, link->port) == NULL)
			give_back(host, link);
		else if (stay != UINT64_MAX && left < next)
			next = left;
	}
	if (next != UINT64_MAX)
		wake_in(host, next);
}

static void on_give_back(evutil_socket_t fd, short what, void *context)
{
	struct host *host = context;

	if (host->dataplane == HOST_DATAPLANE_THERE)
		host->away_since_ms = 0; /* and it has been for long enough */
	else
		look_at_all(host);
}

int device_open(struct host *host)
{
	host->give_back = evtimer_new(host->base, on_give_back, host);
	return host->give_back == NULL ? -ENOMEM : 0;
}

void device_close(struct host *host)
{
	if (host->give_back != NULL)
		event_free(host->give_back);
	host->give_back = NULL;
}

int device_apply(struct host *host, struct host_link *link)
{
	int error;

	if (host->dataplane == HOST_DATAPLANE_AWAY)
		return 0;
	error = moved_take(host, link);
	if (error == 0) {
		link->taken = true;
		error = guard_apply(host, link);
	}
	if (error == 0)
		error = link_set_up(host, link, 0);
	if (error < 0)
		log_error(host_device, "%s: not fit for a port: %s", link->name,
			strerrordesc_np(-error));
	return error;
}

int device_apply_all(struct host *host)
{
	int first = 0;

	guard_remove_stale(host);
	for (struct host_link *link = host->links; link != NULL; link = link->hh.next) {
		int error;

		if (link->kind != LINK_DEVICE)
			continue;
		/* taken by a process that ended before the guard stood */
		if (!link->taken && moved_exists(host, link->name))
			link->taken = link->proven = true;
		error = link_apply(host, link);
		if (first == 0)
			first = error;
	}
	if (host->dataplane == HOST_DATAPLANE_AWAY) {
		if (host->away_since_ms == 0)
			host->away_since_ms = now_ms();
		look_at_all(host);
	}
	return first;
}

static void prove(struct host *host)
{
	for (struct host_link *link = host->links; link != NULL; link = link->hh.next)
		link->proven = link->taken;
	if (host->away_since_ms != 0)
		wake_in(host, STABLE_S * 1000ULL);
}

int host_set_dataplane(struct host *host, enum host_dataplane state)
{
	enum host_dataplane before = host->dataplane;

	host->dataplane = state;
	switch (state) {
	case HOST_DATAPLANE_AWAY:
		if (host->away_since_ms == 0)
			host->away_since_ms = now_ms();
		look_at_all(host);
		return 0;
	case HOST_DATAPLANE_COMING:
		event_del(host->give_back);
		/* unconfigured, every guard would be stale */
		if (before != HOST_DATAPLANE_AWAY || host->config.overlay[0] == '\0')
			return 0;
		return host_apply_devices(host);
	default:
		prove(host);
		return 0;
	}
}

enum host_holder host_device_holder(const struct host *host, uint16_t port)
{
	for (const struct host_link *link = host->links; link != NULL; link = link->hh.next) {
		if (link->kind == LINK_DEVICE && link->port == port)
			return link->taken ? HOST_HELD_BY_PORT : HOST_HELD_BY_KERNEL;
	}
	return HOST_HELD_BY_NOBODY;
}
