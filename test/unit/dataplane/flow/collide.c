/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/dataplane/flow/collide.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <rte_hash_crc.h>

#include "common/base/addr.h"

enum { FREE_BITS = 96, KERNEL = FREE_BITS - 32 };

static const uint8_t first[COLLIDE_BYTES] = {
	[0] = 100, [1] = 64, [3] = 7, [16] = 203, [18] = 113, [36] = IPPROTO_UDP, [37] = ADDR_V4};

/* Each row: bits whose sum of changes to the CRC is nothing. */
static unsigned __int128 kernel[KERNEL];

uint32_t collide_crc(const uint8_t bytes[COLLIDE_BYTES])
{
	return rte_hash_crc(bytes, COLLIDE_BYTES, 0);
}

/* Bits 0-63 lie in the destination, the others in the two ports. */
static void flip_bit(uint8_t *bytes, unsigned bit)
{
	unsigned byte = bit < 64 ? COLLIDE_LOW + bit / 8 : COLLIDE_PORTS + (bit - 64) / 8;

	bytes[byte] ^= (uint8_t)(1u << bit % 8);
}

static void find_kernel(void)
{
	unsigned __int128 pivot_bits[32] = {0};
	uint32_t pivot[32] = {0}, none = collide_crc(first);
	unsigned n = 0;

	for (unsigned bit = 0; bit < FREE_BITS; bit++) {
		unsigned __int128 bits = (unsigned __int128)1 << bit;
		uint8_t bytes[COLLIDE_BYTES];
		uint32_t change;

		memcpy(bytes, first, sizeof(bytes));
		flip_bit(bytes, bit);
		change = collide_crc(bytes) ^ none;
		for (int top = 31; top >= 0 && change != 0; top--) {
			if ((change >> top & 1) == 0)
				continue;
			if (pivot[top] == 0) {
				pivot[top] = change;
				pivot_bits[top] = bits;
				break;
			}
			change ^= pivot[top];
			bits ^= pivot_bits[top];
		}
		if (change == 0 && n < KERNEL)
			kernel[n++] = bits;
	}
	if (n != KERNEL)
		abort();
}

void collide_tuple(uint8_t bytes[COLLIDE_BYTES], uint32_t n)
{
	unsigned __int128 bits = 0;

	if (kernel[0] == 0)
		find_kernel();
	for (unsigned i = 0; i < 32; i++)
		bits ^= (n >> i & 1) != 0 ? kernel[i] : 0;
	memcpy(bytes, first, COLLIDE_BYTES);
	for (unsigned bit = 0; bit < FREE_BITS; bit++) {
		if ((bits >> bit & 1) != 0)
			flip_bit(bytes, bit);
	}
}
