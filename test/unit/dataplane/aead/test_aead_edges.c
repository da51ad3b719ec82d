/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that touch pages nobody may touch, on either side, and forged tags in every bit: for
 * every implementation. A byte read or written outside a packet ends the test with a signal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dataplane/aead/aead.h"

enum { SLOTS = 40, ROOM = 4096, IMPLEMENTATIONS_MAX = 16 };

static struct aead *aeads[IMPLEMENTATIONS_MAX];
static const char *names[IMPLEMENTATIONS_MAX];
static unsigned n_aeads;
static uint8_t *islands; /* two for each slot, ROOM bytes between pages without access */
static size_t page;
static uint8_t key[AEAD_KEY_SIZE] = {1, 2, 3};

static uint8_t *island(unsigned slot, unsigned which)
{
	return islands + (size_t)(2 * slot + which) * (ROOM + page) + page;
}

/* Where `size` bytes lie that begin or end at the border. */
static uint8_t *place(unsigned slot, unsigned which, size_t size, bool at_end)
{
	return island(slot, which) + (at_end ? ROOM - size : 0);
}

static void seal_reference(uint8_t *out, const uint8_t *plain, uint32_t length, unsigned counter)
{
	uint8_t nonce[AEAD_NONCE_SIZE] = {0, 0, 0, 0, (uint8_t)counter};

	crypto_aead_chacha20poly1305_ietf_encrypt(
		out, NULL, plain, length, NULL, 0, NULL, nonce, key);
}

/* n packets of lengths length, length + step, ...: sealed and opened, in place or not. */
static void run(
	unsigned which, uint32_t length, uint32_t step, unsigned n, bool at_end, bool in_place)
{
	static uint8_t plain[SLOTS][ROOM], sealed[SLOTS][ROOM];
	struct aead_packet packets[SLOTS];

	for (unsigned i = 0; i < n; i++) {
		uint32_t size = length + i * step;

		memset(plain[i], (int)(i + length), size);
		seal_reference(sealed[i], plain[i], size, i);
		packets[i] = (struct aead_packet){.key = key, .counter = i, .length = size};
		packets[i].dst = place(i, 0, size + AEAD_TAG_SIZE, at_end);
		packets[i].src = in_place ? packets[i].dst : place(i, 1, size, at_end);
		memcpy((uint8_t *)packets[i].src, plain[i], size);
	}
	aead_seal(aeads[which], packets, n);
	for (unsigned i = 0; i < n; i++) {
		uint32_t size = packets[i].length;

		if (memcmp(packets[i].dst, sealed[i], size + AEAD_TAG_SIZE) != 0)
			fail_msg("%s seals %u bytes wrongly", names[which], size);
		packets[i].src = place(i, 1, size + AEAD_TAG_SIZE, at_end);
		packets[i].dst = in_place ? (uint8_t *)packets[i].src : place(i, 0, size, at_end);
		memcpy((uint8_t *)packets[i].src, sealed[i], size + AEAD_TAG_SIZE);
	}
	if (aead_open(aeads[which], packets, n) != n)
		fail_msg("%s refuses %u bytes", names[which], length);
	for (unsigned i = 0; i < n; i++) {
		if (memcmp(packets[i].dst, plain[i], packets[i].length) != 0)
			fail_msg("%s opens %u bytes wrongly", names[which], packets[i].length);
	}
}

static void nothing_outside_is_touched(void **state)
{
	for (unsigned which = 0; which < n_aeads; which++) {
		for (uint32_t length = 0; length <= 2048; length++) {
			unsigned n = 1 + length % 9;

			run(which, length, 0, n, length % 2, length % 3);
			run(which, length, 0, n, !(length % 2), !(length % 3));
			if (length % 31 == 0) {
				run(which, length % 700, 33, SLOTS, true, false);
				run(which, length % 700, 16, SLOTS, false, true);
			}
		}
	}
}

/* Packet i has bit i of its tag wrong, but for one that is genuine. */
static void every_bit_of_the_tag_counts(void **state)
{
	static uint8_t data[8 * AEAD_TAG_SIZE][80 + AEAD_TAG_SIZE];
	struct aead_packet packets[8 * AEAD_TAG_SIZE];

	for (unsigned which = 0; which < n_aeads; which++) {
		for (unsigned genuine = 0; genuine < 8 * AEAD_TAG_SIZE; genuine++) {
			uint32_t length = genuine % 81;

			for (unsigned i = 0; i < 8 * AEAD_TAG_SIZE; i++) {
				uint8_t plain[80] = {(uint8_t)i};

				seal_reference(data[i], plain, length, i);
				if (i != genuine)
					data[i][length + i / 8] ^= (uint8_t)(1 << i % 8);
				packets[i] = (struct aead_packet){.key = key,
					.counter = i,
					.src = data[i],
					.dst = data[i],
					.length = length};
			}
			assert_int_equal(aead_open(aeads[which], packets, 8 * AEAD_TAG_SIZE), 1);
			assert_true(packets[genuine].ok);
		}
	}
}

static int set_up(void **state)
{
	const char *name;
	int error;

	if (sodium_init() < 0)
		return -1;
	page = (size_t)sysconf(_SC_PAGESIZE);
	islands = mmap(NULL, 2 * SLOTS * (ROOM + page) + page, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (islands == MAP_FAILED)
		return -1;
	for (unsigned i = 0; i < 2 * SLOTS; i++) {
		if (mprotect(island(i / 2, i % 2), ROOM, PROT_READ | PROT_WRITE) != 0)
			return -1;
	}
	for (unsigned i = 0; (name = aead_name_at(i)) != NULL; i++) {
		if (aead_select(name) != 0)
			continue;
		names[n_aeads] = name;
		aeads[n_aeads] = aead_create(&error);
		if (!aeads[n_aeads++])
			return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	while (n_aeads > 0)
		aead_destroy(&aeads[--n_aeads]);
	return munmap(islands, 2 * SLOTS * (ROOM + page) + page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_outside_is_touched),
		cmocka_unit_test(every_bit_of_the_tag_counts),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
