/* SPDX-License-Identifier: BSD-3-Clause */
/* Bursts of X25519 against published answers, by every implementation that this CPU can run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/x25519/x25519.h"
#include "test/unit/dataplane/wireguard/low_order.h"
#include "test/unit/dataplane/wireguard/x25519_cases.h"

enum { JOBS = 33, STRIDE = 4 * KEY_SIZE };

static struct key unhex(const char *text)
{
	struct key key;
	size_t size;

	assert_int_equal(
		sodium_hex2bin(key.bytes, KEY_SIZE, text, strlen(text), NULL, &size, NULL), 0);
	assert_int_equal(size, KEY_SIZE);
	return key;
}

/* Runs the check with each implementation in turn. */
static void with_each(void (*check)(void))
{
	const char *name;

	for (unsigned i = 0; (name = x25519_name_at(i)) != NULL; i++) {
		if (x25519_select(name) == -ENOTSUP)
			continue;
		assert_string_equal(x25519_name(), name);
		print_message("%s\n", name);
		check();
	}
}

/* RFC 7748, section 5.2. */
static void check_rfc_answers(void)
{
	static const char *const rows[][3] = {
		{"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
			"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
			"c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
		{"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
			"e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
			"95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
	};
	struct key scalars[2], points[2], products[2], expected;
	struct x25519_job jobs[2];

	for (unsigned i = 0; i < 2; i++) {
		scalars[i] = unhex(rows[i][0]);
		points[i] = unhex(rows[i][1]);
		jobs[i] = (struct x25519_job){&scalars[i], &points[i], &products[i], true};
	}
	x25519_burst(jobs, 2);
	for (unsigned i = 0; i < 2; i++) {
		expected = unhex(rows[i][2]);
		assert_memory_equal(&products[i], &expected, KEY_SIZE);
		assert_false(jobs[i].zero);
	}
}

/* The same section: each product is the next scalar, each scalar the next point. X25519_TEST_ROUNDS
 * sets how many; a million take 40 s for each implementation. */
static void check_rfc_iterations(void)
{
	static const struct {
		unsigned round;
		const char *product;
	} rows[] = {
		{1, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"},
		{1000, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"},
		{1000000, "7c3911e0ab2586fd864497297e575e6f3bc601c0883c30df5f4dd2d24f665424"},
	};
	struct key scalar = {{9}}, point = {{9}}, product, expected;
	struct x25519_job job = {&scalar, &point, &product, true};
	const char *text = getenv("X25519_TEST_ROUNDS");
	unsigned long rounds = text ? strtoul(text, NULL, 0) : 1000;

	for (unsigned long i = 1; i <= rounds; i++) {
		x25519_burst(&job, 1);
		point = scalar;
		scalar = product;
		for (unsigned k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
			if (rows[k].round != i)
				continue;
			expected = unhex(rows[k].product);
			assert_memory_equal(&product, &expected, KEY_SIZE);
		}
	}
}

/* RFC 7748, section 6.1: both public keys and the secret, in bursts of two. */
static void check_rfc_exchange(void)
{
	struct key scalars[2] = {
		unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"),
		unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"),
	};
	struct key publics[2], secrets[2];
	struct key expected[3] = {
		unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"),
		unhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"),
		unhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"),
	};
	struct x25519_job jobs[2] = {
		{&scalars[0], NULL, &publics[0], true},
		{&scalars[1], NULL, &publics[1], true},
	};

	x25519_burst(jobs, 2);
	assert_memory_equal(publics, expected, sizeof(publics));
	assert_false(jobs[0].zero || jobs[1].zero);
	for (unsigned i = 0; i < 2; i++)
		jobs[i] = (struct x25519_job){&scalars[i], &publics[1 - i], &secrets[i], true};
	x25519_burst(jobs, 2);
	assert_memory_equal(&secrets[0], &expected[2], KEY_SIZE);
	assert_memory_equal(&secrets[1], &expected[2], KEY_SIZE);
}

/* All in one burst, then each alone. */
static void check_edge_cases(void)
{
	static struct key scalars[X25519_CASES], points[X25519_CASES], products[X25519_CASES];
	static struct x25519_job jobs[X25519_CASES];

	for (unsigned i = 0; i < X25519_CASES; i++) {
		scalars[i] = unhex(x25519_cases[i].private_key);
		points[i] = unhex(x25519_cases[i].public_key);
		jobs[i] = (struct x25519_job){
			.scalar = &scalars[i], .point = &points[i], .product = &products[i]};
	}
	for (unsigned alone = 0; alone < 2; alone++) {
		memset(products, 0xaa, sizeof(products));
		for (unsigned i = 0; alone && i < X25519_CASES; i++)
			x25519_burst(&jobs[i], 1);
		if (!alone)
			x25519_burst(jobs, X25519_CASES);
		for (unsigned i = 0; i < X25519_CASES; i++) {
			struct key expected = unhex(x25519_cases[i].shared);

			if (memcmp(&products[i], &expected, KEY_SIZE) != 0)
				fail_msg("case %u: another answer", x25519_cases[i].number);
			assert_int_equal(jobs[i].zero, key_is_zero(&expected));
		}
	}
}

/* Points of low order among others, each at each place: they alone give zero. */
static void check_low_order(void)
{
	struct key scalars[8], points[8], products[8], good = {{9}}, base[8];
	struct x25519_job jobs[8];

	for (unsigned i = 0; i < 8; i++) {
		memset(&scalars[i], (int)i + 1, KEY_SIZE);
		assert_int_equal(key_public(&scalars[i], &base[i]), 0);
	}
	for (unsigned low = 0; low < LOW_ORDER_POINTS; low++) {
		for (unsigned k = 0; k < 8; k++) {
			for (unsigned i = 0; i < 8; i++) {
				points[i] = good;
				jobs[i] = (struct x25519_job){
					&scalars[i], &points[i], &products[i], i != k};
			}
			memcpy(&points[k], low_order_points[low], KEY_SIZE);
			memset(products, 0xaa, sizeof(products));
			x25519_burst(jobs, 8);
			for (unsigned i = 0; i < 8; i++) {
				assert_int_equal(jobs[i].zero, i == k);
				assert_int_equal(key_is_zero(&products[i]), i == k);
				if (i != k)
					assert_memory_equal(&products[i], &base[i], KEY_SIZE);
			}
		}
	}
}

/* Any count, keys at odd addresses, shared scalars and points: nothing beyond a product is
 * written, nothing but products and `zero`. */
static void check_every_count(void)
{
	static uint8_t room[JOBS * STRIDE], before[JOBS * STRIDE];
	struct x25519_job jobs[JOBS + 1];
	struct key expected;

	for (unsigned count = 0; count <= JOBS; count++) {
		randombytes_buf_deterministic(room, sizeof(room), (uint8_t[32]){(uint8_t)count});
		memset(jobs, 0x5a, sizeof(jobs));
		for (unsigned i = 0; i < count; i++) {
			uint8_t *at = room + (size_t)i * STRIDE;

			jobs[i] = (struct x25519_job){
				.scalar = (struct key *)(void *)(i % 3 == 2 ? at - STRIDE + 1
									    : at + 1),
				.point = i % 5 == 4 ? NULL : (struct key *)(void *)(at + 34),
				.product = (struct key *)(void *)(at + 71),
			};
		}
		memcpy(before, room, sizeof(room));
		x25519_burst(jobs, count);
		for (unsigned i = 0; i < count; i++) {
			int rc = jobs[i].point == NULL
					 ? crypto_scalarmult_base(
						   expected.bytes, jobs[i].scalar->bytes)
					 : crypto_scalarmult(expected.bytes, jobs[i].scalar->bytes,
						   jobs[i].point->bytes);

			assert_int_equal(rc, 0);
			assert_memory_equal(jobs[i].product, &expected, KEY_SIZE);
			memcpy(before + (size_t)i * STRIDE + 71, &expected, KEY_SIZE);
		}
		assert_memory_equal(room, before, sizeof(room));
		for (unsigned i = 0; i < sizeof(jobs[0]); i++)
			assert_int_equal(((uint8_t *)&jobs[count])[i], 0x5a);
	}
}

static void rfc_7748_answers(void **state)
{
	with_each(check_rfc_answers);
}

static void rfc_7748_iterations(void **state)
{
	with_each(check_rfc_iterations);
}

static void rfc_7748_exchange(void **state)
{
	with_each(check_rfc_exchange);
}

static void edge_cases(void **state)
{
	with_each(check_edge_cases);
}

static void low_order_gives_zero(void **state)
{
	with_each(check_low_order);
}

static void every_count(void **state)
{
	with_each(check_every_count);
}

/* Without a name: one that can run here, and right for any count. */
static void one_is_chosen(void **state)
{
	assert_int_equal(x25519_select("avx"), -ENOENT);
	assert_int_equal(x25519_select(""), -ENOENT);
	assert_int_equal(x25519_select(NULL), 0);
	print_message("%s\n", x25519_description());
	assert_non_null(strstr(x25519_description(), x25519_name()));
	check_every_count();
	check_rfc_iterations();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_7748_answers),
		cmocka_unit_test(rfc_7748_iterations),
		cmocka_unit_test(rfc_7748_exchange),
		cmocka_unit_test(edge_cases),
		cmocka_unit_test(low_order_gives_zero),
		cmocka_unit_test(every_count),
		cmocka_unit_test(one_is_chosen),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
