/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When workers ask the handshake thread for new keys, and when it finds itself under load. Plain
 * functions of times and counters, milliseconds of one monotonic clock.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/wireguard/messages.h"

enum {
	/* A request may come too soon after a handshake message and be lost; so it is made again.
	 */
	RENEW_ASK_AGAIN_MS = 1000,
};

/* Whether a keypair of this age may seal and open at all (paper, 6.2). A worker's clock may be a
 * little behind that of the thread which made it. */
static inline bool renew_is_usable(uint64_t birth_ms, uint64_t now_ms)
{
	return now_ms < birth_ms + WG_REJECT_AFTER_TIME_MS;
}

/* Sealed with a keypair of ours that is too old, or with a counter past the limit (paper, 6.2). */
static inline bool renew_sender_due(
	bool initiator, uint64_t birth_ms, uint64_t counter, uint64_t now_ms)
{
	return (initiator && now_ms > birth_ms && now_ms - birth_ms > WG_REKEY_AFTER_TIME_MS) ||
	       counter > WG_REKEY_AFTER_MESSAGES;
}

/* Opened with a keypair of ours in its last minute; that counts only while we seal with it too:
 * packets of the previous one still arrive after a rekey. */
static inline bool renew_receiver_due(
	bool initiator, bool current, uint64_t birth_ms, uint64_t now_ms)
{
	return initiator && current && now_ms > birth_ms && now_ms - birth_ms > WG_LAST_MINUTE_MS;
}

/* True for one caller each RENEW_ASK_AGAIN_MS; *asked_ms is 0 at first. Any thread. */
static inline bool renew_may_ask(_Atomic uint64_t *asked_ms, uint64_t now_ms)
{
	uint64_t asked = atomic_load_explicit(asked_ms, memory_order_relaxed);

	if (asked != 0 && now_ms < asked + RENEW_ASK_AGAIN_MS)
		return false;
	return atomic_compare_exchange_strong_explicit(
		asked_ms, &asked, now_ms, memory_order_relaxed, memory_order_relaxed);
}

/* The load that one worker's queue makes. Handshake thread. */
struct renew_load {
	uint64_t until_ms;
};

static inline void renew_load_note(struct renew_load *load, unsigned queued, uint64_t now_ms)
{
	if (queued >= WG_UNDER_LOAD_QUEUED)
		load->until_ms = now_ms + WG_UNDER_LOAD_STICKY_MS;
}

static inline bool renew_under_load(const struct renew_load *load, uint64_t now_ms)
{
	return now_ms < load->until_ms;
}
