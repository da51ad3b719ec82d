/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wanted neighbours outlive the kernel's garbage collection, with gc_stale_time=1 and without the
 * process that wanted them. The collector runs a few times a minute, and only in tables of more
 * than gc_thresh1 (128) entries. Two neighbours on the same wire, which nothing keeps, show that
 * it has been there. Needs root, is skipped without.
 */
#include "test/unit/control/host/lab.h"

enum { FILLERS = 200, COLLECT_S = 80 };

static void fill_tables(void)
{
	FILE *batch = popen("ip -batch -", "w");

	assert_non_null(batch);
	for (unsigned i = 2; i < FILLERS + 2; i++) {
		fprintf(batch, "neigh add 10.5.0.%u lladdr 02:00:00:00:01:%02x dev filler\n", i, i);
		fprintf(batch, "neigh add fd05::%x lladdr 02:00:00:00:01:%02x dev filler\n", i, i);
	}
	assert_int_equal(pclose(batch), 0);
}

static bool has_neighbour(const char *address)
{
	char command[96];

	snprintf(command, sizeof(command), "ip neigh show dev sp-wan %s", address);
	return strstr(output_of(command), "lladdr") != NULL;
}

static void await_collection(void)
{
	time_t end = lab_now() + COLLECT_S;

	while ((has_neighbour("192.0.2.77") || has_neighbour("2001:db8::77")) && lab_now() < end)
		usleep(200000);
	assert_false(has_neighbour("192.0.2.77"));
	assert_false(has_neighbour("2001:db8::77"));
}

static void test_keep(void **state)
{
	struct host_address addresses[] = {
		{address_of("192.0.2.1"), 24, false}, {address_of("2001:db8::1"), 64, true}};
	struct host_port port = {
		.port = 1, .name = "wan", .addresses = addresses, .address_count = 2};
	struct host_config config = {.overlay = "ov0", .ports = &port, .port_count = 1};
	struct addr wanted = address_of("192.0.2.9");
	struct addr wanted6 = address_of("2001:db8::9");
	struct host *host;
	int error;

	run("ip link add filler type veth peer name filler-far && ip link set filler up && "
	    "ip link set filler-far up && ip addr add 10.5.0.1/16 dev filler");
	fill_tables();
	lay_wire("sp-wan", "far-wan", "192.0.2.9/24", "2001:db8::9/64");
	/* An entry in use within delay_first_probe_time of its expiry would be probed by itself. */
	run("for f in ipv4 ipv6; do cd /proc/sys/net/$f/neigh/sp-wan && echo 1 > gc_stale_time && "
	    "echo 1 > delay_first_probe_time && echo 3000 > base_reachable_time_ms; done");
	host = host_create(lab_base, &lab_sink, &error);
	assert_non_null(host);
	assert_int_equal(host_configure(host, &config), 0);
	host_want_neighbour(host, 1, &wanted);
	host_want_neighbour(host, 1, &wanted6);
	await_told("neigh 1 192.0.2.9", "*");
	await_told("neigh 1 2001:db8::9", "*");
	far("ip addr add 192.0.2.77/24 dev far-wan; ip addr add 2001:db8::77/64 dev far-wan nodad");
	run("ping -q -c 1 192.0.2.77 >/dev/null && ping -q -c 1 2001:db8::77 >/dev/null");
	assert_true(has_neighbour("192.0.2.77") && has_neighbour("2001:db8::77"));
	host_destroy(&host); /* as after a kill: nothing is taken back */
	await_collection();
	assert_true(has_neighbour("192.0.2.9"));
	assert_true(has_neighbour("2001:db8::9"));
	/* and a new process has them at once */
	told_count = 0;
	host = host_create(lab_base, &lab_sink, &error);
	assert_non_null(host);
	assert_int_equal(host_configure(host, &config), 0);
	assert_true(is_told("neigh 1 192.0.2.9", "*"));
	assert_true(is_told("neigh 1 2001:db8::9", "*"));
	assert_int_equal(host_withdraw(host), 0);
	host_destroy(&host);
	assert_null(strstr(output_of("ip neigh"), "managed"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_keep)};
	int failed;

	if (!lab_open())
		return EXIT_SKIP;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	lab_close();
	return failed;
}
