/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two sites with one range: peer 3's is seen as 10.201.0.0/24 and 2001:db8:a::/64, peer 4's as
 * 10.202.0.0/24 and 2001:db8:b::/64; both have 192.168.1.0/24 and fd01::/64. Peer 1 is a client.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <cmocka.h>

#include <rte_tcp.h>

#include "common/api/flow.h"
#include "common/api/map.h"
#include "common/api/policy.h"
#include "dataplane/map/map.h"
#include "test/unit/dataplane/flow/fakes.h"

enum { CLIENT = 1, SITE_A = 3, SITE_B = 4 };

static const struct names {
	const char *client, *real_a, *real_b, *seen_a, *seen_b, *router, *seen_router;
} names[] = {
	{"100.64.0.1", "192.168.1.5", "192.168.1.7", "10.201.0.5", "10.202.0.7", "192.168.1.1",
		"10.201.0.1"},
	{"fd00::1", "fd01::5", "fd01::7", "2001:db8:a::5", "2001:db8:b::7", "fd01::1",
		"2001:db8:a::1"},
};

static struct flow_worker *w;

struct out {
	uint8_t role;
	struct packet_spec seen;
	char src[46], dst[46];
	bool right;
	uint32_t peer;
	const char *drop;
};

static void add_site(uint32_t peer, const char *seen, const char *real)
{
	world.peer[peer] = (struct fake_peer){.there = true, .set = 1, .mtu = 1420};
	fake_allow(peer, seen);
	fake_route(0, seen, API_NEXT_PEER, 0)->peer = peer;
	fake_map(peer, seen, real);
}

static int setup(void **state)
{
	fake_exit_node();
	add_site(SITE_A, "10.201.0.0/24", "192.168.1.0/24");
	add_site(SITE_B, "10.202.0.0/24", "192.168.1.0/24");
	add_site(SITE_A, "2001:db8:a::/64", "fd01::/64");
	add_site(SITE_B, "2001:db8:b::/64", "fd01::/64");
	fake_policy(1, 1, 0, NULL, 0, 0, API_ALLOW);
	w = fake_worker(4096);
	return 0;
}

static struct out run_mbuf(struct rte_mbuf *mbuf)
{
	struct out out = {.role = fake_forward(w, mbuf)};

	fake_read(mbuf, &out.seen, out.src, out.dst);
	out.right = fake_checksums_right(mbuf);
	out.peer = packet_of(mbuf)->peer;
	out.drop = fake_drop_name(packet_of(mbuf)->drop);
	return out;
}

static struct out run(const struct packet_spec *spec)
{
	struct rte_mbuf *mbuf = fake_packet(spec);
	struct out out = run_mbuf(mbuf);

	rte_pktmbuf_free(mbuf);
	return out;
}

static struct packet_spec from(uint32_t peer, const char *src, const char *dst, uint8_t proto)
{
	bool v6 = strchr(dst, ':') != NULL;

	return (struct packet_spec){.ingress = peer,
		.src = src,
		.dst = dst,
		.sport = 4000,
		.dport = 80,
		.proto = proto == IPPROTO_ICMP && v6 ? IPPROTO_ICMPV6 : proto,
		.payload = 21,
		.tcp_flags = RTE_TCP_SYN_FLAG,
		.icmp_type = v6 ? 128 : 8};
}

static struct packet_spec answer(const struct out *out)
{
	struct packet_spec spec = from(out->peer, out->dst, out->src, out->seen.proto);

	spec.sport = out->seen.dport;
	spec.dport = out->seen.sport;
	spec.tcp_flags = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG;
	spec.icmp_type = strchr(out->dst, ':') != NULL ? 129 : 0;
	return spec;
}

static void assert_passed(
	const struct out *out, uint32_t peer, const char *src, const char *dst, uint16_t sport)
{
	assert_int_equal(out->role, GRAPH_SEAL);
	assert_int_equal(out->peer, peer);
	assert_string_equal(out->src, src);
	assert_string_equal(out->dst, dst);
	assert_true(out->right);
	assert_int_equal(out->seen.sport, sport);
}

static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};

/* The same source port to the same host at both: two flows, and each answer is its own site's. */
static void client_to_both_sites(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		const struct names *n = &names[i % 2];
		const char *to_b = i % 2 ? "2001:db8:b::5" : "10.202.0.5";
		struct packet_spec a = from(CLIENT, n->client, n->seen_a, protos[i / 2]);
		struct packet_spec b = from(CLIENT, n->client, to_b, protos[i / 2]);
		struct out out_a = run(&a), out_b = run(&b), back;
		uint16_t far = protos[i / 2] == IPPROTO_ICMP ? 4000 : 80;

		assert_passed(&out_a, SITE_A, n->client, n->real_a, 4000);
		assert_passed(&out_b, SITE_B, n->client, n->real_a, 4000);
		a = answer(&out_a);
		b = answer(&out_b);
		back = run(&a);
		assert_passed(&back, CLIENT, n->seen_a, n->client, far);
		back = run(&b);
		assert_passed(&back, CLIENT, to_b, n->client, far);
	}
}

/* What a site opens comes from its seen address; the answer finds the real one. */
static void site_to_client(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		const struct names *n = &names[i % 2];
		struct packet_spec spec = from(SITE_B, n->real_b, n->client, protos[i / 2]);
		struct out out = run(&spec), back;

		assert_passed(&out, CLIENT, n->seen_b, n->client, 4000);
		spec = answer(&out);
		back = run(&spec);
		assert_passed(&back, SITE_B, n->client, n->real_b,
			protos[i / 2] == IPPROTO_ICMP ? 4000 : 80);
	}
}

/* Between the sites both ends change, in each direction. */
static void site_to_site(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		const struct names *n = &names[i % 2];
		struct packet_spec spec = from(SITE_A, n->real_a, n->seen_b, protos[i / 2]);
		struct out out, back;

		for (unsigned k = 0; k < 2; k++) {
			out = run(&spec);
			assert_passed(&out, SITE_B, n->seen_a, n->real_b, 4000);
		}
		spec = answer(&out);
		back = run(&spec);
		assert_passed(&back, SITE_A, n->seen_b, n->real_a,
			protos[i / 2] == IPPROTO_ICMP ? 4000 : 80);
	}
}

/* Masqueraded on its way to the site: its source is the egress address, its destination real. */
static void masqueraded_as_well(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		const struct names *n = &names[i % 2];
		const char *outside = i % 2 ? "2001:db8::1" : "198.51.100.1";
		struct packet_spec spec = from(CLIENT, n->client, n->seen_a, protos[i / 2]);
		struct out out, back;

		for (unsigned k = 0; k < world.overlays; k++) {
			if (world.overlay[k].hop.peer == SITE_A)
				world.overlay[k].hop.flags = API_ROUTE_MASQUERADE;
		}
		out = run(&spec);
		assert_passed(&out, SITE_A, outside, n->real_a, out.seen.sport);
		assert_int_not_equal(out.seen.sport, 4000);
		spec = answer(&out);
		back = run(&spec);
		assert_passed(&back, CLIENT, n->seen_a, n->client,
			protos[i / 2] == IPPROTO_ICMP ? 4000 : 80);
		assert_int_equal(back.seen.dport, 4000);
	}
}

static void forged_sources_are_refused(void **state)
{
	static const char *const sources[] = {"10.201.0.5", "10.202.0.5", "192.168.2.5",
		"100.64.0.1", "2001:db8:a::5", "fd02::1"};
	struct packet_spec good = from(SITE_A, "192.168.1.5", "100.64.0.1", IPPROTO_UDP);

	run(&good); /* a flow under the seen address changes nothing */
	for (unsigned i = 0; i < 6; i++) {
		struct packet_spec spec =
			from(SITE_A, sources[i], i < 4 ? "100.64.0.2" : "fd00::2", IPPROTO_UDP);

		if (i == 0)
			spec.dst = "100.64.0.1";
		assert_string_equal(run(&spec).drop, "spoofed_inner");
	}
	assert_int_equal(w->table.live, 1);
}

/* From a router of the site about what the client sent, and from the client about an answer. */
static void errors_are_translated(void **state)
{
	for (unsigned i = 0; i < 6; i++) {
		const struct names *n = &names[i % 2];
		struct packet_spec spec = from(CLIENT, n->client, n->seen_a, protos[i / 2]);
		struct rte_mbuf *sent = fake_packet(&spec), *error;
		unsigned header = i % 2 ? 48 : 28;
		struct out out;

		assert_int_equal(fake_forward(w, sent), GRAPH_SEAL);
		error = fake_error(SITE_A, n->router, n->client, i % 2 ? 1 : 3, 1, sent);
		out = run_mbuf(error);
		assert_int_equal(out.role, GRAPH_SEAL);
		assert_string_equal(out.src, n->seen_router);
		assert_string_equal(out.dst, n->client);
		assert_true(out.right);
		rte_pktmbuf_adj(error, (uint16_t)header);
		packet_of(error)->proto = spec.proto;
		assert_true(fake_checksums_right(error));
		fake_read(error, &out.seen, out.src, out.dst);
		assert_string_equal(out.src, n->client);
		assert_string_equal(out.dst, n->seen_a);
		rte_pktmbuf_free(error);
		rte_pktmbuf_free(sent);
		/* the other way: about what site B sent */
		spec = from(SITE_B, n->real_b, n->client, protos[i / 2]);
		sent = fake_packet(&spec);
		assert_int_equal(fake_forward(w, sent), GRAPH_SEAL);
		error = fake_error(CLIENT, n->client, n->seen_b, i % 2 ? 1 : 3, 1, sent);
		out = run_mbuf(error);
		assert_int_equal(out.role, GRAPH_SEAL);
		assert_int_equal(out.peer, SITE_B);
		assert_string_equal(out.dst, n->real_b);
		assert_true(out.right);
		rte_pktmbuf_adj(error, (uint16_t)header);
		packet_of(error)->proto = spec.proto;
		assert_true(fake_checksums_right(error));
		fake_read(error, &out.seen, out.src, out.dst);
		assert_string_equal(out.src, n->real_b);
		assert_string_equal(out.dst, n->client);
		rte_pktmbuf_free(error);
		rte_pktmbuf_free(sent);
	}
}

/* Known flows of mapped peers are known to the fast path. */
static void known_flows_are_fast(void **state)
{
	struct packet_spec spec = from(SITE_A, "192.168.1.5", "10.202.0.7", IPPROTO_UDP);
	struct rte_mbuf *mbuf = fake_packet(&spec);
	uint8_t role;

	run(&spec);
	flow_fast(w, &mbuf, 1, &role);
	assert_int_equal(role, GRAPH_SEAL);
	assert_true(fake_checksums_right(mbuf));
	rte_pktmbuf_free(mbuf);
}

/* Wherever a packet arrives, both directions have one home. */
static void workers_agree(void **state)
{
	world.workers = 3;
	w = fake_worker(512);
	world.peer[SITE_A].home = 1;
	world.peer[SITE_B].home = 2;
	for (unsigned i = 0; i < 3; i++) {
		static const char *const src[] = {"192.168.1.5", "100.64.0.1", "192.168.1.5"};
		static const char *const dst[] = {"100.64.0.1", "10.201.0.5", "10.202.0.7"};
		static const uint32_t to[] = {CLIENT, SITE_A, SITE_B};
		struct packet_spec spec =
			from(i == 1 ? CLIENT : SITE_A, src[i], dst[i], IPPROTO_UDP);
		struct packet_spec seen;
		struct rte_mbuf *mbuf = fake_packet(&spec);
		uint8_t role = fake_forward(flow_worker_get(0), mbuf);
		unsigned home = role == GRAPH_HANDOFF ? packet_of(mbuf)->to : 0;
		char from_text[46], to_text[46];

		if (role == GRAPH_HANDOFF)
			role = fake_forward(flow_worker_get(home), mbuf);
		assert_int_equal(role, GRAPH_SEAL);
		fake_read(mbuf, &seen, from_text, to_text);
		rte_pktmbuf_free(mbuf);
		spec = from(to[i], to_text, from_text, IPPROTO_UDP);
		spec.sport = seen.dport;
		spec.dport = seen.sport;
		mbuf = fake_packet(&spec);
		role = fake_forward(flow_worker_get((home + 1) % 3), mbuf);
		assert_int_equal(role, GRAPH_HANDOFF);
		assert_int_equal(packet_of(mbuf)->to, home);
		assert_int_equal(fake_forward(flow_worker_get(home), mbuf), GRAPH_SEAL);
		rte_pktmbuf_free(mbuf);
	}
	world.workers = 1;
}

/* Another map: running flows go to the new address; none: to the seen one. */
static void changes_are_taken_in(void **state)
{
	struct packet_spec spec = from(CLIENT, "100.64.0.1", "10.201.0.5", IPPROTO_UDP);
	struct api_map_del del = {
		.header = {.type = API_MAP_DEL, .length = sizeof(del)}, .peer = SITE_A};
	struct out out = run(&spec);

	assert_string_equal(out.dst, "192.168.1.5");
	fake_map(SITE_A, "10.201.0.0/24", "172.16.9.0/24");
	out = run(&spec);
	assert_passed(&out, SITE_A, "100.64.0.1", "172.16.9.5", 4000);
	assert_int_equal(w->table.live, 1);
	assert_int_equal(prefix_parse("10.201.0.0/24", &del.seen), 0);
	assert_int_equal(fake_apply(&del), 0);
	out = run(&spec);
	assert_passed(&out, SITE_A, "100.64.0.1", "10.201.0.5", 4000);
	assert_true(map_any(fake_copy));
}

static void fake_nptv6(uint32_t peer, const char *seen, const char *real)
{
	struct api_map_set set = {.header = {.type = API_MAP_SET, .length = sizeof(set)},
		.peer = peer,
		.flags = API_MAP_NPTV6};

	assert_int_equal(prefix_parse(seen, &set.seen), 0);
	assert_int_equal(prefix_parse(real, &set.real), 0);
	assert_int_equal(fake_apply(&set), 0);
}

/* RFC 6296 on the way to the internet: no masquerading, no change of a checksum, and both ways. */
static void nptv6_to_the_internet(void **state)
{
	static const uint8_t all[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6};

	fake_allow(SITE_A, "2001:db8:1::/48");
	fake_route(0, "2001:db8:1::/48", API_NEXT_PEER, 0)->peer = SITE_A;
	fake_nptv6(SITE_A, "2001:db8:1::/48", "fd01:203:405::/48");
	for (unsigned i = 0; i < 3; i++) {
		struct packet_spec spec =
			from(SITE_A, "fd01:203:405:1::1234", "2001:db8:9::9", all[i]);
		struct rte_mbuf *mbuf = fake_packet(&spec), *error;
		unsigned at = 40 + (all[i] == IPPROTO_TCP ? 16 : all[i] == IPPROTO_UDP ? 6 : 2);
		uint16_t before, after;
		struct out out, back;

		memcpy(&before, rte_pktmbuf_mtod_offset(mbuf, void *, at), 2);
		out = run_mbuf(mbuf);
		assert_int_equal(out.role, GRAPH_SEND);
		assert_string_equal(out.src, "2001:db8:1:d550::1234");
		assert_int_equal(out.seen.sport, 4000);
		memcpy(&after, rte_pktmbuf_mtod_offset(mbuf, void *, at), 2);
		assert_int_equal(before, after);
		assert_true(out.right);
		/* an error about it comes back to the real address, and quotes that */
		error = fake_error(API_IDENT_PORT | PORT_WAN, "2001:db8:77::1",
			"2001:db8:1:d550::1234", 1, 0, mbuf);
		back = run_mbuf(error);
		assert_passed(
			&back, SITE_A, "2001:db8:77::1", "fd01:203:405:1::1234", back.seen.sport);
		rte_pktmbuf_adj(error, 48);
		packet_of(error)->proto = all[i];
		assert_true(fake_checksums_right(error));
		fake_read(error, &back.seen, back.src, back.dst);
		assert_string_equal(back.src, "fd01:203:405:1::1234");
		rte_pktmbuf_free(error);
		rte_pktmbuf_free(mbuf);
		/* opened from outside, and an error of the inside about it */
		spec = from(API_IDENT_PORT | PORT_WAN, "2001:db8:9::8", "2001:db8:1:d550::1234",
			all[i]);
		mbuf = fake_packet(&spec);
		out = run_mbuf(mbuf);
		assert_passed(&out, SITE_A, "2001:db8:9::8", "fd01:203:405:1::1234", 4000);
		error = fake_error(SITE_A, "fd01:203:405:1::1234", "2001:db8:9::8", 1, 4, mbuf);
		back = run_mbuf(error);
		assert_int_equal(back.role, GRAPH_SEND);
		assert_string_equal(back.src, "2001:db8:1:d550::1234");
		assert_true(back.right);
		rte_pktmbuf_adj(error, 48);
		packet_of(error)->proto = all[i];
		assert_true(fake_checksums_right(error));
		fake_read(error, &back.seen, back.src, back.dst);
		assert_string_equal(back.dst, "2001:db8:1:d550::1234");
		rte_pktmbuf_free(error);
		rte_pktmbuf_free(mbuf);
	}
	for (unsigned i = 0; i < 2; i++) { /* subnets of all ones, inside and outside */
		struct packet_spec spec =
			i == 0 ? from(SITE_A, "fd01:203:405:ffff::1", "2001:db8:9::9", IPPROTO_UDP)
			       : from(API_IDENT_PORT | PORT_WAN, "2001:db8:9::8",
					 "2001:db8:1:ffff::1", IPPROTO_UDP);
		struct out out = run(&spec);

		assert_int_equal(out.role, GRAPH_DROP);
		assert_string_equal(out.drop, i == 0 ? "spoofed_inner" : "no_route");
	}
}

static void bad_messages_are_refused(void **state)
{
	struct api_map_set set = {
		.header = {.type = API_MAP_SET, .length = sizeof(set)}, .peer = SITE_A};

	assert_int_not_equal(fake_apply(&set), 0);
	assert_int_equal(prefix_parse("10.3.0.0/24", &set.seen), 0);
	assert_int_equal(prefix_parse("10.4.0.0/23", &set.real), 0);
	assert_int_not_equal(fake_apply(&set), 0);
	assert_int_equal(prefix_parse("fd00::/24", &set.real), 0);
	assert_int_not_equal(fake_apply(&set), 0);
	assert_int_equal(prefix_parse("10.4.0.0/24", &set.real), 0);
	set.peer = FAKE_PEERS; /* beyond --max-peers */
	assert_int_not_equal(fake_apply(&set), 0);
	set.peer = 0;
	assert_int_not_equal(fake_apply(&set), 0);
	set.peer = SITE_A;
	assert_int_equal(fake_apply(&set), 0);
}

/* Random sets and deletions against a list that is gone through. */
static void table_is_the_model(void **state)
{
	static struct {
		bool there;
		uint8_t length;
		uint8_t real;
	} model[FAKE_PEERS][8];
	uint32_t seed = 7;

	fake_clear();
	memset(model, 0, sizeof(model));
	for (unsigned step = 0; step < 3000; step++) {
		uint32_t peer = 1 + (seed = seed * 1103515245 + 12345) / 65536 % (FAKE_PEERS - 1);
		unsigned slot = (seed = seed * 1103515245 + 12345) / 65536 % 8;
		struct api_map_set set = {.header = {.type = API_MAP_SET, .length = sizeof(set)},
			.peer = peer,
			.seen = {.family = 4,
				.length = (uint8_t)(9 + slot * 2),
				.bytes = {10, (uint8_t)(slot << 5)}}};
		struct api_map_del del = {.header = {.type = API_MAP_DEL, .length = sizeof(del)},
			.peer = peer,
			.seen = set.seen};
		uint8_t addr[16] = {10, (uint8_t)(slot << 5), 0, 9}, back[16];

		set.seen.length = del.seen.length = (uint8_t)(17 + slot);
		set.real = set.seen;
		set.real.bytes[0] = (uint8_t)(20 + step % 100);
		if (step % 3 == 2) {
			assert_int_equal(fake_apply(&del), 0);
			model[peer][slot].there = false;
		} else {
			assert_int_equal(fake_apply(&set), 0);
			model[peer][slot].there = true;
			model[peer][slot].real = set.real.bytes[0];
		}
		memcpy(back, addr, 16);
		assert_int_equal(map_turn(fake_copy, peer, 4, addr), model[peer][slot].there);
		if (model[peer][slot].there)
			assert_int_equal(addr[0], model[peer][slot].real);
		assert_memory_equal(addr + 1, back + 1, 15);
		map_turn(fake_copy, peer, 4, addr);
		assert_memory_equal(addr, back, 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(client_to_both_sites, setup),
		cmocka_unit_test_setup(site_to_client, setup),
		cmocka_unit_test_setup(site_to_site, setup),
		cmocka_unit_test_setup(masqueraded_as_well, setup),
		cmocka_unit_test_setup(forged_sources_are_refused, setup),
		cmocka_unit_test_setup(errors_are_translated, setup),
		cmocka_unit_test_setup(known_flows_are_fast, setup),
		cmocka_unit_test_setup(workers_agree, setup),
		cmocka_unit_test_setup(changes_are_taken_in, setup),
		cmocka_unit_test_setup(nptv6_to_the_internet, setup),
		cmocka_unit_test_setup(bad_messages_are_refused, setup),
		cmocka_unit_test_setup(table_is_the_model, setup),
	};

	fake_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
