/* SPDX-License-Identifier: BSD-3-Clause */
/* The plain-C model of the AVX-512 intrinsics against the hardware, where there is some. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "test/unit/dataplane/aead/intrinsics.h"

enum { ROUNDS = 2000 };

static uint64_t seed = 20261121;

static uint64_t draw(void)
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Random words, and ones at the borders of what the kernel computes with. */
static void draw_words(uint8_t out[64])
{
	static const uint64_t edges[] = {0, 1, UINT64_MAX, 1ull << 63, (1ull << 52) - 1, 1ull << 52,
		(1ull << 44) - 1, 1ull << 44, UINT32_MAX, 1ull << 32, 63, 64};

	for (unsigned i = 0; i < 64; i += 8) {
		uint64_t value = draw(), choice = draw() % 3;

		if (choice == 0)
			value = edges[draw() % (sizeof(edges) / sizeof(edges[0]))];
		memcpy(out + i, &value, 8);
		/* Equal lanes, so that comparisons meet them. */
		if (choice == 1 && i > 0)
			memcpy(out + i, out + i - 8, 8);
	}
}

static void model_is_the_hardware(void **state)
{
	if (!__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl") ||
		!__builtin_cpu_supports("avx512ifma"))
		skip();
	for (unsigned i = 0; intrinsics_hardware[i].name; i++) {
		assert_string_equal(intrinsics_hardware[i].name, intrinsics_model[i].name);
		for (unsigned round = 0; round < ROUNDS; round++) {
			uint8_t in[4][64], hardware[64], model[64];

			for (unsigned k = 0; k < 4; k++)
				draw_words(in[k]);
			if (draw() % 4 == 0)
				memcpy(in[1], in[0], 64);
			intrinsics_hardware[i].run(in, hardware);
			intrinsics_model[i].run(in, model);
			if (memcmp(hardware, model, 64) != 0)
				fail_msg("%s, round %u", intrinsics_model[i].name, round);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(model_is_the_hardware),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
