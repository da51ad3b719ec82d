/* SPDX-License-Identifier: BSD-3-Clause */
/* RFC 6296: its own example, its corners, and that no checksum changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/addr.h"
#include "common/base/nptv6.h"

static void parse(const char *text, uint8_t out[16])
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	memcpy(out, addr.bytes, 16);
}

static const struct vector {
	const char *inside, *outside; /* prefixes */
	uint8_t length;
	uint16_t adjustment; /* outwards */
	const char *from, *to;
} vectors[] = {
	/* sections 2.1 and 3.1: the adjustment is 0xd54f */
	{"fd01:203:405::", "2001:db8:1::", 48, 0xd54f, "fd01:203:405:1::1234",
		"2001:db8:1:d550::1234"},
	/* a subnet that would become all ones is all zeros */
	{"fd01:203:405::", "2001:db8:1::", 48, 0xd54f, "fd01:203:405:2ab0::1", "2001:db8:1::1"},
	/* with carry */
	{"fd01:203:405::", "2001:db8:1::", 48, 0xd54f, "fd01:203:405:f000::1",
		"2001:db8:1:c550::1"},
	/* beyond /48 the interface identifier is adjusted, in its first word that is not all ones
	 */
	{"fd01:203:405:1::", "2001:db8:1:9::", 64, 0xd547, "fd01:203:405:1::5",
		"2001:db8:1:9:d547::5"},
	{"fd01:203:405:1::", "2001:db8:1:9::", 64, 0xd547, "fd01:203:405:1:ffff:1::5",
		"2001:db8:1:9:ffff:d548::5"},
	{"fd01:203:405:100::", "2001:db8:1:900::", 56, 0xcd4f, "fd01:203:405:177::5",
		"2001:db8:1:977:cd4f::5"},
	/* shorter than /48: bits 48 to 63 all the same */
	{"fd01::", "2001::", 32, 0xdd00, "fd01:0:7:1::5", "2001:0:7:dd01::5"},
};

static void vectors_both_ways(void **state)
{
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		uint8_t inside[16], outside[16], from[16], to[16], addr[16];

		parse(v->inside, inside);
		parse(v->outside, outside);
		parse(v->from, from);
		parse(v->to, to);
		memcpy(addr, from, 16);
		assert_int_equal(nptv6_adjustment(inside, outside, v->length), v->adjustment);
		assert_true(nptv6_translate(addr, outside, v->length, v->adjustment));
		assert_memory_equal(addr, to, 16);
		assert_true(nptv6_translate(
			addr, inside, v->length, nptv6_adjustment(outside, inside, v->length)));
		assert_memory_equal(addr, from, 16);
	}
}

/* Sections 3.4, 3.5: what cannot be adjusted is not translated. */
static void all_ones_are_refused(void **state)
{
	uint8_t inside[16], outside[16], addr[16], before[16];

	parse("fd01:203:405::", inside);
	parse("2001:db8:1::", outside);
	parse("fd01:203:405:ffff::1", addr);
	memcpy(before, addr, 16);
	assert_false(nptv6_translate(addr, outside, 48, nptv6_adjustment(inside, outside, 48)));
	assert_memory_equal(addr, before, 16);
	parse("fd01:203:405:0:ffff:ffff:ffff:ffff", addr);
	assert_false(nptv6_translate(addr, outside, 64, nptv6_adjustment(inside, outside, 64)));
}

static uint16_t sum(const uint8_t addr[16])
{
	uint32_t total = 0;

	for (unsigned i = 0; i < 16; i += 2)
		total += (uint32_t)addr[i] << 8 | addr[i + 1];
	while (total >> 16 != 0)
		total = (total & 0xffff) + (total >> 16);
	return total == 0xffff ? 0 : (uint16_t)total;
}

/* Random prefixes and addresses: the sum stays, the way back leads back. */
static void checksums_stay(void **state)
{
	uint32_t seed = 11;

	for (unsigned i = 0; i < 20000; i++) {
		uint8_t inside[16], outside[16], addr[16], before[16];
		uint8_t length;

		for (unsigned k = 0; k < 16; k++) {
			inside[k] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
			outside[k] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
			addr[k] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
		}
		length = (uint8_t)(seed >> 16) % 65;
		for (unsigned bit = 0; bit < length; bit++) {
			uint8_t mask = (uint8_t)(0x80 >> bit % 8);

			addr[bit / 8] =
				(uint8_t)((addr[bit / 8] & ~mask) | (inside[bit / 8] & mask));
		}
		memcpy(before, addr, 16);
		if (!nptv6_translate(
			    addr, outside, length, nptv6_adjustment(inside, outside, length)))
			continue;
		assert_int_equal(sum(addr), sum(before));
		assert_true(nptv6_translate(
			addr, inside, length, nptv6_adjustment(outside, inside, length)));
		assert_memory_equal(addr, before, 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_both_ways),
		cmocka_unit_test(all_ones_are_refused),
		cmocka_unit_test(checksums_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
