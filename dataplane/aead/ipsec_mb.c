/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AEAD by intel-ipsec-mb's job interface. Version 1.3 completes a ChaCha20-Poly1305 job within
 * its submission, and its direct interface is slower than a job at every length that matters.
 */
#include <errno.h>
#include <intel-ipsec-mb.h>
#include <sodium.h>

#include "dataplane/aead/aead_priv.h"

static bool is_supported(void)
{
	return true;
}

static bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2");
}

static void *create_with(void (*init)(IMB_MGR *), int *error)
{
	IMB_MGR *manager = alloc_mb_mgr(0);

	if (!manager) {
		*error = -ENOMEM;
		return NULL;
	}
	init(manager);
	if (imb_get_errno(manager) != 0) {
		free_mb_mgr(manager);
		*error = -ENOTSUP;
		return NULL;
	}
	return manager;
}

static void init_best(IMB_MGR *manager)
{
	init_mb_mgr_auto(manager, NULL);
}

static void *create(int *error)
{
	return create_with(init_best, error);
}

static void *create_avx2(int *error)
{
	return create_with(init_mb_mgr_avx2, error);
}

static void destroy(void *state)
{
	/* Jobs hold pointers, not keys; the library wipes its own copies. */
	free_mb_mgr(state);
}

static inline void run(IMB_MGR *manager, const struct aead_message *m, IMB_CIPHER_DIRECTION way,
	uint8_t tag[AEAD_TAG_SIZE])
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(manager);

	job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	job->cipher_direction = way;
	job->chain_order = way == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	job->enc_keys = job->dec_keys = m->key;
	job->key_len_in_bytes = AEAD_KEY_SIZE;
	job->iv = m->nonce;
	job->iv_len_in_bytes = AEAD_NONCE_SIZE;
	job->u.CHACHA20_POLY1305.aad = m->aad;
	job->u.CHACHA20_POLY1305.aad_len_in_bytes = m->aad_length;
	job->src = m->src;
	job->dst = m->dst;
	job->cipher_start_src_offset_in_bytes = 0;
	job->msg_len_to_cipher_in_bytes = m->length;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = m->length;
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = AEAD_TAG_SIZE;
	job = IMB_SUBMIT_JOB_NOCHECK(manager);
	/* A later version might queue; a packet not sealed must never be sent as it is. */
	if (__builtin_expect(!job, 0))
		job = IMB_FLUSH_JOB(manager);
	if (__builtin_expect(!job || job->status != IMB_STATUS_COMPLETED, 0))
		__builtin_trap();
}

static void seal_message(void *state, const struct aead_message *m)
{
	run(state, m, IMB_DIR_ENCRYPT, m->dst + m->length);
}

static bool open_message(void *state, const struct aead_message *m)
{
	uint8_t tag[AEAD_TAG_SIZE];

	run(state, m, IMB_DIR_DECRYPT, tag);
	return sodium_memcmp(tag, m->src + m->length, AEAD_TAG_SIZE) == 0;
}

static void seal(void *state, struct aead_packet *packets, unsigned n)
{
	uint8_t nonce[AEAD_NONCE_SIZE];

	for (unsigned i = 0; i < n; i++) {
		struct aead_message m = aead_message_of(&packets[i], nonce);

		seal_message(state, &m);
	}
}

static void open(void *state, struct aead_packet *packets, unsigned n)
{
	uint8_t nonce[AEAD_NONCE_SIZE];

	for (unsigned i = 0; i < n; i++) {
		struct aead_message m = aead_message_of(&packets[i], nonce);

		packets[i].ok = open_message(state, &m);
	}
}

const struct aead_ops aead_ipsec_mb = {
	.name = "ipsec-mb",
	.is_supported = is_supported,
	.create = create,
	.destroy = destroy,
	.seal = seal,
	.open = open,
	.seal_message = seal_message,
	.open_message = open_message,
};

const struct aead_ops aead_ipsec_mb_avx2 = {
	.name = "ipsec-mb-avx2",
	.by_name_only = true,
	.is_supported = has_avx2,
	.create = create_avx2,
	.destroy = destroy,
	.seal = seal,
	.open = open,
	.seal_message = seal_message,
	.open_message = open_message,
};
