/* SPDX-License-Identifier: BSD-3-Clause */
/* What the gateway has: from the configuration in force, the last events, and the counters. */
#include <stdlib.h>

#include "common/api/counters.h"
#include "common/api/wireguard.h"
#include "control/link/link.h"
#include "control/uapi/uapi_priv.h"

/* That a peer has a prefix; there may be 100,000 of them. */
struct allowed {
	struct allowed_key {
		uint32_t peer;
		struct prefix prefix;
	} key;
	UT_hash_handle hh;
};

_Static_assert(sizeof(struct allowed_key) == 24, "no padding");

static void allow(struct uapi_device *device, struct allowed **table, uint32_t peer,
	const struct prefix *prefix)
{
	const struct allowed_key key = {peer, *prefix};
	struct uapi_peer *p = &device->peers[peer];
	struct allowed *allowed;

	HASH_FIND(hh, *table, &key, sizeof(key), allowed);
	if (allowed != NULL)
		return;
	allowed = pool_alloc(device->pool, sizeof(*allowed));
	allowed->key = key;
	HASH_ADD(hh, *table, key, sizeof(key), allowed);
	p->allowed = pool_grow(device->pool, p->allowed, p->n_allowed, sizeof(*p->allowed));
	p->allowed[p->n_allowed++] = *prefix;
}

/* The same as the compilation allows: addresses, also_from, and routes by this peer. */
static void allow_all(struct uapi_device *device, const struct model *m)
{
	struct allowed *table = NULL;

	for (uint32_t i = 0; i < device->n; i++) {
		const struct model_peer *peer = model_peer_at(m, i);

		for (size_t k = 0; k < peer->addresses.n; k++) {
			struct prefix host = prefix_of_addr(&peer->addresses.items[k]);

			allow(device, &table, i, &host);
		}
		for (size_t k = 0; k < peer->also_from.n; k++)
			allow(device, &table, i, &peer->also_from.items[k]);
	}
	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		const struct model_route *route = model_route_at(m, i);

		for (size_t v = 0; route->enabled && v < route->via_peers.n; v++) {
			for (size_t k = 0; k < route->prefixes.n; k++)
				allow(device, &table, route->via_peers.index[v],
					&route->prefixes.items[k]);
		}
	}
	HASH_CLEAR(hh, table);
}

/* Counters are up to a second old, events are not. */
static void add_live(struct uapi_peer *peer, uint32_t id, const struct program *program,
	const struct api_count_peer *rows, uint32_t n)
{
	struct store_marks marks;

	if (id < n) {
		peer->last_handshake_s = rows[id].last_handshake_s;
		peer->rx_bytes = rows[id].wire_rx_bytes;
		peer->tx_bytes = rows[id].wire_tx_bytes;
	}
	if (!program_peer_marks(program, id, &marks))
		return;
	if (marks.last_handshake_s > peer->last_handshake_s)
		peer->last_handshake_s = marks.last_handshake_s;
	if (marks.endpoint.addr.family != ADDR_NONE)
		peer->endpoint = marks.endpoint;
}

static struct api_count_peer *read_rows(const struct program *program, uint32_t *n)
{
	const struct link *link = program_link(program);
	struct api_count_peer *rows;

	*n = link_is_connected(link) ? link_counters_used(link, API_SECTION_PEERS) : 0;
	rows = calloc(*n + 1, sizeof(*rows));
	if (*n > 0 && rows != NULL &&
		link_counters_read(link, API_SECTION_PEERS, 0, *n, rows, sizeof(*rows)) == 0)
		return rows;
	*n = 0;
	return rows;
}

struct uapi_device *uapi_device_create(
	const struct compiled *compiled, const struct program *program)
{
	const struct model *m = compiled->model;
	struct pool *pool = pool_create();
	struct uapi_device *device = pool_alloc(pool, sizeof(*device));
	const struct compile_secret *secret =
		compile_find_secret(compiled, API_WG_INTERFACE_SET, COMPILE_INTERFACE);
	struct api_count_peer *rows = NULL;
	uint32_t n = 0;

	device->pool = pool;
	device->listen_port = m->wireguard.listen_port;
	device->private_key = secret != NULL ? &secret->key : NULL;
	device->n = m->tables[MODEL_PEER].n;
	device->peers = pool_alloc(pool, (device->n + 1) * sizeof(*device->peers));
	if (program != NULL)
		rows = read_rows(program, &n);
	for (size_t i = 0; i < device->n; i++) {
		struct uapi_peer *peer = &device->peers[i];
		uint32_t id = compiled->peer_ids[i];

		peer->model = model_peer_at(m, i);
		peer->endpoint = peer->model->endpoint;
		secret = id != 0 ? compile_find_secret(compiled, API_PEER_SET, id) : NULL;
		peer->preshared_key = secret != NULL ? &secret->key : NULL;
		if (program != NULL && id != 0)
			add_live(peer, id, program, rows, n);
	}
	allow_all(device, m);
	free(rows);
	return device;
}

void uapi_device_destroy(struct uapi_device **device)
{
	struct pool *pool;

	if (*device == NULL)
		return;
	pool = (*device)->pool;
	*device = NULL;
	pool_destroy(&pool);
}
