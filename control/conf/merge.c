/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several files as one tree. Names of objects come together, lists go one after the other in the
 * order of the files, and a key that two files set is an error in the later one: no file outweighs
 * another, so the order of files matters to lists only.
 */
#include <string.h>

#include "control/conf/conf_priv.h"
#include "control/progress/progress.h"

enum { MANY_FILES = 1000 }; /* peers of their own in peers.d: less is read in no time */

struct merging {
	struct pool *pool;
	struct diag *diag;
	struct conf_node *root;
};

static void report_twice(
	struct merging *m, const struct conf_node *first, const struct conf_node *child)
{
	diag_add(m->diag, DIAG_DUPLICATE_KEY, child->key_mark, conf_tree_path(m->pool, child),
		"keep one of them", "key '%s' stands in %s:%u already", child->key,
		diag_source_name(m->diag, first->key_mark.source), first->key_mark.line);
}

static const struct conf_field *find_field(const struct conf_field *fields, const char *key)
{
	while (fields != NULL && fields->key != NULL && strcmp(fields->key, key) != 0)
		fields++;
	return fields == NULL || fields->key == NULL ? NULL : fields;
}

/* fields: what the map may hold; NULL = names of objects. */
static void merge_maps(struct merging *m, struct conf_node *map, const struct conf_node *other,
	const struct conf_field *fields)
{
	for (size_t i = 0; i < other->n_children; i++) {
		struct conf_node *child = other->children[i];
		struct conf_node *first = conf_tree_get(map, child->key);
		const struct conf_field *field = find_field(fields, child->key);

		if (first == NULL)
			conf_tree_move(m->pool, map, child);
		else if (field != NULL && field->shape == CONF_SHAPE_LIST &&
			 first->kind == CONF_LIST && child->kind == CONF_LIST)
			conf_tree_append(m->pool, first, child);
		else if (field != NULL && first->kind == CONF_MAP && child->kind == CONF_MAP &&
			 (field->shape == CONF_SHAPE_NAMED || field->fields != NULL))
			merge_maps(m, first, child,
				field->shape == CONF_SHAPE_NAMED ? NULL : field->fields);
		else
			report_twice(m, first, child);
	}
}

/* Who removes a peer removes its file: nothing else may be lost with it. */
static void check_peer_file(struct merging *m, const struct conf_node *root, const char *name)
{
	const struct conf_node *peers = conf_tree_get(root, "peers");
	const char *base = strrchr(name, '/') + 1;
	size_t length = strlen(base) - strlen(".yaml");

	if (root->n_children == 1 && peers != NULL && peers->kind == CONF_MAP &&
		peers->n_children == 1 && strlen(peers->children[0]->key) == length &&
		memcmp(peers->children[0]->key, base, length) == 0)
		return;
	diag_add(m->diag, DIAG_PEER_FILE, root->mark, NULL, "other things belong in conf.d",
		"%s holds the peer '%.*s' under `peers:`, and nothing else", name, (int)length,
		base);
}

static struct conf_node *read_one(struct merging *m, const struct conf_file *file, uint32_t source)
{
	struct conf_node *root = conf_tree_read(m->pool, file->text, file->size, m->diag, source);

	if (root == NULL || source == 0)
		return root;
	if (root->kind != CONF_MAP) {
		diag_add(m->diag, DIAG_WRONG_KIND, root->mark, NULL, NULL,
			"a mapping is expected here");
		conf_tree_release(root);
		return NULL;
	}
	if (strncmp(file->name, CONF_PEERS_DIR "/", strlen(CONF_PEERS_DIR) + 1) == 0)
		check_peer_file(m, root, file->name);
	return root;
}

struct conf_node *conf_merge(struct pool *pool, const struct conf_files *files, struct diag *diag)
{
	struct merging m = {.pool = pool, .diag = diag};
	bool whole = true;

	for (size_t i = 0; i < files->n; i++) {
		const struct conf_file *file = &files->items[i];
		uint32_t source =
			i == 0 ? 0 : diag_add_source(diag, file->path, file->text, file->size);
		struct conf_node *root = read_one(&m, file, source);

		if (files->n >= MANY_FILES)
			progress_step("reading the configuration's files", PROGRESS_ITEMS, i + 1,
				files->n);
		if (root == NULL) {
			whole = false;
		} else if (m.root == NULL) {
			m.root = root;
		} else {
			conf_tree_adopt(m.root, root);
			if (m.root->kind == CONF_MAP)
				merge_maps(&m, m.root, root, conf_root_fields());
		}
	}
	/* What a lost file defines would be reported missing wherever it is named. */
	if (!whole) {
		conf_tree_release(m.root);
		return NULL;
	}
	return m.root;
}
