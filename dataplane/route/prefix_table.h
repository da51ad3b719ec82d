/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table from (prefix, holder) to a next hop, with longest-prefix match: several holders may
 * hold one prefix. Two of them make a left-right table (worker.h): the main thread writes one
 * while every reader uses the other, so nothing in here is atomic.
 *
 * A trie (prefix_trie.h) finds the longest prefix in few steps; a binary tree (prefix_tree.h) knows
 * the next shorter ones. Both cost memory by the route, and only for routes that are there.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/addr.h"
#include "dataplane/route/route.h"

struct prefix_table;
struct prefix_trie_walk;

/* A cache line: all that a match reads behind the trie. */
struct prefix_entry {
	uint64_t bits[2]; /* the prefix (prefix_bits.h), */
	uint32_t node;    /* and its node in the tree */
	uint32_t holder;  /* source set or peer; entries of one prefix are sorted by it */
	uint32_t next;    /* index of the next entry of the same prefix; 0 = none */
	struct route_hop hop;
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct prefix_entry) == 64, "one cache line");

/* A match and the way to the next shorter one; valid until the reader's next quiescent state. */
struct prefix_match {
	const struct prefix_table *table;
	uint32_t first; /* index of the first entry */
};

/* NULL and *error on failure; max counts (prefix, holder) pairs. */
struct prefix_table *prefix_table_create(uint32_t max, int *error);
void prefix_table_destroy(struct prefix_table **table);

/* Pairs in the table, and its bound. */
uint32_t prefix_table_count(const struct prefix_table *table);
uint32_t prefix_table_max(const struct prefix_table *table);

/* Creates or replaces. The caller has made sure that there is room. */
void prefix_table_set(struct prefix_table *table, const struct prefix *prefix, uint32_t holder,
	const struct route_hop *hop);

/* True if the pair was there. */
bool prefix_table_remove(struct prefix_table *table, const struct prefix *prefix, uint32_t holder);

const struct prefix_entry *prefix_table_get(
	const struct prefix_table *table, const struct prefix *prefix, uint32_t holder);

void prefix_table_clear(struct prefix_table *table);

/* The longest prefix that covers addr; then ever shorter ones. */
bool prefix_table_longest(
	const struct prefix_table *table, const struct addr *addr, struct prefix_match *match);
bool prefix_match_shorter(struct prefix_match *match);

/* Is it so large that looking ahead in it saves more than it costs? */
bool prefix_table_is_large(const struct prefix_table *table);

/* A lookup that is about to be made (prefix_trie_step()). */
void prefix_table_start(
	const struct prefix_table *table, const struct addr *addr, struct prefix_trie_walk *walk);

/* Entries of the match: for (e = first; e; e = next). */
const struct prefix_entry *prefix_match_first(const struct prefix_match *match);
const struct prefix_entry *prefix_match_next(
	const struct prefix_match *match, const struct prefix_entry *entry);
