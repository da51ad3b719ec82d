/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration's routes: those in the kernel that carry our protocol number are ours. */
#include "control/host/host_priv.h"

#include <errno.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

LOG_TYPE(host_route);

enum { IP6_METRIC = 1024 }; /* what the kernel makes of no metric */

struct owned_key {
	struct prefix prefix;
	uint32_t table;
	uint32_t metric;
};

struct owned_route {
	struct owned_key key;
	int index;
	struct addr gateway;
	uint32_t round;
	UT_hash_handle hh;
};

static struct owned_route *find(const struct host *host, const struct owned_key *key)
{
	struct owned_route *owned;

	HASH_FIND(hh, host->owned, key, sizeof(*key), owned);
	return owned;
}

void owned_receive(struct host *host, bool present, uint32_t table, const struct prefix *prefix,
	uint32_t metric, int index, const struct addr *gateway)
{
	struct owned_key key = {.prefix = *prefix, .table = table, .metric = metric};
	struct owned_route *owned = find(host, &key);

	if (!present) {
		if (owned != NULL && owned->index == index) {
			HASH_DEL(host->owned, owned);
			free(owned);
		}
		return;
	}
	if (owned == NULL) {
		owned = calloc(1, sizeof(*owned));
		if (owned == NULL)
			abort();
		owned->key = key;
		HASH_ADD(hh, host->owned, key, sizeof(owned->key), owned);
	}
	owned->index = index;
	owned->gateway = *gateway;
	owned->round = host->round;
}

void owned_forget_link(struct host *host, int index)
{
	struct owned_route *owned, *next;

	HASH_ITER (hh, host->owned, owned, next) {
		if (owned->index != index)
			continue;
		HASH_DEL(host->owned, owned);
		free(owned);
	}
}

void owned_sweep(struct host *host)
{
	struct owned_route *owned, *next;

	HASH_ITER (hh, host->owned, owned, next) {
		if (owned->round == host->round)
			continue;
		HASH_DEL(host->owned, owned);
		free(owned);
	}
}

static void put_gateway(struct nl_msg *message, const struct owned_route *route)
{
	uint8_t via[sizeof(struct rtvia) + 16] = {0};
	struct rtvia *head = (struct rtvia *)via;

	if (route->gateway.family == ADDR_NONE)
		return;
	if (route->gateway.family == route->key.prefix.family) {
		netlink_put_addr(message, RTA_GATEWAY, &route->gateway);
		return;
	}
	head->rtvia_family = AF_INET6;
	memcpy(head->rtvia_addr, route->gateway.bytes, 16);
	netlink_put(message, RTA_VIA, via, sizeof(via));
}

static int request(struct host *host, int type, const struct owned_route *route, bool onlink)
{
	struct rtmsg info = {
		.rtm_family = (uint8_t)netlink_family(route->key.prefix.family),
		.rtm_dst_len = route->key.prefix.length,
		.rtm_protocol = HOST_PROTOCOL,
		.rtm_type = RTN_UNICAST,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_flags = onlink ? RTNH_F_ONLINK : 0,
	};
	int flags = type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0;
	struct addr dst = prefix_first(&route->key.prefix);
	uint32_t index = (uint32_t)route->index;
	struct nl_msg *message;

	if (route->gateway.family == ADDR_NONE && type == RTM_NEWROUTE)
		info.rtm_scope = RT_SCOPE_LINK;
	if (type == RTM_DELROUTE)
		info.rtm_scope = RT_SCOPE_NOWHERE;
	message = netlink_message(type, flags, &info, sizeof(info));
	if (info.rtm_dst_len != 0)
		netlink_put_addr(message, RTA_DST, &dst);
	netlink_put(message, RTA_TABLE, &route->key.table, sizeof(route->key.table));
	netlink_put(message, RTA_OIF, &index, sizeof(index));
	if (route->key.metric != 0)
		netlink_put(message, RTA_PRIORITY, &route->key.metric, sizeof(uint32_t));
	put_gateway(message, route);
	return netlink_request(host, message);
}

static void remove_route(struct host *host, struct owned_route *owned)
{
	char text[PREFIX_TEXT_MAX];
	int error = request(host, RTM_DELROUTE, owned, false);

	log_info(host_route, "%s: removed", prefix_format(&owned->key.prefix, text));
	if (error < 0 && error != -ESRCH)
		log_error(host_route, "%s: cannot remove: %s", text, strerrordesc_np(-error));
	HASH_DEL(host->owned, owned);
	free(owned);
}

/* True if no address of the link covers the gateway: the kernel must be told that it is there. */
static bool is_off_link(
	const struct host *host, const struct host_link *link, const struct addr *gateway)
{
	const struct host_port *port = link_config(host, link);
	const struct host_address *list =
		port != NULL ? port->addresses : host->config.overlay_addresses;
	size_t count = port != NULL ? port->address_count : host->config.overlay_address_count;

	if (gateway->family == ADDR_NONE)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct prefix prefix = prefix_of_addr(&list[i].addr);

		prefix.length = list[i].length;
		prefix_mask(&prefix);
		if (prefix_contains(&prefix, gateway))
			return false;
	}
	return true;
}

static struct owned_route plan(const struct host_route *route, const struct host_link *link)
{
	struct owned_route owned = {
		.key = {.prefix = route->prefix,
			.table = route->table != 0 ? route->table : RT_TABLE_MAIN,
			.metric = route->metric},
		.index = link->index,
		.gateway = route->gateway,
	};

	if (owned.key.metric == 0 && owned.key.prefix.family == ADDR_V6)
		owned.key.metric = IP6_METRIC;
	return owned;
}

static void add_route(
	struct host *host, const struct host_link *link, const struct owned_route *planned)
{
	struct owned_route *old = find(host, &planned->key);
	char text[PREFIX_TEXT_MAX];
	int error;

	if (old != NULL && old->index == planned->index &&
		addr_equal(&old->gateway, &planned->gateway))
		return;
	if (old != NULL)
		remove_route(host, old);
	error = request(host, RTM_NEWROUTE, planned, is_off_link(host, link, &planned->gateway));
	if (error == -EEXIST)
		log_warn(host_route, "%s: somebody else has such a route: left alone",
			prefix_format(&planned->key.prefix, text));
	else if (error < 0)
		log_error(host_route, "%s over %s: cannot add: %s",
			prefix_format(&planned->key.prefix, text), link->name,
			strerrordesc_np(-error));
	else
		owned_receive(host, true, planned->key.table, &planned->key.prefix,
			planned->key.metric, planned->index, &planned->gateway);
}

static bool is_planned(
	const struct host *host, const struct host_link *link, const struct owned_route *owned)
{
	for (size_t i = 0; i < host->config.route_count; i++) {
		const struct host_route *route = &host->config.routes[i];
		struct owned_route planned = plan(route, link);

		if (route->port == link->port &&
			memcmp(&planned.key, &owned->key, sizeof(planned.key)) == 0)
			return true;
	}
	return false;
}

void owned_apply(struct host *host, const struct host_link *link)
{
	struct owned_route *owned, *next;

	HASH_ITER (hh, host->owned, owned, next) {
		if (owned->index == link->index && !is_planned(host, link, owned))
			remove_route(host, owned);
	}
	for (size_t i = 0; i < host->config.route_count; i++) {
		struct owned_route planned;

		if (host->config.routes[i].port != link->port)
			continue;
		planned = plan(&host->config.routes[i], link);
		add_route(host, link, &planned);
	}
}

void owned_withdraw(struct host *host)
{
	struct owned_route *owned, *next;

	HASH_ITER (hh, host->owned, owned, next) {
		remove_route(host, owned);
	}
}

void owned_free(struct host *host)
{
	struct owned_route *owned, *next;

	HASH_ITER (hh, host->owned, owned, next) {
		HASH_DEL(host->owned, owned);
		free(owned);
	}
}
