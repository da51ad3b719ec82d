/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of implementations of X25519 and the choice among them.
 *
 * Choosing without a name means: of those that this CPU can run, the one that was fastest on a full
 * burst, because a feature flag does not tell how wide the units behind it are. A kernel needs
 * several jobs to fill its lanes, so another implementation may take the bursts of a few.
 */
#include "dataplane/x25519/x25519.h"

#include <errno.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

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

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Nanoseconds for a burst of n, the best of a few. */
static uint64_t try_one(const struct x25519_ops *ops, struct x25519_job *jobs, unsigned n)
{
	uint64_t best = UINT64_MAX;

	for (unsigned round = 0; round < TRIAL_ROUNDS; round++) {
		uint64_t start = now_ns(), took;

		ops->burst(jobs, n);
		took = now_ns() - start;
		if (took < best)
			best = took;
	}
	return best;
}

/* The fastest one, for bursts of n. */
static const struct x25519_ops *find_fastest(struct x25519_job *jobs, unsigned n)
{
	const struct x25519_ops *fastest = &x25519_sodium;
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < TABLE_SIZE; i++) {
		uint64_t took;

		if (!table[i]->is_supported())
			continue;
		took = try_one(table[i], jobs, n);
		if (took < best) {
			best = took;
			fastest = table[i];
		}
	}
	return fastest;
}

/* The keys are nobody's: any numbers take the same time. */
static void choose_fastest(struct choice *choice)
{
	struct key scalars[TRIAL_JOBS], products[TRIAL_JOBS];
	struct x25519_job jobs[TRIAL_JOBS];
	const struct key point = {{9}};

	for (unsigned i = 0; i < TRIAL_JOBS; i++) {
		memset(&scalars[i], (int)i + 1, sizeof(scalars[i]));
		jobs[i] = (struct x25519_job){
			.scalar = &scalars[i], .point = &point, .product = &products[i]};
	}
	*choice = (struct choice){
		.ops = find_fastest(jobs, TRIAL_JOBS),
		.few_ops = find_fastest(jobs, 1),
	};
	for (unsigned n = 1; choice->few_ops != choice->ops && n <= FEW_MAX; n++) {
		if (try_one(choice->few_ops, jobs, n) > try_one(choice->ops, jobs, n))
			break;
		choice->few = n;
	}
	if (choice->few > 0)
		snprintf(choice->description, sizeof(choice->description), "%s, up to %u job%s %s",
			choice->ops->name, choice->few, choice->few == 1 ? "" : "s",
			choice->few_ops->name);
	else
		snprintf(choice->description, sizeof(choice->description), "%s", choice->ops->name);
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
