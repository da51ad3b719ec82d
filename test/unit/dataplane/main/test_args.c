/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line, and what EAL is started with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "dataplane/main/args.h"
#include "dataplane/main/eal.h"

static enum args_result parse(struct args *args, const char *a, const char *b)
{
	const char *argv[] = {"sallyport-dataplane", a, b, NULL};
	int argc = a == NULL ? 1 : b == NULL ? 2 : 3;

	return args_parse(argc, (char **)argv, args);
}

static void test_defaults(void **state)
{
	struct args args;

	assert_int_equal(parse(&args, NULL, NULL), ARGS_RUN);
	assert_true(args.config.workers >= 1);
	assert_int_equal(args.config.mtu_max, 1500);
	assert_ptr_equal(dp_config()->socket_path, args.config.socket_path);
	assert_int_equal(dp_config()->workers, args.config.workers);
	assert_true(eal_memory_mb(&args) <= 1024);
}

static void test_values(void **state)
{
	static const struct {
		const char *option, *value;
		enum args_result result;
	} rows[] = {
		{"--workers", "3", ARGS_RUN},
		{"--workers", "0", ARGS_WRONG},
		{"--workers", "33", ARGS_WRONG},
		{"--workers", "-1", ARGS_WRONG},
		{"--workers", "2x", ARGS_WRONG},
		{"--workers", "", ARGS_WRONG},
		{"--workers", "99999999999999999999", ARGS_WRONG},
		{"--idle", "poll", ARGS_RUN},
		{"--idle", "pol", ARGS_WRONG},
		{"--hugepages", "off", ARGS_RUN},
		{"--hugepages", "maybe", ARGS_WRONG},
		{"--log", "debug", ARGS_RUN},
		{"--log", "loud", ARGS_WRONG},
		{"--mtu-max", "1279", ARGS_WRONG},
		{"--mtu-max", "9000", ARGS_RUN},
		{"--uid", "0", ARGS_RUN},
		{"--socket", "/run/x", ARGS_RUN},
		{"--allow-pci", NULL, ARGS_RUN},
		{"--no-such", NULL, ARGS_WRONG},
		{"word", NULL, ARGS_WRONG},
		{"--socket", NULL, ARGS_WRONG},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct args args;

		if (parse(&args, rows[i].option, rows[i].value) != rows[i].result)
			fail_msg("%s %s", rows[i].option, rows[i].value);
	}
}

static void test_idle_follows_cores(void **state)
{
	struct args args;

	assert_int_equal(parse(&args, "--workers", "32"), ARGS_RUN);
	assert_true(args.config.cores_shared);
	assert_int_equal(args.config.idle, DP_IDLE_ADAPTIVE);
	/* Placed by hand, they have their CPUs to themselves. */
	assert_int_equal(parse(&args, "--lcores", "0@0,1@0"), ARGS_RUN);
	assert_false(args.config.cores_shared);
	assert_int_equal(args.config.idle, DP_IDLE_POLL);
	assert_int_equal(parse(&args, "--idle", "poll"), ARGS_RUN);
	assert_int_equal(args.config.idle, DP_IDLE_POLL);
	assert_int_equal(parse(&args, "--idle", "adaptive"), ARGS_RUN);
	assert_int_equal(args.config.idle, DP_IDLE_ADAPTIVE);
}

static bool has(const struct eal_args *eal, const char *arg)
{
	for (int i = 0; i < eal->argc; i++) {
		if (strcmp(eal->argv[i], arg) == 0)
			return true;
	}
	return false;
}

static void test_eal(void **state)
{
	struct eal_args eal;
	struct args args;

	assert_int_equal(parse(&args, "--lcores", "0@0,1@0"), ARGS_RUN);
	assert_int_equal(eal_build_args(&args, true, &eal), 0);
	assert_true(has(&eal, "--in-memory"));
	assert_false(has(&eal, "--no-huge"));
	assert_true(has(&eal, "--no-pci"));
	assert_true(has(&eal, "0@0,1@0"));
	assert_null(eal.argv[eal.argc]);

	/* DPDK 22.11 refuses the two together. */
	assert_int_equal(parse(&args, "--allow-pci", NULL), ARGS_RUN);
	assert_int_equal(eal_build_args(&args, false, &eal), 0);
	assert_false(has(&eal, "--in-memory"));
	assert_true(has(&eal, "--no-huge"));
	assert_false(has(&eal, "--no-pci"));
	assert_true(has(&eal, "--allow")); /* or EAL takes every card */
}

static void test_memory_follows_limits(void **state)
{
	struct args args;

	assert_int_equal(parse(&args, "--max-flows", "10000000"), ARGS_RUN);
	assert_true(eal_memory_mb(&args) > 4000);
	assert_int_equal(parse(&args, "--memory", "77"), ARGS_RUN);
	assert_int_equal(eal_memory_mb(&args), 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_idle_follows_cores),
		cmocka_unit_test(test_eal),
		cmocka_unit_test(test_memory_follows_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
