/* SPDX-License-Identifier: BSD-3-Clause */
/* How nodes pass on a burst whose packets go different ways. Workers. */
#pragma once

#include <rte_graph.h>
#include <rte_graph_worker.h>

#include <stdint.h>

/* Enqueues objs[i] on edge edges[i], runs of equal edges in one go; keeps their order per edge. */
static inline void graph_enqueue(struct rte_graph *graph, struct rte_node *node, void **objs,
	const uint16_t *edges, uint16_t n)
{
	for (uint16_t i = 0; i < n;) {
		uint16_t first = i;

		while (i < n && edges[i] == edges[first])
			i++;
		rte_node_enqueue(graph, node, edges[first], &objs[first], (uint16_t)(i - first));
	}
}
