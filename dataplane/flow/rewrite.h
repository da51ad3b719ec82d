/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Incremental checksums (RFC 1624, equation 3): a delta is the folded sum of ~old + new over the
 * words that change; it may be precomputed, since sums commute.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t rewrite_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Delta of replacing `size` bytes (even). Words are taken as they lie in memory. */
static inline uint16_t rewrite_delta(
	uint32_t start, const void *old_bytes, const void *new_bytes, size_t size)
{
	uint32_t sum = start;

	for (size_t i = 0; i < size; i += 2) {
		uint16_t old_word, new_word;

		memcpy(&old_word, (const uint8_t *)old_bytes + i, 2);
		memcpy(&new_word, (const uint8_t *)new_bytes + i, 2);
		sum += (uint16_t)~old_word;
		sum += new_word;
	}
	return rewrite_fold(sum);
}

static inline uint16_t rewrite_checksum(uint16_t checksum, uint16_t delta)
{
	return (uint16_t)~rewrite_fold((uint32_t)(uint16_t)~checksum + delta);
}
