/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/route/prefix_table.h"

#include <assert.h>
#include <errno.h>
#include <rte_common.h>
#include <rte_malloc.h>
#include <string.h>

#include "dataplane/route/prefix_tree.h"

enum { NONE = 0 }; /* index 0 is never an entry */

struct prefix_table {
	struct prefix_tree tree; /* from a prefix to its first entry */
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
	table->entries[index].prefix.family = ADDR_NONE;
	table->entries[index].next = table->free;
	table->free = index;
	table->count--;
}

struct prefix_table *prefix_table_create(uint32_t max, int *error)
{
	size_t bytes =
		sizeof(struct prefix_table) + ((size_t)max + 1) * sizeof(struct prefix_entry);
	size_t nodes_at = RTE_CACHE_LINE_ROUNDUP(bytes);
	/* Not written, other than what is in use: what was never used takes no memory. */
	struct prefix_table *table =
		rte_zmalloc("prefix_table", nodes_at + prefix_tree_bytes(max), RTE_CACHE_LINE_SIZE);

	if (table == NULL) {
		*error = -ENOMEM;
		return NULL;
	}
	table->max = max;
	prefix_tree_init(&table->tree, RTE_PTR_ADD(table, nodes_at), max);
	return table;
}

void prefix_table_destroy(struct prefix_table **table)
{
	rte_free(*table);
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

/* The link (in the node or in an entry) that points, or would point, to this holder. */
static uint32_t *find_link(struct prefix_table *table, uint32_t *head, uint32_t holder)
{
	uint32_t *link = head;

	while (*link != NONE && table->entries[*link].holder < holder)
		link = &table->entries[*link].next;
	return link;
}

void prefix_table_set(struct prefix_table *table, const struct prefix *prefix, uint32_t holder,
	const struct route_hop *hop)
{
	uint32_t head = find_head(table, prefix);
	uint32_t *link = find_link(table, &head, holder);
	struct prefix_entry *entry;

	if (*link == NONE || table->entries[*link].holder != holder) {
		uint32_t index = entry_take(table);

		entry = &table->entries[index];
		entry->prefix = *prefix;
		entry->holder = holder;
		entry->next = *link;
		*link = index;
	}
	entry = &table->entries[*link];
	entry->hop = *hop;
	entry->hop.length = prefix->length;
	table->tree.nodes[prefix_tree_add(&table->tree, prefix)].value = head;
}

bool prefix_table_remove(struct prefix_table *table, const struct prefix *prefix, uint32_t holder)
{
	uint32_t node = prefix_tree_get(&table->tree, prefix);
	uint32_t head = table->tree.nodes[node].value;
	uint32_t *link = find_link(table, &head, holder);
	uint32_t index = *link;

	if (index == NONE || table->entries[index].holder != holder)
		return false;
	*link = table->entries[index].next;
	if (head == NONE)
		prefix_tree_remove(&table->tree, node);
	else
		table->tree.nodes[node].value = head;
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
	memset(&table->entries[1], 0, table->high * sizeof(table->entries[0]));
	table->count = 0;
	table->high = 0;
	table->free = NONE;
}

static bool found(struct prefix_match *match, uint32_t node)
{
	match->node = node;
	match->first = match->table->tree.nodes[node].value;
	return node != 0;
}

bool prefix_table_longest(
	const struct prefix_table *table, const struct addr *addr, struct prefix_match *match)
{
	match->table = table;
	return found(match, prefix_tree_longest(&table->tree, addr));
}

bool prefix_match_shorter(struct prefix_match *match)
{
	return found(match, prefix_tree_shorter(&match->table->tree, match->node));
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
