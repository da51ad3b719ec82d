/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "test/unit/dataplane/wireguard/sim_peer.h"
#include "test/unit/dataplane/wireguard/world.h"

static struct node_peer *peer_of(struct handshake_peer *peer)
{
	return (struct node_peer *)peer;
}

static void on_send(void *context, struct handshake_peer *peer,
	const struct handshake_message *answered, const void *message, size_t length)
{
	struct node *node = context;
	struct node_message *slot = &node->outbox[node->sent % WORLD_OUTBOX];

	assert_true(length <= sizeof(slot->bytes));
	assert_true(peer != NULL || answered != NULL);
	memcpy(slot->bytes, message, length);
	slot->size = length;
	slot->peer = peer == NULL ? NULL : peer_of(peer);
	slot->to_source = answered != NULL;
	node->sent++;
}

static bool has_endpoint(void *context, struct handshake_peer *peer)
{
	return !peer_of(peer)->endpoint_unknown;
}

static struct handshake_peer *find_peer(void *context, const struct key *public_key)
{
	struct node *node = context;

	for (int i = 0; i < WORLD_PEERS; i++)
		if (node->peers[i].used &&
			key_equal(public_key, &node->peers[i].hs.noise.public_key))
			return &node->peers[i].hs;
	return NULL;
}

static struct handshake_peer *find_index(void *context, uint32_t local_index)
{
	struct node *node = context;

	for (int i = 0; i < WORLD_INDEXES; i++)
		if (node->indexes[i].peer != NULL && node->indexes[i].index == local_index)
			return &node->indexes[i].peer->hs;
	return NULL;
}

static void fill_random(void *context, void *bytes, size_t size)
{
	struct node *node = context;
	uint8_t *to = bytes;

	for (size_t i = 0; i < size; i++) {
		node->random_state =
			node->random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
		to[i] = (uint8_t)(node->random_state >> 56);
	}
}

static int alloc_index(void *context, struct handshake_peer *peer, uint32_t *local_index)
{
	struct node *node = context;

	if (node->index_fails)
		return -ENOSPC;
	for (int i = 0; i < WORLD_INDEXES; i++) {
		if (node->indexes[i].peer != NULL)
			continue;
		fill_random(node, local_index, sizeof(*local_index));
		node->indexes[i].index = *local_index;
		node->indexes[i].peer = peer_of(peer);
		node->indexes_used++;
		return 0;
	}
	return -ENOSPC;
}

static void free_index(void *context, uint32_t local_index)
{
	struct node *node = context;

	for (int i = 0; i < WORLD_INDEXES; i++) {
		if (node->indexes[i].peer == NULL || node->indexes[i].index != local_index)
			continue;
		node->indexes[i].peer = NULL;
		node->indexes_used--;
		return;
	}
	fail_msg("index freed twice");
}

static void drop_keypair(struct node *node, struct node_keypair *keypair)
{
	if (keypair->valid)
		free_index(node, keypair->keys.local_index);
	memset(keypair, 0, sizeof(*keypair));
}

/* The kernel's rotation. */
static void session_derived(void *context, struct handshake_peer *hs, const struct noise_keys *keys)
{
	struct node *node = context;
	struct node_peer *peer = peer_of(hs);
	struct node_keypair fresh = {true, *keys, node->now_ms};

	peer->sessions++;
	if (!keys->initiator) {
		drop_keypair(node, &peer->next);
		drop_keypair(node, &peer->previous);
		peer->next = fresh;
		return;
	}
	drop_keypair(node, &peer->previous);
	if (peer->next.valid) {
		drop_keypair(node, &peer->current);
		peer->previous = peer->next;
		memset(&peer->next, 0, sizeof(peer->next));
	} else {
		peer->previous = peer->current;
	}
	peer->current = fresh;
	node->keepalive_now = true;
}

static void on_roam(
	void *context, struct handshake_peer *peer, const struct handshake_message *message)
{
	peer_of(peer)->roamed = message->source;
	peer_of(peer)->roams++;
	peer_of(peer)->endpoint_unknown = false;
}

static bool is_under_load(void *context, const struct handshake_message *message)
{
	return ((struct node *)context)->under_load;
}

static void send_keepalive(void *context, struct handshake_peer *peer)
{
	peer_of(peer)->keepalives++;
}

static void clear_source(void *context, struct handshake_peer *peer)
{
	peer_of(peer)->clears++;
}

static void drop_staged(void *context, struct handshake_peer *peer)
{
	peer_of(peer)->drops++;
}

void node_drop_sessions(struct node *node, struct node_peer *peer)
{
	drop_keypair(node, &peer->current);
	drop_keypair(node, &peer->next);
	drop_keypair(node, &peer->previous);
}

static void zero_keys(void *context, struct handshake_peer *peer)
{
	node_drop_sessions(context, peer_of(peer));
	peer_of(peer)->zeroings++;
}

static void wall_clock(void *context, struct timespec *wall)
{
	*wall = ((struct node *)context)->wall;
}

void node_init(struct node *node, uint8_t seed)
{
	static const struct handshake_ops ops = {
		.send = on_send,
		.has_endpoint = has_endpoint,
		.find_peer = find_peer,
		.find_index = find_index,
		.alloc_index = alloc_index,
		.free_index = free_index,
		.session_derived = session_derived,
		.roam = on_roam,
		.under_load = is_under_load,
		.send_keepalive = send_keepalive,
		.clear_source = clear_source,
		.drop_staged = drop_staged,
		.zero_keys = zero_keys,
		.wall_clock = wall_clock,
		.random = fill_random,
	};
	int error;

	memset(node, 0, sizeof(*node));
	node->random_state = seed;
	node->now_ms = WORLD_T0_MS;
	node->wall.tv_sec = 1700000000;
	memset(node->private_key.bytes, seed, KEY_SIZE);
	node->handshake = handshake_create(&ops, node, &error);
	assert_non_null(node->handshake);
	assert_int_equal(error, 0);
	assert_int_equal(handshake_set_private_key(node->handshake, &node->private_key), 0);
	node->public_key = *handshake_public_key(node->handshake);
}

/* Every index must have been given back: to the table by us, or with the sessions. */
void node_fini(struct node *node)
{
	for (int i = 0; i < WORLD_PEERS; i++) {
		struct node_peer *peer = &node->peers[i];

		if (!peer->used)
			continue;
		handshake_peer_clear(node->handshake, &peer->hs);
		node_drop_sessions(node, peer);
	}
	assert_int_equal(node->indexes_used, 0);
	handshake_destroy(&node->handshake);
	assert_null(node->handshake);
}

struct node_peer *node_add_peer(
	struct node *node, const uint8_t public_key[KEY_SIZE], const struct key *preshared_key)
{
	struct key key;

	memcpy(key.bytes, public_key, KEY_SIZE);
	for (int i = 0; i < WORLD_PEERS; i++) {
		struct node_peer *peer = &node->peers[i];

		if (peer->used)
			continue;
		peer->used = true;
		assert_int_equal(handshake_peer_init(node->handshake, &peer->hs, &key,
					 preshared_key, &peer->activity),
			0);
		return peer;
	}
	fail_msg("too many peers");
	return NULL;
}

const uint8_t *node_sent(const struct node *node, unsigned n, size_t size)
{
	assert_true(n < node->sent && node->sent - n <= WORLD_OUTBOX);
	assert_int_equal(node->outbox[n % WORLD_OUTBOX].size, size);
	return node->outbox[n % WORLD_OUTBOX].bytes;
}

struct handshake_source source_of(uint8_t host, uint16_t port)
{
	struct handshake_source source = {0};

	source.remote.addr.family = ADDR_V4;
	memcpy(source.remote.addr.bytes, (uint8_t[]){192, 0, 2, host}, 4);
	source.remote.port = port;
	source.local.family = ADDR_V4;
	memcpy(source.local.bytes, (uint8_t[]){198, 51, 100, 1}, 4);
	return source;
}

enum handshake_result node_deliver(const struct node *from, struct node *to, uint64_t now_ms)
{
	const struct node_message *message = &from->outbox[(from->sent - 1) % WORLD_OUTBOX];
	struct handshake_source source = source_of(1, 51820);

	assert_true(from->sent > 0);
	to->now_ms = now_ms;
	return handshake_receive(to->handshake, message->bytes, message->size, &source, now_ms);
}

static bool opens(const struct node_keypair *keypair, const struct noise_keys *sealed)
{
	return keypair->valid && keypair->keys.local_index == sealed->remote_index &&
	       key_equal(&keypair->keys.receive, &sealed->send);
}

bool node_open(struct node_peer *peer, const struct noise_keys *sealed)
{
	if (opens(&peer->next, sealed)) {
		/* previous was dropped when next came, so nothing is lost here. */
		assert_false(peer->previous.valid);
		peer->previous = peer->current;
		peer->current = peer->next;
		memset(&peer->next, 0, sizeof(peer->next));
		timers_request(&peer->activity, TIMERS_CONFIRMED);
		return true;
	}
	return opens(&peer->current, sealed) || opens(&peer->previous, sealed);
}
