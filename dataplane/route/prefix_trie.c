/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/route/prefix_trie.h"

#include <assert.h>
#include <rte_common.h>
#include <string.h>

#include "dataplane/route/prefix_bits.h"
#include "dataplane/route/prefix_table.h"

enum {
	FIRST_BITS = 16,
	FIRST_SLOTS = 1 << FIRST_BITS,
	STEP_BITS = 8,
	SLOTS = 1 << STEP_BITS,
	LINE = 64,
	LINES_NONE = 2, /* numbers of lines that mean something else in slot.child */
};

/* What stands in slot.child; anything else is the number of a node's line. */
#define CHILD_TAIL (UINT32_C(1) << 31) /* | an entry: the only longer prefix */
#define CHILD_TREE UINT32_C(1)         /* no memory for a node: ask the tree */

/* Slots of equal value that stand side by side are one run, kept once. A slot with a child is a run
 * of its own, as no other one has that child: so its value can be changed in place. */
struct prefix_trie_node {
	uint64_t map[SLOTS / 64];   /* where runs begin; bit 0 always */
	uint64_t bits[2];           /* those before this step */
	uint8_t before[SLOTS / 64]; /* runs that begin in the words of map before this one */
	uint16_t runs;
	uint8_t depth;     /* how many bits are before this step: a multiple of 8 */
	uint8_t size;      /* index of sizes[] */
	uint16_t prefixes; /* that end in this step, */
	uint16_t children; /* and slots with longer ones: two at least together */
	uint32_t next;     /* of a node given back: the next one */
	struct prefix_trie_slot values[];
};

_Static_assert(sizeof(struct prefix_trie_node) == LINE, "the head of a node is one cache line");

/* Lines of a node, the head included. */
static const uint8_t sizes[PREFIX_TRIE_CLASSES] = {2, 3, 4, 5, 7, 9, 13, 17, 25, 33};

/* A node while it is changed: its slots one by one. */
struct draft {
	struct prefix_trie_slot slots[SLOTS];
	uint64_t bits[2];
	uint32_t depth;
	uint16_t prefixes, children;
};

static struct prefix_trie_node *node_at(const struct prefix_trie *trie, uint32_t line)
{
	return (struct prefix_trie_node *)RTE_PTR_ADD(trie->lines, (size_t)line * LINE);
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

/* The 8 bits behind the first `depth` ones, a multiple of 8. */
static unsigned step_at(const uint64_t bits[2], uint32_t depth)
{
	return bits[depth / 64] >> (64 - STEP_BITS - depth % 64) & (SLOTS - 1);
}

static struct prefix_trie_slot *value_at(struct prefix_trie_node *node, unsigned slot)
{
	uint64_t upto = node->map[slot / 64] << (63 - slot % 64);

	return &node->values[node->before[slot / 64] + (unsigned)__builtin_popcountll(upto) - 1];
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
		slot = *value_at(node, step_at(bits, node->depth));
	}
}

/* The line of a node of this size; 0 if there is no more memory. */
static uint32_t node_take(struct prefix_trie *trie, unsigned size)
{
	uint32_t line = trie->free[size];

	if (line != 0) {
		trie->free[size] = node_at(trie, line)->next;
		return line;
	}
	if (trie->lines_max - trie->lines_high < sizes[size])
		return 0;
	line = trie->lines_high;
	trie->lines_high += sizes[size];
	return line;
}

static void node_give(struct prefix_trie *trie, uint32_t line)
{
	struct prefix_trie_node *node = node_at(trie, line);

	node->next = trie->free[node->size];
	trie->free[node->size] = line;
}

/* The slot where the next run after this one's begins; SLOTS if there is none. */
static unsigned next_run(const uint64_t map[SLOTS / 64], unsigned slot)
{
	for (slot++; slot < SLOTS; slot = RTE_ALIGN_FLOOR(slot, 64u) + 64) {
		uint64_t rest = map[slot / 64] >> slot % 64;

		if (rest != 0)
			return slot + (unsigned)__builtin_ctzll(rest);
	}
	return SLOTS;
}

static void unpack(const struct prefix_trie_node *node, struct draft *draft)
{
	for (unsigned slot = 0, run = 0; slot < SLOTS; run++) {
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
static unsigned map_runs(const struct draft *draft, uint64_t map[SLOTS / 64])
{
	struct prefix_trie_slot last = {.best = ~draft->slots[0].best};
	unsigned runs = 0;

	for (unsigned word = 0; word < SLOTS / 64; word++) {
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

static unsigned size_for(unsigned runs)
{
	unsigned size = 0;

	while ((sizes[size] - 1) * (LINE / sizeof(struct prefix_trie_slot)) < runs)
		size++;
	return size;
}

static void pack(const struct draft *draft, const uint64_t map[SLOTS / 64], unsigned size,
	struct prefix_trie_node *node)
{
	unsigned runs = 0;

	*node = (struct prefix_trie_node){
		.bits = {draft->bits[0], draft->bits[1]},
		.depth = (uint8_t)draft->depth,
		.size = (uint8_t)size,
		.prefixes = draft->prefixes,
		.children = draft->children,
	};
	for (unsigned word = 0; word < SLOTS / 64; word++) {
		node->map[word] = map[word];
		node->before[word] = (uint8_t)runs;
		runs += (unsigned)__builtin_popcountll(map[word]);
	}
	node->runs = (uint16_t)runs;
	runs = 0;
	for (unsigned slot = 0; slot < SLOTS; slot = next_run(map, slot))
		node->values[runs++] = draft->slots[slot];
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
static uint32_t only_child(const struct draft *draft)
{
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		if (draft->slots[slot].child != 0)
			return draft->slots[slot].child;
		if (draft->slots[slot].best != 0)
			return draft->slots[slot].best | CHILD_TAIL;
	}
	return 0;
}

/* Makes the draft what link leads to, in the place of the node `old` (0: a new one). */
static void put(struct prefix_trie *trie, struct prefix_trie_slot *link, uint32_t old,
	const struct draft *draft)
{
	uint64_t map[SLOTS / 64];
	unsigned size;

	if (draft->prefixes + draft->children < 2) {
		link->child = only_child(draft);
		node_give(trie, old);
		return;
	}
	size = size_for(map_runs(draft, map));
	if (old == 0 || node_at(trie, old)->size != size) {
		link->child = node_take(trie, size);
		if (old != 0)
			node_give(trie, old);
	}
	if (link->child != 0) {
		pack(draft, map, size, node_at(trie, link->child));
		return;
	}
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		if (is_node(draft->slots[slot].child))
			drop_below(trie, draft->slots[slot].child);
	}
	link->child = CHILD_TREE;
}

/* The slots of one step that a prefix ending in it covers: the first one of 1 << bits. */
static unsigned range_of(const struct prefix_entry *entry, uint32_t depth, unsigned *count)
{
	*count = 1U << (depth + STEP_BITS - entry->hop.length);
	return step_at(entry->bits, depth);
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
static void draft_entry(const struct prefix_trie *trie, struct draft *draft, uint32_t number)
{
	const struct prefix_entry *entry = entry_at(trie, number);
	unsigned first = step_at(entry->bits, draft->depth), count;

	if (entry->hop.length > draft->depth + STEP_BITS) {
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
	return RTE_ALIGN_FLOOR(RTE_MIN(bits_common(a, b), least_length - 1), (uint32_t)STEP_BITS);
}

/* A new node between link and what it leads to, a tail or a node, for that and the entry. */
static void part(struct prefix_trie *trie, struct prefix_trie_slot *link, uint32_t number)
{
	const struct prefix_entry *entry = entry_at(trie, number);
	uint32_t child = link->child, length = entry->hop.length;
	struct draft draft = {0};
	const uint64_t *bits;

	if (is_node(child)) {
		bits = node_at(trie, child)->bits;
		draft.depth = parting_step(bits, entry->bits, length);
		draft.slots[step_at(bits, draft.depth)].child = child;
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

/* Adds to the node that link leads to. */
static void amend(struct prefix_trie *trie, struct prefix_trie_slot *link, uint32_t number)
{
	struct draft draft;

	unpack(node_at(trie, link->child), &draft);
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
		value = value_at(node, step_at(entry->bits, node->depth));
		if (entry->hop.length <= node->depth + STEP_BITS || value->child == 0) {
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
	struct draft draft;
	unsigned first, count;

	unpack(node_at(trie, link->child), &draft);
	if (entry->hop.length > draft.depth + STEP_BITS) {
		draft.slots[step_at(entry->bits, draft.depth)].child = 0;
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
		struct prefix_trie_slot *value = value_at(node, step_at(entry->bits, node->depth));

		if (entry->hop.length <= node->depth + STEP_BITS ||
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
	       ((size_t)prefixes + LINES_NONE) * LINE;
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
