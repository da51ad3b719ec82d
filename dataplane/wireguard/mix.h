/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A keyed mixing of 64 bits, for tables and assignments that others must not be able to aim at: the
 * finaliser of MurmurHash3 with the key before each of its rounds. Whoever does not see what comes
 * out cannot choose it; it is no cipher for whoever does.
 *
 * Pure; any thread; two multiplications.
 */
#pragma once

#include <stdint.h>

/* key: random bits. The upper bits of the result are the best. */
static inline uint64_t mix_keyed(uint64_t x, uint64_t key)
{
	x ^= key;
	x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
	x ^= key << 32 | key >> 32;
	return (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
}
