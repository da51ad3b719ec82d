/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hand-off: single-producer/single-consumer rings from every producer to every worker. Workers
 * use node "handoff_tx"; other threads call handoff_send(). A sleeping consumer is woken through
 * its eventfd. A full ring drops with handoff.full.
 */
#pragma once

#include <rte_mbuf.h>

#include "dataplane/graph/graph.h"
#include "dataplane/main/config.h"

/* Producers: workers by id, then these. One thread each. */
enum handoff_producer {
	HANDOFF_HANDSHAKE = DP_WORKERS_MAX,
	HANDOFF_PUNT,
	HANDOFF_MAIN,
	HANDOFF_PRODUCERS,
};

/*
 * Passes n packets to a worker, where they go on at node `next`; takes ownership of all of them
 * (what does not fit is freed and counted). Returns how many were passed. Thread: `producer`'s.
 */
unsigned handoff_send(unsigned producer, unsigned worker, enum graph_role next,
	struct rte_mbuf **mbufs, unsigned n);

/* For dataplane/main: rings and doorbells of all workers. 0 or -errno. */
int handoff_create_all(unsigned workers) __attribute__((warn_unused_result));

/* The doorbell of a worker: an eventfd that it waits on. */
int handoff_bell_fd(unsigned worker);

/* The worker is about to sleep, or no longer: from arm on producers ring its doorbell. It looks at
 * its rings once more between arming and blocking. */
void handoff_arm(unsigned worker);
void handoff_disarm(unsigned worker);

/* Wakes a worker whatever it does. Any thread. */
void handoff_wake(unsigned worker);

/* At the end of a worker's loop: rings the doorbells of those to whom it passed packets. */
void handoff_ring_bells(unsigned worker);

/* ... and of this one, too. Thread: `worker`'s. */
void handoff_ring_later(unsigned worker, unsigned consumer);

/* Packets passed on and taken over by a worker so far. Main thread. */
void handoff_counts(unsigned worker, uint64_t *out, uint64_t *in);
