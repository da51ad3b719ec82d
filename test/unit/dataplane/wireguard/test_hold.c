/* SPDX-License-Identifier: BSD-3-Clause */
/* Order: what waits for a neighbour or for a key is not overtaken by what comes later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <rte_ip.h>
#include <rte_udp.h>

#include "common/api/route.h"
#include "dataplane/bench/direct.h"
#include "dataplane/main/args.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/worker.h"
#include "dataplane/route/hold.h"
#include "dataplane/wireguard/lend.h"
#include "test/unit/dataplane/wireguard/gateway.h"

enum {
	STAGED = 3,
	NUMBER = 63, /* where a packet's number stands */
	INNER_NUMBER = RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr),
	NETWORK = RTE_IPV4(203U, 0, 113, 0), /* the server's */
};

static struct keypair *current(void)
{
	return atomic_load(&gateway_peer()->current);
}

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

/* What the handshake thread does to a path whose next hop has been learned is done in two steps
 * here, between which a worker looks at it. */
static void tunnel_waits_for_its_neighbour(void **state)
{
	struct wg_peer *peer = gateway_peer();
	struct wg_path away = *atomic_load(&peer->path), *path;
	struct wg_event event;

	away.adjacency = 0;
	path = atomic_exchange(&peer->path, &away);
	put_numbered(1);
	put_numbered(2);
	gateway_walk();
	atomic_store(&peer->path, path);
	put_numbered(3);
	gateway_walk();
	assert_sealed(1, 0);
	hold_release();
	put_numbered(4); /* in the worker's ring before it lets the others go on */
	gateway_walk();
	assert_sealed(1, 4);
	put_numbered(5);
	gateway_walk();
	assert_sealed(5, 5);
	while (events_take(0, &event, 1) != 0)
		assert_int_equal(event.kind, WG_EVENT_PATH);
}

/* There is a key while earlier packets are on their way back from the handshake thread. */
static void tunnel_waits_for_its_key(void **state)
{
	struct wg_peer *peer = gateway_peer();
	struct keypair *keypair = current();
	struct wg_event events[STAGED];

	atomic_store(&peer->current, NULL);
	for (uint8_t number = 1; number <= STAGED; number++)
		put_numbered(number);
	gateway_walk();
	assert_int_equal(events_take(0, events, STAGED), STAGED);
	atomic_store(&peer->current, keypair);
	put_numbered(STAGED + 1);
	gateway_walk();
	assert_sealed(1, 0);
	for (unsigned i = 0; i + 1 < STAGED; i++)
		staged_put(peer, events[i].mbuf);
	staged_flush(peer);
	put_numbered(STAGED + 2);
	gateway_walk();
	assert_sealed(1, STAGED - 1);
	staged_put(peer, events[STAGED - 1].mbuf);
	staged_flush(peer);
	put_numbered(STAGED + 3);
	gateway_walk();
	assert_sealed(STAGED, STAGED + 3);
	assert_int_equal(atomic_load(&peer->staged), 0);
}

static void what_is_given_up_keeps_nobody(void **state)
{
	struct wg_peer *peer = gateway_peer();
	struct keypair *keypair = current();
	struct wg_event event;

	atomic_store(&peer->current, NULL);
	put_numbered(1);
	gateway_walk();
	assert_int_equal(events_take(0, &event, 1), 1);
	atomic_store(&peer->current, keypair);
	put_numbered(2);
	gateway_walk();
	assert_sealed(1, 0);
	staged_put(peer, event.mbuf);
	staged_drop(peer);
	gateway_walk();
	assert_sealed(2, 2);
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
		cmocka_unit_test(what_is_given_up_keeps_nobody),
		cmocka_unit_test(flow_waits_for_its_neighbour),
		cmocka_unit_test(lent_packets_do_not_overtake),
	};

	return cmocka_run_group_tests(tests, gateway_setup, NULL);
}
