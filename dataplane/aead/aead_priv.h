/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an implementation of the burst AEAD provides. Stays inside dataplane/aead.
 */
#pragma once

#include "dataplane/aead/aead.h"

/* All functions run on the thread that owns `state`. */
struct aead_ops {
	const char *name;
	bool by_name_only; /* never chosen by measurement: there to be compared with */
	bool (*is_supported)(void);
	void *(*create)(int *error);
	void (*destroy)(void *state); /* wipes and frees */
	/* Bursts; open sets ok in each packet. NULL: packet by packet, with the two below. */
	void (*seal)(void *state, struct aead_packet *packets, unsigned n);
	void (*open)(void *state, struct aead_packet *packets, unsigned n);
	void (*seal_message)(void *state, const struct aead_message *message);
	/* False: not genuine; the caller wipes dst. */
	bool (*open_message)(void *state, const struct aead_message *message);
};

extern const struct aead_ops aead_sodium;
extern const struct aead_ops aead_openssl;
#ifdef HAVE_IPSEC_MB
extern const struct aead_ops aead_ipsec_mb;
extern const struct aead_ops aead_ipsec_mb_avx2;
#endif
#ifdef HAVE_AEAD_X86
extern const struct aead_ops aead_avx2;
extern const struct aead_ops aead_avx512;
#endif

/* WireGuard's nonce: four zero bytes, then the counter in little endian. */
static inline void aead_nonce(uint8_t nonce[AEAD_NONCE_SIZE], uint64_t counter)
{
	nonce[0] = nonce[1] = nonce[2] = nonce[3] = 0;
	for (unsigned i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(counter >> 8 * i);
}

static inline struct aead_message aead_message_of(
	const struct aead_packet *packet, uint8_t nonce[AEAD_NONCE_SIZE])
{
	aead_nonce(nonce, packet->counter);
	return (struct aead_message){
		.key = packet->key,
		.nonce = nonce,
		.length = packet->length,
		.src = packet->src,
		.dst = packet->dst,
	};
}
