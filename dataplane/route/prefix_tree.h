/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prefixes of both families, each with a number, and the longest one that covers an address: a
 * binary tree whose nodes are prefixes and the places where two of them part. It takes the place of
 * rte_rib, whose nodes come from a memory pool that is written from end to end when it is made:
 * 5 KiB for each prefix that there might be, left and right, of both families. Here a node is 40
 * bytes, and memory that was never used is never touched.
 *
 * Not atomic: readers have another tree while one is written (worker.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/addr.h"

struct prefix_tree_node {
	uint64_t
		bits[2]; /* the prefix, host order, first bit in the highest; 0 behind its length */
	uint32_t child[2]; /* by the first bit behind it; 0 = none */
	uint32_t parent;   /* 0 = the root; of a node on the free list, the next one of it */
	uint32_t value;    /* 0 = no prefix, but two ways part here */
	uint32_t length;
};

struct prefix_tree {
	struct prefix_tree_node *nodes; /* the owner's; [0] is no node */
	uint32_t max;                   /* nodes beside [0] */
	uint32_t high;                  /* nodes [1..high] have been in use */
	uint32_t free;
	uint32_t root[2]; /* of IPv4, of IPv6 */
};

/* Bytes of nodes for so many prefixes: zeroes. A tree parts at most as often as it has leaves. */
size_t prefix_tree_bytes(uint32_t prefixes);
void prefix_tree_init(struct prefix_tree *tree, struct prefix_tree_node *nodes, uint32_t prefixes);

/* The node of this very prefix; 0 if there is none. */
uint32_t prefix_tree_get(const struct prefix_tree *tree, const struct prefix *prefix);

/* Its node, made if there was none; the caller gives a new one its value (never 0) at once. Asserts
 * that there is room: the caller keeps to the number of prefixes. */
uint32_t prefix_tree_add(struct prefix_tree *tree, const struct prefix *prefix);

/* The node of a prefix that is in the tree. */
void prefix_tree_remove(struct prefix_tree *tree, uint32_t node);

void prefix_tree_clear(struct prefix_tree *tree);

/* The node of the longest prefix that covers addr, and of the next shorter one; 0 if none does. */
uint32_t prefix_tree_longest(const struct prefix_tree *tree, const struct addr *addr);
uint32_t prefix_tree_shorter(const struct prefix_tree *tree, uint32_t node);
