/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How far the work is that may take long: reading a large configuration, programming the data
 * plane. Whoever works says so by progress_step(), whoever shows it listens: the CLI draws a line,
 * sallyportd tells its supervisor and whoever asks /api/progress. One work at a time per process;
 * the main thread's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum progress_unit {
	PROGRESS_ITEMS,
	PROGRESS_BYTES,
	PROGRESS_THOUSANDTHS,
};

/* The data plane is at it: how far, its counters say (link_counters_header()). */
extern const char progress_applying[];

struct progress {
	const char *what; /* "reading the configuration"; a constant */
	enum progress_unit unit;
	uint64_t done, total; /* total 0: nobody knows how far it is */
};

/* Costs a look at the clock: for each object, not for each byte. */
void progress_step(const char *what, enum progress_unit unit, uint64_t done, uint64_t total);
void progress_end(void);

/* False if nothing is under way. */
bool progress_look(struct progress *now);

/* Calls fn on the first step of a work, on its last one, and in between some times a second; at
 * the end with NULL. NULL = nobody listens any more. */
void progress_listen(void (*fn)(const struct progress *now, void *arg), void *arg);
