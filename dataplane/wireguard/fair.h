/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One message of each source between two visits of its reader: how a crowded queue keeps room for
 * those who send little while others flood it. Sources are IPv4 addresses and IPv6 /64s, like those
 * of ratelimit.h. Who was let in stands in a table of sets; a source that finds its set full of
 * others of the same visit is refused, and none can choose its set.
 *
 * Some ten cycles and one cache line for a message. Threads: the writer's. All zeros but for
 * `secret` is a fresh one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/base/addr.h"
#include "dataplane/wireguard/mix.h"

enum { FAIR_SET_BITS = 9, FAIR_WAYS = 8 };

/* Whose last message was let in during which visit. */
struct fair_seen {
	uint32_t source;
	uint32_t visit;
};

struct fair {
	uint64_t secret;
	struct fair_seen sets[1 << FAIR_SET_BITS][FAIR_WAYS] __attribute__((aligned(64)));
};

static inline uint64_t fair_mix(const struct fair *fair, const struct addr *source)
{
	uint64_t x = 0;

	memcpy(&x, source->bytes, source->family == ADDR_V4 ? 4 : 8);
	return mix_keyed(x, fair->secret);
}

/* True for the first message of the source during this visit, which is above zero. */
static inline bool fair_admit(struct fair *fair, const struct addr *source, uint32_t visit)
{
	uint64_t mixed = fair_mix(fair, source);
	struct fair_seen *set = fair->sets[mixed >> (64 - FAIR_SET_BITS)], *room = NULL;

	for (unsigned i = 0; i < FAIR_WAYS; i++) {
		if (set[i].visit != visit)
			room = &set[i];
		else if (set[i].source == (uint32_t)mixed)
			return false;
	}
	if (room == NULL)
		return false;
	*room = (struct fair_seen){.source = (uint32_t)mixed, .visit = visit};
	return true;
}
