/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/dataplane/port/core.h"

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_graph.h>
#include <rte_graph_worker.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/aead/aead.h"
#include "dataplane/graph/enqueue.h"
#include "dataplane/graph/graph.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/eal.h"
#include "dataplane/main/feature.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/reader.h"
#include "dataplane/main/worker.h"
#include "dataplane/port/port.h"
#include "dataplane/route/route.h"

enum { BURST = 256 };

uint64_t core_punted;

static uint16_t edge_send, edge_handoff;
static unsigned worker_count;

/* Every neighbour is 02:00:00:00:00:09. */
bool neigh_mac(uint32_t adjacency, struct rte_ether_addr *mac)
{
	*mac = (struct rte_ether_addr){{2, 0, 0, 0, 0, 9}};
	return adjacency == 1;
}

void judge_generation_bump(void)
{
}

static uint16_t forward_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct packet *packet = packet_of(objs[i]);
		unsigned home = packet->dport % worker_count;
		uint16_t edge = edge_send;

		if (home != worker_self()->id) {
			packet->to = (uint8_t)home;
			packet->next = GRAPH_FORWARD;
			edge = edge_handoff;
		}
		packet->port_out = 2;
		packet->adjacency = 1;
		rte_node_enqueue(graph, node, edge, &objs[i], 1);
	}
	return n;
}

static struct rte_node_register forward_node = {.name = "forward", .process = forward_process};
RTE_NODE_REGISTER(forward_node);

static uint16_t sink_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	__atomic_fetch_add(&core_punted, n, __ATOMIC_RELAXED);
	rte_pktmbuf_free_bulk((struct rte_mbuf **)objs, n);
	return n;
}

static struct rte_node_register sink_node = {.name = "sink", .process = sink_process};
RTE_NODE_REGISTER(sink_node);

int core_start(unsigned workers, enum dp_idle idle)
{
	struct args args = {
		.config =
			{
				.workers = workers,
				.idle = idle,
				.cores_shared = true,
				.max_peers = 16,
				.max_flows = 1024,
				.max_routes = 16,
				.max_rules = 16,
				.mbufs = 4096,
				.mtu_max = 1500,
			},
		.memory_mb = 128,
		.hugepages = ARGS_HUGEPAGES_OFF,
		.log = LOG_LEVEL_WARN,
	};
	int rc;

	log_set_level(NULL, LOG_LEVEL_WARN);
	worker_count = workers;
	args_set_config(&args.config);
	rc = eal_start(&args);
	if (rc == 0)
		rc = reader_create();
	if (rc == 0)
		rc = packet_pool_create();
	if (rc == 0)
		rc = handoff_create_all(workers);
	if (rc == 0)
		rc = feature_init_all();
	if (rc == 0)
		rc = worker_create_all();
	if (rc != 0)
		return rc;
	graph_take_role(GRAPH_FORWARD, "forward");
	graph_take_role(GRAPH_PUNT, "sink");
	graph_edge("forward", GRAPH_SEND, &edge_send);
	graph_edge("forward", GRAPH_HANDOFF, &edge_handoff);
	return graph_create_all(workers);
}

int core_launch(void)
{
	int rc = 0;

	for (unsigned id = 0; rc == 0 && id < worker_count; id++)
		rc = worker_launch(id);
	return rc;
}

void core_stop(void)
{
	worker_stop_all();
	feature_stop_all();
	graph_destroy_all();
	worker_destroy_all();
	rte_eal_cleanup();
}

int core_add_rings(struct core_port *port, const char *device, unsigned queues)
{
	char name[RTE_RING_NAMESIZE];

	port->device = device;
	port->queues = queues;
	for (unsigned q = 0; q < queues; q++) {
		snprintf(name, sizeof(name), "%s-rx%u", device, q);
		port->rx[q] = rte_ring_create(name, 1024, SOCKET_ID_ANY, 0);
		snprintf(name, sizeof(name), "%s-tx%u", device, q);
		port->tx[q] = rte_ring_create(name, 1024, SOCKET_ID_ANY, 0);
		if (port->rx[q] == NULL || port->tx[q] == NULL)
			return -ENOMEM;
	}
	/* The driver puts "net_ring_" in front. */
	return rte_eth_from_rings(
		       device + strlen("net_ring_"), port->rx, queues, port->tx, queues, 0) < 0
		       ? -ENODEV
		       : 0;
}

static void run_pass(const struct txn *txn, const struct handler_group *group, unsigned number,
	enum handler_pass pass)
{
	struct txn_cursor cursor = {0};
	const void *message;

	group->begin(0, pass, txn_is_full(txn));
	while ((message = txn_next_in_group(txn, &cursor, number)) != NULL)
		cursor.handler->apply(message, 0, pass);
	group->end(0, pass, txn_is_full(txn));
}

static int run_txn(const struct txn *txn, unsigned number)
{
	const struct handler_group *group = handler_group_at(number);
	uint64_t index = 0, token;
	uint32_t detail = 0;
	char text[96] = "";
	int rc = group->prepare(txn, &index, &detail, text);

	if (rc != 0)
		return rc;
	run_pass(txn, group, number, HANDLER_SHADOW);
	token = grace_start();
	while (grace_over(token) == 0)
		usleep(100);
	run_pass(txn, group, number, HANDLER_CATCH_UP);
	return 0;
}

int core_commit(bool full, const void *const *messages, unsigned n)
{
	struct txn *txn = txn_create(1 << 20);
	unsigned group = 0;
	int rc = 0;

	if (txn == NULL)
		return -ENOMEM;
	handler_find(API_PORT_SET, &group);
	txn_reset(txn, full);
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		const struct api_header *header = messages[i];
		const struct handler *handler = handler_find(header->type, &group);
		uint32_t detail = 0;

		rc = handler->validate(messages[i], &detail);
		if (rc == 0)
			rc = txn_stage(txn, messages[i], handler, group);
	}
	if (rc == 0)
		rc = run_txn(txn, group);
	txn_destroy(&txn);
	return rc;
}

struct api_port_set core_port_set(uint16_t id, const char *device)
{
	struct api_port_set set = {
		.header = {.type = API_PORT_SET, .length = sizeof(set)},
		.port = id,
		.mtu = 1500,
	};

	snprintf(set.name, sizeof(set.name), "p%u", id);
	snprintf(set.device, sizeof(set.device), "%s", device);
	return set;
}

struct rte_mbuf *core_frame(const uint8_t *mac, uint16_t dport, uint32_t sequence)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(packet_pool());
	struct {
		struct rte_ether_hdr ether;
		struct rte_ipv4_hdr ip;
		struct rte_udp_hdr udp;
		uint32_t sequence;
		uint8_t fill[14]; /* to Ethernet's 60 bytes */
	} __rte_packed __rte_aligned(2) * frame;

	if (mbuf == NULL)
		return NULL;
	frame = (void *)rte_pktmbuf_append(mbuf, sizeof(*frame));
	memset(frame, 0, sizeof(*frame));
	memcpy(frame->ether.dst_addr.addr_bytes, mac, 6);
	frame->ether.src_addr.addr_bytes[0] = 2;
	frame->ether.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	frame->ip.version_ihl = 0x45;
	frame->ip.total_length = RTE_BE16(32);
	frame->ip.time_to_live = 64;
	frame->ip.next_proto_id = IPPROTO_UDP;
	frame->ip.src_addr = RTE_BE32(0xc0000201);
	frame->ip.dst_addr = RTE_BE32(0xc6336407);
	frame->ip.hdr_checksum = rte_ipv4_cksum(&frame->ip);
	frame->udp.src_port = RTE_BE16(1000);
	frame->udp.dst_port = rte_cpu_to_be_16(dport);
	frame->udp.dgram_len = RTE_BE16(12);
	frame->sequence = sequence;
	return mbuf;
}

bool core_wait(bool (*done)(void *arg), void *arg)
{
	for (uint64_t end = clock_ms() + CORE_DEADLINE_MS; clock_ms() < end; usleep(200)) {
		if (done(arg))
			return true;
	}
	return false;
}
