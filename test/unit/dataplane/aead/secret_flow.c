/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Seals and opens with the keys and plaintexts marked as undefined memory: under memcheck a branch
 * or an address that depends on them is an error. What is public by the protocol is defined again:
 * ciphertexts, tags, and whether a tag is genuine. The AVX-512 kernel is the one compiled against
 * the plain-C model of its intrinsics.
 *
 * secret_flow [leak]: with `leak` it branches on a key, which the checker must find.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "dataplane/aead/aead_priv.h"

enum { PACKETS = 40, ROOM = 3000 };

static uint8_t keys[PACKETS][AEAD_KEY_SIZE];
static uint8_t data[PACKETS][ROOM];
static struct aead_packet packets[PACKETS];

static void describe(const uint32_t *lengths, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		packets[i] = (struct aead_packet){
			.key = keys[i],
			.counter = i,
			.src = data[i] + i % 61,
			.dst = data[i] + i % 61,
			.length = lengths[i],
		};
	}
}

static void run_burst(const struct aead_ops *ops, void *state, const uint32_t *lengths, unsigned n)
{
	describe(lengths, n);
	for (unsigned i = 0; i < n; i++) {
		randombytes_buf(keys[i], AEAD_KEY_SIZE);
		VALGRIND_MAKE_MEM_UNDEFINED(keys[i], AEAD_KEY_SIZE);
		VALGRIND_MAKE_MEM_UNDEFINED(packets[i].dst, lengths[i]);
	}
	ops->seal(state, packets, n);
	for (unsigned i = 0; i < n; i++)
		VALGRIND_MAKE_MEM_DEFINED(packets[i].dst, lengths[i] + AEAD_TAG_SIZE);
	data[n / 2][(n / 2) % 61 + lengths[n / 2]] ^= 1;
	ops->open(state, packets, n);
	for (unsigned i = 0; i < n; i++) {
		VALGRIND_MAKE_MEM_DEFINED(&packets[i].ok, sizeof(packets[i].ok));
		if (packets[i].ok == (i == n / 2)) {
			fprintf(stderr, "%s: packet %u of %u, wrong verdict\n", ops->name, i, n);
			exit(1);
		}
	}
}

/* Bursts that take each way through the kernels: few and many, equal and mixed. */
static void run_all(const struct aead_ops *ops)
{
	static const uint32_t alike[] = {0, 1, 48, 64, 100, 512, 1420};
	static const unsigned sizes[] = {1, 3, 8, 32, PACKETS};
	uint32_t lengths[PACKETS];
	int error;
	void *state = ops->create(&error);

	for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		for (unsigned a = 0; a < sizeof(alike) / sizeof(alike[0]); a++) {
			for (unsigned i = 0; i < sizes[s]; i++)
				lengths[i] = alike[a];
			run_burst(ops, state, lengths, sizes[s]);
		}
		for (unsigned i = 0; i < sizes[s]; i++)
			lengths[i] = i % 5 == 0 ? 2048 + i : i * 37 % 700;
		run_burst(ops, state, lengths, sizes[s]);
	}
	ops->destroy(state);
	printf("%s: done\n", ops->name);
}

int main(int argc, char **argv)
{
	if (sodium_init() < 0)
		return 1;
	run_all(&aead_avx512);
	if (aead_avx2.is_supported())
		run_all(&aead_avx2);
	if (argc > 1 && strcmp(argv[1], "leak") == 0) {
		VALGRIND_MAKE_MEM_UNDEFINED(keys[0], AEAD_KEY_SIZE);
		if (keys[0][0] & 1)
			puts("leaked");
	}
	return 0;
}
