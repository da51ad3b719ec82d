/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receiver indexes: the 32 bits by which a peer names the session a packet belongs to. They look
 * random on the wire, yet any of our threads can name the worker that owns one without a table:
 * the low five bits are the worker, exclusive-ored with a keyed mixing of the upper 27.
 *
 * Without the secret an observer cannot tell which indexes share a worker. It is no cipher: an
 * index that someone made up leads to some worker, where the table look-up refuses it.
 *
 * Pure; any thread. `secret`: 64 random bits per process, fixed before the first index is made.
 */
#pragma once

#include <stdint.h>

#include "dataplane/wireguard/mix.h"

enum {
	INDEX_OWNER_BITS = 5,
	INDEX_OWNERS = 1 << INDEX_OWNER_BITS, /* workers that can own sessions */
	INDEX_OWNER_MASK = INDEX_OWNERS - 1,
};

/* Each of the 27 bits reaches each of the five that come out. */
static inline uint32_t index_mix(uint32_t index, uint64_t secret)
{
	return (uint32_t)(mix_keyed(index >> INDEX_OWNER_BITS, secret) >> (64 - INDEX_OWNER_BITS));
}

/* owner < INDEX_OWNERS; random: 32 fresh random bits, of which 27 are used. */
static inline uint32_t index_make(uint32_t owner, uint32_t random, uint64_t secret)
{
	uint32_t upper = random & ~(uint32_t)INDEX_OWNER_MASK;

	return upper | ((owner ^ index_mix(upper, secret)) & INDEX_OWNER_MASK);
}

/* The worker of an index; whatever was put in, below INDEX_OWNERS. Callers with fewer workers
 * check the range. */
static inline uint32_t index_owner(uint32_t index, uint64_t secret)
{
	return (index ^ index_mix(index, secret)) & INDEX_OWNER_MASK;
}
