/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An interface of the kernel's that goes away for a while and comes back without what it had: its
 * state is remembered before and restored after. Blocking, on netlink sockets of its own; any
 * thread, also of a process without an event loop.
 */
#pragma once

struct interface_state;

/* NULL if there is no such interface, or it carries nothing: it is down and has no addresses. */
struct interface_state *interface_remember(const char *name);

/* Up again if it was, with its MTU, addresses, routes and neighbours; the name may be a new one.
 * 0 or -errno. What has an address already keeps it. */
int interface_restore(const struct interface_state *state, const char *name)
	__attribute__((warn_unused_result));

/* The name that it had. */
const char *interface_name(const struct interface_state *state);

void interface_forget(struct interface_state **state);
