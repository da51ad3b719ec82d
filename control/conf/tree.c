/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libyaml's events become a tree. The events are used rather than its documents, because a
 * document has already resolved aliases and kept the last of two equal keys in silence.
 */
#include "control/conf/tree.h"
#include "control/progress/progress.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum {
	DEPTH_MAX = 16,
	TEXT_BYTES_MAX = 256 << 20,
	LARGE_BYTES = 1 << 20, /* it takes some time to read */
};

struct builder {
	yaml_parser_t parser;
	struct pool *pool;
	struct diag *diag;
	uint32_t source;
	const char *text;
	size_t size;
	struct conf_node *root;
	struct conf_node *open[DEPTH_MAX];
	size_t depth;
	/* A key read in a map whose value comes next. */
	const char *key;
	bool key_quoted;
	struct diag_mark key_mark;
	bool failed; /* nothing after this place can be trusted */
};

static struct diag_mark mark_of(
	const struct builder *b, const yaml_mark_t *start, const yaml_mark_t *end)
{
	struct diag_mark mark = {
		.line = (uint32_t)start->line + 1,
		.column = (uint32_t)start->column + 1,
		.length = 1,
		.source = b->source,
	};

	if (end != NULL && end->line == start->line && end->column > start->column)
		mark.length = (uint32_t)(end->column - start->column);
	return mark;
}

static void refuse(struct builder *b, enum diag_code code, struct diag_mark mark, const char *hint,
	const char *message)
{
	diag_add(b->diag, code, mark, NULL, hint, "%s", message);
}

static struct conf_node *top(const struct builder *b)
{
	return b->depth == 0 ? NULL : b->open[b->depth - 1];
}

static bool awaits_key(const struct builder *b)
{
	return top(b) != NULL && top(b)->kind == CONF_MAP && b->key == NULL;
}

static void add_to_map(struct builder *b, struct conf_node *map, struct conf_node *node)
{
	struct conf_node *first = conf_tree_get(map, b->key);

	node->key = b->key;
	node->key_quoted = b->key_quoted;
	node->key_mark = b->key_mark;
	b->key = NULL;
	if (first != NULL) {
		diag_add(b->diag, DIAG_DUPLICATE_KEY, node->key_mark,
			conf_tree_path(b->pool, first), NULL,
			"key '%s' stands here already, in line %u", node->key,
			first->key_mark.line);
		return; /* its value is read, and hangs nowhere */
	}
	HASH_ADD_KEYPTR(hh, map->by_key, node->key, strlen(node->key), node);
	node->index = map->n_children;
	map->children = pool_grow(b->pool, map->children, map->n_children, sizeof(void *));
	map->children[map->n_children++] = node;
}

static struct conf_node *add_node(struct builder *b, enum conf_kind kind, struct diag_mark mark)
{
	struct conf_node *node = pool_alloc(b->pool, sizeof(*node));
	struct conf_node *parent = top(b);

	node->kind = kind;
	node->mark = mark;
	node->parent = parent;
	if (parent == NULL) {
		b->root = node;
	} else {
		node->chain = b->root->chain;
		b->root->chain = node;
	}
	if (parent == NULL) {
		return node;
	} else if (parent->kind == CONF_MAP) {
		add_to_map(b, parent, node);
	} else {
		node->index = parent->n_children;
		parent->children =
			pool_grow(b->pool, parent->children, parent->n_children, sizeof(void *));
		parent->children[parent->n_children++] = node;
	}
	return node;
}

static bool has_anchor(
	struct builder *b, const yaml_char_t *anchor, const yaml_char_t *tag, struct diag_mark mark)
{
	if (anchor != NULL)
		refuse(b, DIAG_ANCHOR, mark, NULL, "anchors are not used here");
	else if (tag != NULL)
		refuse(b, DIAG_ANCHOR, mark, NULL, "tags are not used here");
	return anchor != NULL || tag != NULL;
}

static void read_key(struct builder *b, const yaml_event_t *event, struct diag_mark mark)
{
	const char *text = (const char *)event->data.scalar.value;

	b->key = pool_strdup(b->pool, text);
	b->key_quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	b->key_mark = mark;
	if (!b->key_quoted && strcmp(text, "<<") == 0)
		refuse(b, DIAG_ANCHOR, mark, NULL, "merge keys are not used here");
}

static void read_scalar(struct builder *b, const yaml_event_t *event, struct diag_mark mark)
{
	const char *text = (const char *)event->data.scalar.value;
	struct conf_node *node;

	has_anchor(b, event->data.scalar.anchor, event->data.scalar.tag, mark);
	if (strlen(text) != event->data.scalar.length) {
		refuse(b, DIAG_ENCODING, mark, NULL, "a NUL character in the text");
		b->failed = true;
		return;
	}
	if (awaits_key(b)) {
		read_key(b, event, mark);
		return;
	}
	node = add_node(b, CONF_SCALAR, mark);
	node->text = pool_strdup(b->pool, text);
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
}

static void open_collection(struct builder *b, enum conf_kind kind, struct diag_mark mark)
{
	if (awaits_key(b)) {
		refuse(b, DIAG_WRONG_KIND, mark, NULL, "a key must be a single word");
		b->failed = true;
		return;
	}
	if (b->depth == DEPTH_MAX) {
		refuse(b, DIAG_TOO_DEEP, mark, NULL, "nested more than 16 levels deep");
		b->failed = true;
		return;
	}
	struct conf_node *node = add_node(b, kind, mark);
	b->open[b->depth++] = node;
}

static void read_event(struct builder *b, const yaml_event_t *event)
{
	struct diag_mark mark = mark_of(b, &event->start_mark, &event->end_mark);

	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->root != NULL) {
			refuse(b, DIAG_DOCUMENTS, mark, NULL, "a second document begins here");
			b->failed = true;
		}
		break;
	case YAML_ALIAS_EVENT:
		refuse(b, DIAG_ANCHOR, mark, NULL, "aliases are not used here");
		b->failed = true;
		break;
	case YAML_SCALAR_EVENT:
		read_scalar(b, event, mark);
		break;
	case YAML_MAPPING_START_EVENT:
		mark.length = 1;
		has_anchor(
			b, event->data.mapping_start.anchor, event->data.mapping_start.tag, mark);
		open_collection(b, CONF_MAP, mark);
		break;
	case YAML_SEQUENCE_START_EVENT:
		mark.length = 1;
		has_anchor(
			b, event->data.sequence_start.anchor, event->data.sequence_start.tag, mark);
		open_collection(b, CONF_LIST, mark);
		break;
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		b->depth--;
		break;
	default:
		break;
	}
}

/* True if there is a tab among the blanks before the place where the scanner gave up, or there. */
static bool tab_at(const struct builder *b, const yaml_mark_t *mark)
{
	size_t at = mark->index;

	if (at >= b->size)
		return false;
	if (b->text[at] == '\t')
		return true;
	while (at > 0 && (b->text[at - 1] == ' ' || b->text[at - 1] == '\t')) {
		if (b->text[--at] == '\t')
			return true;
	}
	return false;
}

static void report_parser_error(struct builder *b)
{
	const yaml_parser_t *p = &b->parser;
	struct diag_mark mark = mark_of(b, &p->problem_mark, NULL);

	if (p->error == YAML_READER_ERROR) {
		/* The reader knows bytes, not lines. */
		mark = (struct diag_mark){.line = 1, .column = 1, .length = 1, .source = b->source};
		for (size_t i = 0; i < p->problem_offset && i < b->size; i++) {
			mark.column++;
			if (b->text[i] == '\n') {
				mark.line++;
				mark.column = 1;
			}
		}
		diag_add(
			b->diag, DIAG_ENCODING, mark, NULL, NULL, "not UTF-8 text: %s", p->problem);
	} else if (p->error == YAML_SCANNER_ERROR && tab_at(b, &p->problem_mark)) {
		refuse(b, DIAG_TAB, mark, "use spaces", "a tab where indentation is meant");
	} else if (p->context != NULL) {
		diag_add(b->diag, DIAG_SYNTAX, mark, NULL, NULL, "not YAML: %s (%s in line %zu)",
			p->problem, p->context, p->context_mark.line + 1);
	} else {
		diag_add(b->diag, DIAG_SYNTAX, mark, NULL, NULL, "not YAML: %s",
			p->problem == NULL ? "out of memory" : p->problem);
	}
	b->failed = true;
}

static void read_events(struct builder *b)
{
	bool done = false;

	while (!done && !b->failed) {
		yaml_event_t event;

		if (yaml_parser_parse(&b->parser, &event) == 0) {
			report_parser_error(b);
			return;
		}
		done = event.type == YAML_STREAM_END_EVENT;
		if (event.type == YAML_MAPPING_END_EVENT && b->size >= LARGE_BYTES)
			progress_step("reading the configuration", PROGRESS_BYTES,
				event.end_mark.index, b->size);
		read_event(b, &event);
		yaml_event_delete(&event);
	}
}

struct conf_node *conf_tree_read(
	struct pool *pool, const char *text, size_t size, struct diag *diag, uint32_t source)
{
	struct builder b = {
		.pool = pool, .diag = diag, .source = source, .text = text, .size = size};
	struct diag_mark start = {.line = 1, .column = 1, .length = 1, .source = source};

	if (size > TEXT_BYTES_MAX) {
		refuse(&b, DIAG_TOO_DEEP, start, NULL, "larger than 256 MiB");
		return NULL;
	}
	if (yaml_parser_initialize(&b.parser) == 0) {
		refuse(&b, DIAG_SYNTAX, start, NULL, "out of memory");
		return NULL;
	}
	yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, size);
	read_events(&b);
	yaml_parser_delete(&b.parser);
	if (b.failed) {
		conf_tree_release(b.root);
		return NULL;
	}
	if (b.root == NULL)
		refuse(&b, DIAG_EMPTY, start,
			source == 0 ? "begin with `version: 1`" : "remove it, or write {}",
			"the file is empty");
	return b.root;
}

void conf_tree_release(struct conf_node *root)
{
	for (struct conf_node *node = root; node != NULL; node = node->chain)
		HASH_CLEAR(hh, node->by_key);
}

/* pool_grow()'s rule with memory of the pool that the tree is in: nodes know none, so the array
 * of a grown parent comes from `pool`. */
static void add_child(struct pool *pool, struct conf_node *parent, struct conf_node *child)
{
	child->parent = parent;
	child->index = parent->n_children;
	parent->children = pool_grow(pool, parent->children, parent->n_children, sizeof(void *));
	parent->children[parent->n_children++] = child;
}

void conf_tree_move(struct pool *pool, struct conf_node *map, struct conf_node *child)
{
	HASH_DEL(child->parent->by_key, child);
	add_child(pool, map, child);
	HASH_ADD_KEYPTR(hh, map->by_key, child->key, strlen(child->key), child);
}

void conf_tree_append(struct pool *pool, struct conf_node *list, struct conf_node *items)
{
	for (size_t i = 0; i < items->n_children; i++)
		add_child(pool, list, items->children[i]);
}

void conf_tree_adopt(struct conf_node *root, struct conf_node *other)
{
	struct conf_node *last = other;

	while (last->chain != NULL)
		last = last->chain;
	last->chain = root->chain;
	root->chain = other;
}

/* Text as the reader of values will take it, so that 0x10 is not made a number here. */
static json_t *scalar_json(const struct conf_node *node)
{
	size_t length = strlen(node->text);

	if (!node->quoted && strcmp(node->text, "true") == 0)
		return json_true();
	if (!node->quoted && strcmp(node->text, "false") == 0)
		return json_false();
	if (!node->quoted && length > 0 && length < 16 &&
		strspn(node->text, "0123456789") == length && (node->text[0] != '0' || length == 1))
		return json_integer(strtoll(node->text, NULL, 10));
	return json_string(node->text);
}

json_t *conf_tree_json(const struct conf_node *node)
{
	json_t *json;

	if (node->kind == CONF_SCALAR)
		return scalar_json(node);
	json = node->kind == CONF_MAP ? json_object() : json_array();
	for (size_t i = 0; i < node->n_children; i++) {
		const struct conf_node *child = node->children[i];

		if (node->kind == CONF_MAP)
			json_object_set_new(json, child->key, conf_tree_json(child));
		else
			json_array_append_new(json, conf_tree_json(child));
	}
	return json;
}

struct conf_node *conf_tree_get(const struct conf_node *map, const char *key)
{
	struct conf_node *node = NULL;

	if (map->kind == CONF_MAP)
		HASH_FIND(hh, map->by_key, key, strlen(key), node);
	return node;
}

/* One step: ".key" or "[index]"; advances *path past it. NULL if there is no such child. */
static struct conf_node *step(const struct conf_node *node, const char **path)
{
	char key[128];
	size_t length;

	if (**path == '[') {
		char *end;
		unsigned long i = strtoul(*path + 1, &end, 10);

		*path = *end == ']' ? end + 1 : end;
		return node->kind == CONF_LIST && i < node->n_children ? node->children[i] : NULL;
	}
	if (**path == '.')
		(*path)++;
	length = strcspn(*path, ".[");
	if (length == 0 || length >= sizeof(key))
		return NULL;
	memcpy(key, *path, length);
	key[length] = '\0';
	*path += length;
	return conf_tree_get(node, key);
}

struct conf_node *conf_tree_find(struct conf_node *root, const char *path)
{
	struct conf_node *node = root;

	while (*path != '\0') {
		struct conf_node *child = step(node, &path);

		if (child == NULL)
			break;
		node = child;
	}
	return node;
}

const char *conf_tree_path(struct pool *pool, const struct conf_node *node)
{
	const char *parent;

	if (node->parent == NULL)
		return "";
	parent = conf_tree_path(pool, node->parent);
	if (node->key == NULL)
		return pool_printf(pool, "%s[%zu]", parent, node->index);
	return pool_printf(pool, "%s%s%s", parent, parent[0] == '\0' ? "" : ".", node->key);
}
