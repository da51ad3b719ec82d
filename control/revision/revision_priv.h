/* SPDX-License-Identifier: BSD-3-Clause */
/* revision.c: one change from its files to the disk; ask.c: the kinds of changes; trial.c: the
 * timer; start.c: the beginning. */
#pragma once

#include <event2/event.h>
#include <jansson.h>

#include "control/revision/revision.h"
#include "control/store/store.h"

struct revision {
	struct event_base *base;
	struct program *program;
	struct store *store;
	char *config_file;
	char *state_dir;
	json_t *running;
	char running_digest[STORE_TEXT_DIGEST_MAX];
	uint64_t version;
	struct store_intent trial; /* version 0 = none */
	struct event *timer;
	struct change *change; /* under way */
	json_t *kept;          /* names of the files that keep_old() wrote last, NULL = none */
	char trouble[256];
};

/* The configuration that shall come into force. */
struct change {
	struct revision *revision;
	struct conf_files *files;
	struct diag *diag;
	json_t *json;
	struct revision_request request; /* with copies of its texts */
	struct store_intent trial;       /* to be set; version 0 = none */
	bool write;                      /* the files on disk are others */
	bool ends_trial;
	const char *what;
	revision_done *done;
	void *arg;
};

/* Texts of files, for the store; the array lies in the files' pool. */
struct store_text *revision_texts(const struct conf_files *files);

/* A change with copies; NULL after answering that another one is under way or on trial. */
struct change *revision_begin(struct revision *revision, const struct revision_request *request,
	revision_done *done, void *arg);

/* Checks change->files and goes on to the end; what = "apply", copied. */
void revision_submit(struct change *change, const char *what);

/* Answers and ends. */
void revision_refuse(struct change *change, int error, const char *text);

/* Writes what differs and removes what is too much in conf.d and peers.d. 0 or the first error;
 * the rest is done nevertheless. */
int revision_write(struct revision *revision, const struct conf_files *files)
	__attribute__((warn_unused_result));

/* Adds a version, if the texts are not those of the last one, and makes it the one in force. 0 or
 * -EIO: it is in force nevertheless. */
int revision_note(struct revision *revision, const struct conf_files *files, json_t *json,
	const struct revision_request *request, const char *what);

/* trial.c */
void revision_trial_arm(struct revision *revision, const struct store_intent *trial);
void revision_trial_end(struct revision *revision);
