/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routing peers that do not answer. What follows from a change is a configuration like any other:
 * the one in force, compiled anew, in its turn. The list outlives a restart, or the first thing
 * that an upgrade did would be to send everybody to the dead again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "control/program/program_priv.h"

LOG_TYPE(down);

static void add(const struct key *key, void *arg)
{
	struct program *p = arg;

	p->down = realloc(p->down, (p->n_down + 1) * sizeof(*p->down));
	if (p->down == NULL)
		abort();
	p->down[p->n_down++] = *key;
}

void down_load(struct program *p)
{
	if (store_down_each(p->store, add, p) < 0)
		log_warn(down, "routing peers that were down are taken to be up");
}

/* The same configuration, with its peers that are in no file. */
static int keep(const struct compiled *current, struct model *next, void *arg)
{
	struct program *p = arg;

	added_carry(p->store, current->model, next);
	return 0;
}

static void compiled_anew(const struct program_result *result, void *arg)
{
	if (result->error != 0 && result->error != -EINPROGRESS && result->error != -EAGAIN)
		log_error(down, "routes stay as they are: %s", result->text);
}

void program_set_down(struct program *p, const struct key *keys, size_t n)
{
	if (n == p->n_down && (n == 0 || memcmp(keys, p->down, n * sizeof(*keys)) == 0))
		return;
	free(p->down);
	p->down = NULL;
	p->n_down = 0;
	for (size_t i = 0; i < n; i++)
		add(&keys[i], p);
	if (store_down_set(p->store, p->down, n) < 0)
		log_warn(down, "a restart takes all routing peers to be up");
	if (p->current != NULL)
		program_edit_peers(p, keep, compiled_anew, p);
}
