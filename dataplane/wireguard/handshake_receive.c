/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handshake messages that arrive. The order of the checks of each is the protocol's, from cheap to
 * dear: length, mac1, (under load) mac2 and the source's rate, Diffie-Hellman, known peer,
 * timestamp, replay, flood. Nothing about a peer changes before all of them held.
 *
 * A burst goes through in passes, each in the order of arrival, with the multiplications of all its
 * messages between them:
 *
 *   open      initiations: who is it?                          <- es
 *   judge     initiations: timestamp, replay, flood; responses: is it waited for?
 *   complete  sessions are made, answers sent, cookies kept    <- e, ee, se
 *
 * Judging looks only at what judging writes, and whatever else about a peer changes does so in the
 * last pass; so messages of one peer meet each other's traces as if they had come one by one. Of
 * two initiations of a peer in a burst the second is a replay or comes too soon; of two copies of a
 * response the second finds nothing pending in the last pass.
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "dataplane/wireguard/handshake_priv.h"
#include "dataplane/x25519/x25519.h"

/* A message between the passes. */
struct passing {
	struct handshake_message *message;
	enum wg_type type;
	struct handshake_peer *peer; /* of initiations and responses, once they are judged */
	struct noise_step step;
	struct noise_opening opening; /* of an initiation */
	struct noise_fresh fresh;     /* of the answer to one */
};

struct burst {
	struct handshake *handshake;
	uint64_t now_ms;
	unsigned count, job_count;
	struct passing passing[HANDSHAKE_BURST];
	struct x25519_job jobs[HANDSHAKE_BURST * NOISE_JOBS_MAX];
};

static void multiply(struct burst *burst)
{
	x25519_burst(burst->jobs, burst->job_count);
	burst->job_count = 0;
}

/* --- Judge ----------------------------------------------------------------------------------- */

/* HANDSHAKE_OK_INITIATION: it is to be answered; `peer` and the mark are set. */
static enum handshake_result judge_initiation(const struct burst *burst, struct passing *passing)
{
	struct handshake *handshake = burst->handshake;
	const struct wg_initiation *initiation = passing->message->bytes;
	struct noise_opening *opening = &passing->opening;
	struct handshake_peer *peer;

	if (noise_open_finish(&passing->step, opening, &handshake->identity, initiation) < 0)
		return HANDSHAKE_BAD_INITIATION;
	peer = handshake->ops.find_peer(handshake->context, &opening->remote_static);
	if (peer == NULL)
		return HANDSHAKE_UNKNOWN_PEER;
	if (noise_read(opening, &peer->noise, initiation) < 0)
		return HANDSHAKE_BAD_INITIATION;
	if (tai64n_compare(&opening->timestamp, &peer->received) <= 0)
		return HANDSHAKE_REPLAYED;
	if (peer->initiation_received_ms != 0 &&
		burst->now_ms - peer->initiation_received_ms < WG_INITIATION_GAP_MS)
		return HANDSHAKE_FLOOD;
	peer->received = opening->timestamp;
	peer->initiation_received_ms = burst->now_ms;
	passing->peer = peer;
	return HANDSHAKE_OK_INITIATION;
}

static enum handshake_result judge_response(const struct burst *burst, struct passing *passing)
{
	struct handshake *handshake = burst->handshake;
	const struct wg_response *response = passing->message->bytes;
	uint32_t index = le32toh(response->receiver);
	struct handshake_peer *peer = handshake->ops.find_index(handshake->context, index);

	if (peer == NULL || !peer->pending.pending || peer->pending.local_index != index)
		return HANDSHAKE_UNKNOWN_INDEX;
	passing->peer = peer;
	return HANDSHAKE_OK_RESPONSE;
}

static void judge(struct burst *burst, struct passing *passing)
{
	struct handshake *handshake = burst->handshake;
	struct x25519_job *jobs = &burst->jobs[burst->job_count];

	if (passing->type == WG_TYPE_INITIATION) {
		passing->message->result = judge_initiation(burst, passing);
		if (passing->peer == NULL)
			return;
		handshake->ops.random(handshake->context, passing->fresh.ephemeral.bytes, KEY_SIZE);
		burst->job_count += noise_respond_begin(&passing->step, &passing->opening,
			&passing->peer->noise, &passing->fresh, jobs);
	} else if (passing->type == WG_TYPE_RESPONSE) {
		passing->message->result = judge_response(burst, passing);
		if (passing->peer == NULL)
			return;
		burst->job_count += noise_conclude_begin(&passing->step, &passing->peer->pending,
			&handshake->identity, passing->message->bytes, jobs);
	}
}

/* --- Complete -------------------------------------------------------------------------------- */

static void note_authentic(const struct burst *burst, const struct passing *passing)
{
	timers_packet_received(passing->peer->activity, burst->now_ms);
	burst->handshake->ops.roam(burst->handshake->context, passing->peer, passing->message);
}

static enum handshake_result answer(const struct burst *burst, struct passing *passing)
{
	struct handshake *handshake = burst->handshake;
	const struct handshake_ops *ops = &handshake->ops;
	enum handshake_result result = HANDSHAKE_NO_RESOURCE;
	struct handshake_peer *peer = passing->peer;
	struct noise_answer answer = {0};

	note_authentic(burst, passing);
	if (ops->alloc_index(handshake->context, peer, &passing->fresh.local_index) < 0)
		return result;
	if (noise_respond_finish(&passing->step, &passing->opening, &peer->noise, &passing->fresh,
		    &answer) < 0) {
		ops->free_index(handshake->context, passing->fresh.local_index);
		goto out;
	}
	cookie_add_macs(&peer->cookie, &answer.message, sizeof(answer.message), burst->now_ms);
	timers_session_derived(&peer->timers, burst->now_ms);
	timers_response_sent(&peer->timers, peer->activity, burst->now_ms);
	/* The session first: the initiator's first packet may be there sooner than send returns. */
	ops->session_derived(handshake->context, peer, &answer.keys);
	ops->send(handshake->context, peer, passing->message, &answer.message,
		sizeof(answer.message));
	result = HANDSHAKE_OK_INITIATION;
out:
	sodium_memzero(&answer, sizeof(answer));
	return result;
}

static enum handshake_result conclude(const struct burst *burst, struct passing *passing)
{
	struct handshake *handshake = burst->handshake;
	const struct wg_response *response = passing->message->bytes;
	struct handshake_peer *peer = passing->peer;
	struct noise_keys keys;
	int rc = noise_conclude_finish(
		&passing->step, &peer->pending, &peer->noise, response, &keys);

	if (rc == -EPROTO) /* another copy of it was there first */
		return HANDSHAKE_UNKNOWN_INDEX;
	if (rc < 0)
		return HANDSHAKE_BAD_RESPONSE;
	note_authentic(burst, passing);
	timers_session_derived(&peer->timers, burst->now_ms);
	timers_handshake_complete(&peer->timers, burst->now_ms);
	handshake->ops.session_derived(handshake->context, peer, &keys);
	noise_keys_wipe(&keys);
	return HANDSHAKE_OK_RESPONSE;
}

static enum handshake_result keep_cookie(const struct burst *burst, const struct passing *passing)
{
	struct handshake *handshake = burst->handshake;
	const struct wg_cookie_reply *reply = passing->message->bytes;
	struct handshake_peer *peer =
		handshake->ops.find_index(handshake->context, le32toh(reply->receiver));

	if (peer == NULL)
		return HANDSHAKE_UNKNOWN_INDEX;
	if (cookie_consume_reply(&peer->cookie, reply, burst->now_ms) < 0)
		return HANDSHAKE_BAD_COOKIE;
	return HANDSHAKE_OK_COOKIE;
}

static void complete(const struct burst *burst, struct passing *passing)
{
	if (passing->type == WG_TYPE_COOKIE_REPLY)
		passing->message->result = keep_cookie(burst, passing);
	else if (passing->peer == NULL)
		return; /* judged */
	else if (passing->type == WG_TYPE_INITIATION)
		passing->message->result = answer(burst, passing);
	else
		passing->message->result = conclude(burst, passing);
}

/* --- Bursts ---------------------------------------------------------------------------------- */

static void add(struct burst *burst, struct handshake_message *message)
{
	struct passing *passing = &burst->passing[burst->count++];

	memset(passing, 0, sizeof(*passing));
	passing->message = message;
	passing->type = wg_message_type(message->bytes, message->length);
	if (passing->type == WG_TYPE_INITIATION)
		burst->job_count += noise_open_begin(&passing->step, &burst->handshake->identity,
			message->bytes, &burst->jobs[burst->job_count]);
}

/* Empties the burst. */
static void run(struct burst *burst)
{
	multiply(burst);
	for (unsigned i = 0; i < burst->count; i++)
		judge(burst, &burst->passing[i]);
	multiply(burst);
	for (unsigned i = 0; i < burst->count; i++)
		complete(burst, &burst->passing[i]);
	sodium_memzero(burst->passing, burst->count * sizeof(burst->passing[0]));
	burst->count = 0;
}

void handshake_receive_burst(struct handshake *handshake, struct handshake_message *messages,
	unsigned count, uint64_t now_ms)
{
	struct burst burst;

	burst.handshake = handshake;
	burst.now_ms = now_ms;
	burst.count = burst.job_count = 0;
	for (unsigned i = 0; i < count; i++)
		messages[i].admitted = handshake_admit(handshake, &messages[i], now_ms);
	for (unsigned i = 0; i < count; i++) {
		if (!messages[i].admitted)
			continue;
		add(&burst, &messages[i]);
		if (burst.count == HANDSHAKE_BURST)
			run(&burst);
	}
	run(&burst);
}

enum handshake_result handshake_receive(struct handshake *handshake, const void *message,
	size_t length, const struct handshake_source *source, uint64_t now_ms)
{
	struct handshake_message one = {.bytes = message, .length = length, .source = *source};

	handshake_receive_burst(handshake, &one, 1, now_ms);
	return one.result;
}
