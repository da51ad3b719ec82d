/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both messages of Noise IKpsk2, made and read:
 *
 *   -> e, es, s, ss, {timestamp}
 *   <- e, ee, se, psk, {}
 *
 * Every function copies the transcript (chaining key and hash) it starts from, works on the copy,
 * and stores it only when the whole message held. A product of all zeros is refused, so a key of
 * low order fails wherever it turns up.
 */
#include "dataplane/wireguard/noise.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "dataplane/wireguard/blake2s.h"
#include "dataplane/x25519/x25519.h"

static const char construction[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static const char identifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

enum { SPILLED_BYTES = 4096 };

/* The transcript being worked on, and the key that its last mixing gave. */
struct transcript {
	uint8_t chaining_key[WG_HASH_SIZE];
	uint8_t hash[WG_HASH_SIZE];
	uint8_t key[WG_KEY_SIZE];
};

static void mix_hash(struct transcript *t, const void *data, size_t size)
{
	blake2s_hash(t->hash, (struct blake2s_bytes){t->hash, sizeof(t->hash)},
		(struct blake2s_bytes){data, size});
}

/* Mixes what a key of ours shares with one of the other side's. With `for_payload` the key for the
 * payload that follows comes of it, too. */
static int mix_shared(struct transcript *t, const struct key *shared, bool for_payload)
{
	uint8_t *const outputs[3] = {t->chaining_key, for_payload ? t->key : NULL};

	if (key_is_zero(shared))
		return -EINVAL;
	blake2s_kdf(outputs, t->chaining_key, (struct blake2s_bytes){shared->bytes, KEY_SIZE});
	return 0;
}

/* With a preshared key in the pattern, Noise mixes ephemerals into the key as well. */
static void mix_ephemeral(struct transcript *t, const uint8_t ephemeral[WG_KEY_SIZE])
{
	uint8_t *const outputs[3] = {t->chaining_key};

	mix_hash(t, ephemeral, WG_KEY_SIZE);
	blake2s_kdf(outputs, t->chaining_key, (struct blake2s_bytes){ephemeral, WG_KEY_SIZE});
}

static void mix_preshared_key(struct transcript *t, const struct key *preshared_key)
{
	uint8_t temporary[WG_HASH_SIZE];
	uint8_t *const outputs[3] = {t->chaining_key, temporary, t->key};

	blake2s_kdf(
		outputs, t->chaining_key, (struct blake2s_bytes){preshared_key->bytes, KEY_SIZE});
	mix_hash(t, temporary, sizeof(temporary));
	sodium_memzero(temporary, sizeof(temporary));
}

/* Each key seals one payload, so the nonce is always zero. `out` takes size + WG_TAG_SIZE. */
static void seal(struct transcript *t, uint8_t *out, const void *plain, size_t size)
{
	static const uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

	crypto_aead_chacha20poly1305_ietf_encrypt(
		out, NULL, plain, size, t->hash, sizeof(t->hash), NULL, nonce, t->key);
	mix_hash(t, out, size + WG_TAG_SIZE);
}

static int open_sealed(struct transcript *t, void *out, const uint8_t *sealed, size_t size)
{
	static const uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

	if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, size + WG_TAG_SIZE,
		    t->hash, sizeof(t->hash), nonce, t->key) != 0)
		return -EBADMSG;
	mix_hash(t, sealed, size + WG_TAG_SIZE);
	return 0;
}

/* What hashes and ciphers spilled lies below the frame of the step that called them. */
static void end(struct transcript *t)
{
	sodium_memzero(t, sizeof(*t));
	sodium_stackzero(SPILLED_BYTES);
}

static void begin(struct transcript *t, const struct noise_identity *identity,
	const uint8_t hash[WG_HASH_SIZE])
{
	memcpy(t->chaining_key, identity->chaining_key, sizeof(t->chaining_key));
	memcpy(t->hash, hash, sizeof(t->hash));
}

static void resume(struct transcript *t, const uint8_t chaining_key[WG_HASH_SIZE],
	const uint8_t hash[WG_HASH_SIZE])
{
	memcpy(t->chaining_key, chaining_key, sizeof(t->chaining_key));
	memcpy(t->hash, hash, sizeof(t->hash));
}

static void save(
	const struct transcript *t, uint8_t chaining_key[WG_HASH_SIZE], uint8_t hash[WG_HASH_SIZE])
{
	memcpy(chaining_key, t->chaining_key, sizeof(t->chaining_key));
	memcpy(hash, t->hash, sizeof(t->hash));
}

/* The first output is the key from initiator to responder. */
static void derive_keys(struct transcript *t, struct noise_keys *keys)
{
	uint8_t *const outputs[3] = {
		keys->initiator ? keys->send.bytes : keys->receive.bytes,
		keys->initiator ? keys->receive.bytes : keys->send.bytes,
	};

	blake2s_kdf(outputs, t->chaining_key, (struct blake2s_bytes){"", 0});
}

/* What all transcripts begin with is hashed once. */
static void prepare_transcripts(struct noise_identity *identity)
{
	struct blake2s_bytes hash = {identity->hash, sizeof(identity->hash)};

	blake2s_hash(identity->chaining_key,
		(struct blake2s_bytes){construction, sizeof(construction) - 1},
		(struct blake2s_bytes){"", 0});
	blake2s_hash(identity->hash,
		(struct blake2s_bytes){identity->chaining_key, sizeof(identity->chaining_key)},
		(struct blake2s_bytes){identifier, sizeof(identifier) - 1});
	blake2s_hash(identity->hash_with_us, hash,
		(struct blake2s_bytes){identity->public_key.bytes, KEY_SIZE});
}

int noise_identity_init(struct noise_identity *identity, const struct key *private_key)
{
	int rc;

	identity->private_key = *private_key;
	identity->private_key.bytes[0] &= 248;
	identity->private_key.bytes[31] = (identity->private_key.bytes[31] & 127) | 64;
	rc = key_public(&identity->private_key, &identity->public_key);
	if (rc == 0)
		prepare_transcripts(identity);
	return rc;
}

void noise_identity_wipe(struct noise_identity *identity)
{
	sodium_memzero(identity, sizeof(*identity));
}

void noise_peer_init(struct noise_peer *peer, const struct noise_identity *identity,
	const struct key *public_key, const struct key *preshared_key)
{
	memset(peer, 0, sizeof(*peer));
	peer->public_key = *public_key;
	if (preshared_key != NULL)
		peer->preshared_key = *preshared_key;
	noise_peer_precompute(peer, identity);
}

void noise_peer_precompute(struct noise_peer *peer, const struct noise_identity *identity)
{
	struct x25519_job job = {.point = &peer->public_key, .product = &peer->static_static};

	peer->usable = false;
	if (identity != NULL) {
		job.scalar = &identity->private_key;
		x25519_burst(&job, 1);
		peer->usable = !job.zero;
	}
	if (!peer->usable)
		key_wipe(&peer->static_static);
}

unsigned noise_initiate_begin(struct noise_step *step, const struct noise_peer *peer,
	const struct noise_fresh *fresh, struct x25519_job *jobs)
{
	jobs[0] = (struct x25519_job){.scalar = &fresh->ephemeral, .product = &step->products[0]};
	jobs[1] = (struct x25519_job){.scalar = &fresh->ephemeral,
		.point = &peer->public_key,
		.product = &step->products[1]};
	return 2;
}

int noise_initiate_finish(const struct noise_step *step, struct noise_handshake *handshake,
	const struct noise_identity *identity, const struct noise_peer *peer,
	const struct noise_fresh *fresh, struct wg_initiation *message)
{
	struct transcript t;
	int rc;

	memset(message, 0, sizeof(*message));
	message->type = htole32(WG_TYPE_INITIATION);
	message->sender = htole32(fresh->local_index);
	memcpy(message->ephemeral, step->products[0].bytes, KEY_SIZE);
	begin(&t, identity, identity->hash);
	mix_hash(&t, peer->public_key.bytes, KEY_SIZE);
	mix_ephemeral(&t, message->ephemeral);
	rc = mix_shared(&t, &step->products[1], true);
	if (rc < 0)
		goto out;
	seal(&t, message->static_key, identity->public_key.bytes, KEY_SIZE);
	rc = mix_shared(&t, &peer->static_static, true);
	if (rc < 0)
		goto out;
	seal(&t, message->timestamp, fresh->timestamp.bytes, TAI64N_SIZE);
	handshake->pending = true;
	handshake->local_index = fresh->local_index;
	handshake->ephemeral = fresh->ephemeral;
	save(&t, handshake->chaining_key, handshake->hash);
out:
	if (rc < 0)
		sodium_memzero(message, sizeof(*message));
	end(&t);
	return rc;
}

unsigned noise_open_begin(struct noise_step *step, const struct noise_identity *identity,
	const struct wg_initiation *message, struct x25519_job *jobs)
{
	memcpy(step->remote_ephemeral.bytes, message->ephemeral, KEY_SIZE);
	jobs[0] = (struct x25519_job){.scalar = &identity->private_key,
		.point = &step->remote_ephemeral,
		.product = &step->products[0]};
	return 1;
}

int noise_open_finish(const struct noise_step *step, struct noise_opening *opening,
	const struct noise_identity *identity, const struct wg_initiation *message)
{
	struct transcript t;
	int rc;

	memset(opening, 0, sizeof(*opening));
	opening->remote_index = le32toh(message->sender);
	opening->remote_ephemeral = step->remote_ephemeral;
	begin(&t, identity, identity->hash_with_us);
	mix_ephemeral(&t, message->ephemeral);
	rc = mix_shared(&t, &step->products[0], true);
	if (rc < 0)
		goto out;
	rc = open_sealed(&t, opening->remote_static.bytes, message->static_key, KEY_SIZE);
	if (rc < 0)
		goto out;
	save(&t, opening->chaining_key, opening->hash);
out:
	if (rc < 0)
		noise_opening_wipe(opening);
	end(&t);
	return rc;
}

int noise_read(struct noise_opening *opening, const struct noise_peer *peer,
	const struct wg_initiation *message)
{
	struct transcript t;
	int rc = -EINVAL;

	resume(&t, opening->chaining_key, opening->hash);
	if (!peer->usable)
		goto out;
	rc = -EPROTO;
	if (!key_equal(&peer->public_key, &opening->remote_static))
		goto out;
	rc = mix_shared(&t, &peer->static_static, true);
	if (rc < 0)
		goto out;
	rc = open_sealed(&t, opening->timestamp.bytes, message->timestamp, TAI64N_SIZE);
	if (rc < 0)
		goto out;
	save(&t, opening->chaining_key, opening->hash);
out:
	end(&t);
	return rc;
}

unsigned noise_respond_begin(struct noise_step *step, const struct noise_opening *opening,
	const struct noise_peer *peer, const struct noise_fresh *fresh, struct x25519_job *jobs)
{
	const struct key *points[] = {NULL, &opening->remote_ephemeral, &peer->public_key};

	for (unsigned i = 0; i < 3; i++)
		jobs[i] = (struct x25519_job){.scalar = &fresh->ephemeral,
			.point = points[i],
			.product = &step->products[i]};
	return 3;
}

int noise_respond_finish(const struct noise_step *step, const struct noise_opening *opening,
	const struct noise_peer *peer, const struct noise_fresh *fresh, struct noise_answer *answer)
{
	struct wg_response *message = &answer->message;
	struct transcript t;
	int rc;

	memset(answer, 0, sizeof(*answer));
	message->type = htole32(WG_TYPE_RESPONSE);
	message->sender = htole32(fresh->local_index);
	message->receiver = htole32(opening->remote_index);
	memcpy(message->ephemeral, step->products[0].bytes, KEY_SIZE);
	resume(&t, opening->chaining_key, opening->hash);
	mix_ephemeral(&t, message->ephemeral);
	rc = mix_shared(&t, &step->products[1], false);
	if (rc < 0)
		goto out;
	rc = mix_shared(&t, &step->products[2], false);
	if (rc < 0)
		goto out;
	mix_preshared_key(&t, &peer->preshared_key);
	seal(&t, message->nothing, "", 0);
	answer->keys.local_index = fresh->local_index;
	answer->keys.remote_index = opening->remote_index;
	derive_keys(&t, &answer->keys);
out:
	if (rc < 0)
		sodium_memzero(answer, sizeof(*answer));
	end(&t);
	return rc;
}

unsigned noise_conclude_begin(struct noise_step *step, const struct noise_handshake *handshake,
	const struct noise_identity *identity, const struct wg_response *message,
	struct x25519_job *jobs)
{
	memcpy(step->remote_ephemeral.bytes, message->ephemeral, KEY_SIZE);
	jobs[0] = (struct x25519_job){.scalar = &handshake->ephemeral,
		.point = &step->remote_ephemeral,
		.product = &step->products[0]};
	jobs[1] = (struct x25519_job){.scalar = &identity->private_key,
		.point = &step->remote_ephemeral,
		.product = &step->products[1]};
	return 2;
}

int noise_conclude_finish(const struct noise_step *step, struct noise_handshake *handshake,
	const struct noise_peer *peer, const struct wg_response *message, struct noise_keys *keys)
{
	struct transcript t;
	uint8_t nothing[1];
	int rc = -EPROTO;

	memset(keys, 0, sizeof(*keys));
	resume(&t, handshake->chaining_key, handshake->hash);
	if (!handshake->pending || le32toh(message->receiver) != handshake->local_index)
		goto out;
	mix_ephemeral(&t, message->ephemeral);
	rc = mix_shared(&t, &step->products[0], false);
	if (rc < 0)
		goto out;
	rc = mix_shared(&t, &step->products[1], false);
	if (rc < 0)
		goto out;
	mix_preshared_key(&t, &peer->preshared_key);
	rc = open_sealed(&t, nothing, message->nothing, 0);
	if (rc < 0)
		goto out;
	keys->initiator = true;
	keys->local_index = handshake->local_index;
	keys->remote_index = le32toh(message->sender);
	derive_keys(&t, keys);
	noise_handshake_wipe(handshake);
out:
	if (rc < 0)
		noise_keys_wipe(keys);
	end(&t);
	return rc;
}

void noise_handshake_wipe(struct noise_handshake *handshake)
{
	sodium_memzero(handshake, sizeof(*handshake));
}

void noise_opening_wipe(struct noise_opening *opening)
{
	sodium_memzero(opening, sizeof(*opening));
}

void noise_keys_wipe(struct noise_keys *keys)
{
	sodium_memzero(keys, sizeof(*keys));
}
