/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Following packets through the graph. Off, nothing of it is in any packet's way: on, each node's
 * process function is replaced by one that notes which packets it is given and how many cycles
 * the call took, and then calls the node's own.
 *
 * A packet gets a tag in its private area when port_rx has let it in; the tag names a record of
 * the worker that gave it, in which each node writes a stage. A record belongs to whoever has the
 * packet, so it needs no lock; hand-off rings order the workers. Which peer a packet is of shows
 * only underway, so all packets get tags, and records of others are used again in turn.
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

/* A packet whose way has ended: dropped, or seen by no node for a while. False: none now. */
bool trace_take(struct api_trace_entry *entry);

void trace_destroy(void); /* workers have ended */
