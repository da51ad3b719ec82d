/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handshakes that we start, when timers ask for them. Peers whose timers are due together, as after
 * a start or two minutes after one, share the multiplications of their initiations.
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "dataplane/wireguard/handshake_priv.h"
#include "dataplane/x25519/x25519.h"

/* An initiation between the two halves of its making. */
struct initiation {
	struct handshake_peer *peer;
	struct noise_fresh fresh;
	struct noise_step step;
};

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

/* The caller has made sure that it is not too soon. Returns how many jobs it added, or why there is
 * nothing to send: a negative errno. */
static int begin(struct handshake *handshake, struct handshake_peer *peer,
	struct initiation *initiation, struct x25519_job *jobs)
{
	if (!handshake->has_identity)
		return -ENOKEY;
	if (!peer->noise.usable)
		return -EINVAL;
	if (!handshake->ops.has_endpoint(handshake->context, peer))
		return -EDESTADDRREQ;
	memset(initiation, 0, sizeof(*initiation));
	initiation->peer = peer;
	handshake->ops.random(handshake->context, initiation->fresh.ephemeral.bytes, KEY_SIZE);
	return (int)noise_initiate_begin(&initiation->step, &peer->noise, &initiation->fresh, jobs);
}

/* Wipes the initiation. */
static int finish(struct handshake *handshake, struct initiation *initiation, uint64_t now_ms)
{
	struct handshake_peer *peer = initiation->peer;
	struct noise_fresh *fresh = &initiation->fresh;
	struct wg_initiation message;
	int rc;

	/* First, so that even the tightest index table has room for the new one. */
	handshake_abandon(handshake, peer);
	rc = handshake->ops.alloc_index(handshake->context, peer, &fresh->local_index);
	if (rc < 0)
		goto out;
	fresh->timestamp = next_timestamp(handshake, peer);
	rc = noise_initiate_finish(&initiation->step, &peer->pending, &handshake->identity,
		&peer->noise, fresh, &message);
	if (rc < 0) {
		handshake->ops.free_index(handshake->context, fresh->local_index);
		goto out;
	}
	peer->sent = fresh->timestamp;
	cookie_add_macs(&peer->cookie, &message, sizeof(message), now_ms);
	timers_initiation_sent(&peer->timers, peer->activity, now_ms, draw_jitter(handshake));
	handshake->ops.send(handshake->context, peer, NULL, &message, sizeof(message));
out:
	sodium_memzero(initiation, sizeof(*initiation));
	return rc;
}

int handshake_initiate(struct handshake *handshake, struct handshake_peer *peer, uint64_t now_ms)
{
	struct x25519_job jobs[NOISE_JOBS_MAX];
	struct initiation initiation;
	int rc;

	if (!timers_may_initiate(&peer->timers, now_ms))
		return -EAGAIN;
	peer->timers.attempts = 0;
	rc = begin(handshake, peer, &initiation, jobs);
	if (rc < 0)
		return rc;
	x25519_burst(jobs, (unsigned)rc);
	return finish(handshake, &initiation, now_ms);
}

/* What the timers of a peer ask for, but for an initiation. */
static void act(struct handshake *handshake, struct handshake_peer *peer, uint32_t actions)
{
	const struct handshake_ops *ops = &handshake->ops;

	if ((actions & TIMERS_ZERO_KEYS) != 0) {
		handshake_abandon(handshake, peer);
		ops->zero_keys(handshake->context, peer);
	}
	if ((actions & TIMERS_CLEAR_SOURCE) != 0)
		ops->clear_source(handshake->context, peer);
	if ((actions & TIMERS_DROP_STAGED) != 0)
		ops->drop_staged(handshake->context, peer);
	if ((actions & TIMERS_SEND_KEEPALIVE) != 0)
		ops->send_keepalive(handshake->context, peer);
}

void handshake_run_burst(struct handshake *handshake, struct handshake_peer *const *peers,
	unsigned count, uint64_t now_ms, uint64_t *due_ms)
{
	struct x25519_job jobs[HANDSHAKE_BURST * NOISE_JOBS_MAX];
	struct initiation initiations[HANDSHAKE_BURST];
	unsigned started = 0, job_count = 0;

	for (unsigned i = 0; i < count; i++) {
		struct timers_outcome outcome = timers_run(
			&peers[i]->timers, peers[i]->activity, now_ms, draw_jitter(handshake));
		int rc;

		act(handshake, peers[i], outcome.actions);
		if ((outcome.actions & TIMERS_INITIATE) == 0)
			continue;
		/* What cannot be sent now is asked for again by the next packet or timer. */
		rc = begin(handshake, peers[i], &initiations[started], &jobs[job_count]);
		if (rc < 0)
			continue;
		started++;
		job_count += (unsigned)rc;
	}
	x25519_burst(jobs, job_count);
	for (unsigned i = 0; i < started; i++)
		(void)!finish(handshake, &initiations[i], now_ms);
	for (unsigned i = 0; i < count; i++)
		due_ms[i] = timers_next_due(&peers[i]->timers, peers[i]->activity);
}

uint64_t handshake_peer_run(
	struct handshake *handshake, struct handshake_peer *peer, uint64_t now_ms)
{
	uint64_t due_ms;

	handshake_run_burst(handshake, &peer, 1, now_ms, &due_ms);
	return due_ms;
}
