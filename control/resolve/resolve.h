/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names of hosts and their addresses, both families, asked for again when their time is over
 * (bounded both ways, whatever the server says). What was learned last stays when a server fails
 * or the name is gone: a tunnel that works is worth more than an answer. One thread: the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/addr.h"

struct event_base;
struct resolve;

/* The last good answer; ADDR_NONE = none of this family. error: of the last attempt, NULL = none;
 * valid until the loop's next turn. */
struct resolve_answer {
	struct addr v4, v6;
	const char *error;
};

/* changed() is called from the loop when an answer is another one than before. NULL without
 * memory. */
struct resolve *resolve_create(struct event_base *base, void (*changed)(void *arg), void *arg)
	__attribute__((warn_unused_result));
void resolve_destroy(struct resolve **resolve);

/* Whom to ask; n = 0: those of /etc/resolv.conf. */
void resolve_set_servers(struct resolve *resolve, const struct addr *servers, size_t n);

/* The names that are wanted from now on: each once or more between begin and end; the others are
 * forgotten. */
void resolve_begin(struct resolve *resolve);
void resolve_want(struct resolve *resolve, const char *name);
void resolve_end(struct resolve *resolve);

/* False if the name is not wanted. */
bool resolve_get(const struct resolve *resolve, const char *name, struct resolve_answer *answer);
