/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peers as other features see them. Peer ids are dense and given by the control process. Any
 * reader, under the rules of worker.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct peer_view {
	uint32_t set_id;
	uint16_t mtu;  /* inner */
	uint16_t home; /* worker that owns the peer's flows; constant for the peer's life */
};

/* As this copy of the tables has it. False if there is no such peer (any more). */
bool peer_look(unsigned copy, uint32_t peer, struct peer_view *view);

/* Highest peer id in use + 1: bounds per-peer counters. Main thread. */
uint32_t peer_bound(void);

/* Called on the main thread when a peer is deleted, before its grace period starts: its flows
 * must go. Register in init. */
void peer_on_delete(void (*gone)(uint32_t peer));

/* Called on the main thread when an id gets a peer, before anybody can find it: what was counted
 * under the id is another's. Register in init. */
void peer_on_create(void (*made)(uint32_t peer));
