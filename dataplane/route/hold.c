/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/route/hold.h"

#include <rte_graph.h>
#include <rte_graph_worker.h>

#include <stdatomic.h>
#include <string.h>

#include "dataplane/graph/graph.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/worker.h"

enum {
	HOLD_MAX = 256,     /* packets of one worker: they go on as one burst */
	HOLD_PEERS = 128,   /* whose packets they are, where wg_seal sent them */
	HOLD_MS = 1000,     /* as long as the kernel asks for a neighbour before it gives up */
	HOLD_ROUND_MS = 64, /* how often deadlines are looked at */
	/* Of packet->waits: in units of 8 ms, of which HOLD_MS has 125. What a worker that was off
	 * its core finds a second after the deadline may seem to have another second. */
	STAMP_SHIFT = 3,
};

_Static_assert((int)HOLD_MAX <= (int)RTE_GRAPH_BURST_SIZE, "a node has room for them");
_Static_assert(HOLD_MS >> STAMP_SHIFT <= INT8_MAX, "a deadline is told from one that has passed");

/* Counts what hold_release() says; read by workers once per loop. */
static _Atomic uint32_t changes;

/* Each worker's own, but that `count` is read by others. */
static struct held {
	unsigned count;
	uint32_t seen; /* of `changes`, when these packets last tried */
	uint16_t copy; /* of the tables, likewise */
	bool again;
	unsigned peer_count;
	uint64_t looked_ms;
	uint32_t peers[HOLD_PEERS]; /* each once */
	bool first[HOLD_PEERS];     /* that peer has packets with PACKET_FIRST */
	struct rte_mbuf *mbufs[HOLD_MAX];
} __rte_cache_aligned held[DP_WORKERS_MAX];

static uint16_t edges_hold[GRAPH_ROLES];
static uint16_t edges_release[GRAPH_ROLES];

void hold_release(void)
{
	atomic_fetch_add_explicit(&changes, 1, memory_order_release);
	/* A worker either sees the change in its last loop before it sleeps, or its packets are
	 * seen here. */
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned worker = 0; worker < dp_config()->workers; worker++) {
		if (__atomic_load_n(&held[worker].count, __ATOMIC_RELAXED) != 0)
			handoff_wake(worker);
	}
}

void hold_retry(unsigned worker)
{
	held[worker].again = true;
}

/* Nearly always there are none; then at most HOLD_PEERS, side by side. */
static unsigned find(const struct held *h, uint32_t peer)
{
	unsigned i = 0;

	while (i < h->peer_count && h->peers[i] != peer)
		i++;
	return i;
}

enum hold_of hold_of(unsigned worker, uint32_t peer)
{
	const struct held *h = &held[worker];
	unsigned i = find(h, peer);

	if (likely(i == h->peer_count))
		return HOLD_NONE;
	return h->first[i] ? HOLD_FIRST : HOLD_SOME;
}

bool hold_follow(unsigned worker, uint32_t peer, bool first)
{
	struct held *h = &held[worker];
	unsigned i = find(h, peer);

	if (i == HOLD_PEERS)
		return false;
	if (i == h->peer_count) {
		h->peers[i] = peer;
		h->first[i] = false;
		h->peer_count++;
	}
	h->first[i] |= first;
	return true;
}

static void count_set(struct held *h, unsigned count)
{
	__atomic_store_n(&h->count, count, __ATOMIC_RELAXED);
}

static uint8_t stamp(uint64_t ms)
{
	return (uint8_t)(ms >> STAMP_SHIFT);
}

static bool is_late(const struct packet *packet, uint64_t now_ms)
{
	return (int8_t)(packet->waits - stamp(now_ms)) <= 0;
}

/* Behind all others; what goes first, before the first of its peer that does not. */
static unsigned place_of(const struct held *h, const struct packet *packet)
{
	unsigned place = 0;

	if ((packet->flags & PACKET_FIRST) == 0)
		return h->count;
	for (; place < h->count; place++) {
		const struct packet *other = packet_of(h->mbufs[place]);

		if (other->next == GRAPH_SEAL && other->peer == packet->peer &&
			(other->flags & PACKET_FIRST) == 0)
			break;
	}
	return place;
}

static void put(struct held *h, struct rte_mbuf *mbuf)
{
	unsigned place = place_of(h, packet_of(mbuf));

	memmove(&h->mbufs[place + 1], &h->mbufs[place], (h->count - place) * sizeof(h->mbufs[0]));
	h->mbufs[place] = mbuf;
	count_set(h, h->count + 1);
}

static uint16_t process_hold(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	struct worker *worker = worker_self();
	struct held *h = &held[worker->id];

	for (uint16_t i = 0; i < n; i++) {
		struct packet *packet = packet_of(objs[i]);

		if (packet->waits == 0)
			packet->waits = stamp(worker->now_ms + HOLD_MS) | 1;
		if (h->count == HOLD_MAX || is_late(packet, worker->now_ms))
			rte_node_enqueue_x1(graph, node, edges_hold[GRAPH_DROP], objs[i]);
		else
			put(h, objs[i]);
	}
	return n;
}

/* What waits for wg_seal goes on in each round, whether or not somebody said that it should: then
 * none waits for ever behind what is no longer there. Flows' packets do when something changed. All
 * whose time is over go to the bin. */
static uint16_t release(
	struct rte_graph *graph, struct rte_node *node, struct held *h, bool all, uint64_t now_ms)
{
	unsigned kept = 0, count = h->count;

	h->peer_count = 0;
	for (unsigned i = 0; i < count; i++) {
		struct rte_mbuf *mbuf = h->mbufs[i];
		const struct packet *packet = packet_of(mbuf);
		bool late = is_late(packet, now_ms);

		if (late || all || packet->next == GRAPH_SEAL)
			rte_node_enqueue_x1(
				graph, node, edges_release[late ? GRAPH_DROP : packet->next], mbuf);
		else
			h->mbufs[kept++] = mbuf;
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
		if (unlikely(h->peer_count != 0))
			h->peer_count = 0; /* there was no room for their packets */
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
	released = release(graph, node, h, all, worker->now_ms);
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
