/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers that are in no file: from one configuration to the next, and over restarts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "control/program/program_priv.h"

LOG_TYPE(added);

static void add(struct model *next, const struct model_peer *peer)
{
	const char *owner;
	int rc = model_extend_peer(next, peer, &owner);

	if (rc < 0)
		log_warn(added, "peer %s is left out: %s (%s)", peer->object.name,
			rc == -EEXIST ? "the file has given its key or address away"
				      : "its address is outside the overlay",
			owner);
}

/* A comma-separated list; false if it is none. */
static bool parse_addresses(struct pool *pool, const char *text, struct model_addrs *addresses)
{
	char *list = pool_strdup(pool, text), *rest = NULL;

	for (char *word = strtok_r(list, ",", &rest); word != NULL;
		word = strtok_r(NULL, ",", &rest)) {
		addresses->items =
			pool_grow(pool, addresses->items, addresses->n, sizeof(*addresses->items));
		if (addr_parse(word, &addresses->items[addresses->n++]) < 0)
			return false;
	}
	return true;
}

static void load(const struct store_peer *stored, void *arg)
{
	struct model *next = arg;
	struct model_peer peer = {
		.object.name = stored->name,
		.persistent_keepalive = stored->persistent_keepalive,
		.preshared_key_file = stored->preshared_key_file,
	};

	if (key_parse(stored->public_key, &peer.public_key) < 0 ||
		!parse_addresses(next->pool, stored->addresses, &peer.addresses) ||
		(stored->endpoint[0] != '\0' &&
			endpoint_parse(stored->endpoint, &peer.endpoint) < 0)) {
		log_warn(added, "peer %s in the store is unreadable: left out", stored->name);
		return;
	}
	add(next, &peer);
}

void added_carry(struct store *store, const struct model *current, struct model *next)
{
	if (current == NULL) {
		if (store_peers_each(store, load, next) < 0)
			log_warn(added, "peers that are in no file cannot be read");
		return;
	}
	for (size_t i = 0; i < current->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(current, i);

		if (peer->origin == MODEL_ORIGIN_API)
			add(next, peer);
	}
}

static const char *addresses_text(struct pool *pool, const struct model_peer *peer)
{
	char *list = pool_alloc(pool, peer->addresses.n * ADDR_TEXT_MAX + 1);
	char text[ADDR_TEXT_MAX], *end = list;

	for (size_t i = 0; i < peer->addresses.n; i++) {
		if (i > 0)
			*end++ = ',';
		end = stpcpy(end, addr_format(&peer->addresses.items[i], text));
	}
	return list;
}

static void to_stored(struct pool *pool, const struct model_peer *peer, struct store_peer *stored)
{
	char key[KEY_TEXT_MAX], endpoint[ENDPOINT_TEXT_MAX] = "";

	if (peer->endpoint.addr.family != ADDR_NONE)
		endpoint_format(&peer->endpoint, endpoint);
	*stored = (struct store_peer){
		.public_key = pool_strdup(pool, key_format(&peer->public_key, key)),
		.name = peer->object.name,
		.addresses = addresses_text(pool, peer),
		.endpoint = pool_strdup(pool, endpoint),
		.preshared_key_file = peer->preshared_key_file,
		.persistent_keepalive = peer->persistent_keepalive,
	};
}

void added_save(struct store *store, const struct model *model)
{
	struct pool *pool = pool_create();
	struct store_peer *peers = NULL;
	size_t n = 0;

	for (size_t i = 0; i < model->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(model, i);

		if (peer->origin != MODEL_ORIGIN_API)
			continue;
		peers = pool_grow(pool, peers, n, sizeof(*peers));
		to_stored(pool, peer, &peers[n++]);
	}
	if (store_peers_set(store, peers, n) < 0)
		log_error(added, "peers that are in no file are not kept over a restart");
	pool_destroy(&pool);
}
