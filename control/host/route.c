/* SPDX-License-Identifier: BSD-3-Clause */
/* The mirror of the kernel's main table: for each prefix all paths, of which one is in force. */
#include "control/host/host_priv.h"

#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

struct path {
	uint32_t metric;
	int index;           /* of the interface; 0 = blackhole and the like */
	struct addr gateway; /* ADDR_NONE = on-link */
	uint32_t round;
	struct path *next;
};

struct route {
	struct prefix prefix;
	struct path *paths;
	bool told;
	struct api_route_set last; /* as told */
	UT_hash_handle hh;
};

/* One message, read. */
struct reading {
	uint32_t table;
	uint8_t protocol;
	struct prefix prefix;
	struct path path;
	bool multipath;
};

/* The preference of a path by where it leads; lower is better, negative: never. */
static int rank(const struct host *host, const struct path *path)
{
	const struct host_link *link = path->index == 0 ? NULL : link_find(host, path->index);

	if (link == NULL)
		return path->index == 0 ? 1 : -1;
	if (link->kind == LINK_TWIN)
		return 0;
	return link->kind == LINK_OTHER ? 1 : -1;
}

static const struct path *choose(const struct host *host, const struct route *route)
{
	const struct path *best = NULL;
	int best_rank = 0;

	for (const struct path *path = route->paths; path != NULL; path = path->next) {
		int now = rank(host, path);

		if (now < 0 || (best != NULL &&
				       (now > best_rank ||
					       (now == best_rank && path->metric >= best->metric))))
			continue;
		best = path;
		best_rank = now;
	}
	return best;
}

static struct api_route_set describe(
	const struct host *host, const struct route *route, const struct path *path)
{
	const struct host_link *link = path->index == 0 ? NULL : link_find(host, path->index);
	struct api_route_set set = {
		.prefix = route->prefix,
		.table = API_TABLE_UNDERLAY,
		.next = API_NEXT_HOST,
		.metric = path->metric,
	};

	if (link != NULL && link->kind == LINK_TWIN) {
		set.next = API_NEXT_PORT;
		set.port = link->port;
		set.gateway = path->gateway;
	}
	return set;
}

static void untell(struct host *host, struct route *route)
{
	struct api_route_del del = {.prefix = route->prefix, .table = API_TABLE_UNDERLAY};

	if (!route->told)
		return;
	route->told = false;
	host->changed = true;
	if (route->last.gateway.family != ADDR_NONE)
		wanted_gateway(host, route->last.port, &route->last.gateway, -1);
	host->sink.route_del(host->sink.context, &del);
}

/* Tells the sink what changed; the entry goes with its last path. */
static void tell(struct host *host, struct route *route)
{
	const struct path *path = choose(host, route);
	struct api_route_set set;

	if (path == NULL) {
		untell(host, route);
	} else {
		set = describe(host, route, path);
		if (!route->told || memcmp(&set, &route->last, sizeof(set)) != 0) {
			if (set.gateway.family != ADDR_NONE)
				wanted_gateway(host, set.port, &set.gateway, 1);
			if (route->told && route->last.gateway.family != ADDR_NONE)
				wanted_gateway(host, route->last.port, &route->last.gateway, -1);
			route->told = true;
			route->last = set;
			host->changed = true;
			host->sink.route_set(host->sink.context, &set);
		}
	}
	if (route->paths == NULL) {
		HASH_DEL(host->routes, route);
		free(route);
	}
}

static void remove_path(struct path **path)
{
	struct path *gone = *path;

	*path = gone->next;
	free(gone);
}

/* The gateway of a route or of one of its next hops: RTA_VIA where the family differs. */
static void read_gateway(struct nlattr **attributes, int family, struct addr *gateway)
{
	const struct rtvia *via;
	struct addr addr = {0};

	if (netlink_addr(attributes[RTA_GATEWAY], family, gateway))
		return;
	if (attributes[RTA_VIA] == NULL || nla_len(attributes[RTA_VIA]) < (int)sizeof(*via) + 16)
		return;
	via = nla_data(attributes[RTA_VIA]);
	if (via->rtvia_family != AF_INET6)
		return;
	addr.family = ADDR_V6;
	memcpy(addr.bytes, via->rtvia_addr, 16);
	*gateway = addr;
}

/* Of several next hops the first over a twin, else the first. */
static void read_multipath(
	const struct host *host, struct nlattr *list, int family, struct path *path)
{
	struct rtnexthop *hop = nla_data(list);
	int left = nla_len(list);

	for (; RTNH_OK(hop, left); left -= (int)RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
		const struct host_link *link = link_find(host, hop->rtnh_ifindex);
		bool twin = link != NULL && link->kind == LINK_TWIN;
		struct nlattr *attributes[RTA_MAX + 1] = {NULL};

		if ((hop->rtnh_flags & RTNH_F_DEAD) != 0 || (path->index != 0 && !twin))
			continue;
		if (nla_parse(attributes, RTA_MAX, (struct nlattr *)RTNH_DATA(hop),
			    hop->rtnh_len - (int)RTNH_LENGTH(0), NULL) < 0)
			continue;
		path->index = hop->rtnh_ifindex;
		path->gateway = (struct addr){0};
		read_gateway(attributes, family, &path->gateway);
		if (twin)
			return;
	}
}

static bool is_unreachable(uint8_t type)
{
	return type == RTN_BLACKHOLE || type == RTN_UNREACHABLE || type == RTN_PROHIBIT;
}

/* True if it is a route that a packet of somebody else's could take. */
static bool read_route(const struct host *host, struct nlmsghdr *header, struct reading *out)
{
	const struct rtmsg *info = nlmsg_data(header);
	struct nlattr *attributes[RTA_MAX + 1];
	struct addr dst = {.family = info->rtm_family == AF_INET ? ADDR_V4 : ADDR_V6};

	if (nlmsg_parse(header, sizeof(*info), attributes, RTA_MAX, NULL) < 0 ||
		(info->rtm_family != AF_INET && info->rtm_family != AF_INET6) ||
		(info->rtm_flags & (RTM_F_CLONED | RTNH_F_DEAD)) != 0 || info->rtm_src_len != 0 ||
		info->rtm_tos != 0 ||
		(info->rtm_type != RTN_UNICAST && !is_unreachable(info->rtm_type)))
		return false;
	if (attributes[RTA_DST] != NULL &&
		!netlink_addr(attributes[RTA_DST], info->rtm_family, &dst))
		return false;
	out->table = attributes[RTA_TABLE] != NULL ? nla_get_u32(attributes[RTA_TABLE])
						   : info->rtm_table;
	out->protocol = info->rtm_protocol;
	out->prefix.family = dst.family;
	out->prefix.length = info->rtm_dst_len;
	memcpy(out->prefix.bytes, dst.bytes, sizeof(dst.bytes));
	if (attributes[RTA_PRIORITY] != NULL)
		out->path.metric = nla_get_u32(attributes[RTA_PRIORITY]);
	if (is_unreachable(info->rtm_type))
		return true; /* IPv6 gives such routes the loopback interface */
	if (attributes[RTA_OIF] != NULL)
		out->path.index = (int)nla_get_u32(attributes[RTA_OIF]);
	read_gateway(attributes, info->rtm_family, &out->path.gateway);
	out->multipath = attributes[RTA_MULTIPATH] != NULL;
	if (out->multipath)
		read_multipath(host, attributes[RTA_MULTIPATH], info->rtm_family, &out->path);
	return out->path.index != 0;
}

static bool is_link_local(const struct prefix *prefix)
{
	const uint8_t *bytes = prefix->bytes;

	if (prefix->family == ADDR_V4)
		return prefix->length >= 4 && bytes[0] >= 224;
	return (prefix->length >= 8 && bytes[0] == 0xff) ||
	       (prefix->length >= 10 && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80);
}

static struct route *find(const struct host *host, const struct prefix *prefix)
{
	struct route *route;

	HASH_FIND(hh, host->routes, prefix, sizeof(*prefix), route);
	return route;
}

static bool same_path(const struct path *a, const struct path *b)
{
	return a->metric == b->metric && a->index == b->index &&
	       addr_equal(&a->gateway, &b->gateway);
}

static void set_path(struct host *host, const struct reading *reading, bool replace)
{
	struct route *route = find(host, &reading->prefix);
	struct path **path;

	if (route == NULL) {
		route = calloc(1, sizeof(*route));
		if (route == NULL)
			abort();
		route->prefix = reading->prefix;
		HASH_ADD(hh, host->routes, prefix, sizeof(route->prefix), route);
	}
	for (path = &route->paths; *path != NULL;) {
		if (same_path(*path, &reading->path))
			break;
		if (replace && (*path)->metric == reading->path.metric)
			remove_path(path);
		else
			path = &(*path)->next;
	}
	if (*path == NULL) {
		*path = malloc(sizeof(**path));
		if (*path == NULL)
			abort();
		**path = reading->path;
	}
	(*path)->round = host->round;
	tell(host, route);
}

static void remove_matching(struct host *host, const struct reading *reading)
{
	struct route *route = find(host, &reading->prefix);
	struct path **path;

	if (route == NULL)
		return;
	for (path = &route->paths; *path != NULL; path = &(*path)->next) {
		if (!same_path(*path, &reading->path))
			continue;
		remove_path(path);
		tell(host, route);
		return;
	}
	host_resync_soon(host); /* one of several next hops, told in another form */
}

void route_receive(struct host *host, struct nlmsghdr *header)
{
	struct reading reading = {0};
	bool present = header->nlmsg_type == RTM_NEWROUTE;

	if (!read_route(host, header, &reading))
		return;
	if (reading.protocol == HOST_PROTOCOL)
		owned_receive(host, present, reading.table, &reading.prefix, reading.path.metric,
			reading.path.index, &reading.path.gateway);
	if (reading.table != RT_TABLE_MAIN || is_link_local(&reading.prefix))
		return;
	if (!present) {
		remove_matching(host, &reading);
		return;
	}
	set_path(host, &reading, (header->nlmsg_flags & NLM_F_REPLACE) != 0);
	/* IPv6 tells of a next hop more or less by the whole set; dumps are of one form. */
	if (reading.multipath && (header->nlmsg_flags & NLM_F_MULTI) == 0)
		host_resync_soon(host);
}

static void prune(struct host *host, bool (*gone)(const struct host *, const struct path *, int),
	int argument)
{
	struct route *route, *next;

	HASH_ITER (hh, host->routes, route, next) {
		struct path **path = &route->paths;

		while (*path != NULL) {
			if (gone(host, *path, argument))
				remove_path(path);
			else
				path = &(*path)->next;
		}
		tell(host, route);
	}
}

static bool is_over(const struct host *host, const struct path *path, int index)
{
	return path->index == index;
}

static bool is_old(const struct host *host, const struct path *path, int unused)
{
	return path->round != host->round;
}

void route_forget_link(struct host *host, int index)
{
	prune(host, is_over, index);
}

void route_sweep(struct host *host)
{
	prune(host, is_old, 0);
}

void route_replay(const struct host *host, const struct host_sink *sink)
{
	for (const struct route *route = host->routes; route != NULL; route = route->hh.next) {
		if (route->told)
			sink->route_set(sink->context, &route->last);
	}
}

void route_free(struct host *host)
{
	struct route *route, *next;

	HASH_ITER (hh, host->routes, route, next) {
		while (route->paths != NULL)
			remove_path(&route->paths);
		HASH_DEL(host->routes, route);
		free(route);
	}
}
