/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/route/prefix_table.h"

#include <assert.h>
#include <errno.h>
#include <rte_byteorder.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_memory.h>
#include <rte_rib.h>
#include <rte_rib6.h>
#include <stdio.h>
#include <string.h>

enum { NONE = 0 }; /* index 0 is never an entry */

struct prefix_table {
	struct rte_rib *v4;
	struct rte_rib6 *v6;
	uint32_t max;
	uint32_t count;
	uint32_t high; /* entries 1..high have been in use */
	uint32_t free; /* head of the list of free entries, linked by next */
	struct prefix_entry entries[];
};

static uint32_t host_order(const uint8_t bytes[4])
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return rte_be_to_cpu_32(value);
}

static void *find_exact(const struct prefix_table *table, const struct prefix *prefix)
{
	if (prefix->family == ADDR_V4)
		return rte_rib_lookup_exact(table->v4, host_order(prefix->bytes), prefix->length);
	return rte_rib6_lookup_exact(table->v6, prefix->bytes, prefix->length);
}

static void *insert(struct prefix_table *table, const struct prefix *prefix)
{
	if (prefix->family == ADDR_V4)
		return rte_rib_insert(table->v4, host_order(prefix->bytes), prefix->length);
	return rte_rib6_insert(table->v6, prefix->bytes, prefix->length);
}

static void erase(struct prefix_table *table, const struct prefix *prefix)
{
	if (prefix->family == ADDR_V4)
		rte_rib_remove(table->v4, host_order(prefix->bytes), prefix->length);
	else
		rte_rib6_remove(table->v6, prefix->bytes, prefix->length);
}

static uint32_t node_get(uint8_t family, const void *node)
{
	uint64_t value = NONE;

	if (family == ADDR_V4)
		rte_rib_get_nh(node, &value);
	else
		rte_rib6_get_nh(node, &value);
	return (uint32_t)value;
}

static void node_set(uint8_t family, void *node, uint32_t value)
{
	if (family == ADDR_V4)
		rte_rib_set_nh(node, value);
	else
		rte_rib6_set_nh(node, value);
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

struct prefix_table *prefix_table_create(const char *name, uint32_t max, int *error)
{
	/* A binary tree has at most one branching node per leaf. */
	struct rte_rib_conf conf4 = {.max_nodes = (int)(2 * max)};
	struct rte_rib6_conf conf6 = {.max_nodes = (int)(2 * max)};
	struct prefix_table *table;
	char text[RTE_MEMPOOL_NAMESIZE];

	table = rte_zmalloc("prefix_table",
		sizeof(*table) + ((size_t)max + 1) * sizeof(table->entries[0]),
		RTE_CACHE_LINE_SIZE);
	if (table == NULL) {
		*error = -ENOMEM;
		return NULL;
	}
	table->max = max;
	snprintf(text, sizeof(text), "%s4", name);
	table->v4 = rte_rib_create(text, SOCKET_ID_ANY, &conf4);
	snprintf(text, sizeof(text), "%s6", name);
	table->v6 = rte_rib6_create(text, SOCKET_ID_ANY, &conf6);
	if (table->v4 == NULL || table->v6 == NULL) {
		*error = -rte_errno;
		prefix_table_destroy(&table);
	}
	return table;
}

void prefix_table_destroy(struct prefix_table **table)
{
	if (*table == NULL)
		return;
	rte_rib_free((*table)->v4);
	rte_rib6_free((*table)->v6);
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
	void *node = find_exact(table, prefix);
	uint32_t head = node != NULL ? node_get(prefix->family, node) : NONE;
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
	if (node == NULL)
		node = insert(table, prefix);
	assert(node != NULL); /* max_nodes covers max prefixes */
	node_set(prefix->family, node, head);
}

bool prefix_table_remove(struct prefix_table *table, const struct prefix *prefix, uint32_t holder)
{
	void *node = find_exact(table, prefix);
	uint32_t head, index;
	uint32_t *link;

	if (node == NULL)
		return false;
	head = node_get(prefix->family, node);
	link = find_link(table, &head, holder);
	index = *link;
	if (index == NONE || table->entries[index].holder != holder)
		return false;
	*link = table->entries[index].next;
	if (head == NONE)
		erase(table, prefix);
	else
		node_set(prefix->family, node, head);
	entry_give(table, index);
	return true;
}

const struct prefix_entry *prefix_table_get(
	const struct prefix_table *table, const struct prefix *prefix, uint32_t holder)
{
	void *node = find_exact(table, prefix);
	uint32_t index = node != NULL ? node_get(prefix->family, node) : NONE;

	while (index != NONE && table->entries[index].holder != holder)
		index = table->entries[index].next;
	return index != NONE ? &table->entries[index] : NULL;
}

void prefix_table_clear(struct prefix_table *table)
{
	for (uint32_t i = 1; i <= table->high; i++) {
		if (table->entries[i].prefix.family != ADDR_NONE)
			erase(table, &table->entries[i].prefix);
	}
	memset(&table->entries[1], 0, table->high * sizeof(table->entries[0]));
	table->count = 0;
	table->high = 0;
	table->free = NONE;
}

static bool found(struct prefix_match *match)
{
	if (match->node == NULL)
		return false;
	match->first = node_get(match->family, match->node);
	return true;
}

bool prefix_table_longest(
	const struct prefix_table *table, const struct addr *addr, struct prefix_match *match)
{
	match->table = table;
	match->family = addr->family;
	if (addr->family == ADDR_V4)
		match->node = rte_rib_lookup(table->v4, host_order(addr->bytes));
	else
		match->node = rte_rib6_lookup(table->v6, addr->bytes);
	return found(match);
}

bool prefix_match_shorter(struct prefix_match *match)
{
	if (match->family == ADDR_V4)
		match->node = rte_rib_lookup_parent(match->node);
	else
		match->node = rte_rib6_lookup_parent(match->node);
	return found(match);
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
