/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread that has the time series: booking 65,000 peers takes a database the better part of a
 * second, and the loop has other things to do meanwhile. Errands are done in the order of their
 * coming. The tally is the clerk's alone from clerk_create() to clerk_destroy(); every function
 * here is for the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct clerk;
struct event_base;
struct tally;

/* At the beginning of a struct of the giver's, in memory of malloc(); the clerk frees it. */
struct errand {
	STAILQ_ENTRY(errand) entry;
	int rc; /* of run() */
	/* Done at the end, too; others are left undone then. */
	bool is_due;
	/* In the clerk's thread: it must touch nothing but the errand and the tally. */
	int (*run)(struct tally *tally, struct errand *errand);
	/* In the loop's thread, after run(), but not once clerk_destroy() has begun. May be NULL.
	 */
	void (*done)(struct errand *errand);
	/* Frees what the errand has, before it is freed itself. May be NULL. */
	void (*release)(struct errand *errand);
};

/* Takes the tally over, also if it fails: NULL and *error. */
struct clerk *clerk_create(struct event_base *base, struct tally *tally, int *error)
	__attribute__((warn_unused_result));

/* Waits until what is due is done; closes the tally. Sets *clerk to NULL. */
void clerk_destroy(struct clerk **clerk);

/* Takes the errand over. */
void clerk_give(struct clerk *clerk, struct errand *errand);

/* Errands given and not done yet. */
size_t clerk_pending(const struct clerk *clerk);
