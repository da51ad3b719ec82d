/* SPDX-License-Identifier: BSD-3-Clause */
/* The AEAD by OpenSSL's EVP interface: one context per thread, rekeyed for each packet. */
#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>

#include "dataplane/aead/aead_priv.h"

static bool is_supported(void)
{
	return true;
}

static void destroy(void *state)
{
	EVP_CIPHER_CTX_free(state);
}

static void *create(int *error)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (!ctx) {
		*error = -ENOMEM;
		return NULL;
	}
	if (EVP_CipherInit_ex(ctx, EVP_chacha20_poly1305(), NULL, NULL, NULL, 1) != 1) {
		destroy(ctx);
		*error = -ENOTSUP;
		return NULL;
	}
	return ctx;
}

/* The calls below allocate nothing after the first one and cannot fail with these arguments; a
 * packet sealed in part would be sent in clear, so a failure stops the process. */
static void must(int rc)
{
	if (__builtin_expect(rc != 1, 0))
		__builtin_trap();
}

static void feed(EVP_CIPHER_CTX *ctx, const struct aead_message *m, int seal)
{
	int size;

	must(EVP_CipherInit_ex(ctx, NULL, NULL, m->key, m->nonce, seal));
	if (m->aad_length > 0)
		must(EVP_CipherUpdate(ctx, NULL, &size, m->aad, (int)m->aad_length));
	if (m->length > 0)
		must(EVP_CipherUpdate(ctx, m->dst, &size, m->src, (int)m->length));
}

static void seal_message(void *state, const struct aead_message *m)
{
	int size;

	feed(state, m, 1);
	must(EVP_CipherFinal_ex(state, m->dst + m->length, &size));
	must(EVP_CIPHER_CTX_ctrl(state, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, m->dst + m->length));
}

static bool open_message(void *state, const struct aead_message *m)
{
	uint8_t unused[AEAD_TAG_SIZE];
	int size;

	feed(state, m, 0);
	must(EVP_CIPHER_CTX_ctrl(
		state, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, (void *)(m->src + m->length)));
	return EVP_CipherFinal_ex(state, unused, &size) == 1;
}

const struct aead_ops aead_openssl = {
	.name = "openssl",
	.is_supported = is_supported,
	.create = create,
	.destroy = destroy,
	.seal_message = seal_message,
	.open_message = open_message,
};
