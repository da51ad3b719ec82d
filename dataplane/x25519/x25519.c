/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of implementations of X25519 and the choice among them.
 *
 * Choosing without a name means: of those that this CPU can run, the one that was fastest on a full
 * burst. A kernel needs several jobs to fill its lanes, so another implementation may take the
 * bursts of a few.
 */
#include "dataplane/x25519/x25519.h"

#include <errno.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/trial/trial.h"
#include "dataplane/x25519/x25519_priv.h"

struct choice {
	const struct x25519_ops *ops;
	const struct x25519_ops *few_ops; /* for bursts of up to few jobs */
	unsigned few;                     /* 0: few_ops is not used */
	char description[64];
};

static const struct x25519_ops *const table[] = {
#ifdef HAVE_X25519_X86
	&x25519_avx512,
#endif
	&x25519_openssl,
	&x25519_sodium,
};

enum {
	TABLE_SIZE = sizeof(table) / sizeof(table[0]),
	TRIAL_JOBS = 16,
	TRIAL_ROUNDS = 5, /* the best one counts; about 3 ms for each implementation */
	FEW_MAX = 4,
};

static struct choice selected = {.ops = &x25519_sodium, .description = "sodium"};

struct trial_state {
	struct key scalars[TRIAL_JOBS], products[TRIAL_JOBS];
	struct x25519_job jobs[TRIAL_JOBS];
};

static bool may_run(unsigned candidate, void *arg)
{
	return table[candidate]->is_supported();
}

static void run_trial(unsigned candidate, unsigned n, void *arg)
{
	struct trial_state *state = arg;

	for (unsigned i = 0; i + n <= TRIAL_JOBS; i += n)
		table[candidate]->burst(state->jobs + i, n);
}

/* The keys are nobody's: any numbers take the same time. */
static void choose_fastest(struct choice *out)
{
	struct trial_state state;
	const struct key point = {{9}};
	struct trial_choice choice;

	for (unsigned i = 0; i < TRIAL_JOBS; i++) {
		memset(&state.scalars[i], (int)i + 1, sizeof(state.scalars[i]));
		state.jobs[i] = (struct x25519_job){.scalar = &state.scalars[i],
			.point = &point,
			.product = &state.products[i]};
	}
	choice = trial_choose(&(struct trial){
		.candidates = TABLE_SIZE,
		.jobs = TRIAL_JOBS,
		.few_max = FEW_MAX,
		.rounds = TRIAL_ROUNDS,
		.may_run = may_run,
		.run = run_trial,
		.arg = &state,
	});
	*out = (struct choice){
		.ops = table[choice.best],
		.few_ops = table[choice.few_best],
		.few = choice.few,
	};
	trial_describe(&choice, out->ops->name, out->few_ops->name, "jobs", out->description,
		sizeof(out->description));
}

int x25519_select(const char *name)
{
	if (sodium_init() < 0)
		return -EIO;
	if (name == NULL) {
		choose_fastest(&selected);
		return 0;
	}
	for (unsigned i = 0; i < TABLE_SIZE; i++) {
		if (strcmp(table[i]->name, name) != 0)
			continue;
		if (!table[i]->is_supported())
			return -ENOTSUP;
		selected = (struct choice){.ops = table[i]};
		snprintf(selected.description, sizeof(selected.description), "%s", name);
		return 0;
	}
	return -ENOENT;
}

const char *x25519_name(void)
{
	return selected.ops->name;
}

const char *x25519_description(void)
{
	return selected.description;
}

const char *x25519_name_at(unsigned index)
{
	return index < TABLE_SIZE ? table[index]->name : NULL;
}

void x25519_burst(struct x25519_job *jobs, unsigned count)
{
	if (count == 0)
		return;
	if (count <= selected.few)
		selected.few_ops->burst(jobs, count);
	else
		selected.ops->burst(jobs, count);
	for (unsigned i = 0; i < count; i++)
		jobs[i].zero = key_is_zero(jobs[i].product);
}
