/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that wait for a neighbour (RFC 1122, 2.3.2.2, asks to keep at least the latest): role
 * GRAPH_HOLD takes them with packet->next, the role where they try again once some neighbour has
 * been learned, and packet->drop, the reason if that does not happen within a second. Bounded per
 * worker: what finds no room is dropped at once.
 *
 * Order: what is let go on goes before all else that a worker takes in, in the same loop in which
 * it first sees the tables that changed. What a node learns otherwise, such as a peer's new path,
 * it learns in the middle of a loop; so wg_seal asks whether packets of the peer wait here, and
 * sends those that come later here, too.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Something that held packets may wait for has changed: they try again. Any thread but workers. */
void hold_release(void);

/* The same, of one worker, in its next loop; on that worker. */
void hold_retry(unsigned worker);

/* A packet of this peer goes to GRAPH_HOLD now. False: there is no room for one more peer. On the
 * worker. */
bool hold_follow(unsigned worker, uint32_t peer);

/* Whether packets of this peer wait, or did until they were let go on in this loop. On the
 * worker. */
bool hold_has(unsigned worker, uint32_t peer);

/* Main thread, in init. 0 or -errno. */
int hold_init(void);
