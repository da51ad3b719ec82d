/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of the data plane's figures is new, booked into the database. One thread at a time: the
 * clerk's, once there is one.
 */
#pragma once

#include "control/traffic/traffic.h"

enum { TALLY_SERIES_MAX = 100000 }; /* so many objects; those that went longest ago are forgotten */

struct tally;

struct tally_object {
	enum traffic_kind kind;
	const char *key, *name;
	uint32_t id; /* 0 = counts nowhere */
};

/* The data plane's figures. They belong to an id, and rise while an instance lives and one object
 * has the id; another one begins at 0, or goes on from where they are. */
struct tally_source {
	uint64_t instance;
	bool (*read)(enum traffic_kind kind, uint32_t id, struct traffic_counts *counts, void *arg);
	void *arg;
};

struct tally *tally_open(const char *path, size_t max_series, int *error)
	__attribute__((warn_unused_result));
void tally_close(struct tally **tally);

/*
 * Which objects there are now, under which ids of which data plane: books what their ids counted
 * so far for those that had them. 0; -EIO: nothing was changed, to be repeated.
 */
int tally_assign(struct tally *tally, const struct tally_source *source,
	const struct tally_object *objects, size_t n, uint64_t now_s)
	__attribute__((warn_unused_result));

/* Books what is new of what the source can read. 0; -EIO: nothing was booked, it will be next
 * time. */
int tally_book(struct tally *tally, const struct tally_source *source, uint64_t now_s)
	__attribute__((warn_unused_result));

/* As traffic_points() and traffic_sums(), of what is booked. */
int tally_points(struct tally *tally, enum traffic_kind kind, const char *name,
	enum traffic_range range, uint64_t now_s, struct traffic_point points[TRAFFIC_POINTS_MAX])
	__attribute__((warn_unused_result));
int tally_sums(struct tally *tally, enum traffic_range range, uint64_t now_s,
	void (*each)(const struct traffic_sum *sum, void *arg), void *arg)
	__attribute__((warn_unused_result));

size_t tally_count(const struct tally *tally); /* of series */
