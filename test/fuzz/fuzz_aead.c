/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as a burst: every implementation seals and opens as libsodium does, refuses what was
 * changed, and touches nothing outside the packets (each is an allocation of its exact size).
 *
 * Input: how many packets; for each two bytes of length, one of flags (in place, changed, shared
 * key) and one that says which bit is changed; the rest fills keys and plaintexts.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/aead/aead.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PACKETS_MAX = 70, LENGTH_MAX = 4096, IMPLEMENTATIONS_MAX = 16 };

struct input {
	uint8_t key[AEAD_KEY_SIZE];
	uint32_t length;
	bool in_place, changed;
	uint32_t bit;
	uint8_t *plain, *sealed, *src, *dst; /* owned; dst is src if in place */
};

static struct aead *aeads[IMPLEMENTATIONS_MAX];
static unsigned n_aeads;

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void create_all(void)
{
	const char *name;
	int error;

	check(sodium_init() >= 0);
	for (unsigned i = 0; (name = aead_name_at(i)) != NULL; i++) {
		if (aead_select(name) != 0)
			continue;
		aeads[n_aeads] = aead_create(&error);
		check(aeads[n_aeads++] != NULL);
	}
}

static void make_input(struct input *in, unsigned counter)
{
	uint8_t nonce[AEAD_NONCE_SIZE] = {0, 0, 0, 0, (uint8_t)counter};

	in->plain = malloc(in->length);
	in->sealed = malloc(in->length + AEAD_TAG_SIZE);
	check((in->plain || in->length == 0) && in->sealed);
	for (uint32_t i = 0; i < in->length; i++)
		in->plain[i] = (uint8_t)(in->key[i % AEAD_KEY_SIZE] + i);
	crypto_aead_chacha20poly1305_ietf_encrypt(
		in->sealed, NULL, in->plain, in->length, NULL, 0, NULL, nonce, in->key);
}

static void describe(struct aead_packet *packets, struct input *in, unsigned n, bool opening)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t in_size = in[i].length + (opening ? AEAD_TAG_SIZE : 0);
		uint32_t out_size = in[i].length + (opening ? 0 : AEAD_TAG_SIZE);
		uint32_t both = in[i].length + AEAD_TAG_SIZE;

		in[i].src = malloc(in[i].in_place ? both : in_size);
		check(in[i].src || in_size == 0);
		if (in_size > 0)
			memcpy(in[i].src, opening ? in[i].sealed : in[i].plain, in_size);
		if (opening && in[i].changed)
			in[i].src[in[i].bit / 8] ^= (uint8_t)(1 << in[i].bit % 8);
		in[i].dst = in[i].in_place ? in[i].src : malloc(out_size);
		check(in[i].dst || out_size == 0);
		packets[i] = (struct aead_packet){
			.key = in[i].key,
			.counter = i,
			.src = in[i].src,
			.dst = in[i].dst,
			.length = in[i].length,
		};
	}
}

static void release(struct input *in, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!in[i].in_place)
			free(in[i].dst);
		free(in[i].src);
	}
}

static void run(struct aead *aead, struct input *in, unsigned n)
{
	static struct aead_packet packets[PACKETS_MAX];
	unsigned genuine = 0;

	describe(packets, in, n, false);
	aead_seal(aead, packets, n);
	for (unsigned i = 0; i < n; i++)
		check(memcmp(in[i].dst, in[i].sealed, in[i].length + AEAD_TAG_SIZE) == 0);
	release(in, n);
	describe(packets, in, n, true);
	for (unsigned i = 0; i < n; i++)
		genuine += !in[i].changed;
	check(aead_open(aead, packets, n) == genuine);
	for (unsigned i = 0; i < n; i++) {
		check(packets[i].ok == !in[i].changed);
		if (packets[i].ok && in[i].length > 0)
			check(memcmp(in[i].dst, in[i].plain, in[i].length) == 0);
	}
	release(in, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct input in[PACKETS_MAX];
	unsigned n;

	if (n_aeads == 0)
		create_all();
	if (size < 1)
		return 0;
	n = 1 + data[0] % PACKETS_MAX;
	if (size < 1 + 4 * (size_t)n)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *row = data + 1 + 4 * i;
		size_t from = 1 + 4 * (size_t)n, room = size - from;

		memset(in[i].key, row[2] & 4 ? 0 : row[3], AEAD_KEY_SIZE);
		for (unsigned k = 0; k < AEAD_KEY_SIZE && room > 0; k++)
			in[i].key[k] ^= data[from + (i + k) % room];
		in[i].length = (row[0] | (uint32_t)row[1] << 8) % (LENGTH_MAX + 1);
		in[i].in_place = row[2] & 1;
		in[i].changed = row[2] & 2;
		in[i].bit = row[3] * 1031u % (8 * (in[i].length + AEAD_TAG_SIZE));
		make_input(&in[i], i);
	}
	for (unsigned i = 0; i < n_aeads; i++)
		run(aeads[i], in, n);
	for (unsigned i = 0; i < n; i++) {
		free(in[i].plain);
		free(in[i].sealed);
	}
	return 0;
}
