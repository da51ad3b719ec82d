/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Models with peers that are in no file. The file's model has been checked and stays as it is;
 * its objects are copied one level deep, because each model has its own tables.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/model/model_priv.h"

/* Who has a key or an address; one table, since their sizes differ. */
struct model_claim {
	const char *owner;
	uint8_t bytes[KEY_SIZE];
	UT_hash_handle hh;
};

_Static_assert(sizeof(struct addr) != KEY_SIZE, "a key and an address cannot be mixed up");

static const size_t sizes[MODEL_KINDS] = {
	[MODEL_PORT] = sizeof(struct model_port),
	[MODEL_GROUP] = sizeof(struct model_group),
	[MODEL_PEER] = sizeof(struct model_peer),
	[MODEL_ROUTE] = sizeof(struct model_route),
	[MODEL_EXIT_NODE] = sizeof(struct model_exit_node),
	[MODEL_POOL] = sizeof(struct model_pool),
	[MODEL_POLICY] = sizeof(struct model_policy),
	[MODEL_FORWARD] = sizeof(struct model_forward),
};

void model_claims_clear(struct model *model)
{
	HASH_CLEAR(hh, model->claims);
}

static const char *owner_of(const struct model *model, const void *bytes, size_t size)
{
	struct model_claim *claim;

	HASH_FIND(hh, model->claims, bytes, size, claim);
	return claim != NULL ? claim->owner : NULL;
}

static void claim(struct model *model, const void *bytes, size_t size, const char *owner)
{
	struct model_claim *claim;

	if (owner_of(model, bytes, size) != NULL)
		return;
	claim = pool_alloc(model->pool, sizeof(*claim));
	claim->owner = owner;
	memcpy(claim->bytes, bytes, size);
	HASH_ADD_KEYPTR(hh, model->claims, claim->bytes, size, claim);
}

static void claim_peer(struct model *model, const struct model_peer *peer)
{
	if (peer->has_public_key)
		claim(model, &peer->public_key, KEY_SIZE, peer->object.name);
	for (size_t i = 0; i < peer->addresses.n; i++)
		claim(model, &peer->addresses.items[i], sizeof(struct addr), peer->object.name);
}

static void claim_ifaddrs(
	struct model *model, const struct model_ifaddrs *addresses, const char *owner)
{
	for (size_t i = 0; i < addresses->n; i++)
		claim(model, &addresses->items[i].addr, sizeof(struct addr), owner);
}

struct model *model_extend(struct model *base)
{
	struct pool *pool = pool_create();
	struct model *model = pool_alloc(pool, sizeof(*model));

	if (base->base != NULL)
		base = base->base;
	base->refs++;
	*model = *base;
	model->pool = pool;
	model->refs = 1;
	model->base = base;
	memset(model->tables, 0, sizeof(model->tables));
	for (size_t kind = 0; kind < MODEL_KINDS; kind++) {
		for (size_t i = 0; i < base->tables[kind].n; i++) {
			struct model_object *object = pool_alloc(pool, sizes[kind]);

			memcpy(object, base->tables[kind].items[i], sizes[kind]);
			memset(&object->hh, 0, sizeof(object->hh));
			/* The base has no name twice. */
			if (model_add(model, (enum model_kind)kind, object) < 0)
				continue;
		}
	}
	claim_ifaddrs(model, &model->wireguard.addresses, "the gateway");
	for (size_t i = 0; i < model->tables[MODEL_PORT].n; i++)
		claim_ifaddrs(model, &model_port_at(model, i)->addresses,
			model_port_at(model, i)->object.name);
	for (size_t i = 0; i < model->tables[MODEL_PEER].n; i++)
		claim_peer(model, model_peer_at(model, i));
	return model;
}

static struct model_peer *copy_peer(struct pool *pool, const struct model_peer *peer)
{
	struct model_peer *copy = pool_alloc(pool, sizeof(*copy));
	size_t bytes = peer->addresses.n * sizeof(struct addr);

	copy->origin = MODEL_ORIGIN_API;
	copy->enabled = true;
	copy->can_route = true;
	copy->has_public_key = true;
	copy->object.name = pool_strdup(pool, peer->object.name);
	copy->public_key = peer->public_key;
	copy->endpoint = peer->endpoint;
	copy->persistent_keepalive = peer->persistent_keepalive;
	copy->groups.kind = MODEL_GROUP;
	if (peer->preshared_key_file != NULL)
		copy->preshared_key_file = pool_strdup(pool, peer->preshared_key_file);
	if (bytes > 0) {
		copy->addresses.items = pool_alloc(pool, bytes);
		memcpy(copy->addresses.items, peer->addresses.items, bytes);
		copy->addresses.n = peer->addresses.n;
	}
	return copy;
}

int model_extend_peer(struct model *model, const struct model_peer *peer, const char **owner)
{
	const char *taken = owner_of(model, &peer->public_key, KEY_SIZE);
	struct model_peer *copy;
	int rc = taken != NULL ? -EEXIST : 0;

	for (size_t i = 0; rc == 0 && i < peer->addresses.n; i++) {
		const struct addr *addr = &peer->addresses.items[i];

		taken = owner_of(model, addr, sizeof(*addr));
		if (taken != NULL) {
			rc = -EEXIST;
		} else if (!model_in_overlay(model, addr)) {
			char text[ADDR_TEXT_MAX];

			taken = pool_strdup(model->pool, addr_format(addr, text));
			rc = -EADDRNOTAVAIL;
		}
	}
	if (rc == 0) {
		copy = copy_peer(model->pool, peer);
		taken = copy->object.name;
		rc = model_add(model, MODEL_PEER, &copy->object);
		if (rc == 0)
			claim_peer(model, copy);
	}
	if (owner != NULL)
		*owner = taken;
	return rc;
}

void model_extend_select(
	struct model *model, uint32_t peer, const struct model_exit_node *exit_node)
{
	((struct model_peer *)model->tables[MODEL_PEER].items[peer])->selected = exit_node;
}
