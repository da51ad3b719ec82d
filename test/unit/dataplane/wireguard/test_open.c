/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <rte_ip.h>
#include <rte_udp.h>

#include <string.h>

#include "common/api/counters.h"
#include "common/api/route.h"
#include "dataplane/bench/direct.h"
#include "dataplane/flow/flow.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/worker.h"
#include "dataplane/wireguard/inbox.h"
#include "test/unit/dataplane/wireguard/gateway.h"

enum { INNER = 60, PADDED = 64, SERVER_PORT = 5001 };

static struct keypair *current(void)
{
	return atomic_load(&gateway_peer()->current);
}

static uint64_t drops(uint16_t reason)
{
	return drop_total(reason);
}

/* UDP from inside to the server, `total` bytes by its own header, in `size` bytes of plaintext. */
static void make_v4(uint8_t *plain, uint16_t size, uint16_t total, uint32_t source, uint8_t tos)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)plain;
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	memset(plain, 0, size);
	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.type_of_service = tos,
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.total_length = rte_cpu_to_be_16(total),
		.src_addr = rte_cpu_to_be_32(source),
		.dst_addr = RTE_BE32(RIG_SERVER_ADDR)};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	*udp = (struct rte_udp_hdr){.src_port = RTE_BE16(4000),
		.dst_port = RTE_BE16(SERVER_PORT),
		.dgram_len = rte_cpu_to_be_16((uint16_t)(total - sizeof(*ip)))};
}

static void arrive(uint64_t counter, bool forged)
{
	uint8_t plain[PADDED];

	make_v4(plain, sizeof(plain), INNER, RIG_INSIDE_NET + 10, 0);
	gateway_arrive(gateway.key_up,
		&(struct gateway_message){.receiver = gateway.sessions[0].local_index,
			.counter = counter,
			.plain = plain,
			.size = sizeof(plain),
			.forged = forged});
	gateway_walk();
}

/* Sealed, opened, judged and sent on, without the padding. */
static void padding_is_cut_off(void **state)
{
	uint8_t last[GATEWAY_FRAME_MAX];
	size_t size = 0;

	arrive(gateway.sessions[0].counter++, false);
	assert_int_equal(gateway_forwarded(last, &size), 1);
	assert_int_equal(size, INNER);
	assert_int_equal(((struct rte_ipv4_hdr *)last)->src_addr, RTE_BE32(RIG_EGRESS_ADDR));
}

static void replayed_is_dropped(void **state)
{
	uint64_t before = drops(DROP(wireguard, REPLAYED));

	arrive(gateway.sessions[0].counter, false);
	arrive(gateway.sessions[0].counter, false);
	assert_int_equal(gateway_forwarded(NULL, NULL), 1);
	assert_int_equal(drops(DROP(wireguard, REPLAYED)), before + 1);
	gateway.sessions[0].counter++;
}

/* Within one burst, too: the second is known to be a replay only once the first was opened. */
static void replayed_in_one_burst_is_dropped(void **state)
{
	uint64_t before = drops(DROP(wireguard, REPLAYED));
	uint8_t plain[PADDED];
	struct gateway_message message = {.receiver = gateway.sessions[0].local_index,
		.counter = gateway.sessions[0].counter++,
		.plain = plain,
		.size = sizeof(plain)};

	make_v4(plain, sizeof(plain), INNER, RIG_INSIDE_NET + 10, 0);
	gateway_arrive(gateway.key_up, &message);
	gateway_arrive(gateway.key_up, &message);
	gateway_walk();
	assert_int_equal(gateway_forwarded(NULL, NULL), 1);
	assert_int_equal(drops(DROP(wireguard, REPLAYED)), before + 1);
}

/* A forger's counter far ahead must not shut out what follows. */
static void forged_does_not_move_the_window(void **state)
{
	uint64_t before = drops(DROP(wireguard, BAD_TAG));

	arrive(UINT64_C(1) << 40, true);
	arrive(gateway.sessions[0].counter, true);
	assert_int_equal(gateway_forwarded(NULL, NULL), 0);
	assert_int_equal(drops(DROP(wireguard, BAD_TAG)), before + 2);
	arrive(gateway.sessions[0].counter++, false);
	assert_int_equal(gateway_forwarded(NULL, NULL), 1);
}

static void unknown_receiver_is_dropped(void **state)
{
	uint64_t before = drops(DROP(wireguard, UNKNOWN_INDEX));
	uint8_t plain[PADDED];

	make_v4(plain, sizeof(plain), INNER, RIG_INSIDE_NET + 10, 0);
	gateway_arrive(gateway.key_up,
		&(struct gateway_message){.receiver = gateway.sessions[0].local_index ^ 1u << 31,
			.counter = gateway.sessions[0].counter,
			.plain = plain,
			.size = sizeof(plain)});
	gateway_walk();
	assert_int_equal(gateway_forwarded(NULL, NULL), 0);
	assert_int_equal(drops(DROP(wireguard, UNKNOWN_INDEX)), before + 1);
}

static void expired_is_dropped(void **state)
{
	struct keypair *keypair = current();
	uint64_t birth = keypair->birth_ms, before = drops(DROP(wireguard, EXPIRED));

	keypair->birth_ms = clock_ms() - WG_REJECT_AFTER_TIME_MS;
	arrive(gateway.sessions[0].counter, false);
	assert_int_equal(gateway_forwarded(NULL, NULL), 0);
	assert_int_equal(drops(DROP(wireguard, EXPIRED)), before + 1);
	keypair->birth_ms = birth;
	arrive(gateway.sessions[0].counter++, false);
	assert_int_equal(gateway_forwarded(NULL, NULL), 1);
}

/* Whether opening a packet of the session, made so, asks for another one; it was asked for as long
 * ago (0 = never). */
static bool opening_asks(bool initiator, uint64_t age_ms, uint64_t asked_ms)
{
	struct keypair *keypair = current();
	uint64_t birth = keypair->birth_ms;
	bool asked, was_initiator = keypair->initiator;

	keypair->initiator = initiator;
	keypair->birth_ms = clock_ms() - age_ms;
	atomic_store(&keypair->last_minute_asked_ms, asked_ms != 0 ? clock_ms() - asked_ms : 0);
	gateway_peer()->activity.requests = 0;
	arrive(gateway.sessions[0].counter++, false);
	assert_int_equal(gateway_forwarded(NULL, NULL), 1);
	asked = gateway_peer()->activity.requests == TIMERS_LAST_MINUTE;
	keypair->initiator = was_initiator;
	keypair->birth_ms = birth;
	return asked;
}

/* Who began it renews a session of 165 s that is only listened to. */
static void last_minute_asks_for_another(void **state)
{
	const uint64_t late_ms = WG_LAST_MINUTE_MS + 1000;

	assert_false(opening_asks(true, WG_REKEY_AFTER_TIME_MS + 1000, 0));
	assert_true(opening_asks(true, late_ms, 0));
	assert_false(opening_asks(true, late_ms, 1));
	assert_true(opening_asks(true, late_ms, 2000));
	assert_false(opening_asks(false, late_ms, 0));
}

/* The peer may speak only from what leads to it. */
static void foreign_source_is_dropped(void **state)
{
	uint64_t before = drops(DROP(flow, SPOOFED_INNER));
	uint8_t plain[PADDED];

	make_v4(plain, sizeof(plain), INNER, RTE_IPV4(192U, 0, 2, 1), 0);
	gateway_arrive(gateway.key_up,
		&(struct gateway_message){.receiver = gateway.sessions[0].local_index,
			.counter = gateway.sessions[0].counter++,
			.plain = plain,
			.size = sizeof(plain)});
	gateway_walk();
	assert_int_equal(gateway_forwarded(NULL, NULL), 0);
	assert_int_equal(drops(DROP(flow, SPOOFED_INNER)), before + 1);
}

/* A prefix that another peer now has is no longer this one's; but its packets are authentic, so the
 * endpoint follows them all the same. */
static void prefix_that_moved_to_another_peer(void **state)
{
	struct wg_peer *peer = gateway_peer();
	struct prefix moved = {.family = ADDR_V4, .length = 32, .bytes = {100, 64, 0, 10}};
	uint64_t before = drops(DROP(flow, SPOOFED_INNER));
	struct handshake_source source;

	DIRECT_COMMIT(gateway.worker, API_PEER_SET, api_peer_set, .peer = 2, .interface = 1,
		.set_id = 1, .public_key = {.bytes = {2}});
	DIRECT_COMMIT(gateway.worker, API_ALLOWED_SET, api_allowed_set, .prefix = moved, .peer = 2);
	gateway_client_port = RIG_CLIENT_PORT + 1;
	arrive(gateway.sessions[0].counter++, false); /* the running flow is cut */
	arrive(gateway.sessions[0].counter++, false);
	gateway_client_port = RIG_CLIENT_PORT;
	assert_int_equal(gateway_forwarded(NULL, NULL), 0);
	assert_int_equal(drops(DROP(flow, SPOOFED_INNER)), before + 1);
	assert_true(roam_read(&peer->roam, &source));
	assert_int_equal(source.remote.port, RIG_CLIENT_PORT + 1);
	roam_end(&peer->roam);
	DIRECT_COMMIT(gateway.worker, API_ALLOWED_DEL, api_allowed_del, .prefix = moved, .peer = 2);
	arrive(gateway.sessions[0].counter++, false);
	assert_int_equal(gateway_forwarded(NULL, NULL), 1);
}

/* Opened all the same; answers take the way that the routes say. */
static void inbound_by_another_port(void **state)
{
	uint8_t inner[PADDED] = {0x45};
	struct gateway_sealed sealed;
	uint8_t last[GATEWAY_FRAME_MAX];
	size_t size;

	gateway_port_in = RIG_PORT_INET;
	arrive(gateway.sessions[0].counter++, false);
	gateway_port_in = RIG_PORT_WAN;
	assert_int_equal(gateway_forwarded(last, &size), 1);
	assert_int_equal(size, INNER);
	gateway_put(inner, sizeof(inner));
	gateway_walk();
	assert_true(gateway_take(gateway.key_down, &sealed));
	assert_int_equal(gateway_forwarded(NULL, NULL), 0);
}

static void arrive_message(uint32_t type, uint16_t size, size_t at, uint32_t word)
{
	uint8_t bytes[WG_INITIATION_SIZE] = {0};

	type = htole32(type);
	word = htole32(word);
	memcpy(bytes, &type, sizeof(type));
	memcpy(bytes + at, &word, sizeof(word));
	gateway_arrive_bytes(bytes, size, 0);
	gateway_walk();
}

/* What may be the second step of a handshake goes ahead of first steps and of inventions. */
static void second_steps_of_handshakes_go_first(void **state)
{
	const uint32_t ours = gateway.sessions[0].local_index;
	const size_t mac2 = offsetof(struct wg_initiation, macs.mac2);
	const size_t receiver = offsetof(struct wg_response, receiver);
	const size_t reply_to = offsetof(struct wg_cookie_reply, receiver);
	static const uint16_t lengths[] = {WG_INITIATION_SIZE, WG_RESPONSE_SIZE,
		WG_COOKIE_REPLY_SIZE, WG_INITIATION_SIZE, WG_RESPONSE_SIZE, WG_COOKIE_REPLY_SIZE};
	struct inbox_message messages[16];

	assert_int_equal(inbox_queued(0), 0);
	arrive_message(WG_TYPE_INITIATION, WG_INITIATION_SIZE, mac2, 0);
	arrive_message(WG_TYPE_RESPONSE, WG_RESPONSE_SIZE, receiver, ours + 1);
	arrive_message(WG_TYPE_COOKIE_REPLY, WG_COOKIE_REPLY_SIZE, reply_to, ours + 1);
	arrive_message(WG_TYPE_INITIATION, WG_INITIATION_SIZE, mac2, 1);
	arrive_message(WG_TYPE_RESPONSE, WG_RESPONSE_SIZE, receiver, ours);
	arrive_message(WG_TYPE_COOKIE_REPLY, WG_COOKIE_REPLY_SIZE, reply_to, ours);
	assert_int_equal(inbox_take(0, messages, 16), 6);
	for (unsigned i = 0; i < 6; i++) {
		struct rte_mbuf *mbuf = messages[i].mbuf;
		size_t offset = packet_of(mbuf)->l4 + sizeof(struct rte_udp_hdr);

		assert_int_equal(rte_pktmbuf_data_len(mbuf) - offset, lengths[i]);
		if (lengths[i] == WG_INITIATION_SIZE)
			assert_int_equal(
				rte_pktmbuf_mtod_offset(mbuf, const uint8_t *, offset)[mac2],
				i == 0);
		rte_pktmbuf_free(mbuf);
	}
}

/* A packet for our own listen port from within the tunnel is not opened again, and goes nowhere. */
static void tunnel_into_itself_ends(void **state)
{
	uint64_t before = drops(DROP(flow, POLICY_HOST)),
		 malformed = drops(DROP(wireguard, MALFORMED));
	uint8_t plain[PADDED];
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)plain;
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	make_v4(plain, sizeof(plain), INNER, RIG_INSIDE_NET + 10, 0);
	ip->dst_addr = RTE_BE32(RIG_WAN_ADDR);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	udp->dst_port = RTE_BE16(RIG_LISTEN);
	gateway_arrive(gateway.key_up,
		&(struct gateway_message){.receiver = gateway.sessions[0].local_index,
			.counter = gateway.sessions[0].counter++,
			.plain = plain,
			.size = sizeof(plain)});
	gateway_walk();
	assert_int_equal(drops(DROP(flow, POLICY_HOST)), before + 1);
	assert_int_equal(drops(DROP(wireguard, MALFORMED)), malformed);
	assert_int_equal(gateway_forwarded(NULL, NULL), 0);
}

/* RFC 6040, table 4: the outer CE reaches what can carry it; nothing else is changed. */
static void congestion_is_combined(void **state)
{
	static const struct {
		uint8_t outer, inner, result; /* 0xff: dropped */
	} rows[] = {{0, 0, 0}, {0, 1, 1}, {0, 2, 2}, {0, 3, 3}, {2, 0, 0}, {2, 1, 1}, {2, 2, 2},
		{2, 3, 3}, {3, 0, 0xff}, {3, 1, 3}, {3, 2, 3}, {3, 3, 3}, {0xb8, 2, 2},
		{0xb8, 0x28, 0x28}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t plain[PADDED], last[GATEWAY_FRAME_MAX];
		const struct rte_ipv4_hdr *ip = (const void *)last;
		size_t size;

		make_v4(plain, sizeof(plain), INNER, RIG_INSIDE_NET + 10, rows[i].inner);
		gateway_arrive(gateway.key_up,
			&(struct gateway_message){.receiver = gateway.sessions[0].local_index,
				.counter = gateway.sessions[0].counter++,
				.plain = plain,
				.size = sizeof(plain),
				.outer_tos = rows[i].outer});
		gateway_walk();
		assert_int_equal(gateway_forwarded(last, &size), rows[i].result != 0xff);
		if (rows[i].result == 0xff)
			continue;
		assert_int_equal(ip->type_of_service, rows[i].result);
		assert_int_equal(rte_raw_cksum(ip, sizeof(*ip)), 0xffff);
	}
}

struct malformed {
	const char *what;
	uint16_t size;
	uint8_t bytes[48];
};

static const struct malformed malformed[] = {
	{"one byte", 1, {0x45}},
	{"version 0", 48, {0x05}},
	{"version 5", 48, {0x55}},
	{"version 15", 48, {0xf5}},
	{"IPv4 header cut", 19, {0x45, 0, 0, 19}},
	{"IPv4 header length 16", 32, {0x44, 0, 0, 32}},
	{"IPv4 header longer than the packet", 32, {0x4f, 0, 0, 32}},
	{"IPv4 total length below its header", 32, {0x45, 0, 0, 19}},
	{"IPv4 total length beyond the payload", 32, {0x45, 0, 0, 33}},
	{"IPv4 total length of 65,535", 32, {0x45, 0, 0xff, 0xff}},
	{"IPv4 checksum", 32,
		{0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 1, 2, 100, 64, 0, 1, 1, 1, 1, 1}},
	{"IPv6 header cut", 39, {0x60}},
	{"IPv6 payload beyond the packet", 48, {0x60, 0, 0, 0, 0, 9}},
	{"IPv6 jumbo", 48, {0x60, 0, 0, 0, 0, 0, 0}},
	{"ARP", 28, {0, 1, 8, 0, 6, 4, 0, 1}},
};

/* Refused by the parser, for whatever reason. */
static uint64_t parser_drops(void)
{
	static struct api_count_drop rows[DROP_REASONS_MAX];
	uint32_t n = drop_fill(rows, DROP_REASONS_MAX);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += strncmp(rows[i].name, "packet.", 7) == 0 ? rows[i].packets : 0;
	return sum;
}

/* They are authentic, so they count as such; but none of them goes any further. */
static void malformed_inner_packets_are_dropped(void **state)
{
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		uint64_t heard, refused = parser_drops();

		gateway_peer()->activity.last_any_ms = 0;
		gateway_arrive(gateway.key_up,
			&(struct gateway_message){.receiver = gateway.sessions[0].local_index,
				.counter = gateway.sessions[0].counter++,
				.plain = malformed[i].bytes,
				.size = malformed[i].size});
		gateway_walk();
		heard = gateway_peer()->activity.last_any_ms;
		if (gateway_forwarded(NULL, NULL) != 0 || heard == 0 ||
			parser_drops() != refused + 1)
			fail_msg("%s", malformed[i].what);
	}
	arrive(gateway.sessions[0].counter++, false);
	assert_int_equal(gateway_forwarded(NULL, NULL), 1);
}

/* Keepalives are authentic, but no data: they owe no answer. */
static void keepalives_owe_nothing(void **state)
{
	struct timers_activity *activity = &gateway_peer()->activity;

	activity->unacked_since_ms = activity->last_any_ms = activity->last_data_received_ms = 0;
	gateway_arrive(gateway.key_up,
		&(struct gateway_message){.receiver = gateway.sessions[0].local_index,
			.counter = gateway.sessions[0].counter++,
			.plain = ""});
	gateway_walk();
	assert_int_not_equal(activity->last_any_ms, 0);
	assert_int_equal(activity->unacked_since_ms, 0);
	arrive(gateway.sessions[0].counter++, false);
	assert_int_equal(gateway_forwarded(NULL, NULL), 1);
	assert_int_not_equal(activity->unacked_since_ms, 0);
}

/* Shorter than a keepalive, or of a type with bits where zeros belong. */
static void messages_that_are_none(void **state)
{
	static const struct {
		uint16_t size;
		uint8_t bytes[8];
	} rows[] = {{0, {0}}, {3, {4}}, {31, {4}}, {32, {4, 0, 0, 1}}, {32, {5}}, {32, {0}},
		{147, {1}}, {149, {1}}, {91, {2}}, {93, {2}}, {63, {3}}, {65, {3}}};
	uint64_t before = drops(DROP(wireguard, MALFORMED));
	uint8_t bytes[160];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(bytes, 0, sizeof(bytes));
		memcpy(bytes, rows[i].bytes, sizeof(rows[i].bytes));
		gateway_arrive_bytes(bytes, rows[i].size, 0);
	}
	gateway_walk();
	assert_int_equal(
		drops(DROP(wireguard, MALFORMED)), before + sizeof(rows) / sizeof(rows[0]));
	assert_int_equal(gateway_forwarded(NULL, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(padding_is_cut_off),
		cmocka_unit_test(replayed_is_dropped),
		cmocka_unit_test(replayed_in_one_burst_is_dropped),
		cmocka_unit_test(forged_does_not_move_the_window),
		cmocka_unit_test(unknown_receiver_is_dropped),
		cmocka_unit_test(expired_is_dropped),
		cmocka_unit_test(last_minute_asks_for_another),
		cmocka_unit_test(foreign_source_is_dropped),
		cmocka_unit_test(prefix_that_moved_to_another_peer),
		cmocka_unit_test(inbound_by_another_port),
		cmocka_unit_test(second_steps_of_handshakes_go_first),
		cmocka_unit_test(tunnel_into_itself_ends),
		cmocka_unit_test(congestion_is_combined),
		cmocka_unit_test(malformed_inner_packets_are_dropped),
		cmocka_unit_test(keepalives_owe_nothing),
		cmocka_unit_test(messages_that_are_none),
	};

	return cmocka_run_group_tests(tests, gateway_setup, NULL);
}
