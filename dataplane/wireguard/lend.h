/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lending: a worker that has more to seal and open than it can do gives the cipher's part of it to
 * workers that have nothing to do, and keeps everything else: flows, counters, replay windows,
 * numbering and sending. So one fat tunnel is served by several cores.
 *
 * A job is a burst of packets. The owner fills jobs in order, deals them out, and retires them in
 * the same order; whoever comes first, helper or owner, works on a job (one compare-and-swap). So
 * the order of packets, within a flow and of nonces, is that of a single worker, however late a
 * helper is. While a job is under way nothing of its owner overtakes it: all further bursts become
 * jobs, too.
 *
 * What a job refers to (keypairs, paths, peers) stays: its owner reports no quiescent state later
 * than the one at which the oldest job was begun (worker->held).
 *
 * Threads: everything but lend_init() is a worker's own, with its own id.
 */
#pragma once

#include <rte_mbuf.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/aead/aead.h"
#include "dataplane/main/worker.h"

enum {
	LEND_JOBS = 64,        /* under way, of one owner; a power of two */
	LEND_BURST = 32,       /* packets of one job at most */
	LEND_ROOM = 28 * 1024, /* bytes of a job for the node's own use */
	LEND_HOT = 64,         /* full bursts after which lending begins */
	LEND_FULL_BURST = 16,  /* packets of a burst from which on it counts as full */
	LEND_COOLING = 4,      /* ... and how many of these a smaller one outweighs */
	LEND_DEALT_MAX = 2,    /* jobs that wait at one helper */
	LEND_AHEAD = 4, /* jobs under way for each helper before the owner does one out of turn */
	LEND_HELPED_MAX = 4,  /* jobs that a helper does before it looks after itself */
	LEND_QUIET_LOOPS = 2, /* empty loops that make a helper */
};

/* Edges of the node that passes a job's packets on. */
struct lend_edges {
	uint16_t drop, onward;
};

struct lend_job {
	_Atomic uint32_t state;
	bool seal; /* else open */
	uint16_t count;
	uint64_t token; /* of the loop in which it was begun */
	struct aead_packet *aead;
	/* Called on the owner: says for each packet which edge it takes, or GRAPH_GONE. */
	void (*finish)(struct lend_job *job, struct worker *worker, const struct lend_edges *edges,
		uint16_t *next);
	struct rte_mbuf *mbufs[LEND_BURST];
	uint8_t room[LEND_ROOM] __rte_cache_aligned;
};

/* Memory and rings, unless nobody can be lent anything. 0 or -errno. Main thread. */
int lend_init(unsigned workers) __attribute__((warn_unused_result));
void lend_destroy(void);

/* True: what comes to a node now, n packets, must become jobs. */
bool lend_wanted(unsigned worker, unsigned n);

/* The next job, to be filled in and ended, or left alone; NULL: there is no room, because a helper
 * has been at the oldest one for long. */
struct lend_job *lend_begin(unsigned worker);
void lend_end(struct worker *worker, struct lend_job *job);

/* The owner's oldest job if it is done, by itself if need be; NULL: none is, for now. After it has
 * been passed on: lend_release(). */
struct lend_job *lend_retire(struct worker *worker);
void lend_release(struct worker *worker);

/* Once per loop of each worker: works for others. */
void lend_help(struct worker *worker);

void lend_node_init(void);
