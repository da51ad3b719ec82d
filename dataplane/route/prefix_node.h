/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One step of a trie of prefixes (prefix_trie.h): 256 slots by the next 8 bits, packed. Plain
 * memory; whose it is, and what a slot's child means, the trie knows.
 */
#pragma once

#include "dataplane/route/prefix_trie.h"

enum {
	PREFIX_NODE_BITS = 8,
	PREFIX_NODE_SLOTS = 1 << PREFIX_NODE_BITS,
	PREFIX_NODE_WORDS = PREFIX_NODE_SLOTS / 64,
	PREFIX_NODE_LINE = 64,
};

/* Slots of equal value that stand side by side are one run, kept once. A slot with a child is a run
 * of its own, as no other one has that child: so its value can be changed in place. */
struct prefix_trie_node {
	uint64_t map[PREFIX_NODE_WORDS];   /* where runs begin; bit 0 always */
	uint64_t bits[2];                  /* those before this step */
	uint8_t before[PREFIX_NODE_WORDS]; /* runs that begin in the words of map before this one */
	uint16_t runs;
	uint8_t depth;     /* how many bits are before this step: a multiple of 8 */
	uint8_t size;      /* see prefix_node_lines() */
	uint16_t prefixes; /* that end in this step, */
	uint16_t children; /* and slots with longer ones: two at least together */
	uint32_t next;     /* of a node given back: the next one */
	struct prefix_trie_slot values[];
};

_Static_assert(sizeof(struct prefix_trie_node) == PREFIX_NODE_LINE,
	"the head of a node is one cache line");

/* A node while it is changed: its slots one by one. */
struct prefix_draft {
	struct prefix_trie_slot slots[PREFIX_NODE_SLOTS];
	uint64_t bits[2];
	uint32_t depth;
	uint16_t prefixes, children;
};

/* Lines of a node of this size, the head included. */
unsigned prefix_node_lines(unsigned size);

/* The 8 bits behind the first `depth` ones, a multiple of 8. */
static inline unsigned prefix_node_step(const uint64_t bits[2], uint32_t depth)
{
	return bits[depth / 64] >> (64 - PREFIX_NODE_BITS - depth % 64) & (PREFIX_NODE_SLOTS - 1);
}

static inline struct prefix_trie_slot *prefix_node_value(
	struct prefix_trie_node *node, unsigned slot)
{
	uint64_t below = node->map[slot / 64] << (63 - slot % 64);

	return &node->values[node->before[slot / 64] + (unsigned)__builtin_popcountll(below) - 1];
}

void prefix_node_unpack(const struct prefix_trie_node *node, struct prefix_draft *draft);

/* The size that a draft needs, and where its runs begin. */
unsigned prefix_node_measure(const struct prefix_draft *draft, uint64_t map[PREFIX_NODE_WORDS]);

/* Writes all of a node of the size and with the map so found. */
void prefix_node_pack(const struct prefix_draft *draft, const uint64_t map[PREFIX_NODE_WORDS],
	unsigned size, struct prefix_trie_node *node);

/* A value that no other slot has, in one slot: the run that it lies in parts there. False: the node
 * has no room for that. */
bool prefix_node_set(struct prefix_trie_node *node, unsigned slot, struct prefix_trie_slot value);
