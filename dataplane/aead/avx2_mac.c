/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Poly1305 (RFC 8439, section 2.5) of four messages at a time, one in each 64-bit lane, in radix
 * 2^26 with the 32-bit multiplier.
 *
 * A lane takes four blocks (a chunk of 64 bytes) of its message at a time:
 * h = (h + m0) r^4 + m1 r^3 + m2 r^2 + m3 r, carried once. When a message ends, its lane takes
 * the next one, the longest first. A message is padded at its front with empty blocks (zero
 * without the 2^128 bit, which leave h = 0 alone), so that its length block ends a chunk.
 *
 * Bounds: a carried number has limbs < 2^26 + 2^11; blocks have limbs < 2^26, so multiplicands are
 * < 2^27 + 2^11. Factors are carried numbers and s = 5 r < 2^28.4. At most 20 products meet in a
 * sum: < 2^(27.1 + 28.4 + 4.4) < 2^60.
 */
#include "dataplane/aead/avx2.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

struct number {
	__m256i v[5];
};

enum { FACTOR_VECTORS = sizeof(struct avx2_factor) / sizeof(__m256i) };

INLINE __m256i set1(uint64_t value)
{
	return _mm256_set1_epi64x((long long)value);
}

/* p += a f. Indices are constants once unrolled: 2^130 = 5 (mod p) turns limb 5 + i into 5 limb i.
 */
INLINE void multiply_add(struct number *p, const struct number *a, const struct avx2_factor *f)
{
#pragma GCC unroll 5
	for (unsigned i = 0; i < 5; i++) {
#pragma GCC unroll 5
		for (unsigned j = 0; j < 5; j++) {
			__m256i factor = j >= i ? f->r[j - i] : f->s[j + 5 - i - 1];

			p->v[j] = _mm256_add_epi64(p->v[j], _mm256_mul_epu32(a->v[i], factor));
		}
	}
}

/* Adds the carry out of limb i to the next one; the top one's carry comes back five times. */
INLINE void carry_limb(struct number *n, unsigned i)
{
	__m256i c = _mm256_srli_epi64(n->v[i], 26);

	n->v[i] = _mm256_and_si256(n->v[i], set1((1u << 26) - 1));
	if (i == 4)
		c = _mm256_add_epi64(c, _mm256_slli_epi64(c, 2));
	n->v[i == 4 ? 0 : i + 1] = _mm256_add_epi64(n->v[i == 4 ? 0 : i + 1], c);
}

/*
 * From < 2^60. Two chains at once: the carries out of 0 and 3 are < 2^34, then those of 1 and 4
 * (five times < 2^37 into limb 0), of 2 (< 2^35 into limb 3) and of 0 again (< 2^11 into limb 1),
 * of 3 again (< 2^9 into limb 4).
 */
INLINE void carry(struct number *n)
{
	carry_limb(n, 0);
	carry_limb(n, 3);
	carry_limb(n, 1);
	carry_limb(n, 4);
	carry_limb(n, 2);
	carry_limb(n, 0);
	carry_limb(n, 3);
}

INLINE struct number multiply(const struct number *a, const struct avx2_factor *f)
{
	struct number p = {0};

	multiply_add(&p, a, f);
	carry(&p);
	return p;
}

/* Four blocks (or halves of keys) to limbs; top is 2^24 in lanes that hold a block. */
INLINE struct number split(__m256i low, __m256i high, __m256i top)
{
	const __m256i mask = set1((1u << 26) - 1);
	__m256i middle = _mm256_or_si256(_mm256_srli_epi64(low, 52), _mm256_slli_epi64(high, 12));

	return (struct number){{
		_mm256_and_si256(low, mask),
		_mm256_and_si256(_mm256_srli_epi64(low, 26), mask),
		_mm256_and_si256(middle, mask),
		_mm256_and_si256(_mm256_srli_epi64(high, 14), mask),
		_mm256_or_si256(_mm256_srli_epi64(high, 40), top),
	}};
}

INLINE void make_factor(struct avx2_factor *f, const struct number *n)
{
	for (unsigned i = 0; i < 5; i++)
		f->r[i] = n->v[i];
	for (unsigned i = 0; i < 4; i++)
		f->s[i] = _mm256_add_epi64(n->v[i + 1], _mm256_slli_epi64(n->v[i + 1], 2));
}

/* The powers of r of four messages; clamping is RFC 8439, section 2.5. */
static void prepare(
	struct avx2_factor power[4], const struct burst_mac *macs, const uint8_t order[4])
{
	__m256i z[4], low, high, a, b;
	struct number r, n;

	for (unsigned i = 0; i < 4; i++)
		z[i] = _mm256_castsi128_si256(
			_mm_loadu_si128((const __m128i *)(const void *)macs[order[i]].key));
	a = _mm256_permute2x128_si256(z[0], z[2], 0x20);
	b = _mm256_permute2x128_si256(z[1], z[3], 0x20);
	low = _mm256_and_si256(_mm256_unpacklo_epi64(a, b), set1(0x0ffffffc0fffffff));
	high = _mm256_and_si256(_mm256_unpackhi_epi64(a, b), set1(0x0ffffffc0ffffffc));
	r = split(low, high, _mm256_setzero_si256());
	make_factor(&power[0], &r);
	n = multiply(&r, &power[0]);
	make_factor(&power[1], &n);
	r = multiply(&n, &power[0]);
	make_factor(&power[2], &r);
	r = multiply(&n, &power[1]);
	make_factor(&power[3], &r);
}

/* What the lanes are at. */
struct lanes {
	const uint8_t *at[4]; /* the next byte of the message's data */
	uint32_t rest[4];     /* bytes of data from there on */
	uint32_t left[4];     /* chunks; 0: the lane is idle */
	uint64_t length[4];   /* of the message's data */
	uint8_t empty[4];     /* blocks at the front of the next chunk */
	uint8_t place[4];     /* of the message in the order */
};

/* In: halves of a chunk of each lane. Out: the low or high halves of block i of each lane. */
INLINE void transpose(const __m256i z[2][4], __m256i low[4], __m256i high[4])
{
	for (unsigned half = 0; half < 2; half++) {
		__m256i a = _mm256_unpacklo_epi64(z[half][0], z[half][1]);
		__m256i b = _mm256_unpacklo_epi64(z[half][2], z[half][3]);
		__m256i c = _mm256_unpackhi_epi64(z[half][0], z[half][1]);
		__m256i d = _mm256_unpackhi_epi64(z[half][2], z[half][3]);

		low[2 * half] = _mm256_permute2x128_si256(a, b, 0x20);
		low[2 * half + 1] = _mm256_permute2x128_si256(a, b, 0x31);
		high[2 * half] = _mm256_permute2x128_si256(c, d, 0x20);
		high[2 * half + 1] = _mm256_permute2x128_si256(c, d, 0x31);
	}
}

INLINE void absorb(struct number *h, const uint8_t *const at[4], const __m256i top[4],
	const struct avx2_factor power[4])
{
	__m256i z[2][4], low[4], high[4];
	struct number p = {0}, m;

	for (unsigned k = 0; k < 4; k++) {
		z[0][k] = _mm256_loadu_si256((const __m256i *)(const void *)at[k]);
		z[1][k] = _mm256_loadu_si256((const __m256i *)(const void *)(at[k] + 32));
	}
	transpose(z, low, high);
	for (unsigned i = 1; i < 4; i++) {
		m = split(low[i], high[i], top[i]);
		multiply_add(&p, &m, &power[3 - i]);
	}
	m = split(low[0], high[0], top[0]);
	for (unsigned i = 0; i < 5; i++)
		m.v[i] = _mm256_add_epi64(m.v[i], h->v[i]);
	multiply_add(&p, &m, &power[3]);
	carry(&p);
	*h = p;
}

/* Chunks that are nobody's first or last one; idle lanes read what another lane reads. */
static void absorb_inner(
	struct number *h, struct lanes *lanes, uint32_t chunks, const struct avx2_factor power[4])
{
	const __m256i bit = set1(1u << 24), top[4] = {bit, bit, bit, bit};
	const uint8_t *at[4], *busy = NULL;

	for (unsigned k = 0; k < 4; k++) {
		if (lanes->left[k] > 0)
			busy = lanes->at[k];
	}
	for (unsigned k = 0; k < 4; k++)
		at[k] = lanes->left[k] > 0 ? lanes->at[k] : busy;
	for (uint32_t i = 0; i < chunks; i++) {
		absorb(h, at, top, power);
		for (unsigned k = 0; k < 4; k++)
			at[k] += 64;
	}
	for (unsigned k = 0; k < 4; k++) {
		if (lanes->left[k] == 0)
			continue;
		lanes->at[k] += chunks * (size_t)64;
		lanes->rest[k] -= chunks * 64;
		lanes->left[k] -= chunks;
	}
}

/* The next chunk of each lane, whatever part of its message it is: put together in memory. */
static void absorb_any(struct avx2_mac *mac, struct number *h, struct lanes *lanes)
{
	uint64_t top[4][4] __attribute__((aligned(32))) = {0};
	const uint8_t *at[4];
	__m256i tops[4];

	memset(mac->chunk, 0, sizeof(mac->chunk));
	for (unsigned k = 0; k < 4; k++) {
		uint32_t skip = lanes->empty[k] * 16u, bytes = 64 - skip;

		at[k] = mac->chunk[k];
		if (lanes->left[k] == 0)
			continue;
		if (lanes->left[k] == 1) {
			/* The length block: no associated data, then the ciphertext. */
			memcpy(mac->chunk[k] + 56, &lanes->length[k], 8);
		}
		if (bytes > lanes->rest[k])
			bytes = lanes->rest[k];
		memcpy(mac->chunk[k] + skip, lanes->at[k], bytes);
		for (unsigned i = lanes->empty[k]; i < 4; i++)
			top[i][k] = 1u << 24;
		lanes->empty[k] = 0;
		lanes->at[k] += bytes;
		lanes->rest[k] -= bytes;
		lanes->left[k]--;
	}
	for (unsigned i = 0; i < 4; i++)
		tops[i] = _mm256_load_si256((const __m256i *)(const void *)top[i]);
	absorb(h, at, tops, mac->lane_power);
}

/* How many chunks can be absorbed before one that is the first or last of a message. */
static uint32_t inner_chunks(const struct lanes *lanes)
{
	uint32_t chunks = UINT32_MAX;

	for (unsigned k = 0; k < 4; k++) {
		if (lanes->left[k] == 0)
			continue;
		if (lanes->empty[k] > 0)
			return 0;
		if (lanes->left[k] - 1 < chunks)
			chunks = lanes->left[k] - 1;
	}
	return chunks;
}

static void begin_message(struct lanes *lanes, unsigned k, const struct burst_mac *m)
{
	lanes->at[k] = m->data;
	lanes->rest[k] = m->length;
	lanes->length[k] = m->length;
	lanes->left[k] = m->chunks;
	lanes->empty[k] = (uint8_t)(m->chunks * 4 - (m->length + 15) / 16 - 1);
}

/* Sets lane k of the factors in use, and of h to zero. */
static void take_lane(struct avx2_mac *mac, struct number *h, unsigned k, unsigned place)
{
	const uint64_t *from = (const uint64_t *)(const void *)mac->power[place / 4];
	uint64_t *to = (uint64_t *)(void *)mac->lane_power;

	for (unsigned i = 0; i < 4 * FACTOR_VECTORS; i++)
		to[4 * i + k] = from[4 * i + place % 4];
	for (unsigned i = 0; i < 5; i++) {
		mac->spill[i] = h->v[i];
		((uint64_t *)(void *)&mac->spill[i])[k] = 0;
		h->v[i] = mac->spill[i];
	}
}

/* Gives the idle lanes the next messages; returns the place after them. */
static unsigned refill(struct avx2_mac *mac, struct number *h, struct lanes *lanes,
	const struct burst_mac *macs, unsigned place, unsigned n)
{
	bool all = place % 4 == 0;

	for (unsigned k = 0; k < 4; k++)
		all &= lanes->left[k] == 0;
	if (all) {
		memcpy(mac->lane_power, mac->power[place / 4], sizeof(mac->lane_power));
		*h = (struct number){0};
	}
	for (unsigned k = 0; k < 4 && place < n; k++) {
		if (lanes->left[k] != 0)
			continue;
		if (!all)
			take_lane(mac, h, k, place);
		begin_message(lanes, k, &macs[mac->order[place]]);
		lanes->place[k] = (uint8_t)place++;
	}
	return place;
}

static unsigned busy_lanes(const struct lanes *lanes)
{
	unsigned busy = 0;

	for (unsigned k = 0; k < 4; k++)
		busy |= (lanes->left[k] != 0) << k;
	return busy;
}

static void save_finished(
	struct avx2_mac *mac, const struct lanes *lanes, const struct number *h, unsigned finished)
{
	for (unsigned i = 0; i < 5; i++)
		mac->spill[i] = h->v[i];
	for (unsigned k = 0; k < 4; k++) {
		if ((finished >> k & 1) == 0)
			continue;
		for (unsigned i = 0; i < 5; i++)
			mac->h[lanes->place[k]][i] =
				((const uint64_t *)(const void *)&mac->spill[i])[k];
	}
}

/*
 * h mod p + s mod 2^128. After two passes of carries all limbs are in range: what the second one
 * carries out of the top, limb 1 to 3 being zero then, cannot run further than limb 1.
 */
static void finish(const uint64_t carried[5], const uint8_t key[32], uint8_t tag[AEAD_TAG_SIZE])
{
	const uint64_t mask = (1u << 26) - 1;
	uint64_t h[5], g[5], s[2], out[2], c = 0, keep;

	memcpy(h, carried, sizeof(h));
	for (unsigned i = 0; i < 11; i++) {
		h[i % 5] += i > 0 && i % 5 == 0 ? c * 5 : c;
		c = h[i % 5] >> 26;
		h[i % 5] &= mask;
	}
	h[1] += c;
	/* g = h - p = h + 5 - 2^130; take it unless it is negative. */
	c = 5;
	for (unsigned i = 0; i < 5; i++) {
		g[i] = h[i] + c;
		c = g[i] >> 26;
		g[i] &= mask;
	}
	keep = c - 1; /* all ones if there was no carry: h < p */
	for (unsigned i = 0; i < 5; i++)
		h[i] = (h[i] & keep) | (g[i] & ~keep);
	memcpy(s, key + 16, sizeof(s));
	out[0] = h[0] | h[1] << 26 | h[2] << 52;
	out[1] = h[2] >> 12 | h[3] << 14 | h[4] << 40;
	out[0] += s[0];
	out[1] += s[1] + (out[0] < s[0]);
	memcpy(tag, out, sizeof(out));
}

void avx2_mac(struct avx2_mac *mac, struct burst_mac *macs, unsigned n)
{
	struct lanes lanes = {0};
	struct number h = {0};
	unsigned place = 0;

	burst_sort(macs, n, mac->order);
	memset(mac->order + n, mac->order[0], AVX2_MAC_LANES);
	for (unsigned i = 0; i < n; i += 4)
		prepare(mac->power[i / 4], macs, mac->order + i);
	for (;;) {
		unsigned busy;

		place = refill(mac, &h, &lanes, macs, place, n);
		busy = busy_lanes(&lanes);
		if (busy == 0)
			break;
		do {
			uint32_t chunks = inner_chunks(&lanes);

			if (chunks > 0)
				absorb_inner(&h, &lanes, chunks, mac->lane_power);
			absorb_any(mac, &h, &lanes);
		} while (busy_lanes(&lanes) == busy);
		save_finished(mac, &lanes, &h, busy & ~busy_lanes(&lanes));
	}
	for (unsigned i = 0; i < n; i++)
		finish(mac->h[i], macs[mac->order[i]].key, macs[mac->order[i]].tag);
}
