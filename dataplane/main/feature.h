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
	int (*start)(void);                   /* workers run: own threads start */
	void (*housekeep)(uint64_t now_ms); /* from the main loop, at least each 100 ms; <= 1 ms */
	void (*stop)(void);                 /* own threads end; workers have stopped */

	struct feature *next; /* the registry's */
};

void feature_register(struct feature *feature);

#define FEATURE_REGISTER(feature)                                                                  \
	__attribute__((constructor)) static void feature##_register_self(void)                     \
	{                                                                                          \
		feature_register(&(feature));                                                      \
	}
