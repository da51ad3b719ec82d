/* SPDX-License-Identifier: BSD-3-Clause */
/* Offloads of a veth's far end, in namespaces of the test's own; needs root, is skipped without. */
#include "control/host/offload.h"

#include <errno.h>

#include "test/unit/control/host/lab.h"

/* The host finds devices by name, and this program has no host. */
#define NEAR "near0"
#define FAR  "far0"

static bool far_has(const char *feature)
{
	char command[256];

	snprintf(command, sizeof(command), "nsenter -t %d -n ethtool -k %s", far_pid, FAR);
	return strstr(output_of(command), feature) != NULL;
}

static bool near_has_program(void)
{
	return strstr(output_of("ip link show dev " NEAR), OFFLOAD_PROGRAM) != NULL;
}

static int setup(void **state)
{
	lay_wire(NEAR, FAR, "192.0.2.9/24", "2001:db8::9/64");
	run("ip link set " NEAR " up");
	return 0;
}

static int teardown(void **state)
{
	run("ip link del " NEAR);
	return 0;
}

static void expect_segmented(bool wire_sized)
{
	const char *state = wire_sized ? "off" : "on";
	static const char *const features[] = {
		"tcp-segmentation-offload", "tx-tcp6-segmentation", "tx-udp-segmentation"};

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		char line[64];

		snprintf(line, sizeof(line), "%s: %s", features[i], state);
		if (!far_has(line))
			fail_msg("far end: not %s", line);
	}
	assert_true(far_has("tx-checksumming: on"));
}

static void test_attach_and_detach(void **state)
{
	expect_segmented(false);
	assert_int_equal(offload_attach(NEAR), 0);
	assert_true(near_has_program());
	expect_segmented(true);
	assert_int_equal(offload_detach(NEAR), 0);
	assert_false(near_has_program());
	expect_segmented(false);
}

/* As by the next process after a crash. */
static void test_what_is_there_is_kept(void **state)
{
	assert_int_equal(offload_attach(NEAR), 0);
	assert_int_equal(offload_attach(NEAR), 0);
	expect_segmented(true);
	assert_int_equal(offload_detach(NEAR), 0);
	assert_int_equal(offload_detach(NEAR), 0);
	expect_segmented(false);
}

static void test_far_end_with_large_frames(void **state)
{
	far("ip link set %s mtu 9000", FAR);
	assert_int_equal(offload_attach(NEAR), 0);
	expect_segmented(true);
}

static void test_other_devices(void **state)
{
	assert_int_equal(offload_attach("lo"), 0);
	assert_null(strstr(output_of("ip link show dev lo"), "xdp"));
	assert_int_equal(offload_attach("nowhere0"), 0);
	assert_int_equal(offload_detach("lo"), 0);
	assert_int_equal(offload_detach("nowhere0"), 0);
}

/* Another's program: ours under another name is what this kernel surely takes. */
static void test_anothers_program_is_left_alone(void **state)
{
	static const char source[] =
		"int pass(void *context) { return 2; }\n"
		"char terms[] __attribute__((section(\"license\"), used)) = \"GPL\";\n";
	char object[] = "/tmp/sallyport-xdp-XXXXXX";
	int fd = mkstemp(object);
	bool built;

	assert_true(fd >= 0);
	close(fd);
	built = status_of("printf '%%s' '%s' | clang -O2 -target bpf -x c -c - -o %s", source,
			object) == 0 &&
		status_of("ip link set dev " NEAR " xdpdrv object %s section .text", object) == 0;
	unlink(object);
	if (!built)
		skip();
	assert_int_equal(offload_attach(NEAR), -EBUSY);
	assert_int_equal(offload_detach(NEAR), 0);
	assert_non_null(strstr(output_of("ip link show dev " NEAR), "prog/xdp"));
	expect_segmented(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_attach_and_detach, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_there_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_far_end_with_large_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_devices, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_anothers_program_is_left_alone, setup, teardown),
	};
	int failed;

	if (!lab_open())
		return EXIT_SKIP;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	lab_close();
	return failed;
}
