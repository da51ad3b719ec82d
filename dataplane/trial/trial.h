/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The choice among implementations of one thing, by the time they take on this CPU: a feature flag
 * does not tell how wide the units behind it are. What works on many jobs side by side may be slow
 * with a few of them, so bursts of a few are tried, too.
 *
 * Threads: any, at start; a trial takes milliseconds. Stands by itself, without DPDK.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trial {
	unsigned candidates;
	unsigned jobs;    /* of a full burst */
	unsigned few_max; /* below jobs: up to so many jobs another candidate may be chosen */
	unsigned rounds;  /* the fastest one counts */
	/* Whether this CPU can run a candidate, and it may be chosen. */
	bool (*may_run)(unsigned candidate, void *arg);
	/* Does all jobs once, in bursts of n. */
	void (*run)(unsigned candidate, unsigned n, void *arg);
	uint64_t (*now_ns)(void *arg); /* NULL = CLOCK_MONOTONIC */
	void *arg;
};

struct trial_choice {
	unsigned best;
	unsigned few_best; /* for bursts of up to few jobs */
	unsigned few;      /* 0 = few_best is best */
};

/* If none may run, candidate 0. */
struct trial_choice trial_choose(const struct trial *trial);

/* "avx512, up to 2 jobs openssl"; or the name alone. */
void trial_describe(const struct trial_choice *choice, const char *best, const char *few_best,
	const char *jobs, char *text, size_t size);
