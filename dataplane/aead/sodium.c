/* SPDX-License-Identifier: BSD-3-Clause */
/* The AEAD by libsodium: portable, always built, what the other implementations are tested with. */
#include <errno.h>
#include <sodium.h>

#include "dataplane/aead/aead_priv.h"

static bool is_supported(void)
{
	return sodium_init() >= 0;
}

/* libsodium keeps no state; any address that is not NULL will do. */
static void *create(int *error)
{
	static char nothing;

	if (sodium_init() >= 0)
		return &nothing;
	*error = -EIO;
	return NULL;
}

static void destroy(void *state)
{
}

static void seal_message(void *state, const struct aead_message *m)
{
	crypto_aead_chacha20poly1305_ietf_encrypt_detached(m->dst, m->dst + m->length, NULL, m->src,
		m->length, m->aad, m->aad_length, NULL, m->nonce, m->key);
}

static bool open_message(void *state, const struct aead_message *m)
{
	return crypto_aead_chacha20poly1305_ietf_decrypt_detached(m->dst, NULL, m->src, m->length,
		       m->src + m->length, m->aad, m->aad_length, m->nonce, m->key) == 0;
}

const struct aead_ops aead_sodium = {
	.name = "sodium",
	.is_supported = is_supported,
	.create = create,
	.destroy = destroy,
	.seal_message = seal_message,
	.open_message = open_message,
};
