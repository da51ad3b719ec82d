/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a file to a checked model: read, tree (tree.c), values (read.c, by the tables of
 * sections.c), relations (control/model). Each stage goes on after errors as far as its input can
 * be trusted, and all findings end in one report. The model exists for the caller only if there was
 * no error at all.
 */
#include "control/conf/conf_priv.h"
#include "control/progress/progress.h"

#include <string.h>

/* An object is pointed at by its name, a value by itself. */
static struct diag_mark mark_of(const struct conf_node *node)
{
	if (node->key != NULL && node->kind != CONF_SCALAR)
		return node->key_mark;
	return node->mark;
}

/* Gives a finding of the model its place: the node at its path, or the nearest one above it. */
static void report_model(void *context, enum diag_code code, const char *path, const char *message,
	const char *hint, const char *see)
{
	struct conf_reader *r = context;
	const struct conf_node *node = conf_tree_find(r->root, path);

	if (see != NULL) {
		const struct conf_node *other = conf_tree_find(r->root, see);

		struct diag_mark mark = mark_of(other);
		bool elsewhere = mark.source != mark_of(node).source;

		hint = pool_printf(r->pool, "%.*s (%s%s %u)?", (int)strcspn(hint, "?"), hint,
			elsewhere ? diag_source_name(r->diag, mark.source) : "",
			elsewhere ? " line" : "line", mark.line);
	}
	diag_add(r->diag, code, mark_of(node), path, hint, "%s", message);
}

struct model *conf_files_parse(
	const struct conf_files *files, const char *state_dir, struct diag *diag, json_t **json)
{
	struct pool *pool = pool_create();
	struct model *model = model_create();
	struct conf_reader reader = {
		.pool = model->pool,
		.model = model,
		.diag = diag,
		.state_dir = state_dir,
	};
	struct model_reporter reporter = {.report = report_model, .context = &reader};

	if (json != NULL)
		*json = NULL;
	reader.root = conf_merge(pool, files, diag);
	if (reader.root != NULL) {
		conf_read_root(&reader, reader.root);
		/* Its own findings are counted by diag as well. */
		if (!model_check(model, &reporter) || diag_errors(diag) > 0)
			model_destroy(&model);
		else if (json != NULL)
			*json = conf_tree_json(reader.root);
	} else {
		model_destroy(&model);
	}
	conf_tree_release(reader.root);
	pool_destroy(&pool);
	progress_end();
	return model;
}

struct model *conf_parse(
	const char *file, const char *text, size_t size, const char *state_dir, struct diag **diag)
{
	struct conf_files *files = conf_files_create(file);
	struct model *model;

	conf_files_add(files, file, text, size);
	*diag = diag_create(file, text, size);
	model = conf_files_parse(files, state_dir, *diag, NULL);
	conf_files_destroy(&files);
	return model;
}

struct model *conf_load(const char *file, const char *state_dir, struct diag **diag)
{
	struct conf_files *files = conf_files_read(file, diag);
	struct model *model =
		files == NULL ? NULL : conf_files_parse(files, state_dir, *diag, NULL);

	conf_files_destroy(&files);
	return model;
}
