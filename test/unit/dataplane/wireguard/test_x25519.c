/* SPDX-License-Identifier: BSD-3-Clause */
/* X25519 by OpenSSL against libsodium's, and the pool of ephemeral keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "dataplane/wireguard/ephemerals.h"
#include "dataplane/wireguard/x25519.h"
#include "test/unit/dataplane/wireguard/low_order.h"
#include "test/unit/dataplane/wireguard/world.h"

enum { ROUNDS = 200 };

static uint64_t random_state = 0x5a11;

static uint8_t draw(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint8_t)(random_state >> 33);
}

static struct key draw_key(void)
{
	struct key key;

	for (size_t i = 0; i < KEY_SIZE; i++)
		key.bytes[i] = draw();
	return key;
}

static struct x25519 *create(struct key *private_key)
{
	struct key public_key;
	struct x25519 *x25519;
	int error = -1;

	*private_key = draw_key();
	assert_int_equal(key_public(private_key, &public_key), 0);
	x25519 = x25519_create(private_key, &public_key, &error);
	assert_non_null(x25519);
	assert_int_equal(error, 0);
	return x25519;
}

static void assert_equals_sodium(
	const struct key *private_key, const struct key *remote, const struct key *shared, int rc)
{
	struct key expected;

	if (crypto_scalarmult(expected.bytes, private_key->bytes, remote->bytes) != 0) {
		assert_int_equal(rc, -EINVAL);
		assert_true(key_is_zero(shared));
		return;
	}
	assert_int_equal(rc, 0);
	assert_memory_equal(shared->bytes, expected.bytes, KEY_SIZE);
}

/* Any 32 bytes are a public key: points on the twist and numbers above the prime, too. */
static void openssl_equals_libsodium(void **state)
{
	struct key private_key, ephemeral, remote, shared, public_key;
	struct x25519 *x25519 = create(&private_key);

	for (int i = 0; i < ROUNDS; i++) {
		int rc;

		remote = draw_key();
		if (i % 10 == 0)
			memset(remote.bytes + 1, 0xff, KEY_SIZE - 1);
		rc = x25519_of_static(x25519, &remote, &shared);
		assert_equals_sodium(&private_key, &remote, &shared, rc);
		ephemeral = draw_key();
		assert_int_equal(key_public(&ephemeral, &public_key), 0);
		assert_int_equal(x25519_set_ephemeral(x25519, &ephemeral, &public_key), 0);
		/* Twice: the ephemeral key meets the other side's ephemeral and static ones. */
		for (int k = 0; k < 2; k++) {
			remote.bytes[3] ^= (uint8_t)k;
			rc = x25519_of_ephemeral(x25519, &remote, &shared);
			assert_equals_sodium(&ephemeral, &remote, &shared, rc);
		}
		rc = x25519_of_static(x25519, &remote, &shared);
		assert_equals_sodium(&private_key, &remote, &shared, rc);
	}
	x25519_destroy(&x25519);
	assert_null(x25519);
}

static void low_order_is_refused(void **state)
{
	struct key private_key, remote, shared;
	struct x25519 *x25519 = create(&private_key);

	for (unsigned i = 0; i < LOW_ORDER_POINTS; i++) {
		memcpy(remote.bytes, low_order_points[i], KEY_SIZE);
		memset(&shared, 0xaa, sizeof(shared));
		assert_int_equal(x25519_of_static(x25519, &remote, &shared), -EINVAL);
		assert_true(key_is_zero(&shared));
	}
	/* A refusal leaves nothing behind. */
	remote = draw_key();
	assert_equals_sodium(
		&private_key, &remote, &shared, x25519_of_static(x25519, &remote, &shared));
	x25519_destroy(&x25519);
}

static void dropped_ephemeral_is_gone(void **state)
{
	struct key private_key, ephemeral, public_key, shared;
	struct x25519 *x25519 = create(&private_key);

	ephemeral = draw_key();
	assert_int_equal(key_public(&ephemeral, &public_key), 0);
	assert_int_equal(x25519_of_ephemeral(x25519, &public_key, &shared), -EINVAL);
	assert_int_equal(x25519_set_ephemeral(x25519, &ephemeral, &public_key), 0);
	assert_int_equal(x25519_of_ephemeral(x25519, &public_key, &shared), 0);
	x25519_drop_ephemeral(x25519);
	assert_int_equal(x25519_of_ephemeral(x25519, &public_key, &shared), -EINVAL);
	assert_true(key_is_zero(&shared));
	x25519_destroy(&x25519);
	x25519_destroy(&x25519);
}

static void ephemerals_are_used_once_and_wiped(void **state)
{
	static struct ephemerals pool;
	static struct ephemeral made[EPHEMERALS_MAX];
	struct ephemeral taken;
	struct key random;

	for (unsigned i = 0; i < EPHEMERALS_MAX; i++) {
		assert_false(ephemerals_are_full(&pool));
		random = draw_key();
		assert_int_equal(ephemeral_make(&made[i], &random), 0);
		ephemerals_put(&pool, &made[i]);
	}
	assert_true(ephemerals_are_full(&pool));
	for (unsigned i = EPHEMERALS_MAX; i-- > 0;) {
		assert_true(ephemerals_take(&pool, &taken));
		assert_memory_equal(&taken, &made[i], sizeof(taken));
		assert_true(sodium_is_zero((const void *)&pool.pairs[i], sizeof(pool.pairs[i])));
	}
	assert_false(ephemerals_take(&pool, &taken));
}

/* Handshakes take what idle time made, go on when it is used up, and never use a key twice. */
static void handshakes_use_what_idle_time_made(void **state)
{
	enum { HANDSHAKES = 20, READY = 8 };
	static struct node us, them;
	struct node_peer *at_us, *at_them;
	uint8_t seen[2 * HANDSHAKES][KEY_SIZE];
	uint64_t now_ms = WORLD_T0_MS;
	unsigned refilled = 0;

	node_init(&us, 61);
	node_init(&them, 62);
	at_us = node_add_peer(&us, them.public_key.bytes, NULL);
	at_them = node_add_peer(&them, us.public_key.bytes, NULL);
	for (unsigned i = 0; i < READY; i++) {
		assert_true(handshake_idle(us.handshake));
		assert_true(handshake_idle(them.handshake));
	}
	for (unsigned i = 0; i < HANDSHAKES; i++, now_ms += 10000) {
		const struct wg_initiation *initiation;
		const struct wg_response *response;

		us.wall.tv_sec++;
		assert_int_equal(handshake_initiate(us.handshake, &at_us->hs, now_ms), 0);
		initiation = (const void *)node_sent(&us, us.sent - 1, WG_INITIATION_SIZE);
		assert_int_equal(node_deliver(&us, &them, now_ms), HANDSHAKE_OK_INITIATION);
		response = (const void *)node_sent(&them, them.sent - 1, WG_RESPONSE_SIZE);
		assert_int_equal(node_deliver(&them, &us, now_ms), HANDSHAKE_OK_RESPONSE);
		memcpy(seen[2 * i], initiation->ephemeral, KEY_SIZE);
		memcpy(seen[2 * i + 1], response->ephemeral, KEY_SIZE);
	}
	for (unsigned i = 0; i < 2 * HANDSHAKES; i++) {
		for (unsigned k = 0; k < i; k++)
			assert_memory_not_equal(seen[k], seen[i], KEY_SIZE);
	}
	assert_int_equal(at_them->sessions, HANDSHAKES);
	/* What was ready is used up: the pool takes as many as an empty one. */
	while (handshake_idle(us.handshake))
		refilled++;
	assert_int_equal(refilled, EPHEMERALS_MAX);
	node_fini(&us);
	node_fini(&them);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(openssl_equals_libsodium),
		cmocka_unit_test(low_order_is_refused),
		cmocka_unit_test(dropped_ephemeral_is_gone),
		cmocka_unit_test(ephemerals_are_used_once_and_wiped),
		cmocka_unit_test(handshakes_use_what_idle_time_made),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
