/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers: the threads that carry packets. Each owns everything it writes per packet; a feature
 * keeps its per-worker state in its own array indexed by worker id.
 *
 * Shared tables are read left-right: a worker reads `copy` once per loop and uses that copy of
 * every table until the loop ends, then reports a quiescent state. Only the main thread writes,
 * always to the other copy.
 */
#pragma once

#include <rte_branch_prediction.h>
#include <rte_per_lcore.h>

#include <stdint.h>

#include "dataplane/main/config.h"

struct aead;

struct worker {
	uint16_t id;     /* 0..dp_config()->workers - 1 */
	uint16_t copy;   /* which copy of the left-right tables this loop reads: 0 or 1 */
	uint32_t lcore;  /* EAL's number */
	uint64_t now_ms; /* monotonic, read once per loop; never 0 */
	struct aead *aead;
	uint64_t token; /* references taken in this loop are of this grace period or later */
	uint64_t held;  /* the token of older ones that are still in use; 0 = none */
	uint64_t work;  /* packets taken in so far by source nodes: a loop without is an idle one */
	uint64_t flows; /* in the worker's table now: the flow feature's, for the counters */
	uint64_t helped; /* bursts done for other workers: the wireguard feature's, likewise */
};

RTE_DECLARE_PER_LCORE(struct worker *, worker);

/* The calling worker; NULL on any other thread. */
static inline struct worker *worker_self(void)
{
	return RTE_PER_LCORE(worker);
}

/* Any worker by id, for set-up on the main thread. */
struct worker *worker_get(unsigned id);

/*
 * Threads that read shared tables: workers first (id = worker id), then these. Each reports a
 * quiescent state per loop and goes offline before it blocks.
 */
enum reader {
	READER_HANDSHAKE = DP_WORKERS_MAX,
	READER_PUNT,
	READER_MAX,
};

void reader_register(unsigned reader);  /* by the thread itself, once */
void reader_quiescent(unsigned reader); /* holds no pointer into a shared table */
/* Holds none but those taken since reader_token() gave this. */
uint64_t reader_token(void);
void reader_quiescent_since(unsigned reader, uint64_t token);
void reader_offline(unsigned reader); /* before blocking */
void reader_online(unsigned reader);  /* after blocking, before touching a shared table */

/* The copy that readers other than workers use until their next quiescent state. */
unsigned tables_active(void);

/* Start a grace period; poll until every reader has been quiescent or offline. The main thread, and
 * EAL's interrupt thread (port/memif_guard.c): none that is a reader. */
uint64_t grace_start(void);
int grace_over(uint64_t token);

/* Monotonic milliseconds, never 0; any thread. */
uint64_t clock_ms(void);

/* The Unix time, in nanoseconds, at a TSC value of the recent past; any thread. */
uint64_t clock_unix_ns(uint64_t tsc);

/* For dataplane/main. */

enum { GRACE_NONE = 0 }; /* a token that is over */

/* Memory of readers, workers and their AEAD, after aead_select(). 0 or -errno. */
int worker_create_all(void) __attribute__((warn_unused_result));
void worker_destroy_all(void);

/* Workers read this copy from their next loop on. */
void tables_flip(unsigned active);

/* Starts worker `id` on its lcore; it runs until worker_stop_all(), which waits for all. */
int worker_launch(unsigned id) __attribute__((warn_unused_result));
void worker_stop_all(void);

/* Fills rows of struct api_count_worker; returns how many. */
uint32_t worker_fill(void *rows, uint32_t max);
