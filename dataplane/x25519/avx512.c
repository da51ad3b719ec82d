/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * X25519 by AVX-512: eight jobs side by side, one in each 64-bit lane, on the Montgomery ladder of
 * RFC 7748, section 5. Up to four groups of eight share one inversion.
 *
 * The ladder does not swap its two points: doubling takes the one that the bit says, by a mask,
 * and adding is the same for both orders. The highest bit of a clamped scalar is set and its lowest
 * three are not: the first step and the last three only double.
 */
#include <string.h>

#include "dataplane/x25519/avx512_field.h"
#include "dataplane/x25519/x25519_priv.h"

enum {
	WORDS = KEY_SIZE / 8,
	GROUPS_MAX = 4,
	FIRST_BIT = 253, /* of the ladder */
	LAST_BIT = 3,
	STACK_BYTES = 24 << 10, /* 16 KiB with clang 14, less with gcc 12 */
};

/* u = x / z */
struct point {
	struct number x, z;
};

/* Everything secret of a call lies here, or is spilled below. */
struct work {
	uint64_t words[WORDS][LANES] __attribute__((aligned(64)));
	__m512i choices[WORDS];
	struct number u, x[GROUPS_MAX], z[GROUPS_MAX], products[GROUPS_MAX];
	struct wrapped u_wrapped;
	struct point doubled, other;
};

/* What this file is compiled for. */
static bool is_supported(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512ifma") &&
	       __builtin_cpu_supports("bmi2");
}

/* The keys' 64-bit words in columns; lanes without a job repeat the last one's. */
static void gather_words(
	struct work *work, const struct x25519_job *jobs, unsigned count, bool is_point)
{
	static const struct key base_point = {{9}};

	for (unsigned lane = 0; lane < LANES; lane++) {
		const struct x25519_job *job = &jobs[lane < count ? lane : count - 1];
		const struct key *key = is_point ? job->point : job->scalar;

		if (key == NULL)
			key = &base_point;
		for (unsigned k = 0; k < WORDS; k++)
			memcpy(&work->words[k][lane], key->bytes + 8 * k, 8);
	}
}

/* Bit i of choices: doubling at bit i takes the point that was not doubled before. That is where
 * bits i and i + 1 of the clamped scalar differ. */
static void load_scalars(struct work *work, const struct x25519_job *jobs, unsigned count)
{
	__m512i s[WORDS];

	gather_words(work, jobs, count, false);
	for (unsigned k = 0; k < WORDS; k++)
		s[k] = _mm512_load_si512(work->words[k]);
	s[0] = _mm512_and_si512(s[0], set1(~7ull));
	s[3] = _mm512_or_si512(_mm512_and_si512(s[3], set1(~0ull >> 1)), set1(1ull << 62));
	for (unsigned k = 0; k < WORDS; k++) {
		__m512i above = _mm512_srli_epi64(s[k], 1);

		if (k + 1 < WORDS)
			above = _mm512_or_si512(above, _mm512_slli_epi64(s[k + 1], 63));
		work->choices[k] = _mm512_xor_si512(s[k], above);
	}
}

/* Limbs from 43 i: words end at 64, 128 and 192. The 256th bit is ignored. */
static void load_points(struct work *work, const struct x25519_job *jobs, unsigned count)
{
	const __m512i mask = set1(limb_mask);
	struct number *u = &work->u;
	__m512i w[WORDS];

	gather_words(work, jobs, count, true);
	for (unsigned k = 0; k < WORDS; k++)
		w[k] = _mm512_load_si512(work->words[k]);
	w[3] = _mm512_and_si512(w[3], set1(~0ull >> 1));
	u->v[0] = w[0];
	u->v[1] = _mm512_or_si512(_mm512_srli_epi64(w[0], 43), _mm512_slli_epi64(w[1], 21));
	u->v[2] = _mm512_or_si512(_mm512_srli_epi64(w[1], 22), _mm512_slli_epi64(w[2], 42));
	u->v[3] = _mm512_srli_epi64(w[2], 1);
	u->v[4] = _mm512_or_si512(_mm512_srli_epi64(w[2], 44), _mm512_slli_epi64(w[3], 20));
	u->v[5] = _mm512_srli_epi64(w[3], 23);
	for (unsigned i = 0; i < LIMBS - 1; i++)
		u->v[i] = _mm512_and_si512(u->v[i], mask);
	work->u_wrapped = wrap(*u);
}

/* Twice the point of which a = (x + z)^2 and b = (x - z)^2. */
INLINE struct point double_of(struct number a, struct number b)
{
	struct number e = subtract(a, b);

	return (struct point){.x = multiply(a, b), .z = multiply(e, add_times_a24(a, e))};
}

static void double_point(struct point *p)
{
	*p = double_of(square(add(p->x, p->z)), square(subtract(p->x, p->z)));
}

/*
 * The point doubled becomes what it says; the other becomes the sum of both, whose difference is u.
 * A round waits for the z of the sum, so what leads there stands before what does not: 7 % faster.
 */
static void climb(struct work *work)
{
	struct point p = work->doubled, q = work->other;

	for (unsigned i = FIRST_BIT; i >= LAST_BIT; i--) {
		__mmask8 other =
			_mm512_test_epi64_mask(work->choices[i / 64], set1(1ull << i % 64));
		struct number a = add(p.x, p.z), b = subtract(p.x, p.z);
		struct number c = add(q.x, q.z), d = subtract(q.x, q.z);
		struct number da = multiply(d, a), cb = multiply(c, b);
		struct number aa = square(pick(other, c, a)), bb = square(pick(other, d, b));
		struct number v = square(subtract(da, cb));

		p = double_of(aa, bb);
		q.z = multiply_wrapped(v, work->u, work->u_wrapped);
		q.x = square(add(da, cb));
	}
	work->doubled = p;
	work->other = q;
}

/* x / z of the product of scalars and points. */
static void multiply_group(struct work *work, const struct x25519_job *jobs, unsigned count,
	struct number *x, struct number *z)
{
	__mmask8 other;

	load_scalars(work, jobs, count);
	load_points(work, jobs, count);
	memset(&work->other, 0, sizeof(work->other));
	work->other.x = work->u;
	work->other.z.v[0] = set1(1);
	work->doubled = work->other;
	double_point(&work->doubled);
	climb(work);
	other = _mm512_test_epi64_mask(work->choices[0], set1(1ull << (LAST_BIT - 1)));
	work->doubled.x = pick(other, work->other.x, work->doubled.x);
	work->doubled.z = pick(other, work->other.z, work->doubled.z);
	for (unsigned i = 0; i < LAST_BIT; i++)
		double_point(&work->doubled);
	*x = work->doubled.x;
	*z = work->doubled.z;
}

static void multiply_by(struct number *a, const struct number *b)
{
	*a = multiply(*a, *b);
}

/* a^(2^times) */
static struct number square_often(const struct number *a, unsigned times)
{
	struct number b = *a;

	while (times-- > 0)
		b = square(b);
	return b;
}

/* a^(2^times) b */
static struct number shift_by(const struct number *a, unsigned times, const struct number *b)
{
	struct number c = square_often(a, times);

	multiply_by(&c, b);
	return c;
}

/* a^(p - 2) = 1 / a, or 0 for 0. Names are exponents; of up_N it is 2^N - 1. */
static void invert(struct number *a)
{
	struct number e2 = square_often(a, 1), e9 = shift_by(&e2, 2, a), e11 = e2;
	struct number up5, up10, up20, up50, up100, up;

	multiply_by(&e11, &e9);
	up5 = shift_by(&e11, 1, &e9);
	up10 = shift_by(&up5, 5, &up5);
	up20 = shift_by(&up10, 10, &up10);
	up = shift_by(&up20, 20, &up20);
	up50 = shift_by(&up, 10, &up10);
	up100 = shift_by(&up50, 50, &up50);
	up = shift_by(&up100, 100, &up100);
	up = shift_by(&up, 50, &up50);
	*a = shift_by(&up, 5, &e11);
}

/* Where z is zero the quotient shall be, too: 0 / 1. */
static void replace_zeros(struct number *x, struct number *z)
{
	const struct number zero = {0}, one = {{set1(1)}};
	__m512i any;
	__mmask8 is_zero;

	*z = reduce(*z);
	any = z->v[0];
	for (unsigned i = 1; i < LIMBS; i++)
		any = _mm512_or_si512(any, z->v[i]);
	is_zero = _mm512_cmpeq_epi64_mask(any, _mm512_setzero_si512());
	*z = pick(is_zero, one, *z);
	*x = pick(is_zero, zero, *x);
}

/* x becomes x / z. The product of the groups' z is inverted, and multiplied by all of them but one
 * in turn. */
static void divide_groups(struct work *work, unsigned groups)
{
	struct number rest, inverse;

	for (unsigned g = 0; g < groups; g++) {
		replace_zeros(&work->x[g], &work->z[g]);
		work->products[g] = work->z[g];
		if (g > 0)
			multiply_by(&work->products[g], &work->products[g - 1]);
	}
	rest = work->products[groups - 1];
	invert(&rest);
	for (unsigned g = groups; g-- > 0;) {
		inverse = rest;
		if (g > 0) {
			multiply_by(&inverse, &work->products[g - 1]);
			multiply_by(&rest, &work->z[g]);
		}
		multiply_by(&work->x[g], &inverse);
	}
}

static void store_products(
	struct work *work, struct number *x, const struct x25519_job *jobs, unsigned count)
{
	__m512i w[WORDS];

	*x = reduce(*x);
	w[0] = _mm512_or_si512(x->v[0], _mm512_slli_epi64(x->v[1], 43));
	w[1] = _mm512_or_si512(_mm512_srli_epi64(x->v[1], 21), _mm512_slli_epi64(x->v[2], 22));
	w[2] = _mm512_or_si512(_mm512_srli_epi64(x->v[2], 42),
		_mm512_or_si512(_mm512_slli_epi64(x->v[3], 1), _mm512_slli_epi64(x->v[4], 44)));
	w[3] = _mm512_or_si512(_mm512_srli_epi64(x->v[4], 20), _mm512_slli_epi64(x->v[5], 23));
	for (unsigned k = 0; k < WORDS; k++)
		_mm512_store_si512(work->words[k], w[k]);
	for (unsigned lane = 0; lane < count; lane++) {
		for (unsigned k = 0; k < WORDS; k++)
			memcpy(jobs[lane].product->bytes + 8 * k, &work->words[k][lane], 8);
	}
}

static unsigned jobs_of_group(unsigned group, unsigned count)
{
	return count - group * LANES < LANES ? count - group * LANES : LANES;
}

static void multiply_groups(struct work *work, const struct x25519_job *jobs, unsigned count)
{
	unsigned groups = (count + LANES - 1) / LANES;

	for (unsigned g = 0; g < groups; g++)
		multiply_group(
			work, &jobs[g * LANES], jobs_of_group(g, count), &work->x[g], &work->z[g]);
	divide_groups(work, groups);
	for (unsigned g = 0; g < groups; g++)
		store_products(work, &work->x[g], &jobs[g * LANES], jobs_of_group(g, count));
}

/* What the functions above spilled lies where this one's frame comes to lie: they are called from
 * the same one. */
static __attribute__((noinline)) void wipe_stack(void)
{
	__m512i frame[STACK_BYTES / sizeof(__m512i)];

	for (unsigned i = 0; i < sizeof(frame) / sizeof(frame[0]); i++)
		_mm512_store_si512(frame + i, _mm512_setzero_si512());
	__asm__ volatile("" : : "r"(frame) : "memory");
}

static __attribute__((noinline)) void run(const struct x25519_job *jobs, unsigned count)
{
	struct work work;

	for (; count > GROUPS_MAX * LANES; count -= GROUPS_MAX * LANES, jobs += GROUPS_MAX * LANES)
		multiply_groups(&work, jobs, GROUPS_MAX * LANES);
	multiply_groups(&work, jobs, count);
}

static void multiply_burst(struct x25519_job *jobs, unsigned count)
{
	run(jobs, count);
	wipe_stack();
}

const struct x25519_ops x25519_avx512 = {
	.name = "avx512",
	.is_supported = is_supported,
	.burst = multiply_burst,
};
