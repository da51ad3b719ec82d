/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Node "port_tx": puts the Ethernet header in front and gathers packets per port until the end of
 * the loop, so that a device sees one burst where the graph made several small ones. A port with
 * fewer queues than workers is sent to by one worker per queue; the others hand over to it.
 */
#include "dataplane/port/port_tx.h"

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_graph.h>
#include <rte_graph_worker.h>

#include <string.h>

#include "common/base/addr.h"
#include "dataplane/graph/enqueue.h"
#include "dataplane/graph/follow.h"
#include "dataplane/graph/graph.h"
#include "dataplane/graph/packet.h"
#include "dataplane/graph/tap.h"
#include "dataplane/main/worker.h"
#include "dataplane/port/port.h"
#include "dataplane/port/port_drops.h"
#include "dataplane/route/route.h"

enum { BURST = 64 };

struct tx_buffer {
	uint16_t count;
	struct rte_mbuf *mbufs[BURST];
};

/* Of one worker. */
struct tx_state {
	uint64_t filled; /* bit p: port p's buffer is not empty */
	struct tx_buffer buffers[API_PORT_MAX];
} __rte_cache_aligned;

_Static_assert(API_PORT_MAX <= 64, "one bit per port");

static struct tx_state states[DP_WORKERS_MAX];
static uint16_t edge_drop, edge_handoff;

void port_tx_init(void)
{
	graph_take_role(GRAPH_SEND, "port_tx");
	graph_edge("port_tx", GRAPH_DROP, &edge_drop);
	graph_edge("port_tx", GRAPH_HANDOFF, &edge_handoff);
}

static uint16_t prepare(
	const struct port *port, uint16_t queue, struct tx_buffer *buffer, uint16_t n)
{
	return port->tx_checksums ? rte_eth_tx_prepare(port->dpdk, queue, buffer->mbufs, n) : n;
}

/* Somebody captures or follows packets: once the device has them they are no longer ours. */
static __attribute__((noinline, cold)) uint16_t send_watched(
	unsigned worker, const struct port *port, struct tx_buffer *buffer, uint16_t n)
{
	uint16_t queue = port->tx_queue[worker], sent;
	struct follow_record *records[BURST];
	bool followed = follow_wanted();

	if (tap_wants(API_CAPTURE_PORT_OUT))
		tap_frames(worker, API_CAPTURE_PORT_OUT, port->id, buffer->mbufs, n);
	if (followed)
		follow_sending(buffer->mbufs, n, records);
	sent = rte_eth_tx_burst(port->dpdk, queue, buffer->mbufs, prepare(port, queue, buffer, n));
	if (followed)
		follow_sent(records, n, sent, port->id, DROP(port, TX_FULL));
	return sent;
}

static void flush(unsigned worker, uint16_t id)
{
	struct tx_state *state = &states[worker];
	struct tx_buffer *buffer = &state->buffers[id];
	const struct port *port = port_get(id);
	uint16_t n = buffer->count, sent;

	buffer->count = 0;
	state->filled &= ~(UINT64_C(1) << id);
	if (port == NULL) {
		drop_free(worker, DROP(port, GONE), buffer->mbufs, n);
		return;
	}
	if (tap_wants(API_CAPTURE_PORT_OUT | TAP_FOLLOW)) {
		sent = send_watched(worker, port, buffer, n);
	} else {
		uint16_t queue = port->tx_queue[worker];

		sent = rte_eth_tx_burst(
			port->dpdk, queue, buffer->mbufs, prepare(port, queue, buffer, n));
	}
	drop_free(worker, DROP(port, TX_FULL), &buffer->mbufs[sent], n - sent);
}

void port_tx_drain(unsigned worker)
{
	while (states[worker].filled != 0)
		flush(worker, (uint16_t)__builtin_ctzll(states[worker].filled));
}

static void gather(unsigned worker, uint16_t id, struct rte_mbuf *mbuf)
{
	struct tx_buffer *buffer = &states[worker].buffers[id];

	states[worker].filled |= UINT64_C(1) << id;
	buffer->mbufs[buffer->count++] = mbuf;
	if (buffer->count == BURST)
		flush(worker, id);
}

/* What packets to one port and next hop have in common; looked at once for each run of them. */
struct way {
	const struct port *port; /* NULL = deleted */
	uint16_t port_id;
	bool ours;  /* this worker sends for it */
	bool known; /* the next hop's address */
	uint32_t adjacency;
	struct rte_ether_hdr header; /* but for the type */
};

static struct way find_way(unsigned worker, const struct packet *packet)
{
	struct way way = {.port_id = packet->port_out, .adjacency = packet->adjacency};

	way.port = port_get(way.port_id);
	if (way.port == NULL)
		return way;
	way.ours = way.port->tx_worker[worker] == worker;
	way.header.src_addr = way.port->mac;
	/* Without one for PACKET_KEEP_L2, which needs none. */
	way.known = way.adjacency != 0 && neigh_mac(way.adjacency, &way.header.dst_addr);
	return way;
}

/* The layer-2 header in front of data. 0 or a drop reason. */
static inline uint16_t put_header(const struct way *way, struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of(mbuf);
	struct rte_ether_hdr *ether;

	if (unlikely(packet->flags & PACKET_KEEP_L2)) {
		if (rte_pktmbuf_prepend(mbuf, packet->l2_len) == NULL)
			return DROP(port, HEADROOM);
		return DROP_NONE;
	}
	if (unlikely(!way->known))
		return DROP(port, NO_NEIGHBOUR);
	ether = (struct rte_ether_hdr *)rte_pktmbuf_prepend(mbuf, sizeof(*ether));
	if (unlikely(ether == NULL))
		return DROP(port, HEADROOM);
	*ether = way->header;
	ether->ether_type = packet->family == ADDR_V6 ? RTE_BE16(RTE_ETHER_TYPE_IPV6)
						      : RTE_BE16(RTE_ETHER_TYPE_IPV4);
	return DROP_NONE;
}

/* True: the packet was gathered; else *edge says where it goes. */
static inline bool send_one(
	unsigned worker, const struct way *way, struct rte_mbuf *mbuf, uint16_t *edge)
{
	struct packet *packet = packet_of(mbuf);
	uint16_t reason;

	*edge = edge_drop;
	if (unlikely(way->port == NULL)) {
		packet->drop = DROP(port, GONE);
		return false;
	}
	if (unlikely(!way->ours)) {
		packet->to = way->port->tx_worker[worker];
		packet->next = GRAPH_SEND;
		*edge = edge_handoff;
		return false;
	}
	reason = rte_pktmbuf_pkt_len(mbuf) > way->port->mtu ? DROP(port, TOO_BIG)
							    : put_header(way, mbuf);
	if (unlikely(reason != DROP_NONE)) {
		packet->drop = reason;
		return false;
	}
	gather(worker, way->port_id, mbuf);
	return true;
}

static uint16_t port_tx_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	unsigned worker = worker_self()->id;
	struct way way;

	for (uint16_t first = 0; first < n;) {
		uint16_t edges[BURST], left = 0;
		void *others[BURST];
		uint16_t end = (uint16_t)RTE_MIN(first + BURST, n);

		for (; first < end; first++) {
			const struct packet *packet = packet_of(objs[first]);

			if (first == 0 || packet->port_out != way.port_id ||
				packet->adjacency != way.adjacency)
				way = find_way(worker, packet);
			if (!send_one(worker, &way, objs[first], &edges[left]))
				others[left++] = objs[first];
		}
		graph_enqueue(graph, node, others, edges, left);
	}
	return n;
}

static struct rte_node_register port_tx_node = {
	.name = "port_tx",
	.process = port_tx_process,
};
RTE_NODE_REGISTER(port_tx_node);
