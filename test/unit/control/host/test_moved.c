/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device with the host's own addresses becomes a port and is given back, by another process than
 * the one that took it. Needs root, is skipped without.
 */
#include "test/unit/control/host/lab.h"

static char folder[] = "/tmp/sallyport-moved-XXXXXX";

static void remove_folder(void)
{
	status_of("rm -rf %s", folder);
}

static struct host *open_host(void)
{
	struct host *host;
	int error;

	host = host_create(lab_base, &lab_sink, &error);
	assert_non_null(host);
	assert_int_equal(host_set_folder(host, folder), 0);
	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_COMING), 0);
	return host;
}

static void lay_device(void)
{
	run("ip link add dev-wan type veth peer name far-dev netns %d", far_pid);
	far("ip link set far-dev up");
	run("ip link set dev-wan up");
	run("ip addr add 192.0.2.1/24 dev dev-wan && ip addr add 192.0.2.2/32 dev dev-wan");
	run("ip addr add 2001:db8::1/64 dev dev-wan nodad");
	run("ip route add default via 192.0.2.254 metric 100 && "
	    "ip -6 route add default via 2001:db8::fe && "
	    "ip route add 10.9.0.0/16 via 192.0.2.253 proto static");
	run("ip neigh add 192.0.2.254 lladdr 02:00:00:00:00:fe dev dev-wan");
}

static void assert_has(const char *command, const char *text)
{
	const char *output = output_of(command);

	if (strstr(output, text) == NULL)
		fail_msg("%s: no '%s' in:\n%s", command, text, output);
}

static void assert_lacks(const char *command, const char *text)
{
	const char *output = output_of(command);

	if (strstr(output, text) != NULL)
		fail_msg("%s: '%s' in:\n%s", command, text, output);
}

static long size_of_file(void)
{
	char command[128];

	snprintf(command, sizeof(command), "stat -c %%s %s/moved-dev-wan", folder);
	return strtol(output_of(command), NULL, 10);
}

/* A DHCP client goes on: it renews its lease, with another lifetime each time, and then gets
 * another address. All of it is the twin's, and is kept once. */
static void put_on_device_again(void)
{
	long before = size_of_file();
	time_t end = lab_now() + WAIT_S;

	for (unsigned i = 0; i < 3; i++) {
		run("ip addr add 192.0.2.1/24 dev dev-wan valid_lft %u preferred_lft %u", 3600 + i,
			1800 + i);
		while (status_of("ip addr show dev dev-wan | grep -q 192.0.2") == 0 &&
			lab_now() < end)
			event_base_loop(lab_base, EVLOOP_ONCE);
		assert_lacks("ip addr show dev dev-wan", "192.0.2");
		assert_int_equal(size_of_file(), before);
	}
	assert_has("ip addr show dev sp-wan", "192.0.2.1/24");
	assert_has("ip route get 198.51.100.1", "via 192.0.2.254 dev sp-wan");
	run("ip addr add 192.0.2.77/24 dev dev-wan");
	while (status_of("ip addr show dev sp-wan | grep -q 192.0.2.77") != 0 && lab_now() < end)
		event_base_loop(lab_base, EVLOOP_ONCE);
	assert_has("ip addr show dev sp-wan", "192.0.2.77/24");
	assert_lacks("ip addr show dev dev-wan", "192.0.2");
	assert_true(size_of_file() > before);
}

static void test_moved(void **state)
{
	struct host_address address = {address_of("192.0.2.1"), 24, false};
	struct host_port port = {.port = 1,
		.name = "wan",
		.iface = "dev-wan",
		.addresses = &address,
		.address_count = 1};
	struct host_config config = {.overlay = "ov0",
		.ports = &port,
		.port_count = 1,
		.nat_port_first = 16384,
		.nat_port_last = 32767};
	struct host *host = open_host();
	time_t end = lab_now() + WAIT_S;

	run("echo 5000,20000 >/proc/sys/net/ipv4/ip_local_reserved_ports");
	lay_device();
	assert_int_equal(host_configure(host, &config), 0);
	assert_lacks("ip addr show dev dev-wan", "192.0.2");
	assert_lacks("ip addr show dev dev-wan", "2001:db8");
	assert_has("cat /proc/sys/net/ipv4/ip_local_reserved_ports", "5000,16384-32767");
	/* what was moved outlives the process, and a second time takes nothing away */
	host_destroy(&host);
	host = open_host();
	assert_int_equal(host_configure(host, &config), 0);
	run("ip link add sp-wan type veth peer name far-wan netns %d", far_pid);
	far("ip link set far-wan up");
	while (status_of("ip route show default | grep sp-wan") != 0 && lab_now() < end)
		event_base_loop(lab_base, EVLOOP_ONCE);
	assert_has("ip addr show dev sp-wan", "192.0.2.1/24");
	assert_has("ip addr show dev sp-wan", "192.0.2.2/32"); /* the configuration lacks it */
	assert_has("ip addr show dev sp-wan", "2001:db8::1/64");
	assert_has("ip route get 198.51.100.1", "via 192.0.2.254 dev sp-wan");
	assert_has("ip route get 10.9.1.1", "via 192.0.2.253 dev sp-wan");
	assert_has("ip -6 route get 2001:db8:1::1", "via 2001:db8::fe dev sp-wan");
	assert_has("ip neigh show dev sp-wan", "192.0.2.254 lladdr 02:00:00:00:00:fe PERMANENT");
	put_on_device_again();
	host_destroy(&host);
	run("ip link del sp-wan"); /* as with the data plane */
	host = open_host();
	assert_int_equal(host_withdraw(host), 0);
	host_destroy(&host);
	assert_has("ip addr show dev dev-wan", "192.0.2.1/24");
	assert_has("ip addr show dev dev-wan", "192.0.2.2/32");
	assert_has("ip addr show dev dev-wan", "2001:db8::1/64");
	assert_has("ip route show default", "via 192.0.2.254 dev dev-wan metric 100");
	assert_has("ip route get 10.9.1.1", "via 192.0.2.253 dev dev-wan");
	assert_has("ip -6 route get 2001:db8:1::1", "via 2001:db8::fe dev dev-wan");
	assert_has("ip neigh show dev dev-wan", "PERMANENT");
	assert_string_equal(
		output_of("cat /proc/sys/net/ipv4/ip_local_reserved_ports"), "5000,20000\n");
	assert_string_equal(output_of("nft list ruleset"), "");
	/* nothing is left to be put back */
	assert_int_not_equal(status_of("ls %s/*", folder), 0);
}

/* A host whose device was laid and which has heard nothing of a data plane. */
static struct host *open_away(struct host_config *config)
{
	struct host *host = open_host();

	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_AWAY), 0);
	assert_int_equal(host_configure(host, config), 0);
	return host;
}

static void assert_holder(const struct host *host, enum host_holder holder)
{
	assert_int_equal(host_device_holder(host, 1), holder);
	if (holder == HOST_HELD_BY_KERNEL) {
		assert_has("ip addr show dev dev-wan", "192.0.2.1/24");
		assert_lacks("nft list ruleset", "on_dev-wan");
	} else {
		assert_lacks("ip addr show dev dev-wan", "192.0.2.1/24");
		assert_has("nft list ruleset", "on_dev-wan");
	}
}

static void await_kernel(struct host *host)
{
	time_t end = lab_now() + WAIT_S;

	while (host_device_holder(host, 1) != HOST_HELD_BY_KERNEL && lab_now() < end)
		event_base_loop(lab_base, EVLOOP_ONCE);
	assert_holder(host, HOST_HELD_BY_KERNEL);
}

/* The kernel's until a data plane is about to start the port, and again after its death. */
static void test_holder(void **state)
{
	struct host_port port = {.port = 1, .name = "wan", .iface = "dev-wan", .give_back_s = 1};
	struct host_config config = {.overlay = "ov0", .ports = &port, .port_count = 1};
	struct host *host;

	host = open_away(&config);
	assert_holder(host, HOST_HELD_BY_KERNEL);
	/* refused: no port was started */
	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_COMING), 0);
	assert_holder(host, HOST_HELD_BY_PORT);
	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_AWAY), 0);
	assert_holder(host, HOST_HELD_BY_KERNEL);
	/* started: it stays so for a while, and with another process */
	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_COMING), 0);
	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_THERE), 0);
	run("ip link add sp-wan type veth peer name far-wan netns %d", far_pid);
	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_AWAY), 0);
	assert_holder(host, HOST_HELD_BY_PORT);
	host_destroy(&host);
	host = open_away(&config);
	assert_holder(host, HOST_HELD_BY_PORT);
	/* with a twin there is a data plane, whatever the connection says */
	for (time_t end = lab_now() + 3; lab_now() < end;)
		event_base_loop(lab_base, EVLOOP_ONCE);
	assert_holder(host, HOST_HELD_BY_PORT);
	run("ip link del sp-wan");
	await_kernel(host);
	/* it comes back */
	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_COMING), 0);
	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_THERE), 0);
	assert_holder(host, HOST_HELD_BY_PORT);
	/* one that dies over and over counts as away all the time: at once */
	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_AWAY), 0);
	assert_holder(host, HOST_HELD_BY_KERNEL);
	/* somebody flushed all rules */
	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_COMING), 0);
	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_THERE), 0);
	run("nft flush ruleset");
	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_AWAY), 0);
	assert_holder(host, HOST_HELD_BY_KERNEL);
	/* never */
	port.give_back_s = HOST_GIVE_BACK_NEVER;
	assert_int_equal(host_configure(host, &config), 0);
	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_COMING), 0);
	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_THERE), 0);
	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_AWAY), 0);
	assert_holder(host, HOST_HELD_BY_PORT);
	assert_int_equal(host_withdraw(host), 0);
	host_destroy(&host);
	assert_has("ip addr show dev dev-wan", "192.0.2.1/24");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moved), cmocka_unit_test(test_holder)};
	int failed;

	if (mkdtemp(folder) == NULL)
		return EXIT_FAILURE;
	if (!lab_open()) {
		remove_folder();
		return EXIT_SKIP;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	lab_close();
	remove_folder();
	return failed;
}
