/* SPDX-License-Identifier: BSD-3-Clause */
/* How nodes pass on a burst whose packets may go different ways. Workers. */
#pragma once

#include <rte_branch_prediction.h>
#include <rte_graph.h>
#include <rte_graph_worker.h>

#include <stdint.h>

enum { GRAPH_GONE = UINT16_MAX }; /* instead of an edge: the packet is no longer the node's */

/* Enqueues objs[i] on edge edges[i], runs of equal edges in one go; keeps their order per edge. A
 * node's whole stream that goes one way is not copied but given away. */
static inline void graph_enqueue(struct rte_graph *graph, struct rte_node *node, void **objs,
	const uint16_t *edges, uint16_t n)
{
	for (uint16_t i = 0; i < n;) {
		uint16_t first = i;

		while (i < n && edges[i] == edges[first])
			i++;
		if (unlikely(edges[first] == GRAPH_GONE))
			continue;
		if (likely(i - first == node->idx && &objs[first] == node->objs))
			rte_node_next_stream_move(graph, node, edges[first]);
		else
			rte_node_enqueue(
				graph, node, edges[first], &objs[first], (uint16_t)(i - first));
	}
}
