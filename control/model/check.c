/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What objects say about each other: names that must exist, addresses and keys that belong to one
 * object, networks that must not overlap, and objects without effect. Everything is reported by
 * path, so that whoever holds the text finds the place; nothing stops at the first finding.
 */
#include "control/model/model_priv.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

enum {
	EXIT_HALF_BITS = 1, /* a route this short is the internet */
	PORTS_MAX = 63,
	ALSO_LISTEN_MAX = 8,
	POOL_ADDRESSES_MAX = 64,
	POOLS_MAX = 1023,
	PEERS_MAX = (1 << 20) - 1,
};

/* Who has an address; a sorted array finds every clash in one pass. */
struct claim {
	struct addr addr;
	const char *path;
	const char *owner;
	size_t order; /* of claiming: the gateway first, then ports, then peers */
};

struct checker {
	struct model *model;
	const struct model_reporter *reporter;
	struct pool *pool;
	struct claim *claims;
	size_t n_claims;
	bool ok;
};

static void report(struct checker *c, enum diag_code code, const char *path, const char *hint,
	const char *see, const char *format, ...) __attribute__((format(printf, 6, 7)));

static void report(struct checker *c, enum diag_code code, const char *path, const char *hint,
	const char *see, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	c->reporter->report(
		c->reporter->context, code, path, pool_vprintf(c->pool, format, args), hint, see);
	va_end(args);
	if (code < 500) /* 05xx are warnings */
		c->ok = false;
}

static const char *object_path(struct checker *c, enum model_kind kind, size_t i)
{
	const struct model_object *object = c->model->tables[kind].items[i];

	if (kind == MODEL_POLICY)
		return pool_printf(c->pool, "policies[%zu]", i);
	return pool_printf(c->pool, "%s.%s", model_kind_key(kind), object->name);
}

static const char *nearest(struct checker *c, enum model_kind kind, const char *name)
{
	const struct model_table *table = &c->model->tables[kind];
	const char **names = pool_alloc(c->pool, (table->n + 1) * sizeof(*names));

	for (size_t i = 0; i < table->n; i++)
		names[i] = table->items[i]->name;
	return diag_suggest(name, names, table->n);
}

static void resolve(struct checker *c, struct model_refs *refs, const char *owner, const char *key,
	bool is_list)
{
	refs->index = pool_alloc(c->pool, (refs->n + 1) * sizeof(*refs->index));
	for (size_t i = 0; i < refs->n; i++) {
		struct model_object *object = model_find(c->model, refs->kind, refs->names[i]);
		const char *path, *near, *hint = NULL, *see = NULL;

		if (object != NULL) {
			refs->index[i] = object->index;
			continue;
		}
		path = is_list ? pool_printf(c->pool, "%s.%s[%zu]", owner, key, i)
			       : pool_printf(c->pool, "%s.%s", owner, key);
		near = nearest(c, refs->kind, refs->names[i]);
		if (near != NULL) {
			hint = pool_printf(c->pool, "did you mean '%s'?", near);
			see = pool_printf(c->pool, "%s.%s", model_kind_key(refs->kind), near);
		}
		report(c, DIAG_NOT_DEFINED, path, hint, see, "%s '%s' is not defined",
			model_kind_noun(refs->kind), refs->names[i]);
	}
}

static void resolve_source(struct checker *c, struct model_source *from, const char *path)
{
	resolve(c, &from->groups, path, "groups", true);
	resolve(c, &from->peers, path, "peers", true);
	resolve(c, &from->port, path, "port", false);
}

static void resolve_peers_and_routes(struct checker *c)
{
	struct model *m = c->model;

	for (size_t i = 0; i < m->tables[MODEL_PEER].n; i++) {
		struct model_peer *peer = (struct model_peer *)m->tables[MODEL_PEER].items[i];

		resolve(c, &peer->groups, object_path(c, MODEL_PEER, i), "groups", true);
	}
	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		struct model_route *route = (struct model_route *)m->tables[MODEL_ROUTE].items[i];
		const char *path = object_path(c, MODEL_ROUTE, i);
		const char *via = pool_printf(c->pool, "%s.via", path);

		resolve(c, &route->via_peers, via, "peers", true);
		resolve(c, &route->via_groups, via, "groups", true);
		resolve(c, &route->via_port, via, "port", false);
		resolve(c, &route->distribute_to, path, "distribute_to", true);
		resolve(c, &route->to_ports, path, "distribute_to_ports", true);
		resolve(c, &route->acl_groups, path, "acl_groups", true);
	}
	for (size_t i = 0; i < m->tables[MODEL_EXIT_NODE].n; i++) {
		struct model_exit_node *exit_node =
			(struct model_exit_node *)m->tables[MODEL_EXIT_NODE].items[i];

		resolve(c, &exit_node->offer_to, object_path(c, MODEL_EXIT_NODE, i), "offer_to",
			true);
	}
}

static void resolve_rules(struct checker *c)
{
	struct model *m = c->model;

	for (size_t i = 0; i < m->tables[MODEL_FORWARD].n; i++)
		resolve(c, &((struct model_forward *)m->tables[MODEL_FORWARD].items[i])->to_peer,
			pool_printf(c->pool, "%s.to", object_path(c, MODEL_FORWARD, i)), "peer",
			false);

	for (size_t i = 0; i < m->egress.rules.n; i++) {
		struct model_egress_rule *rule = &m->egress.rules.items[i];
		const char *path = pool_printf(c->pool, "egress.rules[%zu]", i);

		resolve_source(c, &rule->from, pool_printf(c->pool, "%s.from", path));
		resolve(c, &rule->exit_nodes, path, "exit_nodes", true);
		resolve(c, &rule->use, path, "use", false);
	}
	resolve(c, &m->egress.default_pool, "egress", "default", false);
	for (size_t i = 0; i < m->tables[MODEL_POLICY].n; i++) {
		struct model_policy *policy =
			(struct model_policy *)m->tables[MODEL_POLICY].items[i];
		const char *path = object_path(c, MODEL_POLICY, i);
		const char *to = pool_printf(c->pool, "%s.to", path);

		resolve_source(c, &policy->from, pool_printf(c->pool, "%s.from", path));
		resolve(c, &policy->to.groups, to, "groups", true);
		resolve(c, &policy->to.peers, to, "peers", true);
		resolve(c, &policy->to.routes, to, "routes", true);
		resolve(c, &policy->to.exit_nodes, to, "exit_nodes", true);
		resolve(c, &policy->to.forwards, to, "forwards", true);
	}
}

/* `from` is an address or a peer, `egress` an address or a pool: what is no address is a name. */
static void resolve_tests(struct checker *c)
{
	struct model *m = c->model;

	for (size_t i = 0; i < m->tests.n; i++) {
		struct model_test *test = &m->tests.items[i];
		struct model_refs from = {.kind = MODEL_PEER, .names = &test->from, .n = 1};
		const char *path = pool_printf(c->pool, "tests[%zu]", i);

		if (test->from != NULL && addr_parse(test->from, &test->from_addr) < 0)
			resolve(c, &from, path, "from", false);
		resolve(c, &test->as, path, "as", false);
		if (test->egress == NULL || addr_parse(test->egress, &test->egress_addr) == 0)
			continue;
		test->egress_pool =
			(struct model_refs){.kind = MODEL_POOL, .names = &test->egress, .n = 1};
		resolve(c, &test->egress_pool, path, "egress", false);
	}
}

static void claim(struct checker *c, const struct addr *addr, const char *path, const char *owner)
{
	c->claims = pool_grow(c->pool, c->claims, c->n_claims, sizeof(*c->claims));
	c->claims[c->n_claims] = (struct claim){
		.addr = *addr,
		.path = path,
		.owner = owner,
		.order = c->n_claims,
	};
	c->n_claims++;
}

static void claim_ifaddrs(struct checker *c, const struct model_ifaddrs *addresses,
	const char *path, const char *owner)
{
	for (size_t i = 0; i < addresses->n; i++)
		claim(c, &addresses->items[i].addr,
			pool_printf(c->pool, "%s.addresses[%zu]", path, i), owner);
}

static void claim_addrs(
	struct checker *c, const struct model_addrs *addresses, const char *path, const char *owner)
{
	for (size_t i = 0; i < addresses->n; i++) {
		if (addresses->items[i].family != ADDR_NONE) /* else reported as not an address */
			claim(c, &addresses->items[i],
				pool_printf(c->pool, "%s.addresses[%zu]", path, i), owner);
	}
}

static int compare_claims(const void *left, const void *right)
{
	const struct claim *a = left, *b = right;
	int order = addr_compare(&a->addr, &b->addr);

	return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

/* Pools share addresses with each other and with ports (the port space is then divided). */
static void check_claims(struct checker *c)
{
	struct model *m = c->model;
	char text[ADDR_TEXT_MAX];

	claim_ifaddrs(c, &m->wireguard.addresses, "wireguard", "the gateway");
	for (size_t i = 0; i < m->tables[MODEL_PORT].n; i++) {
		const struct model_port *port = model_port_at(m, i);

		claim_ifaddrs(c, &port->addresses, object_path(c, MODEL_PORT, i),
			pool_printf(c->pool, "port '%s'", port->object.name));
	}
	for (size_t i = 0; i < m->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(m, i);

		claim_addrs(c, &peer->addresses, object_path(c, MODEL_PEER, i),
			pool_printf(c->pool, "peer '%s'", peer->object.name));
	}
	if (c->n_claims == 0)
		return;
	qsort(c->claims, c->n_claims, sizeof(*c->claims), compare_claims);
	for (size_t i = 1; i < c->n_claims; i++) {
		if (!addr_equal(&c->claims[i].addr, &c->claims[i - 1].addr))
			continue;
		report(c, DIAG_ADDRESS_TAKEN, c->claims[i].path, NULL, NULL,
			"%s belongs to %s already", addr_format(&c->claims[i].addr, text),
			c->claims[i - 1].owner);
	}
}

static void check_port_networks(struct checker *c, size_t i)
{
	const struct model *m = c->model;
	const struct model_port *port = model_port_at(m, i);
	char text[PREFIX_TEXT_MAX];

	for (size_t k = 0; k < port->addresses.n; k++) {
		struct prefix network = model_network(&port->addresses.items[k]);
		const char *path =
			pool_printf(c->pool, "%s.addresses[%zu]", object_path(c, MODEL_PORT, i), k);

		if (model_overlaps_overlay(m, &network))
			report(c, DIAG_NETWORKS_OVERLAP, path, NULL, NULL,
				"%s overlaps a network of the overlay",
				prefix_format(&network, text));
		for (size_t j = 0; j < i; j++) {
			const struct model_port *other = model_port_at(m, j);

			for (size_t l = 0; l < other->addresses.n; l++) {
				struct prefix theirs = model_network(&other->addresses.items[l]);

				if (prefix_overlaps(&network, &theirs))
					report(c, DIAG_NETWORKS_OVERLAP, path, NULL, NULL,
						"%s overlaps a network of port '%s'",
						prefix_format(&network, text), other->object.name);
			}
		}
	}
}

static bool on_link(const struct model_port *port, const struct addr *addr)
{
	for (size_t i = 0; i < port->addresses.n; i++) {
		struct prefix network = model_network(&port->addresses.items[i]);

		if (prefix_contains(&network, addr) &&
			!addr_equal(&port->addresses.items[i].addr, addr))
			return true;
	}
	return false;
}

static void check_ports(struct checker *c)
{
	const struct model *m = c->model;
	char text[ADDR_TEXT_MAX];

	if (m->tables[MODEL_PORT].n > PORTS_MAX)
		report(c, DIAG_TOO_MANY, "ports", NULL, NULL, "more than %d ports", PORTS_MAX);
	for (size_t i = 0; i < m->tables[MODEL_PORT].n; i++) {
		const struct model_port *port = model_port_at(m, i);

		check_port_networks(c, i);
		for (size_t k = 0; k < port->gateways.n; k++) {
			if (port->gateways.items[k].family == ADDR_NONE ||
				on_link(port, &port->gateways.items[k]))
				continue;
			report(c, DIAG_GATEWAY_NOT_ON_LINK,
				pool_printf(c->pool, "%s.gateways[%zu]",
					object_path(c, MODEL_PORT, i), k),
				NULL, NULL, "gateway %s is not on a network of port '%s'",
				addr_format(&port->gateways.items[k], text), port->object.name);
		}
	}
}

static int compare_keys(const void *left, const void *right)
{
	const struct model_peer *a = *(const struct model_peer *const *)left;
	const struct model_peer *b = *(const struct model_peer *const *)right;
	int order = memcmp(a->public_key.bytes, b->public_key.bytes, KEY_SIZE);

	return order != 0
		       ? order
		       : (a->object.index > b->object.index) - (a->object.index < b->object.index);
}

static void check_public_keys(struct checker *c)
{
	size_t n = c->model->tables[MODEL_PEER].n, n_keys = 0;
	const struct model_peer **peers = pool_alloc(c->pool, (n + 1) * sizeof(*peers));

	for (size_t i = 0; i < n; i++) {
		if (model_peer_at(c->model, i)->has_public_key)
			peers[n_keys++] = model_peer_at(c->model, i);
	}
	qsort(peers, n_keys, sizeof(*peers), compare_keys);
	for (size_t i = 1; i < n_keys; i++) {
		if (!key_equal(&peers[i]->public_key, &peers[i - 1]->public_key))
			continue;
		report(c, DIAG_KEY_TAKEN,
			pool_printf(c->pool, "peers.%s.public_key", peers[i]->object.name), NULL,
			NULL, "peer '%s' has this public key already", peers[i - 1]->object.name);
	}
}

static void check_peers(struct checker *c)
{
	const struct model *m = c->model;
	char text[ADDR_TEXT_MAX];

	if (m->tables[MODEL_PEER].n > PEERS_MAX)
		report(c, DIAG_TOO_MANY, "peers", NULL, NULL, "more than %d peers", PEERS_MAX);
	for (size_t i = 0; i < m->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(m, i);

		for (size_t k = 0; k < peer->addresses.n; k++) {
			if (peer->addresses.items[k].family == ADDR_NONE ||
				model_in_overlay(m, &peer->addresses.items[k]))
				continue;
			report(c, DIAG_OUTSIDE_OVERLAY,
				pool_printf(
					c->pool, "peers.%s.addresses[%zu]", peer->object.name, k),
				"networks of peers behind a router belong in `routes`", NULL,
				"%s is outside the networks of wireguard.addresses",
				addr_format(&peer->addresses.items[k], text));
		}
	}
	check_public_keys(c);
}

static void check_route_prefix(
	struct checker *c, const struct model_route *route, const char *path, size_t k)
{
	const struct prefix *prefix = &route->prefixes.items[k];
	char text[PREFIX_TEXT_MAX];

	path = pool_printf(c->pool, "%s.prefixes[%zu]", path, k);
	if (prefix->length <= EXIT_HALF_BITS)
		report(c, DIAG_ROUTE_IS_DEFAULT, path, "define it under exit_nodes", NULL,
			"%s is the whole internet, not a route", prefix_format(prefix, text));
	else if (model_overlaps_overlay(c->model, prefix))
		report(c, DIAG_ROUTE_OVERLAPS_OVERLAY, path, NULL, NULL, "%s overlaps the overlay",
			prefix_format(prefix, text));
}

static void check_via(struct checker *c, const struct model_route *route, const char *path)
{
	const struct model_port *port;
	struct addr first;
	bool served;

	if ((route->via_peers.n + route->via_groups.n == 0) == (route->via_port.n == 0)) {
		report(c, DIAG_ONE_OF, pool_printf(c->pool, "%s.via", path), NULL, NULL,
			"either routing peers ('peers', 'groups' or both) or a 'port' is needed");
		return;
	}
	if (route->via_port.n == 0)
		return;
	port = (const struct model_port *)model_find(
		c->model, MODEL_PORT, route->via_port.names[0]);
	if (port == NULL)
		return; /* reported as not defined */
	if (route->gateway.family != ADDR_NONE) {
		if (!on_link(port, &route->gateway))
			report(c, DIAG_GATEWAY_NOT_ON_LINK,
				pool_printf(c->pool, "%s.via.gateway", path), NULL, NULL,
				"the gateway is not on a network of port '%s'", port->object.name);
		return;
	}
	for (size_t k = 0; k < route->prefixes.n; k++) {
		first = prefix_first(&route->prefixes.items[k]);
		if (first.family == ADDR_NONE)
			continue;
		served = model_port_of(c->model, &first) == port;
		for (size_t j = 0; j < port->gateways.n; j++)
			served = served || port->gateways.items[j].family == first.family;
		if (!served)
			report(c, DIAG_MISSING_KEY,
				pool_printf(c->pool, "%s.prefixes[%zu]", path, k),
				"add `gateway:` beside `port:`", NULL,
				"port '%s' is not on this network and has no gateway for it",
				port->object.name);
	}
}

/* A group receives a prefix by a route; two such with equal prefix and group overlap. */
struct offer {
	struct prefix prefix;
	const char *group;
	const struct model_route *route;
	size_t prefix_index;
};

static int compare_offers(const void *left, const void *right)
{
	const struct offer *a = left, *b = right;
	int order = prefix_compare(&a->prefix, &b->prefix);

	if (order == 0)
		order = strcmp(a->group, b->group);
	if (order != 0)
		return order;
	return (a->route->object.index > b->route->object.index) -
	       (a->route->object.index < b->route->object.index);
}

/* The same range by two networks for one group: berlin and london without a border between them.
 * Two routes of one network are each other's understudies. */
static void check_route_overlaps(struct checker *c)
{
	const struct model *m = c->model;
	struct offer *offers = NULL;
	char text[PREFIX_TEXT_MAX];
	size_t n = 0;

	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		const struct model_route *route = model_route_at(m, i);

		for (size_t k = 0; route->enabled && k < route->prefixes.n; k++) {
			for (size_t g = 0; g < route->distribute_to.n; g++) {
				offers = pool_grow(c->pool, offers, n, sizeof(*offers));
				offers[n++] = (struct offer){
					.prefix = route->prefixes.items[k],
					.group = route->distribute_to.names[g],
					.route = route,
					.prefix_index = k,
				};
			}
		}
	}
	if (n > 0)
		qsort(offers, n, sizeof(*offers), compare_offers);
	for (size_t i = 1; i < n; i++) {
		const struct offer *offer = &offers[i], *first = &offers[i - 1];

		if (offer->route == first->route || offer->prefix.family == ADDR_NONE ||
			strcmp(offer->group, first->group) != 0 ||
			strcmp(offer->route->network, first->route->network) == 0 ||
			!prefix_equal(&offer->prefix, &first->prefix))
			continue;
		report(c, DIAG_ROUTES_OVERLAP,
			pool_printf(c->pool, "routes.%s.prefixes[%zu]", offer->route->object.name,
				offer->prefix_index),
			NULL, NULL, "group '%s' receives %s by route '%s' too", offer->group,
			prefix_format(&offer->prefix, text), first->route->object.name);
	}
}

static void check_routes(struct checker *c)
{
	const struct model *m = c->model;

	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		const struct model_route *route = model_route_at(m, i);
		const char *path = object_path(c, MODEL_ROUTE, i);

		for (size_t k = 0; k < route->prefixes.n; k++)
			check_route_prefix(c, route, path, k);
		check_via(c, route, path);
		if (!route->enabled)
			continue;
		if (route->acl_groups.n == 0 && m->routes_without_acl_groups_allow)
			report(c, DIAG_OPEN_ROUTE, path, "add acl_groups, or see SP0501", NULL,
				"route '%s' has no acl_groups: it is open to all who receive it",
				route->object.name);
		if (route->distribute_to.n + route->to_ports.n == 0)
			report(c, DIAG_NO_EFFECT, path, "add distribute_to", NULL,
				"route '%s' is distributed to nobody", route->object.name);
	}
	check_route_overlaps(c);
}

/* X3: the offer needs a policy too, or the routes would lead to a closed door. */
static bool has_exit_policy(const struct model *m, const struct model_exit_node *exit_node)
{
	for (size_t i = 0; i < m->tables[MODEL_POLICY].n; i++) {
		const struct model_policy *policy = model_policy_at(m, i);

		for (size_t k = 0; policy->allow && policy->enabled && k < policy->to.exit_nodes.n;
			k++) {
			if (strcmp(policy->to.exit_nodes.names[k], exit_node->object.name) == 0)
				return true;
		}
	}
	return false;
}

static void check_exit_nodes(struct checker *c)
{
	const struct model *m = c->model;

	for (size_t i = 0; i < m->tables[MODEL_EXIT_NODE].n; i++) {
		const struct model_exit_node *exit_node = model_exit_node_at(m, i);
		const char *path = object_path(c, MODEL_EXIT_NODE, i);

		if (!exit_node->enabled)
			continue;
		if (!has_exit_policy(m, exit_node))
			report(c, DIAG_NO_EFFECT, path, "add a policy to: {exit_nodes: [...]}",
				NULL, "no policy allows anyone to use exit node '%s'",
				exit_node->object.name);
		if (m->egress.rules.n == 0 && m->egress.default_pool.n == 0)
			report(c, DIAG_NO_EFFECT, path, "add egress.rules", NULL,
				"no egress rule gives exit node '%s' an address",
				exit_node->object.name);
	}
}

static void check_pools(struct checker *c)
{
	const struct model *m = c->model;
	char text[ADDR_TEXT_MAX];

	if (m->tables[MODEL_POOL].n > POOLS_MAX)
		report(c, DIAG_TOO_MANY, "egress.pools", NULL, NULL, "more than %d pools",
			POOLS_MAX);
	for (size_t i = 0; i < m->tables[MODEL_POOL].n; i++) {
		const struct model_pool *pool = model_pool_at(m, i);
		const char *path = object_path(c, MODEL_POOL, i);

		if (pool->addresses.n == 0)
			report(c, DIAG_NO_EGRESS_FAMILY, path, NULL, NULL,
				"pool '%s' has no address", pool->object.name);
		if (pool->addresses.n > POOL_ADDRESSES_MAX)
			report(c, DIAG_TOO_MANY, path, NULL, NULL, "more than %d addresses",
				POOL_ADDRESSES_MAX);
		for (size_t k = 0; k < pool->addresses.n; k++) {
			if (pool->addresses.items[k].family != ADDR_NONE &&
				model_port_of(m, &pool->addresses.items[k]) == NULL)
				report(c, DIAG_EGRESS_OFF_LINK,
					pool_printf(c->pool, "%s.addresses[%zu]", path, k), NULL,
					NULL, "%s is on no network of a port",
					addr_format(&pool->addresses.items[k], text));
		}
	}
}

static void check_wireguard(struct checker *c)
{
	const struct model_port_ranges *ranges = &c->model->wireguard.also_listen;
	uint32_t n = 0;

	for (size_t i = 0; i < ranges->n; i++)
		n += (uint32_t)(ranges->items[i].last - ranges->items[i].first) + 1;
	if (n > ALSO_LISTEN_MAX)
		report(c, DIAG_TOO_MANY, "wireguard.also_listen", NULL, NULL,
			"%u ports; there can be %d beside listen_port", n, ALSO_LISTEN_MAX);
}

static void check_policies(struct checker *c)
{
	const struct model *m = c->model;

	for (size_t i = 0; i < m->tables[MODEL_POLICY].n; i++) {
		const struct model_policy *policy = model_policy_at(m, i);
		const struct model_source *from = &policy->from;
		const struct model_target *to = &policy->to;
		const char *path = object_path(c, MODEL_POLICY, i);

		if (policy->ports.n != 0 && policy->protocol != MODEL_TCP &&
			policy->protocol != MODEL_UDP)
			report(c, DIAG_NO_PORTS_HERE, pool_printf(c->pool, "%s.ports", path),
				"add `protocol: tcp` or `protocol: udp`", NULL,
				"ports need a protocol that has them");
		if (!from->any &&
			from->groups.n + from->peers.n + from->port.n + from->prefixes.n == 0)
			report(c, DIAG_ONE_OF, pool_printf(c->pool, "%s.from", path), NULL, NULL,
				"one of 'any', 'groups', 'peers', 'port' and 'prefixes' is needed");
		if (!to->host && to->groups.n + to->peers.n + to->routes.n + to->exit_nodes.n +
						 to->forwards.n + to->prefixes.n ==
					 0)
			report(c, DIAG_ONE_OF, pool_printf(c->pool, "%s.to", path), NULL, NULL,
				"one of 'groups', 'peers', 'routes', 'exit_nodes', 'forwards', "
				"'prefixes' and 'host' is needed");
	}
}

bool model_check(struct model *model, const struct model_reporter *reporter)
{
	struct checker c = {
		.model = model,
		.reporter = reporter,
		.pool = model->pool,
		.ok = true,
	};

	resolve_peers_and_routes(&c);
	resolve_rules(&c);
	resolve_tests(&c);
	check_claims(&c);
	check_wireguard(&c);
	check_ports(&c);
	check_peers(&c);
	check_routes(&c);
	check_exit_nodes(&c);
	check_pools(&c);
	check_policies(&c);
	model_check_mtus(model, reporter);
	c.ok = model_check_nat(model, reporter) && c.ok;
	if (c.ok) /* names that lead nowhere have no index */
		model_expand_routers(model, reporter);
	if (!model_check_maps(model, reporter))
		c.ok = false;
	return c.ok && model_check_forwards(model, reporter);
}
