/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The maps of all peers in one array per copy, sorted by peer, and for each peer where its own
 * begin. A peer has few: they are gone through.
 */
#include "dataplane/map/map.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "common/api/map.h"
#include "common/api/wireguard.h"
#include "common/base/nptv6.h"
#include "dataplane/main/config.h"
#include "dataplane/main/feature.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/txn.h"
#include "dataplane/route/route.h"

struct entry {
	uint32_t peer;
	uint8_t family;
	uint8_t length; /* bits of both */
	bool nptv6;
	uint8_t seen[16];
	uint8_t real[16];
	uint16_t outwards; /* adjustment of RFC 6296; the way back is its complement */
};

struct table {
	uint32_t count;
	bool changed;                      /* in the transaction under way */
	struct entry entries[API_MAP_MAX]; /* by peer, then as they came */
	uint16_t *first;                   /* by peer: 1 + index of its first one; 0 = has none */
};

static struct table *tables[2];
static uint32_t peers_max;

bool map_any(unsigned copy)
{
	return tables[copy]->count != 0;
}

static bool is_within(const uint8_t *addr, const uint8_t *prefix, uint8_t length)
{
	unsigned bytes = length / 8, bits = length % 8;

	return memcmp(addr, prefix, bytes) == 0 &&
	       (bits == 0 || ((addr[bytes] ^ prefix[bytes]) & (0xff00 >> bits) & 0xff) == 0);
}

/* The first bits of the prefix, the rest as it is. */
static void put_prefix(uint8_t *addr, const uint8_t *prefix, uint8_t length)
{
	unsigned bytes = length / 8, bits = length % 8;
	uint8_t mask = (uint8_t)(0xff00 >> bits);

	memcpy(addr, prefix, bytes);
	if (bits != 0)
		addr[bytes] = (uint8_t)((prefix[bytes] & mask) | (addr[bytes] & ~mask));
}

static bool replace(
	const struct entry *entry, uint8_t *addr, const uint8_t *prefix, uint16_t adjustment)
{
	if (entry->nptv6)
		return nptv6_translate(addr, prefix, entry->length, adjustment);
	put_prefix(addr, prefix, entry->length);
	return true;
}

bool map_turn(unsigned copy, uint32_t peer, uint8_t family, uint8_t addr[16])
{
	const struct table *table = tables[copy];
	uint32_t index;

	/* ports and the host are identities above all peers */
	if (peer >= peers_max || table->first[peer] == 0)
		return false;
	for (index = table->first[peer] - 1u;
		index < table->count && table->entries[index].peer == peer; index++) {
		const struct entry *entry = &table->entries[index];

		if (entry->family != family)
			continue;
		if (is_within(addr, entry->real, entry->length))
			return replace(entry, addr, entry->seen, entry->outwards);
		if (is_within(addr, entry->seen, entry->length))
			return replace(entry, addr, entry->real, (uint16_t)~entry->outwards);
	}
	return false;
}

bool map_is_final(unsigned copy, uint32_t peer, uint8_t family, const uint8_t addr[16])
{
	const struct table *table = tables[copy];

	if (peer >= peers_max || table->first[peer] == 0)
		return false;
	for (uint32_t index = table->first[peer] - 1u;
		index < table->count && table->entries[index].peer == peer; index++) {
		const struct entry *entry = &table->entries[index];

		if (entry->nptv6 && entry->family == family &&
			is_within(addr, entry->seen, entry->length))
			return true;
	}
	return false;
}

static int refuse(uint32_t *detail, size_t offset)
{
	*detail = (uint32_t)offset;
	return API_E_VALUE;
}

static int validate_set(const void *message, uint32_t *detail)
{
	const struct api_map_set *set = message;

	if (!prefix_is_valid(&set->seen))
		return refuse(detail, offsetof(struct api_map_set, seen));
	if (set->peer == 0 || set->peer >= API_PEER_MAX)
		return refuse(detail, offsetof(struct api_map_set, peer));
	if (!prefix_is_valid(&set->real) || set->real.family != set->seen.family ||
		set->real.length != set->seen.length)
		return refuse(detail, offsetof(struct api_map_set, real));
	if ((set->flags & ~(uint32_t)API_MAP_NPTV6) != 0 ||
		(set->flags != 0 &&
			(set->seen.family != ADDR_V6 || set->seen.length > NPTV6_LENGTH_MAX)))
		return refuse(detail, offsetof(struct api_map_set, flags));
	return API_OK;
}

static int validate_del(const void *message, uint32_t *detail)
{
	const struct api_map_del *del = message;

	if (!prefix_is_valid(&del->seen))
		return refuse(detail, offsetof(struct api_map_del, seen));
	return API_OK;
}

/* Counts a "set" as a new one: off only for a table that is nearly full. */
static int prepare(const struct txn *txn, uint64_t *index, uint32_t *detail, char text[96])
{
	struct txn_cursor cursor = {0};
	const struct api_map_set *set;
	uint32_t room = API_MAP_MAX;

	if (!txn_is_full(txn))
		room -= RTE_MAX(tables[0]->count, tables[1]->count);
	while ((set = (const void *)txn_next_like(txn, &cursor, API_MAP_SET)) != NULL) {
		if (set->header.type != API_MAP_SET || (set->peer < peers_max && room-- > 0))
			continue;
		*index = cursor.index;
		*detail = 0;
		snprintf(text, 96, "more than %d mapped prefixes, or a peer beyond --max-peers",
			API_MAP_MAX);
		return API_E_LIMIT;
	}
	return API_OK;
}

/* The place of a map, or where it would stand. */
static uint32_t find(
	const struct table *table, uint32_t peer, const struct prefix *seen, bool *there)
{
	uint32_t i = 0;

	while (i < table->count && table->entries[i].peer < peer)
		i++;
	for (; i < table->count && table->entries[i].peer == peer; i++) {
		const struct entry *entry = &table->entries[i];

		*there = entry->family == seen->family && entry->length == seen->length &&
			 memcmp(entry->seen, seen->bytes, 16) == 0;
		if (*there)
			return i;
	}
	*there = false;
	return i;
}

static void apply_set(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_map_set *set = message;
	struct table *table = tables[copy];
	struct entry *entry;
	bool there;
	uint32_t at = find(table, set->peer, &set->seen, &there);

	entry = &table->entries[at];
	if (!there) {
		memmove(entry + 1, entry, (table->count - at) * sizeof(*entry));
		table->count++;
	}
	*entry = (struct entry){
		.peer = set->peer,
		.family = set->seen.family,
		.length = set->seen.length,
		.nptv6 = (set->flags & API_MAP_NPTV6) != 0,
		.outwards = nptv6_adjustment(set->real.bytes, set->seen.bytes, set->seen.length),
	};
	memcpy(entry->seen, set->seen.bytes, 16);
	memcpy(entry->real, set->real.bytes, 16);
	table->changed = true;
}

static void apply_del(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_map_del *del = message;
	struct table *table = tables[copy];
	bool there;
	uint32_t at = find(table, del->peer, &del->seen, &there);

	if (!there)
		return;
	table->first[del->peer] = 0;
	table->count--;
	memmove(&table->entries[at], &table->entries[at + 1],
		(table->count - at) * sizeof(*table->entries));
	table->changed = true;
}

static void begin(unsigned copy, enum handler_pass pass, bool full)
{
	struct table *table = tables[copy];

	if (!full || table->count == 0)
		return;
	for (uint32_t i = 0; i < table->count; i++)
		table->first[table->entries[i].peer] = 0;
	table->count = 0;
	table->changed = true;
}

static void end(unsigned copy, enum handler_pass pass, bool full)
{
	struct table *table = tables[copy];

	for (uint32_t i = table->count; table->changed && i > 0; i--)
		table->first[table->entries[i - 1].peer] = (uint16_t)i;
	/* only after the second pass does every worker read the new maps */
	if (table->changed && pass == HANDLER_CATCH_UP)
		judge_generation_bump();
	table->changed = false;
}

static const struct handler handlers[] = {
	{API_MAP_SET, "map_set", sizeof(struct api_map_set), validate_set, apply_set},
	{API_MAP_DEL, "map_del", sizeof(struct api_map_del), validate_del, apply_del},
};

static const struct handler_group group = {
	.feature = "map",
	.handlers = handlers,
	.count = RTE_DIM(handlers),
	.prepare = prepare,
	.begin = begin,
	.end = end,
};

int map_init(void)
{
	peers_max = dp_config()->max_peers;
	for (unsigned copy = 0; copy < 2; copy++) {
		tables[copy] = calloc(1, sizeof(*tables[copy]));
		if (tables[copy] == NULL)
			return -ENOMEM;
		tables[copy]->first = calloc(peers_max, sizeof(uint16_t));
		if (tables[copy]->first == NULL)
			return -ENOMEM;
	}
	handler_register(&group);
	return 0;
}

static struct feature feature = {
	.name = "map",
	.after = {"route"},
	.init = map_init,
};
FEATURE_REGISTER(feature)
