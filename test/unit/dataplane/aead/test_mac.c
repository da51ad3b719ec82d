/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernels' Poly1305 by themselves, with keys of our choice: r at its extremes, and messages
 * made so that the accumulator ends at and around 2^130 - 5 and the borders of the limbs.
 * Reference: libsodium's Poly1305, and for making the messages OpenSSL's integers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>
#include <openssl/bn.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/aead/aead_priv.h"
#include "dataplane/aead/avx2.h"
#include "dataplane/aead/avx512.h"

enum { LENGTH_MAX = 2100, ROOM = (LENGTH_MAX + 16 + 63) / 64 * 64 };

static uint64_t seed = 20261121;
static uint8_t data[BURST_PART][ROOM], keys[BURST_PART][32];
static struct burst_mac macs[BURST_PART];
static struct avx512_mac *mac512;
static struct avx2_mac *mac2;

static uint64_t draw(void)
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void draw_bytes(uint8_t *out, size_t size)
{
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(draw() >> 32);
}

static void expect(const struct burst_mac *m, uint8_t tag[16])
{
	static const uint8_t zeros[16];
	uint64_t lengths[2] = {0, m->length};
	crypto_onetimeauth_state state;

	crypto_onetimeauth_init(&state, m->key);
	crypto_onetimeauth_update(&state, m->data, m->length);
	crypto_onetimeauth_update(&state, zeros, -m->length % 16);
	crypto_onetimeauth_update(&state, (const uint8_t *)lengths, sizeof(lengths));
	crypto_onetimeauth_final(&state, tag);
}

static void check(unsigned n, const char *what)
{
	uint8_t tag[BURST_PART][16];

	for (unsigned i = 0; i < n; i++) {
		macs[i].key = keys[i];
		macs[i].data = data[i];
		macs[i].chunks = burst_chunks(macs[i].length);
		expect(&macs[i], tag[i]);
	}
	for (unsigned kernel = 0; kernel < 2; kernel++) {
		if (kernel == 0 ? !mac512 : !mac2)
			continue;
		for (unsigned i = 0; i < n; i++)
			memset(macs[i].tag, 0, sizeof(macs[i].tag));
		if (kernel == 0)
			avx512_mac(mac512, macs, n);
		else
			avx2_mac(mac2, macs, n);
		for (unsigned i = 0; i < n; i++) {
			if (memcmp(macs[i].tag, tag[i], 16) != 0)
				fail_msg("%s: %s, message %u of %u, %u bytes",
					kernel == 0 ? "avx512" : "avx2", what, i, n,
					macs[i].length);
		}
	}
}

/* All-ones and all-zero keys and blocks, for every number of blocks and of messages. */
static void extremes(void **state)
{
	static const uint8_t bytes[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff};
	static const unsigned sizes[] = {1, 2, 7, 8, 9, 31, 32};

	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		for (uint32_t length = 0; length <= 600; length += length < 70 ? 1 : 15) {
			for (unsigned i = 0; i < sizes[s]; i++) {
				memset(keys[i], bytes[draw() % sizeof(bytes)], 16);
				memset(keys[i] + 16, bytes[draw() % sizeof(bytes)], 16);
				memset(data[i], bytes[draw() % sizeof(bytes)], ROOM);
				macs[i].length = length;
			}
			check(sizes[s], "extremes");
		}
	}
}

static void random_messages(void **state)
{
	for (unsigned round = 0; round < 3000; round++) {
		unsigned n = 1 + (unsigned)(draw() % BURST_PART);
		uint32_t most = round % 3 == 0 ? LENGTH_MAX : 200;

		for (unsigned i = 0; i < n; i++) {
			draw_bytes(keys[i], 32);
			draw_bytes(data[i], 64);
			memset(data[i] + 64, data[i][0], 64);
			macs[i].length = (uint32_t)(draw() % (most + 1));
		}
		check(n, "random");
	}
}

struct numbers {
	BN_CTX *ctx;
	BIGNUM *p, *r, *inverse, *target, *h, *block, *top, *length;
};

static void set_power(BIGNUM *out, int bit, long add)
{
	BN_zero(out);
	if (bit >= 0)
		BN_set_bit(out, bit);
	if (add >= 0)
		BN_add_word(out, (BN_ULONG)add);
	else
		BN_sub_word(out, (BN_ULONG)-add);
}

/* Sets the last block of message i so that the accumulator ends at the target. False if that
 * would need a block of more than 128 bits: then other data are tried. */
static bool steer(struct numbers *b, unsigned i, uint32_t blocks)
{
	static const uint8_t clamp[16] = {0xff, 0xff, 0xff, 0x0f, 0xfc, 0xff, 0xff, 0x0f, 0xfc,
		0xff, 0xff, 0x0f, 0xfc, 0xff, 0xff, 0x0f};
	uint8_t r[16];

	for (unsigned k = 0; k < 16; k++)
		r[k] = keys[i][k] & clamp[k];
	BN_lebin2bn(r, 16, b->r);
	if (!BN_mod_inverse(b->inverse, b->r, b->p, b->ctx))
		return false;
	/* Forward over all blocks but the last. */
	BN_zero(b->h);
	for (uint32_t k = 0; k + 1 < blocks; k++) {
		BN_lebin2bn(data[i] + 16 * k, 16, b->block);
		BN_add(b->block, b->block, b->top);
		BN_mod_add(b->h, b->h, b->block, b->p, b->ctx);
		BN_mod_mul(b->h, b->h, b->r, b->p, b->ctx);
	}
	/* Backward from the target over the length block: ((h + m) r + l) r = target. */
	BN_set_word(b->length, blocks * 16);
	BN_lshift(b->length, b->length, 64);
	BN_add(b->length, b->length, b->top);
	BN_mod_mul(b->block, b->target, b->inverse, b->p, b->ctx);
	BN_mod_sub(b->block, b->block, b->length, b->p, b->ctx);
	BN_mod_mul(b->block, b->block, b->inverse, b->p, b->ctx);
	BN_mod_sub(b->block, b->block, b->h, b->p, b->ctx);
	BN_mod_sub(b->block, b->block, b->top, b->p, b->ctx);
	if (BN_num_bits(b->block) > 128)
		return false;
	BN_bn2lebinpad(b->block, data[i] + 16 * (blocks - 1), 16);
	return true;
}

/* At and around 0, p and each border of the limbs of either radix. */
static void accumulator_edges(void **state)
{
	static const int bits[] = {-1, 26, 44, 52, 64, 78, 88, 96, 104, 128, 129, 130};
	struct numbers b = {BN_CTX_new(), BN_new(), BN_new(), BN_new(), BN_new(), BN_new(),
		BN_new(), BN_new(), BN_new()};
	unsigned hits = 0;

	set_power(b.p, 130, -5);
	set_power(b.top, 128, 0);
	for (unsigned bit = 0; bit < sizeof(bits) / sizeof(bits[0]); bit++) {
		for (long add = bits[bit] < 0 ? 0 : -6; add <= 6; add++) {
			uint32_t blocks = 1 + (uint32_t)(draw() % 40);
			unsigned n = 1 + (unsigned)(draw() % BURST_PART);

			set_power(b.target, bits[bit], add);
			if (BN_cmp(b.target, b.p) >= 0)
				BN_sub(b.target, b.target, b.p);
			for (unsigned i = 0; i < n; i++) {
				macs[i].length = blocks * 16;
				for (unsigned attempt = 0; attempt < 64; attempt++) {
					draw_bytes(keys[i], 32);
					if (attempt % 2)
						memset(keys[i], 0, 16), keys[i][0] = 1;
					if (draw() % 2)
						memset(keys[i] + 16, 0xff, 16);
					draw_bytes(data[i], 16 * blocks);
					if (steer(&b, i, blocks)) {
						hits++;
						break;
					}
				}
			}
			check(n, "accumulator edge");
		}
	}
	/* A block fits 128 bits once in four attempts: nearly all messages were steered. */
	assert_true(hits > 1000);
	BN_CTX_free(b.ctx);
	BN_free(b.p), BN_free(b.r), BN_free(b.inverse), BN_free(b.target), BN_free(b.h);
	BN_free(b.block), BN_free(b.top), BN_free(b.length);
}

static int set_up(void **state)
{
	if (sodium_init() < 0)
		return -1;
	if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
		__builtin_cpu_supports("avx512ifma")) {
		mac512 = aligned_alloc(64, (sizeof(*mac512) + 63) / 64 * 64);
		memset(mac512, 0, sizeof(*mac512));
	}
	if (__builtin_cpu_supports("avx2")) {
		mac2 = aligned_alloc(64, (sizeof(*mac2) + 63) / 64 * 64);
		memset(mac2, 0, sizeof(*mac2));
	}
	return 0;
}

/* Wiping leaves nothing of keys, powers and sums. */
static void wiped(void **state)
{
	if (!mac512)
		skip();
	avx512_mac_wipe(mac512);
	for (unsigned i = 0; i < BURST_PART; i++) {
		draw_bytes(keys[i], 32);
		macs[i].length = i % 3 == 0 ? 1000 + i : i;
	}
	check(BURST_PART, "before wiping");
	avx512_mac_wipe(mac512);
	assert_true(sodium_is_zero(
		(const uint8_t *)mac512->batch[0].power, sizeof(mac512->batch[0].power)));
	for (unsigned i = 0; i < AVX512_MAC_BATCHES; i++)
		assert_true(sodium_is_zero(
			(const uint8_t *)&mac512->batch[i], sizeof(mac512->batch[i])));
	assert_true(
		sodium_is_zero((const uint8_t *)mac512->lane_power, sizeof(mac512->lane_power)));
	assert_true(
		sodium_is_zero((const uint8_t *)mac512->high_power, sizeof(mac512->high_power)));
	assert_true(sodium_is_zero((const uint8_t *)mac512->spill, sizeof(mac512->spill)));
}

/* Neither in the order of bytes nor spread over lanes: each word several times, side by side. */
static bool holds(const uint8_t *from, size_t size, const uint8_t *secret, size_t bytes)
{
	for (size_t at = 0; at + 16 <= bytes; at += 16) {
		uint8_t lanes[8];

		memcpy(lanes, secret + at, 4);
		memcpy(lanes + 4, secret + at, 4);
		if (memmem(from, size, secret + at, 16) || memmem(from, size, lanes, 8))
			return true;
	}
	return false;
}

/* After a burst an implementation's state holds no key, no keystream and no Poly1305 key. */
static void nothing_is_left(void **state)
{
	static const struct aead_ops *const kernels[] = {&aead_avx512, &aead_avx2};
	enum { PACKETS = 40, LENGTH = 300, STREAM = 64 + (LENGTH + 63) / 64 * 64 };
	static uint8_t text[PACKETS][LENGTH + AEAD_TAG_SIZE], stream[STREAM];
	struct aead_packet packets[PACKETS];
	uint8_t key[32];
	int error;

	if (!aead_avx512.is_supported() && !aead_avx2.is_supported())
		skip();
	draw_bytes(key, sizeof(key));
	draw_bytes(text[0], sizeof(text));
	for (unsigned i = 0; i < PACKETS; i++)
		packets[i] = (struct aead_packet){
			.key = key, .counter = i, .src = text[i], .dst = text[i], .length = LENGTH};
	for (unsigned k = 0; k < 2; k++) {
		void *aead;
		size_t size;

		if (!kernels[k]->is_supported())
			continue;
		aead = kernels[k]->create(&error);
		size = malloc_usable_size(aead);
		assert_true(size > 2048);
		for (unsigned opening = 0; opening < 2; opening++) {
			(opening ? kernels[k]->open : kernels[k]->seal)(aead, packets, PACKETS);
			if (holds(aead, size, key, sizeof(key)))
				fail_msg("%s leaves the key", kernels[k]->name);
			for (unsigned i = 0; i < PACKETS; i++) {
				uint8_t nonce[AEAD_NONCE_SIZE];

				assert_true(!opening || packets[i].ok);
				aead_nonce(nonce, i);
				crypto_stream_chacha20_ietf(stream, STREAM, nonce, key);
				if (holds(aead, size, stream, STREAM))
					fail_msg("%s leaves keystream", kernels[k]->name);
			}
		}
		kernels[k]->destroy(aead);
	}
}

static int tear_down(void **state)
{
	free(mac512);
	free(mac2);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extremes),
		cmocka_unit_test(random_messages),
		cmocka_unit_test(accumulator_edges),
		cmocka_unit_test(wiped),
		cmocka_unit_test(nothing_is_left),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
