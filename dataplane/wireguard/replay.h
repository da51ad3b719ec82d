/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The replay window of one receiving keypair: RFC 6479's ring of words instead of a shifted bitmap,
 * 8192 bits of which 8128 are usable (one word may be half cleared), the kernel's size: a packet
 * may be up to 8128 counters older than the newest.
 *
 * One writer: the worker that retires the keypair's packets. Call replay_accept() only after the
 * packet was authenticated, or a forger could move the window.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/wireguard/messages.h"

enum {
	REPLAY_BITS = 8192,
	REPLAY_WORD_BITS = 64,
	REPLAY_WORDS = REPLAY_BITS / REPLAY_WORD_BITS,
	REPLAY_WINDOW = REPLAY_BITS - REPLAY_WORD_BITS, /* usable */
};

struct replay_window {
	uint64_t next; /* greatest counter accepted, plus one; 0 = none yet */
	uint64_t words[REPLAY_WORDS];
};

/* A hint before the cost of opening: false if replay_accept() would refuse the counter now. Safe
 * beside the writer; the answer may then be stale, so it never replaces replay_accept(). */
static inline bool replay_may_accept(const struct replay_window *window, uint64_t counter)
{
	uint64_t next = __atomic_load_n(&window->next, __ATOMIC_RELAXED);
	uint64_t word;

	if (counter >= WG_REJECT_AFTER_MESSAGES)
		return false;
	if (counter >= next)
		return true;
	if (next - 1 - counter > REPLAY_WINDOW)
		return false;
	word = __atomic_load_n(
		&window->words[counter / REPLAY_WORD_BITS % REPLAY_WORDS], __ATOMIC_RELAXED);
	return (word >> (counter % REPLAY_WORD_BITS) & 1) == 0;
}

/* True exactly once for each counter below the reject limit that is new or still in the window. */
static inline bool replay_accept(struct replay_window *window, uint64_t counter)
{
	uint64_t index = counter / REPLAY_WORD_BITS;
	uint64_t mask = UINT64_C(1) << (counter % REPLAY_WORD_BITS);
	uint64_t *word = &window->words[index % REPLAY_WORDS];
	uint64_t next = window->next;

	if (counter >= WG_REJECT_AFTER_MESSAGES)
		return false;
	if (counter >= next) {
		/* Clear the words between the old front and the new one, all of them at most. */
		uint64_t front = next == 0 ? 0 : (next - 1) / REPLAY_WORD_BITS;
		uint64_t steps = index - front;

		if (steps > REPLAY_WORDS)
			steps = REPLAY_WORDS;
		for (uint64_t i = 0; i < steps; i++)
			__atomic_store_n(
				&window->words[(index - i) % REPLAY_WORDS], 0, __ATOMIC_RELAXED);
		__atomic_store_n(&window->next, counter + 1, __ATOMIC_RELAXED);
	} else if (next - 1 - counter > REPLAY_WINDOW) {
		return false;
	}
	if ((*word & mask) != 0)
		return false;
	__atomic_store_n(word, *word | mask, __ATOMIC_RELAXED);
	return true;
}
