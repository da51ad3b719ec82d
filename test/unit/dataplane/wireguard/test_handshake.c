/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* Messages through the whole machinery, against the simulated peer and against ourselves. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "test/unit/dataplane/wireguard/low_order.h"
#include "test/unit/dataplane/wireguard/sim_peer.h"
#include "test/unit/dataplane/wireguard/world.h"

struct scene {
	struct node node;
	struct node_peer *peer; /* the simulated one */
	struct sim_peer sim;
	struct handshake_source source;
	uint8_t initiation[SIM_INITIATION], response[SIM_RESPONSE], cookie[SIM_COOKIE];
};

static const struct key preshared = {{5, 5, 5}};

static int setup(void **state)
{
	static struct scene scene;

	memset(&scene, 0, sizeof(scene));
	node_init(&scene.node, 7);
	sim_peer_init(&scene.sim, 1);
	memcpy(scene.sim.remote_key, scene.node.public_key.bytes, KEY_SIZE);
	scene.peer = node_add_peer(&scene.node, scene.sim.public_key, NULL);
	scene.source = source_of(7, 40000);
	*state = &scene;
	return 0;
}

static int teardown(void **state)
{
	node_fini(&((struct scene *)*state)->node);
	return 0;
}

static enum handshake_result receive(
	struct scene *scene, const uint8_t *message, size_t size, uint64_t now_ms)
{
	scene->node.now_ms = WORLD_T0_MS + now_ms;
	return handshake_receive(
		scene->node.handshake, message, size, &scene->source, WORLD_T0_MS + now_ms);
}

/* The simulated peer's next initiation, a second later by its clock. */
static void prepare_initiation(struct scene *scene)
{
	scene->sim.seconds++;
	sim_peer_initiate(&scene->sim, scene->initiation);
}

static enum handshake_result receive_initiation(struct scene *scene, uint64_t now_ms)
{
	return receive(scene, scene->initiation, sizeof(scene->initiation), now_ms);
}

static void assert_session(const struct node_keypair *keypair, const struct sim_peer *sim)
{
	assert_true(keypair->valid && sim->established);
	assert_memory_equal(keypair->keys.send.bytes, sim->receive_key, KEY_SIZE);
	assert_memory_equal(keypair->keys.receive.bytes, sim->send_key, KEY_SIZE);
	assert_int_equal(keypair->keys.local_index, sim->remote_index);
	assert_int_equal(keypair->keys.remote_index, sim->local_index);
}

static void initiate(struct scene *scene, uint64_t now_ms)
{
	assert_int_equal(
		handshake_initiate(scene->node.handshake, &scene->peer->hs, WORLD_T0_MS + now_ms),
		0);
}

static void complete_as_initiator(struct scene *scene, uint64_t now_ms)
{
	unsigned sent = scene->node.sent;

	initiate(scene, now_ms);
	assert_true(sim_peer_answer(
		&scene->sim, node_sent(&scene->node, sent, WG_INITIATION_SIZE), scene->response));
	assert_int_equal(receive(scene, scene->response, sizeof(scene->response), now_ms + 30),
		HANDSHAKE_OK_RESPONSE);
	assert_session(&scene->peer->current, &scene->sim);
}

static void complete_as_responder(struct scene *scene, uint64_t now_ms)
{
	unsigned sent = scene->node.sent;

	prepare_initiation(scene);
	assert_int_equal(receive_initiation(scene, now_ms), HANDSHAKE_OK_INITIATION);
	assert_true(sim_peer_finish(&scene->sim, node_sent(&scene->node, sent, WG_RESPONSE_SIZE)));
	assert_session(&scene->peer->next, &scene->sim);
}

/* --- Handshakes ----------------------------------------------------------------------------- */

static void we_initiate(void **state)
{
	struct scene *scene = *state;

	complete_as_initiator(scene, 0);
	assert_true(scene->node.keepalive_now);
	assert_false(scene->peer->next.valid);
	assert_int_equal(scene->node.sent, 1);
	assert_false(scene->node.outbox[0].to_source);
	assert_ptr_equal(scene->node.outbox[0].peer, scene->peer);
}

static void they_initiate(void **state)
{
	struct scene *scene = *state;

	complete_as_responder(scene, 0);
	/* Not to be sent with before the first packet arrives on it. */
	assert_false(scene->peer->current.valid);
	assert_false(scene->node.keepalive_now);
	assert_true(scene->node.outbox[0].to_source);
	assert_ptr_equal(scene->node.outbox[0].peer, scene->peer);
}

static void preshared_key_takes_effect_with_the_next_handshake(void **state)
{
	struct scene *scene = *state;

	complete_as_responder(scene, 0);
	/* Only we have it. */
	handshake_peer_set_preshared_key(scene->node.handshake, &scene->peer->hs, &preshared);
	initiate(scene, 10000);
	assert_true(sim_peer_answer(
		&scene->sim, node_sent(&scene->node, 1, WG_INITIATION_SIZE), scene->response));
	assert_int_equal(receive(scene, scene->response, sizeof(scene->response), 10030),
		HANDSHAKE_BAD_RESPONSE);
	/* Both have it. */
	memcpy(scene->sim.preshared_key, preshared.bytes, KEY_SIZE);
	complete_as_initiator(scene, 20000);
	complete_as_responder(scene, 30000);
	/* Changed while ours is under way: what was begun with the old one is abandoned. */
	initiate(scene, 40000);
	assert_true(sim_peer_answer(&scene->sim,
		node_sent(&scene->node, scene->node.sent - 1, WG_INITIATION_SIZE),
		scene->response));
	handshake_peer_set_preshared_key(scene->node.handshake, &scene->peer->hs, NULL);
	assert_int_equal(receive(scene, scene->response, sizeof(scene->response), 40030),
		HANDSHAKE_UNKNOWN_INDEX);
	memset(scene->sim.preshared_key, 0, KEY_SIZE);
	complete_as_initiator(scene, 50000);
	/* Said again, as by a controller that starts anew: nothing is abandoned. */
	initiate(scene, 60000);
	handshake_peer_set_preshared_key(scene->node.handshake, &scene->peer->hs, NULL);
	assert_true(sim_peer_answer(&scene->sim,
		node_sent(&scene->node, scene->node.sent - 1, WG_INITIATION_SIZE),
		scene->response));
	assert_int_equal(receive(scene, scene->response, sizeof(scene->response), 60030),
		HANDSHAKE_OK_RESPONSE);
}

static void preshared_key_from_the_start(void **state)
{
	struct scene *scene = *state;
	struct node_peer *peer;
	struct sim_peer sim;

	sim_peer_init(&sim, 9);
	memcpy(sim.remote_key, scene->node.public_key.bytes, KEY_SIZE);
	memcpy(sim.preshared_key, preshared.bytes, KEY_SIZE);
	peer = node_add_peer(&scene->node, sim.public_key, &preshared);
	scene->peer = peer;
	scene->sim = sim;
	complete_as_initiator(scene, 0);
	complete_as_responder(scene, 100);
}

/* A late answer is an answer, as long as nothing newer was sent. */
static void late_response_is_accepted(void **state)
{
	struct scene *scene = *state;

	initiate(scene, 0);
	assert_true(sim_peer_answer(
		&scene->sim, node_sent(&scene->node, 0, WG_INITIATION_SIZE), scene->response));
	assert_int_equal(receive(scene, scene->response, sizeof(scene->response), 4900),
		HANDSHAKE_OK_RESPONSE);
}

static void newer_initiation_replaces_the_pending_one(void **state)
{
	struct scene *scene = *state;
	uint8_t first[SIM_RESPONSE];

	initiate(scene, 0);
	assert_true(sim_peer_answer(
		&scene->sim, node_sent(&scene->node, 0, WG_INITIATION_SIZE), first));
	initiate(scene, 5000);
	assert_int_equal(scene->node.indexes_used, 1);
	assert_true(sim_peer_answer(
		&scene->sim, node_sent(&scene->node, 1, WG_INITIATION_SIZE), scene->response));
	assert_int_equal(receive(scene, first, sizeof(first), 5010), HANDSHAKE_UNKNOWN_INDEX);
	assert_int_equal(receive(scene, scene->response, sizeof(scene->response), 5020),
		HANDSHAKE_OK_RESPONSE);
}

static void response_counts_once(void **state)
{
	struct scene *scene = *state;

	complete_as_initiator(scene, 0);
	/* Its index is the session's now: no handshake answers to it. */
	assert_int_equal(receive(scene, scene->response, sizeof(scene->response), 50),
		HANDSHAKE_UNKNOWN_INDEX);
	assert_int_equal(scene->peer->sessions, 1);
	assert_int_equal(scene->peer->roams, 1);
}

/* Addressed to a session while another handshake is pending. */
static void response_must_name_the_pending_handshake(void **state)
{
	struct scene *scene = *state;

	complete_as_initiator(scene, 0);
	initiate(scene, 10000);
	assert_int_equal(receive(scene, scene->response, sizeof(scene->response), 10010),
		HANDSHAKE_UNKNOWN_INDEX);
	assert_true(scene->peer->hs.pending.pending);
}

/* For the timers, handshake messages are authenticated packets like any other. */
static void handshake_messages_count_as_traffic(void **state)
{
	struct scene *scene = *state;
	struct timers_activity *activity = &scene->peer->activity;

	timers_data_received(activity, WORLD_T0_MS);
	timers_start(&activity->unanswered_since_ms, WORLD_T0_MS);
	complete_as_responder(scene, 100);
	assert_int_equal(activity->unanswered_since_ms, 0);
	assert_int_equal(activity->unacked_since_ms, 0);
	assert_int_equal(activity->last_any_ms, WORLD_T0_MS + 100);
	/* A response is as good as an initiation for the 5 s between two. */
	assert_int_equal(
		handshake_initiate(scene->node.handshake, &scene->peer->hs, WORLD_T0_MS + 5099),
		-EAGAIN);
	timers_data_received(activity, WORLD_T0_MS + 5099);
	timers_start(&activity->unanswered_since_ms, WORLD_T0_MS + 5099);
	complete_as_initiator(scene, 5100);
	assert_int_equal(activity->unanswered_since_ms, 0);
	assert_int_equal(activity->unacked_since_ms, 0);
	assert_int_equal(activity->last_any_ms, WORLD_T0_MS + 5130);
}

static void altered_response_is_refused(void **state)
{
	struct scene *scene = *state;
	uint8_t bad[SIM_RESPONSE];
	struct sim_peer forger = scene->sim;

	initiate(scene, 0);
	assert_true(sim_peer_answer(
		&scene->sim, node_sent(&scene->node, 0, WG_INITIATION_SIZE), scene->response));
	memcpy(bad, scene->response, sizeof(bad));
	bad[50] ^= 1; /* the empty payload's tag */
	assert_int_equal(receive(scene, bad, sizeof(bad), 10), HANDSHAKE_BAD_MAC);
	sim_peer_add_macs(&forger, bad, sizeof(bad));
	assert_int_equal(receive(scene, bad, sizeof(bad), 10), HANDSHAKE_BAD_RESPONSE);
	memcpy(bad, scene->response, sizeof(bad));
	bad[8] ^= 1; /* the receiver index */
	sim_peer_add_macs(&forger, bad, sizeof(bad));
	assert_int_equal(receive(scene, bad, sizeof(bad), 10), HANDSHAKE_UNKNOWN_INDEX);
	/* None of it did any harm. */
	assert_int_equal(scene->peer->roams, 0);
	assert_int_equal(receive(scene, scene->response, sizeof(scene->response), 20),
		HANDSHAKE_OK_RESPONSE);
}

/* --- Initiations that are refused ----------------------------------------------------------- */

static void wrong_mac1_is_refused(void **state)
{
	struct scene *scene = *state;

	prepare_initiation(scene);
	for (size_t at = 4; at < SIM_INITIATION - 16; at++) {
		scene->initiation[at] ^= 1;
		assert_int_equal(receive_initiation(scene, 0), HANDSHAKE_BAD_MAC);
		scene->initiation[at] ^= 1;
	}
	assert_int_equal(scene->node.sent, 0);
	assert_int_equal(receive_initiation(scene, 0), HANDSHAKE_OK_INITIATION);
}

static void bad_static_is_refused(void **state)
{
	struct scene *scene = *state;

	prepare_initiation(scene);
	scene->initiation[45] ^= 1;
	sim_peer_add_macs(&scene->sim, scene->initiation, SIM_INITIATION);
	assert_int_equal(receive_initiation(scene, 0), HANDSHAKE_BAD_INITIATION);
	scene->initiation[45] ^= 1;
	scene->initiation[90] ^= 1; /* the timestamp */
	sim_peer_add_macs(&scene->sim, scene->initiation, SIM_INITIATION);
	assert_int_equal(receive_initiation(scene, 0), HANDSHAKE_BAD_INITIATION);
	scene->initiation[90] ^= 1;
	sim_peer_add_macs(&scene->sim, scene->initiation, SIM_INITIATION);
	assert_int_equal(scene->peer->roams, 0);
	assert_int_equal(receive_initiation(scene, 0), HANDSHAKE_OK_INITIATION);
}

static void stranger_is_refused(void **state)
{
	struct scene *scene = *state;
	struct sim_peer stranger;

	sim_peer_init(&stranger, 99);
	memcpy(stranger.remote_key, scene->node.public_key.bytes, KEY_SIZE);
	sim_peer_initiate(&stranger, scene->initiation);
	assert_int_equal(receive_initiation(scene, 0), HANDSHAKE_UNKNOWN_PEER);
	/* One who claims the peer's public key without its private one. */
	memcpy(stranger.public_key, scene->sim.public_key, KEY_SIZE);
	sim_peer_initiate(&stranger, scene->initiation);
	assert_int_equal(receive_initiation(scene, 0), HANDSHAKE_BAD_INITIATION);
	assert_int_equal(scene->node.sent, 0);
	assert_int_equal(scene->peer->roams, 0);
}

static void timestamps_must_rise(void **state)
{
	struct scene *scene = *state;
	uint8_t old[SIM_INITIATION];

	prepare_initiation(scene);
	memcpy(old, scene->initiation, sizeof(old));
	assert_int_equal(receive_initiation(scene, 0), HANDSHAKE_OK_INITIATION);
	assert_int_equal(receive(scene, old, sizeof(old), 1000), HANDSHAKE_REPLAYED);
	/* A new message with the same timestamp, and with an older one. */
	sim_peer_initiate(&scene->sim, scene->initiation);
	assert_int_equal(receive_initiation(scene, 2000), HANDSHAKE_REPLAYED);
	scene->sim.seconds--;
	scene->sim.nanoseconds = 999999999;
	sim_peer_initiate(&scene->sim, scene->initiation);
	assert_int_equal(receive_initiation(scene, 3000), HANDSHAKE_REPLAYED);
	/* By a single nanosecond. */
	scene->sim.seconds++;
	scene->sim.nanoseconds = 1;
	sim_peer_initiate(&scene->sim, scene->initiation);
	assert_int_equal(receive_initiation(scene, 4000), HANDSHAKE_OK_INITIATION);
	assert_int_equal(receive(scene, old, sizeof(old), 5000), HANDSHAKE_REPLAYED);
	assert_int_equal(scene->node.sent, 2);
	assert_int_equal(scene->peer->roams, 2);
}

/* The mark is given back to a new process: what was recorded before stays refused. */
static void marks_survive_a_restart(void **state)
{
	struct scene *scene = *state;
	struct tai64n received, sent;

	complete_as_responder(scene, 0);
	complete_as_initiator(scene, 6000);
	received = scene->peer->hs.received;
	sent = scene->peer->hs.sent;
	node_fini(&scene->node);
	node_init(&scene->node, 7);
	scene->peer = node_add_peer(&scene->node, scene->sim.public_key, NULL);
	scene->peer->hs.received = received;
	scene->peer->hs.sent = sent;
	assert_int_equal(receive_initiation(scene, 0), HANDSHAKE_REPLAYED);
	/* Ours rise, too, though the new process's wall clock shows the same time. */
	initiate(scene, 0);
	assert_true(sim_peer_answer(
		&scene->sim, node_sent(&scene->node, 0, WG_INITIATION_SIZE), scene->response));
	assert_true(memcmp(sim_peer_last_timestamp, sent.bytes, TAI64N_SIZE) > 0);
}

static void our_timestamps_rise_when_the_clock_is_set_back(void **state)
{
	struct scene *scene = *state;
	uint8_t last[TAI64N_SIZE] = {0};

	for (unsigned i = 0; i < 10; i++) {
		initiate(scene, i * 5000);
		assert_true(sim_peer_answer(&scene->sim,
			node_sent(&scene->node, i, WG_INITIATION_SIZE), scene->response));
		assert_true(memcmp(sim_peer_last_timestamp, last, sizeof(last)) > 0);
		memcpy(last, sim_peer_last_timestamp, sizeof(last));
		scene->node.wall.tv_sec -= 10;
	}
}

static void peer_may_initiate_fifty_times_a_second(void **state)
{
	struct scene *scene = *state;

	prepare_initiation(scene);
	assert_int_equal(receive_initiation(scene, 0), HANDSHAKE_OK_INITIATION);
	prepare_initiation(scene);
	assert_int_equal(receive_initiation(scene, 19), HANDSHAKE_FLOOD);
	/* The refused one set no mark. */
	assert_int_equal(receive_initiation(scene, 20), HANDSHAKE_OK_INITIATION);
	prepare_initiation(scene);
	assert_int_equal(receive_initiation(scene, 39), HANDSHAKE_FLOOD);
	assert_int_equal(receive_initiation(scene, 40), HANDSHAKE_OK_INITIATION);
}

static void low_order_keys_stay_silent(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < LOW_ORDER_POINTS; i++) {
		struct node_peer *peer = node_add_peer(&scene->node, low_order_points[i], NULL);
		struct sim_peer sim = scene->sim;
		struct key zero = {{0}};

		assert_int_equal(
			handshake_initiate(scene->node.handshake, &peer->hs, WORLD_T0_MS + 20000),
			-EINVAL);
		timers_set_persistent(&peer->hs.timers, 1);
		timers_request(&peer->activity, TIMERS_SEND_STAGED);
		for (uint64_t ms = 0; ms < 2000; ms += 100)
			handshake_peer_run(
				scene->node.handshake, &peer->hs, WORLD_T0_MS + 20000 + ms);
		/* The same key claimed by an initiator: its shared secret is zero to everyone. */
		memcpy(sim.public_key, low_order_points[i], KEY_SIZE);
		memcpy(sim.private_key, zero.bytes, KEY_SIZE);
		sim_peer_initiate(&sim, scene->initiation);
		assert_int_equal(receive_initiation(scene, 20000), HANDSHAKE_BAD_INITIATION);
		assert_int_equal(scene->node.sent, 0);
		handshake_peer_clear(scene->node.handshake, &peer->hs);
		memset(peer, 0, sizeof(*peer));
	}
}

static void malformed_messages_are_refused(void **state)
{
	static const struct {
		uint32_t type;
		size_t size;
		enum wg_type expected;
	} rows[] = {
		{1, 148, WG_TYPE_INITIATION},
		{1, 147, WG_TYPE_NONE},
		{1, 149, WG_TYPE_NONE},
		{0x01000001, 148, WG_TYPE_NONE}, /* reserved bytes */
		{0x00000101, 148, WG_TYPE_NONE},
		{2, 92, WG_TYPE_RESPONSE},
		{2, 91, WG_TYPE_NONE},
		{2, 148, WG_TYPE_NONE},
		{3, 64, WG_TYPE_COOKIE_REPLY},
		{3, 65, WG_TYPE_NONE},
		{4, 32, WG_TYPE_DATA},
		{4, 31, WG_TYPE_NONE},
		{4, 65507, WG_TYPE_DATA},
		{1, 65507, WG_TYPE_NONE}, /* oversize: no more than refused */
		{0, 148, WG_TYPE_NONE},
		{5, 148, WG_TYPE_NONE},
		{1, 3, WG_TYPE_NONE},
		{1, 0, WG_TYPE_NONE},
	};
	struct scene *scene = *state;
	static uint8_t message[65507];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t type = htole32(rows[i].type);
		enum handshake_result result;

		memcpy(message, &type, sizeof(type));
		assert_int_equal(wg_message_type(message, rows[i].size), rows[i].expected);
		result = receive(scene, message, rows[i].size, 0);
		if (rows[i].expected == WG_TYPE_NONE || rows[i].expected == WG_TYPE_DATA)
			assert_int_equal(result, HANDSHAKE_MALFORMED);
		else
			assert_int_not_equal(result, HANDSHAKE_MALFORMED);
	}
	assert_int_equal(scene->node.sent, 0);
}

/* --- Roaming, resources, identity ----------------------------------------------------------- */

static void endpoint_follows_authentic_messages(void **state)
{
	struct scene *scene = *state;

	scene->peer->endpoint_unknown = true;
	assert_int_equal(handshake_initiate(scene->node.handshake, &scene->peer->hs, WORLD_T0_MS),
		-EDESTADDRREQ);
	assert_int_equal(scene->node.indexes_used, 0);
	complete_as_responder(scene, 0);
	assert_true(endpoint_equal(&scene->peer->roamed.remote, &scene->source.remote));
	scene->source = source_of(9, 1234);
	complete_as_initiator(scene, 6000);
	assert_true(endpoint_equal(&scene->peer->roamed.remote, &scene->source.remote));
	assert_int_equal(scene->peer->roams, 2);
}

static void want_of_an_index_is_survived(void **state)
{
	struct scene *scene = *state;

	scene->node.index_fails = true;
	prepare_initiation(scene);
	assert_int_equal(receive_initiation(scene, 0), HANDSHAKE_NO_RESOURCE);
	assert_int_equal(
		handshake_initiate(scene->node.handshake, &scene->peer->hs, WORLD_T0_MS + 10),
		-ENOSPC);
	assert_int_equal(scene->node.sent, 0);
	scene->node.index_fails = false;
	complete_as_responder(scene, 1000);
	complete_as_initiator(scene, 7000);
}

static void private_key_can_change(void **state)
{
	struct scene *scene = *state;
	struct key fresh, bad = scene->node.public_key;

	complete_as_initiator(scene, 0);
	initiate(scene, 6000);
	assert_true(sim_peer_answer(
		&scene->sim, node_sent(&scene->node, 1, WG_INITIATION_SIZE), scene->response));
	memset(fresh.bytes, 0x21, KEY_SIZE);
	assert_int_equal(handshake_set_private_key(scene->node.handshake, &fresh), 0);
	handshake_peer_renew(scene->node.handshake, &scene->peer->hs);
	/* What was begun as someone else is over; a new one may start at once. */
	assert_int_equal(
		receive(scene, scene->response, sizeof(scene->response), 6010), HANDSHAKE_BAD_MAC);
	memcpy(scene->sim.remote_key, handshake_public_key(scene->node.handshake), KEY_SIZE);
	assert_memory_not_equal(scene->sim.remote_key, bad.bytes, KEY_SIZE);
	complete_as_initiator(scene, 6020);
	complete_as_responder(scene, 6100);
	/* No key at all: deaf and dumb. */
	assert_int_equal(handshake_set_private_key(scene->node.handshake, NULL), 0);
	handshake_peer_renew(scene->node.handshake, &scene->peer->hs);
	assert_null(handshake_public_key(scene->node.handshake));
	prepare_initiation(scene);
	assert_int_equal(receive_initiation(scene, 20000), HANDSHAKE_NO_IDENTITY);
	assert_int_equal(
		handshake_initiate(scene->node.handshake, &scene->peer->hs, WORLD_T0_MS + 20000),
		-ENOKEY);
}

static void own_key_is_no_peer(void **state)
{
	struct scene *scene = *state;
	struct handshake_peer peer;
	struct timers_activity activity;

	assert_int_equal(handshake_peer_init(scene->node.handshake, &peer, &scene->node.public_key,
				 NULL, &activity),
		-EINVAL);
}

static void cleared_peer_keeps_no_secret(void **state)
{
	struct scene *scene = *state;

	initiate(scene, 0);
	handshake_peer_clear(scene->node.handshake, &scene->peer->hs);
	assert_true(sodium_is_zero((uint8_t *)&scene->peer->hs, sizeof(scene->peer->hs)));
	assert_int_equal(scene->node.indexes_used, 0);
	scene->peer->used = false;
}

static void results_have_names(void **state)
{
	for (int i = 0; i < HANDSHAKE_RESULT_COUNT; i++) {
		assert_true(strlen(handshake_result_name(i)) > 0);
		assert_true(strlen(handshake_result_text(i)) > 0);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(handshake_result_name(i), handshake_result_name(j));
	}
}

/* --- Both at once --------------------------------------------------------------------------- */

/* A peer of the kernel's kind forgets its own initiation when it answers ours. */
static void simultaneous_with_a_forgetful_peer(void **state)
{
	struct scene *scene = *state;

	initiate(scene, 0);
	prepare_initiation(scene);
	assert_int_equal(receive_initiation(scene, 10), HANDSHAKE_OK_INITIATION);
	assert_true(sim_peer_answer(
		&scene->sim, node_sent(&scene->node, 0, WG_INITIATION_SIZE), scene->response));
	scene->sim.waiting = false;
	assert_false(sim_peer_finish(&scene->sim, node_sent(&scene->node, 1, WG_RESPONSE_SIZE)));
	assert_int_equal(receive(scene, scene->response, sizeof(scene->response), 20),
		HANDSHAKE_OK_RESPONSE);
	assert_session(&scene->peer->current, &scene->sim);
}

static void assert_both_ways(struct node_peer *at_a, struct node_peer *at_b)
{
	assert_true(at_a->current.valid && at_b->current.valid);
	assert_true(node_open(at_b, &at_a->current.keys));
	assert_true(node_open(at_a, &at_b->current.keys));
}

/* Whatever order the four messages arrive in, and whichever one is lost. */
static void simultaneous_initiations_converge(void **state)
{
	for (int lost = 0; lost < 3; lost++) {
		struct node a, b;
		struct node_peer *b_at_a, *a_at_b;
		struct handshake_source source = source_of(1, 51820);
		uint64_t t = WORLD_T0_MS;

		node_init(&a, 11);
		node_init(&b, 12);
		b_at_a = node_add_peer(&a, b.public_key.bytes, NULL);
		a_at_b = node_add_peer(&b, a.public_key.bytes, NULL);
		assert_int_equal(handshake_initiate(a.handshake, &b_at_a->hs, t), 0);
		assert_int_equal(handshake_initiate(b.handshake, &a_at_b->hs, t), 0);
		assert_int_equal(
			handshake_receive(b.handshake, node_sent(&a, 0, WG_INITIATION_SIZE),
				WG_INITIATION_SIZE, &source, t + 10),
			HANDSHAKE_OK_INITIATION);
		assert_int_equal(
			handshake_receive(a.handshake, node_sent(&b, 0, WG_INITIATION_SIZE),
				WG_INITIATION_SIZE, &source, t + 10),
			HANDSHAKE_OK_INITIATION);
		if (lost != 1)
			assert_int_equal(node_deliver(&a, &b, t + 20), HANDSHAKE_OK_RESPONSE);
		if (lost != 2)
			assert_int_equal(node_deliver(&b, &a, t + 20), HANDSHAKE_OK_RESPONSE);
		/* Who is initiator sends at once, and so confirms. */
		if (b_at_a->current.valid)
			assert_true(node_open(a_at_b, &b_at_a->current.keys));
		if (a_at_b->current.valid)
			assert_true(node_open(b_at_a, &a_at_b->current.keys));
		assert_both_ways(b_at_a, a_at_b);
		/* Nobody goes on retransmitting. */
		handshake_peer_run(a.handshake, &b_at_a->hs, t + 30);
		handshake_peer_run(b.handshake, &a_at_b->hs, t + 30);
		handshake_peer_run(a.handshake, &b_at_a->hs, t + 6000);
		handshake_peer_run(b.handshake, &a_at_b->hs, t + 6000);
		assert_int_equal(a.sent, 2);
		assert_int_equal(b.sent, 2);
		node_fini(&a);
		node_fini(&b);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(we_initiate),
		TEST(they_initiate),
		TEST(preshared_key_takes_effect_with_the_next_handshake),
		TEST(preshared_key_from_the_start),
		TEST(late_response_is_accepted),
		TEST(newer_initiation_replaces_the_pending_one),
		TEST(response_counts_once),
		TEST(response_must_name_the_pending_handshake),
		TEST(handshake_messages_count_as_traffic),
		TEST(altered_response_is_refused),
		TEST(wrong_mac1_is_refused),
		TEST(bad_static_is_refused),
		TEST(stranger_is_refused),
		TEST(timestamps_must_rise),
		TEST(marks_survive_a_restart),
		TEST(our_timestamps_rise_when_the_clock_is_set_back),
		TEST(peer_may_initiate_fifty_times_a_second),
		TEST(low_order_keys_stay_silent),
		TEST(malformed_messages_are_refused),
		TEST(endpoint_follows_authentic_messages),
		TEST(want_of_an_index_is_survived),
		TEST(private_key_can_change),
		TEST(own_key_is_no_peer),
		TEST(cleared_peer_keeps_no_secret),
		TEST(results_have_names),
		TEST(simultaneous_with_a_forgetful_peer),
		cmocka_unit_test(simultaneous_initiations_converge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
