/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much went through each peer, exit node and egress address, over time: by the minute for an
 * hour, by the hour for a day, by the day for 30 days, by the month for a year (UTC). Kept in a
 * database of its own over restarts of either process, which a thread of this feature writes;
 * everything here is for the loop's thread, and none of it waits for the disk but
 * traffic_destroy().
 *
 * Everything is counted once: what is kept beside the sums is the figure of the data plane that
 * was booked last, in the same transaction, and under which instance of the data plane and which
 * id. Figures come once a second, so what the data plane had not published when it was killed is
 * lost; one that ends in order publishes at its end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct program;
struct traffic;

enum traffic_kind {
	TRAFFIC_PEER,      /* by public key, so that a renamed peer keeps its figures */
	TRAFFIC_EXIT_NODE, /* by name */
	TRAFFIC_EGRESS,    /* by address */
	TRAFFIC_KINDS,
};

enum traffic_range {
	TRAFFIC_HOUR,  /* 60 minutes */
	TRAFFIC_DAY,   /* 24 hours */
	TRAFFIC_30D,   /* 30 days */
	TRAFFIC_MONTH, /* 12 months */
	TRAFFIC_RANGES,
};

enum { TRAFFIC_POINTS_MAX = 60 };

/* Sent: by the users; received: by them. Bytes of inner IP packets. */
struct traffic_counts {
	uint64_t sent_packets, sent_bytes;
	uint64_t received_packets, received_bytes;
};

struct traffic_point {
	uint64_t time_s; /* Unix time at which it begins */
	struct traffic_counts counts;
};

struct traffic_sum {
	enum traffic_kind kind;
	const char *key, *name;
	bool gone; /* no longer in the configuration */
	struct traffic_counts counts;
};

/* path NULL: in memory. NULL and *error. `program` outlives it. */
struct traffic *traffic_create(struct event_base *base, struct program *program, const char *path,
	int *error) __attribute__((warn_unused_result));

/* Books what there is. Sets *traffic to NULL. */
void traffic_destroy(struct traffic **traffic);

/* True if the last attempt to write failed (logged): figures are counted later, under that time. */
bool traffic_is_stuck(const struct traffic *traffic);

const char *traffic_kind_name(enum traffic_kind kind); /* "peer", "exit-node", "egress" */

/* False for what is none of them. */
bool traffic_kind_parse(const char *text, enum traffic_kind *kind);
bool traffic_range_parse(const char *text, enum traffic_range *range);

/* Seconds from a point to the next; 0 for months. */
unsigned traffic_step_s(enum traffic_range range);

/*
 * The points of a range that ends now, oldest first, those without traffic too; up to date to the
 * data plane's last publication. n: their number; -ENOENT: no figures of such a name; -EIO. Comes
 * from the loop, never from within traffic_points(), and not at all once traffic_destroy() has
 * begun; the points are valid during the call.
 */
typedef void traffic_points_done(int n, const struct traffic_point *points, void *arg);

void traffic_points(struct traffic *traffic, enum traffic_kind kind, const char *name,
	enum traffic_range range, traffic_points_done *done, void *arg);

/* Makes of the sums what the asker needs, malloc, in the thread of the database: of 65,000 peers
 * that takes longer than the loop should stand still. It must touch nothing else. */
typedef char *traffic_format(const struct traffic_sum *sums, size_t n);

/* Sums over the range of each object; over the current month for TRAFFIC_MONTH. rc: 0 or -EIO;
 * text: of format(). Otherwise as above. */
typedef void traffic_sums_done(
	int rc, const struct traffic_sum *sums, size_t n, const char *text, void *arg);

void traffic_sums(struct traffic *traffic, enum traffic_range range, traffic_format *format,
	traffic_sums_done *done, void *arg);
