/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Failover between routing peers. Those that have an understudy (compile.h: understudies) are
 * looked at once a second, by their counters in shared memory; who has been silent is asked for a
 * sign of life, and who stays silent is named to the program, which compiles its routes through
 * the others. Without a data plane, or in the first seconds of one, nobody is judged.
 *
 * Loop's thread.
 */
#pragma once

#include <stdint.h>

#include "control/failover/member.h"

struct event_base;
struct failover;
struct program;

/* NULL and *error. `program` must outlive it. */
struct failover *failover_create(struct event_base *base, struct program *program, int *error)
	__attribute__((warn_unused_result));
void failover_destroy(struct failover **failover);

/* How a routing peer (by id) stands: false if it has no understudy, and so is not watched. Times
 * are milliseconds before now. failover NULL = nobody is watched. */
struct failover_view {
	enum member_state state;
	uint64_t silent_ms;
	uint64_t since_ms;
};

bool failover_look(const struct failover *failover, uint32_t peer, struct failover_view *view);

/* "up", "down", "returning". */
const char *failover_state_name(enum member_state state);
