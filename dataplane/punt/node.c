/* SPDX-License-Identifier: BSD-3-Clause */
/* Node "punt": packets for the kernel leave the graph here, by the worker's ring. */
#include "dataplane/punt/node.h"

#include <rte_graph_worker.h>

#include "dataplane/graph/graph.h"
#include "dataplane/main/worker.h"
#include "dataplane/punt/punt_priv.h"

static uint16_t drop_edge;
static struct punt_policer policers[DP_WORKERS_MAX];

/* 0, or why the packet may not go to the kernel. Its layer-2 header is data again afterwards. */
static uint16_t prepare(struct punt_policer *policer, struct rte_mbuf *mbuf, uint64_t now_ms)
{
	struct packet *packet = packet_of(mbuf);
	enum punt_class class = punt_classify(mbuf);

	if (!punt_admit(policer, class, now_ms))
		return punt_police_reason(class);
	if (packet->port_in == 0) /* from a tunnel: the overlay interface takes bare IP */
		return packet->family == ADDR_NONE ? DROP(punt, NO_DEVICE) : 0;
	if (packet->l2_len < RTE_ETHER_HDR_LEN || rte_pktmbuf_prepend(mbuf, packet->l2_len) == NULL)
		return DROP(punt, NO_L2);
	packet->l2_len = 0;
	return 0;
}

static uint16_t punt_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t nb_objs)
{
	const struct worker *worker = worker_self();
	struct rte_mbuf *kept[RTE_GRAPH_BURST_SIZE];
	unsigned sent;
	unsigned n = 0;

	for (unsigned i = 0; i < nb_objs; i++) {
		struct rte_mbuf *mbuf = objs[i];
		uint16_t reason = prepare(&policers[worker->id], mbuf, worker->now_ms);

		if (reason == 0) {
			kept[n++] = mbuf;
			continue;
		}
		packet_of(mbuf)->drop = reason;
		rte_node_enqueue_x1(graph, node, drop_edge, mbuf);
	}
	sent = rte_ring_sp_enqueue_burst(punt.rings[worker->id], (void **)kept, n, NULL);
	for (unsigned i = sent; i < n; i++) {
		packet_of(kept[i])->drop = DROP(punt, RING_FULL);
		rte_node_enqueue_x1(graph, node, drop_edge, kept[i]);
	}
	if (sent > 0)
		punt_ring_bell();
	return nb_objs;
}

void punt_node_init(void)
{
	graph_take_role(GRAPH_PUNT, "punt");
	graph_edge("punt", GRAPH_DROP, &drop_edge);
}

void punt_node_worker_init(const struct worker *worker)
{
	punt_policer_init(&policers[worker->id], clock_ms());
}

static struct rte_node_register punt_node = {
	.process = punt_process,
	.name = "punt",
};

RTE_NODE_REGISTER(punt_node);
