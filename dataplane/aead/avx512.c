/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AEAD by AVX-512: blocks of different packets side by side in vector lanes.
 *
 * A burst is worked on in parts of up to 32 packets (burst.h). Sealing runs ChaCha20 over all
 * lanes and xors, then authenticates the ciphertexts. Opening may be in place, so it needs the
 * tags first: all key blocks are in the first pass, whose data blocks are kept until the
 * ciphertexts are authenticated. What is left in the state at the end of a call is wiped.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/aead/aead_priv.h"
#include "dataplane/aead/avx512.h"

struct state {
	uint8_t rows[AVX512_LANES][BURST_BLOCK] __attribute__((aligned(64)));
	uint8_t keys[BURST_PART][32];
	struct avx512_columns columns;
	struct avx512_mac mac;
	struct burst_mac macs[BURST_PART];
	struct burst burst;
};

static bool is_supported(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512ifma");
}

static void *create(int *error)
{
	struct state *state = aligned_alloc(64, (sizeof(struct state) + 63) / 64 * 64);

	if (!state) {
		*error = -ENOMEM;
		return NULL;
	}
	memset(state, 0, sizeof(*state));
	return state;
}

static void destroy(void *opaque)
{
	sodium_memzero(opaque, sizeof(struct state));
	free(opaque);
}

static void xor_bytes(uint8_t *dst, const uint8_t *src, const uint8_t *row, uint32_t bytes)
{
	__mmask64 mask = bytes >= 64 ? ~0ull : (1ull << bytes) - 1;

	_mm512_mask_storeu_epi8(dst, mask,
		_mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, src), _mm512_load_si512(row)));
}

/* Applies rows of keystream from the cursor on; returns when either is used up. */
static void xor_rows(const struct burst *burst, struct burst_cursor *cursor,
	const uint8_t (*rows)[BURST_BLOCK], unsigned n)
{
	while (n > 0 && cursor->packet < burst->n) {
		const struct aead_packet *packet = &burst->packets[cursor->packet];
		const uint8_t *src = packet->src + cursor->at;
		uint8_t *dst = packet->dst + cursor->at;
		uint32_t left = packet->length - cursor->at;
		unsigned whole = left / BURST_BLOCK < n ? left / BURST_BLOCK : n;

		for (unsigned i = 0; i < whole; i++)
			_mm512_storeu_si512(dst + i * BURST_BLOCK,
				_mm512_xor_si512(_mm512_loadu_si512(src + i * BURST_BLOCK),
					_mm512_load_si512(rows[i])));
		rows += whole;
		n -= whole;
		left -= whole * BURST_BLOCK;
		cursor->at += whole * BURST_BLOCK;
		if (left > 0 && left < BURST_BLOCK && n > 0) {
			xor_bytes(dst + whole * BURST_BLOCK, src + whole * BURST_BLOCK, rows[0],
				left);
			rows++;
			n--;
			left = 0;
		}
		if (left > 0)
			return;
		cursor->packet++;
		cursor->at = 0;
	}
}

static void authenticate(struct state *state, bool opening)
{
	burst_describe(&state->burst, state->keys, opening, state->macs);
	avx512_mac(&state->mac, state->macs, state->burst.n);
	burst_finish(&state->burst, opening, state->macs);
}

static void run_part(struct state *state, bool opening)
{
	struct burst *burst = &state->burst;
	struct burst_cursor cursor = {0};
	unsigned n = burst->n;

	avx512_columns_fill(&state->columns, burst);
	avx512_chacha(&state->columns, burst, 0, state->rows);
	for (unsigned i = 0; i < n; i++)
		memcpy(state->keys[i], state->rows[i], 32);
	if (opening)
		authenticate(state, true);
	xor_rows(burst, &cursor, state->rows + n, AVX512_LANES - n);
	for (uint32_t lane = AVX512_LANES; lane < burst->lanes; lane += AVX512_LANES) {
		avx512_chacha(&state->columns, burst, lane, state->rows);
		xor_rows(burst, &cursor, state->rows, AVX512_LANES);
	}
	if (!opening)
		authenticate(state, false);
}

/* Everything up to the layout, which holds no secret but pointers to them. */
static void wipe(struct state *state)
{
	sodium_memzero(state, offsetof(struct state, burst));
}

static void run(struct state *state, struct aead_packet *packets, unsigned n, bool opening)
{
	while (n > 0) {
		unsigned done = burst_plan(&state->burst, packets, n);

		run_part(state, opening);
		packets += done;
		n -= done;
	}
	wipe(state);
}

static void seal(void *state, struct aead_packet *packets, unsigned n)
{
	run(state, packets, n, false);
}

static void open(void *state, struct aead_packet *packets, unsigned n)
{
	run(state, packets, n, true);
}

/* The general entry: the kernel's keystream, and libsodium's Poly1305 for the associated data. */
static void begin_message(
	struct state *state, const struct aead_message *m, struct aead_packet *packet)
{
	*packet = (struct aead_packet){
		.key = m->key, .src = m->src, .dst = m->dst, .length = m->length};
	burst_plan(&state->burst, packet, 1);
	for (unsigned i = 0; i < 3; i++)
		memcpy(&state->burst.nonce[i][0], m->nonce + 4 * i, 4);
	avx512_columns_fill(&state->columns, &state->burst);
	avx512_chacha(&state->columns, &state->burst, 0, state->rows);
	memcpy(state->keys[0], state->rows[0], 32);
}

static void crypt_message(struct state *state)
{
	struct burst_cursor cursor = {0};

	xor_rows(&state->burst, &cursor, state->rows + 1, AVX512_LANES - 1);
	for (uint32_t lane = AVX512_LANES; lane < state->burst.lanes; lane += AVX512_LANES) {
		avx512_chacha(&state->columns, &state->burst, lane, state->rows);
		xor_rows(&state->burst, &cursor, state->rows, AVX512_LANES);
	}
}

static void seal_message(void *opaque, const struct aead_message *m)
{
	struct state *state = opaque;
	struct aead_packet packet;

	begin_message(state, m, &packet);
	crypt_message(state);
	burst_mac_message(state->keys[0], m, m->dst, m->dst + m->length);
	wipe(state);
}

static bool open_message(void *opaque, const struct aead_message *m)
{
	struct state *state = opaque;
	struct aead_packet packet;
	uint8_t tag[AEAD_TAG_SIZE];
	bool ok;

	begin_message(state, m, &packet);
	burst_mac_message(state->keys[0], m, m->src, tag);
	ok = sodium_memcmp(tag, m->src + m->length, AEAD_TAG_SIZE) == 0;
	if (ok)
		crypt_message(state);
	wipe(state);
	return ok;
}

const struct aead_ops aead_avx512 = {
	.name = "avx512",
	.is_supported = is_supported,
	.create = create,
	.destroy = destroy,
	.seal = seal,
	.open = open,
	.seal_message = seal_message,
	.open_message = open_message,
};
