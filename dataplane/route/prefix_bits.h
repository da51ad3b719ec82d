/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses and prefixes of both families as 128 bits, for structures that are walked bit by bit:
 * two words in host order, the first bit in the highest; behind an IPv4 address zeroes.
 */
#pragma once

#include <rte_byteorder.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/base/addr.h"

static inline void bits_of(uint8_t family, const uint8_t *bytes, uint64_t bits[2])
{
	uint32_t v4;

	if (family == ADDR_V4) {
		memcpy(&v4, bytes, sizeof(v4));
		bits[0] = (uint64_t)rte_be_to_cpu_32(v4) << 32;
		bits[1] = 0;
	} else {
		memcpy(bits, bytes, 2 * sizeof(bits[0]));
		bits[0] = rte_be_to_cpu_64(bits[0]);
		bits[1] = rte_be_to_cpu_64(bits[1]);
	}
}

/* How many bits are the same from the first on; 128 if all are. */
static inline uint32_t bits_common(const uint64_t a[2], const uint64_t b[2])
{
	if (a[0] != b[0])
		return (uint32_t)__builtin_clzll(a[0] ^ b[0]);
	return a[1] != b[1] ? 64 + (uint32_t)__builtin_clzll(a[1] ^ b[1]) : 128;
}

/* Are the first `length` bits the same? */
static inline bool bits_agree(const uint64_t a[2], const uint64_t b[2], uint32_t length)
{
	return bits_common(a, b) >= length;
}

/* Zeroes behind the first `length` bits. */
static inline void bits_cut(uint64_t bits[2], uint32_t length)
{
	if (length < 64)
		bits[0] &= length == 0 ? 0 : ~0ULL << (64 - length);
	if (length < 128)
		bits[1] &= length <= 64 ? 0 : ~0ULL << (128 - length);
}
