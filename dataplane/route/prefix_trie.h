/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The short way to the longest prefix that covers an address: one step over its first 16 bits, by
 * a plain table, and then one per 8 bits where more than one longer prefix is left. A node is the
 * cache line that says where in its 256 slots the value changes, and behind it the values. Steps in
 * which nothing parts are left out, and the only prefix behind a slot stands in the slot itself; so
 * an address of the internet's IPv4 table takes two steps, and a table of single hosts one.
 *
 * It holds the numbers of entries (prefix_table.h), for every prefix that of its first one, and
 * stands beside the tree of prefixes, which has them all: it cannot name the next shorter prefix,
 * and where its memory was not enough, a line for each prefix, it says so until it is cleared.
 * Every change touches one node and the one above.
 *
 * Not atomic: readers have another one while one is written (worker.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prefix_entry;
struct prefix_trie_node;

enum {
	PREFIX_TRIE_UNKNOWN = UINT32_MAX, /* ask the tree */
	PREFIX_TRIE_FAMILIES = 2,         /* IPv4 is 0, IPv6 is 1 */
	PREFIX_TRIE_CLASSES = 10,         /* sizes of nodes */
};

struct prefix_trie_slot {
	uint32_t
		best; /* the longest prefix that covers all of it, of those that end in this step */
	uint32_t child; /* what there is longer: 0 nothing, else prefix_trie.c */
};

struct prefix_trie {
	const struct prefix_entry *entries;
	struct prefix_trie_slot *first[PREFIX_TRIE_FAMILIES]; /* by the first 16 bits */
	bool used[PREFIX_TRIE_FAMILIES];                      /* something was written into it */
	uint32_t any[PREFIX_TRIE_FAMILIES];                   /* the prefix of length 0 */
	struct prefix_trie_node *lines; /* nodes; each takes some cache lines */
	uint32_t lines_max;
	uint32_t lines_high;                /* those below it have been in use */
	uint32_t free[PREFIX_TRIE_CLASSES]; /* nodes given back, by size; 0 = none */
};

/* Bytes for so many prefixes, in lines of 64 bytes; zeroes. */
size_t prefix_trie_bytes(uint32_t prefixes);

/* The memory and the entries stay the caller's. */
void prefix_trie_init(struct prefix_trie *trie, void *memory, uint32_t prefixes,
	const struct prefix_entry *entries);

/* The first entry of a prefix that was not there. */
void prefix_trie_add(struct prefix_trie *trie, unsigned family, uint32_t entry);

/* It leaves. `shorter`: the first entry of the next shorter prefix that covers it; 0 if none. */
void prefix_trie_remove(
	struct prefix_trie *trie, unsigned family, uint32_t entry, uint32_t shorter);

void prefix_trie_clear(struct prefix_trie *trie);

/* The first entry of the longest prefix that covers these bits (prefix_tree.h has their order); 0
 * if none does, PREFIX_TRIE_UNKNOWN. */
uint32_t prefix_trie_longest(
	const struct prefix_trie *trie, unsigned family, const uint64_t bits[2]);

/*
 * A lookup in steps, to have many of them wait for memory at the same time: each step reads what
 * the one before has asked the processor for. It finds nothing by itself; prefix_trie_longest(),
 * and a look at the entry, wait no more afterwards.
 */
struct prefix_trie_walk {
	const struct prefix_trie *trie;
	uint64_t bits[2];
	const struct prefix_trie_slot *slot; /* to be read, if node is NULL */
	struct prefix_trie_node *node;       /* to be read */
	uint32_t best;
};

void prefix_trie_start(struct prefix_trie_walk *walk, const struct prefix_trie *trie,
	unsigned family, const uint64_t bits[2]);

/* False: all that the lookup reads has been asked for. */
bool prefix_trie_step(struct prefix_trie_walk *walk);
