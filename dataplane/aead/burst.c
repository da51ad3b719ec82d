/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/aead/burst.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096 };

void *burst_create(size_t size, int *error)
{
	/* Of whole pages: what lies at the same offset in other pages (the caller's packets, the
	 * stack) delays loads, and where the heap puts this by chance made 20 cycles per packet. */
	size_t whole = (size + PAGE - 1) / PAGE * PAGE;
	void *state = aligned_alloc(PAGE, whole);

	if (!state) {
		*error = -ENOMEM;
		return NULL;
	}
	memset(state, 0, whole);
	return state;
}

void burst_destroy(void *state, size_t size)
{
	sodium_memzero(state, size);
	free(state);
}

/* Stores whole words; what is too much is overwritten by the next packet or is overhang. */
static void own(uint8_t *owner, uint8_t packet, uint32_t lanes)
{
	uint64_t word = packet * 0x0101010101010101u;

	for (uint32_t at = 0; at < lanes; at += 32) {
		for (unsigned i = 0; i < 32; i += 8)
			memcpy(owner + at + i, &word, 8);
	}
}

unsigned burst_plan(struct burst *burst, struct aead_packet *packets, unsigned n)
{
	uint32_t lane;

	if (n > BURST_PART)
		n = BURST_PART;
	lane = n;
	for (unsigned i = 0; i < n; i++) {
		uint32_t blocks = (packets[i].length + BURST_BLOCK - 1) / BURST_BLOCK;

		if (lane > BURST_PART_LANES && i > 0 && i % BURST_PART_MIN == 0) {
			/* The lanes laid out so far assumed n key blocks. */
			return burst_plan(burst, packets, i);
		}
		burst->first[i] = lane;
		burst->nonce[0][i] = 0;
		burst->nonce[1][i] = (uint32_t)packets[i].counter;
		burst->nonce[2][i] = (uint32_t)(packets[i].counter >> 32);
		burst->key[i] = packets[i].key;
		own(burst->owner + lane, (uint8_t)i, blocks);
		lane += blocks;
	}
	for (unsigned i = 0; i < n; i++)
		burst->owner[i] = (uint8_t)i;
	burst->packets = packets;
	burst->n = n;
	burst->lanes = lane;
	/* Lanes beyond the last compute a block that nobody uses, of a packet that exists. */
	memset(burst->owner + lane, 0, BURST_OVERHANG);
	return n;
}

void burst_sort(const struct burst_mac *macs, unsigned n, uint8_t order[BURST_PART])
{
	uint16_t rows[BURST_PART] = {0};
	bool sorted = true;

	_Static_assert((AEAD_LENGTH_MAX / 16 + 5) / 4 < 65536 / BURST_PART, "rows fit 16 bits");
	for (unsigned i = 0; i < n; i++) {
		order[i] = (uint8_t)i;
		rows[i] = (uint16_t)(macs[i].chunks * BURST_PART + BURST_PART - 1 - i);
		sorted &= i == 0 || rows[i] < rows[i - 1];
	}
	if (sorted)
		return;
	/* The rank of each row; no branch depends on the lengths, which arrive in any order. */
	for (unsigned i = 0; i < n; i++) {
		uint16_t greater = 0;

		for (unsigned k = 0; k < BURST_PART; k++)
			greater += rows[k] > rows[i];
		order[greater] = (uint8_t)i;
	}
}

void burst_describe(const struct burst *burst, const uint8_t (*keys)[32], bool opening,
	struct burst_mac macs[BURST_PART])
{
	for (unsigned i = 0; i < burst->n; i++) {
		const struct aead_packet *packet = &burst->packets[i];

		macs[i].key = keys[i];
		macs[i].data = opening ? packet->src : packet->dst;
		macs[i].length = packet->length;
		macs[i].chunks = burst_chunks(packet->length);
	}
}

static bool is_equal(const uint8_t a[AEAD_TAG_SIZE], const uint8_t b[AEAD_TAG_SIZE])
{
	uint64_t x[2], y[2], difference;

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	difference = (x[0] ^ y[0]) | (x[1] ^ y[1]);
	/* Keeps the compiler from comparing the halves one after the other. */
	__asm__("" : "+r"(difference));
	return difference == 0;
}

void burst_finish(struct burst *burst, bool opening, const struct burst_mac macs[BURST_PART])
{
	for (unsigned i = 0; i < burst->n; i++) {
		struct aead_packet *packet = &burst->packets[i];

		if (opening)
			packet->ok = is_equal(macs[i].tag, packet->src + packet->length);
		else
			memcpy(packet->dst + packet->length, macs[i].tag, AEAD_TAG_SIZE);
	}
}

/* RFC 8439, section 2.8. */
void burst_mac_message(const uint8_t key[32], const struct aead_message *message,
	const uint8_t *ciphertext, uint8_t tag[AEAD_TAG_SIZE])
{
	static const uint8_t zeros[16];
	uint64_t lengths[2] = {message->aad_length, message->length};
	crypto_onetimeauth_state state;

	crypto_onetimeauth_init(&state, key);
	if (message->aad_length > 0)
		crypto_onetimeauth_update(&state, message->aad, message->aad_length);
	crypto_onetimeauth_update(&state, zeros, -message->aad_length % 16);
	if (message->length > 0)
		crypto_onetimeauth_update(&state, ciphertext, message->length);
	crypto_onetimeauth_update(&state, zeros, -message->length % 16);
	crypto_onetimeauth_update(&state, (const uint8_t *)lengths, sizeof(lengths));
	crypto_onetimeauth_final(&state, tag);
	sodium_memzero(&state, sizeof(state));
}
