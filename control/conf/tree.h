/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * YAML as a tree of mappings, lists and scalars with the place of each in the file, and nothing
 * of what they mean. Refuses what YAML allows and a configuration must not have: anchors, tags,
 * merge keys, duplicate keys, several documents, deep nesting. Internal to control/conf.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <uthash.h>

#include "common/base/pool.h"
#include "control/diag/diag.h"

enum conf_kind {
	CONF_SCALAR,
	CONF_MAP,
	CONF_LIST,
};

/* Lies in the pool it was read into. Children of a map are its values, in the order of the file,
 * each with its key. */
struct conf_node {
	enum conf_kind kind;
	bool quoted; /* a scalar in quotes or a block: always text */
	struct diag_mark mark;
	struct diag_mark key_mark; /* of the key, for a value in a map */
	const char *key;           /* NULL outside a map */
	bool key_quoted;
	const char *text; /* scalars; NUL-free */
	struct conf_node *parent;
	struct conf_node **children;
	size_t n_children;
	struct conf_node *chain; /* every node, also those that hang nowhere, from the root on */
	size_t index;            /* among the parent's children */
	struct conf_node *by_key;
	UT_hash_handle hh; /* among the parent's by_key */
};

/* NULL if the text is not YAML; every refusal is in diag, and a tree may be returned beside them.
 * Its marks are in this source of the report's. */
struct conf_node *conf_tree_read(
	struct pool *pool, const char *text, size_t size, struct diag *diag, uint32_t source);

/* Moves a child of one map to the end of another one, where its key must be free. The array of
 * children grows in `pool`. */
void conf_tree_move(struct pool *pool, struct conf_node *map, struct conf_node *child);

/* Moves the items of a list to the end of another one. */
void conf_tree_append(struct pool *pool, struct conf_node *list, struct conf_node *items);

/* From now on conf_tree_release(root) is for both. */
void conf_tree_adopt(struct conf_node *root, struct conf_node *other);

/* The value as JSON: scalars as text, plain true and false and decimals as such. A new reference.
 */
json_t *conf_tree_json(const struct conf_node *node);

/* Drops the hash tables, which lie outside the pool. */
void conf_tree_release(struct conf_node *root);

/* The value of a key, or NULL. */
struct conf_node *conf_tree_get(const struct conf_node *map, const char *key);

/* The node at "peers.anna.groups[0]", or the deepest one on the way there. */
struct conf_node *conf_tree_find(struct conf_node *root, const char *path);

/* The path of a node, in the pool. */
const char *conf_tree_path(struct pool *pool, const struct conf_node *node);
