/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handshakes of an interface: who we are and whom we know.
 *
 * A peer has at most one initiation of ours pending. It ends when its response arrives, when the
 * next one replaces it, when keys are zeroed or the identity changes. Initiations of the peer live
 * only while a burst is received, so the two directions cannot disturb each other; if both
 * sides initiate at once, both get two sessions, and the rule of keypair rotation (a new current
 * keypair moves "next" to "previous") keeps both able to open what the other seals.
 *
 * Replies, retries and expiry follow timers.h; who may make us compute follows cookie.h: before an
 * initiation costs a Diffie-Hellman its mac1 must be right, and under load its mac2 as well.
 */
#include "dataplane/wireguard/handshake.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/wireguard/handshake_priv.h"

static const struct {
	const char *name;
	const char *text;
} results[] = {
#define HANDSHAKE_ROW(id, counter, words) [HANDSHAKE_##id] = {counter, words},
	HANDSHAKE_RESULTS(HANDSHAKE_ROW)
#undef HANDSHAKE_ROW
};

const char *handshake_result_name(enum handshake_result result)
{
	return results[result].name;
}

const char *handshake_result_text(enum handshake_result result)
{
	return results[result].text;
}

struct handshake *handshake_create(const struct handshake_ops *ops, void *context, int *error)
{
	struct handshake *handshake;

	*error = -ENOMEM;
	if (sodium_init() < 0)
		return NULL;
	handshake = calloc(1, sizeof(*handshake));
	if (handshake == NULL)
		return NULL;
	handshake->ops = *ops;
	handshake->context = context;
	handshake->ratelimit = ratelimit_create(RATELIMIT_SOURCES_MAX);
	if (handshake->ratelimit == NULL) {
		free(handshake);
		return NULL;
	}
	*error = 0;
	return handshake;
}

void handshake_destroy(struct handshake **handshake)
{
	if (*handshake == NULL)
		return;
	noise_identity_wipe(&(*handshake)->identity);
	ratelimit_destroy(&(*handshake)->ratelimit);
	sodium_memzero(*handshake, sizeof(**handshake));
	free(*handshake);
	*handshake = NULL;
}

int handshake_set_private_key(struct handshake *handshake, const struct key *private_key)
{
	struct noise_identity identity;
	int rc;

	if (private_key == NULL || key_is_zero(private_key)) {
		noise_identity_wipe(&handshake->identity);
		sodium_memzero(&handshake->checker, sizeof(handshake->checker));
		handshake->has_identity = false;
		return 0;
	}
	rc = noise_identity_init(&identity, private_key);
	if (rc == 0) {
		handshake->identity = identity;
		cookie_checker_init(&handshake->checker, &identity.public_key);
		handshake->has_identity = true;
	}
	noise_identity_wipe(&identity);
	return rc;
}

const struct key *handshake_public_key(const struct handshake *handshake)
{
	return handshake->has_identity ? &handshake->identity.public_key : NULL;
}

static const struct noise_identity *identity_of(const struct handshake *handshake)
{
	return handshake->has_identity ? &handshake->identity : NULL;
}

int handshake_peer_init(struct handshake *handshake, struct handshake_peer *peer,
	const struct key *public_key, const struct key *preshared_key,
	struct timers_activity *activity)
{
	memset(peer, 0, sizeof(*peer));
	if (handshake->has_identity && key_equal(public_key, &handshake->identity.public_key))
		return -EINVAL;
	noise_peer_init(&peer->noise, identity_of(handshake), public_key, preshared_key);
	peer->activity = activity;
	cookie_jar_init(&peer->cookie, public_key);
	return 0;
}

void handshake_abandon(struct handshake *handshake, struct handshake_peer *peer)
{
	if (!peer->pending.pending)
		return;
	handshake->ops.free_index(handshake->context, peer->pending.local_index);
	noise_handshake_wipe(&peer->pending);
}

void handshake_peer_clear(struct handshake *handshake, struct handshake_peer *peer)
{
	handshake_abandon(handshake, peer);
	sodium_memzero(peer, sizeof(*peer));
}

void handshake_peer_set_preshared_key(
	struct handshake *handshake, struct handshake_peer *peer, const struct key *preshared_key)
{
	static const struct key none;

	if (preshared_key == NULL)
		preshared_key = &none;
	if (key_equal(&peer->noise.preshared_key, preshared_key))
		return;
	handshake_abandon(handshake, peer);
	peer->noise.preshared_key = *preshared_key;
}

void handshake_peer_renew(struct handshake *handshake, struct handshake_peer *peer)
{
	handshake_abandon(handshake, peer);
	noise_peer_precompute(&peer->noise, identity_of(handshake));
	timers_session_expired(&peer->timers);
}

void handshake_peer_down(struct handshake *handshake, struct handshake_peer *peer)
{
	handshake_abandon(handshake, peer);
	timers_down(&peer->timers, peer->activity);
}
