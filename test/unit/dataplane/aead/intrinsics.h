/* SPDX-License-Identifier: BSD-3-Clause */
/* Each AVX-512 intrinsic of the kernel as a function from bytes to bytes. */
#pragma once

#include <stdint.h>
#include <string.h>

struct intrinsic {
	const char *name; /* NULL ends a table */
	void (*run)(const uint8_t in[4][64], uint8_t out[64]);
};

extern const struct intrinsic intrinsics_hardware[], intrinsics_model[];
