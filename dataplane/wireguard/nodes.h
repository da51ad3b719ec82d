/* SPDX-License-Identifier: BSD-3-Clause */
/* What both nodes of this folder do on a worker. */
#pragma once

#include <rte_graph.h>
#include <rte_graph_worker.h>

#include "dataplane/graph/enqueue.h"
#include "dataplane/graph/graph.h"
#include "dataplane/wireguard/wireguard_priv.h"

void seal_node_init(void);
void open_node_init(void);

/* The worker's own counter for IPv4 identification fields. */
uint16_t *wg_ipv4_id(unsigned worker);

/* The slow half of activity_tell(). */
void activity_tell_now(struct wg_peer *peer);

/* Wakes the handshake thread's interest in a peer, unless it has it already. */
static inline void activity_tell(struct wg_peer *peer)
{
	if (unlikely(!atomic_load_explicit(&peer->watched, memory_order_relaxed)))
		activity_tell_now(peer);
}

static inline void activity_ask(struct wg_peer *peer, uint32_t requests)
{
	timers_request(&peer->activity, requests);
	activity_tell(peer);
}

/* A node may be given more than it takes at once: one burst after the other. */
static inline uint16_t nodes_in_bursts(struct rte_graph *graph, struct rte_node *node, void **objs,
	uint16_t n, uint16_t burst,
	void (*process)(struct rte_graph *graph, struct rte_node *node, struct rte_mbuf **mbufs,
		uint16_t n))
{
	for (uint16_t done = 0; done < n; done += burst)
		process(graph, node, (struct rte_mbuf **)objs + done,
			RTE_MIN((uint16_t)(n - done), burst));
	return n;
}
