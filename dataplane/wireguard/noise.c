/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both messages of Noise IKpsk2, made and read:
 *
 *   -> e, es, s, ss, {timestamp}
 *   <- e, ee, se, psk, {}
 *
 * Every function copies the transcript (chaining key and hash) it starts from, works on the copy,
 * and stores it only when the whole message held. X25519 refuses a result of all zeros, so a key of
 * low order fails wherever it turns up.
 */
#include "dataplane/wireguard/noise.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "dataplane/wireguard/blake2s.h"
#include "dataplane/wireguard/x25519.h"

static const char construction[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static const char identifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

/* The transcript being worked on, and the key that its last mixing gave. */
struct transcript {
	struct blake2s *blake2s;
	uint8_t chaining_key[WG_HASH_SIZE];
	uint8_t hash[WG_HASH_SIZE];
	uint8_t key[WG_KEY_SIZE];
};

static void mix_hash(struct transcript *t, const void *data, size_t size)
{
	blake2s_hash(t->blake2s, t->hash, (struct blake2s_bytes){t->hash, sizeof(t->hash)},
		(struct blake2s_bytes){data, size});
}

static void mix_key(struct transcript *t, const struct key *secret)
{
	uint8_t *const outputs[3] = {t->chaining_key, t->key};

	blake2s_kdf(t->blake2s, outputs, t->chaining_key,
		(struct blake2s_bytes){secret->bytes, KEY_SIZE});
}

/* Mixes what our static or our ephemeral key shares with the other side's. */
static int mix_dh(struct transcript *t, const struct noise_identity *identity,
	int (*multiply)(struct x25519 *own, const struct key *remote, struct key *shared),
	const struct key *remote)
{
	struct key shared;
	int rc = multiply(identity->x25519, remote, &shared);

	if (rc == 0)
		mix_key(t, &shared);
	key_wipe(&shared);
	return rc;
}

/* Makes the ephemeral pair ready, and its public half if need be. */
static int open_ephemeral(const struct noise_identity *identity, const struct noise_fresh *fresh,
	struct key *public_key)
{
	int rc = 0;

	*public_key = fresh->ephemeral_public;
	if (!fresh->has_public)
		rc = key_public(&fresh->ephemeral, public_key);
	return rc < 0 ? rc : x25519_set_ephemeral(identity->x25519, &fresh->ephemeral, public_key);
}

/* With a preshared key in the pattern, Noise mixes ephemerals into the key as well. */
static void mix_ephemeral(struct transcript *t, const uint8_t ephemeral[WG_KEY_SIZE])
{
	uint8_t *const outputs[3] = {t->chaining_key};

	mix_hash(t, ephemeral, WG_KEY_SIZE);
	blake2s_kdf(t->blake2s, outputs, t->chaining_key,
		(struct blake2s_bytes){ephemeral, WG_KEY_SIZE});
}

static void mix_preshared_key(struct transcript *t, const struct key *preshared_key)
{
	uint8_t temporary[WG_HASH_SIZE];
	uint8_t *const outputs[3] = {t->chaining_key, temporary, t->key};

	blake2s_kdf(t->blake2s, outputs, t->chaining_key,
		(struct blake2s_bytes){preshared_key->bytes, KEY_SIZE});
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

static void begin(struct transcript *t, struct blake2s *blake2s, const struct key *responder)
{
	t->blake2s = blake2s;
	blake2s_hash(blake2s, t->chaining_key,
		(struct blake2s_bytes){construction, sizeof(construction) - 1},
		(struct blake2s_bytes){"", 0});
	memcpy(t->hash, t->chaining_key, sizeof(t->hash));
	mix_hash(t, identifier, sizeof(identifier) - 1);
	mix_hash(t, responder->bytes, KEY_SIZE);
}

static void resume(struct transcript *t, struct blake2s *blake2s,
	const uint8_t chaining_key[WG_HASH_SIZE], const uint8_t hash[WG_HASH_SIZE])
{
	t->blake2s = blake2s;
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

	blake2s_kdf(t->blake2s, outputs, t->chaining_key, (struct blake2s_bytes){"", 0});
}

int noise_identity_init(
	struct noise_identity *identity, const struct key *private_key, struct blake2s *blake2s)
{
	int rc;

	identity->private_key = *private_key;
	identity->private_key.bytes[0] &= 248;
	identity->private_key.bytes[31] = (identity->private_key.bytes[31] & 127) | 64;
	identity->blake2s = blake2s;
	identity->x25519 = NULL;
	rc = key_public(&identity->private_key, &identity->public_key);
	if (rc < 0)
		return rc;
	identity->x25519 = x25519_create(&identity->private_key, &identity->public_key, &rc);
	return rc;
}

void noise_identity_wipe(struct noise_identity *identity)
{
	x25519_destroy(&identity->x25519);
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
	peer->usable = identity != NULL && x25519_of_static(identity->x25519, &peer->public_key,
						   &peer->static_static) == 0;
	if (!peer->usable)
		key_wipe(&peer->static_static);
}

int noise_create_initiation(struct noise_handshake *handshake,
	const struct noise_identity *identity, const struct noise_peer *peer,
	const struct noise_fresh *fresh, struct wg_initiation *message)
{
	struct transcript t;
	struct key ephemeral;
	int rc;

	if (!peer->usable)
		return -EINVAL;
	memset(message, 0, sizeof(*message));
	message->type = htole32(WG_TYPE_INITIATION);
	message->sender = htole32(fresh->local_index);
	begin(&t, identity->blake2s, &peer->public_key);
	rc = open_ephemeral(identity, fresh, &ephemeral);
	if (rc < 0)
		goto out;
	memcpy(message->ephemeral, ephemeral.bytes, KEY_SIZE);
	mix_ephemeral(&t, message->ephemeral);
	rc = mix_dh(&t, identity, x25519_of_ephemeral, &peer->public_key);
	if (rc < 0)
		goto out;
	seal(&t, message->static_key, identity->public_key.bytes, KEY_SIZE);
	mix_key(&t, &peer->static_static);
	seal(&t, message->timestamp, fresh->timestamp.bytes, TAI64N_SIZE);
	rc = blake2s_failed(identity->blake2s) ? -EIO : 0;
	if (rc < 0)
		goto out;
	handshake->pending = true;
	handshake->local_index = fresh->local_index;
	handshake->ephemeral = fresh->ephemeral;
	handshake->ephemeral_public = ephemeral;
	save(&t, handshake->chaining_key, handshake->hash);
out:
	x25519_drop_ephemeral(identity->x25519);
	if (rc < 0)
		sodium_memzero(message, sizeof(*message));
	sodium_memzero(&t, sizeof(t));
	return rc;
}

int noise_open_initiation(struct noise_opening *opening, const struct noise_identity *identity,
	const struct wg_initiation *message)
{
	struct transcript t;
	int rc;

	memset(opening, 0, sizeof(*opening));
	opening->remote_index = le32toh(message->sender);
	memcpy(opening->remote_ephemeral.bytes, message->ephemeral, KEY_SIZE);
	begin(&t, identity->blake2s, &identity->public_key);
	mix_ephemeral(&t, message->ephemeral);
	rc = mix_dh(&t, identity, x25519_of_static, &opening->remote_ephemeral);
	if (rc < 0)
		goto out;
	rc = open_sealed(&t, opening->remote_static.bytes, message->static_key, KEY_SIZE);
	if (rc < 0)
		goto out;
	save(&t, opening->chaining_key, opening->hash);
	rc = blake2s_failed(identity->blake2s) ? -EIO : 0;
out:
	if (rc < 0)
		noise_opening_wipe(opening);
	sodium_memzero(&t, sizeof(t));
	return rc;
}

int noise_read_initiation(struct noise_opening *opening, const struct noise_identity *identity,
	const struct noise_peer *peer, const struct wg_initiation *message)
{
	struct transcript t;
	int rc = -EINVAL;

	resume(&t, identity->blake2s, opening->chaining_key, opening->hash);
	if (!peer->usable)
		goto out;
	rc = -EPROTO;
	if (!key_equal(&peer->public_key, &opening->remote_static))
		goto out;
	mix_key(&t, &peer->static_static);
	rc = open_sealed(&t, opening->timestamp.bytes, message->timestamp, TAI64N_SIZE);
	if (rc < 0)
		goto out;
	save(&t, opening->chaining_key, opening->hash);
	rc = blake2s_failed(identity->blake2s) ? -EIO : 0;
out:
	sodium_memzero(&t, sizeof(t));
	return rc;
}

int noise_create_response(struct noise_opening *opening, const struct noise_identity *identity,
	const struct noise_peer *peer, const struct noise_fresh *fresh, struct noise_answer *answer)
{
	struct wg_response *message = &answer->message;
	struct transcript t;
	struct key ephemeral;
	int rc;

	memset(answer, 0, sizeof(*answer));
	message->type = htole32(WG_TYPE_RESPONSE);
	message->sender = htole32(fresh->local_index);
	message->receiver = htole32(opening->remote_index);
	resume(&t, identity->blake2s, opening->chaining_key, opening->hash);
	rc = open_ephemeral(identity, fresh, &ephemeral);
	if (rc < 0)
		goto out;
	memcpy(message->ephemeral, ephemeral.bytes, KEY_SIZE);
	mix_ephemeral(&t, message->ephemeral);
	rc = mix_dh(&t, identity, x25519_of_ephemeral, &opening->remote_ephemeral);
	if (rc < 0)
		goto out;
	rc = mix_dh(&t, identity, x25519_of_ephemeral, &peer->public_key);
	if (rc < 0)
		goto out;
	mix_preshared_key(&t, &peer->preshared_key);
	seal(&t, message->nothing, "", 0);
	answer->keys.local_index = fresh->local_index;
	answer->keys.remote_index = opening->remote_index;
	derive_keys(&t, &answer->keys);
	rc = blake2s_failed(identity->blake2s) ? -EIO : 0;
out:
	x25519_drop_ephemeral(identity->x25519);
	if (rc < 0)
		sodium_memzero(answer, sizeof(*answer));
	noise_opening_wipe(opening);
	sodium_memzero(&t, sizeof(t));
	return rc;
}

int noise_consume_response(struct noise_handshake *handshake, const struct noise_identity *identity,
	const struct noise_peer *peer, const struct wg_response *message, struct noise_keys *keys)
{
	struct transcript t;
	struct key ephemeral;
	uint8_t nothing[1];
	int rc = -EPROTO;

	memset(keys, 0, sizeof(*keys));
	resume(&t, identity->blake2s, handshake->chaining_key, handshake->hash);
	if (!handshake->pending || le32toh(message->receiver) != handshake->local_index)
		goto out;
	rc = x25519_set_ephemeral(
		identity->x25519, &handshake->ephemeral, &handshake->ephemeral_public);
	if (rc < 0)
		goto out;
	memcpy(ephemeral.bytes, message->ephemeral, KEY_SIZE);
	mix_ephemeral(&t, message->ephemeral);
	rc = mix_dh(&t, identity, x25519_of_ephemeral, &ephemeral);
	if (rc < 0)
		goto out;
	rc = mix_dh(&t, identity, x25519_of_static, &ephemeral);
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
	rc = blake2s_failed(identity->blake2s) ? -EIO : 0;
	if (rc == 0)
		noise_handshake_wipe(handshake);
out:
	x25519_drop_ephemeral(identity->x25519);
	if (rc < 0)
		noise_keys_wipe(keys);
	sodium_memzero(&t, sizeof(t));
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
