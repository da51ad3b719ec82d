/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hash table of one worker's flows: 64-byte buckets of eight tags and slots. An entry lies in
 * one of two buckets; the second is looked at only if something of the first had to go there. A
 * full pair makes room by moving one entry to its own other bucket. Sized for half load, so that
 * both are rare. One thread; no allocation after creation.
 */
#include <sys/mman.h>

#include <errno.h>

#include <rte_common.h>
#include <rte_prefetch.h>

#include "dataplane/flow/flow_priv.h"

/* Outside of EAL's memory, which may be small; the kernel is asked for large pages. */
static void *take_memory(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	(void)madvise(memory, bytes, MADV_HUGEPAGE);
	/* faults now, not under traffic; where this is not known, they come later */
	(void)madvise(memory, bytes, MADV_POPULATE_WRITE);
	return memory;
}

static struct flow_key *key_at(const struct flow_table *table, uint32_t slot)
{
	return &table->flows[slot >> 1].dir[slot & 1].key;
}

int flow_table_create(struct flow_table *table, uint32_t capacity, const struct hash_key *key)
{
	uint32_t buckets = rte_align32pow2(RTE_MAX(capacity / 2, 2u));

	memset(table, 0, sizeof(*table));
	table->flows = take_memory((size_t)(capacity + 1) * sizeof(struct flow));
	table->buckets = take_memory((size_t)buckets * sizeof(struct flow_bucket));
	table->mask = buckets - 1;
	table->capacity = capacity;
	table->key = *key;
	if (table->flows == NULL || table->buckets == NULL) {
		flow_table_destroy(table);
		return -ENOMEM;
	}
	for (uint32_t i = capacity; i > 0; i--) {
		table->flows[i].cold.next = table->free;
		table->free = i;
	}
	return 0;
}

void flow_table_destroy(struct flow_table *table)
{
	if (table->flows != NULL)
		munmap(table->flows, (size_t)(table->capacity + 1) * sizeof(struct flow));
	if (table->buckets != NULL)
		munmap(table->buckets, (size_t)(table->mask + 1) * sizeof(struct flow_bucket));
	memset(table, 0, sizeof(*table));
}

static uint32_t find_in(const struct flow_table *table, const struct flow_bucket *bucket,
	const struct flow_key *key)
{
	uint32_t bits = flow_match_tags(bucket, flow_tag(key->hash));

	for (; bits != 0; bits &= bits - 1) {
		uint32_t slot = bucket->slot[__builtin_ctz(bits)];

		if (flow_key_equal(key_at(table, slot), key))
			return slot;
	}
	return 0;
}

uint32_t flow_table_find(const struct flow_table *table, const struct flow_key *key)
{
	uint32_t home = key->hash & table->mask;
	const struct flow_bucket *bucket = &table->buckets[home];
	uint32_t slot = find_in(table, bucket, key);

	if (slot != 0 || bucket->spilled == 0)
		return slot;
	return find_in(table, &table->buckets[flow_other_bucket(table, home, key->hash)], key);
}

struct flow *flow_table_get(struct flow_table *table)
{
	struct flow *flow;
	uint8_t touched;

	if (table->free == FLOW_NONE)
		return NULL;
	flow = &table->flows[table->free];
	table->free = flow->cold.next;
	/* the next new flow's, which will be written from end to end */
	for (unsigned line = 0; line < sizeof(*flow) / RTE_CACHE_LINE_SIZE; line++)
		rte_prefetch0_write(RTE_PTR_ADD(
			&table->flows[table->free], (size_t)line * RTE_CACHE_LINE_SIZE));
	/* its entry in the list of uncollected counters may still be there */
	touched = flow->cold.touched;
	memset(flow, 0, sizeof(*flow));
	flow->cold.touched = touched;
	table->live++;
	return flow;
}

void flow_table_put(struct flow_table *table, struct flow *flow)
{
	flow->cold.live = 0;
	flow->cold.next = table->free;
	table->free = flow_index(table, flow);
	table->live--;
}

static bool put_in(struct flow_bucket *bucket, uint16_t tag, uint32_t slot)
{
	uint32_t empty = flow_match_tags(bucket, 0);
	unsigned way;

	if (empty == 0)
		return false;
	way = (unsigned)__builtin_ctz(empty);
	bucket->tag[way] = tag;
	bucket->slot[way] = slot;
	return true;
}

/* Moves one entry of a full bucket to that entry's other bucket; true if there was room. */
static bool make_room(struct flow_table *table, uint32_t full)
{
	struct flow_bucket *bucket = &table->buckets[full];

	for (unsigned way = 0; way < FLOW_BUCKET_WAYS; way++) {
		uint32_t slot = bucket->slot[way];
		uint32_t hash = key_at(table, slot)->hash;
		uint32_t home = hash & table->mask;
		uint32_t target = flow_other_bucket(table, full, hash);

		if (!put_in(&table->buckets[target], bucket->tag[way], slot))
			continue;
		if (home == full)
			bucket->spilled++;
		else
			table->buckets[home].spilled--;
		bucket->tag[way] = 0;
		return true;
	}
	return false;
}

int flow_table_insert(struct flow_table *table, struct flow *flow, unsigned dir)
{
	struct flow_key *key = &flow->dir[dir].key;
	uint32_t home = key->hash & table->mask;
	uint32_t other = flow_other_bucket(table, home, key->hash);
	uint32_t slot = flow_index(table, flow) * 2 + dir;

	if (flow_table_find(table, key) != 0)
		return -EEXIST;
	if (put_in(&table->buckets[home], flow_tag(key->hash), slot))
		return 0;
	if (!put_in(&table->buckets[other], flow_tag(key->hash), slot)) {
		if (make_room(table, home) &&
			put_in(&table->buckets[home], flow_tag(key->hash), slot))
			return 0;
		if (!make_room(table, other) ||
			!put_in(&table->buckets[other], flow_tag(key->hash), slot))
			return -ENOSPC;
	}
	table->buckets[home].spilled++;
	return 0;
}

static bool take_from(struct flow_bucket *bucket, uint16_t tag, uint32_t slot)
{
	for (uint32_t bits = flow_match_tags(bucket, tag); bits != 0; bits &= bits - 1) {
		unsigned way = (unsigned)__builtin_ctz(bits);

		if (bucket->slot[way] == slot) {
			bucket->tag[way] = 0;
			return true;
		}
	}
	return false;
}

void flow_table_remove(struct flow_table *table, struct flow *flow, unsigned dir)
{
	const struct flow_key *key = &flow->dir[dir].key;
	uint32_t home = key->hash & table->mask;
	uint32_t slot = flow_index(table, flow) * 2 + dir;

	if (take_from(&table->buckets[home], flow_tag(key->hash), slot))
		return;
	if (take_from(&table->buckets[flow_other_bucket(table, home, key->hash)],
		    flow_tag(key->hash), slot))
		table->buckets[home].spilled--;
}
