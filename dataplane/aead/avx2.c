/* SPDX-License-Identifier: BSD-3-Clause */
/* The AEAD by AVX2: blocks of different packets side by side in vector lanes. */
#include <sodium.h>
#include <string.h>

#include "dataplane/aead/aead_priv.h"
#include "dataplane/aead/avx2.h"
#include "dataplane/aead/burst_run.h"

struct state {
	struct burst_work work; /* first */
	struct avx2_mac mac;
};

static bool is_supported(void)
{
	return __builtin_cpu_supports("avx2");
}

static void *create(int *error)
{
	return burst_create(sizeof(struct state), error);
}

static void destroy(void *state)
{
	burst_destroy(state, sizeof(struct state));
}

/* The state of a pass is put together from the layout itself. */
static void fill(struct burst_work *work)
{
}

static void chacha(struct burst_work *work, uint32_t lane)
{
	avx2_chacha(&work->burst, lane, work->rows);
}

static void mac(struct burst_work *work, unsigned n)
{
	struct state *state = (struct state *)(void *)work;

	avx2_mac(&state->mac, work->macs, n);
}

static void apply(
	uint8_t *dst, const uint8_t *src, const uint8_t (*rows)[BURST_BLOCK], uint32_t bytes)
{
	const uint8_t *row = rows[0];

	for (; bytes >= 32; bytes -= 32) {
		__m256i v = _mm256_loadu_si256((const __m256i *)(const void *)src);

		v = _mm256_xor_si256(v, _mm256_load_si256((const __m256i *)(const void *)row));
		_mm256_storeu_si256((__m256i *)(void *)dst, v);
		dst += 32;
		src += 32;
		row += 32;
	}
	for (; bytes >= 8; bytes -= 8) {
		uint64_t a, b;

		memcpy(&a, src, 8);
		memcpy(&b, row, 8);
		a ^= b;
		memcpy(dst, &a, 8);
		dst += 8;
		src += 8;
		row += 8;
	}
	for (; bytes > 0; bytes--)
		*dst++ = *src++ ^ *row++;
}

/* What the kernels spilled lies where this function's frame comes to lie: they are called from the
 * same one. Theirs take up to 4.4 KiB. */
static __attribute__((noinline)) void wipe_stack(void)
{
	__m256i frame[6144 / sizeof(__m256i)];

	for (unsigned i = 0; i < sizeof(frame) / sizeof(frame[0]); i++)
		_mm256_store_si256(frame + i, _mm256_setzero_si256());
	__asm__ volatile("" : : "r"(frame) : "memory");
}

static void wipe(struct burst_work *work, unsigned n)
{
	struct state *state = (struct state *)(void *)work;

	sodium_memzero(work->rows, AVX2_LANES * sizeof(work->rows[0]));
	sodium_memzero(work->keys, n * sizeof(work->keys[0]));
	sodium_memzero(state->mac.power, (n + 3) / 4 * sizeof(state->mac.power[0]));
	sodium_memzero(state->mac.lane_power, sizeof(state->mac.lane_power));
	sodium_memzero(state->mac.spill, sizeof(state->mac.spill));
	sodium_memzero(state->mac.h, n * sizeof(state->mac.h[0]));
	wipe_stack();
}

static const struct burst_kernel kernel = {
	.lanes = AVX2_LANES,
	.fill = fill,
	.chacha = chacha,
	.mac = mac,
	.apply = apply,
	.wipe = wipe,
};

static void seal(void *state, struct aead_packet *packets, unsigned n)
{
	burst_run(&kernel, state, packets, n, false);
}

static void open(void *state, struct aead_packet *packets, unsigned n)
{
	burst_run(&kernel, state, packets, n, true);
}

static void seal_message(void *state, const struct aead_message *message)
{
	burst_run_message(&kernel, state, message, false);
}

static bool open_message(void *state, const struct aead_message *message)
{
	return burst_run_message(&kernel, state, message, true);
}

const struct aead_ops aead_avx2 = {
	.name = "avx2",
	.is_supported = is_supported,
	.create = create,
	.destroy = destroy,
	.seal = seal,
	.open = open,
	.seal_message = seal_message,
	.open_message = open_message,
};
