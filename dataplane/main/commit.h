/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of one transaction: staged and checked message by message, prepared, applied to the
 * copy that no worker reads, published, and after a grace period applied to the other copy. See
 * handler.h for what is called when. Knows nothing of rings or sockets. Main thread only.
 *
 * open --begin--> staging --start--> prepare -> shadow pass -> flip -> grace -> catch-up -> done
 *                    |                  |
 *                    +--- discard       +--- failed: nothing was applied -> done
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/api/api.h"

struct commit;

/* As in struct session_options; arg is given to each. Any but clock_ns may be NULL. */
struct commit_options {
	size_t bound; /* bytes of one transaction */
	void *arg;
	uint64_t (*clock_ns)(void *arg);
	void (*flip)(unsigned active, void *arg);
	void (*grace_start)(void *arg);
	bool (*grace_done)(void *arg);
	void (*committed)(uint64_t generation, void *arg);
};

enum commit_state {
	COMMIT_IDLE,    /* no transaction */
	COMMIT_STAGING, /* between TXN_BEGIN and TXN_COMMIT */
	COMMIT_RUNNING, /* being applied: call commit_run() */
	COMMIT_DONE,    /* commit_finish() fetches the result */
};

/* NULL if out of memory. */
struct commit *commit_create(const struct commit_options *options)
	__attribute__((warn_unused_result));
void commit_destroy(struct commit **commit);

enum commit_state commit_state(const struct commit *commit);
uint64_t commit_generation(const struct commit *commit);
unsigned commit_active(const struct commit *commit);

/* IDLE to STAGING. What is wrong with it is told at the commit. */
void commit_begin(struct commit *commit, const struct api_txn_begin *begin);

/* STAGING: checks and keeps one object message, brought to this build's size. After the first
 * failure nothing more is kept. */
void commit_stage(struct commit *commit, const void *message);

/* STAGING: this message, which cannot be staged, makes the transaction fail. */
void commit_refuse(struct commit *commit, int code, uint32_t detail, const char *text);

/* STAGING to RUNNING. */
void commit_start(struct commit *commit, const struct api_txn_commit *message);

/* STAGING to IDLE; nothing in any other state: what is being applied is applied to the end. */
void commit_discard(struct commit *commit);

/* Works until deadline_ns, for a grace period, or to the end. True: there is more to do. */
bool commit_run(struct commit *commit, uint64_t deadline_ns);

/* RUNNING: how much of the work is done, in thousandths, by the messages of both passes. */
uint32_t commit_permille(const struct commit *commit);

/* DONE to IDLE: the reply, its header but for the cookie filled. */
void commit_finish(struct commit *commit, struct api_reply *reply);

/* Frees a little of what earlier transactions took; true while there is more. */
bool commit_trim(struct commit *commit);
