/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/wireguard/inbox.h"

#include <errno.h>
#include <rte_common.h>
#include <rte_malloc.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <sodium.h>
#include <stdatomic.h>

#include "dataplane/main/worker.h"
#include "dataplane/wireguard/fair.h"

static const unsigned ring_sizes[INBOX_RANKS] = {[INBOX_KNOWN] = 1024, [INBOX_PLAIN] = 2048};

struct queue {
	struct rte_ring *ring;
	unsigned crowded; /* messages in it, from which on it takes one of each source */
	/* The thread's: of the messages there at its last visit so many are still there. */
	unsigned left;
	_Atomic uint32_t visit; /* the worker reads it */
	/* The worker's. */
	struct fair fair __rte_cache_aligned;
} __rte_cache_aligned;

static struct queue *queues[DP_WORKERS_MAX]; /* of each, INBOX_RANKS */

static int create(struct queue *queue, unsigned count)
{
	ssize_t size = rte_ring_get_memsize_elem(sizeof(struct inbox_message), count);

	queue->ring = rte_zmalloc("wg_inbox", (size_t)size, RTE_CACHE_LINE_SIZE);
	if (queue->ring == NULL)
		return -ENOMEM;
	queue->crowded = count / 4;
	atomic_init(&queue->visit, 1);
	randombytes_buf(&queue->fair.secret, sizeof(queue->fair.secret));
	return rte_ring_init(queue->ring, "wg_inbox", count, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

int inbox_init(unsigned workers)
{
	for (unsigned i = 0; i < workers; i++) {
		queues[i] = rte_zmalloc(
			"wg_inbox", INBOX_RANKS * sizeof(queues[i][0]), RTE_CACHE_LINE_SIZE);
		if (queues[i] == NULL)
			return -ENOMEM;
		for (unsigned rank = 0; rank < INBOX_RANKS; rank++) {
			int rc = create(&queues[i][rank], ring_sizes[rank]);

			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

bool inbox_put(unsigned worker, enum inbox_rank rank, const struct inbox_message *message)
{
	struct queue *queue = &queues[worker][rank];
	uint32_t visit = atomic_load_explicit(&queue->visit, memory_order_relaxed);

	if (rte_ring_count(queue->ring) >= queue->crowded &&
		!fair_admit(&queue->fair, &message->source.remote.addr, visit))
		return false;
	return rte_ring_sp_enqueue_elem(
		       queue->ring, (void *)(uintptr_t)message, sizeof(*message)) == 0;
}

/* Whatever was there at the last visit goes first; then the next one begins. */
static unsigned take(struct queue *queue, struct inbox_message *messages, unsigned max)
{
	unsigned n;

	if (queue->left == 0) {
		queue->left = rte_ring_count(queue->ring);
		atomic_fetch_add_explicit(&queue->visit, 1, memory_order_relaxed);
	}
	n = rte_ring_sc_dequeue_burst_elem(
		queue->ring, messages, sizeof(*messages), RTE_MIN(max, queue->left), NULL);
	queue->left -= n;
	return n;
}

unsigned inbox_take(unsigned worker, struct inbox_message *messages, unsigned max)
{
	struct queue *queue = queues[worker];
	unsigned n = take(&queue[INBOX_KNOWN], messages, max - max / 4);

	return n + take(&queue[INBOX_PLAIN], messages + n, max - n);
}

unsigned inbox_queued(unsigned worker)
{
	unsigned queued = 0;

	for (unsigned rank = 0; rank < INBOX_RANKS; rank++)
		queued += rte_ring_count(queues[worker][rank].ring);
	return queued;
}
