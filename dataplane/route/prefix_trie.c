/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/route/prefix_trie.h"

#include <assert.h>
#include <rte_common.h>
#include <rte_prefetch.h>
#include <string.h>

#include "dataplane/route/prefix_bits.h"
#include "dataplane/route/prefix_node.h"
#include "dataplane/route/prefix_table.h"

enum {
	FIRST_BITS = 16,
	FIRST_SLOTS = 1 << FIRST_BITS,
	LINES_NONE = 2, /* numbers of lines that mean something else in slot.child */
};

/* What stands in slot.child; anything else is the number of a node's line. */
#define CHILD_TAIL (UINT32_C(1) << 31) /* | an entry: the only longer prefix */
#define CHILD_TREE UINT32_C(1)         /* no memory for a node: ask the tree */

static struct prefix_trie_node *node_at(const struct prefix_trie *trie, uint32_t line)
{
	return (struct prefix_trie_node *)RTE_PTR_ADD(trie->lines, (size_t)line * PREFIX_NODE_LINE);
}

static bool is_node(uint32_t child)
{
	return child > CHILD_TREE && (child & CHILD_TAIL) == 0;
}

static const struct prefix_entry *entry_at(const struct prefix_trie *trie, uint32_t entry)
{
	return &trie->entries[entry];
}

/* Of a number that may be 0, no prefix. */
static int length_of(const struct prefix_trie *trie, uint32_t entry)
{
	return entry == 0 ? -1 : entry_at(trie, entry)->hop.length;
}

uint32_t prefix_trie_longest(
	const struct prefix_trie *trie, unsigned family, const uint64_t bits[2])
{
	struct prefix_trie_slot slot = trie->first[family][bits[0] >> (64 - FIRST_BITS)];
	uint32_t best = trie->any[family];

	for (;;) {
		struct prefix_trie_node *node;

		best = slot.best != 0 ? slot.best : best;
		if (slot.child == 0)
			return best;
		if ((slot.child & CHILD_TAIL) != 0) {
			const struct prefix_entry *entry = entry_at(trie, slot.child & ~CHILD_TAIL);

			return bits_agree(entry->bits, bits, entry->hop.length)
				       ? slot.child & ~CHILD_TAIL
				       : best;
		}
		if (slot.child == CHILD_TREE)
			return PREFIX_TRIE_UNKNOWN;
		node = node_at(trie, slot.child);
		if (!bits_agree(node->bits, bits, node->depth))
			return best;
		slot = *prefix_node_value(node, prefix_node_step(bits, node->depth));
	}
}

void prefix_trie_start(struct prefix_trie_walk *walk, const struct prefix_trie *trie,
	unsigned family, const uint64_t bits[2])
{
	*walk = (struct prefix_trie_walk){
		.trie = trie,
		.bits = {bits[0], bits[1]},
		.slot = &trie->first[family][bits[0] >> (64 - FIRST_BITS)],
		.best = trie->any[family],
	};
	rte_prefetch0(walk->slot);
}

bool prefix_trie_step(struct prefix_trie_walk *walk)
{
	const struct prefix_trie_slot *slot = walk->slot;

	if (walk->node != NULL && bits_agree(walk->node->bits, walk->bits, walk->node->depth)) {
		walk->slot = prefix_node_value(
			walk->node, prefix_node_step(walk->bits, walk->node->depth));
		walk->node = NULL;
		rte_prefetch0(walk->slot);
		return true;
	}
	if (walk->node == NULL && slot->best != 0)
		walk->best = slot->best;
	if (walk->node == NULL && is_node(slot->child)) {
		walk->node = node_at(walk->trie, slot->child);
		rte_prefetch0(walk->node);
		rte_prefetch0(walk->node + 1);
		return true;
	}
	if (walk->node == NULL && (slot->child & CHILD_TAIL) != 0)
		rte_prefetch0(entry_at(walk->trie, slot->child & ~CHILD_TAIL));
	if (walk->best != 0)
		rte_prefetch0(entry_at(walk->trie, walk->best));
	return false;
}

/* The line of a node of this size; 0 if there is no more memory. */
static uint32_t node_take(struct prefix_trie *trie, unsigned size)
{
	uint32_t line = trie->free[size];

	if (line != 0) {
		trie->free[size] = node_at(trie, line)->next;
		return line;
	}
	if (trie->lines_max - trie->lines_high < prefix_node_lines(size))
		return 0;
	line = trie->lines_high;
	trie->lines_high += prefix_node_lines(size);
	return line;
}

static void node_give(struct prefix_trie *trie, uint32_t line)
{
	struct prefix_trie_node *node = node_at(trie, line);

	node->next = trie->free[node->size];
	trie->free[node->size] = line;
}

/* Gives back a node and all below. At most 16 deep, as each is 8 bits longer. */
static void drop_below(struct prefix_trie *trie, uint32_t line)
{
	struct prefix_trie_node *node = node_at(trie, line);

	for (unsigned run = 0; run < node->runs; run++) {
		if (is_node(node->values[run].child))
			drop_below(trie, node->values[run].child);
	}
	node_give(trie, line);
}

/* Of a draft with one prefix, or one child, and nothing else: that stands in the slot above. */
static uint32_t only_child(const struct prefix_draft *draft)
{
	for (unsigned slot = 0; slot < PREFIX_NODE_SLOTS; slot++) {
		if (draft->slots[slot].child != 0)
			return draft->slots[slot].child;
		if (draft->slots[slot].best != 0)
			return draft->slots[slot].best | CHILD_TAIL;
	}
	return 0;
}

/* Makes the draft what link leads to, in the place of the node `old` (0: a new one). */
static void put(struct prefix_trie *trie, struct prefix_trie_slot *link, uint32_t old,
	const struct prefix_draft *draft)
{
	uint64_t map[PREFIX_NODE_WORDS];
	unsigned size;

	if (draft->prefixes + draft->children < 2) {
		link->child = only_child(draft);
		node_give(trie, old);
		return;
	}
	size = prefix_node_measure(draft, map);
	if (old == 0 || node_at(trie, old)->size != size) {
		link->child = node_take(trie, size);
		if (old != 0)
			node_give(trie, old);
	}
	if (link->child != 0) {
		prefix_node_pack(draft, map, size, node_at(trie, link->child));
		return;
	}
	for (unsigned slot = 0; slot < PREFIX_NODE_SLOTS; slot++) {
		if (is_node(draft->slots[slot].child))
			drop_below(trie, draft->slots[slot].child);
	}
	link->child = CHILD_TREE;
}

/* The slots of one step that a prefix ending in it covers: the first one of 1 << bits. */
static unsigned range_of(const struct prefix_entry *entry, uint32_t depth, unsigned *count)
{
	*count = 1U << (depth + PREFIX_NODE_BITS - entry->hop.length);
	return prefix_node_step(entry->bits, depth);
}

/* Prefixes of one range cover or avoid each other, so only shorter ones give way. */
static void spread(const struct prefix_trie *trie, struct prefix_trie_slot *slots, unsigned count,
	uint32_t entry)
{
	int length = length_of(trie, entry);
	uint32_t last = 0;
	bool gives_way = true;

	for (unsigned i = 0; i < count; i++) {
		if (slots[i].best != last) {
			last = slots[i].best;
			gives_way = length_of(trie, last) < length;
		}
		if (gives_way)
			slots[i].best = entry;
	}
}

static void replace(
	struct prefix_trie_slot *slots, unsigned count, uint32_t entry, uint32_t replacement)
{
	for (unsigned i = 0; i < count; i++) {
		if (slots[i].best == entry)
			slots[i].best = replacement;
	}
}

/* Into a draft whose slot for it has nothing longer, if it is longer itself. */
static void draft_entry(const struct prefix_trie *trie, struct prefix_draft *draft, uint32_t number)
{
	const struct prefix_entry *entry = entry_at(trie, number);
	unsigned first = prefix_node_step(entry->bits, draft->depth), count;

	if (entry->hop.length > draft->depth + PREFIX_NODE_BITS) {
		assert(draft->slots[first].child == 0);
		draft->slots[first].child = number | CHILD_TAIL;
		draft->children++;
		return;
	}
	range_of(entry, draft->depth, &count);
	spread(trie, &draft->slots[first], count, number);
	draft->prefixes++;
}

/* The step in which two ways part, or one of two prefixes ends. */
static uint32_t parting_step(const uint64_t a[2], const uint64_t b[2], uint32_t least_length)
{
	return RTE_ALIGN_FLOOR(
		RTE_MIN(bits_common(a, b), least_length - 1), (uint32_t)PREFIX_NODE_BITS);
}

/* A new node between link and what it leads to, a tail or a node, for that and the entry. */
static void part(struct prefix_trie *trie, struct prefix_trie_slot *link, uint32_t number)
{
	const struct prefix_entry *entry = entry_at(trie, number);
	uint32_t child = link->child, length = entry->hop.length;
	struct prefix_draft draft = {0};
	const uint64_t *bits;

	if (is_node(child)) {
		bits = node_at(trie, child)->bits;
		draft.depth = parting_step(bits, entry->bits, length);
		draft.slots[prefix_node_step(bits, draft.depth)].child = child;
		draft.children = 1;
	} else {
		const struct prefix_entry *tail = entry_at(trie, child & ~CHILD_TAIL);

		draft.depth = parting_step(
			tail->bits, entry->bits, RTE_MIN(length, (uint32_t)tail->hop.length));
		draft_entry(trie, &draft, child & ~CHILD_TAIL);
	}
	memcpy(draft.bits, entry->bits, sizeof(draft.bits));
	bits_cut(draft.bits, draft.depth);
	draft_entry(trie, &draft, number);
	put(trie, link, 0, &draft);
}

/* The most frequent change, without unpacking all: a prefix as long as the step, or longer, where
 * there is none yet. */
static bool amend_slot(
	struct prefix_trie_node *node, const struct prefix_entry *entry, uint32_t number)
{
	unsigned slot = prefix_node_step(entry->bits, node->depth);
	struct prefix_trie_slot value = *prefix_node_value(node, slot);
	bool longer = entry->hop.length > node->depth + PREFIX_NODE_BITS;

	if (entry->hop.length < node->depth + PREFIX_NODE_BITS)
		return false;
	if (longer)
		value.child = number | CHILD_TAIL;
	else
		value.best = number;
	if (!prefix_node_set(node, slot, value))
		return false;
	node->children += longer;
	node->prefixes += !longer;
	return true;
}

/* Adds to the node that link leads to, whose slot has nothing longer if this is longer itself. */
static void amend(struct prefix_trie *trie, struct prefix_trie_slot *link, uint32_t number)
{
	struct prefix_draft draft;

	if (amend_slot(node_at(trie, link->child), entry_at(trie, number), number))
		return;
	prefix_node_unpack(node_at(trie, link->child), &draft);
	draft_entry(trie, &draft, number);
	put(trie, link, link->child, &draft);
}

static void add_below(struct prefix_trie *trie, struct prefix_trie_slot *link, uint32_t number)
{
	const struct prefix_entry *entry = entry_at(trie, number);

	while (is_node(link->child)) {
		struct prefix_trie_node *node = node_at(trie, link->child);
		struct prefix_trie_slot *value;

		if (parting_step(node->bits, entry->bits, entry->hop.length) < node->depth)
			break;
		value = prefix_node_value(node, prefix_node_step(entry->bits, node->depth));
		if (entry->hop.length <= node->depth + PREFIX_NODE_BITS || value->child == 0) {
			amend(trie, link, number);
			return;
		}
		link = value;
	}
	if (link->child == 0)
		link->child = number | CHILD_TAIL;
	else if (link->child != CHILD_TREE)
		part(trie, link, number);
}

/* Of a prefix of up to 16 bits: the slots of the first step. */
static struct prefix_trie_slot *first_range(const struct prefix_trie *trie, unsigned family,
	const struct prefix_entry *entry, unsigned *count)
{
	*count = 1U << (FIRST_BITS - entry->hop.length);
	return &trie->first[family][entry->bits[0] >> (64 - FIRST_BITS)];
}

void prefix_trie_add(struct prefix_trie *trie, unsigned family, uint32_t number)
{
	const struct prefix_entry *entry = entry_at(trie, number);
	struct prefix_trie_slot *first;
	unsigned count;

	if (entry->hop.length == 0) {
		trie->any[family] = number;
		return;
	}
	trie->used[family] = true;
	if (entry->hop.length <= FIRST_BITS) {
		first = first_range(trie, family, entry, &count);
		spread(trie, first, count, number);
		return;
	}
	add_below(trie, &trie->first[family][entry->bits[0] >> (64 - FIRST_BITS)], number);
}

/* Takes it out of the node that link leads to: it ends there, or is the tail of a slot. */
static void take_out(
	struct prefix_trie *trie, struct prefix_trie_slot *link, uint32_t number, uint32_t shorter)
{
	const struct prefix_entry *entry = entry_at(trie, number);
	struct prefix_draft draft;
	unsigned first, count;

	prefix_node_unpack(node_at(trie, link->child), &draft);
	if (entry->hop.length > draft.depth + PREFIX_NODE_BITS) {
		draft.slots[prefix_node_step(entry->bits, draft.depth)].child = 0;
		draft.children--;
	} else {
		first = range_of(entry, draft.depth, &count);
		if (length_of(trie, shorter) <= (int)draft.depth)
			shorter = 0; /* it ends in an earlier step, where lookups meet it */
		replace(&draft.slots[first], count, number, shorter);
		draft.prefixes--;
	}
	put(trie, link, link->child, &draft);
}

static void remove_below(
	struct prefix_trie *trie, struct prefix_trie_slot *link, uint32_t number, uint32_t shorter)
{
	const struct prefix_entry *entry = entry_at(trie, number);

	while (is_node(link->child)) {
		struct prefix_trie_node *node = node_at(trie, link->child);
		struct prefix_trie_slot *value =
			prefix_node_value(node, prefix_node_step(entry->bits, node->depth));

		if (entry->hop.length <= node->depth + PREFIX_NODE_BITS ||
			value->child == (number | CHILD_TAIL)) {
			take_out(trie, link, number, shorter);
			return;
		}
		link = value;
	}
	if (link->child == (number | CHILD_TAIL))
		link->child = 0;
	else
		assert(link->child == CHILD_TREE);
}

void prefix_trie_remove(
	struct prefix_trie *trie, unsigned family, uint32_t number, uint32_t shorter)
{
	const struct prefix_entry *entry = entry_at(trie, number);
	struct prefix_trie_slot *first;
	unsigned count;

	if (entry->hop.length == 0) {
		trie->any[family] = 0;
		return;
	}
	if (entry->hop.length <= FIRST_BITS) {
		first = first_range(trie, family, entry, &count);
		replace(first, count, number, length_of(trie, shorter) > 0 ? shorter : 0);
		return;
	}
	remove_below(
		trie, &trie->first[family][entry->bits[0] >> (64 - FIRST_BITS)], number, shorter);
}

size_t prefix_trie_bytes(uint32_t prefixes)
{
	return PREFIX_TRIE_FAMILIES * FIRST_SLOTS * sizeof(struct prefix_trie_slot) +
	       ((size_t)prefixes + LINES_NONE) * PREFIX_NODE_LINE;
}

void prefix_trie_init(struct prefix_trie *trie, void *memory, uint32_t prefixes,
	const struct prefix_entry *entries)
{
	struct prefix_trie_slot *first = memory;

	*trie = (struct prefix_trie){
		.entries = entries,
		.first = {first, first + FIRST_SLOTS},
		.lines = (struct prefix_trie_node *)(first + PREFIX_TRIE_FAMILIES * FIRST_SLOTS),
		.lines_max = prefixes + LINES_NONE,
		.lines_high = LINES_NONE,
	};
}

void prefix_trie_clear(struct prefix_trie *trie)
{
	for (unsigned family = 0; family < PREFIX_TRIE_FAMILIES; family++) {
		if (trie->used[family])
			memset(trie->first[family], 0,
				FIRST_SLOTS * sizeof(struct prefix_trie_slot));
		trie->used[family] = false;
		trie->any[family] = 0;
	}
	memset(trie->free, 0, sizeof(trie->free));
	trie->lines_high = LINES_NONE;
}
