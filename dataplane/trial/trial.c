/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/trial/trial.h"

#include <stdio.h>
#include <time.h>

static uint64_t now_ns(const struct trial *trial)
{
	struct timespec t;

	if (trial->now_ns != NULL)
		return trial->now_ns(trial->arg);
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t measure(const struct trial *trial, unsigned candidate, unsigned n)
{
	uint64_t best = UINT64_MAX;

	for (unsigned round = 0; round < trial->rounds; round++) {
		uint64_t start = now_ns(trial), took;

		trial->run(candidate, n, trial->arg);
		took = now_ns(trial) - start;
		best = took < best ? took : best;
	}
	return best;
}

static unsigned find_fastest(const struct trial *trial, unsigned n)
{
	uint64_t best = UINT64_MAX;
	unsigned fastest = 0;

	for (unsigned i = 0; i < trial->candidates; i++) {
		uint64_t took;

		if (!trial->may_run(i, trial->arg))
			continue;
		took = measure(trial, i, n);
		if (took < best) {
			best = took;
			fastest = i;
		}
	}
	return fastest;
}

struct trial_choice trial_choose(const struct trial *trial)
{
	struct trial_choice choice = {
		.best = find_fastest(trial, trial->jobs),
		.few_best = find_fastest(trial, 1),
	};

	for (unsigned n = 1; choice.few_best != choice.best && n <= trial->few_max; n++) {
		if (measure(trial, choice.few_best, n) > measure(trial, choice.best, n))
			break;
		choice.few = n;
	}
	return choice;
}

void trial_describe(const struct trial_choice *choice, const char *best, const char *few_best,
	const char *jobs, char *text, size_t size)
{
	if (choice->few > 0)
		snprintf(text, size, "%s, up to %u %s %s", best, choice->few, jobs, few_best);
	else
		snprintf(text, size, "%s", best);
}
