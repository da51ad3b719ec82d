/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many handshakes one source may have processed while we are under load: a token bucket of 20
 * a second and a burst of 5 per IPv4 address or IPv6 /64, one bucket each, so that no source can
 * use up another's. The number of sources is bounded: one that was idle for a second makes room for
 * a new one; when none was, new ones are refused. Only sources that proved their address
 * with a cookie get this far.
 *
 * One thread. Source: the kernel's ratelimiter (values in messages.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/addr.h"

enum {
	RATELIMIT_SOURCES_MAX = 16384, /* about 2 MiB */
	RATELIMIT_IDLE_MS = 1000,      /* a full bucket holds nothing that is worth keeping */
};

struct ratelimit; /* opaque */

/* NULL if out of memory. sources_max > 0. */
struct ratelimit *ratelimit_create(uint32_t sources_max) __attribute__((warn_unused_result));

/* Sets *ratelimit to NULL. */
void ratelimit_destroy(struct ratelimit **ratelimit);

/* Takes one token of the source; false if there is none. */
bool ratelimit_allow(struct ratelimit *ratelimit, const struct addr *source, uint64_t now_ms);

/* Sources held now. */
uint32_t ratelimit_count(const struct ratelimit *ratelimit);
