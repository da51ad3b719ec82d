/* SPDX-License-Identifier: BSD-3-Clause */
/* The host against a real kernel in namespaces of its own; needs root, is skipped without. */
#include "test/unit/control/host/lab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define ROWS(rows) (rows), sizeof(rows) / sizeof((rows)[0])

static struct host *host;

static struct host_address twin_addresses[5];
static struct host_address overlay_addresses[1];
static struct host_port ports[1];
static struct host_route routes[4];

static struct host_config config = {
	.overlay = "ov0",
	.overlay_mtu = 1380,
	.overlay_addresses = overlay_addresses,
	.overlay_address_count = 1,
	.ports = ports,
	.port_count = 1,
	.routes = routes,
	.route_count = 4,
};

static void fill_config(void)
{
	twin_addresses[0] = (struct host_address){address_of("192.0.2.1"), 24, false};
	twin_addresses[1] = (struct host_address){address_of("2001:db8::1"), 64, true};
	twin_addresses[2] = (struct host_address){address_of("203.0.113.5"), 32, false};
	twin_addresses[3] = (struct host_address){address_of("2001:db8::5"), 128, true};
	twin_addresses[4] = (struct host_address){address_of("203.0.113.6"), 32, false};
	overlay_addresses[0] = (struct host_address){address_of("100.64.0.1"), 10, false};
	ports[0] = (struct host_port){.port = 1,
		.mtu = 1400,
		.name = "wan",
		.iface = "dev-wan",
		.addresses = twin_addresses,
		.address_count = 5};
	routes[0] = (struct host_route){
		.prefix = prefix_of("0.0.0.0/0"), .gateway = address_of("192.0.2.9"), .port = 1};
	routes[1] = (struct host_route){
		.prefix = prefix_of("::/0"), .gateway = address_of("2001:db8::9"), .port = 1};
	/* a gateway that no address of the link covers, and a prefix for routing daemons */
	routes[2] = (struct host_route){.prefix = prefix_of("198.18.0.0/15"),
		.gateway = address_of("10.9.9.9"),
		.port = 1,
		.metric = 7};
	routes[3] = (struct host_route){.prefix = prefix_of("10.50.0.0/16"), .table = 5050};
}

static void start_host(void)
{
	int error;

	host = host_create(lab_base, &lab_sink, &error);
	assert_non_null(host);
	assert_int_equal(host_set_dataplane(host, HOST_DATAPLANE_COMING), 0);
}

static void forget_told(void)
{
	told_count = 0;
	told_wrong = 0;
}

/* The mirror and what was told must agree at any time. */
static void check_replay(void)
{
	static struct told before[TOLD_MAX];
	size_t count = told_count;

	memcpy(before, told, sizeof(before));
	forget_told();
	host_replay(host, &lab_sink);
	assert_int_equal(told_count, count);
	for (size_t i = 0; i < count; i++) {
		const struct told *entry = told_find(before[i].key);

		if (entry == NULL || strcmp(entry->value, before[i].value) != 0)
			fail_msg("%s: told %s, mirrored %s", before[i].key, before[i].value,
				entry != NULL ? entry->value : "nothing");
	}
}

static void test_device_iface(void **state)
{
	static const char *const rows[][2] = {
		{"net_af_packet0,iface=wan", "wan"},
		{"net_af_packet1,qpairs=2,iface=eth1,framesz=2048", "eth1"},
		{"eth_af_packet0,iface=x", "x"},
		{"net_af_xdp0,iface=enp1s0f0np0", "enp1s0f0np0"},
		{"net_tap0,iface=tap0", ""},
		{"net_memif0,id=0", ""},
		{"0000:01:00.0", ""},
		{"net_af_packet0", ""},
		{"net_af_packet0,iface=", ""},
		{"net_af_packet0,iface=sixteencharacter", ""},
	};
	char iface[HOST_IFACE_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		host_device_iface(rows[i][0], iface);
		assert_string_equal(iface, rows[i][1]);
	}
}

static void test_refused(void **state)
{
	fill_config();
	start_host();
	strcpy(ports[0].iface, "a/b");
	assert_int_equal(host_configure(host, &config), -EINVAL);
	strcpy(ports[0].iface, "x\";drop");
	assert_int_equal(host_configure(host, &config), -EINVAL);
	fill_config();
	ports[0].port = 0;
	assert_int_equal(host_configure(host, &config), -EINVAL);
	host_destroy(&host);
	assert_null(host);
}

/* Configured before any device exists, as at start; then the twins appear. */
static void test_configure(void **state)
{
	static const char *const rows[][2] = {
		{"local 192.0.2.1", "1"},
		{"local 2001:db8::1", "1"},
		{"local 203.0.113.5", "1"},
		{"local 203.0.113.6", "1"},
		{"local 2001:db8::5", "1"},
		{"local 100.64.0.1", "0"},
		{"route 192.0.2.0/24", "port 1 via none"},
		{"route 2001:db8::/64", "port 1 via none"},
		{"route 0.0.0.0/0", "port 1 via 192.0.2.9"},
		{"route ::/0", "port 1 via 2001:db8::9"},
		{"route 198.18.0.0/15", "port 1 via 10.9.9.9"},
		{"neigh 1 192.0.2.9", "*"},
		{"neigh 1 2001:db8::9", "*"},
		/* not told: */
		{"local 127.0.0.1", NULL},
		{"local ::1", NULL},
		{"route 10.50.0.0/16", NULL},
		{"route 100.64.0.0/10", NULL},
		{"route 2001:db8::5/128", NULL},
		{"route fe80::/64", NULL},
	};

	fill_config();
	start_host();
	assert_int_equal(host_configure(host, &config), 0);
	lay_wire("sp-wan", "far-wan", "192.0.2.9/24", "2001:db8::9/64");
	run("ip tuntap add ov0 mode tun");
	await_all(ROWS(rows));
	assert_int_equal(told_wrong, 0);
	assert_true(told_settled > 0);
	check_replay();
}

static void test_kernel_state(void **state)
{
	assert_string_equal(output_of("cat /proc/sys/net/ipv4/conf/sp-wan/forwarding"), "0\n");
	assert_string_equal(output_of("cat /proc/sys/net/ipv4/conf/sp-wan/rp_filter"), "2\n");
	assert_string_equal(output_of("cat /proc/sys/net/ipv4/conf/sp-wan/arp_ignore"), "1\n");
	assert_string_equal(output_of("cat /proc/sys/net/ipv6/conf/sp-wan/accept_ra"), "0\n");
	assert_string_equal(output_of("cat /proc/sys/net/ipv6/conf/ov0/accept_ra"), "0\n");
	assert_string_equal(output_of("cat /sys/class/net/lo/mtu"), "65536\n");
	assert_non_null(strstr(output_of("ip link show sp-wan"), "mtu 1400"));
	assert_non_null(strstr(output_of("ip link show ov0"), "mtu 1380"));
	assert_non_null(strstr(output_of("ip route show table 5050"), "10.50.0.0/16 dev ov0"));
	assert_null(strstr(output_of("ip -6 addr show dev sp-wan"), "tentative"));
	/* the kernel answers ARP for an egress address and keeps the gateway managed */
	far("ip route add 203.0.113.5 dev far-wan");
	far("ping -q -c 1 -W 5 203.0.113.5 >/dev/null");
	assert_non_null(strstr(output_of("ip neigh show 192.0.2.9"), "managed extern_learn"));
}

static void test_mirror(void **state)
{
	static const char *const twin_rows[][2] = {
		{"route 198.51.100.0/24", "port 1 via 192.0.2.9"},
		{"route 10.77.0.0/16", "host"},
		{"route 10.88.0.0/24", "host"},
		{"route 10.99.0.0/24", "port 1 via 192.0.2.8"},
		{"route 10.66.0.0/24", "port 1 via 2001:db8::9"},
		{"route 2001:db8:77::/48", "port 1 via 2001:db8::8"},
		{"route 2001:db8:88::/48", "host"},
		{"local 10.1.1.1", "0"},
	};

	/* another device, whose default route is of no account */
	run("ip link add mgmt type veth peer name mgmt-far && ip link set mgmt-far up && ip addr "
	    "add 10.1.1.1/24 dev mgmt && "
	    "ip link set mgmt up");
	run("ip route add default via 10.1.1.254 dev mgmt metric 0 2>/dev/null || "
	    "ip route add default via 10.1.1.254 dev mgmt metric 1");
	run("ip route add 10.77.0.0/16 via 10.1.1.2");
	run("ip route add blackhole 10.88.0.0/24");
	run("ip -6 route add unreachable 2001:db8:88::/48");
	run("ip route add 198.51.100.0/24 via 192.0.2.9 metric 20");
	run("ip route add 198.51.100.0/24 via 192.0.2.8 metric 30");
	run("ip route add 198.51.100.0/24 via 10.1.1.2 metric 10");
	run("ip route add 10.99.0.0/24 nexthop via 10.1.1.2 nexthop via 192.0.2.8");
	run("ip route add 10.66.0.0/24 via inet6 2001:db8::9 dev sp-wan");
	run("ip -6 route add 2001:db8:77::/48 via 2001:db8::8 dev sp-wan");
	await_all(ROWS(twin_rows));
	assert_true(is_told("route 0.0.0.0/0", "port 1 via 192.0.2.9"));
	run("ip route del 198.51.100.0/24 via 192.0.2.9 metric 20");
	await_told("route 198.51.100.0/24", "port 1 via 192.0.2.8");
	run("ip route replace 198.51.100.0/24 via 192.0.2.77 metric 30");
	await_told("route 198.51.100.0/24", "port 1 via 192.0.2.77");
	run("ip route del 198.51.100.0/24 metric 30");
	await_told("route 198.51.100.0/24", "host");
	run("ip route del blackhole 10.88.0.0/24");
	await_told("route 10.88.0.0/24", NULL);
	/* what the kernel does not announce: routes that go with a device that is set down */
	run("ip link set mgmt down");
	await_told("route 10.77.0.0/16", NULL);
	await_told("route 198.51.100.0/24", NULL);
	assert_int_equal(told_wrong, 0);
	check_replay();
}

/* A neighbour that the data plane wants, appears, moves, and one that never answers. */
static void test_neighbours(void **state)
{
	struct addr near = address_of("192.0.2.77");
	struct addr never = address_of("192.0.2.200");
	struct addr own = address_of("192.0.2.1");

	far("ip link set far-wan address 02:00:00:00:00:09");
	far("ip addr add 192.0.2.77/24 dev far-wan");
	host_want_neighbour(host, 1, &near);
	host_want_neighbour(host, 1, &never);
	host_want_neighbour(host, 1, &own);
	host_want_neighbour(host, 9, &near);
	await_told("neigh 1 192.0.2.77", "02:00:00:00:00:09");
	assert_non_null(strstr(output_of("ip neigh show 192.0.2.77"), "managed extern_learn"));
	assert_string_equal(output_of("ip neigh show 192.0.2.1"), "");
	assert_true(is_told("neigh 1 192.0.2.200", NULL));
	/* what the kernel found by itself is kept as well; what somebody fixed stays fixed */
	far("ip addr add 192.0.2.78/24 dev far-wan");
	run("ip neigh add 192.0.2.79 lladdr 02:00:00:00:00:4f dev sp-wan nud permanent");
	run("ip route add 10.55.0.0/24 via 192.0.2.79");
	run("ping -q -c 1 -W 5 192.0.2.78 >/dev/null");
	await_told("neigh 1 192.0.2.78", "02:00:00:00:00:09");
	await_told("neigh 1 192.0.2.79", "02:00:00:00:00:4f");
	await_told("route 10.55.0.0/24", "port 1 via 192.0.2.79");
	assert_non_null(strstr(output_of("ip neigh show 192.0.2.78"), "managed extern_learn"));
	assert_non_null(strstr(output_of("ip neigh show 192.0.2.79"), "PERMANENT"));
	far("ip link set far-wan address 02:00:00:00:00:0a");
	far("ping -q -c 1 -W 5 192.0.2.1 >/dev/null || true");
	run("ip neigh replace 192.0.2.77 lladdr 02:00:00:00:00:0b dev sp-wan nud reachable");
	await_told("neigh 1 192.0.2.77", "02:00:00:00:00:0b");
	/* whoever takes the entry away, or its flags: it comes back within the refresh */
	run("ip neigh del 192.0.2.77 dev sp-wan");
	await_told("neigh 1 192.0.2.77", NULL);
	await_told("neigh 1 192.0.2.77", "02:00:00:00:00:0a");
	assert_non_null(strstr(output_of("ip neigh show 192.0.2.77"), "managed extern_learn"));
	assert_int_equal(told_wrong, 0);
}

/* The data plane dies and comes back: everything goes, and is put back without being asked. */
static void test_twin_returns(void **state)
{
	static const char *const gone[][2] = {
		{"local 192.0.2.1", NULL},
		{"local 2001:db8::5", NULL},
		{"route 0.0.0.0/0", "*"}, /* the management network's, now that no twin has one */
		{"route ::/0", NULL},
		{"neigh 1 192.0.2.9", NULL},
	};
	static const char *const back[][2] = {
		{"local 192.0.2.1", "1"},
		{"local 2001:db8::5", "1"},
		{"route 0.0.0.0/0", "port 1 via 192.0.2.9"},
		{"route ::/0", "port 1 via 2001:db8::9"},
		{"neigh 1 192.0.2.9", "*"},
		{"neigh 1 2001:db8::9", "*"},
	};

	run("ip link set mgmt up && ip route add default via 10.1.1.254 dev mgmt metric 1");
	run("ip link del sp-wan");
	await_all(ROWS(gone));
	assert_true(is_told("route 0.0.0.0/0", "host"));
	lay_wire("sp-wan", "far-wan", "192.0.2.9/24", "2001:db8::9/64");
	await_all(ROWS(back));
	assert_int_equal(told_wrong, 0);
	check_replay();
}

/* A new process with another configuration: ours that is not in it goes, others' stays. */
static void test_restart(void **state)
{
	host_destroy(&host);
	run("ip addr add 192.0.2.111/24 dev sp-wan");
	run("ip route add 10.123.0.0/16 via 192.0.2.9");
	forget_told();
	fill_config();
	ports[0].address_count = 4;
	config.route_count = 2;
	start_host();
	assert_int_equal(host_configure(host, &config), 0);
	/* at once: a full replay follows */
	assert_true(is_told("local 203.0.113.6", NULL));
	assert_true(is_told("local 203.0.113.5", "1"));
	assert_true(is_told("local 192.0.2.111", "1"));
	assert_true(is_told("route 0.0.0.0/0", "port 1 via 192.0.2.9"));
	assert_true(is_told("route 10.123.0.0/16", "port 1 via 192.0.2.9"));
	assert_true(is_told("route 198.18.0.0/15", NULL));
	assert_string_equal(output_of("ip route show table 5050"), "");
	assert_true(is_told("neigh 1 192.0.2.9", "*"));
	/* what the former process wanted is this one's now */
	assert_non_null(strstr(output_of("ip neigh show 192.0.2.77"), "managed extern_learn"));
	config.route_count = 4;
}

/* True if a TCP connection to port 1 of this host is refused: its stack answered. */
static bool refuses(void)
{
	return status_of("nsenter -t %d -n curl --interface far-dev -m 1 -s http://192.0.2.1:1",
		       far_pid) == 7;
}

/*
 * A port's own device: before the guard the kernel answers on it for any address of the host;
 * afterwards neither ARP nor echo nor RST comes, while packet sockets still see every frame.
 */
static void test_guard(void **state)
{
	struct sockaddr_ll device = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct timeval patience = {.tv_sec = WAIT_S};
	char frame[2048];
	int sock;

	run("ip link add dev-wan address 02:00:00:00:00:d1 type veth peer name far-dev netns %d",
		far_pid);
	run("ip link set dev-wan up && ip addr add 192.0.2.1/32 dev lo");
	far("ip link set far-dev up; ip addr add 192.0.2.55/24 dev far-dev");
	far("ip route add 192.0.2.1/32 dev far-dev src 192.0.2.55");
	run("ip route add 192.0.2.55/32 dev dev-wan");
	device.sll_ifindex = (int)if_nametoindex("dev-wan");
	/* the event loop has not run: nothing guards it yet */
	assert_int_equal(status_of("nsenter -t %d -n ping -q -c 1 -W 2 192.0.2.1", far_pid), 0);
	assert_true(refuses());
	assert_int_equal(host_configure(host, &config), 0);
	assert_non_null(strstr(
		output_of("nft list chain netdev sallyport_guard on_dev-wan"), "policy drop"));
	assert_string_equal(output_of("cat /proc/sys/net/ipv6/conf/dev-wan/disable_ipv6"), "1\n");
	assert_int_not_equal(status_of("nsenter -t %d -n ping -q -c 1 -W 1 192.0.2.1", far_pid), 0);
	assert_false(refuses());
	/* nor is ARP answered */
	far("ip neigh flush dev far-dev");
	assert_int_not_equal(status_of("nsenter -t %d -n ping -q -c 1 -W 1 192.0.2.1", far_pid), 0);
	far("! ip neigh show dev far-dev | grep lladdr");
	sock = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	assert_int_equal(bind(sock, (struct sockaddr *)&device, sizeof(device)), 0);
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	status_of("nsenter -t %d -n ping -q -c 1 -W 1 192.0.2.1", far_pid);
	assert_true(recv(sock, frame, sizeof(frame), 0) >= 42);
	close(sock);
	/* twice is once */
	assert_int_equal(host_configure(host, &config), 0);
	assert_int_equal(status_of("nft list chain netdev sallyport_guard on_dev-wan"), 0);
	run("ip addr del 192.0.2.1/32 dev lo");
}

/* A device that comes back is guarded anew; one that is no port's is let go. */
static void test_guard_moves(void **state)
{
	time_t end = lab_now() + WAIT_S;

	/* older kernels remove the chain with the device, newer ones keep it by name */
	run("ip link del dev-wan");
	run("nft delete chain netdev sallyport_guard on_dev-wan || true");
	run("ip link add dev-wan type veth peer name far-dev2");
	while (status_of("nft list chain netdev sallyport_guard on_dev-wan") != 0 &&
		lab_now() < end)
		event_base_loop(lab_base, EVLOOP_ONCE);
	assert_int_equal(status_of("nft list chain netdev sallyport_guard on_dev-wan"), 0);
	ports[0].iface[0] = '\0';
	assert_int_equal(host_configure(host, &config), 0);
	assert_int_not_equal(status_of("nft list chain netdev sallyport_guard on_dev-wan"), 0);
	assert_string_equal(output_of("cat /proc/sys/net/ipv6/conf/dev-wan/disable_ipv6"), "0\n");
	fill_config();
	assert_int_equal(host_configure(host, &config), 0);
}

static void test_withdraw(void **state)
{
	assert_int_equal(status_of("nft list table netdev sallyport_guard"), 0);
	assert_int_equal(host_withdraw(host), 0);
	host_destroy(&host);
	assert_string_equal(output_of("nft list ruleset"), "");
	assert_string_equal(output_of("ip route show proto 83 table all"), "");
	assert_string_equal(output_of("ip -6 route show proto 83 table all"), "");
	assert_null(strstr(output_of("ip addr"), "proto 83"));
	assert_null(strstr(output_of("ip addr"), "203.0.113.5"));
	assert_null(strstr(output_of("ip neigh"), "managed"));
	/* others' things stand */
	assert_non_null(strstr(output_of("ip addr show dev sp-wan"), "192.0.2.111"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_device_iface),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_configure),
		cmocka_unit_test(test_kernel_state),
		cmocka_unit_test(test_mirror),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_twin_returns),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_guard),
		cmocka_unit_test(test_guard_moves),
		cmocka_unit_test(test_withdraw),
	};
	int failed;

	if (!lab_open())
		return EXIT_SKIP;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	lab_close();
	return failed;
}
