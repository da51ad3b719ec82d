/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random bursts: every implementation against libsodium called directly, one packet at a time.
 * AEAD_TEST_PACKETS sets how many packets (default 100,000), AEAD_TEST_SEED repeats a run.
 *
 * Each packet lies between guard bytes which nobody may change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/aead/aead.h"

enum {
	LENGTH_MAX = 9216,
	GUARD = 64,
	SLOT = (GUARD + 64 + LENGTH_MAX + AEAD_TAG_SIZE + GUARD + 63) / 64 * 64,
	ARENA = AEAD_BURST_MAX * SLOT,
	IMPLEMENTATIONS_MAX = 16,
	GUARD_BYTE = 0xa5,
};

static struct aead *aeads[IMPLEMENTATIONS_MAX];
static const char *names[IMPLEMENTATIONS_MAX];
static unsigned n_aeads;
static uint64_t seed;
static uint8_t *plain, *sealed, *work, *other, *noise;

/* splitmix64 */
static uint64_t draw(void)
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint32_t below(uint32_t bound)
{
	return (uint32_t)(draw() % bound);
}

struct burst {
	unsigned n;
	bool in_place;
	uint8_t keys[AEAD_BURST_MAX][AEAD_KEY_SIZE + 1];
	uint64_t counter[AEAD_BURST_MAX];
	uint32_t length[AEAD_BURST_MAX];
	uint32_t offset[AEAD_BURST_MAX];       /* of the packet in its arena */
	uint32_t other_offset[AEAD_BURST_MAX]; /* where the result goes if not in place */
	const uint8_t *key[AEAD_BURST_MAX];
};

static uint32_t draw_length(void)
{
	switch (below(8)) {
	case 0:
		return below(LENGTH_MAX + 1);
	case 1:
		return below(2049);
	case 2:
		return 1420;
	case 3:
		return below(65) * 16;
	case 4:
		return below(17) * 64 + below(3);
	default:
		return below(300);
	}
}

static void draw_burst(struct burst *b)
{
	unsigned mode = below(7), keys;
	uint32_t same = draw_length();

	b->n = mode == 0 ? 1 + below(4) : 1 + below(mode == 1 ? AEAD_BURST_MAX : 64);
	b->in_place = below(2);
	keys = below(2) ? b->n : 1 + below(b->n);
	for (unsigned i = 0; i < b->n; i++) {
		randombytes_buf_deterministic(
			b->keys[i], AEAD_KEY_SIZE + 1, (uint8_t[32]){draw() & 0xff, i, 7});
		b->key[i] = b->keys[i % keys] + i % 2;
		b->counter[i] = below(2) ? draw() : below(1000);
		b->length[i] = mode == 2 ? same : draw_length();
		if (mode == 6) /* no two alike */
			b->length[i] = (same + i * 36) % (LENGTH_MAX + 1);
		b->offset[i] = i * SLOT + GUARD + below(64);
		b->other_offset[i] = i * SLOT + GUARD + below(64);
	}
}

static void set_guards(uint8_t *arena, const uint32_t *offset, const struct burst *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		memset(arena + offset[i] - GUARD, GUARD_BYTE, GUARD);
		memset(arena + offset[i] + b->length[i] + AEAD_TAG_SIZE, GUARD_BYTE, GUARD);
	}
}

static void check_guards(
	const uint8_t *arena, const uint32_t *offset, const struct burst *b, unsigned after)
{
	static uint8_t expected[GUARD];

	memset(expected, GUARD_BYTE, GUARD);
	for (unsigned i = 0; i < b->n; i++) {
		assert_memory_equal(arena + offset[i] - GUARD, expected, GUARD);
		/* An opened packet leaves its tag's 16 bytes alone, or at least to itself. */
		assert_memory_equal(arena + offset[i] + b->length[i] + after, expected, GUARD);
	}
}

static void make_reference(const struct burst *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		uint8_t nonce[12] = {0};

		memcpy(plain + b->offset[i], noise + below(LENGTH_MAX), b->length[i]);
		for (unsigned k = 0; k < 8; k++)
			nonce[4 + k] = (uint8_t)(b->counter[i] >> 8 * k);
		crypto_aead_chacha20poly1305_ietf_encrypt(sealed + b->offset[i], NULL,
			plain + b->offset[i], b->length[i], NULL, 0, NULL, nonce, b->key[i]);
	}
}

static void fill(struct aead_packet *packets, const struct burst *b, bool opening)
{
	const uint8_t *from = opening ? sealed : plain;

	for (unsigned i = 0; i < b->n; i++) {
		uint32_t size = b->length[i] + (opening ? AEAD_TAG_SIZE : 0);
		uint8_t *to = other + b->other_offset[i];

		memcpy(work + b->offset[i], from + b->offset[i], size);
		if (b->in_place)
			to = work + b->offset[i];
		packets[i] = (struct aead_packet){
			.key = b->key[i],
			.counter = b->counter[i],
			.src = work + b->offset[i],
			.dst = to,
			.length = b->length[i],
			.ok = !opening,
		};
	}
	set_guards(work, b->offset, b);
	set_guards(other, b->other_offset, b);
}

static void check_seal(unsigned which, const struct burst *b, struct aead_packet *packets)
{
	fill(packets, b, false);
	aead_seal(aeads[which], packets, b->n);
	for (unsigned i = 0; i < b->n; i++) {
		if (memcmp(packets[i].dst, sealed + b->offset[i], b->length[i] + AEAD_TAG_SIZE) !=
			0)
			fail_msg("%s seals packet %u of %u wrongly: %u bytes", names[which], i,
				b->n, b->length[i]);
		if (!b->in_place)
			assert_memory_equal(packets[i].src, plain + b->offset[i], b->length[i]);
	}
	check_guards(work, b->offset, b, AEAD_TAG_SIZE);
	check_guards(other, b->other_offset, b, AEAD_TAG_SIZE);
}

static void check_open(unsigned which, const struct burst *b, struct aead_packet *packets)
{
	bool forged[AEAD_BURST_MAX] = {false};
	unsigned genuine = b->n;

	fill(packets, b, true);
	for (unsigned i = 0; i < b->n; i++) {
		uint32_t bit;

		if (below(4) != 0)
			continue;
		/* Half of the forgeries are in the tag. */
		bit = below(2) ? 8 * b->length[i] + below(8 * AEAD_TAG_SIZE)
			       : below(8 * (b->length[i] + AEAD_TAG_SIZE));
		work[b->offset[i] + bit / 8] ^= (uint8_t)(1 << bit % 8);
		forged[i] = true;
		genuine--;
	}
	assert_int_equal(aead_open(aeads[which], packets, b->n), genuine);
	for (unsigned i = 0; i < b->n; i++) {
		if (packets[i].ok == forged[i])
			fail_msg("%s: packet %u of %u, %u bytes, %s", names[which], i, b->n,
				b->length[i], forged[i] ? "forged, accepted" : "genuine, refused");
		if (!forged[i] && memcmp(packets[i].dst, plain + b->offset[i], b->length[i]) != 0)
			fail_msg("%s opens packet %u of %u wrongly: %u bytes", names[which], i,
				b->n, b->length[i]);
	}
	check_guards(work, b->offset, b, AEAD_TAG_SIZE);
	check_guards(other, b->other_offset, b, AEAD_TAG_SIZE);
}

static void random_bursts_agree(void **state)
{
	static struct burst b;
	static struct aead_packet packets[AEAD_BURST_MAX];
	const char *text = getenv("AEAD_TEST_PACKETS");
	uint64_t left = text ? strtoull(text, NULL, 0) : 100000;

	print_message("AEAD_TEST_SEED=0x%llx\n", (unsigned long long)seed);
	while (left > 0) {
		draw_burst(&b);
		make_reference(&b);
		for (unsigned which = 0; which < n_aeads; which++) {
			check_seal(which, &b, packets);
			check_open(which, &b, packets);
		}
		left -= left < b.n ? left : b.n;
	}
}

/* One burst for each alignment holds a run of consecutive lengths, so all pairs occur. */
static void every_length_at_every_alignment(void **state)
{
	static struct burst b;
	static struct aead_packet packets[AEAD_BURST_MAX];

	for (uint32_t length = 0; length <= 2048; length++) {
		b.n = 64;
		b.in_place = length % 2;
		for (unsigned i = 0; i < b.n; i++) {
			memset(b.keys[i], (int)(length + i), AEAD_KEY_SIZE);
			b.key[i] = b.keys[i];
			b.counter[i] = i;
			b.length[i] = length;
			b.offset[i] = i * SLOT + GUARD + i;
			b.other_offset[i] = i * SLOT + GUARD + (i * 7 + length) % 64;
		}
		make_reference(&b);
		for (unsigned which = 0; which < n_aeads; which++) {
			check_seal(which, &b, packets);
			check_open(which, &b, packets);
		}
	}
}

static void every_burst_size(void **state)
{
	static struct burst b;
	static struct aead_packet packets[AEAD_BURST_MAX];

	for (unsigned n = 1; n <= AEAD_BURST_MAX; n++) {
		draw_burst(&b);
		for (unsigned i = b.n; i < n; i++) {
			b.key[i] = b.keys[i % b.n];
			b.counter[i] = i;
			b.offset[i] = i * SLOT + GUARD + below(64);
			b.other_offset[i] = i * SLOT + GUARD + below(64);
		}
		b.n = n;
		for (unsigned i = 0; i < n; i++)
			b.length[i] = n % 2 ? below(600) : n;
		make_reference(&b);
		for (unsigned which = 0; which < n_aeads; which++) {
			check_seal(which, &b, packets);
			check_open(which, &b, packets);
		}
	}
}

static int set_up(void **state)
{
	const char *name, *text = getenv("AEAD_TEST_SEED");
	int error;

	if (sodium_init() < 0)
		return -1;
	if (text)
		seed = strtoull(text, NULL, 0);
	else
		seed = 20261121;
	for (unsigned i = 0; (name = aead_name_at(i)) != NULL; i++) {
		if (aead_select(name) != 0)
			continue;
		names[n_aeads] = name;
		aeads[n_aeads] = aead_create(&error);
		if (!aeads[n_aeads++])
			return -1;
	}
	plain = calloc(4, ARENA);
	noise = malloc(2 * LENGTH_MAX);
	if (!plain || !noise)
		return -1;
	sealed = plain + ARENA;
	work = sealed + ARENA;
	other = work + ARENA;
	randombytes_buf_deterministic(noise, 2 * LENGTH_MAX, (uint8_t[32]){seed & 0xff, 3});
	return 0;
}

static int tear_down(void **state)
{
	while (n_aeads > 0)
		aead_destroy(&aeads[--n_aeads]);
	free(plain);
	free(noise);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_bursts_agree),
		cmocka_unit_test(every_length_at_every_alignment),
		cmocka_unit_test(every_burst_size),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
