/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The course of a burst through a vector kernel, the same for every width. Inlined into each
 * kernel's file, where the compiler sees through the table.
 *
 * Sealing runs ChaCha20 over all lanes and xors, then authenticates the ciphertexts. Opening may
 * be in place, so it needs the tags first: the passes with the key blocks come first, and the
 * data blocks of the last of them are kept until the ciphertexts are authenticated.
 */
#pragma once

#include <sodium.h>
#include <string.h>

#include "dataplane/aead/aead_priv.h"
#include "dataplane/aead/burst.h"

/* The part of a kernel's state that does not depend on it, at its beginning. */
struct burst_work {
	uint8_t rows[BURST_ROWS_MAX][BURST_BLOCK] __attribute__((aligned(64))); /* keystream */
	uint8_t keys[BURST_PART][32] __attribute__((aligned(64)));
	struct burst_mac macs[BURST_PART];
	struct burst burst;
};

struct burst_kernel {
	unsigned lanes; /* of a pass, <= BURST_ROWS_MAX */
	/* Prepares what chacha() needs of work->burst. */
	void (*fill)(struct burst_work *work);
	/* The keystream of lanes lane .. lane + lanes - 1 into work->rows. */
	void (*chacha)(struct burst_work *work, uint32_t lane);
	/* Sets the tags of the first n of work->macs. */
	void (*mac)(struct burst_work *work, unsigned n);
	/* dst = src ^ keystream; bytes need not be a multiple of a block. */
	void (*apply)(uint8_t *dst, const uint8_t *src, const uint8_t (*rows)[BURST_BLOCK],
		uint32_t bytes);
	/* Overwrites what parts of up to n packets have left, but for work->burst: that holds no
	 * secret, only pointers to them. */
	void (*wipe)(struct burst_work *work, unsigned n);
};

#define BURST_INLINE static inline __attribute__((always_inline))

/* Where the next lane's bytes are, for a walk over the data lanes in order. */
struct burst_cursor {
	unsigned packet;
	uint32_t at; /* bytes of the packet that earlier lanes cover */
};

/* Applies n rows of keystream from the cursor on, as far as there are packets. */
BURST_INLINE void burst_apply(const struct burst_kernel *kernel, const struct burst *burst,
	struct burst_cursor *cursor, const uint8_t (*rows)[BURST_BLOCK], unsigned n)
{
	while (cursor->packet < burst->n) {
		const struct aead_packet *packet = &burst->packets[cursor->packet];
		uint32_t left = packet->length - cursor->at;
		unsigned used = (left + BURST_BLOCK - 1) / BURST_BLOCK;
		bool ends = used <= n;

		if (!ends) {
			used = n;
			left = n * BURST_BLOCK;
		}
		kernel->apply(packet->dst + cursor->at, packet->src + cursor->at, rows, left);
		cursor->at += left;
		rows += used;
		n -= used;
		if (!ends)
			return;
		cursor->packet++;
		cursor->at = 0;
	}
}

BURST_INLINE void burst_authenticate(
	const struct burst_kernel *kernel, struct burst_work *work, bool opening)
{
	burst_describe(&work->burst, work->keys, opening, work->macs);
	kernel->mac(work, work->burst.n);
	burst_finish(&work->burst, opening, work->macs);
}

/* The passes with key blocks; returns the first lane of the last of them. */
BURST_INLINE uint32_t burst_make_keys(const struct burst_kernel *kernel, struct burst_work *work)
{
	uint32_t lane = 0, n = work->burst.n;

	kernel->fill(work);
	for (;;) {
		unsigned keys = n - lane < kernel->lanes ? n - lane : kernel->lanes;

		kernel->chacha(work, lane);
		for (unsigned i = 0; i < keys; i++)
			memcpy(work->keys[lane + i], work->rows[i], 32);
		if (n - lane <= kernel->lanes)
			return lane;
		lane += kernel->lanes;
	}
}

/* Everything after the first passes, which ended with the one at `lane`. */
BURST_INLINE void burst_crypt(
	const struct burst_kernel *kernel, struct burst_work *work, uint32_t lane)
{
	struct burst_cursor cursor = {0};
	unsigned keys = work->burst.n - lane;

	burst_apply(kernel, &work->burst, &cursor, (const uint8_t(*)[BURST_BLOCK])work->rows + keys,
		kernel->lanes - keys);
	for (lane += kernel->lanes; lane < work->burst.lanes; lane += kernel->lanes) {
		kernel->chacha(work, lane);
		burst_apply(kernel, &work->burst, &cursor,
			(const uint8_t(*)[BURST_BLOCK])work->rows, kernel->lanes);
	}
}

BURST_INLINE void burst_run(const struct burst_kernel *kernel, struct burst_work *work,
	struct aead_packet *packets, unsigned n, bool opening)
{
	unsigned most = n < BURST_PART ? n : BURST_PART;

	while (n > 0) {
		unsigned done = burst_plan(&work->burst, packets, n);
		uint32_t lane = burst_make_keys(kernel, work);

		if (opening)
			burst_authenticate(kernel, work, true);
		burst_crypt(kernel, work, lane);
		if (!opening)
			burst_authenticate(kernel, work, false);
		packets += done;
		n -= done;
	}
	kernel->wipe(work, most);
}

/* The general entry: the kernel's keystream, and libsodium's Poly1305 for the associated data. */
BURST_INLINE bool burst_run_message(const struct burst_kernel *kernel, struct burst_work *work,
	const struct aead_message *m, bool opening)
{
	struct aead_packet packet = {
		.key = m->key, .src = m->src, .dst = m->dst, .length = m->length};
	uint8_t tag[AEAD_TAG_SIZE];
	bool ok = true;
	uint32_t lane;

	burst_plan(&work->burst, &packet, 1);
	for (unsigned i = 0; i < 3; i++)
		memcpy(&work->burst.nonce[i][0], m->nonce + 4 * i, 4);
	lane = burst_make_keys(kernel, work);
	if (opening) {
		burst_mac_message(work->keys[0], m, m->src, tag);
		ok = sodium_memcmp(tag, m->src + m->length, AEAD_TAG_SIZE) == 0;
	}
	if (ok)
		burst_crypt(kernel, work, lane);
	if (!opening)
		burst_mac_message(work->keys[0], m, m->dst, m->dst + m->length);
	kernel->wipe(work, 1);
	return ok;
}
