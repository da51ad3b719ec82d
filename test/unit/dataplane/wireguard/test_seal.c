/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <rte_ip.h>
#include <rte_udp.h>

#include <string.h>

#include "common/api/route.h"
#include "dataplane/bench/direct.h"
#include "dataplane/graph/graph.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/worker.h"
#include "dataplane/port/port.h"
#include "test/unit/dataplane/wireguard/gateway.h"

enum {
	REMOTE = 77, /* the peer's index of the session that the rig made */
	LATER = 78,  /* of the next one */
	BURSTS = 3,
	BURST = 64,
	EDGE = 5, /* packets below a limit */
};

static uint64_t next_counter = 1; /* the first went with the set-up's keepalive */

static struct keypair *current(void)
{
	return atomic_load(&gateway_peer()->current);
}

/* An IPv4 packet of this size, filled so that padding cannot be taken for it. */
static void put_v4(uint16_t size, uint8_t tos)
{
	uint8_t inner[GATEWAY_FRAME_MAX];

	memset(inner, 0xaa, sizeof(inner));
	inner[0] = 0x45;
	inner[1] = tos;
	gateway_put(inner, size);
}

/* The kernel's rule: up to the next multiple of 16, but not beyond the MTU. */
static void padding_is_the_kernels(void **state)
{
	static const struct {
		uint16_t inner, padded;
	} rows[] = {{20, 32}, {31, 32}, {32, 32}, {33, 48}, {84, 96}, {1408, 1408}, {1409, 1420},
		{1419, 1420}, {1420, 1420}, {0, 0}};
	struct gateway_sealed sealed;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_v4(rows[i].inner, 0);
		gateway_walk();
		assert_true(gateway_take(gateway.key_down, &sealed));
		assert_int_equal(sealed.size, rows[i].padded);
		for (size_t k = rows[i].inner; k < rows[i].padded; k++)
			assert_int_equal(sealed.plain[k], 0);
		if (rows[i].inner != 0)
			assert_int_equal(
				sealed.plain[rows[i].inner - 1], rows[i].inner == 1 ? 0x45 : 0xaa);
		next_counter++;
	}
}

static void each_nonce_once(void **state)
{
	struct gateway_sealed sealed;

	for (unsigned i = 0; i < BURSTS * BURST; i++)
		put_v4(100, 0);
	gateway_walk();
	for (unsigned i = 0; i < BURSTS * BURST; i++) {
		assert_true(gateway_take(gateway.key_down, &sealed));
		assert_int_equal(sealed.receiver, REMOTE);
		assert_int_equal(sealed.counter, next_counter);
		next_counter++;
	}
	assert_false(gateway_take(gateway.key_down, &sealed));
	assert_int_equal(atomic_load(&current()->send_counter), next_counter);
}

static void outer_header_says_what_it_should(void **state)
{
	static const struct {
		uint8_t inner, outer;
	} rows[] = {{0, 0}, {0xb8, 0}, {1, 1}, {2, 2}, {0xb8 | 2, 2}, {3, 2}};
	struct gateway_sealed sealed;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct rte_ipv4_hdr *ip = (const void *)sealed.outer;
		const struct rte_udp_hdr *udp = (const void *)(ip + 1);

		put_v4(64, rows[i].inner);
		gateway_walk();
		assert_true(gateway_take(gateway.key_down, &sealed));
		next_counter++;
		assert_int_equal(ip->type_of_service, rows[i].outer);
		assert_int_equal(ip->time_to_live, 64);
		assert_int_equal(ip->fragment_offset, 0); /* the outer packet may be cut */
		assert_int_equal(rte_be_to_cpu_16(ip->total_length), GATEWAY_OUTER + 32 + 64);
		assert_int_equal(rte_raw_cksum(ip, sizeof(*ip)), 0xffff);
		assert_int_equal(ip->src_addr, RTE_BE32(RIG_WAN_ADDR));
		assert_int_equal(ip->dst_addr, RTE_BE32(RIG_CLIENT_ADDR));
		assert_int_equal(udp->src_port, RTE_BE16(RIG_LISTEN));
		assert_int_equal(udp->dst_port, RTE_BE16(RIG_CLIENT_PORT));
		assert_int_equal(rte_be_to_cpu_16(udp->dgram_len), 8 + 32 + 64);
		assert_int_equal(udp->dgram_cksum, 0); /* legal over IPv4; the tag protects more */
	}
}

/* A packet that fills its buffer to one end. */
static void put_full(bool at_the_head)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(packet_pool());
	char *data;

	assert_non_null(mbuf);
	if (at_the_head)
		data = rte_pktmbuf_prepend(mbuf, rte_pktmbuf_headroom(mbuf));
	else
		data = rte_pktmbuf_append(mbuf, rte_pktmbuf_tailroom(mbuf));
	assert_non_null(data);
	data[0] = 0x45;
	*packet_of(mbuf) = (struct packet){.peer = gateway_peer()->id};
	assert_int_equal(handoff_send(HANDOFF_HANDSHAKE, 0, GRAPH_SEAL, &mbuf, 1), 1);
}

static void without_room_it_is_dropped(void **state)
{
	uint64_t before = drop_total(DROP(wireguard, NO_ROOM));
	struct gateway_sealed sealed;

	put_full(true);
	put_full(false);
	gateway_walk();
	assert_int_equal(drop_total(DROP(wireguard, NO_ROOM)), before + 2);
	assert_false(gateway_take(gateway.key_down, &sealed));
}

/* How many of n packets that were put are sealed; `last` is the greatest counter among them. */
static unsigned sealed_of(unsigned n, uint64_t *last)
{
	struct gateway_sealed sealed;
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++)
		put_v4(64, 0);
	gateway_walk();
	for (; gateway_take(gateway.key_down, &sealed); count++)
		*last = sealed.counter;
	return count;
}

/* What the workers have told the handshake thread is heard, and no more. Returns how many packets
 * they gave it for want of a key. */
static unsigned forget_events(void)
{
	struct wg_event event;
	unsigned count = 0;

	while (events_take(0, &event, 1) != 0) {
		if (event.kind == WG_EVENT_PATH)
			atomic_store(&gateway_peer()->stale, false);
		if (event.kind != WG_EVENT_STAGE)
			continue;
		rte_pktmbuf_free(event.mbuf);
		staged_lost(gateway_peer());
		count++;
	}
	return count;
}

/* A packet that is put waits for a key. */
static void assert_no_key(void)
{
	uint64_t last;

	forget_events();
	assert_int_equal(sealed_of(1, &last), 0);
	assert_int_equal(forget_events(), 1);
}

/* 180 s, and 2^64 - 2^13 - 1 packets; of a burst that does not fit whole nothing is sent. */
static void limits_of_a_keypair(void **state)
{
	struct keypair *keypair = current();
	uint64_t birth = keypair->birth_ms, counter = atomic_load(&keypair->send_counter), last;
	uint64_t expired = drop_total(DROP(wireguard, EXPIRED));

	keypair->birth_ms = clock_ms() - WG_REJECT_AFTER_TIME_MS;
	assert_no_key();
	keypair->birth_ms = clock_ms() - WG_REJECT_AFTER_TIME_MS + 60 * 1000;
	assert_int_equal(sealed_of(1, &last), 1);
	keypair->birth_ms = birth;
	atomic_store(&keypair->send_counter, WG_REJECT_AFTER_MESSAGES - EDGE);
	assert_int_equal(sealed_of(EDGE, &last), EDGE);
	assert_int_equal(last, WG_REJECT_AFTER_MESSAGES - 1);
	assert_no_key();
	atomic_store(&keypair->send_counter, WG_REJECT_AFTER_MESSAGES - EDGE);
	assert_int_equal(sealed_of(EDGE + 1, &last), 0);
	assert_int_equal(drop_total(DROP(wireguard, EXPIRED)), expired + EDGE + 1);
	assert_no_key();
	atomic_store(&keypair->send_counter, counter + 1);
	assert_int_equal(sealed_of(1, &last), 1);
	assert_int_equal(last, counter + 1);
}

/* Whether sealing a packet with the session, made so, asks for another one; it was asked for as
 * long ago (0 = never). */
static bool sealing_asks(bool initiator, uint64_t age_ms, uint64_t counter, uint64_t asked_ms)
{
	struct keypair *keypair = current();
	uint64_t birth = keypair->birth_ms, before = atomic_load(&keypair->send_counter), last;
	bool asked, was_initiator = keypair->initiator;

	keypair->initiator = initiator;
	keypair->birth_ms = clock_ms() - age_ms;
	atomic_store(&keypair->send_counter, counter != 0 ? counter : before);
	atomic_store(&keypair->rekey_asked_ms, asked_ms != 0 ? clock_ms() - asked_ms : 0);
	gateway_peer()->activity.requests = 0;
	assert_int_equal(sealed_of(1, &last), 1);
	asked = gateway_peer()->activity.requests == TIMERS_REKEY;
	keypair->initiator = was_initiator;
	keypair->birth_ms = birth;
	atomic_store(&keypair->send_counter, before + 1);
	return asked;
}

/* Who began the session does after 120 s, and anybody after 2^60 packets; again after a second,
 * since the first request may have come too soon after a handshake. */
static void worn_keypair_asks_for_another(void **state)
{
	const uint64_t old_ms = WG_REKEY_AFTER_TIME_MS + 1000;

	assert_false(sealing_asks(true, 60 * 1000, 0, 0));
	assert_true(sealing_asks(true, old_ms, 0, 0));
	assert_false(sealing_asks(true, old_ms, 0, 1));
	assert_true(sealing_asks(true, old_ms, 0, 2000));
	assert_false(sealing_asks(false, old_ms, 0, 0));
	assert_false(sealing_asks(false, 0, WG_REKEY_AFTER_MESSAGES, 0));
	assert_true(sealing_asks(false, 0, WG_REKEY_AFTER_MESSAGES + 1, 0));
}

static struct noise_keys later_session(bool initiator)
{
	struct noise_keys keys = {.remote_index = LATER, .initiator = initiator};

	memset(keys.send.bytes, 0x33, KEY_SIZE);
	memset(keys.receive.bytes, 0x44, KEY_SIZE);
	assert_int_equal(index_table_take(gateway_peer(), 0, &keys.local_index), 0);
	return keys;
}

/* The peer may have begun anew: the answer to its first packet must not go under the session that
 * it no longer has, though the handshake thread has not yet heard of that packet. */
static void confirmed_next_keypair_is_used_at_once(void **state)
{
	struct noise_keys keys = later_session(false);
	struct gateway_sealed sealed;

	keypair_install(gateway_peer(), &keys, clock_ms());
	put_v4(64, 0);
	gateway_walk();
	assert_true(gateway_take(gateway.key_down, &sealed));
	assert_int_equal(sealed.receiver, REMOTE);
	gateway_arrive(keys.receive.bytes,
		&(struct gateway_message){.receiver = keys.local_index, .plain = ""});
	gateway_walk();
	put_v4(64, 0);
	gateway_walk();
	assert_true(gateway_take(keys.send.bytes, &sealed));
	assert_int_equal(sealed.receiver, LATER);
	assert_int_equal(sealed.counter, 0);
	keypair_confirm(gateway_peer(), keys.local_index, clock_ms());
	put_v4(64, 0);
	gateway_walk();
	assert_true(gateway_take(keys.send.bytes, &sealed));
	assert_int_equal(sealed.counter, 1);
}

/* Workers notice that tables have changed and ask for the path anew, once; it is made by the
 * handshake thread, and from then on packets leave by the better route. */
static void better_route_takes_over(void **state)
{
	struct wg_peer *peer = gateway_peer();
	struct prefix host = {.family = ADDR_V4, .length = 32, .bytes = {198, 51, 100, 9}};
	struct addr server = {.family = ADDR_V4, .bytes = {203, 0, 113, 80}};
	uint8_t key[32], last[GATEWAY_FRAME_MAX];
	struct wg_event event;
	struct gateway_sealed sealed;
	size_t size;

	memcpy(key, current()->send_key, sizeof(key));
	forget_events();
	DIRECT_COMMIT(gateway.worker, API_ROUTE_SET, api_route_set, .table = API_TABLE_UNDERLAY,
		.prefix = host, .next = API_NEXT_PORT, .port = RIG_PORT_INET, .gateway = server);
	put_v4(64, 0);
	gateway_walk();
	assert_true(gateway_take(key, &sealed));
	assert_int_equal(events_take(0, &event, 1), 1);
	assert_int_equal(event.kind, WG_EVENT_PATH);
	put_v4(64, 0);
	gateway_walk();
	assert_true(gateway_take(key, &sealed));
	assert_int_equal(events_take(0, &event, 1), 0);
	path_refresh(peer);
	put_v4(64, 0);
	gateway_walk();
	assert_false(gateway_take(key, &sealed));
	assert_int_equal(gateway_forwarded(last, &size), 1);
	assert_int_equal(((const struct rte_ipv4_hdr *)last)->dst_addr, RTE_BE32(RIG_CLIENT_ADDR));
}

/* The worker has seen that tables changed before the peer goes. */
static void look_between(unsigned copy, enum handler_pass pass, bool full)
{
	if (pass == HANDLER_CATCH_UP)
		gateway_walk();
}

/* What waits for a peer's next hop is not sealed for whoever has the number after it. */
static void what_waits_for_a_peer_goes_with_it(void **state)
{
	static const struct endpoint nowhere = {
		.addr = {.family = ADDR_V4, .bytes = {198, 51, 100, 77}}, .port = 7};
	static const struct handler_group between = {.begin = look_between};
	uint64_t before = drop_total(DROP(wireguard, NO_PEER));

	handler_register(&between);
	path_set(gateway_peer(), &nowhere, NULL);
	assert_int_equal(atomic_load(&gateway_peer()->path)->adjacency, 0);
	put_v4(64, 0);
	gateway_walk();
	assert_int_equal(drop_total(DROP(wireguard, NO_PEER)), before);
	DIRECT_COMMIT(gateway.worker, API_PEER_DEL, api_peer_del, .peer = gateway_peer()->id);
	gateway_walk();
	assert_int_equal(drop_total(DROP(wireguard, NO_PEER)), before + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(padding_is_the_kernels), cmocka_unit_test(each_nonce_once),
		cmocka_unit_test(outer_header_says_what_it_should),
		cmocka_unit_test(without_room_it_is_dropped), cmocka_unit_test(limits_of_a_keypair),
		cmocka_unit_test(worn_keypair_asks_for_another),
		cmocka_unit_test(confirmed_next_keypair_is_used_at_once),
		cmocka_unit_test(better_route_takes_over),
		cmocka_unit_test(
			what_waits_for_a_peer_goes_with_it), /* the last: the peer is gone */
	};

	return cmocka_run_group_tests(tests, gateway_setup, NULL);
}
