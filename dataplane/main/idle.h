/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a worker does when there is nothing to do. With DP_IDLE_ADAPTIVE it waits, after some empty
 * loops, on descriptors: its doorbell, the queues of its ports, and whatever features add. Where
 * a queue has no descriptor it naps, shortly at first.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/main/config.h"

/* Main thread, before the worker runs. 0 or -errno. */
int idle_create(unsigned worker) __attribute__((warn_unused_result));
void idle_destroy(unsigned worker);

/* The worker wakes when the descriptor becomes readable (edge-triggered: it is never read here).
 * Main thread, at any time. 0 or -errno. */
int idle_add_fd(unsigned worker, int fd) __attribute__((warn_unused_result));
void idle_remove_fd(unsigned worker, int fd);

/* A receive queue of the worker that has no descriptor: naps instead of sleeping. Main thread. */
void idle_add_blind(unsigned worker);
void idle_remove_blind(unsigned worker);

/* After each loop of the worker. found: packets were taken in. */
void idle_loop(unsigned worker, bool found);

/* Of a worker: times it blocked. Any thread. */
uint64_t idle_sleeps(unsigned worker);

/*
 * The af_packet sockets bound to an interface, in the order in which they were opened, which is
 * the order of the queues. Returns how many were found, at most max. Main thread, after the port
 * was started and before another one is.
 */
unsigned idle_packet_sockets(unsigned ifindex, int *fds, unsigned max);
