/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that wait for a neighbour (RFC 1122, 2.3.2.2, asks to keep at least the latest): role
 * GRAPH_HOLD takes them with packet->next, the role where they try again once some neighbour has
 * been learned, and packet->drop, the reason if that does not happen within a second. Bounded per
 * worker: what finds no room is dropped at once.
 */
#pragma once

/* Something that held packets may wait for has changed: they try again. Any thread but workers. */
void hold_release(void);

/* Main thread, in init. 0 or -errno. */
int hold_init(void);
