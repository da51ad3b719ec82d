/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The workers' threads. One loop: read which copy of the tables is in force and the time, walk the
 * graph once, send what was gathered, ring the doorbells of those who got packets, report a
 * quiescent state, and idle if nothing came.
 */
#include "dataplane/main/worker.h"

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_graph.h>
#include <rte_graph_worker.h>
#include <rte_launch.h>

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "common/api/counters.h"
#include "dataplane/aead/aead.h"
#include "dataplane/graph/graph.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/main/feature.h"
#include "dataplane/main/idle.h"
#include "dataplane/main/reader.h"
#include "dataplane/main/watchdog.h"
#include "dataplane/port/port_tx.h"

RTE_DEFINE_PER_LCORE(struct worker *, worker);

/* What only this file knows of a worker; written by the worker, read by the main thread. */
struct run {
	uint64_t busy_cycles;
	uint64_t total_cycles;
	uint64_t tick_ms;
	int32_t cpu;
	bool launched; /* the main thread's */
} __rte_cache_aligned;

static struct worker workers[DP_WORKERS_MAX] __rte_cache_aligned;
static struct run runs[DP_WORKERS_MAX];
static bool stopping;

struct worker *worker_get(unsigned id)
{
	return &workers[id];
}

int worker_create_all(void)
{
	unsigned lcore = rte_get_next_lcore(-1, 1, 0);

	for (unsigned id = 0; id < dp_config()->workers; id++) {
		int rc;

		if (lcore >= RTE_MAX_LCORE)
			return -ENODEV;
		workers[id] = (struct worker){.id = (uint16_t)id, .lcore = lcore};
		workers[id].now_ms = clock_ms();
		workers[id].aead = aead_create(&rc);
		if (workers[id].aead == NULL)
			return rc;
		rc = idle_create(id);
		if (rc != 0)
			return rc;
		lcore = rte_get_next_lcore(lcore, 1, 0);
	}
	return 0;
}

void worker_destroy_all(void)
{
	for (unsigned id = 0; id < dp_config()->workers; id++) {
		if (workers[id].aead == NULL)
			continue;
		aead_destroy(&workers[id].aead);
		idle_destroy(id);
	}
}

/* Ageing and figures: at most once a millisecond, and after every sleep. */
static void tick(struct worker *w, struct run *run)
{
	run->tick_ms = w->now_ms;
	__atomic_store_n(&run->cpu, sched_getcpu(), __ATOMIC_RELAXED);
	feature_tick_all(w);
}

static void account(struct run *run, uint64_t cycles, bool found)
{
	__atomic_store_n(&run->total_cycles, run->total_cycles + cycles, __ATOMIC_RELAXED);
	if (found)
		__atomic_store_n(&run->busy_cycles, run->busy_cycles + cycles, __ATOMIC_RELAXED);
}

static void run_loops(struct worker *w, struct run *run)
{
	struct rte_graph *graph = graph_of(w->id);
	bool adaptive = dp_config()->idle == DP_IDLE_ADAPTIVE;
	uint64_t start = rte_rdtsc();

	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
		uint64_t work = w->work, end;
		bool found;

		w->token = reader_token();
		w->copy = (uint16_t)tables_active();
		w->now_ms = clock_ms();
		rte_graph_walk(graph);
		port_tx_drain(w->id);
		handoff_ring_bells(w->id);
		if (unlikely(w->now_ms != run->tick_ms))
			tick(w, run);
		if (likely(w->held == 0))
			reader_quiescent(w->id);
		else
			reader_quiescent_since(w->id, w->held);
		found = w->work != work;
		if (adaptive)
			idle_loop(w->id, found);
		end = rte_rdtsc();
		account(run, end - start, found);
		start = end;
	}
}

static int run_worker(void *arg)
{
	struct worker *w = arg;

	RTE_PER_LCORE(worker) = w;
	reader_register(w->id);
	run_loops(w, &runs[w->id]);
	reader_unregister(w->id);
	RTE_PER_LCORE(worker) = NULL;
	return 0;
}

int worker_launch(unsigned id)
{
	int rc;

	__atomic_store_n(&stopping, false, __ATOMIC_RELAXED);
	watchdog_watch(&runs[id].total_cycles, "worker %u", id);
	rc = rte_eal_remote_launch(run_worker, &workers[id], workers[id].lcore);
	runs[id].launched = rc == 0;
	return rc;
}

void worker_stop_all(void)
{
	__atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
	for (unsigned id = 0; id < dp_config()->workers; id++) {
		if (!runs[id].launched)
			continue;
		handoff_wake(id);
		rte_eal_wait_lcore(workers[id].lcore);
		runs[id].launched = false;
	}
}

uint32_t worker_fill(void *rows, uint32_t max)
{
	struct api_count_worker *row = rows;
	uint32_t n = RTE_MIN(dp_config()->workers, max);

	for (uint32_t id = 0; id < n; id++) {
		struct run *run = &runs[id];

		row[id].busy_cycles = __atomic_load_n(&run->busy_cycles, __ATOMIC_RELAXED);
		row[id].total_cycles = __atomic_load_n(&run->total_cycles, __ATOMIC_RELAXED);
		row[id].sleeps = idle_sleeps(id);
		handoff_counts(id, &row[id].handoff_out, &row[id].handoff_in);
		row[id].flows = __atomic_load_n(&workers[id].flows, __ATOMIC_RELAXED);
		row[id].helped = __atomic_load_n(&workers[id].helped, __ATOMIC_RELAXED);
		row[id].cpu = __atomic_load_n(&run->cpu, __ATOMIC_RELAXED);
	}
	return n;
}
