/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that wait for a neighbour (RFC 1122, 2.3.2.2, asks to keep at least the latest), or
 * behind others of their peer: role GRAPH_HOLD takes them with packet->next, the role where they
 * try again once some neighbour has been learned, and packet->drop, the reason if that does not
 * happen within a second. Bounded per worker: what finds no room is dropped at once.
 *
 * Order: what is let go on goes before all else that a worker takes in, in the same loop in which
 * it first sees the tables that changed. What wg_seal asks of a peer, its path and its keys,
 * changes in the midst of a loop. So wg_seal says whose packets it sends here and asks whether
 * there are any; those that come later follow them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What of a peer has been sent here since packets were last let go on. */
enum hold_of {
	HOLD_NONE,
	HOLD_SOME,
	HOLD_FIRST, /* among them packets with PACKET_FIRST */
};

/* Something that held packets may wait for has changed: they try again. Any thread but workers. */
void hold_release(void);

/* The same, of one worker, in its next loop; on that worker. */
void hold_retry(unsigned worker);

/* A packet of this peer goes to GRAPH_HOLD now. False: there are too many peers whose packets
 * wait. On the worker. */
bool hold_follow(unsigned worker, uint32_t peer, bool first);

/* On the worker. */
enum hold_of hold_of(unsigned worker, uint32_t peer);

/* Main thread, in init. 0 or -errno. */
int hold_init(void);
