/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IPv6 prefix translation that leaves checksums right (RFC 6296): beside the prefix one word of
 * the address changes, by what the prefixes' sums differ. Plain functions, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { NPTV6_LENGTH_MAX = 64 };

/* What is to be added when the first `length` bits of `from` become those of `to` (section 3.1). */
uint16_t nptv6_adjustment(const uint8_t from[16], const uint8_t to[16], uint8_t length);

/*
 * Puts the first `length` bits of `to` before the rest of the address, and adjusts it. False, and
 * nothing is changed, if there is no word that can be adjusted: RFC 6296 has such packets dropped.
 * The way back is the same with the other prefix and its adjustment.
 */
bool nptv6_translate(uint8_t addr[16], const uint8_t to[16], uint8_t length, uint16_t adjustment);
