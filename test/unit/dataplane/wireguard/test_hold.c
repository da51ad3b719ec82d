/* SPDX-License-Identifier: BSD-3-Clause */
/* Order: what waits for a neighbour or for a key is not overtaken by what comes later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <rte_ip.h>
#include <rte_udp.h>

#include "common/api/capture.h"
#include "common/api/route.h"
#include "dataplane/bench/direct.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/graph/tap.h"
#include "dataplane/main/args.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/worker.h"
#include "dataplane/port/port.h"
#include "dataplane/route/hold.h"
#include "dataplane/wireguard/lend.h"
#include "test/unit/dataplane/wireguard/gateway.h"

enum {
	NUMBER = 63, /* where a packet's number stands */
	INNER_NUMBER = RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr),
	NETWORK = RTE_IPV4(203U, 0, 113, 0), /* the server's */
};

static void put_numbered(uint8_t number)
{
	uint8_t inner[64] = {0x45, [NUMBER] = number};

	gateway_put(inner, sizeof(inner));
}

/* These leave, in this order, and nothing else; `last` below `first`: nothing does. */
static void assert_sealed(uint8_t first, uint8_t last)
{
	struct gateway_sealed sealed;

	for (unsigned number = first; number <= last; number++) {
		assert_true(gateway_take(gateway.key_down, &sealed));
		assert_int_equal(sealed.plain[NUMBER], number);
	}
	assert_false(gateway_take(gateway.key_down, &sealed));
}

/* The peer's path loses its next hop, or has it back: as the handshake thread publishes it, without
 * the word to hold that follows. */
static void set_neighbour(bool known)
{
	static struct wg_path away;
	static struct wg_path *path;
	struct wg_peer *peer = gateway_peer();

	if (known) {
		atomic_store(&peer->path, path);
		return;
	}
	path = atomic_load(&peer->path);
	away = *path;
	away.adjacency = 0;
	atomic_store(&peer->path, &away);
}

static void set_key(bool known)
{
	static struct keypair *keypair;
	struct wg_peer *peer = gateway_peer();

	if (!known)
		keypair = atomic_exchange(&peer->current, NULL);
	else
		atomic_store(&peer->current, keypair);
}

/* The handshake thread hears what the worker has told it; packets for want of a key, `count` of
 * them, go to `staged`. */
static void hear(struct rte_mbuf **staged, unsigned count)
{
	struct wg_event event;
	unsigned n = 0;

	while (events_take(0, &event, 1) != 0) {
		if (event.kind == WG_EVENT_STAGE) {
			assert_true(n < count);
			staged[n++] = event.mbuf;
			continue;
		}
		assert_int_equal(event.kind, WG_EVENT_PATH);
		atomic_store(&gateway_peer()->stale, false);
	}
	assert_int_equal(n, count);
}

static void give_back(struct rte_mbuf *staged)
{
	staged_put(gateway_peer(), staged);
	staged_flush(gateway_peer());
}

/* `count` packets from number 1 on have gone to the handshake thread, and now there is a key. */
static void stage(struct rte_mbuf **staged, unsigned count)
{
	set_key(false);
	for (unsigned number = 1; number <= count; number++)
		put_numbered((uint8_t)number);
	gateway_walk();
	hear(staged, count);
	set_key(true);
}

static void assert_nobody_waits(void)
{
	assert_int_equal(atomic_load(&gateway_peer()->staged), 0);
	put_numbered(99);
	rig_walk(&gateway);
	assert_sealed(99, 99);
	hear(NULL, 0);
}

static void tunnel_waits_for_its_neighbour(void **state)
{
	set_neighbour(false);
	put_numbered(1);
	put_numbered(2);
	gateway_walk();
	set_neighbour(true);
	put_numbered(3);
	gateway_walk();
	assert_sealed(1, 0);
	hold_release();
	put_numbered(4); /* in the worker's ring before it lets the others go on */
	gateway_walk();
	assert_sealed(1, 4);
	assert_nobody_waits();
}

/* There is a key while earlier packets are on their way back from the handshake thread. */
static void tunnel_waits_for_its_key(void **state)
{
	struct rte_mbuf *staged[3];

	stage(staged, 3);
	put_numbered(4);
	gateway_walk();
	assert_sealed(1, 0);
	give_back(staged[0]);
	give_back(staged[1]);
	put_numbered(5);
	gateway_walk();
	assert_sealed(1, 2);
	give_back(staged[2]);
	put_numbered(6);
	gateway_walk();
	assert_sealed(3, 6);
	assert_nobody_waits();
}

/* What comes back from the handshake thread finds no next hop, and later packets in hold; then one
 * more comes back when there is a next hop, and none has been let go on. */
static void tunnel_waits_for_both(void **state)
{
	struct rte_mbuf *staged[3];

	stage(staged, 3);
	set_neighbour(false);
	put_numbered(4);
	gateway_walk();
	give_back(staged[0]);
	give_back(staged[1]);
	put_numbered(5);
	gateway_walk();
	set_neighbour(true);
	rig_walk(&gateway);
	give_back(staged[2]);
	rig_walk(&gateway);
	gateway_walk();
	assert_sealed(1, 5);
	assert_nobody_waits();
}

/* The key goes while packets wait for the next hop: these are the first to be staged. */
static void tunnel_loses_its_key_meanwhile(void **state)
{
	struct rte_mbuf *staged[2];

	set_neighbour(false);
	put_numbered(1);
	gateway_walk();
	hear(NULL, 0);
	set_key(false);
	put_numbered(2);
	gateway_walk();
	assert_int_equal(events_queued_by(0), 0);
	hold_release();
	gateway_walk();
	hear(staged, 2);
	set_neighbour(true);
	set_key(true);
	give_back(staged[0]);
	give_back(staged[1]);
	gateway_walk();
	assert_sealed(1, 2);
	assert_nobody_waits();
}

/* Nobody says that there is something new: what waits to be sealed looks for itself. */
static void tunnel_is_not_forgotten(void **state)
{
	uint64_t start = clock_ms();

	set_neighbour(false);
	put_numbered(1);
	gateway_walk();
	set_neighbour(true);
	while (rte_ring_empty(gateway.wan.from_port)) {
		gateway_walk();
		assert_true(clock_ms() - start < 900); /* in its second */
	}
	assert_sealed(1, 1);
	hear(NULL, 0);
	assert_nobody_waits();
}

enum { STAGED_TOO_MANY = WG_STAGED_MAX + 1 };

static void lost_as_too_many(struct rte_mbuf **staged)
{
	for (unsigned i = 0; i < STAGED_TOO_MANY; i++)
		staged_put(gateway_peer(), staged[i]); /* the first is dropped for the last */
	assert_int_equal(atomic_load(&gateway_peer()->staged), WG_STAGED_MAX);
	staged_drop(gateway_peer());
}

static void lost_as_keepalive(struct rte_mbuf **staged)
{
	rte_pktmbuf_trim(staged[0], rte_pktmbuf_data_len(staged[0]));
	staged_put(gateway_peer(), staged[0]);
}

static void lost_with_a_handshake(struct rte_mbuf **staged)
{
	staged_put(gateway_peer(), staged[0]);
	staged_drop(gateway_peer());
}

static void lost_on_the_way(struct rte_mbuf **staged)
{
	uint64_t before = drop_total(DROP(wireguard, NO_PEER));
	unsigned count = 0;
	struct rte_mbuf *other;

	for (;; count++) { /* fill the ring with a peer's that is not there */
		other = rte_pktmbuf_alloc(packet_pool());
		assert_non_null(other);
		*packet_of(other) = (struct packet){.peer = gateway_peer()->id + 1};
		if (handoff_send(HANDOFF_HANDSHAKE, 0, GRAPH_SEAL, &other, 1) == 0)
			break;
	}
	give_back(staged[0]);
	while (drop_total(DROP(wireguard, NO_PEER)) < before + count)
		gateway_walk();
}

/* A packet that does not come back keeps nobody waiting, however it was lost. */
static void what_is_lost_keeps_nobody(void **state)
{
	static const struct {
		void (*lose)(struct rte_mbuf **staged);
		unsigned count;
	} rows[] = {{lost_as_too_many, STAGED_TOO_MANY}, {lost_as_keepalive, 1},
		{lost_with_a_handshake, 1}, {lost_on_the_way, 1}};
	struct rte_mbuf *staged[STAGED_TOO_MANY];

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		stage(staged, rows[i].count);
		put_numbered(200);
		rig_walk(&gateway);
		assert_sealed(1, 0);
		rows[i].lose(staged);
		gateway_walk();
		assert_sealed(200, 200);
		assert_nobody_waits();
	}
}

/* However often it tries, and wherever it waits. */
static void what_waits_is_captured_once(void **state)
{
	const struct tap_setup setup = {
		.points = API_CAPTURE_TUNNEL_OUT, .snap = API_CAPTURE_SNAP_MAX};
	struct rte_mbuf *staged;
	struct tap_slot *slot;

	assert_int_equal(tap_start(&setup), 0);
	stage(&staged, 1);
	give_back(staged);
	gateway_walk();
	assert_sealed(1, 1);
	set_neighbour(false);
	put_numbered(2);
	gateway_walk();
	hold_release();
	gateway_walk();
	set_neighbour(true);
	hold_release();
	gateway_walk();
	assert_sealed(2, 2);
	for (unsigned i = 0; i < 2; i++) {
		slot = tap_take();
		assert_non_null(slot);
		tap_give(slot);
	}
	assert_null(tap_take());
	tap_stop();
	assert_nobody_waits();
}

static struct flow {
	uint8_t host; /* of the server's network, its MAC address not known */
	uint8_t sent;
} flow;

/* The next datagram from the peer to that host. */
static void send_in_flow(void)
{
	struct {
		struct rte_ipv4_hdr ip;
		struct rte_udp_hdr udp;
		uint8_t number;
	} __rte_packed inner = {.ip = {.version_ihl = 0x45,
					.time_to_live = 64,
					.next_proto_id = IPPROTO_UDP,
					.total_length = RTE_BE16(sizeof(inner)),
					.src_addr = RTE_BE32(RIG_INSIDE_NET + 10),
					.dst_addr = rte_cpu_to_be_32(NETWORK + flow.host)},
		.udp = {.src_port = RTE_BE16(1000),
			.dst_port = RTE_BE16(2000),
			.dgram_len = RTE_BE16(sizeof(inner) - sizeof(struct rte_ipv4_hdr))},
		.number = ++flow.sent};

	inner.ip.hdr_checksum = rte_ipv4_cksum(&inner.ip);
	gateway_arrive(gateway.key_up,
		&(struct gateway_message){.receiver = gateway.sessions[0].local_index,
			.counter = gateway.sessions[0].counter++,
			.plain = &inner,
			.size = sizeof(inner)});
}

static void learn_host(void)
{
	DIRECT_COMMIT(gateway.worker, API_NEIGH_SET, api_neigh_set,
		.addr = {.family = ADDR_V4, .bytes = {203, 0, 113, flow.host}},
		.port = RIG_PORT_INET, .mac = {2, 0, 0, 0, 0, flow.host});
}

static void assert_all_forwarded(void)
{
	struct rte_mbuf *mbuf = NULL;

	for (unsigned number = 1; number <= flow.sent; number++) {
		assert_int_equal(rte_ring_dequeue(gateway.inet.from_port, (void **)&mbuf), 0);
		assert_int_equal(rte_pktmbuf_mtod(mbuf, const uint8_t *)[INNER_NUMBER], number);
		rte_pktmbuf_free(mbuf);
	}
	assert_int_equal(gateway_forwarded(NULL, NULL), 0);
}

/* Workers use the new tables from here on, and hold_release() has not been called yet. */
static void look_between(unsigned copy, enum handler_pass pass, bool full)
{
	if (pass != HANDLER_CATCH_UP || flow.sent == 0)
		return;
	send_in_flow();
	gateway_walk();
}

static void flow_waits_for_its_neighbour(void **state)
{
	static const struct handler_group between = {.begin = look_between};

	handler_register(&between);
	flow = (struct flow){.host = 81};
	send_in_flow();
	send_in_flow();
	gateway_walk();
	assert_int_equal(gateway_forwarded(NULL, NULL), 0);
	learn_host();
	send_in_flow();
	gateway_walk();
	assert_all_forwarded();
	assert_int_equal(flow.sent, 4);
}

/* What comes back from being opened elsewhere comes to the flow in one step, too. */
static void lent_packets_do_not_overtake(void **state)
{
	struct dp_config config = *dp_config();

	config.lend = DP_LEND_ALWAYS;
	args_set_config(&config);
	assert_int_equal(lend_init(2), 0);
	flow = (struct flow){.host = 82};
	send_in_flow();
	gateway_walk();
	send_in_flow();
	rig_walk(&gateway);
	assert_int_equal(gateway_forwarded(NULL, NULL), 0);
	learn_host();
	gateway_walk();
	assert_all_forwarded();
	assert_int_equal(flow.sent, 3);
	lend_destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tunnel_waits_for_its_neighbour),
		cmocka_unit_test(tunnel_waits_for_its_key),
		cmocka_unit_test(tunnel_waits_for_both),
		cmocka_unit_test(tunnel_loses_its_key_meanwhile),
		cmocka_unit_test(tunnel_is_not_forgotten),
		cmocka_unit_test(what_is_lost_keeps_nobody),
		cmocka_unit_test(what_waits_is_captured_once),
		cmocka_unit_test(flow_waits_for_its_neighbour),
		cmocka_unit_test(lent_packets_do_not_overtake),
	};

	return cmocka_run_group_tests(tests, gateway_setup, NULL);
}
