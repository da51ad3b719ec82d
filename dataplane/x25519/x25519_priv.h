/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an implementation of X25519 provides. Stays inside dataplane/x25519.
 */
#pragma once

#include "dataplane/x25519/x25519.h"

struct x25519_ops {
	const char *name;
	bool (*is_supported)(void);
	/* Sets the products only: all zeros where RFC 7748 gives that. count > 0. */
	void (*burst)(struct x25519_job *jobs, unsigned count);
};

/* One job by libsodium, for whoever cannot do it himself. */
void x25519_sodium_multiply(struct x25519_job *job);

extern const struct x25519_ops x25519_sodium;
extern const struct x25519_ops x25519_openssl;
#ifdef HAVE_X25519_X86
extern const struct x25519_ops x25519_avx512;
#endif
