/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * X25519 by OpenSSL, whose multiplication is faster than libsodium's where the CPU has ADX. Its
 * objects cost nearly as much as that saves: those that hold no scalar are made once for a burst,
 * the others once for successive jobs of one scalar. They are freed, and so wiped, before return.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "dataplane/x25519/x25519_priv.h"

static const struct key base_point = {{9}};

struct objects {
	EVP_PKEY_CTX *importer;
	EVP_PKEY *remote;        /* its bytes change for each job */
	EVP_PKEY_CTX *of_scalar; /* refers to remote; NULL = none */
	const struct key *scalar;
};

static bool is_supported(void)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
	bool is_there = context != NULL;

	EVP_PKEY_CTX_free(context);
	ERR_clear_error();
	return is_there;
}

static void close_objects(struct objects *objects)
{
	EVP_PKEY_CTX_free(objects->of_scalar);
	EVP_PKEY_free(objects->remote);
	EVP_PKEY_CTX_free(objects->importer);
	ERR_clear_error();
}

static bool open_objects(struct objects *objects)
{
	*objects = (struct objects){
		.importer = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL),
		.remote = EVP_PKEY_new_raw_public_key(
			EVP_PKEY_X25519, NULL, base_point.bytes, KEY_SIZE),
	};
	return objects->importer != NULL && objects->remote != NULL &&
	       EVP_PKEY_fromdata_init(objects->importer) == 1;
}

/* With a public key given, any one, OpenSSL does not reckon it; nothing here reads it. */
static EVP_PKEY *import(EVP_PKEY_CTX *importer, const struct key *scalar)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(
			OSSL_PKEY_PARAM_PRIV_KEY, (void *)(uintptr_t)scalar->bytes, KEY_SIZE),
		OSSL_PARAM_construct_octet_string(
			OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)base_point.bytes, KEY_SIZE),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY *key = NULL;

	return EVP_PKEY_fromdata(importer, &key, EVP_PKEY_KEYPAIR, params) == 1 ? key : NULL;
}

static bool take_scalar(struct objects *objects, const struct key *scalar)
{
	EVP_PKEY *own;

	if (objects->of_scalar != NULL && objects->scalar == scalar)
		return true;
	EVP_PKEY_CTX_free(objects->of_scalar);
	own = import(objects->importer, scalar);
	objects->of_scalar = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
	EVP_PKEY_free(own); /* the context holds its own reference */
	objects->scalar = scalar;
	if (objects->of_scalar != NULL && EVP_PKEY_derive_init(objects->of_scalar) == 1 &&
		EVP_PKEY_derive_set_peer_ex(objects->of_scalar, objects->remote, 0) == 1)
		return true;
	EVP_PKEY_CTX_free(objects->of_scalar);
	objects->of_scalar = NULL;
	return false;
}

/* False also for points of low order, which it refuses. */
static bool multiply(struct objects *objects, struct x25519_job *job)
{
	const struct key *point = job->point != NULL ? job->point : &base_point;
	size_t size = KEY_SIZE;

	return take_scalar(objects, job->scalar) &&
	       EVP_PKEY_set1_encoded_public_key(objects->remote, point->bytes, KEY_SIZE) == 1 &&
	       EVP_PKEY_derive(objects->of_scalar, job->product->bytes, &size) == 1 &&
	       size == KEY_SIZE;
}

/* What it does not do, for want of memory or for a point of low order, libsodium does. */
static void multiply_burst(struct x25519_job *jobs, unsigned count)
{
	struct objects objects;
	bool is_open = open_objects(&objects);

	for (unsigned i = 0; i < count; i++) {
		if (!is_open || !multiply(&objects, &jobs[i]))
			x25519_sodium_multiply(&jobs[i]);
	}
	close_objects(&objects);
}

const struct x25519_ops x25519_openssl = {
	.name = "openssl",
	.is_supported = is_supported,
	.burst = multiply_burst,
};
