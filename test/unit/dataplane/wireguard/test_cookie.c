/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "common/base/addr.h"
#include "dataplane/wireguard/blake2s.h"
#include "dataplane/wireguard/cookie.h"
#include "dataplane/wireguard/ratelimit.h"
#include "test/unit/dataplane/wireguard/sim_peer.h"

enum { START_MS = 1000000 };

/* Our checker and jar, and the simulated peer at the other end. */
struct scene {
	struct ratelimit *limit;
	struct cookie_checker checker;
	struct cookie_jar jar;
	struct sim_peer sim;
	struct endpoint source;
	uint8_t message[SIM_INITIATION];
};

static int setup(void **state)
{
	static struct scene scene;
	struct key ours, theirs;
	struct sim_peer us;

	memset(&scene, 0, sizeof(scene));
	scene.limit = ratelimit_create(RATELIMIT_SOURCES_MAX);
	assert_non_null(scene.limit);
	sim_peer_init(&us, 1);
	sim_peer_init(&scene.sim, 2);
	memcpy(ours.bytes, us.public_key, KEY_SIZE);
	memcpy(theirs.bytes, scene.sim.public_key, KEY_SIZE);
	memcpy(scene.sim.remote_key, us.public_key, KEY_SIZE);
	cookie_checker_init(&scene.checker, &ours);
	cookie_jar_init(&scene.jar, &theirs);
	assert_int_equal(endpoint_parse("192.0.2.7:51820", &scene.source), 0);
	sim_peer_initiate(&scene.sim, scene.message);
	*state = &scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	ratelimit_destroy(&scene->limit);
	return 0;
}

static enum cookie_verdict check_from(
	struct scene *scene, const struct endpoint *source, uint64_t now_ms)
{
	return cookie_check(&scene->checker,
		(struct blake2s_bytes){scene->message, sizeof(scene->message)}, source, now_ms,
		scene->limit);
}

/* Has the simulated peer fetch a cookie for the scene's source, and put it into its message. */
static void fetch_cookie(struct scene *scene, uint64_t now_ms)
{
	struct wg_cookie_reply reply;
	struct wg_macs macs;
	uint32_t sender;

	memcpy(&sender, scene->message + 4, 4);
	memcpy(&macs, scene->message + sizeof(scene->message) - sizeof(macs), sizeof(macs));
	cookie_create_reply(&scene->checker, &macs, sender, &scene->source, now_ms, &reply);
	assert_true(sim_peer_take_cookie(&scene->sim, (uint8_t *)&reply));
	sim_peer_initiate(&scene->sim, scene->message);
}

static void mac1_is_checked(void **state)
{
	struct scene *scene = *state;
	struct blake2s_bytes message = {scene->message, sizeof(scene->message)};

	assert_int_equal(cookie_check(&scene->checker, message, &scene->source, START_MS, NULL),
		COOKIE_MAC_ONLY);
	for (size_t at = 0; at < sizeof(scene->message) - WG_MAC_SIZE; at++) {
		scene->message[at] ^= 1;
		assert_int_equal(
			cookie_check(&scene->checker, message, &scene->source, START_MS, NULL),
			COOKIE_BAD_MAC);
		scene->message[at] ^= 1;
	}
	/* mac2 does not count while we are not under load. */
	scene->message[sizeof(scene->message) - 1] ^= 1;
	assert_int_equal(cookie_check(&scene->checker, message, &scene->source, START_MS, NULL),
		COOKIE_MAC_ONLY);
}

static void cookie_proves_the_source(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(check_from(scene, &scene->source, START_MS), COOKIE_MAC_ONLY);
	fetch_cookie(scene, START_MS);
	assert_int_equal(check_from(scene, &scene->source, START_MS), COOKIE_PROVEN);
	scene->message[sizeof(scene->message) - 1] ^= 1;
	assert_int_equal(check_from(scene, &scene->source, START_MS), COOKIE_MAC_ONLY);
}

static void cookie_covers_address_and_port(void **state)
{
	static const char *const others[] = {
		"192.0.2.7:51821", "192.0.2.8:51820", "[2001:db8::7]:51820", "[c000:207::]:51820"};
	struct scene *scene = *state;

	fetch_cookie(scene, START_MS);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct endpoint other;

		assert_int_equal(endpoint_parse(others[i], &other), 0);
		assert_int_equal(check_from(scene, &other, START_MS), COOKIE_MAC_ONLY);
	}
	assert_int_equal(check_from(scene, &scene->source, START_MS), COOKIE_PROVEN);
}

static void cookie_works_over_ipv6(void **state)
{
	struct scene *scene = *state;
	struct endpoint other;

	assert_int_equal(endpoint_parse("[2001:db8::7]:51820", &scene->source), 0);
	assert_int_equal(endpoint_parse("[2001:db8::8]:51820", &other), 0);
	fetch_cookie(scene, START_MS);
	assert_int_equal(check_from(scene, &other, START_MS), COOKIE_MAC_ONLY);
	assert_int_equal(check_from(scene, &scene->source, START_MS), COOKIE_PROVEN);
}

static void secret_rotates(void **state)
{
	struct scene *scene = *state;
	uint64_t end_ms = START_MS + WG_COOKIE_SECRET_MAX_AGE_MS;

	fetch_cookie(scene, START_MS);
	assert_int_equal(check_from(scene, &scene->source, end_ms - 1), COOKIE_PROVEN);
	assert_int_equal(check_from(scene, &scene->source, end_ms), COOKIE_MAC_ONLY);
	fetch_cookie(scene, end_ms);
	assert_int_equal(check_from(scene, &scene->source, end_ms), COOKIE_PROVEN);
}

static void proven_sources_are_limited(void **state)
{
	struct scene *scene = *state;

	fetch_cookie(scene, START_MS);
	for (int i = 0; i < WG_FLOOD_BURST; i++)
		assert_int_equal(check_from(scene, &scene->source, START_MS), COOKIE_PROVEN);
	assert_int_equal(check_from(scene, &scene->source, START_MS), COOKIE_RATE_LIMITED);
	/* Without a valid mac2 no token is taken, so nobody can use up another's. */
	assert_int_equal(check_from(scene, &scene->source, START_MS + 50), COOKIE_PROVEN);
}

static void unproven_messages_take_no_token(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 100; i++)
		assert_int_equal(check_from(scene, &scene->source, START_MS), COOKIE_MAC_ONLY);
	assert_int_equal(ratelimit_count(scene->limit), 0);
	fetch_cookie(scene, START_MS);
	assert_int_equal(check_from(scene, &scene->source, START_MS), COOKIE_PROVEN);
}

/* The initiator's side. */

static void add_macs(struct scene *scene, uint8_t *message, size_t size, uint64_t now_ms)
{
	cookie_add_macs(&scene->jar, message, size, now_ms);
}

static void jar_sets_mac1_for_both_messages(void **state)
{
	static const size_t sizes[] = {WG_INITIATION_SIZE, WG_RESPONSE_SIZE};
	struct scene *scene = *state;
	struct sim_peer model = {0};

	memcpy(model.remote_key, scene->sim.public_key, KEY_SIZE);
	for (int i = 0; i < 2; i++) {
		uint8_t message[WG_INITIATION_SIZE], expected[WG_INITIATION_SIZE];

		memset(message, 0x5a, sizeof(message));
		memcpy(expected, message, sizeof(message));
		sim_peer_add_macs(&model, expected, sizes[i]);
		add_macs(scene, message, sizes[i], START_MS);
		assert_memory_equal(message, expected, sizeof(message));
	}
}

static void jar_uses_a_cookie_for_115_seconds(void **state)
{
	static const uint8_t cookie[WG_COOKIE_SIZE] = {1, 2, 3, 4, 5}, zero[WG_MAC_SIZE];
	struct scene *scene = *state;
	uint8_t message[WG_INITIATION_SIZE] = {1}, reply[SIM_COOKIE];

	add_macs(scene, message, sizeof(message), START_MS);
	sim_peer_demand_cookie(&scene->sim, message, sizeof(message), cookie, reply);
	assert_int_equal(
		cookie_consume_reply(&scene->jar, (struct wg_cookie_reply *)reply, START_MS), 0);
	add_macs(scene, message, sizeof(message), START_MS);
	assert_true(sim_peer_mac2_is(message, sizeof(message), cookie));
	add_macs(scene, message, sizeof(message), START_MS + 114999);
	assert_true(sim_peer_mac2_is(message, sizeof(message), cookie));
	add_macs(scene, message, sizeof(message), START_MS + 115000);
	assert_memory_equal(message + sizeof(message) - WG_MAC_SIZE, zero, WG_MAC_SIZE);
}

static void jar_takes_only_what_it_waits_for(void **state)
{
	static const uint8_t cookie[WG_COOKIE_SIZE] = {1, 2, 3, 4, 5};
	struct scene *scene = *state;
	uint8_t first[WG_INITIATION_SIZE] = {1}, second[WG_INITIATION_SIZE] = {2};
	uint8_t reply[SIM_COOKIE];
	struct wg_cookie_reply *message = (struct wg_cookie_reply *)reply;

	/* Nothing sent yet: the mac1 that a reply is bound to would be zeros. */
	sim_peer_demand_cookie(&scene->sim, first, sizeof(first), cookie, reply);
	assert_int_equal(cookie_consume_reply(&scene->jar, message, START_MS), -EPROTO);
	add_macs(scene, first, sizeof(first), START_MS);
	sim_peer_demand_cookie(&scene->sim, first, sizeof(first), cookie, reply);
	/* Altered anywhere that counts. */
	for (size_t at = 8; at < sizeof(reply); at++) {
		reply[at] ^= 1;
		assert_int_equal(cookie_consume_reply(&scene->jar, message, START_MS), -EBADMSG);
		reply[at] ^= 1;
	}
	/* For a message before the last. */
	add_macs(scene, second, sizeof(second), START_MS);
	assert_int_equal(cookie_consume_reply(&scene->jar, message, START_MS), -EBADMSG);
	/* Once only. */
	sim_peer_demand_cookie(&scene->sim, second, sizeof(second), cookie, reply);
	assert_int_equal(cookie_consume_reply(&scene->jar, message, START_MS), 0);
	assert_int_equal(cookie_consume_reply(&scene->jar, message, START_MS), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(mac1_is_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(cookie_proves_the_source, setup, teardown),
		cmocka_unit_test_setup_teardown(cookie_covers_address_and_port, setup, teardown),
		cmocka_unit_test_setup_teardown(cookie_works_over_ipv6, setup, teardown),
		cmocka_unit_test_setup_teardown(secret_rotates, setup, teardown),
		cmocka_unit_test_setup_teardown(proven_sources_are_limited, setup, teardown),
		cmocka_unit_test_setup_teardown(unproven_messages_take_no_token, setup, teardown),
		cmocka_unit_test_setup_teardown(jar_sets_mac1_for_both_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(jar_uses_a_cookie_for_115_seconds, setup, teardown),
		cmocka_unit_test_setup_teardown(jar_takes_only_what_it_waits_for, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
