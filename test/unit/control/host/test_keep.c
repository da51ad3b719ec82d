/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wanted neighbours outlive the kernel's garbage collection, with gc_stale_time=1 and without the
 * process that wanted them. The collector runs twice a minute or so and only in tables of more
 * than gc_thresh1 entries; entries of another device, which nothing keeps, show that it did.
 * Needs root, is skipped without.
 */
#include "test/unit/control/host/lab.h"

enum { FILLERS = 200, COLLECT_S = 60 };

static unsigned count_fillers(void)
{
	return (unsigned)atoi(output_of("ip neigh show dev filler | grep -c lladdr"));
}

static void fill_table(void)
{
	FILE *batch = popen("ip -batch -", "w");

	assert_non_null(batch);
	for (unsigned i = 0; i < FILLERS; i++)
		fprintf(batch,
			"neigh add 10.5.0.%u lladdr 02:00:00:00:01:%02x dev filler nud stale\n",
			i + 2, i);
	assert_int_equal(pclose(batch), 0);
	assert_int_equal(count_fillers(), FILLERS);
}

/* Until the collector has been: its turn comes within half of base_reachable_time. */
static void await_collection(void)
{
	time_t end = lab_now() + COLLECT_S;

	while (count_fillers() == FILLERS && lab_now() < end)
		usleep(200000);
	assert_true(count_fillers() < FILLERS);
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
	lay_wire("sp-wan", "far-wan", "192.0.2.9/24", "2001:db8::9/64");
	run("sysctl -qw net.ipv4.neigh.sp-wan.gc_stale_time=1 "
	    "net.ipv6.neigh.sp-wan.gc_stale_time=1 net.ipv4.neigh.filler.gc_stale_time=1 "
	    "net.ipv4.neigh.sp-wan.base_reachable_time_ms=1000 "
	    "net.ipv6.neigh.sp-wan.base_reachable_time_ms=1000");
	host = host_create(lab_base, &lab_sink, &error);
	assert_non_null(host);
	assert_int_equal(host_configure(host, &config), 0);
	host_want_neighbour(host, 1, &wanted);
	host_want_neighbour(host, 1, &wanted6);
	await_told("neigh 1 192.0.2.9", "*");
	await_told("neigh 1 2001:db8::9", "*");
	host_destroy(&host); /* as after a kill: nothing is taken back */
	fill_table();
	await_collection();
	assert_non_null(strstr(output_of("ip neigh show 192.0.2.9"), "lladdr"));
	assert_non_null(strstr(output_of("ip neigh show 2001:db8::9"), "lladdr"));
	/* and a new process has them at once */
	told_count = 0;
	host = host_create(lab_base, &lab_sink, &error);
	assert_non_null(host);
	assert_int_equal(host_configure(host, &config), 0);
	assert_true(is_told("neigh 1 192.0.2.9", "*"));
	assert_true(is_told("neigh 1 2001:db8::9", "*"));
	host_withdraw(host);
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
