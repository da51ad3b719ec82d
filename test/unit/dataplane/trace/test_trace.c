/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole data plane in one thread: the nodes that a packet goes through, and where it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <rte_graph_worker.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <errno.h>
#include <string.h>

#include "common/api/counters.h"
#include "dataplane/flow/flow.h"
#include "dataplane/graph/graph.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/port/port.h"
#include "dataplane/port/port_drops.h"
#include "dataplane/trace/trace.h"
#include "test/unit/dataplane/wireguard/gateway.h"

enum { NODES = 64, INNER = 64, PROCESSES = 64 };

static void node_name(uint8_t row, char name[API_COUNTER_NAME_MAX + 1])
{
	static struct api_count_node rows[NODES];
	uint32_t n = graph_fill(rows, NODES);

	assert_true(row < n);
	memcpy(name, rows[row].name, API_COUNTER_NAME_MAX);
	name[API_COUNTER_NAME_MAX] = '\0';
}

/* The entry's nodes, and nothing else. */
static void expect_way(const struct api_trace_entry *entry, const char *const nodes[], unsigned n)
{
	for (unsigned i = 0; i < entry->stages && i < n; i++) {
		char name[API_COUNTER_NAME_MAX + 1];

		node_name(entry->stage[i].node, name);
		assert_string_equal(name, nodes[i]);
		assert_true(entry->stage[i].cycles > 0);
	}
	assert_int_equal(entry->stages, n);
}

#define EXPECT_WAY(entry_, ...)                                                                    \
	do {                                                                                       \
		const char *const nodes_[] = {__VA_ARGS__};                                        \
		expect_way(entry_, nodes_, sizeof(nodes_) / sizeof(nodes_[0]));                    \
	} while (0)

/* Of all ways since; the others must be none. */
static struct api_trace_entry only_way(void)
{
	struct api_trace_entry entry, other;

	assert_true(trace_take(&entry));
	assert_false(trace_take(&other));
	return entry;
}

/* This thread is the worker, too: it has walked since. */
static void stop(void)
{
	trace_stop();
	assert_false(trace_is_idle());
	reader_quiescent(0);
	assert_true(trace_is_idle());
}

static int begin(void **state)
{
	return trace_start(gateway_peer()->id, API_TRACE_COUNT_MAX);
}

static int end(void **state)
{
	struct rte_mbuf *mbuf;

	if (!trace_is_idle())
		stop();
	gateway_walk();
	while (rte_ring_dequeue(gateway.wan.from_port, (void **)&mbuf) == 0)
		rte_pktmbuf_free(mbuf);
	gateway_forwarded(NULL, NULL);
	return 0;
}

/* From the peer to the server; with `source` somebody else's address. */
static void arrive_inner(uint32_t source)
{
	struct {
		struct rte_ipv4_hdr ip;
		struct rte_udp_hdr udp;
		uint8_t rest[INNER - sizeof(struct rte_ipv4_hdr) - sizeof(struct rte_udp_hdr)];
	} inner = {
		.ip = {.version_ihl = 0x45,
			.total_length = RTE_BE16(INNER),
			.time_to_live = 64,
			.next_proto_id = IPPROTO_UDP,
			.src_addr = rte_cpu_to_be_32(source),
			.dst_addr = RTE_BE32(RIG_SERVER_ADDR)},
		.udp = {.src_port = RTE_BE16(1000),
			.dst_port = RTE_BE16(2000),
			.dgram_len = RTE_BE16(INNER - sizeof(struct rte_ipv4_hdr))},
	};

	inner.ip.hdr_checksum = rte_ipv4_cksum(&inner.ip);
	gateway_arrive(gateway.key_up,
		&(struct gateway_message){.receiver = gateway.sessions[0].local_index,
			.counter = gateway.sessions[0].counter++,
			.plain = &inner,
			.size = sizeof(inner)});
	gateway_walk();
}

static void forwarded_is_sent(void **state)
{
	struct api_trace_entry entry;

	arrive_inner(RIG_INSIDE_NET | 9);
	entry = only_way();
	EXPECT_WAY(&entry, "port_rx", "wg_open", "flow", "flow_slow", "port_tx");
	assert_int_equal(entry.end, API_TRACE_SENT);
	assert_int_equal(entry.port, RIG_PORT_INET);
	assert_int_equal(entry.reason, DROP_NONE);
	assert_int_equal(entry.sport, 1000);
	arrive_inner(RIG_INSIDE_NET | 9);
	entry = only_way();
	EXPECT_WAY(&entry, "port_rx", "wg_open", "flow", "port_tx");
	assert_int_equal(entry.end, API_TRACE_SENT);
}

static void dropped_has_its_reason(void **state)
{
	struct api_trace_entry entry;

	arrive_inner(RIG_SERVER_ADDR);
	entry = only_way();
	assert_int_equal(entry.end, API_TRACE_DROPPED);
	assert_int_equal(entry.reason, DROP(flow, SPOOFED_INNER));
	EXPECT_WAY(&entry, "port_rx", "wg_open", "flow", "flow_slow", "drop");
}

static void full_device_has_its_reason(void **state)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(packet_pool());
	const uint8_t inner[INNER] = {0x45};
	struct api_trace_entry entry;

	/* The wire is full of one buffer, again and again. */
	while (rte_ring_enqueue(gateway.wan.from_port, mbuf) == 0)
		;
	gateway_put(inner, sizeof(inner));
	gateway_walk();
	entry = only_way();
	EXPECT_WAY(&entry, "handoff_rx", "wg_seal", "port_tx");
	assert_int_equal(entry.end, API_TRACE_DROPPED);
	assert_int_equal(entry.reason, DROP(port, TX_FULL));
	while (rte_ring_dequeue(gateway.wan.from_port, (void **)&mbuf) == 0)
		;
	rte_pktmbuf_free(mbuf);
}

static void deleted_port_has_its_reason(void **state)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(packet_pool());
	struct api_trace_entry entry;

	rte_pktmbuf_append(mbuf, INNER);
	*packet_of(mbuf) =
		(struct packet){.peer = gateway_peer()->id, .port_out = API_PORT_MAX - 1};
	assert_int_equal(handoff_send(HANDOFF_HANDSHAKE, 0, GRAPH_SEND, &mbuf, 1), 1);
	gateway_walk();
	entry = only_way();
	EXPECT_WAY(&entry, "handoff_rx", "port_tx", "drop");
	assert_int_equal(entry.reason, DROP(port, GONE));
}

static void keepalive_has_done_its_work(void **state)
{
	struct api_trace_entry entry;

	gateway_arrive(gateway.key_up,
		&(struct gateway_message){.receiver = gateway.sessions[0].local_index,
			.counter = gateway.sessions[0].counter++,
			.plain = ""});
	gateway_walk();
	/* Whose it was nobody asked, since it went to no node from wg_open on. */
	assert_false(trace_take(&entry));
	stop();
	assert_int_equal(trace_start(0, 1), 0);
	gateway_arrive(gateway.key_up,
		&(struct gateway_message){.receiver = gateway.sessions[0].local_index,
			.counter = gateway.sessions[0].counter++,
			.plain = ""});
	gateway_walk();
	entry = only_way();
	assert_int_equal(entry.end, API_TRACE_KEEPALIVE);
	EXPECT_WAY(&entry, "port_rx", "wg_open");
}

/* A keepalive of ours in a buffer whose last packet was followed. */
static void our_own_packets_have_their_own_way(void **state)
{
	struct api_trace_entry entry;
	struct gateway_sealed sealed;

	arrive_inner(RIG_INSIDE_NET | 9);
	assert_int_equal(only_way().end, API_TRACE_SENT);
	gateway_forwarded(NULL, NULL);
	for (unsigned i = 0; i < 3; i++) {
		keepalive_send(gateway_peer());
		gateway_walk();
		assert_true(gateway_take(gateway.key_down, &sealed));
		entry = only_way();
		EXPECT_WAY(&entry, "handoff_rx", "wg_seal", "port_tx");
		assert_int_equal(entry.end, API_TRACE_SENT);
		assert_int_equal(entry.port, RIG_PORT_WAN);
	}
}

static unsigned read_processes(rte_node_process_t processes[PROCESSES])
{
	struct rte_graph *graph = graph_of(0);
	rte_graph_off_t offset;
	struct rte_node *node;
	rte_node_t number;
	unsigned n = 0;

	rte_graph_foreach_node(number, offset, graph, node)
	{
		assert_true(n < PROCESSES);
		processes[n++] = node->process;
	}
	return n;
}

static void nodes_are_as_before(void **state)
{
	rte_node_process_t before[PROCESSES], during[PROCESSES], after[PROCESSES];
	unsigned n;

	stop();
	n = read_processes(before);
	assert_int_equal(trace_start(0, 1), 0);
	assert_int_equal(trace_start(0, 1), -EBUSY);
	assert_int_equal(read_processes(during), n);
	for (unsigned i = 0; i < n; i++)
		assert_ptr_not_equal(during[i], before[i]);
	stop();
	assert_int_equal(read_processes(after), n);
	assert_memory_equal(after, before, n * sizeof(before[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(forwarded_is_sent, begin, end),
		cmocka_unit_test_setup_teardown(dropped_has_its_reason, begin, end),
		cmocka_unit_test_setup_teardown(full_device_has_its_reason, begin, end),
		cmocka_unit_test_setup_teardown(deleted_port_has_its_reason, begin, end),
		cmocka_unit_test_setup_teardown(keepalive_has_done_its_work, begin, end),
		cmocka_unit_test_setup_teardown(our_own_packets_have_their_own_way, begin, end),
		cmocka_unit_test_setup_teardown(nodes_are_as_before, begin, end),
	};

	return cmocka_run_group_tests(tests, gateway_setup, NULL);
}
