/* SPDX-License-Identifier: BSD-3-Clause */
/* The AEAD by AVX-512: blocks of different packets side by side in vector lanes. */
#include <string.h>

#include "dataplane/aead/aead_priv.h"
#include "dataplane/aead/avx512.h"
#include "dataplane/aead/burst_run.h"

struct state {
	struct burst_work work; /* first */
	struct avx512_columns columns;
	struct avx512_mac mac;
};

/* What the kernels are compiled for. */
static bool is_supported(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512ifma") &&
	       __builtin_cpu_supports("bmi2");
}

static void *create(int *error)
{
	return burst_create(sizeof(struct state), error);
}

static void destroy(void *state)
{
	burst_destroy(state, sizeof(struct state));
}

static void fill(struct burst_work *work)
{
	struct state *state = (struct state *)(void *)work;

	avx512_columns_fill(&state->columns, &work->burst);
}

static void chacha(struct burst_work *work, uint32_t lane)
{
	struct state *state = (struct state *)(void *)work;

	avx512_chacha(&state->columns, &work->burst, lane, work->rows);
}

static void mac(struct burst_work *work, unsigned n)
{
	struct state *state = (struct state *)(void *)work;

	avx512_mac(&state->mac, work->macs, n);
}

static void apply(
	uint8_t *dst, const uint8_t *src, const uint8_t (*rows)[BURST_BLOCK], uint32_t bytes)
{
	uint32_t whole = bytes / BURST_BLOCK;
	__mmask64 rest = (1ull << bytes % BURST_BLOCK) - 1;

	for (uint32_t i = 0; i < whole; i++) {
		_mm512_storeu_si512(
			dst, _mm512_xor_si512(_mm512_loadu_si512(src), _mm512_load_si512(rows[i])));
		dst += BURST_BLOCK;
		src += BURST_BLOCK;
	}
	/* Masked bytes are neither read nor written. */
	if (rest != 0)
		_mm512_mask_storeu_epi8(dst, rest,
			_mm512_xor_si512(_mm512_maskz_loadu_epi8(rest, src),
				_mm512_load_si512(rows[whole])));
}

/* What the kernels spilled lies where this function's frame comes to lie: they are called from the
 * same one. Theirs take up to 2.4 KiB. */
static __attribute__((noinline)) void wipe_stack(void)
{
	__m512i frame[4096 / sizeof(__m512i)];

	for (unsigned i = 0; i < sizeof(frame) / sizeof(frame[0]); i++)
		_mm512_store_si512(frame + i, _mm512_setzero_si512());
	__asm__ volatile("" : : "r"(frame) : "memory");
}

static void wipe(struct burst_work *work, unsigned n)
{
	struct state *state = (struct state *)(void *)work;
	const __m512i zero = _mm512_setzero_si512();

	for (unsigned i = 0; i < AVX512_LANES; i++)
		_mm512_store_si512(work->rows[i], zero);
	for (unsigned i = 0; i < n; i += 2)
		_mm512_store_si512(work->keys[i], zero);
	for (unsigned i = 0; i < 8; i++) {
		state->columns.key[i][0] = zero;
		state->columns.key[i][1] = zero;
	}
	avx512_mac_wipe(&state->mac);
	wipe_stack();
}

static const struct burst_kernel kernel = {
	.lanes = AVX512_LANES,
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
