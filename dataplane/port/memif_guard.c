/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeps the memory of a memif's rings until no worker is at them.
 *
 * When a peer leaves, DPDK's driver (of 22.11 and 23.11) runs in EAL's interrupt thread: it marks
 * the device as not connected, from when on its receive and send functions return at once; then it
 * takes its callback off the control channel; then it unmaps the rings, where a worker may still
 * be in the midst of a burst. There is no event in between that one could ask for. The second step
 * is a call to EAL, though, and a program's own function of that name goes before the library's:
 * so here a grace period passes, and no worker is left in a burst that began before the mark.
 */
#include <rte_interrupts.h>

#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

#include "common/base/log.h"
#include "dataplane/main/worker.h"

LOG_TYPE(memif_guard);

enum {
	PAUSE_US = 50,
	PAUSES_MAX = 40000, /* two seconds: the watchdog speaks of a worker that takes longer */
};

static void await_workers(void)
{
	uint64_t token = grace_start();
	unsigned pauses = 0;

	while (!grace_over(token) && pauses < PAUSES_MAX) {
		usleep(PAUSE_US);
		pauses++;
	}
	if (pauses == PAUSES_MAX)
		log_error(memif_guard,
			"a thread has not moved for two seconds while a peer's rings go");
}

/* Any thread. Workers never unregister a callback, so none waits for itself. */
int rte_intr_callback_unregister(
	const struct rte_intr_handle *handle, rte_intr_callback_fn callback, void *arg)
{
	static int (*library)(
		const struct rte_intr_handle *handle, rte_intr_callback_fn callback, void *arg);

	if (__atomic_load_n(&library, __ATOMIC_ACQUIRE) == NULL)
		__atomic_store_n(&library, dlsym(RTLD_NEXT, "rte_intr_callback_unregister"),
			__ATOMIC_RELEASE);
	if (library == NULL)
		return -ENOSYS;
	if (rte_thread_is_intr())
		await_workers();
	return library(handle, callback, arg);
}
