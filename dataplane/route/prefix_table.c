/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/route/prefix_table.h"

#include <sys/mman.h>

#include <assert.h>
#include <errno.h>
#include <rte_common.h>
#include <rte_branch_prediction.h>
#include <string.h>

#include "dataplane/route/prefix_bits.h"
#include "dataplane/route/prefix_tree.h"
#include "dataplane/route/prefix_trie.h"

enum {
	NONE = 0,       /* index 0 is never an entry */
	FEW = 1 << 12,  /* entries that a second cache holds */
	MANY = 1 << 18, /* routes beyond which large pages are worth asking; the default */
};

struct prefix_table {
	struct prefix_tree tree; /* from a prefix to its first entry, which stays the same one */
	struct prefix_trie trie; /* from an address to that of the longest prefix */
	size_t bytes;            /* of all this */
	uint32_t max;
	uint32_t count;
	uint32_t high; /* entries 1..high have been in use */
	uint32_t free; /* head of the list of free entries, linked by next */
	struct prefix_entry entries[];
};

/* The first entry of a prefix; NONE if it has none. */
static uint32_t find_head(const struct prefix_table *table, const struct prefix *prefix)
{
	return table->tree.nodes[prefix_tree_get(&table->tree, prefix)].value;
}

static uint32_t entry_take(struct prefix_table *table)
{
	uint32_t index = table->free;

	if (index != NONE)
		table->free = table->entries[index].next;
	else
		index = ++table->high;
	assert(index <= table->max); /* the transaction reserved room */
	table->count++;
	return index;
}

static void entry_give(struct prefix_table *table, uint32_t index)
{
	table->entries[index].next = table->free;
	table->free = index;
	table->count--;
}

/*
 * One piece of memory, outside of EAL's: what was never used takes none, and the kernel is asked
 * for large pages where a table may have so many routes that lookups would wait for translations.
 */
struct prefix_table *prefix_table_create(uint32_t max, int *error)
{
	size_t trie_at =
		sizeof(struct prefix_table) + ((size_t)max + 1) * sizeof(struct prefix_entry);
	size_t tree_at = trie_at + prefix_trie_bytes(max);
	size_t bytes = tree_at + prefix_tree_bytes(max);
	struct prefix_table *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (table == MAP_FAILED) {
		*error = -ENOMEM;
		return NULL;
	}
	if (max > MANY)
		(void)madvise(table, bytes, MADV_HUGEPAGE);
	table->bytes = bytes;
	table->max = max;
	prefix_trie_init(&table->trie, RTE_PTR_ADD(table, trie_at), max, table->entries);
	prefix_tree_init(&table->tree, RTE_PTR_ADD(table, tree_at), max);
	return table;
}

void prefix_table_destroy(struct prefix_table **table)
{
	if (*table != NULL)
		munmap(*table, (*table)->bytes);
	*table = NULL;
}

uint32_t prefix_table_count(const struct prefix_table *table)
{
	return table->count;
}

uint32_t prefix_table_max(const struct prefix_table *table)
{
	return table->max;
}

/* An entry of its own in front of, or behind, one of the same prefix. The first one keeps its
 * place, by which tree and trie know the prefix. */
static struct prefix_entry *entry_insert(
	struct prefix_table *table, struct prefix_entry *at, bool in_front)
{
	uint32_t index = entry_take(table);

	table->entries[index] = *at;
	at->next = index;
	return in_front ? at : &table->entries[index];
}

/* The first entry of a prefix that had none. */
static struct prefix_entry *entry_begin(
	struct prefix_table *table, const struct prefix *prefix, uint32_t node)
{
	uint32_t index = entry_take(table);
	struct prefix_entry *entry = &table->entries[index];

	*entry = (struct prefix_entry){.node = node, .hop.length = prefix->length};
	bits_of(prefix->family, prefix->bytes, entry->bits);
	table->tree.nodes[node].value = index;
	prefix_trie_add(&table->trie, prefix->family == ADDR_V6, index);
	return entry;
}

void prefix_table_set(struct prefix_table *table, const struct prefix *prefix, uint32_t holder,
	const struct route_hop *hop)
{
	uint32_t node = prefix_tree_add(&table->tree, prefix);
	uint32_t first = table->tree.nodes[node].value;
	struct prefix_entry *entry = &table->entries[first];

	while (first != NONE && entry->holder < holder && entry->next != NONE &&
		table->entries[entry->next].holder <= holder)
		entry = &table->entries[entry->next];
	if (first == NONE)
		entry = entry_begin(table, prefix, node);
	else if (entry->holder != holder)
		entry = entry_insert(table, entry, entry->holder > holder);
	entry->holder = holder;
	entry->hop = *hop;
	entry->hop.length = prefix->length;
}

/* The last entry of a prefix goes. */
static void entry_end(struct prefix_table *table, unsigned family, uint32_t index)
{
	uint32_t node = table->entries[index].node;
	uint32_t shorter = prefix_tree_shorter(&table->tree, node);

	prefix_trie_remove(&table->trie, family, index, table->tree.nodes[shorter].value);
	prefix_tree_remove(&table->tree, node);
	entry_give(table, index);
}

bool prefix_table_remove(struct prefix_table *table, const struct prefix *prefix, uint32_t holder)
{
	uint32_t first = find_head(table, prefix), index = first, before = NONE;
	struct prefix_entry *entry;

	for (; index != NONE && table->entries[index].holder != holder; index = entry->next) {
		entry = &table->entries[index];
		before = index;
	}
	if (index == NONE)
		return false;
	entry = &table->entries[index];
	if (before != NONE) {
		table->entries[before].next = entry->next;
	} else if (entry->next != NONE) { /* the next one takes the first one's place */
		index = entry->next;
		*entry = table->entries[index];
	} else {
		entry_end(table, prefix->family == ADDR_V6, index);
		return true;
	}
	entry_give(table, index);
	return true;
}

const struct prefix_entry *prefix_table_get(
	const struct prefix_table *table, const struct prefix *prefix, uint32_t holder)
{
	uint32_t index = find_head(table, prefix);

	while (index != NONE && table->entries[index].holder != holder)
		index = table->entries[index].next;
	return index != NONE ? &table->entries[index] : NULL;
}

void prefix_table_clear(struct prefix_table *table)
{
	prefix_tree_clear(&table->tree);
	prefix_trie_clear(&table->trie);
	memset(&table->entries[1], 0, table->high * sizeof(table->entries[0]));
	table->count = 0;
	table->high = 0;
	table->free = NONE;
}

bool prefix_table_longest(
	const struct prefix_table *table, const struct addr *addr, struct prefix_match *match)
{
	uint64_t bits[2];

	bits_of(addr->family, addr->bytes, bits);
	match->table = table;
	match->first = prefix_trie_longest(&table->trie, addr->family == ADDR_V6, bits);
	if (unlikely(match->first == PREFIX_TRIE_UNKNOWN))
		match->first = table->tree.nodes[prefix_tree_longest(&table->tree, addr)].value;
	return match->first != NONE;
}

bool prefix_table_is_large(const struct prefix_table *table)
{
	return table->count >= FEW;
}

void prefix_table_start(
	const struct prefix_table *table, const struct addr *addr, struct prefix_trie_walk *walk)
{
	uint64_t bits[2];

	bits_of(addr->family, addr->bytes, bits);
	prefix_trie_start(walk, &table->trie, addr->family == ADDR_V6, bits);
}

bool prefix_match_shorter(struct prefix_match *match)
{
	const struct prefix_table *table = match->table;
	uint32_t node = prefix_tree_shorter(&table->tree, table->entries[match->first].node);

	match->first = table->tree.nodes[node].value;
	return match->first != NONE;
}

const struct prefix_entry *prefix_match_first(const struct prefix_match *match)
{
	return &match->table->entries[match->first];
}

const struct prefix_entry *prefix_match_next(
	const struct prefix_match *match, const struct prefix_entry *entry)
{
	return entry->next != NONE ? &match->table->entries[entry->next] : NULL;
}
