/* SPDX-License-Identifier: BSD-3-Clause */
/* What is added to a device's text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "dataplane/port/device.h"

static void test_complete(void **state)
{
	static const struct {
		const char *text;
		unsigned queues;
		uint16_t mtu;
		const char *want;
	} rows[] = {
		{"net_null0", 3, 1500, "net_null0"},
		{"net_af_packet0,iface=wan", 2, 1500,
			"net_af_packet0,iface=wan,qpairs=2,framesz=2048,blocksz=4096,framecnt="
			"2048"},
		{"net_af_packet0,iface=wan,qpairs=1", 2, 1280,
			"net_af_packet0,iface=wan,qpairs=1,framesz=2048,blocksz=4096,framecnt="
			"2048"},
		{"net_af_packet0,iface=wan", 1, 9000,
			"net_af_packet0,iface=wan,qpairs=1,framesz=9216,blocksz=36864,framecnt="
			"512"},
		{"net_af_packet0,iface=wan", 1, 2000,
			"net_af_packet0,iface=wan,qpairs=1,framesz=3072,blocksz=12288,framecnt="
			"1364"},
		{"net_af_packet0,iface=wan,framecnt=4096", 1, 1500,
			"net_af_packet0,iface=wan,framecnt=4096,qpairs=1,framesz=2048,blocksz="
			"4096"},
		{"net_af_packet0,iface=wan,framesz=4096", 1, 2000,
			"net_af_packet0,iface=wan,framesz=4096,qpairs=1"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char out[DEVICE_TEXT_MAX];

		assert_int_equal(
			device_complete(rows[i].text, rows[i].queues, rows[i].mtu, out), 0);
		assert_string_equal(out, rows[i].want);
	}
}

static void test_too_long(void **state)
{
	char text[DEVICE_TEXT_MAX + 1], out[DEVICE_TEXT_MAX];

	memset(text, 'x', sizeof(text));
	text[DEVICE_TEXT_MAX] = '\0';
	assert_int_equal(device_complete(text, 1, 1500, out), -ENAMETOOLONG);
	memcpy(text, "net_af_packet", strlen("net_af_packet"));
	text[DEVICE_TEXT_MAX - 1] = '\0';
	assert_int_equal(device_complete(text, 1, 1500, out), -ENAMETOOLONG);
}

static void test_frames_hold_the_mtu(void **state)
{
	for (uint32_t mtu = 1280; mtu <= 9000; mtu++) {
		uint32_t frame = device_frame_bytes((uint16_t)mtu);

		/* 66 bytes of the kernel's header, Ethernet, a VLAN tag */
		assert_true(frame >= mtu + 66 + 14 + 4);
		assert_int_equal(frame % 16, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_frames_hold_the_mtu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
