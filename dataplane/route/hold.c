/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/route/hold.h"

#include <rte_graph.h>
#include <rte_graph_worker.h>

#include <stdatomic.h>

#include "dataplane/graph/graph.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/worker.h"

enum {
	HOLD_MAX = 128,     /* packets of one worker */
	HOLD_MS = 1000,     /* as long as the kernel asks for a neighbour before it gives up */
	HOLD_STAMP = 5,     /* packet->scratch[]: until when, low 32 bits of the clock; 0 = new */
	HOLD_ROUND_MS = 64, /* how often deadlines are looked at */
};

/* Counts what hold_release() says; read by workers once per loop. */
static _Atomic uint32_t changes;

/* Each worker's own. */
static struct held {
	unsigned count;
	uint32_t seen; /* of `changes`, when these packets last tried */
	uint16_t copy; /* of the tables, likewise */
	bool again;
	unsigned peer_count;
	uint64_t looked_ms;
	uint32_t peers[HOLD_MAX]; /* that have packets here, each once */
	struct rte_mbuf *mbufs[HOLD_MAX];
} __rte_cache_aligned held[DP_WORKERS_MAX];

static uint16_t edges_hold[GRAPH_ROLES];
static uint16_t edges_release[GRAPH_ROLES];

void hold_release(void)
{
	atomic_fetch_add_explicit(&changes, 1, memory_order_release);
	/* A worker that holds packets may be asleep. */
	for (unsigned worker = 0; worker < dp_config()->workers; worker++) {
		if (__atomic_load_n(&held[worker].count, __ATOMIC_RELAXED) != 0)
			handoff_wake(worker);
	}
}

void hold_retry(unsigned worker)
{
	held[worker].again = true;
}

bool hold_has(unsigned worker, uint32_t peer)
{
	const struct held *h = &held[worker];

	/* Nearly always none; then at most HOLD_MAX, side by side. */
	for (unsigned i = 0; i < h->peer_count; i++) {
		if (h->peers[i] == peer)
			return true;
	}
	return false;
}

bool hold_follow(unsigned worker, uint32_t peer)
{
	struct held *h = &held[worker];

	if (hold_has(worker, peer))
		return true;
	if (h->peer_count == HOLD_MAX)
		return false;
	h->peers[h->peer_count++] = peer;
	return true;
}

static void count_set(struct held *h, unsigned count)
{
	__atomic_store_n(&h->count, count, __ATOMIC_RELAXED);
}

static uint16_t process_hold(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	struct worker *worker = worker_self();
	struct held *h = &held[worker->id];

	for (uint16_t i = 0; i < n; i++) {
		struct packet *packet = packet_of(objs[i]);
		uint32_t *until = &packet->scratch[HOLD_STAMP];
		uint32_t now = (uint32_t)worker->now_ms;

		if (*until == 0)
			*until = (now + HOLD_MS) | 1;
		if (h->count == HOLD_MAX || (int32_t)(*until - now) <= 0) {
			rte_node_enqueue_x1(graph, node, edges_hold[GRAPH_DROP], objs[i]);
			continue;
		}
		h->mbufs[h->count] = objs[i];
		count_set(h, h->count + 1);
	}
	return n;
}

/* All that is held goes on: to try again, or to the bin if its time is over. */
static uint16_t release(
	struct rte_graph *graph, struct rte_node *node, struct held *h, bool all, uint32_t now)
{
	unsigned kept = 0, count = h->count, worker = (unsigned)(h - held);

	h->peer_count = 0;
	for (unsigned i = 0; i < count; i++) {
		struct rte_mbuf *mbuf = h->mbufs[i];
		const struct packet *packet = packet_of(mbuf);
		bool late = (int32_t)(packet->scratch[HOLD_STAMP] - now) <= 0;

		if (late || all)
			rte_node_enqueue_x1(
				graph, node, edges_release[late ? GRAPH_DROP : packet->next], mbuf);
		else {
			h->mbufs[kept++] = mbuf;
			if (packet->next == GRAPH_SEAL)
				hold_follow(worker, packet->peer);
		}
	}
	count_set(h, kept);
	return (uint16_t)(count - kept);
}

static uint16_t process_release(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	struct worker *worker = worker_self();
	struct held *h = &held[worker->id];
	uint32_t now_changes;
	uint16_t released;
	bool all;

	if (likely(h->count == 0)) {
		h->peer_count = 0;
		return 0;
	}
	now_changes = atomic_load_explicit(&changes, memory_order_acquire);
	all = h->again || now_changes != h->seen || worker->copy != h->copy;
	if (!all && worker->now_ms - h->looked_ms < HOLD_ROUND_MS)
		return 0;
	h->seen = now_changes;
	h->copy = worker->copy;
	h->again = false;
	h->looked_ms = worker->now_ms;
	released = release(graph, node, h, all, (uint32_t)worker->now_ms);
	worker->work += released;
	return released;
}

static struct rte_node_register node_hold = {
	.name = "hold",
	.process = process_hold,
};

RTE_NODE_REGISTER(node_hold)

static struct rte_node_register node_release = {
	.name = "hold_release",
	.flags = RTE_NODE_SOURCE_F,
	.process = process_release,
};

RTE_NODE_REGISTER(node_release)

int hold_init(void)
{
	graph_take_role(GRAPH_HOLD, "hold");
	graph_lead_source("hold_release");
	graph_edge("hold", GRAPH_DROP, &edges_hold[GRAPH_DROP]);
	graph_edge("hold_release", GRAPH_DROP, &edges_release[GRAPH_DROP]);
	graph_edge("hold_release", GRAPH_FORWARD, &edges_release[GRAPH_FORWARD]);
	graph_edge("hold_release", GRAPH_SEAL, &edges_release[GRAPH_SEAL]);
	return 0;
}
