/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A peer's new endpoint between the worker that saw an authentic packet from it and the handshake
 * thread that makes a path of it: workers that seal meanwhile read it here, so that the endpoint
 * is taken at once (WireGuard paper, 2.1). One is under way at a time; the next packet brings the
 * next. No thread waits for another.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "dataplane/wireguard/handshake.h"

enum {
	ROAM_WORDS = sizeof(struct handshake_source) / sizeof(uint64_t),
	/* The low bits of the state say what is there; the others tell one occasion from the next.
	 */
	ROAM_IDLE = 0,
	ROAM_WRITING = 1,
	ROAM_PUBLISHED = 2,
	ROAM_PHASE = 3,
};

_Static_assert(sizeof(struct handshake_source) % sizeof(uint64_t) == 0, "it is copied by words");

struct roam {
	_Atomic uint32_t state;
	_Atomic uint64_t words[ROAM_WORDS];
};

/* Any worker. False if another one is under way; true: the handshake thread is to be told. */
static inline bool roam_begin(struct roam *roam, const struct handshake_source *source)
{
	uint32_t state = atomic_load_explicit(&roam->state, memory_order_relaxed);
	uint64_t words[ROAM_WORDS];

	if ((state & ROAM_PHASE) != ROAM_IDLE ||
		!atomic_compare_exchange_strong_explicit(&roam->state, &state, state + ROAM_WRITING,
			memory_order_acquire, memory_order_relaxed))
		return false;
	/* A reader that sees one of the new words sees the state before it, too. */
	atomic_thread_fence(memory_order_release);
	memcpy(words, source, sizeof(words));
	for (unsigned i = 0; i < ROAM_WORDS; i++)
		atomic_store_explicit(&roam->words[i], words[i], memory_order_relaxed);
	atomic_store_explicit(&roam->state, state + ROAM_PUBLISHED, memory_order_release);
	return true;
}

static inline bool roam_pending(const struct roam *roam)
{
	return (atomic_load_explicit(&roam->state, memory_order_acquire) & ROAM_PHASE) ==
	       ROAM_PUBLISHED;
}

/* Any worker. False if there is none: then the peer's path, read after this, is the one. */
static inline bool roam_read(const struct roam *roam, struct handshake_source *source)
{
	uint32_t state = atomic_load_explicit(&roam->state, memory_order_acquire);
	uint64_t words[ROAM_WORDS];

	if ((state & ROAM_PHASE) != ROAM_PUBLISHED)
		return false;
	for (unsigned i = 0; i < ROAM_WORDS; i++)
		words[i] = atomic_load_explicit(&roam->words[i], memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&roam->state, memory_order_relaxed) != state)
		return false;
	memcpy(source, words, sizeof(words));
	return true;
}

/* The handshake thread, once the path is published; or who began it, if nobody could be told. */
static inline void roam_end(struct roam *roam)
{
	uint32_t state = atomic_load_explicit(&roam->state, memory_order_relaxed);

	atomic_store_explicit(&roam->state, (state | ROAM_PHASE) + 1, memory_order_release);
}
