/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configurations that were in force, one after the other, and the way from one to the next:
 * checked, judged by its tests, given to the data plane, kept in the store, written to the disk.
 * The files on disk say what is in force: whatever brings another configuration into force writes
 * them too. An edit that no version has is kept beside, as FILE.old.
 *
 * A change may be on trial: unless it is confirmed in time, the version before comes back, also if
 * this process was down at that moment. All on the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/conf/conf.h"
#include "control/program/program.h"

struct event_base;
struct revision;

struct revision_options {
	struct event_base *base;
	struct program *program;
	struct store *store;
	const char *config_file;
	const char *state_dir;
};

enum {
	REVISION_CONFIRM_MIN_S = 10,
	REVISION_CONFIRM_MAX_S = 24 * 3600,
};

/* Who asks, and how. */
struct revision_request {
	const char *who;
	const char *message; /* "" = none */
	unsigned confirm_s;  /* 0 = no trial */
};

/*
 * error: 0; -EINPROGRESS (in force, the data plane will be told); -EBUSY (another change is under
 * way or on trial), -EINVAL (diag has the errors), -ENOENT, -EEXIST, -EPROTO (the data plane
 * refuses), or of writing the files. Valid during the call.
 */
struct revision_result {
	int error;
	const char *text;                     /* for people; "" = all is well */
	struct diag *diag;                    /* NULL = nothing was read */
	const struct program_result *program; /* NULL = it was not asked */
	uint64_t version;                     /* in force now */
	bool changed;                         /* its settings are not those from before */
	const json_t
		*kept; /* names of files that hold edits which were never in force; NULL = none */
};

typedef void revision_done(const struct revision_result *result, void *arg);

/* Options are copied. Never NULL. */
struct revision *revision_create(const struct revision_options *options);
void revision_destroy(struct revision **revision);

/*
 * At the start: finishes what another process has begun, reads the files, and gives them to the
 * program. Files with errors are left alone, and the version that was in force is taken. Findings
 * go to standard error. 0; -EINVAL: there is nothing to run; -EIO: it cannot be compiled (logged).
 * done is that of program_apply().
 */
int revision_start(struct revision *revision, bool colour, program_done *done, void *arg);

/* The daemon's files, or those of a version; NULL and findings. *diag is always set. */
struct conf_files *revision_files(struct revision *revision, uint64_t version, struct diag **diag);

/* Reads and judges them as a change would, and changes nothing. As conf_files_parse(). */
struct model *revision_check(struct revision *revision, const struct conf_files *files,
	struct diag *diag, json_t **json);

/* What the files of the configuration in force say, NULL before the first. */
const json_t *revision_running(const struct revision *revision);

/* Each of these answers once, maybe before it returns. */
void revision_apply(struct revision *revision, const struct revision_request *request,
	revision_done *done, void *arg);
/* version 0 = the one before; during a trial: what would come back. */
void revision_rollback(struct revision *revision, uint64_t version,
	const struct revision_request *request, revision_done *done, void *arg);
/* peers.d/NAME.yaml comes or goes; refused while the files have other changes. */
void revision_peer_add(struct revision *revision, const char *name, const char *text,
	const struct revision_request *request, revision_done *done, void *arg);
void revision_peer_remove(struct revision *revision, const char *name,
	const struct revision_request *request, revision_done *done, void *arg);

/* Ends the trial: 0, or -ENOENT if there is none. */
int revision_confirm(struct revision *revision);

struct revision_state {
	uint64_t version;       /* in force; 0 = none yet */
	uint64_t trial_back_to; /* 0 = no trial */
	uint64_t trial_ends_s;  /* Unix time */
	const char *trouble;    /* why the files on disk are not what is in force, or "" */
};

struct revision_state revision_state(const struct revision *revision);
