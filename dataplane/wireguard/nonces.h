/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sending counters of a session: taken for exactly the packets of one burst, immediately before
 * these are sealed. One worker takes them, the peer's home (its packets leave in the order of their
 * counters); other threads may look.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/wireguard/messages.h"

/* The block *first .. *first + n - 1. False if any of it lies at or past the reject limit (paper,
 * section 6.1): then none is taken, and the session sends no more. */
static inline bool nonces_reserve(_Atomic uint64_t *next, unsigned n, uint64_t *first)
{
	uint64_t counter = atomic_load_explicit(next, memory_order_relaxed);

	if (counter >= WG_REJECT_AFTER_MESSAGES || WG_REJECT_AFTER_MESSAGES - counter < n) {
		atomic_store_explicit(next, WG_REJECT_AFTER_MESSAGES, memory_order_relaxed);
		return false;
	}
	atomic_store_explicit(next, counter + n, memory_order_relaxed);
	*first = counter;
	return true;
}
