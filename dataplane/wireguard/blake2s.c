/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/wireguard/blake2s.h"

#include <assert.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

/* RFC 2104, for a hash with blocks of 64 bytes. */
enum { HMAC_BLOCK = 64, INNER = 0x36, OUTER = 0x5c };

struct blake2s {
	EVP_MD *algorithm;
	EVP_MD_CTX *hash;
	EVP_MAC_CTX *mac; /* BLAKE2SMAC, 16 bytes out */
	bool failed;
};

static EVP_MAC_CTX *make_mac(const char *name, const OSSL_PARAM *params)
{
	EVP_MAC *algorithm = EVP_MAC_fetch(NULL, name, NULL);
	EVP_MAC_CTX *context = EVP_MAC_CTX_new(algorithm);

	EVP_MAC_free(algorithm); /* the context holds its own reference */
	if (context != NULL && EVP_MAC_CTX_set_params(context, params) != 1) {
		EVP_MAC_CTX_free(context);
		return NULL;
	}
	return context;
}

struct blake2s *blake2s_create(int *error)
{
	size_t mac_size = BLAKE2S_MAC_SIZE;
	const OSSL_PARAM mac_params[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &mac_size),
		OSSL_PARAM_construct_end(),
	};
	struct blake2s *blake2s = calloc(1, sizeof(*blake2s));

	*error = -ENOMEM;
	if (blake2s == NULL)
		return NULL;
	blake2s->algorithm = EVP_MD_fetch(NULL, "BLAKE2S-256", NULL);
	blake2s->hash = EVP_MD_CTX_new();
	blake2s->mac = make_mac("BLAKE2SMAC", mac_params);
	if (blake2s->algorithm == NULL || blake2s->hash == NULL || blake2s->mac == NULL) {
		/* An OpenSSL without BLAKE2s, or no memory: it does not say which. */
		*error = -ENOTSUP;
		blake2s_destroy(&blake2s);
		return NULL;
	}
	*error = 0;
	return blake2s;
}

void blake2s_destroy(struct blake2s **blake2s)
{
	if (*blake2s == NULL)
		return;
	EVP_MAC_CTX_free((*blake2s)->mac);
	EVP_MD_CTX_free((*blake2s)->hash);
	EVP_MD_free((*blake2s)->algorithm);
	free(*blake2s);
	*blake2s = NULL;
}

bool blake2s_failed(struct blake2s *blake2s)
{
	bool failed = blake2s->failed;

	blake2s->failed = false;
	return failed;
}

static void settle(struct blake2s *blake2s, bool ok, uint8_t *out, size_t size)
{
	if (ok)
		return;
	memset(out, 0, size);
	blake2s->failed = true;
}

void blake2s_hash(struct blake2s *blake2s, uint8_t out[BLAKE2S_SIZE], struct blake2s_bytes a,
	struct blake2s_bytes b)
{
	EVP_MD_CTX *hash = blake2s->hash;
	bool ok = EVP_DigestInit_ex2(hash, blake2s->algorithm, NULL) == 1 &&
		  EVP_DigestUpdate(hash, a.data, a.size) == 1 &&
		  EVP_DigestUpdate(hash, b.data, b.size) == 1 &&
		  EVP_DigestFinal_ex(hash, out, NULL) == 1;

	settle(blake2s, ok, out, BLAKE2S_SIZE);
}

static bool run_mac(EVP_MAC_CTX *mac, uint8_t *out, size_t size, struct blake2s_bytes key,
	struct blake2s_bytes message)
{
	size_t written;

	return EVP_MAC_init(mac, key.data, key.size, NULL) == 1 &&
	       EVP_MAC_update(mac, message.data, message.size) == 1 &&
	       EVP_MAC_final(mac, out, &written, size) == 1 && written == size;
}

void blake2s_mac(struct blake2s *blake2s, uint8_t out[BLAKE2S_MAC_SIZE], struct blake2s_bytes key,
	struct blake2s_bytes message)
{
	bool ok = run_mac(blake2s->mac, out, BLAKE2S_MAC_SIZE, key, message);

	settle(blake2s, ok, out, BLAKE2S_MAC_SIZE);
}

/* RFC 2104 from two hashes: OpenSSL's own HMAC costs nearly half as much again, in what it does
 * around them for each key. */
void blake2s_hmac(struct blake2s *blake2s, uint8_t out[BLAKE2S_SIZE], struct blake2s_bytes key,
	struct blake2s_bytes message)
{
	uint8_t pad[HMAC_BLOCK] = {0}, inner[BLAKE2S_SIZE];

	if (key.size > sizeof(pad))
		blake2s_hash(blake2s, pad, key, (struct blake2s_bytes){"", 0});
	else
		memcpy(pad, key.data, key.size);
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= INNER;
	blake2s_hash(blake2s, inner, (struct blake2s_bytes){pad, sizeof(pad)}, message);
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= INNER ^ OUTER;
	blake2s_hash(blake2s, out, (struct blake2s_bytes){pad, sizeof(pad)},
		(struct blake2s_bytes){inner, sizeof(inner)});
	if (blake2s->failed)
		memset(out, 0, BLAKE2S_SIZE);
	OPENSSL_cleanse(pad, sizeof(pad));
	OPENSSL_cleanse(inner, sizeof(inner));
}

void blake2s_kdf(struct blake2s *blake2s, uint8_t *const outputs[3],
	const uint8_t chaining_key[BLAKE2S_SIZE], struct blake2s_bytes input)
{
	uint8_t secret[BLAKE2S_SIZE];
	uint8_t block[BLAKE2S_SIZE + 1]; /* previous output, then the number of this one */
	size_t held = 0;

	assert(outputs[0] != NULL && (outputs[1] != NULL || outputs[2] == NULL));
	blake2s_hmac(blake2s, secret, (struct blake2s_bytes){chaining_key, BLAKE2S_SIZE}, input);
	for (uint8_t i = 0; i < 3 && outputs[i] != NULL; i++) {
		block[held] = i + 1;
		blake2s_hmac(blake2s, outputs[i], (struct blake2s_bytes){secret, sizeof(secret)},
			(struct blake2s_bytes){block, held + 1});
		memcpy(block, outputs[i], BLAKE2S_SIZE);
		held = BLAKE2S_SIZE;
	}
	OPENSSL_cleanse(secret, sizeof(secret));
	OPENSSL_cleanse(block, sizeof(block));
}
