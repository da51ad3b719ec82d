/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which outside address and port a mapping gets, and what happens when there are no more. Names
 * start with the requirement's number in docs/conformance/nat.md.
 */
#include "test/unit/dataplane/nat/exchange.h"

/* U2, C2, B5: a subscriber keeps its address; many subscribers use all of them. */
static void u2_pooling_is_paired(void **state)
{
	static const uint16_t ids[] = {1, 2, 3, 4};
	unsigned used[256] = {0};
	unsigned addresses = 0;

	fake_egress(3, "198.51.100.3", 1024, 65535);
	fake_egress(4, "198.51.100.4", 1024, 65535);
	fake_pool(1, ids, 4);
	for (uint32_t peer = 1; peer < FAKE_PEERS; peer++) {
		struct nat_asked asked = {.set_id = 1, .subscriber = peer};
		const struct nat_address *first, *again;
		uint16_t options;

		assert_int_equal(addr_parse("100.64.0.1", &asked.src), 0);
		assert_int_equal(addr_parse(REMOTE, &asked.dst), 0);
		first = nat_select(fake_copy, &asked, &options);
		assert_int_equal(addr_parse(OTHER, &asked.dst), 0);
		assert_int_equal(addr_parse("100.64.0.7", &asked.src), 0);
		again = nat_select(fake_copy, &asked, &options);
		assert_non_null(first);
		assert_ptr_equal(first, again);
		used[nat_address_addr(first)->bytes[3]]++;
	}
	for (unsigned i = 0; i < 256; i++)
		addresses += used[i] > 5;
	assert_int_equal(addresses, 3);
}

/* U3, T7: never one outside port for two inside ones. U4: parity. */
static void u3_u4_no_overloading_and_parity_kept(void **state)
{
	static uint8_t taken[65536];
	struct packet_spec packet = from_peer(IPPROTO_UDP, 2000, REMOTE, 3478);

	memset(taken, 0, sizeof(taken));
	for (unsigned i = 0; i < 4000; i++, packet.sport++) {
		struct out out = run(&packet);

		assert_int_equal(out.role, GRAPH_SEND);
		assert_int_equal(out.seen.sport % 2, packet.sport % 2);
		assert_true(out.seen.sport >= 1024);
		assert_false(taken[out.seen.sport]);
		taken[out.seen.sport] = 1;
	}
}

/* U3a: sources below 1024 have such a port outside, as long as there are any, and nobody else has;
 * identifiers of queries are no ports. */
static void u3a_port_class_is_kept(void **state)
{
	static const uint16_t ids[] = {9};
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP};
	static uint8_t taken[65536];
	struct packet_spec last = from_peer(IPPROTO_UDP, 7, REMOTE, 2049);

	fake_egress(9, "198.51.100.9", 1, 65535);
	fake_pool(1, ids, 1);
	w->owner_max = UINT32_MAX;
	for (unsigned p = 0; p < 2; p++) {
		unsigned low = 0;

		memset(taken, 0, sizeof(taken));
		for (uint16_t i = 1; i < 1024; i++) {
			struct packet_spec packet = from_peer(protos[p], i, REMOTE, 2049), high;
			struct out out = run(&packet);

			assert_int_equal(out.role, GRAPH_SEND);
			assert_in_range(out.seen.sport, 1, 1023);
			assert_int_equal(taken[out.seen.sport]++, 0);
			low += out.seen.sport % 2 == i % 2;
			high = from_peer(protos[p], (uint16_t)(1023 + i), REMOTE, 2049);
			out = run(&high);
			assert_true(out.seen.sport >= 1024);
			assert_int_equal(taken[out.seen.sport]++, 0);
			w->now_ms += 1; /* room for half-open ones comes with their answers only */
			w->half_open = w->peers[1].half_open = 0;
		}
		assert_int_equal(low, 1023);
	}
	last.ingress = 2;
	last.src = "100.64.0.2";
	assert_true(run(&last).seen.sport >= 1024); /* there are no more below */
}

/* A share without them gives the others. */
static void u3a_no_low_ports_in_a_share(void **state)
{
	struct packet_spec packet = from_peer(IPPROTO_UDP, 500, REMOTE, 500);

	assert_in_range(run(&packet).seen.sport, 1024, 65535);
}

/* A share may lie below 1024 altogether: it has nothing for sources above, nor for queries. */
static void u3a_nothing_but_low_ports_in_a_share(void **state)
{
	static const uint16_t ids[] = {9};
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP};

	fake_egress(9, "198.51.100.9", 200, 299);
	fake_pool(1, ids, 1);
	for (unsigned i = 0; i < 3; i++) {
		struct packet_spec packet = from_peer(protos[i], 4000, REMOTE, 443);

		assert_string_equal(run(&packet).drop, "ports_exhausted");
		packet.sport = 500;
		if (protos[i] == IPPROTO_ICMP)
			assert_string_equal(run(&packet).drop, "ports_exhausted");
		else
			assert_in_range(run(&packet).seen.sport, 200, 299);
	}
}

/* C13: when the blocks are all somebody's, what is left in them is given to others, to the last
 * port: twice as many users as blocks, each with half a block. */
static void c13_all_ports_are_used(void **state)
{
	enum { BLOCKS = 1008, EACH = 32, PORTS = BLOCKS * NAT_BLOCK_PORTS };
	static uint32_t mapping[PORTS];
	struct nat_asked asked = {.set_id = 1, .subscriber = 1};
	struct nat_wanted wanted = {.proto = IPPROTO_UDP, .options = API_EGRESS_ANY_PARITY};
	unsigned given = 0, users = 0;
	struct nat_figures figures;
	struct nat_worker *nat;
	uint16_t options, port;

	assert_int_equal(nat_worker_create(&nat, 0, 70000), 0);
	assert_int_equal(addr_parse("100.64.0.1", &asked.src), 0);
	assert_int_equal(addr_parse(REMOTE, &asked.dst), 0);
	wanted.address = nat_select(fake_copy, &asked, &options);
	wanted.inside = asked.src;
	for (uint32_t user = 1; user <= 2 * BLOCKS; user++) {
		unsigned before = given;

		for (uint16_t i = 0; i < EACH; i++) {
			wanted.subscriber = user;
			wanted.inside.bytes[2] = (uint8_t)(user >> 8);
			wanted.inside.bytes[3] = (uint8_t)user;
			wanted.port = (uint16_t)(2000 + i);
			mapping[given] = nat_map(nat, &wanted, &port);
			given += mapping[given] != 0;
		}
		users += given - before == EACH;
	}
	assert_int_equal(given, PORTS);
	assert_int_equal(users, 2 * BLOCKS);
	wanted.port = 1999;
	assert_int_equal(nat_map(nat, &wanted, &port), 0);
	assert_true(nat_figures(1, &figures));
	assert_int_equal(figures.blocks_used, BLOCKS);
	for (unsigned i = 0; i < PORTS; i++)
		nat_unmap(nat, mapping[i]);
	assert_true(nat_figures(1, &figures));
	assert_int_equal(figures.blocks_used, 0);
	nat_worker_destroy(&nat);
}

/* B11, C15: ports are not handed out in order. */
static void b11_ports_are_random(void **state)
{
	struct packet_spec packet = from_peer(IPPROTO_UDP, 2000, REMOTE, 3478);
	unsigned in_order = 0;
	uint16_t last = 0;

	for (unsigned i = 0; i < 200; i++, packet.sport += 2) {
		struct out out = run(&packet);

		in_order += out.seen.sport == (uint16_t)(last + 2);
		last = out.seen.sport;
	}
	assert_true(in_order < 40);
}

/* I7/C11: no free port: refused and counted, nothing evicted. */
static void c11_exhaustion_evicts_nobody(void **state)
{
	static const uint16_t ids[] = {9};
	struct packet_spec packet = from_peer(IPPROTO_UDP, 3000, REMOTE, 3478);
	struct nat_figures figures;
	struct out out;

	fake_egress(9, "198.51.100.9", 2048, 2048 + 127);
	fake_pool(1, ids, 1);
	for (unsigned i = 0; i < 128; i++, packet.sport++)
		assert_int_equal(run(&packet).role, GRAPH_SEND);
	out = run(&packet);
	assert_int_equal(out.role, GRAPH_ICMP);
	assert_string_equal(out.drop, "ports_exhausted");
	assert_int_equal(w->table.live, 128);
	assert_true(nat_figures(9, &figures));
	assert_int_equal(figures.mappings, 128);
	assert_int_equal(figures.blocks_used, 2);
	assert_int_equal(figures.refused, 1);
	/* another protocol has its own ports (B6) */
	packet.proto = IPPROTO_TCP;
	assert_int_equal(run(&packet).role, GRAPH_SEND);
	pass_time(302 * 1000);
	packet.proto = IPPROTO_UDP;
	assert_int_equal(run(&packet).role, GRAPH_SEND);
	assert_true(nat_figures(9, &figures));
	assert_int_equal(figures.blocks_used, 1);
}

/* B5: whose address has no port left is refused, though another of the pool has some. */
static void b5_pooling_stays_paired_at_the_end(void **state)
{
	static const uint16_t ids[] = {8, 9};
	const char *address = NULL, *other = NULL;
	uint32_t stranger = 0;

	fake_egress(8, "198.51.100.8", 2048, 2048);
	fake_egress(9, "198.51.100.9", 2048, 2048);
	fake_pool(1, ids, 2);
	for (uint32_t peer = 1; peer < FAKE_PEERS && stranger == 0; peer++) {
		struct nat_asked asked = {.set_id = 1, .subscriber = peer};
		uint16_t options;
		const struct nat_address *paired;

		assert_int_equal(addr_parse("100.64.0.1", &asked.src), 0);
		assert_int_equal(addr_parse(REMOTE, &asked.dst), 0);
		paired = nat_select(fake_copy, &asked, &options);
		other = nat_address_id(paired) == 8 ? "198.51.100.8" : "198.51.100.9";
		if (peer == 1)
			address = other;
		else if (address != other)
			stranger = peer;
	}
	for (unsigned i = 0; i < 3; i++) {
		static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP};
		struct packet_spec packet = from_peer(protos[i], 4000, REMOTE, 3478);

		assert_string_equal(run(&packet).src, address);
		packet.sport++;
		assert_string_equal(run(&packet).drop, "ports_exhausted");
		fake_peer(stranger, 1, "100.64.0.9", NULL);
		packet.ingress = stranger;
		packet.src = "100.64.0.9";
		assert_string_equal(run(&packet).src, other);
	}
}

/* The share need not begin or end with a block. */
static void ports_stay_in_the_share(void **state)
{
	static const uint16_t ids[] = {9};
	struct packet_spec packet = from_peer(IPPROTO_UDP, 3000, REMOTE, 3478);
	unsigned passed = 0;

	fake_egress(9, "198.51.100.9", 2100, 2299);
	fake_pool(1, ids, 1);
	for (unsigned i = 0; i < 300; i++, packet.sport++) {
		struct out out = run(&packet);

		if (out.role != GRAPH_SEND)
			continue;
		assert_in_range(out.seen.sport, 2100, 2299);
		passed++;
	}
	assert_int_equal(passed, 200);
}

/* Port blocks under random taking and giving, against a bitmap. */
static void blocks_are_the_model(void **state)
{
	static uint32_t mapping[4096];
	static uint16_t port_of[4096];
	static uint8_t taken[65536];
	struct nat_asked asked = {.set_id = 1, .subscriber = 1};
	struct nat_wanted wanted = {.proto = IPPROTO_UDP};
	struct nat_worker *nat;
	unsigned live = 0;
	uint16_t options;
	struct nat_figures figures;

	memset(taken, 0, sizeof(taken));
	assert_int_equal(nat_worker_create(&nat, 0, 4096), 0);
	assert_int_equal(addr_parse("100.64.0.1", &asked.src), 0);
	assert_int_equal(addr_parse(REMOTE, &asked.dst), 0);
	wanted.address = nat_select(fake_copy, &asked, &options);
	wanted.inside = asked.src;
	srand(6056);
	for (unsigned i = 0; i < 60000; i++) {
		unsigned n = (unsigned)rand() % 4096;

		if (mapping[n] == 0) {
			wanted.port = (uint16_t)(n + 1);
			wanted.subscriber = 1 + n % 13;
			mapping[n] = nat_map(nat, &wanted, &port_of[n]);
			assert_int_not_equal(mapping[n], 0);
			assert_false(taken[port_of[n]]);
			taken[port_of[n]] = 1;
			live++;
			assert_int_equal(
				nat_port_owner(wanted.address, IPPROTO_UDP, port_of[n]), 0);
		} else {
			nat_unmap(nat, mapping[n]);
			mapping[n] = 0;
			taken[port_of[n]] = 0;
			live--;
		}
	}
	assert_true(nat_figures(1, &figures));
	assert_int_equal(figures.mappings, live);
	for (unsigned n = 0; n < 4096; n++) {
		if (mapping[n] != 0)
			nat_unmap(nat, mapping[n]);
	}
	assert_true(nat_figures(1, &figures));
	assert_int_equal(figures.mappings, 0);
	assert_int_equal(figures.blocks_used, 0);
	nat_worker_destroy(&nat);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(u2_pooling_is_paired, setup),
		cmocka_unit_test_setup(u3_u4_no_overloading_and_parity_kept, setup),
		cmocka_unit_test_setup(u3a_port_class_is_kept, setup),
		cmocka_unit_test_setup(u3a_no_low_ports_in_a_share, setup),
		cmocka_unit_test_setup(u3a_nothing_but_low_ports_in_a_share, setup),
		cmocka_unit_test_setup(c13_all_ports_are_used, setup),
		cmocka_unit_test_setup(b11_ports_are_random, setup),
		cmocka_unit_test_setup(c11_exhaustion_evicts_nobody, setup),
		cmocka_unit_test_setup(b5_pooling_stays_paired_at_the_end, setup),
		cmocka_unit_test_setup(ports_stay_in_the_share, setup),
		cmocka_unit_test_setup(blocks_are_the_model, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
