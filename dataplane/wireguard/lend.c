/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/wireguard/lend.h"

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_ring.h>

#include <errno.h>
#include <stdio.h>

#include "dataplane/graph/handoff.h"

enum lend_state {
	LEND_OPEN,  /* being filled, or free */
	LEND_READY, /* to be worked on by whoever comes first */
	LEND_TAKEN, /* somebody is at it */
	LEND_DONE,
};

/* Of one owner. Only the owner writes; helpers read their ring. */
struct queue {
	struct lend_job *jobs;
	struct rte_ring *rings[DP_WORKERS_MAX]; /* to each helper; a job may be in one although the
						   owner has done it since, and even reused it */
	uint32_t head, tail;                    /* jobs head..tail - 1 are under way */
	uint32_t heat;
	uint32_t next_helper;
} __rte_cache_aligned;

/* Of one helper. */
struct helper {
	_Atomic bool spare; /* it has nothing of its own to do; read by owners */
	uint32_t quiet;     /* loops without anything of its own */
	uint64_t helped;    /* of worker->work */
	uint64_t own;       /* the rest of it, at the last loop */
} __rte_cache_aligned;

static struct queue queues[DP_WORKERS_MAX];
static struct helper helpers[DP_WORKERS_MAX];
static unsigned count; /* of workers; 0 = nothing is lent */

static int create_queue(struct queue *queue, unsigned owner, unsigned workers)
{
	char name[RTE_RING_NAMESIZE];

	queue->jobs =
		rte_zmalloc("wg_lend", LEND_JOBS * sizeof(queue->jobs[0]), RTE_CACHE_LINE_SIZE);
	if (queue->jobs == NULL)
		return -ENOMEM;
	for (unsigned helper = 0; helper < workers; helper++) {
		if (helper == owner)
			continue;
		snprintf(name, sizeof(name), "lend-%u-%u", owner, helper);
		queue->rings[helper] = rte_ring_create(
			name, LEND_JOBS, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (queue->rings[helper] == NULL)
			return -rte_errno;
	}
	return 0;
}

int lend_init(unsigned workers)
{
	enum dp_lend mode = dp_config()->lend;
	int rc = 0;

	/* Where cores are shared a helper may be off its core while it holds a job. */
	if (workers < 2 || mode == DP_LEND_OFF ||
		(mode == DP_LEND_AUTO && dp_config()->cores_shared))
		return 0;
	for (unsigned owner = 0; rc == 0 && owner < workers; owner++)
		rc = create_queue(&queues[owner], owner, workers);
	if (rc < 0) {
		lend_destroy();
		return rc;
	}
	count = workers;
	return 0;
}

void lend_destroy(void)
{
	count = 0;
	for (unsigned owner = 0; owner < DP_WORKERS_MAX; owner++) {
		rte_free(queues[owner].jobs);
		for (unsigned helper = 0; helper < DP_WORKERS_MAX; helper++)
			rte_ring_free(queues[owner].rings[helper]);
		queues[owner] = (struct queue){0};
		helpers[owner] = (struct helper){0};
	}
}

static struct lend_job *job_at(const struct queue *queue, uint32_t place)
{
	return &queue->jobs[place & (LEND_JOBS - 1)];
}

static uint32_t under_way(const struct queue *queue)
{
	return queue->tail - queue->head;
}

static bool is_spare(unsigned helper)
{
	return atomic_load_explicit(&helpers[helper].spare, memory_order_relaxed);
}

static bool somebody_is_spare(unsigned worker)
{
	for (unsigned helper = 0; helper < count; helper++) {
		if (helper != worker && is_spare(helper))
			return true;
	}
	return false;
}

/* Full bursts, one after the other, are what a worker gets that cannot keep up. */
static void note_heat(struct queue *queue, unsigned n)
{
	if (n >= LEND_FULL_BURST)
		queue->heat = RTE_MIN(queue->heat + 1, 2U * LEND_HOT);
	else
		queue->heat -= RTE_MIN(queue->heat, (uint32_t)LEND_COOLING);
}

bool lend_wanted(unsigned worker, unsigned n)
{
	struct queue *queue = &queues[worker];

	if (count == 0)
		return false;
	note_heat(queue, n);
	if (under_way(queue) != 0 || dp_config()->lend == DP_LEND_ALWAYS)
		return true;
	return queue->heat >= LEND_HOT && somebody_is_spare(worker);
}

struct lend_job *lend_begin(unsigned worker)
{
	struct queue *queue = &queues[worker];

	return under_way(queue) < LEND_JOBS ? job_at(queue, queue->tail) : NULL;
}

/* To the next helper that has nothing to do; with none the owner does it itself, in its turn. */
static void deal(struct queue *queue, unsigned owner, struct lend_job *job)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned helper = queue->next_helper;

		queue->next_helper = helper + 1 < count ? helper + 1 : 0;
		if (helper == owner || !is_spare(helper) ||
			rte_ring_count(queue->rings[helper]) >= LEND_DEALT_MAX)
			continue;
		if (rte_ring_sp_enqueue(queue->rings[helper], job) == 0)
			handoff_ring_later(owner, helper);
		return;
	}
}

void lend_end(struct worker *worker, struct lend_job *job)
{
	struct queue *queue = &queues[worker->id];

	job->token = worker->token;
	if (worker->held == 0)
		worker->held = job->token;
	queue->tail++;
	atomic_store_explicit(&job->state, LEND_READY, memory_order_release);
	deal(queue, worker->id, job);
}

/* False: somebody else was first. A helper may be handed a job that has been done and filled anew
 * since: it is as good as any other. */
static bool work(struct lend_job *job, struct aead *aead)
{
	uint32_t ready = LEND_READY;

	if (!atomic_compare_exchange_strong_explicit(
		    &job->state, &ready, LEND_TAKEN, memory_order_acquire, memory_order_relaxed))
		return false;
	if (job->seal)
		aead_seal(aead, job->aead, job->count);
	else
		aead_open(aead, job->aead, job->count);
	atomic_store_explicit(&job->state, LEND_DONE, memory_order_release);
	return true;
}

/* Helpers come from the other end. */
static bool work_on_newest(struct queue *queue, struct aead *aead)
{
	for (uint32_t place = queue->tail; place != queue->head; place--) {
		if (work(job_at(queue, place - 1), aead))
			return true;
	}
	return false;
}

struct lend_job *lend_retire(struct worker *worker)
{
	struct queue *queue = &queues[worker->id];
	uint32_t ahead = RTE_MIN(LEND_JOBS / 2U, LEND_AHEAD * (count - 1));
	struct lend_job *job;

	if (count == 0)
		return NULL;
	job = job_at(queue, queue->head);
	while (under_way(queue) != 0) {
		if (atomic_load_explicit(&job->state, memory_order_acquire) == LEND_DONE)
			return job;
		if (work(job, worker->aead))
			return job;
		/* A helper is at it. Once all of them have enough to do, do a job oneself before
		 * taking in more packets. */
		if (under_way(queue) <= ahead || !work_on_newest(queue, worker->aead))
			break;
	}
	return NULL;
}

void lend_release(struct worker *worker)
{
	struct queue *queue = &queues[worker->id];

	atomic_store_explicit(&job_at(queue, queue->head)->state, LEND_OPEN, memory_order_relaxed);
	queue->head++;
	worker->held = under_way(queue) != 0 ? job_at(queue, queue->head)->token : 0;
}

static void note_loop(struct helper *helper, const struct worker *worker)
{
	uint64_t own = worker->work - helper->helped;

	helper->quiet = own == helper->own ? helper->quiet + 1 : 0;
	helper->own = own;
	atomic_store_explicit(
		&helper->spare, helper->quiet >= LEND_QUIET_LOOPS, memory_order_relaxed);
}

void lend_help(struct worker *worker)
{
	struct helper *helper = &helpers[worker->id];
	unsigned done = 0;
	void *job;

	if (count == 0)
		return;
	if (under_way(&queues[worker->id]) != 0)
		worker->work++; /* its own jobs: neither idle nor free for others */
	note_loop(helper, worker);
	for (unsigned owner = 0; owner < count; owner++) {
		struct rte_ring *ring = queues[owner].rings[worker->id];

		while (ring != NULL && done < LEND_HELPED_MAX &&
			rte_ring_sc_dequeue(ring, &job) == 0) {
			done += work(job, worker->aead);
			worker->work++;
			helper->helped++;
		}
	}
	if (done != 0)
		__atomic_store_n(&worker->helped, worker->helped + done, __ATOMIC_RELAXED);
}
