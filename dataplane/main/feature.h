/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Features plug into the data plane here: one struct per feature, registered by a constructor,
 * started in the order of `after`. The core names no feature.
 */
#pragma once

#include <stdint.h>

struct worker;

enum { FEATURE_AFTER_MAX = 6 };

struct feature {
	const char *name;
	const char *after[FEATURE_AFTER_MAX]; /* features that must be initialised before */

	/* All on the main thread; NULL where there is nothing to do. 0 or -errno. */
	int (*init)(void);                    /* after EAL: drops, roles, handlers, tables */
	int (*worker_init)(struct worker *w); /* memory of one worker, before any worker runs */
	/* On the worker between two loops, at least each 100 ms, at most once a millisecond: ageing
	 * of what the worker owns; <= 100 us. */
	void (*tick)(struct worker *w);
	int (*start)(void);                 /* workers run: own threads start */
	void (*housekeep)(uint64_t now_ms); /* from the main loop, at least each 100 ms; <= 1 ms */
	void (*stop)(void);                 /* own threads end; workers have stopped */

	struct feature *next; /* the registry's */
};

void feature_register(struct feature *feature);

/* For dataplane/main: the stages above, over all features in order. 0 or the first -errno, with
 * the feature named in the log. */
int feature_init_all(void) __attribute__((warn_unused_result));
int feature_worker_init_all(struct worker *w) __attribute__((warn_unused_result));
int feature_start_all(void) __attribute__((warn_unused_result));
void feature_tick_all(struct worker *w);
void feature_housekeep_all(uint64_t now_ms);
void feature_stop_all(void); /* in reverse order, those that were initialised */

#define FEATURE_REGISTER(feature)                                                                  \
	__attribute__((constructor)) static void feature##_register_self(void)                     \
	{                                                                                          \
		feature_register(&(feature));                                                      \
	}
