/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ordered rules. Policies: first what concerns the gateway itself, with echo from peers as the
 * only thing open by itself, then the policies in their order, then routes without ACL groups
 * where the configuration leaves them open; nothing else is allowed. Egress: rules about a
 * masqueraded route's own range, then the route's interface address, then the other rules.
 */
#include "common/api/flow.h"
#include "control/compile/compile_priv.h"

#include <string.h>

enum priority_band {
	BAND_BITS = 20, /* rules within a band keep the order of the file */
	BAND_HOST = 1,
	BAND_HOST_ECHO = 2,
	BAND_HOST_CLOSED = 3,
	BAND_POLICY = 4,
	BAND_OPEN_ROUTE = 5,

	BAND_EGRESS_IN_ROUTE = 1,
	BAND_EGRESS_ROUTE = 2,
	BAND_EGRESS_RULE = 3,
	BAND_EGRESS_DEFAULT = 4,
};

static uint32_t priority(enum priority_band band, size_t order)
{
	return ((uint32_t)band << BAND_BITS) | (uint32_t)order;
}

/* What a policy rule is made of beside its destination. */
struct rule_seed {
	const char *name; /* "policy:web", "host-echo" ... */
	uint32_t priority;
	uint32_t src_set;
	const struct prefix *src; /* NULL = any */
	enum model_protocol protocol;
	uint16_t flags;
	bool allow;
	struct model_port_ranges ports;
};

static void name_rule(struct builder *b, uint32_t rule, const char *name)
{
	struct compiled *c = b->c;

	while (c->n_rule_names <= rule) {
		c->rule_names =
			pool_grow(b->pool, c->rule_names, c->n_rule_names, sizeof(*c->rule_names));
		c->rule_names[c->n_rule_names++] = NULL;
	}
	c->rule_names[rule] = name;
}

static void emit_rule(struct builder *b, const struct rule_seed *seed, const struct prefix *dst,
	struct model_port_range ports)
{
	char dst_text[PREFIX_TEXT_MAX] = "any", src_text[PREFIX_TEXT_MAX] = "any";
	struct api_policy_set *rule = compile_emit(b, API_POLICY_SET);

	if (dst != NULL)
		rule->dst = *dst;
	if (seed->src != NULL)
		rule->src = *seed->src;
	rule->rule = compile_id(b, STORE_POLICY_RULE,
		pool_printf(b->pool, "%s/%u/%s/%s/%u/%u-%u/%x", seed->name, seed->src_set,
			seed->src == NULL ? src_text : prefix_format(seed->src, src_text),
			dst == NULL ? dst_text : prefix_format(dst, dst_text), seed->protocol,
			ports.first, ports.last, seed->flags));
	rule->priority = seed->priority;
	rule->src_set = seed->src_set;
	rule->proto = (uint8_t)seed->protocol;
	rule->verdict = seed->allow ? API_ALLOW : API_DENY;
	rule->flags = seed->flags;
	rule->port_first = ports.first;
	rule->port_last = ports.last;
	name_rule(b, rule->rule, seed->name);
}

static void emit_rules(struct builder *b, const struct rule_seed *seed, const struct prefix *dst)
{
	static const struct model_port_range any = {0, 65535};

	for (size_t i = 0; i < seed->ports.n; i++)
		emit_rule(b, seed, dst, seed->ports.items[i]);
	if (seed->ports.n == 0)
		emit_rule(b, seed, dst, any);
}

static void emit_to_peer(
	struct builder *b, const struct rule_seed *seed, const struct model_peer *peer)
{
	for (size_t i = 0; peer->enabled && i < peer->addresses.n; i++) {
		struct prefix host = prefix_of_addr(&peer->addresses.items[i]);

		emit_rules(b, seed, &host);
	}
}

static bool shares_group(const struct model_refs *a, const struct model_refs *b)
{
	for (size_t i = 0; i < a->n; i++) {
		for (size_t j = 0; j < b->n; j++) {
			if (a->index[i] == b->index[j])
				return true;
		}
	}
	return false;
}

/* A route is a destination by its name, or by an ACL group that is one (R5). */
static bool is_target(const struct model_target *to, const struct model_route *route)
{
	for (size_t i = 0; i < to->routes.n; i++) {
		if (to->routes.index[i] == route->object.index)
			return true;
	}
	return shares_group(&route->acl_groups, &to->groups);
}

static void emit_to_route(
	struct builder *b, const struct rule_seed *seed, const struct model_route *route)
{
	for (size_t i = 0; route->enabled && i < route->prefixes.n; i++)
		emit_rules(b, seed, &route->prefixes.items[i]);
}

static bool leads_to_exit(const struct compile_set *set, const struct model_target *to)
{
	for (size_t i = 0; set->exit_node != NULL && i < to->exit_nodes.n; i++) {
		if (to->exit_nodes.index[i] == set->exit_node->object.index)
			return true;
	}
	return false;
}

/* To what it turns the destination into, and only by way of it. */
static void emit_to_forward(
	struct builder *b, struct rule_seed seed, const struct model_forward *forward)
{
	struct model_port_range ports = model_forward_to_ports(forward);
	struct prefix host;
	struct addr inside;

	if (!compile_forward_leads(b->model, forward) ||
		!model_forward_inside(b->model, forward, &inside))
		return;
	host = prefix_of_addr(&inside);
	seed.flags |= API_POLICY_FORWARDED;
	seed.protocol = forward->protocol;
	emit_rule(b, &seed, &host, ports);
}

/* All destinations of a policy for one source; set NULL = any identity (by source prefix). */
static void emit_targets(struct builder *b, struct rule_seed seed,
	const struct model_policy *policy, const struct compile_set *set)
{
	const struct model_target *to = &policy->to;
	const struct model *m = b->model;

	if (to->host) {
		struct rule_seed host = seed;

		host.flags |= API_POLICY_TO_HOST;
		host.priority = priority(BAND_HOST, policy->object.index);
		emit_rules(b, &host, NULL);
	}
	for (size_t i = 0; i < to->peers.n; i++)
		emit_to_peer(b, &seed, model_peer_at(m, to->peers.index[i]));
	for (size_t i = 0; to->groups.n > 0 && i < m->tables[MODEL_PEER].n; i++) {
		if (model_peer_in_groups(model_peer_at(m, i), &to->groups))
			emit_to_peer(b, &seed, model_peer_at(m, i));
	}
	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		if (is_target(to, model_route_at(m, i)))
			emit_to_route(b, &seed, model_route_at(m, i));
	}
	for (size_t i = 0; i < to->prefixes.n; i++)
		emit_rules(b, &seed, &to->prefixes.items[i]);
	for (size_t i = 0; i < to->forwards.n; i++)
		emit_to_forward(b, seed, model_forward_at(m, to->forwards.index[i]));
	if (set != NULL && leads_to_exit(set, to)) {
		seed.flags |= API_POLICY_TO_EXIT;
		emit_rules(b, &seed, NULL);
	}
}

/* A source of prefixes alone is any identity; beside groups or a port they narrow it. */
static void emit_source(struct builder *b, struct rule_seed seed, const struct model_policy *policy,
	const struct compile_set *set)
{
	const struct model_prefixes *prefixes = &policy->from.prefixes;

	seed.src_set = set == NULL ? 0 : set->id;
	if (prefixes->n == 0)
		emit_targets(b, seed, policy, set);
	for (size_t i = 0; i < prefixes->n; i++) {
		seed.src = &prefixes->items[i];
		emit_targets(b, seed, policy, set);
	}
}

static void emit_policy(struct builder *b, const struct model_policy *policy)
{
	const struct model_source *from = &policy->from;
	struct rule_seed seed = {
		.name = pool_printf(b->pool, "policy:%s", policy->object.name),
		.priority = priority(BAND_POLICY, policy->object.index),
		.protocol = policy->protocol,
		.allow = policy->allow,
		.ports = policy->ports,
	};

	if (!from->any && from->groups.n + from->peers.n + from->port.n == 0) {
		emit_source(b, seed, policy, NULL);
		return;
	}
	for (size_t i = 0; i < b->c->n_sets; i++) {
		if (compile_set_matches(b->model, b->c->sets[i], from))
			emit_source(b, seed, policy, b->c->sets[i]);
	}
}

static void emit_host_defaults(struct builder *b)
{
	struct rule_seed closed = {
		.name = "host-closed",
		.priority = priority(BAND_HOST_CLOSED, 0),
		.flags = API_POLICY_TO_HOST,
	};

	for (size_t i = 0; i < b->c->n_sets; i++) {
		struct rule_seed echo = {
			.name = "host-echo",
			.priority = priority(BAND_HOST_ECHO, 0),
			.src_set = b->c->sets[i]->id,
			.protocol = MODEL_ICMP,
			.flags = API_POLICY_TO_HOST | API_POLICY_ECHO_ONLY,
			.allow = true,
		};

		if (b->c->sets[i]->port == NULL)
			emit_rules(b, &echo, NULL);
	}
	/* A policy to a range in which the gateway has an address does not open the gateway. */
	emit_rules(b, &closed, NULL);
}

/* Within a band the longer prefix comes first, as among routes. */
static uint32_t open_priority(const struct prefix *prefix)
{
	return priority(BAND_OPEN_ROUTE, 128 - (size_t)prefix->length);
}

/* What another route names with ACL groups is for those whom a policy lets in, also where it lies
 * within a range that is open: neither widens the other (features.md R10). */
static void emit_exceptions(
	struct builder *b, const struct compile_set *set, const struct prefix *open)
{
	const struct model *m = b->model;

	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		const struct model_route *route = model_route_at(m, i);

		if (!route->enabled || route->acl_groups.n == 0)
			continue;
		for (size_t k = 0; k < route->prefixes.n; k++) {
			const struct prefix *prefix = &route->prefixes.items[k];
			struct rule_seed seed = {
				.name = pool_printf(
					b->pool, "acl-groups-of:%s", route->object.name),
				.priority = open_priority(prefix),
				.src_set = set->id,
			};

			if (prefix->length > open->length && prefix_covers(open, prefix))
				emit_rules(b, &seed, prefix);
		}
	}
}

static void emit_open_routes(struct builder *b)
{
	for (size_t i = 0; i < b->c->n_sets; i++) {
		const struct compile_set *set = b->c->sets[i];

		for (size_t k = 0; k < set->n_routes; k++) {
			const struct model_route *route = set->routes[k].route;
			struct rule_seed seed = {
				.priority = open_priority(&set->routes[k].prefix),
				.src_set = set->id,
				.allow = true,
			};

			if (route == NULL || route->acl_groups.n > 0)
				continue;
			seed.name = pool_printf(b->pool, "open-route:%s", route->object.name);
			emit_rules(b, &seed, &set->routes[k].prefix);
			emit_exceptions(b, set, &set->routes[k].prefix);
		}
	}
}

void compile_policies(struct builder *b)
{
	emit_host_defaults(b);
	for (size_t i = 0; i < b->model->tables[MODEL_POLICY].n; i++) {
		if (model_policy_at(b->model, i)->enabled)
			emit_policy(b, model_policy_at(b->model, i));
	}
	if (b->model->routes_without_acl_groups_allow)
		emit_open_routes(b);
}

/* True if the kernel has this address too: then the port space is divided. */
static bool is_own_address(const struct model *m, const struct addr *addr)
{
	for (size_t i = 0; i < m->wireguard.addresses.n; i++) {
		if (addr_equal(&m->wireguard.addresses.items[i].addr, addr))
			return true;
	}
	for (size_t i = 0; i < m->tables[MODEL_PORT].n; i++) {
		const struct model_port *port = model_port_at(m, i);

		for (size_t k = 0; k < port->addresses.n; k++) {
			if (addr_equal(&port->addresses.items[k].addr, addr))
				return true;
		}
	}
	return false;
}

/* Two pools may hold one address: it is one object, by its id. */
static uint16_t emit_egress_address(struct builder *b, const struct addr *addr)
{
	struct api_egress_addr_set *set = compile_emit(b, API_EGRESS_ADDR_SET);
	bool own = is_own_address(b->model, addr);
	char text[ADDR_TEXT_MAX];

	set->addr = *addr;
	set->egress = (uint16_t)compile_id(b, STORE_EGRESS_ADDR, addr_format(addr, text));
	set->port_first = own ? COMPILE_SHARED_PORT_FIRST : COMPILE_PORT_FIRST;
	set->port_last = own ? COMPILE_SHARED_PORT_LAST : COMPILE_PORT_LAST;
	return set->egress;
}

static uint16_t emit_pool(struct builder *b, const struct model_pool *pool)
{
	struct api_egress_pool_set *set = compile_emit(b, API_EGRESS_POOL_SET);
	uint32_t *ids = pool_alloc(b->pool, (pool->addresses.n + 1) * sizeof(*ids));

	set->pool = (uint16_t)compile_id(
		b, STORE_EGRESS_POOL, pool_printf(b->pool, "pool:%s", pool->object.name));
	for (size_t i = 0; i < pool->addresses.n && i < API_EGRESS_POOL_ADDRS; i++) {
		ids[i] = emit_egress_address(b, &pool->addresses.items[i]);
		set->egress[set->count++] = (uint16_t)ids[i];
	}
	b->c->pool_address_ids[pool->object.index] = ids;
	return set->pool;
}

static uint16_t emit_own_pool(
	struct builder *b, const char *name, const struct model_ifaddrs *addresses)
{
	struct api_egress_pool_set *set = compile_emit(b, API_EGRESS_POOL_SET);

	set->pool = (uint16_t)compile_id(b, STORE_EGRESS_POOL, name);
	for (size_t i = 0; i < addresses->n && i < API_EGRESS_POOL_ADDRS; i++)
		set->egress[set->count++] = emit_egress_address(b, &addresses->items[i].addr);
	return set->pool;
}

static void emit_egress_rule(struct builder *b, const char *name, uint32_t prio, uint32_t src_set,
	uint16_t pool, const struct prefix *dst, uint16_t flags)
{
	struct api_egress_rule_set *rule = compile_emit(b, API_EGRESS_RULE_SET);
	char text[PREFIX_TEXT_MAX] = "any";

	if (dst != NULL) {
		rule->dst = *dst;
		prefix_format(dst, text);
	}
	rule->rule = compile_id(
		b, STORE_EGRESS_RULE, pool_printf(b->pool, "%s/%u/%s", name, src_set, text));
	rule->priority = prio;
	rule->src_set = src_set;
	rule->pool = pool;
	rule->flags = flags;
}

/* Masquerade behind the address of the interface towards the route's next hop. */
static void emit_route_egress(struct builder *b, const struct model_route *route)
{
	const struct model_ifaddrs *addresses = &b->model->wireguard.addresses;
	const char *name = "own:overlay";
	uint16_t pool;

	if (route->via_port.n > 0) {
		const struct model_port *port = model_port_at(b->model, route->via_port.index[0]);

		addresses = &port->addresses;
		name = pool_printf(b->pool, "own:%s", port->object.name);
	}
	pool = emit_own_pool(b, name, addresses);
	for (size_t i = 0; i < route->prefixes.n; i++)
		emit_egress_rule(b, pool_printf(b->pool, "route:%s", route->object.name),
			priority(BAND_EGRESS_ROUTE, 0), 0, pool, &route->prefixes.items[i], 0);
}

static bool in_masqueraded_route(const struct model *m, const struct prefix *dst)
{
	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		const struct model_route *route = model_route_at(m, i);

		for (size_t k = 0; route->enabled && route->masquerade && k < route->prefixes.n;
			k++) {
			if (prefix_covers(&route->prefixes.items[k], dst))
				return true;
		}
	}
	return false;
}

static uint16_t rule_flags(const struct model_egress_rule *rule)
{
	static const uint16_t filters[] = {
		[MODEL_FILTER_ADDRESS_PORT] = 0,
		[MODEL_FILTER_ADDRESS] = API_EGRESS_BY_ADDR,
		[MODEL_FILTER_NONE] = API_EGRESS_OPEN,
	};

	return (uint16_t)(filters[rule->filtering] |
			  (rule->mapping == MODEL_MAPPING_DEPENDENT ? API_EGRESS_SHARED : 0) |
			  (rule->any_parity ? API_EGRESS_ANY_PARITY : 0));
}

static void emit_user_rule(
	struct builder *b, size_t i, const struct compile_set *set, const uint16_t *pools)
{
	const struct model_egress_rule *rule = &b->model->egress.rules.items[i];
	uint16_t pool = rule->use.n == 0 ? 0 : pools[rule->use.index[0]];
	const char *name = pool_printf(b->pool, "rule:%zu", i);
	uint16_t flags = rule_flags(rule);

	if (rule->to.n == 0)
		emit_egress_rule(
			b, name, priority(BAND_EGRESS_RULE, i), set->id, pool, NULL, flags);
	for (size_t k = 0; k < rule->to.n; k++) {
		enum priority_band band = in_masqueraded_route(b->model, &rule->to.items[k])
						  ? BAND_EGRESS_IN_ROUTE
						  : BAND_EGRESS_RULE;

		emit_egress_rule(
			b, name, priority(band, i), set->id, pool, &rule->to.items[k], flags);
	}
}

void compile_timeouts(struct builder *b)
{
	struct api_flow_timeouts_set *set;

	if (!b->model->timeouts.given)
		return; /* the data plane has the same defaults */
	set = compile_emit(b, API_FLOW_TIMEOUTS_SET);
	set->id = 1;
	memcpy(set->seconds, b->model->timeouts.seconds, sizeof(set->seconds));
}

void compile_limits(struct builder *b)
{
	const struct model_limits *limits = &b->model->limits;
	struct api_flow_limits_set *set;

	if (!limits->given)
		return; /* the data plane has the same defaults */
	set = compile_emit(b, API_FLOW_LIMITS_SET);
	set->id = 1;
	set->flows = limits->flows;
	set->half_open = limits->half_open;
	set->new_per_s = limits->new_per_s;
	set->icmp_per_s = limits->icmp_per_s;
	set->rest_s = limits->rest_s;
	set->resting = limits->resting;
}

bool compile_egress_applies(
	const struct model *m, const struct compile_set *set, const struct model_egress_rule *rule)
{
	bool leaves = rule->exit_nodes.n == 0;

	for (size_t i = 0; set->exit_node != NULL && i < rule->exit_nodes.n; i++)
		leaves = leaves || rule->exit_nodes.index[i] == set->exit_node->object.index;
	return leaves && compile_set_matches(m, set, &rule->from);
}

const struct model_pool *compile_egress_pool(const struct model *m, const struct compile_set *set)
{
	const struct model_refs *use = &m->egress.default_pool;

	for (size_t i = m->egress.rules.n; i > 0; i--) {
		const struct model_egress_rule *rule = &m->egress.rules.items[i - 1];

		if (rule->to.n == 0 && compile_egress_applies(m, set, rule))
			use = &rule->use; /* the first one in the file is found last */
	}
	return use->n == 0 ? NULL : model_pool_at(m, use->index[0]);
}

void compile_egress(struct builder *b)
{
	const struct model *m = b->model;
	size_t n_pools = m->tables[MODEL_POOL].n;
	uint16_t *pools = pool_alloc(b->pool, (n_pools + 1) * sizeof(*pools));

	b->c->pool_address_ids =
		pool_alloc(b->pool, (n_pools + 1) * sizeof(*b->c->pool_address_ids));
	for (size_t i = 0; i < n_pools; i++)
		pools[i] = emit_pool(b, model_pool_at(m, i));
	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		const struct model_route *route = model_route_at(m, i);

		if (route->enabled && route->masquerade && route->distribute_to.n > 0)
			emit_route_egress(b, route);
	}
	for (size_t i = 0; i < m->egress.rules.n; i++) {
		for (size_t k = 0; k < b->c->n_sets; k++) {
			if (compile_egress_applies(m, b->c->sets[k], &m->egress.rules.items[i]))
				emit_user_rule(b, i, b->c->sets[k], pools);
		}
	}
	if (m->egress.default_pool.n > 0)
		emit_egress_rule(b, "default", priority(BAND_EGRESS_DEFAULT, 0), 0,
			pools[m->egress.default_pool.index[0]], NULL, 0);
}

_Static_assert((int)MODEL_ICMP_ERRORS_DEFAULT == (int)API_LIMIT_ICMP_DEFAULT &&
		       (int)MODEL_PORT_REST_S == (int)API_LIMIT_REST_DEFAULT,
	"the data plane's");
_Static_assert((int)MODEL_TIMEOUTS == (int)API_FLOW_TIMEOUTS, "one for each of the data plane's");
