/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records of packets on their way, for whoever follows them (dataplane/trace). Off, it costs one
 * look per burst at tap.h's flags, where packets leave the data plane.
 *
 * A packet that is followed has a tag behind its struct packet. It names a record and the passage:
 * no tag is given twice while the process lives, and a record forgets its own when the packet's way
 * ends. So neither a buffer's next packet nor the next trace gets into an old record, even where
 * nobody has cleared the tag.
 *
 * A record is written by who has the packet, without a lock: rings order the threads. Only a call's
 * cycles are known after the packet has gone on, so whoever still has something to write pins the
 * record; the main thread takes it, and its worker uses it again, when there is no pin left.
 */
#pragma once

#include <rte_mbuf.h>

#include <stdbool.h>
#include <stdint.h>

#include "common/api/trace.h"
#include "dataplane/graph/tap.h"

struct follow_record;

/* A call of a node. */
struct follow_call {
	uint64_t begin; /* TSC */
	uint16_t worker;
	uint16_t burst;
	uint8_t row; /* of the node */
};

/* Where the cycles of the call go once they are known. */
struct follow_mark {
	struct follow_record *record;
	uint8_t stage;
};

static inline bool follow_wanted(void)
{
	return tap_wants(TAP_FOLLOW);
}

/* Workers. */

/* A packet that has just come in; a tag that its buffer had is another packet's. `cycles` are the
 * source's. */
void follow_begin(struct rte_mbuf *mbuf, const struct follow_call *call, uint32_t cycles);

/* Whether the packet has a record. */
bool follow_is(struct rte_mbuf *mbuf);

/* A node is given the packet. True: it is followed; follow_leave(mark) is due after the call. */
bool follow_enter(struct rte_mbuf *mbuf, const struct follow_call *call, struct follow_mark *mark);
void follow_leave(const struct follow_mark *mark, uint32_t cycles);

/* Any thread that has the packets, after follow_wanted(). */

/* Their way ends here. `detail`: the reason of a drop, else the port. */
void follow_end(struct rte_mbuf *const *mbufs, unsigned n, enum api_trace_end end, uint16_t detail);

/* n packets are about to be given to a device, which may free them at once: their records, NULL
 * for who is not followed. After it has taken the first `sent`, the others being dropped: */
void follow_sending(struct rte_mbuf *const *mbufs, unsigned n, struct follow_record *records[]);
void follow_sent(
	struct follow_record *records[], unsigned n, unsigned sent, uint16_t port, uint16_t reason);

/* Ends and frees packets that were not dropped. */
static inline void follow_free(
	struct rte_mbuf **mbufs, unsigned n, enum api_trace_end end, uint16_t port)
{
	if (follow_wanted())
		follow_end(mbufs, n, end, port);
	rte_pktmbuf_free_bulk(mbufs, n);
}

/* Main thread. */

/* Follows `count` packets from or to a peer (0 = anybody's); no thread is in here any more since
 * the last time. -ENOMEM. */
int follow_start(uint32_t peer, uint32_t count) __attribute__((warn_unused_result));

/* Threads may still be in here until a grace period has passed. */
void follow_stop(void);

/* A packet whose way has ended, or that has waited somewhere for API_TRACE_WAIT_MS. False: none
 * now. */
bool follow_take(struct api_trace_entry *entry);

void follow_destroy(void); /* threads have ended */
