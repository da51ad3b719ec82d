/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The routing peers of each route, one by one: those that it names, then the members of the groups
 * that it names, by name. All else asks only for via_peers. Who cannot forward (a phone) carries
 * nothing, and neither does who is disabled; they are kept aside, so that they can be named.
 */
#include "control/model/model_priv.h"

#include <stdlib.h>
#include <string.h>

/* Who is in a group, by name. */
struct members {
	uint32_t *peers;
	size_t n;
};

struct expanding {
	struct model *model;
	const struct model_reporter *reporter;
	struct members *members; /* by index of the group; NULL: no route names one */
	struct model_route *route;
	struct model_refs peers; /* so far */
};

static bool is_listed(const uint32_t *list, size_t n, uint32_t peer)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i] == peer)
			return true;
	}
	return false;
}

static void skip(struct expanding *e, uint32_t peer, const char *path)
{
	struct model_route *route = e->route;
	const struct model_peer *who = model_peer_at(e->model, peer);
	struct pool *pool = e->model->pool;

	if (is_listed(route->skipped, route->n_skipped, peer))
		return;
	route->skipped = pool_grow(pool, route->skipped, route->n_skipped, sizeof(*route->skipped));
	route->skipped[route->n_skipped++] = peer;
	if (!who->can_route)
		e->reporter->report(e->reporter->context, DIAG_CANNOT_ROUTE, path,
			pool_printf(pool, "peer '%s' is skipped: it has `can_route: false`",
				who->object.name),
			NULL, NULL);
}

static void add(struct expanding *e, uint32_t peer, const char *path)
{
	struct pool *pool = e->model->pool;
	struct model_refs *peers = &e->peers;

	if (is_listed(peers->index, peers->n, peer))
		return;
	if (!model_peer_at(e->model, peer)->can_route) {
		skip(e, peer, path);
		return;
	}
	peers->index = pool_grow(pool, peers->index, peers->n, sizeof(*peers->index));
	peers->names = pool_grow(pool, peers->names, peers->n, sizeof(*peers->names));
	peers->index[peers->n] = peer;
	peers->names[peers->n++] = model_peer_at(e->model, peer)->object.name;
}

static int compare_names(const void *left, const void *right)
{
	const struct model_peer *a = *(const struct model_peer *const *)left;
	const struct model_peer *b = *(const struct model_peer *const *)right;

	return strcmp(a->object.name, b->object.name);
}

/* By name: which of them carries the packets must not depend on the order in the file. */
static struct members *list_members(const struct model *m, struct pool *pool)
{
	const struct model_table *table = &m->tables[MODEL_PEER];
	const struct model_peer **peers = pool_alloc(pool, (table->n + 1) * sizeof(*peers));
	struct members *lists = pool_alloc(pool, (m->tables[MODEL_GROUP].n + 1) * sizeof(*lists));

	for (size_t i = 0; i < table->n; i++)
		peers[i] = model_peer_at(m, i);
	if (table->n > 1)
		qsort(peers, table->n, sizeof(*peers), compare_names);
	for (size_t i = 0; i < table->n; i++) {
		const struct model_refs *groups = &peers[i]->groups;

		for (size_t k = 0; k < groups->n; k++) {
			struct members *list = &lists[groups->index[k]];

			list->peers = pool_grow(pool, list->peers, list->n, sizeof(*list->peers));
			list->peers[list->n++] = peers[i]->object.index;
		}
	}
	return lists;
}

static void add_group(struct expanding *e, size_t number, const char *path)
{
	const struct members *list = &e->members[e->route->via_groups.index[number]];

	path = pool_printf(e->model->pool, "%s.groups[%zu]", path, number);
	for (size_t i = 0; i < list->n; i++) {
		if (model_peer_at(e->model, list->peers[i])->enabled)
			add(e, list->peers[i], path);
		else
			skip(e, list->peers[i], path);
	}
}

static void expand(struct expanding *e, struct model_route *route)
{
	struct pool *pool = e->model->pool;
	const char *path = pool_printf(pool, "routes.%s.via", route->object.name);

	if (route->via_port.n > 0)
		return;
	e->route = route;
	e->peers = (struct model_refs){.kind = MODEL_PEER};
	for (size_t i = 0; i < route->via_peers.n; i++)
		add(e, route->via_peers.index[i], pool_printf(pool, "%s.peers[%zu]", path, i));
	for (size_t i = 0; i < route->via_groups.n; i++)
		add_group(e, i, path);
	if (e->peers.n == 0 && route->enabled)
		e->reporter->report(e->reporter->context, DIAG_NO_EFFECT, path,
			pool_printf(pool, "route '%s' has no routing peer that can forward",
				route->object.name),
			NULL, NULL);
	route->via_peers = e->peers;
}

static bool is_via_groups(const struct model *m)
{
	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		if (model_route_at(m, i)->via_groups.n > 0)
			return true;
	}
	return false;
}

void model_expand_routers(struct model *model, const struct model_reporter *reporter)
{
	struct expanding e = {.model = model, .reporter = reporter};
	struct pool *pool = pool_create(); /* for the time of this work */

	/* Once, not for each route: many routes may lead via the same group. */
	if (is_via_groups(model))
		e.members = list_members(model, pool);
	for (size_t i = 0; i < model->tables[MODEL_ROUTE].n; i++)
		expand(&e, (struct model_route *)model->tables[MODEL_ROUTE].items[i]);
	pool_destroy(&pool);
}
