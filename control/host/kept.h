/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stands on an interface: addresses, routes over it, neighbours. Kept as the messages by which
 * the kernel told them, to be put on another interface, or on one that comes back. What the kernel
 * makes by itself (connected routes, link-local addresses) is not kept, nor are lifetimes: what is
 * put stays until somebody takes it away.
 */
#pragma once

#include <stddef.h>

struct host;

enum { KEPT_BYTES_MAX = 1 << 20 }; /* of one interface: thousands of routes */

/* Messages one after the other, each padded to NLMSG_ALIGNTO. */
struct kept {
	char *bytes; /* malloc; the caller's to free */
	size_t size;
	int index; /* of the interface that they stood on */
	unsigned addresses;
};

/* What stands on the interface of this index; `all` is valid, and to be freed, also after an
 * error. 0 or -errno. */
int kept_collect(struct host *host, int index, struct kept *all)
	__attribute__((warn_unused_result));

/* Onto an interface that is up; what fails is logged and left out. */
void kept_put(struct host *host, const struct kept *all, int index, const char *name);

/* From where they were collected; with the addresses the kernel takes away the routes that need
 * them. */
void kept_remove_addresses(struct host *host, const struct kept *all, const char *name);

/* Adds what is not there yet, whatever its lifetime. 0, or -EFBIG: some of it. */
int kept_add(struct kept *all, const struct kept *fresh) __attribute__((warn_unused_result));
