/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/wireguard/x25519.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>

struct x25519 {
	EVP_PKEY_CTX *importer;
	EVP_PKEY *remote; /* both contexts refer to it; its bytes change for each multiplication */
	EVP_PKEY_CTX *of_static;
	EVP_PKEY_CTX *of_ephemeral; /* NULL = none */
};

/* With the public key given OpenSSL does not reckon it. */
static EVP_PKEY *import(
	EVP_PKEY_CTX *importer, const struct key *private_key, const struct key *public_key)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(
			OSSL_PKEY_PARAM_PRIV_KEY, (void *)(uintptr_t)private_key->bytes, KEY_SIZE),
		OSSL_PARAM_construct_octet_string(
			OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)public_key->bytes, KEY_SIZE),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY *key = NULL;

	return EVP_PKEY_fromdata(importer, &key, EVP_PKEY_KEYPAIR, params) == 1 ? key : NULL;
}

static EVP_PKEY_CTX *make_ready(
	struct x25519 *x25519, const struct key *private_key, const struct key *public_key)
{
	EVP_PKEY *own = import(x25519->importer, private_key, public_key);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);

	EVP_PKEY_free(own); /* the context holds its own reference */
	if (context == NULL || EVP_PKEY_derive_init(context) != 1 ||
		EVP_PKEY_derive_set_peer_ex(context, x25519->remote, 0) != 1) {
		ERR_clear_error();
		EVP_PKEY_CTX_free(context);
		return NULL;
	}
	return context;
}

struct x25519 *x25519_create(
	const struct key *private_key, const struct key *public_key, int *error)
{
	struct x25519 *x25519 = calloc(1, sizeof(*x25519));

	*error = -ENOMEM;
	if (x25519 == NULL)
		return NULL;
	x25519->importer = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
	/* Any public key will do until the first multiplication. */
	x25519->remote =
		EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public_key->bytes, KEY_SIZE);
	/* An OpenSSL without X25519, or no memory: it does not say which. */
	*error = -ENOTSUP;
	if (x25519->importer == NULL || x25519->remote == NULL ||
		EVP_PKEY_fromdata_init(x25519->importer) != 1)
		goto err_object;
	x25519->of_static = make_ready(x25519, private_key, public_key);
	if (x25519->of_static == NULL)
		goto err_object;
	*error = 0;
	return x25519;
err_object:
	ERR_clear_error();
	x25519_destroy(&x25519);
	return NULL;
}

void x25519_destroy(struct x25519 **x25519)
{
	if (*x25519 == NULL)
		return;
	/* The contexts' are the last references to the private keys: wiped. */
	x25519_drop_ephemeral(*x25519);
	EVP_PKEY_CTX_free((*x25519)->of_static);
	EVP_PKEY_free((*x25519)->remote);
	EVP_PKEY_CTX_free((*x25519)->importer);
	free(*x25519);
	*x25519 = NULL;
}

int x25519_set_ephemeral(
	struct x25519 *x25519, const struct key *private_key, const struct key *public_key)
{
	x25519_drop_ephemeral(x25519);
	x25519->of_ephemeral = make_ready(x25519, private_key, public_key);
	return x25519->of_ephemeral != NULL ? 0 : -ENOMEM;
}

void x25519_drop_ephemeral(struct x25519 *x25519)
{
	EVP_PKEY_CTX_free(x25519->of_ephemeral);
	x25519->of_ephemeral = NULL;
}

static int multiply(
	EVP_PKEY_CTX *context, EVP_PKEY *object, const struct key *remote, struct key *shared)
{
	size_t size = KEY_SIZE;

	if (EVP_PKEY_set1_encoded_public_key(object, remote->bytes, KEY_SIZE) == 1 &&
		EVP_PKEY_derive(context, shared->bytes, &size) == 1 && size == KEY_SIZE &&
		!key_is_zero(shared))
		return 0;
	ERR_clear_error();
	key_wipe(shared);
	return -EINVAL;
}

int x25519_of_static(struct x25519 *x25519, const struct key *remote, struct key *shared)
{
	return multiply(x25519->of_static, x25519->remote, remote, shared);
}

int x25519_of_ephemeral(struct x25519 *x25519, const struct key *remote, struct key *shared)
{
	if (x25519->of_ephemeral == NULL) {
		key_wipe(shared);
		return -EINVAL;
	}
	return multiply(x25519->of_ephemeral, x25519->remote, remote, shared);
}
