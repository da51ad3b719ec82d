/* SPDX-License-Identifier: BSD-3-Clause */
/* The checksum of an IPv4 header without options, without a loop (RFC 1071: sums of wider words
 * fold to the same). Sums are of words as they lie in memory. */
#pragma once

#include <stdint.h>
#include <string.h>

static inline uint16_t checksum_v4_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The folded sum of 20 bytes; 0xffff if its checksum is right. */
static inline uint16_t checksum_v4_sum(const void *header)
{
	uint64_t a, b;
	uint32_t c;

	memcpy(&a, header, sizeof(a));
	memcpy(&b, (const uint8_t *)header + 8, sizeof(b));
	memcpy(&c, (const uint8_t *)header + 16, sizeof(c));
	return checksum_v4_fold((a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32) + c);
}
