/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who can take over from whom: routes of one network and range are one set (features.md R6), and so
 * are the peers of one route.
 */
#include "control/compile/compile_priv.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* A peer that carries a range of a network. */
struct member {
	struct prefix prefix;
	const char *network;
	uint32_t peer;
};

static int compare_members(const void *left, const void *right)
{
	const struct member *a = left, *b = right;
	int order = prefix_compare(&a->prefix, &b->prefix);

	return order != 0 ? order : strcmp(a->network, b->network);
}

static struct member *collect(struct builder *b, size_t *n)
{
	const struct model *m = b->model;
	struct member *members = NULL;

	*n = 0;
	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		const struct model_route *route = model_route_at(m, i);

		for (size_t k = 0; route->enabled && k < route->prefixes.n * route->via_peers.n;
			k++) {
			uint32_t peer = route->via_peers.index[k % route->via_peers.n];

			if (!model_peer_at(m, peer)->enabled)
				continue;
			members = pool_grow(b->pool, members, *n, sizeof(*members));
			members[(*n)++] = (struct member){
				.prefix = route->prefixes.items[k / route->via_peers.n],
				.network = route->network,
				.peer = peer,
			};
		}
	}
	return members;
}

static void note(struct compiled *c, uint32_t peer)
{
	c->n_understudies += !c->understudies[peer];
	c->understudies[peer] = true;
}

static void find_understudies(struct builder *b)
{
	struct member *members;
	size_t n, first = 0;

	members = collect(b, &n);
	if (n > 0)
		qsort(members, n, sizeof(*members), compare_members);
	for (size_t i = 1; i < n; i++) {
		if (compare_members(&members[first], &members[i]) != 0) {
			first = i;
		} else if (members[i].peer != members[first].peer) {
			note(b->c, members[i].peer);
			note(b->c, members[first].peer);
		}
	}
}

struct key_place {
	UT_hash_handle hh;
};

static void mark_down(struct builder *b)
{
	const struct compile_input *input = b->input;
	struct key_place *places = pool_alloc(b->pool, (input->n_down + 1) * sizeof(*places));
	struct key_place *all = NULL, *found;

	for (size_t i = 0; i < input->n_down; i++)
		HASH_ADD_KEYPTR(hh, all, input->down[i].bytes, KEY_SIZE, &places[i]);
	for (size_t i = 0; all != NULL && i < b->model->tables[MODEL_PEER].n; i++) {
		if (!b->c->understudies[i])
			continue; /* there would be nobody else */
		HASH_FIND(hh, all, model_peer_at(b->model, i)->public_key.bytes, KEY_SIZE, found);
		b->c->peer_down[i] = found != NULL;
	}
	HASH_CLEAR(hh, all);
}

void compile_members(struct builder *b)
{
	size_t n = b->model->tables[MODEL_PEER].n;

	b->c->understudies = pool_alloc(b->pool, n + 1);
	b->c->peer_down = pool_alloc(b->pool, n + 1);
	find_understudies(b);
	mark_down(b);
}
