/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handshake messages on their way from the workers to the handshake thread, which will look at each
 * with care; workers look at what is for free. Anybody can send them, so they do not share a ring
 * with what concerns sessions, and among themselves they have two for each worker: messages that
 * carry an index of ours or a mac2, which may be the second step of a handshake, hardly wait behind
 * first steps.
 *
 * A ring is crowded from a quarter full on. Then it takes one message of each source (fair.h) until
 * the thread has taken all that were there: whoever floods it from a thousand addresses leaves room
 * for the thousand-and-first. Floods from more sources than there is room for go by chance.
 *
 * Errors: -errno of DPDK. Memory: 250 KiB for each worker; its rings hold INBOX_MAX buffers at
 * most.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/wireguard/handshake.h"

enum { INBOX_MAX = 2047 + 1023 }; /* messages of a worker: the plain ones, the others */

struct rte_mbuf;

struct inbox_message {
	struct rte_mbuf *mbuf; /* data at the layer-3 header, nothing behind the UDP payload */
	struct handshake_source source;
};

enum inbox_rank {
	INBOX_KNOWN, /* an index of ours, or a mac2; both may be invented */
	INBOX_PLAIN,
	INBOX_RANKS,
};

int inbox_init(unsigned workers);

/* A worker, into its own ring; the thread owns the buffer then. False if there is no room for it.
 */
bool inbox_put(unsigned worker, enum inbox_rank rank, const struct inbox_message *message);

/* The handshake thread. The known come first, but a quarter is left to the others. */
unsigned inbox_take(unsigned worker, struct inbox_message *messages, unsigned max);
unsigned inbox_queued(unsigned worker);
