/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* Under load, on both sides of a cookie. */
#include <string.h>

#include "test/unit/dataplane/wireguard/sim_peer.h"
#include "test/unit/dataplane/wireguard/world.h"

struct scene {
	struct node node;
	struct node_peer *peers[2];
	struct sim_peer sims[2];
	struct handshake_source sources[2];
	uint8_t initiation[SIM_INITIATION], response[SIM_RESPONSE], cookie[SIM_COOKIE];
};

static const uint8_t sim_cookie[16] = {0xc0, 0x0c, 0x1e};

static int setup(void **state)
{
	static struct scene scene;

	memset(&scene, 0, sizeof(scene));
	node_init(&scene.node, 7);
	for (int i = 0; i < 2; i++) {
		sim_peer_init(&scene.sims[i], (uint8_t)(1 + i));
		memcpy(scene.sims[i].remote_key, scene.node.public_key.bytes, KEY_SIZE);
		scene.peers[i] = node_add_peer(&scene.node, scene.sims[i].public_key, NULL);
		scene.sources[i] = source_of((uint8_t)(7 + i), 40000);
	}
	*state = &scene;
	return 0;
}

static int teardown(void **state)
{
	node_fini(&((struct scene *)*state)->node);
	return 0;
}

static enum handshake_result receive(
	struct scene *scene, int from, const uint8_t *message, size_t size, uint64_t now_ms)
{
	return handshake_receive(
		scene->node.handshake, message, size, &scene->sources[from], WORLD_T0_MS + now_ms);
}

/* The simulated peer's next initiation, as it would send it now, and what becomes of it. */
static enum handshake_result initiate_from(struct scene *scene, int from, uint64_t now_ms)
{
	scene->sims[from].seconds++;
	sim_peer_initiate(&scene->sims[from], scene->initiation);
	return receive(scene, from, scene->initiation, sizeof(scene->initiation), now_ms);
}

static void take_cookie(struct scene *scene, int from)
{
	const struct node_message *message =
		&scene->node.outbox[(scene->node.sent - 1) % WORLD_OUTBOX];

	assert_int_equal(message->size, WG_COOKIE_REPLY_SIZE);
	assert_null(message->peer);
	assert_true(message->to_source);
	assert_true(sim_peer_take_cookie(&scene->sims[from], message->bytes));
}

static void initiation_under_load_needs_a_cookie(void **state)
{
	struct scene *scene = *state;

	scene->node.under_load = true;
	assert_int_equal(initiate_from(scene, 0, 0), HANDSHAKE_COOKIE_SENT);
	take_cookie(scene, 0);
	assert_int_equal(initiate_from(scene, 0, 100), HANDSHAKE_OK_INITIATION);
	assert_int_equal(scene->node.sent, 2);
	/* The refused one left no trace, the cookie reply moved no endpoint. */
	assert_int_equal(scene->peers[0]->roams, 1);
	assert_int_equal(scene->peers[0]->sessions, 1);
}

static void response_under_load_needs_a_cookie(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(
		handshake_initiate(scene->node.handshake, &scene->peers[0]->hs, WORLD_T0_MS), 0);
	assert_true(sim_peer_answer(
		&scene->sims[0], node_sent(&scene->node, 0, WG_INITIATION_SIZE), scene->response));
	scene->node.under_load = true;
	assert_int_equal(receive(scene, 0, scene->response, sizeof(scene->response), 10),
		HANDSHAKE_COOKIE_SENT);
	take_cookie(scene, 0);
	sim_peer_add_macs(&scene->sims[0], scene->response, sizeof(scene->response));
	assert_int_equal(receive(scene, 0, scene->response, sizeof(scene->response), 20),
		HANDSHAKE_OK_RESPONSE);
}

static void cookie_is_bound_to_address_and_port(void **state)
{
	struct scene *scene = *state;

	scene->node.under_load = true;
	assert_int_equal(initiate_from(scene, 0, 0), HANDSHAKE_COOKIE_SENT);
	take_cookie(scene, 0);
	scene->sources[0] = source_of(7, 40001);
	assert_int_equal(initiate_from(scene, 0, 100), HANDSHAKE_COOKIE_SENT);
	scene->sources[0] = source_of(6, 40000);
	assert_int_equal(initiate_from(scene, 0, 200), HANDSHAKE_COOKIE_SENT);
	scene->sources[0] = source_of(7, 40000);
	assert_int_equal(initiate_from(scene, 0, 300), HANDSHAKE_OK_INITIATION);
}

static void wrong_mac1_gets_no_cookie(void **state)
{
	struct scene *scene = *state;

	scene->node.under_load = true;
	sim_peer_initiate(&scene->sims[0], scene->initiation);
	scene->initiation[20] ^= 1;
	assert_int_equal(receive(scene, 0, scene->initiation, sizeof(scene->initiation), 0),
		HANDSHAKE_BAD_MAC);
	assert_int_equal(scene->node.sent, 0);
}

/* The limit of one source is nobody else's. */
static void sources_are_limited_one_by_one(void **state)
{
	struct scene *scene = *state;
	int accepted = 0, limited = 0;

	scene->node.under_load = true;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(initiate_from(scene, i, 0), HANDSHAKE_COOKIE_SENT);
		take_cookie(scene, i);
	}
	/* One sends each 20 ms for a second: 5 at once, then 20 a second. */
	for (uint64_t ms = 100; ms < 1100; ms += 20) {
		enum handshake_result result = initiate_from(scene, 0, ms);

		accepted += result == HANDSHAKE_OK_INITIATION;
		limited += result == HANDSHAKE_RATE_LIMITED;
	}
	assert_int_equal(accepted + limited, 50);
	assert_in_range(accepted, 20, 25);
	assert_int_equal(initiate_from(scene, 1, 1100), HANDSHAKE_OK_INITIATION);
}

/* However many were served: without load, no cookie is asked for. */
static void calm_sends_no_cookies(void **state)
{
	struct scene *scene = *state;

	for (uint64_t i = 0; i < 300; i++)
		assert_int_equal(
			initiate_from(scene, (int)(i % 2), i * 20), HANDSHAKE_OK_INITIATION);
	assert_int_equal(scene->node.sent, 300);
}

/* --- We are asked for one ------------------------------------------------------------------- */

static void cookie_asked_of_us_goes_into_the_next_message(void **state)
{
	struct scene *scene = *state;
	struct node_peer *peer = scene->peers[0];
	const uint8_t *initiation;

	assert_int_equal(handshake_initiate(scene->node.handshake, &peer->hs, WORLD_T0_MS), 0);
	initiation = node_sent(&scene->node, 0, WG_INITIATION_SIZE);
	sim_peer_demand_cookie(
		&scene->sims[0], initiation, WG_INITIATION_SIZE, sim_cookie, scene->cookie);
	/* From elsewhere: a cookie reply does not say where the peer is. */
	assert_int_equal(
		receive(scene, 1, scene->cookie, sizeof(scene->cookie), 10), HANDSHAKE_OK_COOKIE);
	assert_int_equal(peer->roams, 0);
	/* Nothing is sent at once: the retransmission carries it. */
	handshake_peer_run(scene->node.handshake, &peer->hs, WORLD_T0_MS + 20);
	assert_int_equal(scene->node.sent, 1);
	handshake_peer_run(scene->node.handshake, &peer->hs, WORLD_T0_MS + 5400);
	initiation = node_sent(&scene->node, 1, WG_INITIATION_SIZE);
	assert_true(sim_peer_mac2_is(initiation, WG_INITIATION_SIZE, sim_cookie));
	/* Responses as well. */
	assert_int_equal(initiate_from(scene, 0, 6000), HANDSHAKE_OK_INITIATION);
	assert_true(sim_peer_mac2_is(
		node_sent(&scene->node, 2, WG_RESPONSE_SIZE), WG_RESPONSE_SIZE, sim_cookie));
}

static void response_of_ours_can_be_asked_for_a_cookie(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(initiate_from(scene, 0, 0), HANDSHAKE_OK_INITIATION);
	sim_peer_demand_cookie(&scene->sims[0], node_sent(&scene->node, 0, WG_RESPONSE_SIZE),
		WG_RESPONSE_SIZE, sim_cookie, scene->cookie);
	assert_int_equal(
		receive(scene, 0, scene->cookie, sizeof(scene->cookie), 10), HANDSHAKE_OK_COOKIE);
	assert_int_equal(initiate_from(scene, 0, 100), HANDSHAKE_OK_INITIATION);
	assert_true(sim_peer_mac2_is(
		node_sent(&scene->node, 1, WG_RESPONSE_SIZE), WG_RESPONSE_SIZE, sim_cookie));
}

static void cookie_not_asked_for_is_refused(void **state)
{
	struct scene *scene = *state;
	uint8_t unknown[SIM_COOKIE];

	/* No index of ours. */
	sim_peer_initiate(&scene->sims[0], scene->initiation);
	sim_peer_demand_cookie(
		&scene->sims[0], scene->initiation, SIM_INITIATION, sim_cookie, scene->cookie);
	assert_int_equal(receive(scene, 0, scene->cookie, sizeof(scene->cookie), 0),
		HANDSHAKE_UNKNOWN_INDEX);
	/* Ours, but made by someone who is not the peer. */
	assert_int_equal(
		handshake_initiate(scene->node.handshake, &scene->peers[0]->hs, WORLD_T0_MS), 0);
	sim_peer_demand_cookie(&scene->sims[1], node_sent(&scene->node, 0, WG_INITIATION_SIZE),
		WG_INITIATION_SIZE, sim_cookie, unknown);
	assert_int_equal(receive(scene, 0, unknown, sizeof(unknown), 0), HANDSHAKE_BAD_COOKIE);
	/* Once. */
	sim_peer_demand_cookie(&scene->sims[0], node_sent(&scene->node, 0, WG_INITIATION_SIZE),
		WG_INITIATION_SIZE, sim_cookie, scene->cookie);
	assert_int_equal(
		receive(scene, 0, scene->cookie, sizeof(scene->cookie), 0), HANDSHAKE_OK_COOKIE);
	assert_int_equal(
		receive(scene, 0, scene->cookie, sizeof(scene->cookie), 0), HANDSHAKE_BAD_COOKIE);
}

/* Two of ours, one under load: a cookie costs one retransmission. */
static void two_nodes_with_a_cookie_between_them(void **state)
{
	struct node a, b;
	struct node_peer *b_at_a, *a_at_b;
	uint64_t t = WORLD_T0_MS;

	node_init(&a, 11);
	node_init(&b, 12);
	b_at_a = node_add_peer(&a, b.public_key.bytes, NULL);
	a_at_b = node_add_peer(&b, a.public_key.bytes, NULL);
	b.under_load = true;
	assert_int_equal(handshake_initiate(a.handshake, &b_at_a->hs, t), 0);
	assert_int_equal(node_deliver(&a, &b, t + 10), HANDSHAKE_COOKIE_SENT);
	assert_int_equal(node_deliver(&b, &a, t + 20), HANDSHAKE_OK_COOKIE);
	handshake_peer_run(a.handshake, &b_at_a->hs, t + 5400);
	assert_int_equal(a.sent, 2);
	assert_int_equal(node_deliver(&a, &b, t + 5410), HANDSHAKE_OK_INITIATION);
	assert_int_equal(node_deliver(&b, &a, t + 5420), HANDSHAKE_OK_RESPONSE);
	assert_true(node_open(a_at_b, &b_at_a->current.keys));
	node_fini(&a);
	node_fini(&b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(initiation_under_load_needs_a_cookie),
		TEST(response_under_load_needs_a_cookie),
		TEST(cookie_is_bound_to_address_and_port),
		TEST(wrong_mac1_gets_no_cookie),
		TEST(sources_are_limited_one_by_one),
		TEST(calm_sends_no_cookies),
		TEST(cookie_asked_of_us_goes_into_the_next_message),
		TEST(response_of_ours_can_be_asked_for_a_cookie),
		TEST(cookie_not_asked_for_is_refused),
		cmocka_unit_test(two_nodes_with_a_cookie_between_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
