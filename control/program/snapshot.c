/* SPDX-License-Identifier: BSD-3-Clause */
/* Configurations compiled: to be brought into force, or only to look at what they would be. */
#include "control/program/program_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "control/conf/conf.h"

LOG_TYPE(program);

struct snapshot *snapshot_get(struct snapshot *snapshot)
{
	if (snapshot != NULL)
		snapshot->refs++;
	return snapshot;
}

void snapshot_put(struct snapshot **snapshot)
{
	if (*snapshot != NULL && --(*snapshot)->refs == 0) {
		compile_destroy(&(*snapshot)->compiled);
		model_destroy(&(*snapshot)->model);
		free(*snapshot);
	}
	*snapshot = NULL;
}

struct compiled *snapshot_compile(
	struct program *p, struct store *store, const struct model *model, char *text, size_t size)
{
	struct compile_input input = {
		.model = model,
		.store = store,
		.state_dir = p->state_dir,
		.underlay = !p->mirrored,
		.down = p->down,
		.n_down = p->n_down,
	};
	struct compiled *compiled = NULL;
	const char *what = model->wireguard.private_key_file;
	struct key private_key;
	int error;

	/* A preview makes no key: there may be none yet. */
	if (store == p->store)
		error = conf_key_file_obtain(p->state_dir, what, &private_key);
	else
		error = conf_key_file_read(p->state_dir, what, true, &private_key);
	if (error == -ENOENT && store != p->store) {
		error = 0;
		key_wipe(&private_key);
	} else {
		input.private_key = &private_key;
	}
	if (error == 0) {
		store_ids_begin(store);
		compiled = compile_model(&input, &error, &what);
	}
	key_wipe(&private_key);
	if (compiled == NULL)
		snprintf(text, size, "%s: %s", what, strerror(-error));
	else if (store == p->store && store_save(store) < 0)
		log_warn(program, "ids are not written: a restart may send more than needed");
	return compiled;
}

struct desired snapshot_desired(
	const struct program *p, const struct compiled *compiled, struct pool *pool)
{
	struct desired kernel = mirror_list(&p->mirror, pool);
	struct desired named = names_list(p->resolve, compiled, pool);
	struct desired all = desired_merge(pool, &compiled->desired, &kernel);

	return desired_merge(pool, &named, &all);
}

struct program_preview *program_preview(
	struct program *p, struct model *model, char *text, size_t size)
{
	const struct desired *now = program_desired(p);
	struct program_preview *preview = check(calloc(1, sizeof(*preview)));
	struct snapshot *snapshot = check(calloc(1, sizeof(*snapshot)));
	struct compile_steps steps;
	struct store *ids;
	int error;

	snapshot->refs = 1;
	snapshot->model = model_extend(model);
	model_destroy(&model);
	added_carry(p->store, p->current != NULL ? p->current->model : NULL, snapshot->model);
	selected_carry(p->store, p->current != NULL ? p->current->model : NULL, snapshot->model);
	preview->snapshot = snapshot;
	preview->pool = pool_create();
	ids = store_copy_ids(p->store, &error);
	if (ids == NULL)
		snprintf(text, size, "the store: %s", strerror(-error));
	else
		snapshot->compiled = snapshot_compile(p, ids, snapshot->model, text, size);
	store_close(&ids);
	preview->compiled = snapshot->compiled;
	if (preview->compiled == NULL) {
		program_preview_destroy(&preview);
		return NULL;
	}
	preview->desired = snapshot_desired(p, preview->compiled, preview->pool);
	steps = desired_diff(preview->pool, now, &preview->desired, NULL, NULL);
	preview->sets = steps.sets;
	preview->deletions = steps.deletions;
	return preview;
}

void program_preview_destroy(struct program_preview **preview)
{
	if (*preview == NULL)
		return;
	snapshot_put(&(*preview)->snapshot);
	pool_destroy(&(*preview)->pool);
	free(*preview);
	*preview = NULL;
}
