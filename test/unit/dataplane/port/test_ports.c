/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports over rings, workers and the graph: test_ports WORKERS QUEUES. Every packet comes out once
 * and in order, whoever received it; refused packets are counted with their reasons; ports come
 * and go by transactions while packets flow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <rte_ethdev.h>
#include <rte_ether.h>

#include <stdlib.h>
#include <string.h>

#include "common/api/counters.h"
#include "common/api/flow.h"
#include "dataplane/graph/graph.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/idle.h"
#include "dataplane/main/worker.h"
#include "dataplane/port/port.h"
#include "dataplane/port/port_drops.h"
#include "test/unit/dataplane/port/core.h"

enum { FLOWS = 16, PER_FLOW = 100, SEQUENCE_AT = 42 };

static unsigned workers = 1, queues = 1;
static struct core_port in, out;

static unsigned take(struct rte_mbuf **mbufs, unsigned max)
{
	unsigned n = 0;

	for (unsigned q = 0; q < out.queues; q++)
		n += rte_ring_dequeue_burst(out.tx[q], (void **)&mbufs[n], max - n, NULL);
	return n;
}

static void put(unsigned queue, struct rte_mbuf *mbuf)
{
	assert_non_null(mbuf);
	assert_int_equal(rte_ring_enqueue(in.rx[queue], mbuf), 0);
}

static struct received {
	uint32_t next[FLOWS];
	unsigned total;
	unsigned wrong;
	unsigned wanted;
} received;

static bool receive(void *arg)
{
	struct rte_mbuf *mbufs[64];
	unsigned n = take(mbufs, 64);

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *frame = rte_pktmbuf_mtod(mbufs[i], const uint8_t *);
		static const uint8_t next_hop[6] = {2, 0, 0, 0, 0, 9};
		unsigned flow = (unsigned)(frame[36] << 8 | frame[37]) % FLOWS;
		uint32_t sequence;

		memcpy(&sequence, frame + SEQUENCE_AT, sizeof(sequence));
		/* 46 bytes: what stood behind the IP packet is gone. */
		received.wrong += memcmp(frame, next_hop, 6) != 0 ||
				  rte_pktmbuf_pkt_len(mbufs[i]) != 46 ||
				  memcmp(frame + 6, port_get(2)->mac.addr_bytes, 6) != 0 ||
				  sequence != received.next[flow];
		received.next[flow] = sequence + 1;
		received.total++;
		rte_pktmbuf_free(mbufs[i]);
	}
	return received.total >= received.wanted;
}

static bool dropped(void *arg)
{
	const uint64_t *want = arg;

	return drop_total((uint16_t)want[0]) >= want[1];
}

static void expect_drop(uint16_t reason, struct rte_mbuf *mbuf)
{
	uint64_t want[2] = {reason, drop_total(reason) + 1};

	put(0, mbuf);
	if (!core_wait(dropped, want))
		fail_msg("reason %u was not counted", reason);
	assert_int_equal(drop_total(reason), want[1]);
}

static int setup(void **state)
{
	struct api_port_set one, two;
	const void *messages[] = {&one, &two};

	if (core_start(workers, DP_IDLE_ADAPTIVE) != 0 ||
		core_add_rings(&in, "net_ring_in", queues) != 0 ||
		core_add_rings(&out, "net_ring_out", queues) != 0)
		return -1;
	one = core_port_set(1, in.device);
	two = core_port_set(2, out.device);
	if (core_commit(true, messages, 2) != 0)
		return -1;
	return core_launch();
}

static int teardown(void **state)
{
	core_stop();
	return 0;
}

static void test_spread(void **state)
{
	for (uint16_t id = 1; id <= 2; id++) {
		const struct port *port = port_get(id);
		uint32_t senders[CORE_QUEUES_MAX] = {0};

		assert_non_null(port);
		assert_int_equal(port->rx_queues, queues);
		for (unsigned w = 0; w < workers; w++) {
			assert_true(port->tx_worker[w] < workers);
			assert_true(port->tx_queue[w] < queues);
			/* Whom others hand over to sends for itself, on the same queue. */
			assert_int_equal(port->tx_worker[port->tx_worker[w]], port->tx_worker[w]);
			senders[port->tx_queue[w]] |= 1U << port->tx_worker[w];
		}
		for (unsigned q = 0; q < queues; q++)
			assert_true((senders[q] & (senders[q] - 1)) == 0);
		assert_true(port->rx_worker[0] < workers);
	}
	assert_null(port_get(3));
	assert_null(port_get(API_PORT_MAX));
}

static void test_forwarding(void **state)
{
	const uint8_t *mac = port_get(1)->mac.addr_bytes;
	uint64_t handed = 0;

	memset(&received, 0, sizeof(received));
	for (uint32_t sequence = 0; sequence < PER_FLOW; sequence++) {
		for (uint16_t flow = 0; flow < FLOWS; flow++)
			put(flow % queues, core_frame(mac, flow, sequence));
		received.wanted += FLOWS;
		assert_true(core_wait(receive, NULL));
	}
	assert_int_equal(received.total, FLOWS * PER_FLOW);
	assert_int_equal(received.wrong, 0);
	for (unsigned w = 0; w < workers; w++) {
		uint64_t sent, taken;

		handoff_counts(w, &sent, &taken);
		handed += taken;
	}
	if (workers > 1)
		assert_true(handed > 0);
	else
		assert_int_equal(handed, 0);
}

static struct rte_mbuf *to_other_station(const uint8_t *mac)
{
	static const uint8_t other[6] = {2, 1, 1, 1, 1, 1};

	return core_frame(other, 1, 0);
}

static struct rte_mbuf *runt(const uint8_t *mac)
{
	struct rte_mbuf *mbuf = core_frame(mac, 1, 0);

	rte_pktmbuf_trim(mbuf, (uint16_t)(rte_pktmbuf_pkt_len(mbuf) - 13));
	return mbuf;
}

static struct rte_mbuf *broadcast(const uint8_t *mac)
{
	static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};

	return core_frame(all, 1, 0);
}

/* A TCP super-frame that the link delivered in one piece. */
static struct rte_mbuf *over_mtu(const uint8_t *mac)
{
	struct rte_mbuf *mbuf = core_frame(mac, 1, 0);
	uint16_t more = 1501 - 46;
	struct rte_ipv4_hdr *ip =
		rte_pktmbuf_mtod_offset(mbuf, struct rte_ipv4_hdr *, sizeof(struct rte_ether_hdr));

	memset(rte_pktmbuf_append(mbuf, more), 0, more);
	ip->total_length = RTE_BE16(1501);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	return mbuf;
}

/* The same cut by the ring's frame size. */
static struct rte_mbuf *cut(const uint8_t *mac)
{
	struct rte_mbuf *mbuf = over_mtu(mac);

	rte_pktmbuf_trim(mbuf, 100);
	return mbuf;
}

static struct rte_mbuf *multicast(const uint8_t *mac)
{
	static const uint8_t group[6] = {1, 0, 0x5e, 1, 1, 1};
	struct rte_mbuf *mbuf = core_frame(group, 1, 0);
	struct rte_ipv4_hdr *ip =
		rte_pktmbuf_mtod_offset(mbuf, struct rte_ipv4_hdr *, sizeof(struct rte_ether_hdr));

	ip->dst_addr = RTE_BE32(0xef010101);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	return mbuf;
}

static void test_refused(void **state)
{
	const uint8_t *mac = port_get(1)->mac.addr_bytes;

	expect_drop(DROP(port, OTHER_MAC), to_other_station(mac));
	expect_drop(DROP(port, RUNT), runt(mac));
	expect_drop(DROP(port, L2_BROADCAST), broadcast(mac));
	expect_drop(DROP(port, OVER_MTU), over_mtu(mac));
	expect_drop(DROP(packet, CUT), cut(mac));
	expect_drop(DROP(port, MULTICAST), multicast(mac));
	expect_drop(DROP(packet, SHORT), ({
		struct rte_mbuf *mbuf = core_frame(mac, 1, 0);
		rte_pktmbuf_trim(mbuf, (uint16_t)(rte_pktmbuf_pkt_len(mbuf) - 20));
		mbuf;
	}));
}

static bool punted(void *arg)
{
	return __atomic_load_n(&core_punted, __ATOMIC_RELAXED) >= *(uint64_t *)arg;
}

static void test_punted(void **state)
{
	const uint8_t *mac = port_get(1)->mac.addr_bytes;
	struct rte_mbuf *mbuf = core_frame(mac, 1, 0);
	struct rte_ether_hdr *ether = rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *);
	uint64_t want = core_punted + 1;

	ether->ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP);
	put(0, mbuf);
	assert_true(core_wait(punted, &want));

	/* A registered service takes its port's datagrams from forwarding. */
	graph_udp_service(4789, GRAPH_PUNT);
	want++;
	put(0, core_frame(mac, 4789, 0));
	assert_true(core_wait(punted, &want));
	graph_udp_service_remove(4789);
	memset(&received, 0, sizeof(received));
	received.wanted = 1;
	put(0, core_frame(mac, 4789, 0));
	assert_true(core_wait(receive, NULL));
}

static bool all_slept(void *arg)
{
	const uint64_t *before = arg;

	for (unsigned w = 0; w < workers; w++) {
		if (idle_sleeps(w) <= before[w])
			return false;
	}
	return true;
}

static void test_sleeping_workers_wake(void **state)
{
	const uint8_t *mac = port_get(1)->mac.addr_bytes;
	uint64_t before[DP_WORKERS_MAX];

	for (unsigned w = 0; w < workers; w++)
		before[w] = idle_sleeps(w) + 1;
	assert_true(core_wait(all_slept, before));
	for (unsigned w = 0; w < workers; w++) {
		struct rte_mbuf *mbuf = core_frame(mac, (uint16_t)w, 0);
		struct packet *packet = packet_of(mbuf);

		memset(packet, 0, sizeof(*packet));
		rte_pktmbuf_adj(mbuf, sizeof(struct rte_ether_hdr));
		rte_pktmbuf_trim(mbuf, 14);
		packet->dport = (uint16_t)w;
		packet->family = ADDR_V4;
		memset(&received, 0, sizeof(received));
		received.wanted = 1;
		assert_int_equal(handoff_send(HANDOFF_MAIN, w, GRAPH_FORWARD, &mbuf, 1), 1);
		assert_true(core_wait(receive, NULL));
		assert_int_equal(received.wrong, 0);
	}
}

static void test_counters(void **state)
{
	static struct api_count_port ports[API_PORT_MAX];
	static struct api_count_worker rows[DP_WORKERS_MAX];
	static struct api_count_node nodes[64];
	uint32_t n = graph_fill(nodes, 64);
	bool seen = false;

	assert_int_equal(port_fill(ports, API_PORT_MAX), 3);
	assert_true(ports[1].rx_packets >= FLOWS * PER_FLOW);
	assert_true(ports[2].tx_packets >= FLOWS * PER_FLOW);
	assert_int_equal(worker_fill(rows, DP_WORKERS_MAX), workers);
	assert_true(rows[0].total_cycles > rows[0].busy_cycles);
	for (uint32_t i = 0; i < n; i++)
		seen |= strcmp(nodes[i].name, "port_rx") == 0 &&
			nodes[i].packets >= FLOWS * PER_FLOW && nodes[i].calls > 0;
	assert_true(seen);
}

static unsigned ups, downs;

static void count_up(const struct port *port)
{
	ups++;
}

static void count_down(const struct port *port)
{
	downs++;
}

static void test_transactions(void **state)
{
	struct api_port_set one = core_port_set(1, in.device), two = core_port_set(2, out.device);
	struct api_port_set bad = core_port_set(3, "net_no_such_driver0");
	struct api_port_del del = {
		.header = {.type = API_PORT_DEL, .length = sizeof(del)}, .port = 2};
	const void *same[] = {&one, &two}, *broken[] = {&one, &bad}, *first[] = {&one};
	const void *gone[] = {&del}, *again[] = {&two};
	const uint8_t *mac = port_get(1)->mac.addr_bytes;
	const struct port *before = port_get(1);

	port_on_change(count_up, count_down);
	/* The same again: nothing is touched. */
	assert_int_equal(core_commit(true, same, 2), 0);
	assert_ptr_equal(port_get(1), before);
	assert_int_equal(ups + downs, 0);
	/* A device that does not start leaves everything as it was. */
	assert_int_equal(core_commit(true, broken, 2), API_E_DEVICE);
	assert_non_null(port_get(2));
	assert_null(port_get(3));
	one.mtu = 1400;
	assert_int_equal(core_commit(false, first, 1), API_E_CONFLICT);
	one.mtu = 100;
	assert_int_equal(core_commit(false, first, 1), API_E_VALUE);
	one.mtu = 1500;

	assert_int_equal(core_commit(false, gone, 1), 0);
	assert_null(port_get(2));
	assert_int_equal(downs, 1);
	expect_drop(DROP(port, GONE), core_frame(mac, 1, 0));
	assert_int_equal(core_commit(false, again, 1), 0);
	assert_int_equal(ups, 1);
	memset(&received, 0, sizeof(received));
	received.wanted = 1;
	put(0, core_frame(mac, 1, 0));
	assert_true(core_wait(receive, NULL));

	/* A full transaction without it deletes it. */
	assert_int_equal(core_commit(true, first, 1), 0);
	assert_null(port_get(2));
	assert_int_equal(downs, 2);
}

static void test_nothing_leaks(void **state)
{
	/* Caches and rings are empty of packets: whatever was taken has come back. */
	assert_int_equal(rte_mempool_in_use_count(packet_pool()), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_forwarding),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_punted),
		cmocka_unit_test(test_sleeping_workers_wake),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_transactions),
		cmocka_unit_test(test_nothing_leaks),
	};

	if (argc > 2) {
		workers = (unsigned)atoi(argv[1]);
		queues = (unsigned)atoi(argv[2]);
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
