/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random bursts of X25519: every implementation against libsodium, and against OpenSSL's own
 * interface for points that it takes. X25519_TEST_JOBS sets how many multiplications (default
 * 3,000), X25519_TEST_SEED repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/x25519/x25519.h"

enum { BURST_MAX = 40, IMPLEMENTATIONS_MAX = 8, LANES_TRIED = 19 };

static const char *names[IMPLEMENTATIONS_MAX];
static unsigned n_names;
static uint64_t seed;
static struct key scalars[BURST_MAX], points[BURST_MAX], products[BURST_MAX], expected[BURST_MAX];
static struct x25519_job jobs[BURST_MAX];

static uint64_t draw(void)
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static struct key draw_bytes(void)
{
	struct key key;

	for (unsigned i = 0; i < KEY_SIZE; i += 8) {
		uint64_t word = draw();

		memcpy(key.bytes + i, &word, 8);
	}
	return key;
}

/* Sets bits from..to - 1. */
static void set_bits(struct key *key, unsigned from, unsigned to, bool ones)
{
	for (unsigned i = from; i < to && i < 256; i++) {
		key->bytes[i / 8] &= (uint8_t) ~(1u << i % 8);
		key->bytes[i / 8] |= (uint8_t)((unsigned)ones << i % 8);
	}
}

/* Random, and where limbs of 43 bits (and of 51) are all ones or zeros; near 0, p, 2 p, 2^256. */
static struct key draw_edge(void)
{
	struct key key = draw_bytes();
	unsigned limb = draw() % 2 ? 43 : 51;
	uint64_t which = draw(), ones = draw();

	switch (draw() % 5) {
	case 0:
		for (unsigned i = 0; i * limb < 256; i++) {
			if ((which >> i & 1) != 0)
				set_bits(&key, i * limb, (i + 1) * limb, ones >> i & 1);
		}
		break;
	case 1:
		memset(&key, ones & 1 ? 0xff : 0, sizeof(key));
		if (ones & 2)
			key.bytes[31] ^= 0x80;
		key.bytes[0] = (uint8_t)which;
		break;
	case 2:
		set_bits(&key, (unsigned)which % 256, 256, ones & 1);
		break;
	default:
		break;
	}
	return key;
}

static void draw_job(unsigned i)
{
	scalars[i] = draw_edge();
	points[i] = draw_edge();
	jobs[i] = (struct x25519_job){
		.scalar = draw() % 8 == 0 ? &scalars[0] : &scalars[i],
		.point = draw() % 8 == 0 ? NULL : &points[i],
		.product = &products[i],
	};
}

static void multiply_by_openssl(const struct key *scalar, const struct key *point, struct key *out)
{
	EVP_PKEY *own =
		EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, scalar->bytes, KEY_SIZE);
	EVP_PKEY *remote =
		EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, point->bytes, KEY_SIZE);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(own, NULL);
	size_t size = KEY_SIZE;

	assert_int_equal(EVP_PKEY_derive_init(context), 1);
	assert_int_equal(EVP_PKEY_derive_set_peer(context, remote), 1);
	assert_int_equal(EVP_PKEY_derive(context, out->bytes, &size), 1);
	assert_int_equal(size, KEY_SIZE);
	EVP_PKEY_CTX_free(context);
	EVP_PKEY_free(remote);
	EVP_PKEY_free(own);
}

/* The answer of libsodium, and of OpenSSL where that does not refuse. */
static void expect(unsigned i)
{
	struct key second;
	int rc = jobs[i].point == NULL
			 ? crypto_scalarmult_base(expected[i].bytes, jobs[i].scalar->bytes)
			 : crypto_scalarmult(
				   expected[i].bytes, jobs[i].scalar->bytes, jobs[i].point->bytes);

	if (rc != 0)
		memset(&expected[i], 0, sizeof(expected[i]));
	if (jobs[i].point == NULL || key_is_zero(&expected[i]))
		return;
	multiply_by_openssl(jobs[i].scalar, jobs[i].point, &second);
	assert_memory_equal(&second, &expected[i], KEY_SIZE);
}

static void check(const char *name, unsigned count)
{
	assert_int_equal(x25519_select(name), 0);
	memset(products, 0xaa, sizeof(products));
	x25519_burst(jobs, count);
	for (unsigned i = 0; i < count; i++) {
		if (memcmp(&products[i], &expected[i], KEY_SIZE) != 0)
			fail_msg("%s: job %u of %u", name, i, count);
		assert_int_equal(jobs[i].zero, key_is_zero(&expected[i]));
	}
}

static void random_bursts_agree(void **state)
{
	const char *text = getenv("X25519_TEST_JOBS");
	unsigned long left = text ? strtoul(text, NULL, 0) : 3000;

	print_message("seed %llu, %lu jobs\n", (unsigned long long)seed, left);
	while (left > 0) {
		unsigned count = 1 + (unsigned)(draw() % BURST_MAX);

		if (count > left)
			count = (unsigned)left;
		for (unsigned i = 0; i < count; i++) {
			draw_job(i);
			expect(i);
		}
		for (unsigned i = 0; i < n_names; i++)
			check(names[i], count);
		left -= count;
	}
}

/* Whatever stands in one lane, zero, low order or random, the others' products stay. */
static void lanes_are_independent(void **state)
{
	static const struct key low_order[] = {{{0}}, {{1}}};

	for (unsigned i = 0; i < LANES_TRIED; i++) {
		scalars[i] = draw_bytes();
		points[i] = draw_bytes();
		jobs[i] = (struct x25519_job){
			.scalar = &scalars[i], .point = &points[i], .product = &products[i]};
		expect(i);
	}
	for (unsigned odd = 0; odd < LANES_TRIED; odd++) {
		const struct key scalar = scalars[odd], point = points[odd],
				 product = expected[odd];

		for (unsigned try = 0; try < 4; try++) {
			points[odd] = try < 2 ? low_order[try] : draw_edge();
			scalars[odd] = try == 3 ? draw_edge() : scalar;
			expect(odd);
			for (unsigned i = 0; i < n_names; i++)
				check(names[i], LANES_TRIED);
		}
		scalars[odd] = scalar;
		points[odd] = point;
		expected[odd] = product;
	}
}

static int set_up(void **state)
{
	const char *name, *text = getenv("X25519_TEST_SEED");

	if (sodium_init() < 0)
		return -1;
	seed = text ? strtoull(text, NULL, 0) : 20261121;
	for (unsigned i = 0; (name = x25519_name_at(i)) != NULL; i++) {
		if (x25519_select(name) == 0)
			names[n_names++] = name;
	}
	return n_names > 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_bursts_agree),
		cmocka_unit_test(lanes_are_independent),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
