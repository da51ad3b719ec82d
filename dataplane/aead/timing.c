/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * aead-timing: does the time of an implementation depend on what it must not depend on?
 *
 * Two classes of the same burst are timed in random order, and Welch's t says how far their means
 * lie apart, in standard errors. |t| beyond 4.5 that grows with the number of samples is evidence
 * of a leak; below it is no proof, only a failure to see one. Classes:
 *
 *   key      an all-zero key and plaintext against random ones
 *   tag      a tag that is wrong in its first bit against one that is wrong in its last
 *
 * Samples above the 95th percentile of all are dropped: those are interrupts.
 */
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#include "dataplane/aead/aead.h"

enum { PACKETS = 32, LENGTH = 300, SAMPLES = 40000, ROOM = LENGTH + AEAD_TAG_SIZE };

struct sample {
	uint32_t cycles;
	uint8_t class;
};

static struct sample samples[SAMPLES];
static uint8_t inputs[2][PACKETS][ROOM]; /* of either class */
static uint8_t keys[2][PACKETS][AEAD_KEY_SIZE];
static uint8_t work[PACKETS][ROOM], key[PACKETS][AEAD_KEY_SIZE];
static struct aead_packet packets[PACKETS];

static void describe(void)
{
	for (unsigned i = 0; i < PACKETS; i++)
		packets[i] = (struct aead_packet){.key = key[i],
			.counter = i,
			.src = work[i],
			.dst = work[i],
			.length = LENGTH};
}

static void prepare_keys(void)
{
	sodium_memzero(inputs[0], sizeof(inputs[0]));
	sodium_memzero(keys[0], sizeof(keys[0]));
	randombytes_buf(inputs[1], sizeof(inputs[1]));
	randombytes_buf(keys[1], sizeof(keys[1]));
}

static void prepare_tags(struct aead *aead)
{
	randombytes_buf(keys[0], sizeof(keys[0]));
	memcpy(keys[1], keys[0], sizeof(keys[0]));
	memcpy(key, keys[0], sizeof(key));
	randombytes_buf(work, sizeof(work));
	describe();
	aead_seal(aead, packets, PACKETS);
	for (unsigned i = 0; i < PACKETS; i++) {
		memcpy(inputs[0][i], work[i], ROOM);
		memcpy(inputs[1][i], work[i], ROOM);
		inputs[0][i][LENGTH] ^= 1;
		inputs[1][i][LENGTH + AEAD_TAG_SIZE - 1] ^= 0x80;
	}
}

/* Reads both, takes one: the caches must not know which. */
static void pick(uint8_t *out, const uint8_t *a, const uint8_t *b, size_t size, uint8_t class)
{
	const uint8_t mask = (uint8_t) - class;

	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(a[i] ^ ((a[i] ^ b[i]) & mask));
}

/* The same memory for both classes: only its contents differ. */
static void take_samples(struct aead *aead, bool opening)
{
	for (unsigned i = 0; i < SAMPLES; i++) {
		uint8_t class = (uint8_t)(randombytes_random() & 1);
		uint64_t start;
		unsigned aux;

		pick(work[0], inputs[0][0], inputs[1][0], sizeof(work), class);
		pick(key[0], keys[0][0], keys[1][0], sizeof(key), class);
		describe();
		_mm_lfence();
		start = __rdtsc();
		if (opening)
			aead_open(aead, packets, PACKETS);
		else
			aead_seal(aead, packets, PACKETS);
		samples[i].cycles = (uint32_t)(__rdtscp(&aux) - start);
		samples[i].class = class;
	}
}

static int compare(const void *a, const void *b)
{
	uint32_t x = ((const struct sample *)a)->cycles, y = ((const struct sample *)b)->cycles;

	return (x > y) - (x < y);
}

static double welch(double mean[2])
{
	double n[2] = {0}, squares[2] = {0};

	mean[0] = mean[1] = 0;
	qsort(samples, SAMPLES, sizeof(samples[0]), compare);
	for (unsigned i = 0; i < SAMPLES / 100 * 95; i++) {
		unsigned c = samples[i].class;
		double delta = samples[i].cycles - mean[c];

		n[c]++;
		mean[c] += delta / n[c];
		squares[c] += delta * (samples[i].cycles - mean[c]);
	}
	return (mean[0] - mean[1]) /
	       sqrt(squares[0] / (n[0] - 1) / n[0] + squares[1] / (n[1] - 1) / n[1]);
}

static void report(const char *name, const char *class)
{
	double mean[2], t = welch(mean);

	printf("%-14s %-4s %12.1f %12.1f %8.2f\n", name, class, mean[0], mean[1], t);
}

int main(void)
{
	const char *name;
	int error;

	if (sodium_init() < 0)
		return 1;
	printf("%-14s %-4s %12s %12s %8s\n", "impl", "test", "cycles A", "cycles B", "t");
	for (unsigned i = 0; (name = aead_name_at(i)) != NULL; i++) {
		struct aead *aead;

		if (aead_select(name) != 0)
			continue;
		aead = aead_create(&error);
		if (!aead)
			return 1;
		prepare_keys();
		take_samples(aead, false);
		report(name, "key");
		prepare_tags(aead);
		take_samples(aead, true);
		report(name, "tag");
		aead_destroy(&aead);
	}
	return 0;
}
