/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Following packets through the graph. Off, nothing of it is in any node's way: on, each node's
 * process function is replaced by one that notes which packets it is given and how many cycles
 * the call took, and then calls the node's own. Records, and where packets' ways end, are
 * graph/follow.h's.
 *
 * Which peer a packet is of shows only underway, so all packets get a record as they come in, and
 * those of others are used again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/api/trace.h"

/* Main thread. */

/* False while a worker may still be writing for the trace before. */
bool trace_is_idle(void);

/* Follows `count` packets from or to the peer (0 = of anybody). -EBUSY if not idle, -ENOMEM. */
int trace_start(uint32_t peer, uint32_t count) __attribute__((warn_unused_result));
void trace_stop(void);

/* A packet whose way has ended, or that waits. False: none now. */
bool trace_take(struct api_trace_entry *entry);

void trace_destroy(void); /* workers have ended */
