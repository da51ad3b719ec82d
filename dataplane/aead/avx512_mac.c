/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Poly1305 (RFC 8439, section 2.5) in 64-bit lanes with the 52-bit multiplier (IFMA).
 *
 * Numbers modulo p = 2^130 - 5 are three limbs of 44, 44 and 42 bits. Two ways of filling lanes:
 *
 *  across   Each lane works on a message of its own, four blocks (a chunk of 64 bytes) at a time:
 *           h = (h + m0) r^4 + m1 r^3 + m2 r^2 + m3 r, carried once. When a message ends, its lane
 *           takes the next one, the longest first, so that lanes stay busy whatever the lengths.
 *  within   All lanes work on one message, 16 blocks at a time: lane j takes blocks j and j + 8,
 *           h = h r^16 + m_j r^8 + m_(j+8), and lane j is multiplied by r^(8-j) at the end. For
 *           messages much longer than the rest of the burst, and bursts of a few.
 *
 * A message is padded at its front with empty blocks (zero without the 2^128 bit, which leave
 * h = 0 alone), so that its length block always is the last of a chunk.
 *
 * Bounds, with a limb's maximum in each case: a carried number has h0 < 2^44, h1 < 2^44 + 2^16,
 * h2 < 2^42; a block has m0, m1 < 2^44, m2 < 2^41. So every multiplicand is < 2^45 + 2^16 < 2^52.
 * Factors are carried numbers: r0, r1, r2 < 2^44 + 2^16 and s = 20 r < 2^48.4 < 2^52. Low halves of
 * products are < 2^52 and at most 12 of them and a block's limb meet in a sum: < 2^56. High halves
 * are < 2^(45.1 + 48.4 - 52) < 2^42; 12 of them are < 2^46, and shifted by 10, < 2^56. All sums in
 * carry() are below 2^59, see there.
 */
#include "dataplane/aead/avx512.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

struct number {
	__m512i v0, v1, v2;
};

/* Sums of the low and of the high 52 bits of products. */
struct product {
	__m512i low0, low1, low2, high0, high1, high2;
};

INLINE __m512i set1(uint64_t value)
{
	return _mm512_set1_epi64((long long)value);
}

static const uint64_t mask44 = (1ull << 44) - 1, mask42 = (1ull << 42) - 1;

/* 44 = 52 - 8: high halves weigh 2^8 times a limb; 2^132 = 4 * 5 (mod p), hence s = 20 r. */
INLINE void multiply_add(struct product *p, struct number a, const struct avx512_factor *f)
{
	p->low0 = _mm512_madd52lo_epu64(p->low0, a.v0, f->r0);
	p->high0 = _mm512_madd52hi_epu64(p->high0, a.v0, f->r0);
	p->low1 = _mm512_madd52lo_epu64(p->low1, a.v0, f->r1);
	p->high1 = _mm512_madd52hi_epu64(p->high1, a.v0, f->r1);
	p->low2 = _mm512_madd52lo_epu64(p->low2, a.v0, f->r2);
	p->high2 = _mm512_madd52hi_epu64(p->high2, a.v0, f->r2);
	p->low0 = _mm512_madd52lo_epu64(p->low0, a.v1, f->s2);
	p->high0 = _mm512_madd52hi_epu64(p->high0, a.v1, f->s2);
	p->low1 = _mm512_madd52lo_epu64(p->low1, a.v1, f->r0);
	p->high1 = _mm512_madd52hi_epu64(p->high1, a.v1, f->r0);
	p->low2 = _mm512_madd52lo_epu64(p->low2, a.v1, f->r1);
	p->high2 = _mm512_madd52hi_epu64(p->high2, a.v1, f->r1);
	p->low0 = _mm512_madd52lo_epu64(p->low0, a.v2, f->s1);
	p->high0 = _mm512_madd52hi_epu64(p->high0, a.v2, f->s1);
	p->low1 = _mm512_madd52lo_epu64(p->low1, a.v2, f->s2);
	p->high1 = _mm512_madd52hi_epu64(p->high1, a.v2, f->s2);
	p->low2 = _mm512_madd52lo_epu64(p->low2, a.v2, f->r0);
	p->high2 = _mm512_madd52hi_epu64(p->high2, a.v2, f->r0);
}

/* Inputs < 2^56 (low) and < 2^46 (high). The carries are < 2^12 + 2^54, < 2^13 + 2^54 and
 * < 2^15 + 2^56; five times the last one added to h0 is < 2^59, so h1 grows by < 2^15 beyond its
 * 44 bits. */
INLINE struct number carry(const struct product *p)
{
	const __m512i m44 = set1(mask44), m42 = set1(mask42);
	struct number h;
	__m512i c;

	c = _mm512_add_epi64(_mm512_srli_epi64(p->low0, 44), _mm512_slli_epi64(p->high0, 8));
	h.v0 = _mm512_and_si512(p->low0, m44);
	h.v1 = _mm512_add_epi64(p->low1, c);
	c = _mm512_add_epi64(_mm512_srli_epi64(h.v1, 44), _mm512_slli_epi64(p->high1, 8));
	h.v1 = _mm512_and_si512(h.v1, m44);
	h.v2 = _mm512_add_epi64(p->low2, c);
	c = _mm512_add_epi64(_mm512_srli_epi64(h.v2, 42), _mm512_slli_epi64(p->high2, 10));
	h.v2 = _mm512_and_si512(h.v2, m42);
	h.v0 = _mm512_add_epi64(h.v0, _mm512_add_epi64(c, _mm512_slli_epi64(c, 2)));
	h.v1 = _mm512_add_epi64(h.v1, _mm512_srli_epi64(h.v0, 44));
	h.v0 = _mm512_and_si512(h.v0, m44);
	return h;
}

INLINE struct number multiply(struct number a, const struct avx512_factor *f)
{
	struct product p = {0};

	multiply_add(&p, a, f);
	return carry(&p);
}

/* Eight blocks (or halves of keys) to limbs; top is 2^40 in lanes that hold a block. */
INLINE struct number split(__m512i low, __m512i high, __m512i top)
{
	const __m512i m44 = set1(mask44);

	return (struct number){
		.v0 = _mm512_and_si512(low, m44),
		.v1 = _mm512_and_si512(
			_mm512_or_si512(_mm512_srli_epi64(low, 44), _mm512_slli_epi64(high, 20)),
			m44),
		.v2 = _mm512_or_si512(_mm512_srli_epi64(high, 24), top),
	};
}

INLINE struct number add(struct number a, struct number b)
{
	return (struct number){_mm512_add_epi64(a.v0, b.v0), _mm512_add_epi64(a.v1, b.v1),
		_mm512_add_epi64(a.v2, b.v2)};
}

INLINE __m512i times20(__m512i v)
{
	return _mm512_add_epi64(_mm512_slli_epi64(v, 4), _mm512_slli_epi64(v, 2));
}

INLINE struct avx512_factor factor_of(struct number n)
{
	return (struct avx512_factor){n.v0, n.v1, n.v2, times20(n.v1), times20(n.v2)};
}

INLINE __m512i load_keys(const struct burst_mac *macs, const uint8_t *order, unsigned a, unsigned b)
{
	const uint8_t *low = macs[order[a]].key, *high = macs[order[b]].key;

	return _mm512_inserti64x4(
		_mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)low)),
		_mm256_loadu_si256((const __m256i *)(const void *)high), 1);
}

/* Clamps r (RFC 8439, section 2.5) and takes s of eight keys. */
INLINE struct number load_r(
	const struct burst_mac *macs, const uint8_t order[8], __m512i *s_low, __m512i *s_high)
{
	__m512i z0 = load_keys(macs, order, 0, 2), z1 = load_keys(macs, order, 1, 3);
	__m512i z2 = load_keys(macs, order, 4, 6), z3 = load_keys(macs, order, 5, 7);
	__m512i a = _mm512_unpacklo_epi64(z0, z1), b = _mm512_unpacklo_epi64(z2, z3);
	__m512i c = _mm512_unpackhi_epi64(z0, z1), d = _mm512_unpackhi_epi64(z2, z3);
	__m512i low = _mm512_shuffle_i64x2(a, b, 0x88), high = _mm512_shuffle_i64x2(c, d, 0x88);

	*s_low = _mm512_shuffle_i64x2(a, b, 0xdd);
	*s_high = _mm512_shuffle_i64x2(c, d, 0xdd);
	low = _mm512_and_si512(low, set1(0x0ffffffc0fffffff));
	high = _mm512_and_si512(high, set1(0x0ffffffc0ffffffc));
	return split(low, high, _mm512_setzero_si512());
}

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

static void prepare_within(struct avx512_mac *mac, struct avx512_mac_batch *batch,
	const struct burst_mac *macs, const uint8_t order[8])
{
	struct number r[9];
	struct avx512_factor f1, f2, f4, f8;

	r[0] = load_r(macs, order, &batch->s[0], &batch->s[1]);
	f1 = factor_of(r[0]);
	r[1] = multiply(r[0], &f1);
	f2 = factor_of(r[1]);
	r[2] = multiply(r[0], &f2);
	r[3] = multiply(r[1], &f2);
	f4 = factor_of(r[3]);
	r[4] = multiply(r[0], &f4);
	r[5] = multiply(r[1], &f4);
	r[6] = multiply(r[2], &f4);
	r[7] = multiply(r[3], &f4);
	f8 = factor_of(r[7]);
	r[8] = multiply(r[7], &f8);
	for (unsigned i = 0; i < 9; i++) {
		mac->high_power[0][i] = r[i].v0;
		mac->high_power[1][i] = r[i].v1;
		mac->high_power[2][i] = r[i].v2;
	}
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

INLINE uint64_t *lane_of(const __m512i *v, unsigned lane)
{
	return (uint64_t *)(uintptr_t)v + lane;
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

	for (unsigned i = 0; i < sizeof(mac->lane_power) / sizeof(__m512i); i++)
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

/* The messages at places from `place` (a multiple of eight) up to n. */
static void run_across(
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

/* Blocks 0 to 7 of 128 bytes to limbs, in the lane order 0, 4, 1, 5, 2, 6, 3, 7. */
INLINE struct number split_within(__m512i a, __m512i b, __m512i top)
{
	return split(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b), top);
}

/* 2^128 in those lanes of split_within() whose block is not empty, of 16 blocks. */
INLINE __mmask8 block_lanes(unsigned empty, unsigned half)
{
	static const uint8_t lane[8] = {0, 2, 4, 6, 1, 3, 5, 7};
	unsigned mask = 0xff;

	for (unsigned i = 0; i < 8 && half * 8 + i < empty; i++)
		mask &= ~(1u << lane[i]);
	return (__mmask8)mask;
}

static struct avx512_factor broadcast(const struct avx512_mac *mac, unsigned column, unsigned power)
{
	return factor_of((struct number){
		set1(*lane_of(&mac->high_power[0][power], column)),
		set1(*lane_of(&mac->high_power[1][power], column)),
		set1(*lane_of(&mac->high_power[2][power], column)),
	});
}

/* r^8, r^4, r^7, r^3, ...: what the lanes of split_within() are multiplied by in the end. */
static struct avx512_factor descend(const struct avx512_mac *mac, unsigned column)
{
	const __m512i index =
		_mm512_add_epi64(_mm512_set_epi64(0, 32, 8, 40, 16, 48, 24, 56), set1(column));

	return factor_of((struct number){
		_mm512_i64gather_epi64(index, &mac->high_power[0][0], 8),
		_mm512_i64gather_epi64(index, &mac->high_power[1][0], 8),
		_mm512_i64gather_epi64(index, &mac->high_power[2][0], 8),
	});
}

static struct number absorb_within(struct number h, const __m512i z[4], const __m512i top[2],
	const struct avx512_factor *r8, const struct avx512_factor *r16)
{
	struct number last = split_within(z[2], z[3], top[1]);
	struct product p = {.low0 = last.v0, .low1 = last.v1, .low2 = last.v2};

	p.high0 = p.high1 = p.high2 = _mm512_setzero_si512();
	multiply_add(&p, split_within(z[0], z[1], top[0]), r8);
	multiply_add(&p, h, r16);
	return carry(&p);
}

INLINE uint64_t bytes_mask(uint32_t bytes)
{
	return bytes >= 64 ? ~0ull : (1ull << bytes) - 1;
}

static struct number run_message(
	const struct avx512_mac *mac, unsigned column, const struct burst_mac *m)
{
	const __m512i bit = set1(1ull << 40), whole[2] = {bit, bit};
	const struct avx512_factor r8 = broadcast(mac, column, 7);
	const struct avx512_factor r16 = broadcast(mac, column, 8), end = descend(mac, column);
	uint32_t blocks = (m->length + 15) / 16 + 1, steps = (blocks + 15) / 16;
	uint32_t empty = steps * 16 - blocks, rest = m->length + empty * 16;
	const uint8_t *at = m->data - empty * 16;
	struct number h = {0};

	for (uint32_t i = 0; i < steps; i++, at += 256, rest -= 256) {
		__m512i z[4], top[2];

		if (empty == 0 && i + 1 < steps) {
			for (unsigned k = 0; k < 4; k++)
				z[k] = _mm512_loadu_si512(at + 64 * k);
			h = absorb_within(h, z, whole, &r8, &r16);
			continue;
		}
		for (unsigned k = 0; k < 4; k++) {
			uint32_t skip = empty * 16 > 64 * k ? empty * 16 - 64 * k : 0;
			uint64_t mask = rest > 64 * k ? bytes_mask(rest - 64 * k) : 0;

			z[k] = _mm512_maskz_loadu_epi8(mask & ~bytes_mask(skip), at + 64 * k);
		}
		if (i + 1 == steps)
			z[3] = _mm512_mask_set1_epi64(z[3], 0x80, m->length);
		top[0] = _mm512_maskz_mov_epi64(block_lanes(empty, 0), bit);
		top[1] = _mm512_maskz_mov_epi64(block_lanes(empty, 1), bit);
		h = absorb_within(h, z, top, &r8, &r16);
		empty = 0;
	}
	return multiply(h, &end);
}

/* The messages at places below n. */
static void run_within(struct avx512_mac *mac, const struct burst_mac *macs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct number h;

		if (i % 8 == 0)
			prepare_within(mac, &mac->batch[i / 8], macs, mac->order + i);
		h = run_message(mac, i % 8, &macs[mac->order[i]]);
		mac->spill[0] = h.v0;
		mac->spill[1] = h.v1;
		mac->spill[2] = h.v2;
		/* A sum of eight carried limbs is < 2^47 + 2^19, which finish() takes. */
		for (unsigned k = 0; k < 3; k++) {
			uint64_t sum = 0;

			for (unsigned j = 0; j < 8; j++)
				sum += *lane_of(&mac->spill[k], j);
			*lane_of(&mac->batch[i / 8].h[k], i % 8) = sum;
		}
	}
}

/*
 * h mod p + s mod 2^128 of eight messages. The first pass leaves h0 < 2^44, h1 <= 2^44, h2 < 2^42.
 * If the second one finds a carry out of h1 it was 2^44 exactly and is 0 now, so the carry that
 * may come back through h0 leaves it at most 1: all limbs are in range.
 */
static void finish(struct avx512_mac *mac, const struct avx512_mac_batch *batch)
{
	const __m512i m44 = set1(mask44), m42 = set1(mask42);
	__m512i h0 = batch->h[0], h1 = batch->h[1], h2 = batch->h[2], c, g0, g1, g2, low, high;
	__mmask8 is_less, overflow;

	h1 = _mm512_add_epi64(h1, _mm512_srli_epi64(h0, 44));
	h0 = _mm512_and_si512(h0, m44);
	for (unsigned pass = 0; pass < 2; pass++) {
		h2 = _mm512_add_epi64(h2, _mm512_srli_epi64(h1, 44));
		h1 = _mm512_and_si512(h1, m44);
		c = _mm512_srli_epi64(h2, 42);
		h2 = _mm512_and_si512(h2, m42);
		h0 = _mm512_add_epi64(h0, _mm512_add_epi64(c, _mm512_slli_epi64(c, 2)));
		h1 = _mm512_add_epi64(h1, _mm512_srli_epi64(h0, 44));
		h0 = _mm512_and_si512(h0, m44);
	}
	/* g = h - p = h + 5 - 2^130; take it unless it is negative. */
	g0 = _mm512_add_epi64(h0, set1(5));
	g1 = _mm512_add_epi64(h1, _mm512_srli_epi64(g0, 44));
	g0 = _mm512_and_si512(g0, m44);
	g2 = _mm512_add_epi64(h2, _mm512_srli_epi64(g1, 44));
	g1 = _mm512_and_si512(g1, m44);
	is_less = _mm512_cmplt_epu64_mask(g2, set1(1ull << 42));
	h0 = _mm512_mask_mov_epi64(g0, is_less, h0);
	h1 = _mm512_mask_mov_epi64(g1, is_less, h1);
	h2 = _mm512_mask_mov_epi64(g2, is_less, h2);

	low = _mm512_or_si512(h0, _mm512_slli_epi64(h1, 44));
	high = _mm512_or_si512(_mm512_srli_epi64(h1, 20), _mm512_slli_epi64(h2, 24));
	low = _mm512_add_epi64(low, batch->s[0]);
	overflow = _mm512_cmplt_epu64_mask(low, batch->s[0]);
	high = _mm512_add_epi64(high, batch->s[1]);
	high = _mm512_mask_add_epi64(high, overflow, high, set1(1));
	mac->spill[0] = _mm512_unpacklo_epi64(low, high); /* tags 0, 2, 4, 6 */
	mac->spill[1] = _mm512_unpackhi_epi64(low, high); /* tags 1, 3, 5, 7 */
}

/* Of the messages at places from `place` (a multiple of eight) up to n. */
static void write_tags(struct avx512_mac *mac, struct burst_mac *macs, unsigned place, unsigned n)
{
	for (unsigned i = place; i < n; i++) {
		const uint8_t *tags = (const uint8_t *)(const void *)mac->spill;

		if (i % 8 == 0)
			finish(mac, &mac->batch[i / 8]);
		memcpy(macs[mac->order[i]].tag, tags + i % 2 * 64 + i % 8 / 2 * 16, AEAD_TAG_SIZE);
	}
}

/*
 * How many of the longest messages to work on one by one. The costs are measured cycles, only
 * their ratios matter: a chunk of 64 bytes in all lanes, 256 bytes within a message, and what
 * each message and each batch cost besides.
 */
static unsigned choose_within(const struct burst_mac *macs, const uint8_t *order, unsigned n)
{
	enum { CHUNK = 72, STEP = 38, MESSAGE = 70, BATCH = 240, ACROSS = 180 };
	uint32_t left = 0, cost = 0, best_cost = UINT32_MAX;
	unsigned best = 0;

	for (unsigned i = 0; i < n; i++)
		left += macs[i].chunks;
	if (left >= 8 * macs[order[0]].chunks)
		return 0;
	for (unsigned w = 0; w <= n; w++) {
		uint32_t across = 0;

		if (w < n) {
			uint32_t longest = macs[order[w]].chunks;

			across = left / 8 > longest ? left / 8 : longest;
			across = across * CHUNK + ACROSS;
		}
		if (cost + across < best_cost) {
			best_cost = cost + across;
			best = w;
		}
		if (w < n) {
			left -= macs[order[w]].chunks;
			cost += macs[order[w]].chunks / 4 * STEP + MESSAGE;
			cost += w % 8 == 0 ? BATCH : 0;
		}
	}
	return best;
}

/* Gives each message its place: the longest ones, to be worked on one by one, from 0; the others
 * from the next multiple of eight, which is returned. Vectors are filled up with copies. */
static unsigned assign_places(
	struct avx512_mac *mac, const struct burst_mac *macs, unsigned n, unsigned *within)
{
	uint8_t order[BURST_PART];
	unsigned gap;

	burst_sort(macs, n, order);
	*within = choose_within(macs, order, n);
	gap = -*within % 8;
	memcpy(mac->order, order, *within);
	memset(mac->order + *within, order[0], gap);
	memcpy(mac->order + *within + gap, order + *within, n - *within);
	memset(mac->order + gap + n, order[n - 1], 8);
	for (unsigned i = *within + gap; i < gap + n; i++) {
		*lane_of(&mac->batch[i / 8].data, i % 8) = (uintptr_t)macs[mac->order[i]].data;
		*lane_of(&mac->batch[i / 8].length, i % 8) = macs[mac->order[i]].length;
	}
	return *within + gap;
}

void avx512_mac(struct avx512_mac *mac, struct burst_mac *macs, unsigned n)
{
	unsigned within, across = assign_places(mac, macs, n, &within);
	unsigned batches = (across + n - within + 7) / 8;

	mac->batches = batches > mac->batches ? batches : mac->batches;
	if (within > 0) {
		mac->high_power_used = true;
		run_within(mac, macs, within);
		write_tags(mac, macs, 0, within);
	}
	if (within < n) {
		run_across(mac, macs, across, across + n - within);
		write_tags(mac, macs, across, across + n - within);
	}
}

/* Nobody reads the zeros, so the compiler would leave them out. */
static void wipe(__m512i *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		_mm512_store_si512(v + i, _mm512_setzero_si512());
	__asm__ volatile("" : : "r"(v) : "memory");
}

void avx512_mac_wipe(struct avx512_mac *mac)
{
	enum { VECTOR = sizeof(__m512i) };

	for (unsigned i = 0; i < mac->batches; i++)
		wipe(&mac->batch[i].power[0].r0, sizeof(mac->batch[i]) / VECTOR);
	if (mac->lane_power_used)
		wipe(&mac->lane_power[0].r0, sizeof(mac->lane_power) / VECTOR);
	if (mac->high_power_used)
		wipe(mac->high_power[0], sizeof(mac->high_power) / VECTOR);
	wipe(mac->spill, sizeof(mac->spill) / VECTOR);
	mac->batches = 0;
	mac->lane_power_used = mac->high_power_used = false;
}
