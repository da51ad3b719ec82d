/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hand-off between threads: one single-producer/single-consumer ring per pair, so that neither
 * end ever waits for the other.
 *
 * Sleeping: the consumer sets its flag, fences, looks at its rings once more, and blocks; the
 * producer enqueues, fences, and rings the doorbell if the flag is set. Whatever the order, either
 * the consumer sees the packet or the producer sees the flag. A worker rings at the end of its
 * loop, once per consumer.
 */
#include "dataplane/graph/handoff.h"

#include <rte_errno.h>
#include <rte_graph.h>
#include <rte_graph_worker.h>
#include <rte_ring.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dataplane/graph/drop.h"
#include "dataplane/graph/enqueue.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/worker.h"

#define HANDOFF_DROPS(X)                                                                           \
	X(FULL, "full", "the ring to another worker is full: that worker is overloaded")           \
	X(BAD_WORKER, "bad_worker", "a node named no worker: a defect of the program")
DROP_GROUP_DECLARE(handoff, HANDOFF_DROPS);
DROP_GROUP_DEFINE(handoff, HANDOFF_DROPS);

enum {
	RING_SIZE = 1024, /* packets in flight between two threads */
	BURST = 64,
};

/* Of one consumer. */
struct mailbox {
	struct rte_ring *rings[HANDOFF_PRODUCERS];
	int bell;
	uint32_t sleeping; /* written by the consumer, read by producers */
	uint64_t taken;    /* written by the consumer */
} __rte_cache_aligned;

/* Of one producing worker. */
struct outbox {
	uint32_t ring;   /* bit w: packets were passed to w in this loop */
	uint64_t passed; /* so far */
} __rte_cache_aligned;

static struct mailbox mailboxes[DP_WORKERS_MAX];
static struct outbox outboxes[DP_WORKERS_MAX];
static unsigned mailbox_count;
static uint16_t edges[GRAPH_ROLES];
static uint16_t edge_drop;

static int create_mailbox(unsigned worker, unsigned workers)
{
	struct mailbox *box = &mailboxes[worker];
	char name[RTE_RING_NAMESIZE];

	box->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (box->bell < 0)
		return -errno;
	for (unsigned producer = 0; producer < HANDOFF_PRODUCERS; producer++) {
		if (producer >= workers && producer < DP_WORKERS_MAX)
			continue;
		snprintf(name, sizeof(name), "handoff-%u-%u", producer, worker);
		box->rings[producer] = rte_ring_create(
			name, RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (box->rings[producer] == NULL)
			return -rte_errno;
	}
	return 0;
}

int handoff_create_all(unsigned workers)
{
	int rc = drop_register(&drop_group_handoff);

	for (unsigned worker = 0; rc == 0 && worker < workers; worker++)
		rc = create_mailbox(worker, workers);
	if (rc != 0)
		return rc;
	mailbox_count = workers;
	graph_take_role(GRAPH_HANDOFF, "handoff_tx");
	graph_add_source("handoff_rx");
	graph_edge("handoff_tx", GRAPH_DROP, &edge_drop);
	for (unsigned role = 0; role < GRAPH_ROLES; role++)
		graph_edge("handoff_rx", role, &edges[role]);
	return 0;
}

int handoff_bell_fd(unsigned worker)
{
	return mailboxes[worker].bell;
}

void handoff_wake(unsigned worker)
{
	if (eventfd_write(mailboxes[worker].bell, 1) != 0) {
		/* Full: it has been rung often enough. */
	}
}

void handoff_arm(unsigned worker)
{
	__atomic_store_n(&mailboxes[worker].sleeping, 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void handoff_disarm(unsigned worker)
{
	__atomic_store_n(&mailboxes[worker].sleeping, 0, __ATOMIC_RELAXED);
}

static void ring_bell(unsigned worker)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&mailboxes[worker].sleeping, __ATOMIC_RELAXED) != 0)
		handoff_wake(worker);
}

void handoff_ring_bells(unsigned worker)
{
	uint32_t ring = outboxes[worker].ring;

	outboxes[worker].ring = 0;
	for (; ring != 0; ring &= ring - 1)
		ring_bell((unsigned)__builtin_ctz(ring));
}

void handoff_ring_later(unsigned worker, unsigned consumer)
{
	outboxes[worker].ring |= 1U << consumer;
}

void handoff_counts(unsigned worker, uint64_t *out, uint64_t *in)
{
	*out = __atomic_load_n(&outboxes[worker].passed, __ATOMIC_RELAXED);
	*in = __atomic_load_n(&mailboxes[worker].taken, __ATOMIC_RELAXED);
}

static unsigned pass(unsigned producer, unsigned worker, struct rte_mbuf **mbufs, unsigned n)
{
	struct rte_ring *ring = mailboxes[worker].rings[producer];
	unsigned passed = rte_ring_sp_enqueue_burst(ring, (void **)mbufs, n, NULL);

	drop_free(producer, DROP(handoff, FULL), &mbufs[passed], n - passed);
	return passed;
}

unsigned handoff_send(unsigned producer, unsigned worker, enum graph_role next,
	struct rte_mbuf **mbufs, unsigned n)
{
	unsigned passed;

	assert(worker < mailbox_count && producer < HANDOFF_PRODUCERS);
	for (unsigned i = 0; i < n; i++)
		packet_of(mbufs[i])->next = (uint8_t)next;
	passed = pass(producer, worker, mbufs, n);
	if (passed != 0)
		ring_bell(worker);
	return passed;
}

static uint16_t handoff_tx_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	struct rte_mbuf **mbufs = (struct rte_mbuf **)objs;
	unsigned self = worker_self()->id;
	struct outbox *outbox = &outboxes[self];

	for (uint16_t i = 0; i < n;) {
		uint8_t to = packet_of(mbufs[i])->to;
		uint16_t first = i;

		while (i < n && packet_of(mbufs[i])->to == to)
			i++;
		if (to >= mailbox_count) {
			for (uint16_t k = first; k < i; k++)
				packet_of(mbufs[k])->drop = DROP(handoff, BAD_WORKER);
			rte_node_enqueue(
				graph, node, edge_drop, &objs[first], (uint16_t)(i - first));
			continue;
		}
		outbox->passed += pass(self, to, &mbufs[first], i - first);
		outbox->ring |= 1U << to;
	}
	return n;
}

static uint16_t handoff_rx_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t unused)
{
	struct worker *self = worker_self();
	struct mailbox *box = &mailboxes[self->id];
	uint16_t total = 0;

	for (unsigned producer = 0; producer < HANDOFF_PRODUCERS; producer++) {
		uint16_t next[BURST];
		void *burst[BURST];
		unsigned n;

		if (box->rings[producer] == NULL)
			continue;
		n = rte_ring_sc_dequeue_burst(box->rings[producer], burst, BURST, NULL);
		for (unsigned i = 0; i < n; i++)
			next[i] = edges[packet_of(burst[i])->next];
		graph_enqueue(graph, node, burst, next, (uint16_t)n);
		total += (uint16_t)n;
	}
	box->taken += total;
	self->work += total;
	return total;
}

static struct rte_node_register handoff_tx_node = {
	.name = "handoff_tx",
	.process = handoff_tx_process,
};
RTE_NODE_REGISTER(handoff_tx_node);

static struct rte_node_register handoff_rx_node = {
	.name = "handoff_rx",
	.flags = RTE_NODE_SOURCE_F,
	.process = handoff_rx_process,
};
RTE_NODE_REGISTER(handoff_rx_node);
