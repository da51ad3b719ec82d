/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The routing peers of each route, one by one: those that it names, then the members of the groups
 * that it names, by name. All else asks only for via_peers. Who cannot forward (a phone) carries
 * nothing, and neither does who is disabled; they are kept aside, so that they can be named.
 */
#include "control/model/model_priv.h"

#include <stdlib.h>
#include <string.h>

struct expanding {
	struct model *model;
	const struct model_reporter *reporter;
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
static void add_group(struct expanding *e, size_t number, const char *path)
{
	const struct model *m = e->model;
	struct model_refs group = {.kind = MODEL_GROUP, .n = 1};
	const struct model_peer **members;
	size_t n = 0;

	group.index = &e->route->via_groups.index[number];
	members = pool_alloc(m->pool, (m->tables[MODEL_PEER].n + 1) * sizeof(*members));
	for (size_t i = 0; i < m->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(m, i);

		if (model_peer_in_groups(peer, &group))
			members[n++] = peer;
	}
	if (n > 1)
		qsort(members, n, sizeof(*members), compare_names);
	path = pool_printf(m->pool, "%s.groups[%zu]", path, number);
	for (size_t i = 0; i < n; i++) {
		if (members[i]->enabled)
			add(e, members[i]->object.index, path);
		else
			skip(e, members[i]->object.index, path);
	}
}

static void expand(struct model *model, const struct model_reporter *reporter, size_t number)
{
	struct model_route *route = (struct model_route *)model->tables[MODEL_ROUTE].items[number];
	const char *path = pool_printf(model->pool, "routes.%s.via", route->object.name);
	struct expanding e = {model, reporter, route, {.kind = MODEL_PEER}};

	if (route->via_port.n > 0)
		return;
	for (size_t i = 0; i < route->via_peers.n; i++)
		add(&e, route->via_peers.index[i],
			pool_printf(model->pool, "%s.peers[%zu]", path, i));
	for (size_t i = 0; i < route->via_groups.n; i++)
		add_group(&e, i, path);
	if (e.peers.n == 0 && route->enabled)
		reporter->report(reporter->context, DIAG_NO_EFFECT, path,
			pool_printf(model->pool, "route '%s' has no routing peer that can forward",
				route->object.name),
			NULL, NULL);
	route->via_peers = e.peers;
}

void model_expand_routers(struct model *model, const struct model_reporter *reporter)
{
	for (size_t i = 0; i < model->tables[MODEL_ROUTE].n; i++)
		expand(model, reporter, i);
}
