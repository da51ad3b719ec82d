/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "test/unit/dataplane/wireguard/low_order.h"
#include "test/unit/dataplane/wireguard/noise_steps.h"
#include "test/unit/dataplane/wireguard/sim_peer.h"

/* We and a simulated peer that know each other. */
struct pair {
	struct noise_identity identity;
	struct noise_peer peer;
	struct sim_peer sim;
};

static const uint8_t preshared[KEY_SIZE] = {9, 8, 7, 6, 5, 4, 3, 2, 1};

static struct key key_from(const uint8_t bytes[KEY_SIZE])
{
	struct key key;

	memcpy(key.bytes, bytes, KEY_SIZE);
	return key;
}

static struct noise_fresh fresh_of(uint8_t seed)
{
	struct noise_fresh fresh = {.local_index = 0xa0b0c000u | seed};
	struct timespec wall = {1700000000, 0};

	memset(fresh.ephemeral.bytes, seed, KEY_SIZE);
	fresh.timestamp = tai64n_from_time(&wall);
	return fresh;
}

static int setup(void **state)
{
	static struct pair pair;
	struct key private_key, public_key;

	memset(&pair, 0, sizeof(pair));
	sim_peer_init(&pair.sim, 1);
	memset(private_key.bytes, 0x77, KEY_SIZE);
	assert_int_equal(noise_identity_init(&pair.identity, &private_key), 0);
	public_key = key_from(pair.sim.public_key);
	noise_peer_init(&pair.peer, &pair.identity, &public_key, NULL);
	assert_true(pair.peer.usable);
	memcpy(pair.sim.remote_key, pair.identity.public_key.bytes, KEY_SIZE);
	*state = &pair;
	return 0;
}

static int teardown(void **state)
{
	struct pair *pair = *state;

	noise_identity_wipe(&pair->identity);
	return 0;
}

static void share_key(struct pair *pair)
{
	memcpy(pair->peer.preshared_key.bytes, preshared, KEY_SIZE);
	memcpy(pair->sim.preshared_key, preshared, KEY_SIZE);
}

static void assert_same_session(const struct noise_keys *keys, const struct sim_peer *sim)
{
	assert_true(sim->established);
	assert_memory_equal(keys->send.bytes, sim->receive_key, KEY_SIZE);
	assert_memory_equal(keys->receive.bytes, sim->send_key, KEY_SIZE);
	assert_memory_not_equal(keys->send.bytes, keys->receive.bytes, KEY_SIZE);
	assert_int_equal(keys->local_index, sim->remote_index);
	assert_int_equal(keys->remote_index, sim->local_index);
}

/* The simulated peer insists on mac1; it is cookie.c's work, here the peer's own code does it. */
static void add_macs(struct pair *pair, void *message, size_t size)
{
	struct sim_peer us = {0};

	memcpy(us.remote_key, pair->sim.public_key, KEY_SIZE);
	sim_peer_add_macs(&us, message, size);
}

static void we_initiate(struct pair *pair)
{
	struct noise_handshake handshake = {0}, zero = {0};
	struct noise_fresh fresh = fresh_of(3);
	struct wg_initiation initiation;
	struct wg_response response;
	struct noise_keys keys;

	assert_int_equal(
		noise_initiate(&handshake, &pair->identity, &pair->peer, &fresh, &initiation), 0);
	assert_true(handshake.pending);
	add_macs(pair, &initiation, sizeof(initiation));
	assert_true(sim_peer_answer(&pair->sim, (uint8_t *)&initiation, (uint8_t *)&response));
	assert_memory_equal(sim_peer_last_timestamp, fresh.timestamp.bytes, TAI64N_SIZE);
	assert_memory_equal(pair->sim.remote_key, pair->identity.public_key.bytes, KEY_SIZE);
	assert_int_equal(
		noise_conclude(&handshake, &pair->identity, &pair->peer, &response, &keys), 0);
	assert_true(keys.initiator);
	assert_same_session(&keys, &pair->sim);
	/* Nothing of the handshake is left behind, and the same response has no second life. */
	assert_memory_equal(&handshake, &zero, sizeof(zero));
	assert_int_equal(noise_conclude(&handshake, &pair->identity, &pair->peer, &response, &keys),
		-EPROTO);
}

static void they_initiate(struct pair *pair)
{
	struct noise_fresh fresh = fresh_of(4);
	struct timespec wall = {1700000000, 0};
	struct tai64n stamp = tai64n_from_time(&wall);
	struct noise_opening opening;
	struct wg_initiation initiation;
	struct noise_answer answer;

	sim_peer_initiate(&pair->sim, (uint8_t *)&initiation);
	assert_int_equal(noise_open(&opening, &pair->identity, &initiation), 0);
	assert_memory_equal(opening.remote_static.bytes, pair->sim.public_key, KEY_SIZE);
	assert_int_equal(noise_read(&opening, &pair->peer, &initiation), 0);
	assert_memory_equal(&opening.timestamp, &stamp, sizeof(stamp));
	assert_int_equal(noise_respond(&opening, &pair->peer, &fresh, &answer), 0);
	assert_false(answer.keys.initiator);
	add_macs(pair, &answer.message, sizeof(answer.message));
	assert_true(sim_peer_finish(&pair->sim, (uint8_t *)&answer.message));
	assert_same_session(&answer.keys, &pair->sim);
}

static void initiator_without_preshared_key(void **state)
{
	we_initiate(*state);
}

static void initiator_with_preshared_key(void **state)
{
	share_key(*state);
	we_initiate(*state);
}

static void responder_without_preshared_key(void **state)
{
	they_initiate(*state);
}

static void responder_with_preshared_key(void **state)
{
	share_key(*state);
	they_initiate(*state);
}

static void preshared_keys_must_agree(void **state)
{
	struct pair *pair = *state;
	struct noise_fresh fresh = fresh_of(3);
	struct noise_handshake handshake = {0};
	struct noise_opening opening;
	struct wg_initiation initiation;
	struct wg_response response;
	struct noise_answer answer;
	struct noise_keys keys;

	memcpy(pair->peer.preshared_key.bytes, preshared, KEY_SIZE);
	assert_int_equal(
		noise_initiate(&handshake, &pair->identity, &pair->peer, &fresh, &initiation), 0);
	add_macs(pair, &initiation, sizeof(initiation));
	assert_true(sim_peer_answer(&pair->sim, (uint8_t *)&initiation, (uint8_t *)&response));
	assert_int_equal(noise_conclude(&handshake, &pair->identity, &pair->peer, &response, &keys),
		-EBADMSG);
	assert_true(sodium_is_zero((uint8_t *)&keys, sizeof(keys)));

	sim_peer_initiate(&pair->sim, (uint8_t *)&initiation);
	assert_int_equal(noise_open(&opening, &pair->identity, &initiation), 0);
	assert_int_equal(noise_read(&opening, &pair->peer, &initiation), 0);
	assert_int_equal(noise_respond(&opening, &pair->peer, &fresh, &answer), 0);
	add_macs(pair, &answer.message, sizeof(answer.message));
	assert_false(sim_peer_finish(&pair->sim, (uint8_t *)&answer.message));
}

/* Any bit of what Noise covers: the initiation is refused at one stage or the other. */
static void altered_initiation_is_refused(void **state)
{
	struct pair *pair = *state;
	uint8_t good[WG_INITIATION_SIZE], bad[WG_INITIATION_SIZE];
	struct noise_opening opening;

	sim_peer_initiate(&pair->sim, good);
	for (size_t at = 8; at < offsetof(struct wg_initiation, macs); at++) {
		int rc;

		memcpy(bad, good, sizeof(bad));
		/* The top bit of a coordinate is ignored by X25519, but not by the hash. */
		bad[at] ^= at % 2 == 0 ? 0x80 : 0x01;
		rc = noise_open(&opening, &pair->identity, (struct wg_initiation *)bad);
		if (rc == 0)
			rc = noise_read(&opening, &pair->peer, (struct wg_initiation *)bad);
		assert_int_equal(rc, -EBADMSG);
	}
}

/* A bad response changes nothing: the genuine one still completes the handshake. */
static void altered_response_is_refused(void **state)
{
	struct pair *pair = *state;
	struct noise_fresh fresh = fresh_of(5);
	struct noise_handshake handshake = {0}, before;
	struct wg_initiation initiation;
	uint8_t good[WG_RESPONSE_SIZE], bad[WG_RESPONSE_SIZE];
	struct noise_keys keys;

	assert_int_equal(
		noise_initiate(&handshake, &pair->identity, &pair->peer, &fresh, &initiation), 0);
	add_macs(pair, &initiation, sizeof(initiation));
	assert_true(sim_peer_answer(&pair->sim, (uint8_t *)&initiation, good));
	before = handshake;
	for (size_t at = 8; at < offsetof(struct wg_response, macs); at++) {
		memcpy(bad, good, sizeof(bad));
		bad[at] ^= 0x80;
		assert_int_equal(noise_conclude(&handshake, &pair->identity, &pair->peer,
					 (struct wg_response *)bad, &keys),
			at < 12 ? -EPROTO : -EBADMSG);
		assert_memory_equal(&handshake, &before, sizeof(before));
	}
	assert_int_equal(noise_conclude(&handshake, &pair->identity, &pair->peer,
				 (struct wg_response *)good, &keys),
		0);
	assert_same_session(&keys, &pair->sim);
}

static void initiation_of_another_is_not_read(void **state)
{
	struct pair *pair = *state;
	struct noise_opening opening;
	struct wg_initiation initiation;
	struct noise_peer other;
	struct sim_peer stranger;
	struct key public_key;

	sim_peer_init(&stranger, 2);
	public_key = key_from(stranger.public_key);
	noise_peer_init(&other, &pair->identity, &public_key, NULL);
	sim_peer_initiate(&pair->sim, (uint8_t *)&initiation);
	assert_int_equal(noise_open(&opening, &pair->identity, &initiation), 0);
	assert_int_equal(noise_read(&opening, &other, &initiation), -EPROTO);
	/* Someone who knows only the peer's public key cannot claim it: ss would differ. */
	memcpy(stranger.public_key, pair->sim.public_key, KEY_SIZE);
	memcpy(stranger.remote_key, pair->identity.public_key.bytes, KEY_SIZE);
	sim_peer_initiate(&stranger, (uint8_t *)&initiation);
	assert_int_equal(noise_open(&opening, &pair->identity, &initiation), 0);
	assert_memory_equal(opening.remote_static.bytes, pair->sim.public_key, KEY_SIZE);
	assert_int_equal(noise_read(&opening, &pair->peer, &initiation), -EBADMSG);
}

static void low_order_static_is_never_used(void **state)
{
	struct pair *pair = *state;
	struct noise_fresh fresh = fresh_of(6);
	struct noise_handshake handshake = {0};
	struct noise_opening opening;
	struct wg_initiation initiation;
	struct noise_peer peer;

	for (int i = 0; i < LOW_ORDER_POINTS; i++) {
		struct key public_key = key_from(low_order_points[i]);

		noise_peer_init(&peer, &pair->identity, &public_key, NULL);
		assert_false(peer.usable);
		assert_true(key_is_zero(&peer.static_static));
		assert_int_equal(
			noise_initiate(&handshake, &pair->identity, &peer, &fresh, &initiation),
			-EINVAL);
		assert_false(handshake.pending);
		/* Claimed in an initiation: the first stage passes, ss must not. */
		memcpy(pair->sim.public_key, low_order_points[i], KEY_SIZE);
		sim_peer_initiate(&pair->sim, (uint8_t *)&initiation);
		assert_int_equal(noise_open(&opening, &pair->identity, &initiation), 0);
		assert_int_equal(noise_read(&opening, &peer, &initiation), -EINVAL);
	}
}

static void low_order_ephemeral_is_refused(void **state)
{
	struct pair *pair = *state;
	struct noise_fresh fresh = fresh_of(6);
	struct noise_handshake handshake = {0};
	struct noise_opening opening;
	struct wg_initiation initiation;
	struct wg_response response = {0};
	struct noise_answer answer;
	struct noise_keys keys;

	assert_int_equal(
		noise_initiate(&handshake, &pair->identity, &pair->peer, &fresh, &initiation), 0);
	response.receiver = htole32(fresh.local_index);
	for (int i = 0; i < LOW_ORDER_POINTS; i++) {
		sim_peer_initiate(&pair->sim, (uint8_t *)&initiation);
		memcpy(initiation.ephemeral, low_order_points[i], KEY_SIZE);
		assert_int_equal(noise_open(&opening, &pair->identity, &initiation), -EINVAL);
		memcpy(response.ephemeral, low_order_points[i], KEY_SIZE);
		assert_int_equal(
			noise_conclude(&handshake, &pair->identity, &pair->peer, &response, &keys),
			-EINVAL);
		assert_true(handshake.pending);
		/* However it came about: no answer is computed from one. */
		memset(&opening, 0, sizeof(opening));
		opening.remote_ephemeral = key_from(low_order_points[i]);
		assert_int_equal(noise_respond(&opening, &pair->peer, &fresh, &answer), -EINVAL);
		assert_true(sodium_is_zero((uint8_t *)&answer, sizeof(answer)));
	}
}

/* RFC 7748, sections 5.2 and 6.1, through the precomputed secret. */
static void shared_secret_is_the_known_answer(void **state)
{
	static const struct {
		const char *scalar, *point, *result;
	} rows[] = {
		{"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
			"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
			"c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
		{"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
			"e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
			"95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
		{"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
			"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
			"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
		{"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
			"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
			"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct noise_identity identity;
		struct noise_peer peer;
		struct key scalar, point, result;
		size_t size;

		sodium_hex2bin(scalar.bytes, 32, rows[i].scalar, 64, NULL, &size, NULL);
		sodium_hex2bin(point.bytes, 32, rows[i].point, 64, NULL, &size, NULL);
		assert_int_equal(size, 32);
		sodium_hex2bin(result.bytes, 32, rows[i].result, 64, NULL, &size, NULL);
		assert_int_equal(noise_identity_init(&identity, &scalar), 0);
		noise_peer_init(&peer, &identity, &point, NULL);
		assert_true(peer.usable);
		assert_true(key_equal(&peer.static_static, &result));
		noise_identity_wipe(&identity);
	}
}

static void private_key_is_clamped(void **state)
{
	struct noise_identity identity;
	struct key key;

	memset(key.bytes, 0xff, KEY_SIZE);
	assert_int_equal(noise_identity_init(&identity, &key), 0);
	assert_int_equal(identity.private_key.bytes[0], 0xf8);
	assert_int_equal(identity.private_key.bytes[31], 0x7f);
	noise_identity_wipe(&identity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(initiator_without_preshared_key, setup, teardown),
		cmocka_unit_test_setup_teardown(initiator_with_preshared_key, setup, teardown),
		cmocka_unit_test_setup_teardown(responder_without_preshared_key, setup, teardown),
		cmocka_unit_test_setup_teardown(responder_with_preshared_key, setup, teardown),
		cmocka_unit_test_setup_teardown(preshared_keys_must_agree, setup, teardown),
		cmocka_unit_test_setup_teardown(altered_initiation_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(altered_response_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(initiation_of_another_is_not_read, setup, teardown),
		cmocka_unit_test_setup_teardown(low_order_static_is_never_used, setup, teardown),
		cmocka_unit_test_setup_teardown(low_order_ephemeral_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(shared_secret_is_the_known_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(private_key_is_clamped, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
