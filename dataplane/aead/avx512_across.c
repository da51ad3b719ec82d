/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Poly1305 across messages: each lane works on one of its own, four blocks (a chunk of 64 bytes)
 * at a time, h = (h + m0) r^4 + m1 r^3 + m2 r^2 + m3 r, carried once. When a message ends, its lane
 * takes the next one, the longest first, so that lanes stay busy whatever the lengths.
 *
 * A message is padded at its front with empty blocks (zero without the 2^128 bit, which leave
 * h = 0 alone), so that its length block always is the last of a chunk.
 */
#include <string.h>

#include "dataplane/aead/avx512_poly.h"

static void prepare_across(
	struct avx512_mac_batch *batch, const struct burst_mac *macs, const uint8_t order[8])
{
	struct avx512_factor *f = batch->power;
	struct number r, r2;

	r = load_r(macs, order, &batch->s[0], &batch->s[1]);
	f[0] = factor_of(r);
	r2 = multiply(r, &f[0]);
	f[1] = factor_of(r2);
	f[2] = factor_of(multiply(r2, &f[0]));
	f[3] = factor_of(multiply(r2, &f[1]));
}

/* In: a chunk of each lane. Out: the low or the high halves of block i of each lane. */
INLINE void transpose_half(const __m512i z[8], __m512i out[4], bool is_high)
{
	__m512i a, b, c, d, t0, t1, t2, t3;

	if (is_high) {
		a = _mm512_unpackhi_epi64(z[0], z[1]);
		b = _mm512_unpackhi_epi64(z[2], z[3]);
		c = _mm512_unpackhi_epi64(z[4], z[5]);
		d = _mm512_unpackhi_epi64(z[6], z[7]);
	} else {
		a = _mm512_unpacklo_epi64(z[0], z[1]);
		b = _mm512_unpacklo_epi64(z[2], z[3]);
		c = _mm512_unpacklo_epi64(z[4], z[5]);
		d = _mm512_unpacklo_epi64(z[6], z[7]);
	}
	t0 = _mm512_shuffle_i64x2(a, b, 0x44);
	t1 = _mm512_shuffle_i64x2(c, d, 0x44);
	t2 = _mm512_shuffle_i64x2(a, b, 0xee);
	t3 = _mm512_shuffle_i64x2(c, d, 0xee);
	out[0] = _mm512_shuffle_i64x2(t0, t1, 0x88);
	out[1] = _mm512_shuffle_i64x2(t0, t1, 0xdd);
	out[2] = _mm512_shuffle_i64x2(t2, t3, 0x88);
	out[3] = _mm512_shuffle_i64x2(t2, t3, 0xdd);
}

INLINE struct number absorb(struct number h, const __m512i low[4], const __m512i high[4],
	const __m512i top[4], const struct avx512_factor power[4])
{
	struct product p = {0};

	multiply_add(&p, split(low[1], high[1], top[1]), &power[2]);
	multiply_add(&p, split(low[2], high[2], top[2]), &power[1]);
	multiply_add(&p, split(low[3], high[3], top[3]), &power[0]);
	multiply_add(&p, add(h, split(low[0], high[0], top[0])), &power[3]);
	return carry(&p);
}

/* What the lanes are at while each works on a message of its own. */
struct lanes {
	__m512i at; /* address of the next chunk; bytes masked out may lie outside the message */
	__m512i length;                    /* of the message */
	__m512i rest;                      /* bytes from `at` to the end of the data */
	__m512i left;                      /* chunks; 0: the lane is idle */
	__m512i empty;                     /* blocks at the front of the next chunk */
	uint8_t place[8];                  /* of the message */
	const struct avx512_factor *power; /* of the messages */
	__mmask8 busy;
	__mmask8 kept; /* lanes that were busy before the last refill */
	bool aligned;  /* lane k works on the message at place[0] + k, a multiple of eight */
};

/*
 * Chunks that are nobody's first or last one; idle lanes read what another lane reads. A chunk is
 * transposed while the one before it is multiplied: left to themselves the shuffles, which have
 * one port on many CPUs, wait in front of the multiplications instead of among them.
 */
static struct number absorb_inner(
	struct number h, struct lanes *lanes, uint32_t chunks, const struct avx512_factor power[4])
{
	const __m512i bit = set1(1ull << 40), size = set1(chunks * 64ull);
	uint64_t address[8] __attribute__((aligned(64)));
	const uint8_t *at[8];
	__m512i z[8], low[4], high[4], next_low[4], next_high[4];

	_mm512_store_si512(address, lanes->at);
	for (unsigned k = 0; k < 8; k++) {
		at[k] = (const uint8_t *)(uintptr_t)address[k];
		z[k] = _mm512_loadu_si512(at[k]);
	}
	transpose_half(z, low, false);
	transpose_half(z, high, true);
	for (size_t i = 1; i < chunks; i++) {
		struct product p = {0};

		for (unsigned k = 0; k < 8; k++)
			z[k] = _mm512_loadu_si512(at[k] + i * 64);
		multiply_add(&p, split(low[1], high[1], bit), &power[2]);
		transpose_half(z, next_low, false);
		multiply_add(&p, split(low[2], high[2], bit), &power[1]);
		transpose_half(z, next_high, true);
		multiply_add(&p, split(low[3], high[3], bit), &power[0]);
		multiply_add(&p, add(h, split(low[0], high[0], bit)), &power[3]);
		h = carry(&p);
		for (unsigned k = 0; k < 4; k++) {
			low[k] = next_low[k];
			high[k] = next_high[k];
		}
	}
	lanes->at = _mm512_add_epi64(lanes->at, size);
	lanes->rest = _mm512_mask_sub_epi64(lanes->rest, lanes->busy, lanes->rest, size);
	lanes->left = _mm512_mask_sub_epi64(lanes->left, lanes->busy, lanes->left, set1(chunks));
	return absorb(h, low, high, (const __m512i[4]){bit, bit, bit, bit}, power);
}

/* The lowest bytes of 64 in each lane; all of them if there are more. */
INLINE __m512i bytes_masks(__m512i bytes)
{
	return _mm512_sub_epi64(_mm512_sllv_epi64(set1(1), bytes), set1(1));
}

/* The next chunk of each lane, whatever part of its message it is. */
static struct number absorb_any(
	struct number h, struct lanes *lanes, const struct avx512_factor power[4])
{
	const __m512i bit = set1(1ull << 40), zero = _mm512_setzero_si512();
	uint64_t address[8] __attribute__((aligned(64))), mask[8] __attribute__((aligned(64)));
	__m512i z[8], low[4], high[4], top[4];
	__mmask8 last = _mm512_cmpeq_epi64_mask(lanes->left, set1(1));
	__mmask8 other = _mm512_cmplt_epu64_mask(lanes->empty, set1(3));

	_mm512_store_si512(address, lanes->at);
	_mm512_store_si512(
		mask, _mm512_andnot_si512(bytes_masks(_mm512_slli_epi64(lanes->empty, 4)),
			      bytes_masks(lanes->rest)));
	for (unsigned k = 0; k < 8; k++)
		z[k] = _mm512_maskz_loadu_epi8(mask[k], (const void *)(uintptr_t)address[k]);
	transpose_half(z, low, false);
	transpose_half(z, high, true);
	/* The length block: no associated data, then the length of the ciphertext. */
	high[3] = _mm512_mask_or_epi64(high[3], last, high[3], lanes->length);
	for (unsigned i = 0; i < 4; i++)
		top[i] =
			_mm512_maskz_mov_epi64(_mm512_cmple_epu64_mask(lanes->empty, set1(i)), bit);
	lanes->at = _mm512_add_epi64(lanes->at, set1(64));
	lanes->rest = _mm512_mask_sub_epi64(lanes->rest, lanes->busy, lanes->rest, set1(64));
	lanes->left = _mm512_mask_sub_epi64(lanes->left, lanes->busy, lanes->left, set1(1));
	lanes->empty = _mm512_mask_mov_epi64(lanes->empty, lanes->busy, zero);
	if ((other & lanes->busy) == 0) {
		/* Every busy lane begins with a single block, as lengths of n 64 - 15..0 do. */
		return multiply(split(low[3], high[3], top[3]), &power[0]);
	}
	return absorb(h, low, high, top, power);
}

/* Lanes whose message is absorbed become idle: they have no bytes left and no blocks. */
INLINE void retire(struct lanes *lanes)
{
	lanes->busy = _mm512_test_epi64_mask(lanes->left, lanes->left);
	lanes->rest = _mm512_maskz_mov_epi64(lanes->busy, lanes->rest);
	lanes->empty = _mm512_mask_mov_epi64(set1(4), lanes->busy, lanes->empty);
}

/* The lowest `count` lanes of the mask. */
INLINE __mmask8 lowest(__mmask8 mask, unsigned count)
{
	__mmask8 rest = mask;

	while (count-- > 0)
		rest &= (__mmask8)(rest - 1);
	return mask & (__mmask8)~rest;
}

/* Begins, in the idle lanes of the mask, the messages of a batch from column on. */
INLINE void begin_messages(
	struct lanes *lanes, __mmask8 mask, const struct avx512_mac_batch *batch, unsigned column)
{
	/* What is loaded beyond the vector is not taken; it still is inside the state. */
	const uint64_t *data = lane_of(&batch->data, column);
	const uint64_t *length = lane_of(&batch->length, column);
	__m512i at = _mm512_maskz_expand_epi64(mask, _mm512_loadu_si512(data)), bytes;
	__m512i blocks, padded;

	lanes->length = _mm512_mask_expand_epi64(lanes->length, mask, _mm512_loadu_si512(length));
	blocks = _mm512_srli_epi64(_mm512_add_epi64(lanes->length, set1(31)), 4);
	padded = _mm512_srli_epi64(_mm512_add_epi64(blocks, set1(3)), 2);
	lanes->left = _mm512_mask_mov_epi64(lanes->left, mask, padded);
	padded = _mm512_slli_epi64(padded, 2);
	lanes->empty = _mm512_mask_sub_epi64(lanes->empty, mask, padded, blocks);
	bytes = _mm512_slli_epi64(lanes->empty, 4);
	lanes->at = _mm512_mask_sub_epi64(lanes->at, mask, at, bytes);
	lanes->rest = _mm512_mask_add_epi64(lanes->rest, mask, lanes->length, bytes);
	lanes->busy |= mask;
}

/* Sets lanes of the factors in use to those of the messages of a batch from column on. */
static void take_powers(struct avx512_mac *mac, __mmask8 mask, const struct avx512_mac_batch *batch,
	unsigned column)
{
	__m512i *to = &mac->lane_power[0].r0;
	const __m512i *from = &batch->power[0].r0;

	for (unsigned i = 0; i < sizeof(mac->lane_power) / (sizeof(__m512i)); i++)
		to[i] = _mm512_mask_expand_epi64(
			to[i], mask, _mm512_loadu_si512(lane_of(&from[i], column)));
	mac->lane_power_used = true;
}

/*
 * Gives the idle lanes the next messages, from `place` up to n; returns the place after them.
 * Their h becomes zero. If all lanes are idle and a batch begins its powers are used where they
 * are, else lane by lane those of the lane_power copy change.
 */
static unsigned refill(
	struct avx512_mac *mac, struct lanes *lanes, struct number *h, unsigned place, unsigned n)
{
	__mmask8 idle = (__mmask8)~lanes->busy, keep;
	bool aligned = idle == 0xff && place % 8 == 0;

	if (place == n)
		return n;
	if (!aligned && lanes->power != mac->lane_power) {
		memcpy(mac->lane_power, lanes->power, sizeof(mac->lane_power));
		lanes->power = mac->lane_power;
	}
	while (idle != 0 && place < n) {
		unsigned column = place % 8, count = (unsigned)__builtin_popcount(idle);
		__mmask8 mask;

		count = count < 8 - column ? count : 8 - column;
		count = count < n - place ? count : n - place;
		mask = lowest(idle, count);
		begin_messages(lanes, mask, &mac->batch[place / 8], column);
		if (aligned)
			lanes->power = mac->batch[place / 8].power;
		else
			take_powers(mac, mask, &mac->batch[place / 8], column);
		idle &= (__mmask8)~mask;
		for (; mask != 0; mask &= (__mmask8)(mask - 1))
			lanes->place[__builtin_ctz(mask)] = (uint8_t)place++;
	}
	lanes->aligned = aligned;
	keep = (__mmask8)(lanes->kept & lanes->busy);
	h->v0 = _mm512_maskz_mov_epi64(keep, h->v0);
	h->v1 = _mm512_maskz_mov_epi64(keep, h->v1);
	h->v2 = _mm512_maskz_mov_epi64(keep, h->v2);
	return place;
}

/* How many chunks can be absorbed before one that is the first or last of a message. */
static uint32_t inner_chunks(struct lanes *lanes)
{
	__m512i v = _mm512_mask_mov_epi64(set1(UINT32_MAX), lanes->busy, lanes->left);
	__mmask8 front = _mm512_test_epi64_mask(lanes->empty, lanes->empty);
	uint64_t least[8] __attribute__((aligned(64))), at[8] __attribute__((aligned(64)));

	if ((front & lanes->busy) != 0)
		return 0;
	v = _mm512_min_epu64(v, _mm512_shuffle_i64x2(v, v, 0x4e));
	v = _mm512_min_epu64(v, _mm512_shuffle_i64x2(v, v, 0xb1));
	_mm512_store_si512(least, _mm512_min_epu64(v, _mm512_unpackhi_epi64(v, v)));
	if (lanes->busy != 0xff) {
		_mm512_store_si512(at, lanes->at);
		lanes->at = _mm512_mask_mov_epi64(
			set1(at[__builtin_ctz(lanes->busy)]), lanes->busy, lanes->at);
	}
	return (uint32_t)least[0] - 1;
}

/* Keeps h of the lanes whose last chunk was absorbed. */
static void save_finished(
	struct avx512_mac *mac, const struct lanes *lanes, struct number h, __mmask8 finished)
{
	if (lanes->aligned) {
		struct avx512_mac_batch *batch = &mac->batch[lanes->place[0] / 8];

		batch->h[0] = _mm512_mask_mov_epi64(batch->h[0], finished, h.v0);
		batch->h[1] = _mm512_mask_mov_epi64(batch->h[1], finished, h.v1);
		batch->h[2] = _mm512_mask_mov_epi64(batch->h[2], finished, h.v2);
		return;
	}
	mac->spill[0] = h.v0;
	mac->spill[1] = h.v1;
	mac->spill[2] = h.v2;
	for (; finished != 0; finished &= (__mmask8)(finished - 1)) {
		unsigned k = (unsigned)__builtin_ctz(finished), place = lanes->place[k];

		for (unsigned i = 0; i < 3; i++)
			*lane_of(&mac->batch[place / 8].h[i], place % 8) =
				*lane_of(&mac->spill[i], k);
	}
}

void avx512_mac_across(
	struct avx512_mac *mac, const struct burst_mac *macs, unsigned place, unsigned n)
{
	struct lanes lanes = {.empty = set1(4), .power = mac->batch[place / 8].power};
	struct number h = {0};

	for (unsigned i = place; i < n; i += 8)
		prepare_across(&mac->batch[i / 8], macs, mac->order + i);
	for (;;) {
		__mmask8 before;

		lanes.kept = lanes.busy;
		place = refill(mac, &lanes, &h, place, n);
		before = lanes.busy;
		if (before == 0)
			return;
		do {
			uint32_t chunks = inner_chunks(&lanes);

			if (chunks > 0)
				h = absorb_inner(h, &lanes, chunks, lanes.power);
			h = absorb_any(h, &lanes, lanes.power);
			retire(&lanes);
		} while (lanes.busy == before);
		save_finished(mac, &lanes, h, before & (__mmask8)~lanes.busy);
	}
}
