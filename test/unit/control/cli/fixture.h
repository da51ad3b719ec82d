/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command from its arguments to its exit code, against a server in a child that knows a few
 * paths. Each program has one, from the group's set-up to its tear-down.
 */
#pragma once

#include <string.h>
#include <sys/types.h>

#include "control/cli/cli.h"

extern char test_dir[];      /* for files of a test, which removes them */
extern char socket_path[64]; /* the server's */
extern char output_path[64]; /* a file for whatever a test writes */
extern char output[65536];   /* what the command printed that ran last */
extern int answer_end[2];    /* a pipe, written once the server was asked twice for progress */

int fixture_start(void **state);
int fixture_stop(void **state);

/* Runs `sallyport WORDS ...` up to NULL, and returns its exit code. */
int run(const char *first, ...);

#define assert_shows(text) assert_non_null(strstr(output, text))

/* The exit code of a child; -1 if a signal ended it. */
int end_of(pid_t pid);

/* A file's text, valid until the next one is read. */
char *read_all(const char *path);
