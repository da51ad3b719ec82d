/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The watchdog: the supervisor is told that this process is alive only while each of its threads
 * moves, so that one that hangs alone is found as well. Threads are watched by a number that they
 * change at least once a second, also while there is nothing to do.
 *
 * Main thread, except that the numbers are written by the threads they belong to.
 */
#pragma once

#include <stdint.h>

enum {
	WATCHDOG_THREADS_MAX = 40,
	WATCHDOG_PATIENCE_MS = 2000, /* a thread that has not moved for so long hangs */
};

/* Watches a thread from now on; beat must stay, the name is copied. Before the thread starts. */
void watchdog_watch(const uint64_t *beat, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Forgets all; for the end and for tests. */
void watchdog_forget(void);

/* Reads how often the supervisor wants to hear of us. Once, before the main loop. */
void watchdog_start(uint64_t now_ms);

/* Each tick: tells the supervisor if it is due and every thread has moved. */
void watchdog_run(uint64_t now_ms);
