/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parts of the handshake thread: thread.c is its loop and hears what workers saw, thread_ops.c
 * does what handshake.h asks for, thread_commands.c what the main thread wants, and turns.c lets
 * the timers of peers run. All of it on that thread.
 */
#pragma once

#include "dataplane/wireguard/wireguard_priv.h"

/* thread.c. The time is that of this turn of the loop. */
uint64_t thread_now_ms(void);
/* Who saw what is being handled; and whether that worker's messages pile up. */
unsigned thread_worker(void);
bool thread_under_load(void);

/* thread_ops.c; a context is a struct wg_interface. */
extern const struct handshake_ops thread_ops;

/* thread_commands.c. Runs a few, so that a large transaction does not keep handshakes waiting;
 * returns how many. */
unsigned thread_run_commands(void);

/* turns.c. A peer's turn: its timers run, and it is put down for when they are due next. */
void turns_init(void);
/* Up to HANDSHAKE_BURST peers of one interface, none of them twice. */
void turns_run(struct wg_peer **peers, unsigned n);
void turns_run_one(struct wg_peer *peer);
void turns_run_due(void);
/* The peer goes. */
void turns_cancel(struct wg_peer *peer);
/* Until the next turn is due, at most max_ms. */
uint32_t turns_wait_ms(uint32_t max_ms);
/* Tells the control process where the peer is and when it was heard of. */
void turns_tell(struct wg_peer *peer);
