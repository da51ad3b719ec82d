/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Poly1305 within a message: all lanes work on one, 16 blocks at a time. Lane j takes blocks j and
 * j + 8, h = h r^16 + m_j r^8 + m_(j+8), and lane j is multiplied by r^(8-j) at the end. For
 * messages much longer than the rest of the burst, and for bursts of a few.
 *
 * A message is padded at its front with empty blocks, as it is across messages.
 */
#include "dataplane/aead/avx512_poly.h"

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

void avx512_mac_within(struct avx512_mac *mac, const struct burst_mac *macs, unsigned n)
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
