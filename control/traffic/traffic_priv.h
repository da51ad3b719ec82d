/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between traffic.c (when, and of what), reading.c (the data plane's figures), clerk.c (the thread
 * of what follows), tally.c (what is new) and slots.c (the database).
 */
#pragma once

#include <sqlite3.h>
#include <uthash.h>

#include "control/traffic/tally.h"
#include "control/traffic/traffic.h"

/* --- slots.c: the database. All return 0 or -EIO, which is logged. --- */

struct slots;

/* One object's row. */
struct slots_series {
	int64_t row;
	enum traffic_kind kind;
	const char *key, *name;
	bool gone;       /* no longer in the configuration */
	uint64_t seen_s; /* when it came, or went */
};

/* What is booked of an id's figure. */
struct slots_figure {
	enum traffic_kind kind;
	uint32_t id;
	int64_t owner;     /* row of the series that it counts for; 0 = none */
	uint64_t instance; /* of the data plane */
	struct traffic_counts last;
};

struct slots *slots_open(const char *path, int *error) __attribute__((warn_unused_result));
void slots_close(struct slots **slots);

int slots_begin(struct slots *slots) __attribute__((warn_unused_result));
int slots_commit(struct slots *slots) __attribute__((warn_unused_result));
void slots_rollback(struct slots *slots);

/* Series before figures; the first result of either callback that is not 0 ends it. */
int slots_each(struct slots *slots, int (*series)(const struct slots_series *series, void *arg),
	int (*figure)(const struct slots_figure *figure, void *arg), void *arg)
	__attribute__((warn_unused_result));
int slots_save(struct slots *slots, struct slots_series *series) /* row 0: sets it */
	__attribute__((warn_unused_result));
int slots_save_figure(struct slots *slots, const struct slots_figure *figure)
	__attribute__((warn_unused_result));
int slots_forget_figure(struct slots *slots, const struct slots_figure *figure)
	__attribute__((warn_unused_result));
int slots_forget(struct slots *slots, int64_t row) __attribute__((warn_unused_result));

/* Adds to the slot of a range that begins then. */
int slots_add(struct slots *slots, int64_t row, enum traffic_range range, uint64_t slot_s,
	const struct traffic_counts *counts) __attribute__((warn_unused_result));

/* Deletes what begins before `from_s` or after `to_s`. */
int slots_prune(struct slots *slots, int64_t row, enum traffic_range range, uint64_t from_s,
	uint64_t to_s) __attribute__((warn_unused_result));

/* In order of time, from `from_s` on. */
int slots_read(struct slots *slots, int64_t row, enum traffic_range range, uint64_t from_s,
	void (*each)(const struct traffic_point *point, void *arg), void *arg)
	__attribute__((warn_unused_result));
int slots_sums(struct slots *slots, enum traffic_range range, uint64_t from_s, uint64_t to_s,
	void (*each)(const struct traffic_sum *sum, void *arg), void *arg)
	__attribute__((warn_unused_result));

/* The slot that a time is in, and the beginning of the range that ends with it. */
uint64_t slots_start(enum traffic_range range, uint64_t time_s);
uint64_t slots_from(enum traffic_range range, uint64_t now_s);
uint64_t slots_next(enum traffic_range range, uint64_t slot_s);

/* --- reading.c: the data plane's figures, copied. --- */

struct link;
struct reading;

/* Of every parts'th id from `part` on. NULL while there are none, or without memory. */
struct reading *reading_take(const struct link *link, unsigned part, unsigned parts)
	__attribute__((warn_unused_result));
void reading_free(struct reading **reading);

/* For as long as the reading lives. */
struct tally_source reading_source(struct reading *reading);
