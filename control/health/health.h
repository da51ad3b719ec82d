/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the gateway does its work, as probes ask it. Twice a second the workers' cycle counters
 * are looked at: a worker whose counter stands still has stopped, whatever the rest says (an idle
 * one wakes up ten times a second). Counters are the data plane's own publication of once a
 * second, so nothing here touches a worker. In passing it is noted when each reason for a drop last
 * counted. Loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct program;
struct health;

enum {
	HEALTH_STALL_MS = 5000, /* counters that are older, or a worker that stood longer */
	HEALTH_TEXT_MAX = 128,
};

/* NULL and *error. `program` must outlive it. */
struct health *health_create(struct event_base *base, struct program *program, int *error)
	__attribute__((warn_unused_result));
void health_destroy(struct health **health);

/*
 * True: the data plane is connected, has a configuration committed, publishes counters, and every
 * worker moves. False: `reason` is one line. NULL health = not looked at yet.
 */
bool health_ready(const struct health *health, char reason[HEALTH_TEXT_MAX]);

/* True once the gateway has been ready since this process started; stays so. */
bool health_started(const struct health *health);

/* Unix time at which this reason for drops (its row in the counters memory) was last seen to have
 * counted a packet; 0 = not since this process and the data plane run. */
uint64_t health_dropped_s(const struct health *health, uint32_t row);
