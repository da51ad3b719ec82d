/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What handshake.h asks of the handshake thread: peers and indexes are looked up, sessions become
 * keypairs, endpoints paths, and messages packets.
 */
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "dataplane/wireguard/thread_priv.h"

static struct wg_peer *peer_of(struct handshake_peer *handshake)
{
	return (struct wg_peer *)((char *)handshake - offsetof(struct wg_peer, thread.handshake));
}

static struct wg_interface *interface_of(void *context)
{
	return context;
}

/* Written here, read by the main thread. */
static void count(uint64_t *counter, size_t bytes)
{
	__atomic_store_n(counter, *counter + bytes, __ATOMIC_RELAXED);
}

static struct endpoint local_of(const struct handshake_source *source)
{
	return (struct endpoint){.addr = source->local, .port = source->local_port};
}

static void op_send(void *context, struct handshake_peer *handshake,
	const struct handshake_message *answered, const void *message, size_t length)
{
	const struct wg_path *path;
	struct endpoint local;

	/* A cookie reply to a stranger is nobody's. */
	if (handshake != NULL)
		count(&peer_of(handshake)->thread.handshake_tx_bytes, length);
	if (answered != NULL) {
		local = local_of(&answered->source);
		path_send(&answered->source.remote, &local, message, length, answered->user);
		return;
	}
	path = atomic_load_explicit(&peer_of(handshake)->path, memory_order_relaxed);
	if (path == NULL)
		return;
	local = (struct endpoint){.port = path->local.port};
	if (path->learned)
		local.addr = path->local.addr;
	peer_of(handshake)->thread.unsent_length = 0;
	if (path_send(&path->remote, &local, message, length, NULL) ||
		length > sizeof(peer_of(handshake)->thread.unsent))
		return;
	/* After a start the kernel still asks for neighbours: not worth five seconds. */
	memcpy(peer_of(handshake)->thread.unsent, message, length);
	peer_of(handshake)->thread.unsent_length = (uint8_t)length;
	peer_of(handshake)->thread.unsent_ms = thread_now_ms();
}

static bool op_has_endpoint(void *context, struct handshake_peer *handshake)
{
	return atomic_load_explicit(&peer_of(handshake)->path, memory_order_relaxed) != NULL;
}

static struct handshake_peer *op_find_peer(void *context, const struct key *public_key)
{
	struct wg_peer *peer;

	HASH_FIND(
		thread.by_key, interface_of(context)->peers, public_key, sizeof(*public_key), peer);
	return peer != NULL ? &peer->thread.handshake : NULL;
}

static struct handshake_peer *op_find_index(void *context, uint32_t local_index)
{
	struct wg_peer *peer = index_table_peer(local_index);

	return peer != NULL && peer->interface == context ? &peer->thread.handshake : NULL;
}

static int op_alloc_index(void *context, struct handshake_peer *handshake, uint32_t *local_index)
{
	struct wg_peer *peer = peer_of(handshake);

	return index_table_take(peer, peer->thread.worker, local_index);
}

static void op_free_index(void *context, uint32_t local_index)
{
	index_table_give(local_index);
}

static void op_session_derived(
	void *context, struct handshake_peer *handshake, const struct noise_keys *keys)
{
	struct wg_peer *peer = peer_of(handshake);

	keypair_install(peer, keys, thread_now_ms());
	peer->thread.event_due = true;
}

static void op_roam(
	void *context, struct handshake_peer *handshake, const struct handshake_message *message)
{
	struct wg_peer *peer = peer_of(handshake);
	const struct wg_path *path = atomic_load_explicit(&peer->path, memory_order_relaxed);
	struct endpoint local = local_of(&message->source);

	count(&peer->thread.handshake_rx_bytes, message->length);
	/* Adopt the worker on which the peer's packets arrive: rekeys are when ownership moves. */
	peer->thread.worker = (uint8_t)thread_worker();
	if (path != NULL && path->adjacency != 0 && path->learned &&
		endpoint_equal(&path->remote, &message->source.remote) &&
		endpoint_equal(&path->local, &local))
		return;
	path_set(peer, &message->source.remote, &local);
	peer->thread.event_due = true;
}

static bool op_under_load(void *context, const struct handshake_message *message)
{
	return thread_under_load();
}

static void op_send_keepalive(void *context, struct handshake_peer *handshake)
{
	keepalive_send(peer_of(handshake));
}

static void op_clear_source(void *context, struct handshake_peer *handshake)
{
	path_forget_source(peer_of(handshake));
}

static void op_drop_staged(void *context, struct handshake_peer *handshake)
{
	struct wg_peer *peer = peer_of(handshake);

	staged_drop(peer);
	path_return(peer);
}

static void op_zero_keys(void *context, struct handshake_peer *handshake)
{
	keypairs_destroy(peer_of(handshake));
}

static void op_wall_clock(void *context, struct timespec *wall)
{
	clock_gettime(CLOCK_REALTIME, wall);
}

static void op_random(void *context, void *bytes, size_t size)
{
	randombytes_buf(bytes, size);
}

const struct handshake_ops thread_ops = {
	.send = op_send,
	.has_endpoint = op_has_endpoint,
	.find_peer = op_find_peer,
	.find_index = op_find_index,
	.alloc_index = op_alloc_index,
	.free_index = op_free_index,
	.session_derived = op_session_derived,
	.roam = op_roam,
	.under_load = op_under_load,
	.send_keepalive = op_send_keepalive,
	.clear_source = op_clear_source,
	.drop_staged = op_drop_staged,
	.zero_keys = op_zero_keys,
	.wall_clock = op_wall_clock,
	.random = op_random,
};
