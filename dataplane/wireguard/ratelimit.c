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

/* In order of last use, the oldest first: uthash appends, and a used one is moved to the end. */
struct source {
	UT_hash_handle hh;
	struct source_key key;
	uint64_t last_ms;
	uint32_t credit_ms; /* a token costs TOKEN_MS of it */
};

struct ratelimit {
	struct source *sources;
	uint32_t sources_max;
	uint8_t hash_key[crypto_shorthash_KEYBYTES]; /* no source can aim at one bucket */
};

struct ratelimit *ratelimit_create(uint32_t sources_max)
{
	struct ratelimit *ratelimit = calloc(1, sizeof(*ratelimit));

	if (ratelimit == NULL)
		return NULL;
	ratelimit->sources_max = sources_max;
	randombytes_buf(ratelimit->hash_key, sizeof(ratelimit->hash_key));
	return ratelimit;
}

static void forget(struct ratelimit *ratelimit, struct source *source)
{
	HASH_DEL(ratelimit->sources, source);
	free(source);
}

void ratelimit_destroy(struct ratelimit **ratelimit)
{
	struct source *source;
	struct source *next;

	if (*ratelimit == NULL)
		return;
	HASH_ITER (hh, (*ratelimit)->sources, source, next) {
		forget(*ratelimit, source);
	}
	free(*ratelimit);
	*ratelimit = NULL;
}

/* A source that idled this long has a full bucket, as a new one would. */
static void expire(struct ratelimit *ratelimit, uint64_t now_ms)
{
	while (ratelimit->sources != NULL &&
		now_ms - ratelimit->sources->last_ms >= RATELIMIT_IDLE_MS)
		forget(ratelimit, ratelimit->sources);
}

bool ratelimit_allow(struct ratelimit *ratelimit, const struct addr *addr, uint64_t now_ms)
{
	struct source_key key;
	struct source *source;
	union {
		uint8_t bytes[crypto_shorthash_BYTES];
		uint32_t words[2];
	} hash;
	uint64_t credit;
	bool allowed;

	memset(&key, 0, sizeof(key));
	key.family = addr->family;
	memcpy(key.bytes, addr->bytes, addr->family == ADDR_V4 ? 4 : PREFIX_V6_SIZE);
	crypto_shorthash(hash.bytes, (const uint8_t *)&key, sizeof(key), ratelimit->hash_key);
	expire(ratelimit, now_ms);
	HASH_FIND_BYHASHVALUE(hh, ratelimit->sources, &key, sizeof(key), hash.words[0], source);
	if (source != NULL) {
		/* To the end of the list: it was used last. */
		HASH_DELETE(hh, ratelimit->sources, source);
		credit = source->credit_ms + (now_ms - source->last_ms);
		if (credit > BUCKET_MS)
			credit = BUCKET_MS;
	} else {
		if (HASH_COUNT(ratelimit->sources) >= ratelimit->sources_max)
			return false;
		source = calloc(1, sizeof(*source));
		if (source == NULL)
			return false;
		source->key = key;
		credit = BUCKET_MS;
	}
	allowed = credit >= TOKEN_MS;
	source->credit_ms = (uint32_t)(allowed ? credit - TOKEN_MS : credit);
	source->last_ms = now_ms;
	HASH_ADD_BYHASHVALUE(
		hh, ratelimit->sources, key, sizeof(source->key), hash.words[0], source);
	if (source->hh.tbl == NULL) {
		free(source);
		return false;
	}
	return allowed;
}

uint32_t ratelimit_count(const struct ratelimit *ratelimit)
{
	return HASH_COUNT(ratelimit->sources);
}
