/* SPDX-License-Identifier: BSD-3-Clause */
/* pcapng blocks byte by byte, and which filters are let through. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "control/capture/capture.h"
#include "control/capture/pcapng.h"

static uint32_t word(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

static void test_section(void **state)
{
	static const uint8_t expected[] = {
		0x0a, 0x0d, 0x0d, 0x0a, 44, 0, 0, 0,          /* type, length */
		0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,           /* byte order, version */
		255, 255, 255, 255, 255, 255, 255, 255,       /* length of the section: unknown */
		4, 0, 5, 0, 's', 'a', 'l', 'l', 'y', 0, 0, 0, /* the application, padded */
		0, 0, 0, 0, 44, 0, 0, 0,                      /* end of options, length again */
	};
	struct pcapng out = {0};

	pcapng_section(&out, "sally");
	assert_int_equal(out.n, sizeof(expected));
	assert_memory_equal(out.bytes, expected, sizeof(expected));
	pcapng_free(&out);
}

/* Each block begins and ends with its length, a multiple of 4, for every length of packet. */
static void test_packets(void **state)
{
	uint8_t data[64];
	struct pcapng out = {0};

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (uint32_t length = 0; length < sizeof(data); length++) {
		const struct pcapng_packet packet = {.interface = 3,
			.time_ns = 0x1122334455667788,
			.data = data,
			.captured = length,
			.wire = 1500,
			.direction = PCAPNG_IN,
			.comment = "drop flow.policy"};
		uint32_t total;

		pcapng_clear(&out);
		pcapng_packet(&out, &packet);
		total = word(out.bytes + 4);
		assert_int_equal(word(out.bytes), 6);
		assert_int_equal(total, out.n);
		assert_int_equal(total % 4, 0);
		assert_int_equal(word(out.bytes + total - 4), total);
		assert_int_equal(word(out.bytes + 8), 3);
		assert_int_equal(word(out.bytes + 12), 0x11223344);
		assert_int_equal(word(out.bytes + 16), 0x55667788);
		assert_int_equal(word(out.bytes + 20), length);
		assert_int_equal(word(out.bytes + 24), 1500);
		assert_memory_equal(out.bytes + 28, data, length);
		assert_non_null(memmem(out.bytes, out.n, "drop flow.policy", 16));
	}
	pcapng_free(&out);
}

static void test_lost_is_where_the_cli_looks(void **state)
{
	struct pcapng out = {0};
	uint64_t lost;

	pcapng_lost(&out, 0, 1, 0x123456789a);
	memcpy(&lost, out.bytes + 24, sizeof(lost));
	assert_int_equal(word(out.bytes), 5);
	assert_true(lost == 0x123456789a);
	pcapng_free(&out);
}

static void test_filters(void **state)
{
	static const struct {
		const char *what;
		struct api_capture_insn insns[3];
		uint16_t n;
		bool good;
	} cases[] = {
		{"none", {{0}}, 0, true},
		{"all", {{BPF_RET | BPF_K, 0, 0, 1}}, 1, true},
		{"no end", {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0}}, 1, false},
		{"a loop", {{BPF_JMP | BPF_JA, 0, 0, UINT32_MAX}, {BPF_RET | BPF_K, 0, 0, 1}}, 2,
			false},
		{"a jump too far",
			{{BPF_JMP | BPF_JEQ | BPF_K, 5, 0, 1}, {BPF_RET | BPF_K, 0, 0, 1}}, 2,
			false},
		{"memory that is not there",
			{{BPF_ST, 0, 0, BPF_MEMWORDS}, {BPF_RET | BPF_K, 0, 0, 1}}, 2, false},
		{"a division by 0",
			{{BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 1}}, 2,
			false},
		{"no such instruction", {{0xffff, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 1}}, 2, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct api_capture_insn insns[3];
		struct capture_filter filter = {insns, cases[i].n};

		memcpy(insns, cases[i].insns, sizeof(insns));
		if (capture_filter_valid(&filter) != cases[i].good)
			fail_msg("%s", cases[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_section),
		cmocka_unit_test(test_packets),
		cmocka_unit_test(test_lost_is_where_the_cli_looks),
		cmocka_unit_test(test_filters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
