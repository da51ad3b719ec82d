/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Source sets: identities that no rule tells apart share one. Two peers with the same groups are
 * alike, unless a policy or an egress rule names one of them; so there are as many sets as
 * combinations of groups in use, not as many as peers. Peers with the same groups that selected
 * different exit nodes leave by different addresses, so a selection is part of the combination.
 */
#include "control/compile/compile_priv.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct interned {
	struct compile_set *set;
	UT_hash_handle hh;
};

struct interner {
	struct builder *b;
	struct interned *by_key;
	bool *peer_is_named;
	bool *port_is_named;
};

static void mark(bool *named, const struct model_refs *refs)
{
	for (size_t i = 0; i < refs->n; i++)
		named[refs->index[i]] = true;
}

static void mark_named(struct interner *in)
{
	const struct model *m = in->b->model;

	in->peer_is_named = pool_alloc(in->b->pool, m->tables[MODEL_PEER].n + 1);
	in->port_is_named = pool_alloc(in->b->pool, m->tables[MODEL_PORT].n + 1);
	for (size_t i = 0; i < m->egress.rules.n; i++)
		mark(in->peer_is_named, &m->egress.rules.items[i].from.peers);
	for (size_t i = 0; i < m->tables[MODEL_POLICY].n; i++) {
		mark(in->peer_is_named, &model_policy_at(m, i)->from.peers);
		mark(in->port_is_named, &model_policy_at(m, i)->from.port);
	}
	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++)
		mark(in->port_is_named, &model_route_at(m, i)->to_ports);
}

static struct compile_set *intern(struct interner *in, const char *key)
{
	struct compiled *c = in->b->c;
	struct interned *entry;

	HASH_FIND(hh, in->by_key, key, strlen(key), entry);
	if (entry != NULL)
		return entry->set;
	entry = pool_alloc(in->b->pool, sizeof(*entry));
	entry->set = pool_alloc(in->b->pool, sizeof(*entry->set));
	entry->set->key = key;
	entry->set->id = compile_id(in->b, STORE_SET, key);
	HASH_ADD_KEYPTR(hh, in->by_key, key, strlen(key), entry);
	c->sets = pool_grow(in->b->pool, c->sets, c->n_sets, sizeof(*c->sets));
	entry->set->place = c->n_sets;
	c->sets[c->n_sets++] = entry->set;
	return entry->set;
}

static const struct model *sorting_model;

static int compare_groups(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return strcmp(model_group_at(sorting_model, a)->object.name,
		model_group_at(sorting_model, b)->object.name);
}

/* Sorted by name, so that the key does not depend on the order in the file. */
static size_t sort_groups(struct interner *in, const struct model_peer *peer, uint32_t **out)
{
	size_t n = 0;

	*out = pool_alloc(in->b->pool, (peer->groups.n + 1) * sizeof(uint32_t));
	if (peer->groups.n != 0)
		memcpy(*out, peer->groups.index, peer->groups.n * sizeof(uint32_t));
	sorting_model = in->b->model;
	qsort(*out, peer->groups.n, sizeof(uint32_t), compare_groups);
	for (size_t i = 0; i < peer->groups.n; i++) {
		if (n == 0 || (*out)[n - 1] != (*out)[i])
			(*out)[n++] = (*out)[i];
	}
	return n;
}

static const char *set_key(
	struct interner *in, const struct model_peer *peer, const uint32_t *groups, size_t n)
{
	struct pool *pool = in->b->pool;
	const char *key = "groups:";

	if (in->peer_is_named[peer->object.index])
		key = pool_printf(pool, "peer:%s groups:", peer->object.name);
	for (size_t i = 0; i < n; i++)
		key = pool_printf(pool, "%s%s%s", key, i == 0 ? "" : ",",
			model_group_at(in->b->model, groups[i])->object.name);
	if (peer->selected != NULL)
		key = pool_printf(pool, "%s exit-node:%s", key, peer->selected->object.name);
	return key;
}

static void add_peer(struct interner *in, const struct model_peer *peer)
{
	struct compile_set *set;
	uint32_t *groups;
	size_t n = sort_groups(in, peer, &groups);

	set = intern(in, set_key(in, peer, groups, n));
	set->groups = groups;
	set->n_groups = n;
	set->selected = peer->selected;
	if (in->peer_is_named[peer->object.index])
		set->peer = peer;
	set->members++;
	in->b->c->set_of_peer[peer->object.index] = set;
}

void compile_sets(struct builder *b)
{
	const struct model *m = b->model;
	struct interner in = {.b = b};

	mark_named(&in);
	b->c->set_of_peer =
		pool_alloc(b->pool, (m->tables[MODEL_PEER].n + 1) * sizeof(*b->c->set_of_peer));
	for (size_t i = 0; i < m->tables[MODEL_PEER].n; i++) {
		if (model_peer_at(m, i)->enabled)
			add_peer(&in, model_peer_at(m, i));
	}
	for (size_t i = 0; i < m->tables[MODEL_PORT].n; i++) {
		const struct model_port *port = model_port_at(m, i);

		if (in.port_is_named[i])
			intern(&in, pool_printf(b->pool, "port:%s", port->object.name))->port =
				port;
	}
	HASH_CLEAR(hh, in.by_key);
}

bool compile_set_matches(
	const struct model *model, const struct compile_set *set, const struct model_source *from)
{
	if (set->port != NULL)
		return from->port.n > 0 && from->port.index[0] == set->port->object.index;
	if (from->any)
		return true;
	for (size_t i = 0; i < from->groups.n; i++) {
		for (size_t j = 0; j < set->n_groups; j++) {
			if (from->groups.index[i] == set->groups[j])
				return true;
		}
	}
	for (size_t i = 0; set->peer != NULL && i < from->peers.n; i++) {
		if (from->peers.index[i] == set->peer->object.index)
			return true;
	}
	return false;
}
