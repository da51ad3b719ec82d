/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handshakes of an interface: who we are, whom we know, and what we start ourselves.
 *
 * A peer has at most one initiation of ours pending. It ends when its response arrives, when the
 * next one replaces it, when keys are zeroed or the identity changes. Initiations of the peer live
 * only while handshake_receive() runs, so the two directions cannot disturb each other; if both
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
	if (handshake->ratelimit == NULL)
		goto err_handshake;
	handshake->blake2s = blake2s_create(error);
	if (handshake->blake2s == NULL)
		goto err_ratelimit;
	return handshake;
err_ratelimit:
	ratelimit_destroy(&handshake->ratelimit);
err_handshake:
	free(handshake);
	return NULL;
}

void handshake_destroy(struct handshake **handshake)
{
	if (*handshake == NULL)
		return;
	noise_identity_wipe(&(*handshake)->identity);
	blake2s_destroy(&(*handshake)->blake2s);
	ratelimit_destroy(&(*handshake)->ratelimit);
	sodium_memzero(*handshake, sizeof(**handshake));
	free(*handshake);
	*handshake = NULL;
}

int handshake_set_private_key(struct handshake *handshake, const struct key *private_key)
{
	struct noise_identity identity;
	struct cookie_checker checker;
	int rc = 0;

	if (private_key == NULL || key_is_zero(private_key)) {
		noise_identity_wipe(&handshake->identity);
		sodium_memzero(&handshake->checker, sizeof(handshake->checker));
		handshake->has_identity = false;
		return 0;
	}
	rc = noise_identity_init(&identity, private_key, handshake->blake2s);
	if (rc < 0)
		goto out;
	rc = cookie_checker_init(&checker, &identity.public_key, handshake->blake2s);
	if (rc < 0)
		goto out;
	noise_identity_wipe(&handshake->identity);
	handshake->identity = identity;
	handshake->checker = checker;
	handshake->has_identity = true;
	/* What it owns has moved. */
	identity.x25519 = NULL;
out:
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
	return cookie_jar_init(&peer->cookie, public_key, handshake->blake2s);
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
	handshake_abandon(handshake, peer);
	key_wipe(&peer->noise.preshared_key);
	if (preshared_key != NULL)
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

int handshake_make_fresh(
	struct handshake *handshake, struct handshake_peer *peer, struct noise_fresh *fresh)
{
	struct ephemeral pair;

	memset(fresh, 0, sizeof(*fresh));
	if (ephemerals_take(&handshake->ephemerals, &pair)) {
		fresh->ephemeral = pair.private_key;
		fresh->ephemeral_public = pair.public_key;
		fresh->has_public = true;
		sodium_memzero(&pair, sizeof(pair));
	} else {
		handshake->ops.random(handshake->context, fresh->ephemeral.bytes, KEY_SIZE);
	}
	return handshake->ops.alloc_index(handshake->context, peer, &fresh->local_index);
}

bool handshake_idle(struct handshake *handshake)
{
	struct ephemeral pair;
	struct key random;

	if (!handshake->has_identity || ephemerals_are_full(&handshake->ephemerals))
		return false;
	handshake->ops.random(handshake->context, random.bytes, sizeof(random.bytes));
	if (ephemeral_make(&pair, &random) == 0)
		ephemerals_put(&handshake->ephemerals, &pair);
	sodium_memzero(&pair, sizeof(pair));
	key_wipe(&random);
	return true;
}

/* Not a secret, and drawn at every look at a peer, so not worth a system call: xorshift64*. */
static uint32_t draw_jitter(struct handshake *handshake)
{
	uint64_t x = handshake->jitter_state;

	while (x == 0)
		handshake->ops.random(handshake->context, &x, sizeof(x));
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	handshake->jitter_state = x;
	return (uint32_t)(x * UINT64_C(0x2545f4914f6cdd1d) >> 32) % (WG_REKEY_JITTER_MAX_MS + 1);
}

static struct tai64n next_timestamp(struct handshake *handshake, const struct handshake_peer *peer)
{
	struct timespec wall;
	struct tai64n now;

	handshake->ops.wall_clock(handshake->context, &wall);
	now = tai64n_from_time(&wall);
	return tai64n_next(&now, &peer->sent);
}

/* The caller has made sure that it is not too soon. */
static int send_initiation(
	struct handshake *handshake, struct handshake_peer *peer, uint64_t now_ms)
{
	struct wg_initiation message;
	struct noise_fresh fresh;
	int rc;

	if (!handshake->has_identity)
		return -ENOKEY;
	if (!peer->noise.usable)
		return -EINVAL;
	if (!handshake->ops.has_endpoint(handshake->context, peer))
		return -EDESTADDRREQ;
	/* First, so that even the tightest index table has room for the new one. */
	handshake_abandon(handshake, peer);
	rc = handshake_make_fresh(handshake, peer, &fresh);
	if (rc < 0)
		goto out;
	fresh.timestamp = next_timestamp(handshake, peer);
	rc = noise_create_initiation(
		&peer->pending, &handshake->identity, &peer->noise, &fresh, &message);
	if (rc < 0)
		goto err_index;
	peer->sent = fresh.timestamp;
	rc = cookie_add_macs(&peer->cookie, handshake->blake2s, &message, sizeof(message), now_ms);
	if (rc < 0)
		goto err_pending;
	timers_initiation_sent(&peer->timers, peer->activity, now_ms, draw_jitter(handshake));
	handshake->ops.send(handshake->context, peer, NULL, &message, sizeof(message));
	goto out;
err_pending:
	noise_handshake_wipe(&peer->pending);
err_index:
	handshake->ops.free_index(handshake->context, fresh.local_index);
out:
	sodium_memzero(&fresh, sizeof(fresh));
	return rc;
}

int handshake_initiate(struct handshake *handshake, struct handshake_peer *peer, uint64_t now_ms)
{
	if (!timers_may_initiate(&peer->timers, now_ms))
		return -EAGAIN;
	peer->timers.attempts = 0;
	return send_initiation(handshake, peer, now_ms);
}

uint64_t handshake_peer_run(
	struct handshake *handshake, struct handshake_peer *peer, uint64_t now_ms)
{
	const struct handshake_ops *ops = &handshake->ops;
	struct timers_outcome outcome =
		timers_run(&peer->timers, peer->activity, now_ms, draw_jitter(handshake));

	if (outcome.actions == 0)
		return outcome.next_due_ms;
	if ((outcome.actions & TIMERS_ZERO_KEYS) != 0) {
		handshake_abandon(handshake, peer);
		ops->zero_keys(handshake->context, peer);
	}
	if ((outcome.actions & TIMERS_CLEAR_SOURCE) != 0)
		ops->clear_source(handshake->context, peer);
	if ((outcome.actions & TIMERS_DROP_STAGED) != 0)
		ops->drop_staged(handshake->context, peer);
	if ((outcome.actions & TIMERS_SEND_KEEPALIVE) != 0)
		ops->send_keepalive(handshake->context, peer);
	if ((outcome.actions & TIMERS_INITIATE) != 0)
		/* What cannot be sent now is asked for again by the next packet or timer. */
		(void)!send_initiation(handshake, peer, now_ms);
	return timers_next_due(&peer->timers, peer->activity);
}
