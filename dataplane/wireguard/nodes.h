/* SPDX-License-Identifier: BSD-3-Clause */
/* What both nodes of this folder do on a worker. */
#pragma once

#include <rte_graph.h>
#include <rte_graph_worker.h>

#include "dataplane/graph/graph.h"
#include "dataplane/wireguard/wireguard_priv.h"

enum { NODES_GONE = UINT16_MAX }; /* in next[]: the packet is no longer the node's */

void seal_node_init(void);
void open_node_init(void);

/* The worker's own counter for IPv4 identification fields. */
uint16_t *wg_ipv4_id(unsigned worker);

/* Wakes the handshake thread's interest in a peer, unless it has it already. */
static inline void activity_tell(struct wg_peer *peer)
{
	struct wg_event event = {.kind = WG_EVENT_ACTIVITY, .peer = peer->id};

	if (likely(atomic_load_explicit(&peer->watched, memory_order_relaxed)))
		return;
	if (!atomic_exchange_explicit(&peer->watched, true, memory_order_seq_cst) &&
		!events_put(&event))
		atomic_store_explicit(&peer->watched, false, memory_order_relaxed);
}

static inline void activity_ask(struct wg_peer *peer, uint32_t requests)
{
	timers_request(&peer->activity, requests);
	activity_tell(peer);
}

/* Passes packets on by their edges in runs; skips those that are gone. */
static inline void nodes_pass(struct rte_graph *graph, struct rte_node *node,
	struct rte_mbuf **mbufs, const uint16_t *next, uint16_t n)
{
	uint16_t first = 0;

	while (first < n) {
		uint16_t end = first + 1;

		while (end < n && next[end] == next[first])
			end++;
		if (next[first] != NODES_GONE)
			rte_node_enqueue(graph, node, next[first], (void **)&mbufs[first],
				(uint16_t)(end - first));
		first = end;
	}
}

/* A node may be given more than a burst at once (its stream grows): one burst after the other. */
static inline uint16_t nodes_in_bursts(struct rte_graph *graph, struct rte_node *node, void **objs,
	uint16_t n,
	void (*process)(struct rte_graph *graph, struct rte_node *node, struct rte_mbuf **mbufs,
		uint16_t n))
{
	for (uint16_t done = 0; done < n; done += RTE_GRAPH_BURST_SIZE)
		process(graph, node, (struct rte_mbuf **)objs + done,
			RTE_MIN((uint16_t)(n - done), (uint16_t)RTE_GRAPH_BURST_SIZE));
	return n;
}
