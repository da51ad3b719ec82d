/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes in the order of their coming: one is brought into force at a time. */
#include "control/program/program_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"

LOG_TYPE(program);

/* The file's objects and what is in no file; NULL and *error if an edit will not have it. Takes
 * the waiter's model over. */
static struct model *next_model(
	struct program *p, struct waiter *w, int *error, char *text, size_t size)
{
	const struct model *current = p->current == NULL ? NULL : p->current->model;
	struct model *next;

	*error = 0;
	if (w->model != NULL) {
		next = model_extend(w->model);
		model_destroy(&w->model); /* the extension has it */
		added_carry(p->store, current, next);
		selected_carry(p->store, current, next);
		return next;
	}
	if (p->current == NULL) {
		*error = -EAGAIN;
		return NULL;
	}
	next = model_extend(p->current->model);
	if (w->selection != NULL)
		added_carry(p->store, current, next);
	else
		*error = w->edit(p->current->compiled, next, w->arg);
	selected_carry(p->store, current, next);
	if (w->selection != NULL)
		*error = selected_change(p->current->compiled, next, w->selection, text, size);
	if (*error < 0)
		model_destroy(&next);
	return next;
}

static void try_next(struct program *p, struct waiter *w)
{
	char text[320] = "";
	struct program_result result = {.text = text};
	struct snapshot *snapshot;
	struct model *model = next_model(p, w, &result.error, text, sizeof(text));
	program_done *done = w->done;
	void *arg = w->arg;

	if (model == NULL) {
		result.generation = link_generation(p->link);
		done(&result, arg);
		return;
	}
	result.error = -EINVAL;
	snapshot = check(calloc(1, sizeof(*snapshot)));
	snapshot->refs = 1;
	snapshot->model = model;
	snapshot->compiled = snapshot_compile(p, p->store, model, text, sizeof(text));
	if (snapshot->compiled == NULL) {
		snapshot_put(&snapshot);
		log_error(program, "%s", text);
		if (done != NULL)
			done(&result, arg);
		return;
	}
	p->previous = p->current;
	p->current = snapshot;
	names_update(p->resolve, model);
	p->done = done;
	p->done_arg = arg;
	program_configure_kernel(p);
	if (link_is_connected(p->link)) {
		program_sync(p);
		return;
	}
	program_finish(p, &(struct program_result){
				  .error = -EINPROGRESS,
				  .changed = true,
				  .text = "no data plane: it is told when it is there",
			  });
}

void waiting_next(struct program *p)
{
	struct waiter *waiter;

	/* One that came to nothing must not keep the next one waiting. */
	while ((waiter = p->waiting) != NULL && p->sending == NULL && p->done == NULL) {
		p->waiting = waiter->next;
		try_next(p, waiter);
		free(waiter->selection);
		free(waiter);
	}
}

/* In order of coming; what is under way ends first. */
static void submit(struct program *p, const struct waiter *what)
{
	struct waiter *waiter, **end = &p->waiting;

	if (p->sending == NULL && p->done == NULL && p->waiting == NULL) {
		waiter = check(malloc(sizeof(*waiter)));
		*waiter = *what;
		try_next(p, waiter);
		free(waiter->selection);
		free(waiter);
		return;
	}
	waiter = check(calloc(1, sizeof(*waiter)));
	*waiter = *what;
	while (*end != NULL)
		end = &(*end)->next;
	*end = waiter;
}

void program_apply(struct program *p, struct model *model, program_done *done, void *arg)
{
	submit(p, &(struct waiter){.model = model, .done = done, .arg = arg});
}

void program_edit_peers(struct program *p, program_edit *edit, program_done *done, void *arg)
{
	submit(p, &(struct waiter){.edit = edit, .done = done, .arg = arg});
}

void program_select(
	struct program *p, const char *peer, const char *exit_node, program_done *done, void *arg)
{
	struct selection *selection = check(calloc(1, sizeof(*selection)));

	snprintf(selection->peer, sizeof(selection->peer), "%s", peer);
	if (exit_node != NULL)
		snprintf(selection->exit_node, sizeof(selection->exit_node), "%s", exit_node);
	submit(p, &(struct waiter){.selection = selection, .done = done, .arg = arg});
}

void waiting_clear(struct program *p)
{
	struct waiter *waiter;

	while ((waiter = p->waiting) != NULL) {
		p->waiting = waiter->next;
		model_destroy(&waiter->model);
		free(waiter->selection);
		free(waiter);
	}
}
