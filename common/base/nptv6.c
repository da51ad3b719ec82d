/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/base/nptv6.h"

#include <string.h>

enum {
	SUBNET = 3, /* word of bits 48 to 63, adjusted under prefixes of up to /48 (section 3.4) */
	INTERFACE = 4, /* ... or the first word from here on that is not all ones (section 3.5) */
	WORDS = 8,
	ALL_ONES = 0xffff,
};

static uint16_t load(const uint8_t *addr, unsigned word)
{
	return (uint16_t)(addr[2 * word] << 8 | addr[2 * word + 1]);
}

/* One's complement. */
static uint16_t add(uint32_t a, uint32_t b)
{
	uint32_t sum = a + b;

	return (uint16_t)((sum & ALL_ONES) + (sum >> 16));
}

static uint16_t mask_of(unsigned word, uint8_t length)
{
	unsigned first = word * 16;

	if (length <= first)
		return 0;
	return length >= first + 16 ? ALL_ONES : (uint16_t)(ALL_ONES << (first + 16 - length));
}

static uint16_t sum_prefix(const uint8_t prefix[16], uint8_t length)
{
	uint16_t sum = 0;

	for (unsigned word = 0; word < WORDS; word++)
		sum = add(sum, load(prefix, word) & mask_of(word, length));
	return sum;
}

uint16_t nptv6_adjustment(const uint8_t from[16], const uint8_t to[16], uint8_t length)
{
	return add(sum_prefix(from, length), (uint16_t)~sum_prefix(to, length));
}

bool nptv6_translate(uint8_t addr[16], const uint8_t to[16], uint8_t length, uint16_t adjustment)
{
	unsigned word = length <= 16 * SUBNET ? SUBNET : INTERFACE;
	uint16_t value;

	while (word >= INTERFACE && word < WORDS && load(addr, word) == ALL_ONES)
		word++;
	if (word == WORDS || load(addr, word) == ALL_ONES)
		return false;
	value = add(load(addr, word), adjustment);
	if (value == ALL_ONES)
		value = 0;
	addr[2 * word] = (uint8_t)(value >> 8);
	addr[2 * word + 1] = (uint8_t)value;
	for (unsigned i = 0; i < WORDS; i++) {
		uint16_t mask = mask_of(i, length);
		uint16_t mixed = (uint16_t)((load(to, i) & mask) | (load(addr, i) & ~mask));

		addr[2 * i] = (uint8_t)(mixed >> 8);
		addr[2 * i + 1] = (uint8_t)mixed;
	}
	return true;
}
