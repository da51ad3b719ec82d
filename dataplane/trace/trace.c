/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/trace/trace.h"

#include <rte_cycles.h>
#include <rte_graph.h>
#include <rte_graph_worker.h>
#include <rte_mbuf.h>

#include <errno.h>
#include <string.h>

#include "dataplane/graph/follow.h"
#include "dataplane/graph/graph.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/worker.h"

enum {
	NODES_MAX = 128,
	EDGES_MAX = 64,
	MARKS_MAX = RTE_GRAPH_BURST_SIZE, /* packets of one call whose cycles are noted */
};

enum kind {
	KIND_OTHER,
	KIND_ENTRY,  /* port_rx: all its packets are new */
	KIND_SOURCE, /* other sources: packets may be underway */
	KIND_DROP,
};

/* Of one worker; constant while its nodes are wrapped. */
static struct tracer {
	rte_node_process_t original[NODES_MAX]; /* by node id */
	uint8_t row[NODES_MAX];
	uint8_t kind[NODES_MAX]; /* enum kind */
} __rte_cache_aligned tracers[DP_WORKERS_MAX];

static bool running;
static uint64_t grace = GRACE_NONE;

static struct follow_call begin_call(const struct rte_node *node, uint16_t n)
{
	const struct worker *worker = worker_self();

	return (struct follow_call){.begin = rte_rdtsc(),
		.worker = worker->id,
		.burst = n,
		.row = tracers[worker->id].row[node->id]};
}

/* What a source has just put before the other nodes. */
static void note_new(struct rte_node *node, const uint16_t *before, const struct follow_call *call,
	uint32_t cycles)
{
	bool entry = tracers[call->worker].kind[node->id] == KIND_ENTRY;

	for (rte_edge_t edge = 0; edge < node->nb_edges && edge < EDGES_MAX; edge++) {
		struct rte_node *next = node->nodes[edge];

		for (uint16_t i = before[edge]; i < next->idx; i++) {
			struct follow_mark mark;

			if (entry || !follow_is(next->objs[i]))
				follow_begin(next->objs[i], call, cycles);
			else if (follow_enter(next->objs[i], call, &mark))
				follow_leave(&mark, cycles);
		}
	}
}

static uint16_t process_source(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	struct follow_call call = begin_call(node, 0);
	uint16_t before[EDGES_MAX];

	for (rte_edge_t edge = 0; edge < node->nb_edges && edge < EDGES_MAX; edge++)
		before[edge] = node->nodes[edge]->idx;
	call.burst = tracers[call.worker].original[node->id](graph, node, objs, n);
	/* Divides once per call, while somebody looks. */
	if (call.burst != 0)
		note_new(node, before, &call, (uint32_t)((rte_rdtsc() - call.begin) / call.burst));
	return call.burst;
}

/* Packets beyond what a call has room to remember get their stage, but no cycles. */
static unsigned note_given(const struct rte_node *node, struct rte_mbuf **mbufs, uint16_t n,
	const struct follow_call *call, struct follow_mark marks[MARKS_MAX])
{
	bool dropped = tracers[call->worker].kind[node->id] == KIND_DROP;
	unsigned count = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct follow_mark mark;

		if (!follow_enter(mbufs[i], call, &mark))
			continue;
		if (dropped)
			follow_end(&mbufs[i], 1, API_TRACE_DROPPED, packet_of(mbufs[i])->drop);
		if (count < MARKS_MAX)
			marks[count++] = mark;
		else
			follow_leave(&mark, 0);
	}
	return count;
}

static uint16_t process_other(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	struct follow_call call = begin_call(node, n);
	struct follow_mark marks[MARKS_MAX];
	unsigned count = note_given(node, (struct rte_mbuf **)objs, n, &call, marks);
	uint64_t begin = rte_rdtsc();
	uint16_t done = tracers[call.worker].original[node->id](graph, node, objs, n);
	uint32_t cycles = n == 0 ? 0 : (uint32_t)((rte_rdtsc() - begin) / n);

	for (unsigned i = 0; i < count; i++)
		follow_leave(&marks[i], cycles);
	return done;
}

/* --- the main thread --- */

static enum kind kind_of(const char *name)
{
	if (strcmp(name, "port_rx") == 0)
		return KIND_ENTRY;
	if (strcmp(name, "drop") == 0)
		return KIND_DROP;
	return graph_is_source(name) ? KIND_SOURCE : KIND_OTHER;
}

static void wrap(unsigned worker)
{
	struct rte_graph *graph = graph_of(worker);
	struct tracer *tracer = &tracers[worker];
	rte_graph_off_t offset;
	rte_node_t number;
	struct rte_node *node;

	rte_graph_foreach_node(number, offset, graph, node)
	{
		rte_node_process_t by = process_other;

		if (node->id >= NODES_MAX)
			continue;
		tracer->row[node->id] = (uint8_t)graph_row(node->name);
		tracer->kind[node->id] = (uint8_t)kind_of(node->name);
		tracer->original[node->id] = node->process;
		if (tracer->kind[node->id] == KIND_ENTRY || tracer->kind[node->id] == KIND_SOURCE)
			by = process_source;
		/* The worker reads it once per call: the one or the other. */
		__atomic_store_n(&node->process, by, __ATOMIC_RELEASE);
	}
}

static void unwrap(unsigned worker)
{
	struct rte_graph *graph = graph_of(worker);
	rte_graph_off_t offset;
	rte_node_t number;
	struct rte_node *node;

	rte_graph_foreach_node(number, offset, graph, node)
	{
		if (node->id < NODES_MAX)
			__atomic_store_n(&node->process, tracers[worker].original[node->id],
				__ATOMIC_RELEASE);
	}
}

bool trace_is_idle(void)
{
	if (running)
		return false;
	if (grace != GRACE_NONE && grace_over(grace))
		grace = GRACE_NONE;
	return grace == GRACE_NONE;
}

int trace_start(uint32_t peer, uint32_t count)
{
	int rc = trace_is_idle() ? follow_start(peer, count) : -EBUSY;

	if (rc < 0)
		return rc;
	running = true;
	for (unsigned worker = 0; worker < dp_config()->workers; worker++)
		wrap(worker);
	return 0;
}

void trace_stop(void)
{
	if (!running)
		return;
	for (unsigned worker = 0; worker < dp_config()->workers; worker++)
		unwrap(worker);
	follow_stop();
	running = false;
	grace = grace_start();
}

bool trace_take(struct api_trace_entry *entry)
{
	return running && follow_take(entry);
}

void trace_destroy(void)
{
	running = false;
	grace = GRACE_NONE;
	follow_destroy();
}
