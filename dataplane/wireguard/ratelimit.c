/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/wireguard/ratelimit.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* an element that could not be added has no table */
#include <uthash.h>

#include "dataplane/wireguard/messages.h"

enum {
	TOKEN_MS = 1000 / WG_FLOOD_PER_SECOND,
	BUCKET_MS = TOKEN_MS * WG_FLOOD_BURST,
	PREFIX_V6_SIZE = 8,
};

/* What is limited: an IPv4 address or the upper half of an IPv6 one. */
struct source_key {
	uint8_t family;
	uint8_t bytes[PREFIX_V6_SIZE];
};

struct source {
	UT_hash_handle hh;
	struct source_key key;
	uint64_t last_ms;
	uint32_t credit_ms; /* a token costs TOKEN_MS of it */
};

/* The table is in order of last use, the oldest first: uthash appends, and a source that is used is
 * taken out and appended again. Its elements come from the pool and never go back: once all are
 * in use, the oldest makes room for a new one. */
struct ratelimit {
	struct source *sources;
	struct source *pool;
	struct source *spare; /* taken from the pool, but in no table */
	uint32_t pool_used;
	uint32_t sources_max;
	uint8_t hash_key[crypto_shorthash_KEYBYTES]; /* no source can aim at one bucket */
};

struct ratelimit *ratelimit_create(uint32_t sources_max)
{
	struct ratelimit *ratelimit = calloc(1, sizeof(*ratelimit));

	if (ratelimit == NULL)
		return NULL;
	ratelimit->pool = calloc(sources_max, sizeof(*ratelimit->pool));
	if (ratelimit->pool == NULL) {
		free(ratelimit);
		return NULL;
	}
	ratelimit->sources_max = sources_max;
	randombytes_buf(ratelimit->hash_key, sizeof(ratelimit->hash_key));
	return ratelimit;
}

void ratelimit_destroy(struct ratelimit **ratelimit)
{
	if (*ratelimit == NULL)
		return;
	HASH_CLEAR(hh, (*ratelimit)->sources);
	free((*ratelimit)->pool);
	free(*ratelimit);
	*ratelimit = NULL;
}

/* An element for a new source, or NULL if all are held by sources that were active just now. */
static struct source *take_element(struct ratelimit *ratelimit, uint64_t now_ms)
{
	struct source *source = ratelimit->spare;

	if (source != NULL) {
		ratelimit->spare = NULL;
		return source;
	}
	if (ratelimit->pool_used < ratelimit->sources_max)
		return &ratelimit->pool[ratelimit->pool_used++];
	source = ratelimit->sources;
	if (source == NULL || now_ms - source->last_ms < RATELIMIT_IDLE_MS)
		return NULL;
	HASH_DELETE(hh, ratelimit->sources, source);
	return source;
}

bool ratelimit_allow(struct ratelimit *ratelimit, const struct addr *addr, uint64_t now_ms)
{
	struct source_key key;
	struct source *source = NULL;
	union {
		uint8_t bytes[crypto_shorthash_BYTES];
		uint32_t words[2];
	} hash;
	uint64_t credit = BUCKET_MS;
	bool allowed;

	memset(&key, 0, sizeof(key));
	key.family = addr->family;
	memcpy(key.bytes, addr->bytes, addr->family == ADDR_V4 ? 4 : PREFIX_V6_SIZE);
	crypto_shorthash(hash.bytes, (const uint8_t *)&key, sizeof(key), ratelimit->hash_key);
	HASH_FIND_BYHASHVALUE(hh, ratelimit->sources, &key, sizeof(key), hash.words[0], source);
	if (source != NULL) {
		HASH_DELETE(hh, ratelimit->sources, source);
		credit = source->credit_ms + (now_ms - source->last_ms);
		if (credit > BUCKET_MS)
			credit = BUCKET_MS;
	} else {
		source = take_element(ratelimit, now_ms);
		if (source == NULL)
			return false;
	}
	allowed = credit >= TOKEN_MS;
	memset(source, 0, sizeof(*source));
	source->key = key;
	source->credit_ms = (uint32_t)(allowed ? credit - TOKEN_MS : credit);
	source->last_ms = now_ms;
	HASH_ADD_BYHASHVALUE(
		hh, ratelimit->sources, key, sizeof(source->key), hash.words[0], source);
	if (source->hh.tbl != NULL)
		return allowed;
	ratelimit->spare = source; /* no memory for the table */
	return false;
}

uint32_t ratelimit_count(const struct ratelimit *ratelimit)
{
	return HASH_COUNT(ratelimit->sources);
}
