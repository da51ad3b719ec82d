/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/route/prefix_tree.h"

#include <assert.h>
#include <rte_common.h>
#include <string.h>

#include "dataplane/route/prefix_bits.h"

struct key {
	uint64_t bits[2];
	uint32_t length;
	unsigned root;
};

static struct key key_of(uint8_t family, const uint8_t *bytes, uint32_t length)
{
	struct key key = {.length = length, .root = family == ADDR_V6};

	bits_of(family, bytes, key.bits);
	return key;
}

/* Bit number n (0 is the first); n < 128. */
static unsigned bit_at(const uint64_t bits[2], uint32_t n)
{
	return bits[n / 64] >> (63 - n % 64) & 1;
}

static bool covers(const struct prefix_tree_node *node, const struct key *key)
{
	return node->length <= key->length && bits_agree(node->bits, key->bits, node->length);
}

static uint32_t node_take(struct prefix_tree *tree, const struct key *key, uint32_t length)
{
	uint32_t index = tree->free;
	struct prefix_tree_node *node;

	if (index != 0)
		tree->free = tree->nodes[index].parent;
	else
		index = ++tree->high;
	assert(index <= tree->max);
	node = &tree->nodes[index];
	*node = (struct prefix_tree_node){.bits = {key->bits[0], key->bits[1]}, .length = length};
	bits_cut(node->bits, length);
	return index;
}

static void node_give(struct prefix_tree *tree, uint32_t index)
{
	tree->nodes[index] = (struct prefix_tree_node){.parent = tree->free};
	tree->free = index;
}

size_t prefix_tree_bytes(uint32_t prefixes)
{
	return (2 * (size_t)prefixes + 1) * sizeof(struct prefix_tree_node);
}

void prefix_tree_init(struct prefix_tree *tree, struct prefix_tree_node *nodes, uint32_t prefixes)
{
	*tree = (struct prefix_tree){.nodes = nodes, .max = 2 * prefixes};
}

/* The last node on the way to key that covers it, whether it is a prefix or not; 0 if none. */
static uint32_t last_covering(const struct prefix_tree *tree, const struct key *key)
{
	uint32_t index = tree->root[key->root], last = 0;

	while (index != 0 && covers(&tree->nodes[index], key)) {
		const struct prefix_tree_node *node = &tree->nodes[index];

		last = index;
		if (node->length == key->length)
			break;
		index = node->child[bit_at(key->bits, node->length)];
	}
	return last;
}

uint32_t prefix_tree_get(const struct prefix_tree *tree, const struct prefix *prefix)
{
	struct key key = key_of(prefix->family, prefix->bytes, prefix->length);
	uint32_t index = last_covering(tree, &key);
	const struct prefix_tree_node *node = &tree->nodes[index];

	return index != 0 && node->length == key.length && node->value != 0 ? index : 0;
}

/* Hangs a node under another (0: at the root) in the place of what was there. */
static void put_under(struct prefix_tree *tree, uint32_t parent, unsigned root, uint32_t index)
{
	struct prefix_tree_node *node = &tree->nodes[index];

	node->parent = parent;
	if (parent == 0)
		tree->root[root] = index;
	else
		tree->nodes[parent].child[bit_at(node->bits, tree->nodes[parent].length)] = index;
}

uint32_t prefix_tree_add(struct prefix_tree *tree, const struct prefix *prefix)
{
	struct key key = key_of(prefix->family, prefix->bytes, prefix->length);
	uint32_t above = last_covering(tree, &key), below, fork, index;
	struct prefix_tree_node *node;
	uint32_t same;

	if (above != 0 && tree->nodes[above].length == key.length)
		return above;
	below = above == 0 ? tree->root[key.root]
			   : tree->nodes[above].child[bit_at(key.bits, tree->nodes[above].length)];
	index = node_take(tree, &key, key.length);
	if (below == 0) {
		put_under(tree, above, key.root, index);
		return index;
	}
	node = &tree->nodes[below];
	same = RTE_MIN(bits_common(node->bits, key.bits), RTE_MIN(node->length, key.length));
	if (same == key.length) { /* it comes between the two */
		put_under(tree, above, key.root, index);
		put_under(tree, index, key.root, below);
		return index;
	}
	fork = node_take(tree, &key, same);
	put_under(tree, above, key.root, fork);
	put_under(tree, fork, key.root, below);
	put_under(tree, fork, key.root, index);
	return index;
}

/* A node that is no prefix goes, unless two ways part at it; so may the one above it. */
void prefix_tree_remove(struct prefix_tree *tree, uint32_t index)
{
	tree->nodes[index].value = 0;
	while (index != 0 && tree->nodes[index].value == 0) {
		struct prefix_tree_node *node = &tree->nodes[index];
		uint32_t parent = node->parent, child = node->child[0] | node->child[1];
		unsigned root = tree->root[1] == index;

		if (node->child[0] != 0 && node->child[1] != 0)
			return;
		if (child != 0)
			put_under(tree, parent, root, child);
		else if (parent == 0)
			tree->root[root] = 0;
		else
			tree->nodes[parent].child[tree->nodes[parent].child[1] == index] = 0;
		node_give(tree, index);
		index = parent;
	}
}

void prefix_tree_clear(struct prefix_tree *tree)
{
	memset(&tree->nodes[1], 0, tree->high * sizeof(tree->nodes[0]));
	tree->high = tree->free = tree->root[0] = tree->root[1] = 0;
}

/* The node, or the next one above it that is a prefix. */
static uint32_t up_to_prefix(const struct prefix_tree *tree, uint32_t index)
{
	while (index != 0 && tree->nodes[index].value == 0)
		index = tree->nodes[index].parent;
	return index;
}

uint32_t prefix_tree_longest(const struct prefix_tree *tree, const struct addr *addr)
{
	struct key key = key_of(addr->family, addr->bytes, addr_bits(addr->family));

	return up_to_prefix(tree, last_covering(tree, &key));
}

uint32_t prefix_tree_shorter(const struct prefix_tree *tree, uint32_t node)
{
	return up_to_prefix(tree, tree->nodes[node].parent);
}
