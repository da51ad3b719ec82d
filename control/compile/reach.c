/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may know a way to where. A route is held by the sets with a group in its distribution
 * groups, provided that a policy connects them with the routing peer (features.md R4); an exit
 * node by those to whom it is offered and whom a policy lets use it (X3). Of several offered ones
 * a set leaves by the one that its members selected, else by the first of the configuration; one
 * that was selected and is offered no more is not replaced by another, whose address would be
 * another too. What some object names but a set does not hold is closed to that set's exit node
 * (X9).
 */
#include "control/compile/compile_priv.h"

#include <stdlib.h>
#include <string.h>

/* Never part of "the internet", whoever asks: RFC 6890 and its registries. Documentation prefixes
 * are left out: nothing routes them, and labs stand on them. */
static const char *const special_prefixes[] = {
	"0.0.0.0/8",         /* this network */
	"10.0.0.0/8",        /* private */
	"100.64.0.0/10",     /* shared, and NetBird's overlay */
	"127.0.0.0/8",       /* loopback */
	"169.254.0.0/16",    /* link-local */
	"172.16.0.0/12",     /* private */
	"192.0.0.0/24",      /* protocol assignments */
	"192.168.0.0/16",    /* private */
	"198.18.0.0/15",     /* benchmarking */
	"224.0.0.0/4",       /* multicast */
	"240.0.0.0/4",       /* reserved, broadcast */
	"::/96",             /* unspecified, loopback, IPv4-compatible */
	"::ffff:0.0.0.0/96", /* IPv4-mapped */
	"64:ff9b:1::/48",    /* local-use translation */
	"100::/64",          /* discard */
	"fc00::/7",          /* unique local */
	"fe80::/10",         /* link-local */
	"fec0::/10",         /* site-local */
	"ff00::/8",          /* multicast */
};

static const char *const exit_halves[] = {"0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"};

static bool refs_hold(const struct model_refs *refs, uint32_t index)
{
	for (size_t i = 0; i < refs->n; i++) {
		if (refs->index[i] == index)
			return true;
	}
	return false;
}

static bool refs_meet(const struct model_refs *a, const struct model_refs *b)
{
	for (size_t i = 0; i < a->n; i++) {
		if (refs_hold(b, a->index[i]))
			return true;
	}
	return false;
}

static bool set_in_groups(const struct compile_set *set, const struct model_refs *groups)
{
	for (size_t i = 0; i < set->n_groups; i++) {
		if (refs_hold(groups, set->groups[i]))
			return true;
	}
	return false;
}

/* A policy that allows something to the members of a set, or to others towards them. */
struct relation {
	const struct model_policy *policy;
	bool from_set, to_set;
};

/* All of one set: found once, for they are asked for each route that it may receive. */
struct relations {
	struct relation *items; /* room for all policies */
	size_t n;
};

static void find_relations(
	const struct model *m, const struct compile_set *set, struct relations *out)
{
	out->n = 0;
	for (size_t i = 0; i < m->tables[MODEL_POLICY].n; i++) {
		const struct model_policy *policy = model_policy_at(m, i);
		struct relation relation = {
			.policy = policy,
			.from_set = compile_set_matches(m, set, &policy->from),
			.to_set = set_in_groups(set, &policy->to.groups),
		};

		if (policy->enabled && policy->allow && (relation.from_set || relation.to_set))
			out->items[out->n++] = relation;
	}
}

/* Does it lead from the set to the route or its routing peer, or from that peer to the set? */
static bool connects(const struct relation *relation, const struct model_route *route,
	const struct model_peer *peer)
{
	const struct model_source *from = &relation->policy->from;
	const struct model_target *to = &relation->policy->to;

	if (relation->from_set && (refs_hold(&to->routes, route->object.index) ||
					  refs_hold(&to->peers, peer->object.index) ||
					  model_peer_in_groups(peer, &to->groups) ||
					  refs_meet(&route->acl_groups, &to->groups)))
		return true;
	return relation->to_set && (from->any || refs_hold(&from->peers, peer->object.index) ||
					   model_peer_in_groups(peer, &from->groups));
}

static bool receives(const struct compile_set *set, const struct model_route *route)
{
	if (set->port != NULL)
		return refs_hold(&route->to_ports, set->port->object.index);
	return set_in_groups(set, &route->distribute_to);
}

static bool is_connected(const struct relations *relations, const struct model_route *route,
	const struct model_peer *peer)
{
	for (size_t i = 0; i < relations->n; i++) {
		if (connects(&relations->items[i], route, peer))
			return true;
	}
	return false;
}

/* The routing peer of the set with these relations (NULL: of anybody): the first one that is up,
 * else the first. */
static const struct model_peer *routing_peer(const struct builder *b,
	const struct relations *relations, const struct model_route *route,
	const struct model_peer **preferred)
{
	*preferred = NULL;
	for (size_t i = 0; i < route->via_peers.n; i++) {
		uint32_t index = route->via_peers.index[i];
		const struct model_peer *peer = model_peer_at(b->model, index);

		if (!peer->enabled || (relations != NULL && !is_connected(relations, route, peer)))
			continue;
		if (*preferred == NULL)
			*preferred = peer;
		if (!b->c->peer_down[index])
			return peer;
	}
	return *preferred;
}

/* Fills in who carries it. */
static bool holds_route(const struct builder *b, const struct compile_set *set,
	const struct relations *relations, const struct model_route *route,
	struct compile_route *held)
{
	if (!route->enabled || !receives(set, route))
		return false;
	if (route->via_port.n > 0)
		return true; /* the gateway itself routes */
	held->peer = routing_peer(b, relations, route, &held->preferred);
	return held->peer != NULL;
}

enum compile_offer compile_offer(const struct model *m, const struct compile_set *set,
	const struct model_exit_node *exit_node)
{
	if (!exit_node->enabled)
		return COMPILE_OFFER_DISABLED;
	if (!set_in_groups(set, &exit_node->offer_to))
		return COMPILE_OFFER_NO_GROUP;
	for (size_t i = 0; i < m->tables[MODEL_POLICY].n; i++) {
		const struct model_policy *policy = model_policy_at(m, i);

		if (policy->enabled && policy->allow &&
			refs_hold(&policy->to.exit_nodes, exit_node->object.index) &&
			compile_set_matches(m, set, &policy->from))
			return COMPILE_OFFERED;
	}
	return COMPILE_OFFER_NO_POLICY;
}

static void add_route(struct builder *b, struct compile_set *set, const struct prefix *prefix,
	const struct compile_route *held)
{
	set->routes = pool_grow(b->pool, set->routes, set->n_routes, sizeof(*set->routes));
	set->routes[set->n_routes] = *held;
	set->routes[set->n_routes++].prefix = *prefix;
}

/* By prefix; for one prefix the route before the `also`, the lower name of the network, the lower
 * metric, the lower name. */
static int compare_routes(const void *left, const void *right)
{
	const struct compile_route *a = left, *b = right;
	int order = prefix_compare(&a->prefix, &b->prefix);

	if (order != 0)
		return order;
	if (a->route == NULL || b->route == NULL)
		return (a->route == NULL) - (b->route == NULL);
	order = strcmp(a->route->network, b->route->network);
	if (order != 0)
		return order;
	if (a->route->metric != b->route->metric)
		return a->route->metric < b->route->metric ? -1 : 1;
	return strcmp(a->route->object.name, b->route->object.name);
}

static bool is_up(const struct builder *b, const struct compile_route *held)
{
	return held->peer == NULL || !b->c->peer_down[held->peer->object.index];
}

/* Of the routes with one prefix, the wish first: the first one of the same network that is up. */
static struct compile_route choose(
	const struct builder *b, const struct compile_route *routes, size_t n)
{
	struct compile_route chosen = routes[0];

	for (size_t i = 0; i < n && routes[i].route != NULL && routes[0].route != NULL; i++) {
		if (strcmp(routes[i].route->network, routes[0].route->network) != 0)
			break;
		if (!is_up(b, &routes[i]))
			continue;
		chosen = routes[i];
		chosen.preferred = routes[0].preferred;
		break;
	}
	return chosen;
}

/* One route for each prefix. */
static void choose_routes(const struct builder *b, struct compile_set *set)
{
	size_t n = 0, end;

	qsort(set->routes, set->n_routes, sizeof(*set->routes), compare_routes);
	for (size_t i = 0; i < set->n_routes; i = end) {
		for (end = i + 1; end < set->n_routes; end++) {
			if (!prefix_equal(&set->routes[i].prefix, &set->routes[end].prefix))
				break;
		}
		set->routes[n++] = choose(b, &set->routes[i], end - i);
	}
	set->n_routes = n;
}

static void collect_reach(struct builder *b, struct compile_set *set, struct relations *relations)
{
	const struct model *m = b->model;

	find_relations(m, set, relations);
	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		const struct model_route *route = model_route_at(m, i);
		struct compile_route held = {.route = route};

		if (!holds_route(b, set, relations, route, &held))
			continue;
		for (size_t k = 0; k < route->prefixes.n; k++)
			add_route(b, set, &route->prefixes.items[k], &held);
	}
	for (size_t i = 0; i < m->tables[MODEL_EXIT_NODE].n && set->exit_node == NULL; i++) {
		const struct model_exit_node *exit_node = model_exit_node_at(m, i);
		struct compile_route held = {.exit_node = exit_node};

		if ((set->selected != NULL && set->selected != exit_node) ||
			compile_offer(m, set, exit_node) != COMPILE_OFFERED)
			continue;
		set->exit_node = exit_node;
		for (size_t k = 0; k < exit_node->also.n; k++)
			add_route(b, set, &exit_node->also.items[k], &held);
	}
	if (set->n_routes > 0)
		choose_routes(b, set);
}

static struct api_route_set *emit_route(struct builder *b, struct prefix prefix, uint32_t set_id)
{
	struct api_route_set *route = compile_emit(b, API_ROUTE_SET);

	route->prefix = prefix;
	route->table = API_TABLE_OVERLAY;
	route->set_id = set_id;
	return route;
}

static struct api_route_set *emit_closed(struct builder *b, struct prefix prefix)
{
	struct api_route_set *route = emit_route(b, prefix, 0);

	route->next = API_NEXT_CLOSED;
	return route;
}

/* The next router of a route that leaves by a port; ADDR_NONE if the network is on-link. */
static struct addr port_gateway(const struct model *m, const struct model_route *route,
	const struct model_port *port, const struct prefix *prefix)
{
	struct addr first = prefix_first(prefix), none = {0};

	if (route->gateway.family != ADDR_NONE)
		return route->gateway;
	if (model_port_of(m, &first) == port)
		return none;
	for (size_t i = 0; i < port->gateways.n; i++) {
		if (port->gateways.items[i].family == prefix->family)
			return port->gateways.items[i];
	}
	return none;
}

static void emit_held_route(
	struct builder *b, const struct compile_set *set, const struct compile_route *held)
{
	struct api_route_set *message = emit_route(b, held->prefix, set->id);
	const struct model_route *route = held->route;
	const struct model *m = b->model;

	if (route == NULL) {
		message->next = API_NEXT_UNDERLAY;
		message->flags = API_ROUTE_MASQUERADE | API_ROUTE_EXIT;
		message->route_id = b->c->exit_node_ids[held->exit_node->object.index];
		return;
	}
	message->flags = route->masquerade ? API_ROUTE_MASQUERADE : 0;
	message->route_id = b->c->route_ids[route->object.index];
	message->metric = route->metric;
	if (route->via_port.n > 0) {
		const struct model_port *port = model_port_at(m, route->via_port.index[0]);

		message->next = API_NEXT_PORT;
		message->port = (uint16_t)compile_id(b, STORE_PORT, port->object.name);
		message->gateway = port_gateway(m, route, port, &held->prefix);
	} else {
		message->next = API_NEXT_PEER;
		message->peer = b->c->peer_ids[held->peer->object.index];
	}
}

static void emit_set(struct builder *b, const struct compile_set *set)
{
	for (size_t i = 0; i < set->n_routes; i++)
		emit_held_route(b, set, &set->routes[i]);
	for (size_t i = 0; set->exit_node != NULL && i < 4; i++) {
		struct api_route_set *message;
		struct prefix half = {0};

		if (prefix_parse(exit_halves[i], &half) < 0)
			continue; /* constant text */
		message = emit_route(b, half, set->id);
		message->next = API_NEXT_UNDERLAY;
		message->flags = API_ROUTE_MASQUERADE | API_ROUTE_EXIT;
		message->route_id = b->c->exit_node_ids[set->exit_node->object.index];
	}
}

static void emit_allowed(struct builder *b, struct prefix prefix, uint32_t peer)
{
	struct api_allowed_set *message = compile_emit(b, API_ALLOWED_SET);

	message->prefix = prefix;
	message->peer = peer;
}

static void emit_peer(struct builder *b, const struct model_peer *peer)
{
	uint32_t id = b->c->peer_ids[peer->object.index];

	for (size_t i = 0; i < peer->addresses.n; i++) {
		struct prefix host = prefix_of_addr(&peer->addresses.items[i]);
		struct api_route_set *route = emit_route(b, host, 0);

		route->next = API_NEXT_PEER;
		route->peer = id;
		emit_allowed(b, host, id);
	}
	for (size_t i = 0; i < peer->also_from.n; i++)
		emit_allowed(b, peer->also_from.items[i], id);
}

static void emit_maps(struct builder *b, const struct model_route *route, uint32_t peer)
{
	for (size_t i = 0; i < route->map.n; i++) {
		struct api_map_set *message = compile_emit(b, API_MAP_SET);

		message->peer = peer;
		message->seen = route->prefixes.items[i];
		message->real = route->map.items[i];
		message->flags = route->nptv6 ? API_MAP_NPTV6 : 0;
	}
}

/* Translated prefixes are addresses of the internet's: whoever asks for them is led there, and the
 * policies say who may. */
static void emit_public(struct builder *b, const struct model_route *route)
{
	const struct model_peer *preferred, *peer = routing_peer(b, NULL, route, &preferred);

	for (size_t i = 0; route->nptv6 && peer != NULL && i < route->prefixes.n; i++) {
		struct api_route_set *message = emit_route(b, route->prefixes.items[i], 0);

		message->next = API_NEXT_PEER;
		message->peer = b->c->peer_ids[peer->object.index];
		message->route_id = b->c->route_ids[route->object.index];
	}
}

/* Every member of a routing group owns the range: replies through any of them are accepted. */
static void emit_route_owners(struct builder *b, const struct model_route *route)
{
	for (size_t i = 0; i < route->via_peers.n; i++) {
		uint32_t peer = route->via_peers.index[i];

		for (size_t k = 0; model_peer_at(b->model, peer)->enabled && k < route->prefixes.n;
			k++)
			emit_allowed(b, route->prefixes.items[k], b->c->peer_ids[peer]);
		if (model_peer_at(b->model, peer)->enabled)
			emit_maps(b, route, b->c->peer_ids[peer]);
	}
}

/* The network between the gateway and its provider's router is a part of the internet, unless its
 * addresses are private: then it is closed like any other. */
static bool is_uplink(const struct model_port *port, uint8_t family)
{
	for (size_t i = 0; i < port->gateways.n; i++) {
		if (port->gateways.items[i].family == family)
			return true;
	}
	return false;
}

static void emit_all_closed(struct builder *b)
{
	const struct model *m = b->model;
	struct prefix prefix;

	/* Before the special ones, of which the overlay's own may be one. */
	for (size_t i = 0; i < m->wireguard.addresses.n; i++)
		emit_closed(b, model_network(&m->wireguard.addresses.items[i]))->flags =
			API_ROUTE_OVERLAY;
	for (size_t i = 0; i < sizeof(special_prefixes) / sizeof(special_prefixes[0]); i++) {
		if (prefix_parse(special_prefixes[i], &prefix) == 0)
			emit_closed(b, prefix);
	}
	for (size_t i = 0; i < m->tables[MODEL_PORT].n; i++) {
		const struct model_port *port = model_port_at(m, i);

		for (size_t k = 0; k < port->addresses.n; k++) {
			if (!is_uplink(port, port->addresses.items[k].addr.family))
				emit_closed(b, model_network(&port->addresses.items[k]));
		}
	}
	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		for (size_t k = 0; k < model_route_at(m, i)->prefixes.n; k++)
			emit_closed(b, model_route_at(m, i)->prefixes.items[k]);
	}
}

void compile_reach(struct builder *b)
{
	const struct model *m = b->model;
	size_t n_policies = m->tables[MODEL_POLICY].n;
	struct relations relations = {
		.items = pool_alloc(b->pool, (n_policies + 1) * sizeof(*relations.items))};

	for (size_t i = 0; i < b->c->n_sets; i++)
		collect_reach(b, b->c->sets[i], &relations);
	/* Of two entries with one key the first stays: a peer before a closed network. */
	for (size_t i = 0; i < m->tables[MODEL_PEER].n; i++) {
		if (model_peer_at(m, i)->enabled)
			emit_peer(b, model_peer_at(m, i));
	}
	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		if (model_route_at(m, i)->enabled) {
			emit_route_owners(b, model_route_at(m, i));
			emit_public(b, model_route_at(m, i));
		}
	}
	for (size_t i = 0; i < b->c->n_sets; i++)
		emit_set(b, b->c->sets[i]);
	emit_all_closed(b);
}
