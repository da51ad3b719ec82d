/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where each value comes from: its place in the files, or the default that holds without one. The
 * tables that read the file are walked beside the tree, and beside objects that nobody has set.
 */
#include <stdlib.h>
#include <string.h>

#include "control/conf/conf_priv.h"
#include "control/progress/progress.h"

struct tracing {
	struct pool *pool;
	const struct diag *diag;
	json_t *list;
};

static void walk(struct tracing *t, const struct conf_node *node, const struct conf_field *fields,
	const void *object, const char *path);

static const char *join(struct tracing *t, const char *path, const char *key)
{
	return path[0] == '\0' ? key : pool_printf(t->pool, "%s.%s", path, key);
}

static void add(struct tracing *t, const char *path, json_t *value, const char *origin)
{
	json_array_append_new(t->list,
		json_pack("{s:s, s:o, s:s}", "path", path, "value", value, "origin", origin));
}

/* Written where a reference to it, or the name of its file, belongs. */
static bool is_secret(const struct conf_field *field, const struct conf_node *node)
{
	struct key key;
	bool is_key;

	if (node->kind != CONF_SCALAR)
		return field->read == conf_read_secret;
	is_key = key_parse(node->text, &key) == 0;
	key_wipe(&key);
	return field->read == conf_read_secret ? !conf_is_secret_ref(node->text)
					       : field->shape == CONF_SHAPE_FILE && is_key;
}

static void add_given(struct tracing *t, const char *path, const struct conf_field *field,
	const struct conf_node *node)
{
	const struct diag_mark *mark = node->key != NULL ? &node->key_mark : &node->mark;

	add(t, path, is_secret(field, node) ? json_string("***") : conf_tree_json(node),
		pool_printf(t->pool, "%s:%u", diag_source_name(t->diag, mark->source), mark->line));
}

static json_t *word_json(const struct conf_word *words, int value)
{
	for (; words->word != NULL; words++) {
		if (words->value == value)
			return json_string(words->word);
	}
	return NULL;
}

/* Outside its range a number says that it is worked out: from other settings, or the machine. */
static json_t *number_json(const struct conf_field *field, long value)
{
	return value < field->min || value > field->max ? json_string("automatic")
							: json_integer(value);
}

/* NULL where nothing holds without a value, as of lists. */
static json_t *default_json(const struct conf_field *field, const void *value)
{
	if (field->required)
		return NULL;
	if (field->read == conf_read_bool)
		return json_boolean(*(const bool *)value);
	if (field->shape == CONF_SHAPE_BOOL) /* keep_parity: its opposite is kept */
		return json_boolean(!*(const bool *)value);
	if (field->read == conf_read_allow)
		return json_string(*(const bool *)value ? "allow" : "deny");
	if (field->read == conf_read_u16)
		return number_json(field, *(const uint16_t *)value);
	if (field->read == conf_read_u32)
		return number_json(field, *(const uint32_t *)value);
	if (field->read == conf_read_word)
		return word_json(field->words, *(const int *)value);
	if ((field->read == conf_read_text || field->shape == CONF_SHAPE_FILE ||
		    field->read == conf_read_name) &&
		*(const char *const *)value != NULL)
		return json_string(*(const char *const *)value);
	return NULL;
}

static void walk_named(struct tracing *t, const struct conf_node *node,
	const struct conf_field *field, const char *path)
{
	const void *object = conf_object_defaults(t->pool, field->kind);

	for (size_t i = 0; node != NULL && i < node->n_children; i++)
		walk(t, node->children[i], conf_object_fields(field->kind), object,
			join(t, path, node->children[i]->key));
}

static void walk_list(struct tracing *t, const struct conf_node *node,
	const struct conf_field *field, const char *path)
{
	const void *object = conf_item_defaults(t->pool, field);

	for (size_t i = 0; node != NULL && i < node->n_children; i++)
		walk(t, node->children[i], field->fields, object,
			pool_printf(t->pool, "%s[%zu]", path, i));
}

static void walk_field(struct tracing *t, const struct conf_node *node,
	const struct conf_field *field, const void *value, const char *path)
{
	const struct conf_field *fields = field->fields;
	json_t *holds;

	if (field->shape == CONF_SHAPE_NAMED && (node == NULL || node->kind == CONF_MAP)) {
		walk_named(t, node, field, path);
	} else if (field->shape == CONF_SHAPE_LIST && (node == NULL || node->kind == CONF_LIST)) {
		walk_list(t, node, field, path);
	} else if (fields != NULL && (node == NULL || node->kind == CONF_MAP)) {
		walk(t, node, fields, value, path);
	} else if (node != NULL) {
		add_given(t, path, field, node);
	} else {
		holds = default_json(field, value);
		if (holds != NULL)
			add(t, path, holds, "default");
	}
}

/* Another key of the same value is given, such as private_key beside private_key_file. */
static bool is_given_otherwise(const struct conf_node *node, const struct conf_field *fields,
	const struct conf_field *field)
{
	for (; node != NULL && node->kind == CONF_MAP && fields->key != NULL; fields++) {
		if (fields != field && field->fields == NULL && fields->fields == NULL &&
			fields->offset == field->offset && conf_tree_get(node, fields->key) != NULL)
			return true;
	}
	return false;
}

/* node NULL: none of it is given. */
static void walk(struct tracing *t, const struct conf_node *node, const struct conf_field *fields,
	const void *object, const char *path)
{
	for (const struct conf_field *field = fields; field->key != NULL; field++) {
		const struct conf_node *child = node == NULL || node->kind != CONF_MAP
							? NULL
							: conf_tree_get(node, field->key);

		if (child != NULL || !is_given_otherwise(node, fields, field))
			walk_field(t, child, field, (const char *)object + field->offset,
				join(t, path, field->key));
	}
}

json_t *conf_origins(const struct conf_files *files, struct diag *diag)
{
	struct tracing t = {.pool = pool_create(), .diag = diag};
	struct conf_node *root = conf_merge(t.pool, files, diag);
	struct model *defaults = model_create();

	if (root != NULL) {
		t.list = json_array();
		walk(&t, root, conf_root_fields(), defaults, "");
	}
	model_destroy(&defaults);
	conf_tree_release(root);
	pool_destroy(&t.pool);
	progress_end();
	return t.list;
}
