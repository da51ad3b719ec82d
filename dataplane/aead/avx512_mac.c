/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Poly1305 (RFC 8439, section 2.5) of a part of a burst: which messages are worked on side by side
 * and which one by one, and the end of each, the reduction and the addition of s.
 */
#include <string.h>

#include "dataplane/aead/avx512_poly.h"

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
		avx512_mac_within(mac, macs, within);
		write_tags(mac, macs, 0, within);
	}
	if (within < n) {
		avx512_mac_across(mac, macs, across, across + n - within);
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
