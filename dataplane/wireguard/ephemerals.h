/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ephemeral key pairs made while there is nothing else to do, so that a storm of handshakes does
 * not pay for them: one of the four multiplications of a responder. Each is used once, and wiped
 * here as it is taken.
 *
 * A pair waits in (locked) memory until a handshake takes it, so whoever reads the memory now can
 * read the sessions that the next EPHEMERALS_MAX handshakes make. He has the static key too and can
 * answer in our place, but only actively: that is the price.
 *
 * Threads: the owner's.
 */
#pragma once

#include <stdbool.h>

#include "common/base/key.h"

enum { EPHEMERALS_MAX = 256 };

struct ephemeral {
	struct key private_key;
	struct key public_key;
};

/* All zeros is an empty one. */
struct ephemerals {
	unsigned count;
	struct ephemeral pairs[EPHEMERALS_MAX];
};

static inline bool ephemerals_are_full(const struct ephemerals *pool)
{
	return pool->count == EPHEMERALS_MAX;
}

/* Makes a pair of these random bytes. 0 or -EINVAL. */
static inline int ephemeral_make(struct ephemeral *pair, const struct key *random)
{
	pair->private_key = *random;
	return key_public(&pair->private_key, &pair->public_key);
}

/* The pool is not full; *pair is the caller's to wipe. */
static inline void ephemerals_put(struct ephemerals *pool, const struct ephemeral *pair)
{
	pool->pairs[pool->count++] = *pair;
}

/* False if there is none. *pair is the caller's to wipe. */
static inline bool ephemerals_take(struct ephemerals *pool, struct ephemeral *pair)
{
	struct ephemeral *last;

	if (pool->count == 0)
		return false;
	last = &pool->pairs[--pool->count];
	*pair = *last;
	key_wipe(&last->private_key);
	key_wipe(&last->public_key);
	return true;
}
