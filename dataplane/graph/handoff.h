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
