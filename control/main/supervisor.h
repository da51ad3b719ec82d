/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What sallyportd tells its supervisor (systemd's notify protocol): that it is ready, what it
 * does, and, while its loop turns, that it is alive. Without a supervisor nothing happens.
 */
#pragma once

struct event_base;
struct supervisor;

/* NULL and *error (a negative errno) on failure. Pings from the loop of base as often as asked. */
struct supervisor *supervisor_create(struct event_base *base, int *error)
	__attribute__((warn_unused_result));

/* Tells that the process is ending, and frees. Sets *supervisor to NULL. */
void supervisor_destroy(struct supervisor **supervisor);

/* A configuration is being read again; supervisor_ready() must follow, also if it is refused. */
void supervisor_reloading(void);

/* One line for people, and nothing else. */
void supervisor_say(const char *status);

/* Ready, or ready again; status: one line for people, what is in force or what is waited for. */
void supervisor_ready(const char *status);
