/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who leaves by which address: pools, and rules in their order. First those about a masqueraded
 * route's own range, then the route's interface address, then the other rules, then the default.
 */
#include "control/compile/compile_priv.h"

enum band {
	BAND_IN_ROUTE = 1,
	BAND_ROUTE = 2,
	BAND_RULE = 3,
	BAND_DEFAULT = 4,
};

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
			compile_priority(BAND_ROUTE, 0), 0, pool, &route->prefixes.items[i], 0);
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
			b, name, compile_priority(BAND_RULE, i), set->id, pool, NULL, flags);
	for (size_t k = 0; k < rule->to.n; k++) {
		enum band band = in_masqueraded_route(b->model, &rule->to.items[k]) ? BAND_IN_ROUTE
										    : BAND_RULE;

		emit_egress_rule(b, name, compile_priority(band, i), set->id, pool,
			&rule->to.items[k], flags);
	}
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
		emit_egress_rule(b, "default", compile_priority(BAND_DEFAULT, 0), 0,
			pools[m->egress.default_pool.index[0]], NULL, 0);
}
