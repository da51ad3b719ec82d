/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings of events from each worker to the handshake thread, and the bell that wakes it. */
#include <errno.h>
#include <poll.h>
#include <rte_errno.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dataplane/wireguard/inbox.h"
#include "dataplane/wireguard/wireguard_priv.h"

enum { EVENTS_MAX = 1024 };

static struct rte_ring *rings[DP_WORKERS_MAX];
static unsigned ring_count;
static int bell = -1;
static _Atomic bool sleeping; /* written by the handshake thread, read by workers */

int events_init(unsigned workers)
{
	char name[RTE_RING_NAMESIZE];

	bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bell < 0)
		return -errno;
	for (ring_count = 0; ring_count < workers; ring_count++) {
		snprintf(name, sizeof(name), "wg_events_%u", ring_count);
		rings[ring_count] = rte_ring_create_elem(name, sizeof(struct wg_event), EVENTS_MAX,
			SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (rings[ring_count] == NULL)
			return -rte_errno;
	}
	return 0;
}

void events_wake(void)
{
	uint64_t one = 1;

	atomic_thread_fence(memory_order_seq_cst);
	/* A system call only when the thread sleeps: once per idle period, not per packet. */
	if (atomic_load_explicit(&sleeping, memory_order_relaxed) &&
		atomic_exchange_explicit(&sleeping, false, memory_order_relaxed)) {
		if (write(bell, &one, sizeof(one)) < 0) {
			/* EAGAIN: the bell rings already. */
		}
	}
}

bool events_put(const struct wg_event *event)
{
	struct rte_ring *ring = rings[worker_self()->id];

	if (rte_ring_sp_enqueue_elem(ring, (void *)(uintptr_t)event, sizeof(*event)) != 0)
		return false;
	events_wake();
	return true;
}

unsigned events_take(unsigned worker, struct wg_event *events, unsigned max)
{
	return rte_ring_sc_dequeue_burst_elem(rings[worker], events, sizeof(*events), max, NULL);
}

unsigned events_queued_by(unsigned worker)
{
	return rte_ring_count(rings[worker]);
}

static bool nothing_waits(void)
{
	for (unsigned i = 0; i < ring_count; i++) {
		if (!rte_ring_empty(rings[i]) || inbox_queued(i) != 0)
			return false;
	}
	return !command_pending();
}

void events_wait(int timeout_ms)
{
	struct pollfd pollfd = {.fd = bell, .events = POLLIN};
	uint64_t rung;

	atomic_store_explicit(&sleeping, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (nothing_waits())
		poll(&pollfd, 1, timeout_ms);
	atomic_store_explicit(&sleeping, false, memory_order_relaxed);
	if (read(bell, &rung, sizeof(rung)) < 0) {
		/* EAGAIN: woken by the timeout. */
	}
}
