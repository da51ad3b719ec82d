/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * X25519 (RFC 7748, section 5) of many pairs of a scalar and a point at once. Several
 * implementations stand behind one interface; which one runs is chosen at start by CPU and a short
 * measurement, or by name. Builds and is tested without DPDK.
 *
 * A kernel multiplies in the lanes of vectors: eight jobs in one call cost little more than one, so
 * whoever has several jobs that do not wait for each other hands them over together.
 *
 * Threads: x25519_select() once on the main thread before others multiply; x25519_burst() on any
 * thread, several at the same time. Not for workers: the portable implementations allocate.
 */
#pragma once

#include <stdbool.h>

#include "common/base/key.h"

/* One multiplication. Keys are the caller's, of any alignment; several jobs may share scalars and
 * points. A product lies apart from every scalar, point and other product of the call. */
struct x25519_job {
	const struct key *scalar; /* secret; clamped here */
	/* Any 32 bytes: the highest bit is ignored, numbers above the prime are reduced. NULL: the
	 * base point, so that the product is the scalar's public key. */
	const struct key *point;
	struct key *product; /* the caller wipes it */
	/* Set by x25519_burst(): the product is all zeros, as for points of low order, and must not
	 * be used. */
	bool zero;
};

/* name: "avx512", "openssl", "sodium", or NULL to choose by CPU and measurement (some 10 ms), maybe
 * another one for a few jobs. 0, -ENOENT for an unknown name, -ENOTSUP if this CPU cannot run it,
 * -EIO without libsodium's randomness. */
int x25519_select(const char *name) __attribute__((warn_unused_result));

/* The implementation in use, "sodium" until one is selected; a constant string. */
const char *x25519_name(void);

/* The same for people: "avx512, up to 1 job openssl". Valid until the next x25519_select(). */
const char *x25519_description(void);

/* Names in order of preference, for usage texts and benchmarks; NULL past the last one. Not every
 * one can run on this CPU. */
const char *x25519_name_at(unsigned index);

/* Any count. Never fails. Time and addresses depend on the count and on which jobs are of the base
 * point, on nothing else. Jobs of one scalar cost least one after the other. */
void x25519_burst(struct x25519_job *jobs, unsigned count);
