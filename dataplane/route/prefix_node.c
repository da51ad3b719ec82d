/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/route/prefix_node.h"

#include <rte_common.h>
#include <string.h>

/* Lines of a node, the head included. */
static const uint8_t sizes[PREFIX_TRIE_CLASSES] = {2, 3, 4, 5, 7, 9, 13, 17, 25, 33};

unsigned prefix_node_lines(unsigned size)
{
	return sizes[size];
}

/* The slot where the next run after this one's begins; PREFIX_NODE_SLOTS if there is none. */
static unsigned next_run(const uint64_t map[PREFIX_NODE_WORDS], unsigned slot)
{
	for (slot++; slot < PREFIX_NODE_SLOTS; slot = RTE_ALIGN_FLOOR(slot, 64u) + 64) {
		uint64_t rest = map[slot / 64] >> slot % 64;

		if (rest != 0)
			return slot + (unsigned)__builtin_ctzll(rest);
	}
	return PREFIX_NODE_SLOTS;
}

void prefix_node_unpack(const struct prefix_trie_node *node, struct prefix_draft *draft)
{
	for (unsigned slot = 0, run = 0; slot < PREFIX_NODE_SLOTS; run++) {
		unsigned end = next_run(node->map, slot);

		while (slot < end)
			draft->slots[slot++] = node->values[run];
	}
	memcpy(draft->bits, node->bits, sizeof(draft->bits));
	draft->depth = node->depth;
	draft->prefixes = node->prefixes;
	draft->children = node->children;
}

/* Where runs begin; returns how many. */
static unsigned map_runs(const struct prefix_draft *draft, uint64_t map[PREFIX_NODE_WORDS])
{
	struct prefix_trie_slot last = {.best = ~draft->slots[0].best};
	unsigned runs = 0;

	for (unsigned word = 0; word < PREFIX_NODE_WORDS; word++) {
		map[word] = 0;
		for (unsigned bit = 0; bit < 64; bit++) {
			struct prefix_trie_slot slot = draft->slots[word * 64 + bit];
			uint32_t differs = (slot.best ^ last.best) | (slot.child ^ last.child);

			map[word] |= (uint64_t)(differs != 0) << bit;
			last = slot;
		}
		runs += (unsigned)__builtin_popcountll(map[word]);
	}
	return runs;
}

/* Runs that a node of this size has room for. */
static unsigned runs_of(unsigned size)
{
	return (sizes[size] - 1U) * (PREFIX_NODE_LINE / (unsigned)sizeof(struct prefix_trie_slot));
}

unsigned prefix_node_measure(const struct prefix_draft *draft, uint64_t map[PREFIX_NODE_WORDS])
{
	unsigned runs = map_runs(draft, map), size = 0;

	while (runs_of(size) < runs)
		size++;
	return size;
}

/* Fills in `before`; returns how many runs there are. */
static unsigned count_runs(struct prefix_trie_node *node)
{
	unsigned runs = 0;

	for (unsigned word = 0; word < PREFIX_NODE_WORDS; word++) {
		node->before[word] = (uint8_t)runs;
		runs += (unsigned)__builtin_popcountll(node->map[word]);
	}
	return runs;
}

void prefix_node_pack(const struct prefix_draft *draft, const uint64_t map[PREFIX_NODE_WORDS],
	unsigned size, struct prefix_trie_node *node)
{
	unsigned runs = 0;

	*node = (struct prefix_trie_node){
		.bits = {draft->bits[0], draft->bits[1]},
		.depth = (uint8_t)draft->depth,
		.size = (uint8_t)size,
		.prefixes = draft->prefixes,
		.children = draft->children,
	};
	memcpy(node->map, map, sizeof(node->map));
	node->runs = (uint16_t)count_runs(node);
	for (unsigned slot = 0; slot < PREFIX_NODE_SLOTS; slot = next_run(map, slot))
		node->values[runs++] = draft->slots[slot];
}

bool prefix_node_set(struct prefix_trie_node *node, unsigned slot, struct prefix_trie_slot value)
{
	struct prefix_trie_slot *at = prefix_node_value(node, slot), old = *at;
	bool last = slot == PREFIX_NODE_SLOTS - 1;
	bool begins = (node->map[slot / 64] >> slot % 64 & 1) != 0;
	bool ends = last || (node->map[(slot + 1) / 64] >> (slot + 1) % 64 & 1) != 0;
	unsigned more = !begins + !ends;

	if (node->runs + more > runs_of(node->size))
		return false;
	memmove(at + 1 + more, at + 1,
		(size_t)(&node->values[node->runs] - (at + 1)) * sizeof(*at));
	if (!begins)
		*at++ = old;
	*at++ = value;
	if (!ends)
		*at = old;
	node->map[slot / 64] |= UINT64_C(1) << slot % 64;
	if (!last)
		node->map[(slot + 1) / 64] |= UINT64_C(1) << (slot + 1) % 64;
	node->runs = (uint16_t)count_runs(node);
	return true;
}
