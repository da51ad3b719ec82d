/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * X25519 (RFC 7748) by OpenSSL, of our static key and, one at a time, of an ephemeral one. What
 * does not depend on the other side's key is made once: OpenSSL multiplies faster than libsodium
 * where the CPU has ADX, but its objects cost nearly as much as that saves.
 *
 * Threads: an object is used by one thread at a time. Private keys are wiped as they go.
 */
#pragma once

#include "common/base/key.h"

struct x25519;

/* With the static pair; the public half is not reckoned again. NULL and *error (-ENOMEM, -ENOTSUP)
 * on failure. */
struct x25519 *x25519_create(const struct key *private_key, const struct key *public_key,
	int *error) __attribute__((warn_unused_result));

/* NULL is allowed. Sets *x25519 to NULL. */
void x25519_destroy(struct x25519 **x25519);

/* The ephemeral pair from now on; replaces another. 0 or -ENOMEM. */
int x25519_set_ephemeral(struct x25519 *x25519, const struct key *private_key,
	const struct key *public_key) __attribute__((warn_unused_result));
void x25519_drop_ephemeral(struct x25519 *x25519);

/* The secret that our key shares with the owner of `remote`. 0; -EINVAL if it is all zeros, as for
 * keys of low order; *shared is then zeroed. The caller wipes it. */
int x25519_of_static(struct x25519 *x25519, const struct key *remote, struct key *shared)
	__attribute__((warn_unused_result));
int x25519_of_ephemeral(struct x25519 *x25519, const struct key *remote, struct key *shared)
	__attribute__((warn_unused_result));
