/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Node "wg_lend", a source: each worker works for others here, and passes on what others have done
 * for it, in the order in which it lent it.
 */
#include <rte_graph.h>
#include <rte_graph_worker.h>

#include "dataplane/wireguard/lend.h"
#include "dataplane/wireguard/nodes.h"

static struct lend_edges sealed, opened;

static uint16_t process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	struct worker *worker = worker_self();
	struct lend_job *job;
	uint16_t passed = 0;

	lend_help(worker);
	while ((job = lend_retire(worker)) != NULL) {
		uint16_t next[LEND_BURST];

		job->finish(job, worker, job->seal ? &sealed : &opened, next);
		graph_enqueue(graph, node, (void **)job->mbufs, next, job->count);
		passed += job->count;
		lend_release(worker);
	}
	return passed;
}

static struct rte_node_register node_lend = {
	.name = "wg_lend",
	.flags = RTE_NODE_SOURCE_F,
	.process = process,
};

RTE_NODE_REGISTER(node_lend)

void lend_node_init(void)
{
	graph_add_source("wg_lend");
	graph_edge("wg_lend", GRAPH_DROP, &sealed.drop);
	graph_edge("wg_lend", GRAPH_SEND, &sealed.onward);
	graph_edge("wg_lend", GRAPH_DROP, &opened.drop);
	graph_edge("wg_lend", GRAPH_FORWARD, &opened.onward);
}
