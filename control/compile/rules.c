/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policies, as ordered rules: first what concerns the gateway itself, with echo from peers as the
 * only thing open by itself, then the policies in their order, then routes without ACL groups
 * where the configuration leaves them open; nothing else is allowed.
 */
#include "control/compile/compile_priv.h"

enum band {
	BAND_HOST = 1,
	BAND_HOST_ECHO = 2,
	BAND_HOST_CLOSED = 3,
	BAND_POLICY = 4,
	BAND_OPEN_ROUTE = 5,
};

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

/* What a policy leads to among peers and routes; asked for each of its sources. */
struct targets {
	const struct model_peer **peers;
	const struct model_route **routes;
	size_t n_peers, n_routes;
};

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

/* In the room that `out` has. */
static void find_targets(const struct model *m, const struct model_target *to, struct targets *out)
{
	out->n_peers = out->n_routes = 0;
	for (size_t i = 0; to->groups.n > 0 && i < m->tables[MODEL_PEER].n; i++) {
		if (model_peer_in_groups(model_peer_at(m, i), &to->groups))
			out->peers[out->n_peers++] = model_peer_at(m, i);
	}
	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		if (is_target(to, model_route_at(m, i)))
			out->routes[out->n_routes++] = model_route_at(m, i);
	}
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
	const struct model_policy *policy, const struct targets *found,
	const struct compile_set *set)
{
	const struct model_target *to = &policy->to;
	const struct model *m = b->model;

	if (to->host) {
		struct rule_seed host = seed;

		host.flags |= API_POLICY_TO_HOST;
		host.priority = compile_priority(BAND_HOST, policy->object.index);
		emit_rules(b, &host, NULL);
	}
	for (size_t i = 0; i < to->peers.n; i++)
		emit_to_peer(b, &seed, model_peer_at(m, to->peers.index[i]));
	for (size_t i = 0; i < found->n_peers; i++)
		emit_to_peer(b, &seed, found->peers[i]);
	for (size_t i = 0; i < found->n_routes; i++)
		emit_to_route(b, &seed, found->routes[i]);
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
	const struct targets *found, const struct compile_set *set)
{
	const struct model_prefixes *prefixes = &policy->from.prefixes;

	seed.src_set = set == NULL ? 0 : set->id;
	if (prefixes->n == 0)
		emit_targets(b, seed, policy, found, set);
	for (size_t i = 0; i < prefixes->n; i++) {
		seed.src = &prefixes->items[i];
		emit_targets(b, seed, policy, found, set);
	}
}

static void emit_policy(struct builder *b, const struct model_policy *policy, struct targets *found)
{
	const struct model_source *from = &policy->from;
	struct rule_seed seed = {
		.name = pool_printf(b->pool, "policy:%s", policy->object.name),
		.priority = compile_priority(BAND_POLICY, policy->object.index),
		.protocol = policy->protocol,
		.allow = policy->allow,
		.ports = policy->ports,
	};

	find_targets(b->model, &policy->to, found);
	if (!from->any && from->groups.n + from->peers.n + from->port.n == 0) {
		emit_source(b, seed, policy, found, NULL);
		return;
	}
	for (size_t i = 0; i < b->c->n_sets; i++) {
		if (compile_set_matches(b->model, b->c->sets[i], from))
			emit_source(b, seed, policy, found, b->c->sets[i]);
	}
}

static void emit_host_defaults(struct builder *b)
{
	struct rule_seed closed = {
		.name = "host-closed",
		.priority = compile_priority(BAND_HOST_CLOSED, 0),
		.flags = API_POLICY_TO_HOST,
	};

	for (size_t i = 0; i < b->c->n_sets; i++) {
		struct rule_seed echo = {
			.name = "host-echo",
			.priority = compile_priority(BAND_HOST_ECHO, 0),
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
	return compile_priority(BAND_OPEN_ROUTE, 128 - (size_t)prefix->length);
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
	const struct model *m = b->model;
	struct pool *pool = pool_create(); /* for the time of this work */
	struct targets found = {
		.peers = pool_alloc(pool, (m->tables[MODEL_PEER].n + 1) * sizeof(*found.peers)),
		.routes = pool_alloc(pool, (m->tables[MODEL_ROUTE].n + 1) * sizeof(*found.routes)),
	};

	emit_host_defaults(b);
	for (size_t i = 0; i < m->tables[MODEL_POLICY].n; i++) {
		if (model_policy_at(m, i)->enabled)
			emit_policy(b, model_policy_at(m, i), &found);
	}
	if (m->routes_without_acl_groups_allow)
		emit_open_routes(b);
	pool_destroy(&pool);
}
