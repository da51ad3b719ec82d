/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peers of one set are treated alike, so each set's view (its egress addresses, what it receives)
 * is made once, and two views are compared once, however many peers went from the one to the other.
 */
#include <string.h>

#include "control/plan/plan.h"

struct view {
	json_t *egress; /* [{to, addresses}], in the order of rules; NULL = uses none */
	json_t *routes; /* {"10.0.0.0/8 by route office": true} */
	const char *exit_node;
	struct step *steps; /* from it; of the old side only */
	bool made;
};

/* What it means for a peer to go from one view to another. */
struct step {
	struct step *next;
	const struct view *to;
	json_t *gains, *loses; /* names of routes; NULL: the same peers and networks are reached */
	bool other_egress;
};

struct side {
	const struct compiled *c;
	struct view *views; /* by place of the set */
};

static json_t *pool_addresses(const struct compiled *c, const struct model_refs *use)
{
	json_t *list = json_array();
	const struct model_pool *pool;
	char text[ADDR_TEXT_MAX];

	if (use->n == 0)
		return list; /* deny */
	pool = model_pool_at(c->model, use->index[0]);
	for (size_t i = 0; i < pool->addresses.n; i++)
		json_array_append_new(
			list, json_string(addr_format(&pool->addresses.items[i], text)));
	return list;
}

static void add_egress(json_t *view, const struct compiled *c, const struct model_prefixes *to,
	const struct model_refs *use)
{
	json_t *prefixes = json_array();
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; to != NULL && i < to->n; i++)
		json_array_append_new(prefixes, json_string(prefix_format(&to->items[i], text)));
	json_array_append_new(
		view, json_pack("{s:o, s:o}", "to", prefixes, "addresses", pool_addresses(c, use)));
}

/* Rules in their order, up to the one that takes everything. */
static json_t *egress_view(const struct compiled *c, const struct compile_set *set)
{
	const struct model_egress *egress = &c->model->egress;
	json_t *view = json_array();

	for (size_t i = 0; i < egress->rules.n; i++) {
		const struct model_egress_rule *rule = &egress->rules.items[i];

		if (!compile_egress_applies(c->model, set, rule))
			continue;
		add_egress(view, c, &rule->to, &rule->use);
		if (rule->to.n == 0)
			return view;
	}
	add_egress(view, c, NULL, &egress->default_pool);
	return view;
}

static void make_view(struct view *view, const struct compiled *c, const struct compile_set *set)
{
	bool masquerades = set->exit_node != NULL;
	char prefix[PREFIX_TEXT_MAX], text[PREFIX_TEXT_MAX + MODEL_NAME_MAX + 16];

	view->made = true;
	view->routes = json_object();
	view->exit_node = set->exit_node == NULL ? NULL : set->exit_node->object.name;
	for (size_t i = 0; i < set->n_routes; i++) {
		const struct compile_route *route = &set->routes[i];

		if (route->route == NULL)
			continue;
		masquerades = masquerades || route->route->masquerade;
		snprintf(text, sizeof(text), "%s by route %s",
			prefix_format(&route->prefix, prefix), route->route->object.name);
		json_object_set_new(view->routes, text, json_true());
	}
	view->egress = masquerades ? egress_view(c, set) : NULL;
}

static void begin_side(struct side *side, struct pool *pool, const struct compiled *c)
{
	side->c = c;
	side->views = pool_alloc(pool, (c->n_sets + 1) * sizeof(*side->views));
}

static void end_side(struct side *side)
{
	for (size_t i = 0; i < side->c->n_sets; i++) {
		json_decref(side->views[i].egress);
		json_decref(side->views[i].routes);
		for (struct step *step = side->views[i].steps; step != NULL; step = step->next) {
			json_decref(step->gains);
			json_decref(step->loses);
		}
	}
}

/* NULL for a disabled peer. */
static struct view *view_of(struct side *side, const struct model_peer *peer)
{
	const struct compile_set *set = side->c->set_of_peer[peer->object.index];
	struct view *view;

	if (set == NULL)
		return NULL;
	view = &side->views[set->place];
	if (!view->made)
		make_view(view, side->c, set);
	return view;
}

static void add_peer(json_t *part, json_t *peer)
{
	json_t *list = json_object_get(part, "peers"), *count = json_object_get(part, "count");

	json_integer_set(count, json_integer_value(count) + 1);
	if (json_array_size(list) < PLAN_PEERS_MAX)
		json_array_append_new(list, peer);
	else
		json_decref(peer);
}

/* Keys that `from` has and `to` lacks. */
static json_t *keys_without(const json_t *from, const json_t *to)
{
	json_t *list = json_array(), *value;
	const char *key;

	json_object_foreach((json_t *)from, key, value)
	{
		if (json_object_get(to, key) == NULL)
			json_array_append_new(list, json_string(key));
	}
	return list;
}

static json_t *name_or_null(const char *name)
{
	return name == NULL ? json_null() : json_string(name);
}

static bool is_same_name(const char *one, const char *other)
{
	return one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
}

static const struct step *step_between(struct pool *pool, struct view *from, const struct view *to)
{
	struct step *step;

	for (step = from->steps; step != NULL; step = step->next) {
		if (step->to == to)
			return step;
	}
	step = pool_alloc(pool, sizeof(*step));
	step->to = to;
	step->next = from->steps;
	from->steps = step;
	step->other_egress =
		from->egress != NULL && to->egress != NULL && !json_equal(from->egress, to->egress);
	if (!is_same_name(from->exit_node, to->exit_node) ||
		!json_equal(from->routes, to->routes)) {
		step->gains = keys_without(to->routes, from->routes);
		step->loses = keys_without(from->routes, to->routes);
	}
	return step;
}

static void add_step(
	json_t *touched, const char *name, const struct view *from, const struct step *step)
{
	const struct view *to = step->to;

	if (step->other_egress)
		add_peer(json_object_get(touched, "egress"),
			json_pack("{s:s, s:O, s:O}", "name", name, "from", from->egress, "to",
				to->egress));
	if (step->gains != NULL)
		add_peer(json_object_get(touched, "reach"),
			json_pack("{s:s, s:o, s:o, s:O, s:O}", "name", name, "exit_node_from",
				name_or_null(from->exit_node), "exit_node_to",
				name_or_null(to->exit_node), "gains", step->gains, "loses",
				step->loses));
}

static const char *why_tunnel_ends(const struct model_peer *from, const struct model_peer *to)
{
	if (to == NULL)
		return "the peer is removed";
	if (!to->enabled)
		return "the peer is disabled";
	return key_equal(&from->public_key, &to->public_key) ? NULL : "the peer has another key";
}

json_t *plan_touched(const struct compiled *from, const struct compiled *to)
{
	json_t *touched = json_pack("{s:{s:i, s:[]}, s:{s:i, s:[]}, s:{s:i, s:[]}}", "egress",
		"count", 0, "peers", "reach", "count", 0, "peers", "tunnels", "count", 0, "peers");
	struct pool *pool = pool_create();
	struct side old, new;

	begin_side(&old, pool, from);
	begin_side(&new, pool, to);
	for (size_t i = 0; i < from->model->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(from->model, i);
		const struct model_peer *next =
			(const void *)model_find(to->model, MODEL_PEER, peer->object.name);
		const char *why = peer->enabled ? why_tunnel_ends(peer, next) : NULL;
		struct view *before = view_of(&old, peer);
		const struct view *after = next == NULL ? NULL : view_of(&new, next);

		if (why != NULL)
			add_peer(json_object_get(touched, "tunnels"),
				json_pack("{s:s, s:s}", "name", peer->object.name, "why", why));
		if (before != NULL && after != NULL)
			add_step(touched, peer->object.name, before,
				step_between(pool, before, after));
	}
	end_side(&old);
	end_side(&new);
	pool_destroy(&pool);
	return touched;
}
