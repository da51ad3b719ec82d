/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handshake messages that arrive. The order of the checks is the protocol's, from cheap to dear:
 * length, mac1, (under load) mac2 and the source's rate, Diffie-Hellman, known peer, timestamp,
 * replay, flood. Nothing about a peer changes before all of them held.
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "dataplane/wireguard/handshake_priv.h"

/* `sender`: the message's, as on the wire; `macs`: its last bytes. */
static enum handshake_result demand_cookie(struct handshake *handshake, const struct wg_macs *macs,
	uint32_t sender, const struct handshake_source *source, uint64_t now_ms)
{
	struct wg_cookie_reply reply;

	if (cookie_create_reply(
		    &handshake->checker, macs, sender, &source->remote, now_ms, &reply) < 0)
		return HANDSHAKE_NO_RESOURCE;
	handshake->ops.send(handshake->context, NULL, source, &reply, sizeof(reply));
	return HANDSHAKE_COOKIE_SENT;
}

/* HANDSHAKE_OK_COOKIE stands for "go on": the macs suffice. */
static enum handshake_result check_macs(struct handshake *handshake, struct blake2s_bytes message,
	const struct handshake_source *source, uint64_t now_ms)
{
	const uint8_t *bytes = message.data;
	bool under_load = handshake->ops.under_load(handshake->context, source);
	struct wg_macs macs;
	uint32_t sender;

	switch (cookie_check(&handshake->checker, message, &source->remote, now_ms,
		under_load ? handshake->ratelimit : NULL)) {
	case COOKIE_BAD_MAC:
		return HANDSHAKE_BAD_MAC;
	case COOKIE_RATE_LIMITED:
		return HANDSHAKE_RATE_LIMITED;
	case COOKIE_PROVEN:
		return HANDSHAKE_OK_COOKIE;
	case COOKIE_MAC_ONLY:
		break;
	}
	if (!under_load)
		return HANDSHAKE_OK_COOKIE;
	memcpy(&sender, bytes + offsetof(struct wg_initiation, sender), sizeof(sender));
	memcpy(&macs, bytes + message.size - sizeof(macs), sizeof(macs));
	return demand_cookie(handshake, &macs, sender, source, now_ms);
}

_Static_assert(offsetof(struct wg_initiation, sender) == offsetof(struct wg_response, sender),
	"check_macs reads the sender of both");

static void note_authentic(struct handshake *handshake, struct handshake_peer *peer,
	const struct handshake_source *source, uint64_t now_ms)
{
	timers_packet_received(peer->activity, now_ms);
	handshake->ops.roam(handshake->context, peer, source);
}

static enum handshake_result answer_initiation(struct handshake *handshake,
	struct handshake_peer *peer, struct noise_opening *opening,
	const struct handshake_source *source, uint64_t now_ms)
{
	enum handshake_result result = HANDSHAKE_NO_RESOURCE;
	struct noise_answer answer = {0};
	struct noise_fresh fresh;

	if (handshake_make_fresh(handshake, peer, &fresh) < 0)
		goto out;
	if (noise_create_response(opening, &handshake->identity, &peer->noise, &fresh, &answer) < 0)
		goto err_index;
	if (cookie_add_macs(&peer->cookie, handshake->blake2s, &answer.message,
		    sizeof(answer.message), now_ms) < 0)
		goto err_index;
	timers_session_derived(&peer->timers, now_ms);
	timers_response_sent(&peer->timers, peer->activity, now_ms);
	/* The session first: the initiator's first packet may be there sooner than send returns. */
	handshake->ops.session_derived(handshake->context, peer, &answer.keys);
	handshake->ops.send(
		handshake->context, peer, source, &answer.message, sizeof(answer.message));
	result = HANDSHAKE_OK_INITIATION;
	goto out;
err_index:
	handshake->ops.free_index(handshake->context, fresh.local_index);
out:
	sodium_memzero(&fresh, sizeof(fresh));
	sodium_memzero(&answer, sizeof(answer));
	return result;
}

static enum handshake_result receive_initiation(struct handshake *handshake,
	const struct wg_initiation *message, const struct handshake_source *source, uint64_t now_ms)
{
	enum handshake_result result = HANDSHAKE_BAD_INITIATION;
	struct handshake_peer *peer;
	struct noise_opening opening;

	if (noise_open_initiation(&opening, &handshake->identity, message) < 0)
		goto out;
	result = HANDSHAKE_UNKNOWN_PEER;
	peer = handshake->ops.find_peer(handshake->context, &opening.remote_static);
	if (peer == NULL)
		goto out;
	result = HANDSHAKE_BAD_INITIATION;
	if (noise_read_initiation(&opening, &handshake->identity, &peer->noise, message) < 0)
		goto out;
	result = HANDSHAKE_REPLAYED;
	if (tai64n_compare(&opening.timestamp, &peer->received) <= 0)
		goto out;
	result = HANDSHAKE_FLOOD;
	if (peer->initiation_received_ms != 0 &&
		now_ms - peer->initiation_received_ms < WG_INITIATION_GAP_MS)
		goto out;
	peer->received = opening.timestamp;
	peer->initiation_received_ms = now_ms;
	note_authentic(handshake, peer, source, now_ms);
	result = answer_initiation(handshake, peer, &opening, source, now_ms);
out:
	noise_opening_wipe(&opening);
	return result;
}

static enum handshake_result receive_response(struct handshake *handshake,
	const struct wg_response *message, const struct handshake_source *source, uint64_t now_ms)
{
	uint32_t index = le32toh(message->receiver);
	struct handshake_peer *peer = handshake->ops.find_index(handshake->context, index);
	struct noise_keys keys;

	if (peer == NULL || !peer->pending.pending || peer->pending.local_index != index)
		return HANDSHAKE_UNKNOWN_INDEX;
	if (noise_consume_response(
		    &peer->pending, &handshake->identity, &peer->noise, message, &keys) < 0)
		return HANDSHAKE_BAD_RESPONSE;
	note_authentic(handshake, peer, source, now_ms);
	timers_session_derived(&peer->timers, now_ms);
	timers_handshake_complete(&peer->timers, now_ms);
	handshake->ops.session_derived(handshake->context, peer, &keys);
	noise_keys_wipe(&keys);
	return HANDSHAKE_OK_RESPONSE;
}

static enum handshake_result receive_cookie(
	struct handshake *handshake, const struct wg_cookie_reply *message, uint64_t now_ms)
{
	struct handshake_peer *peer =
		handshake->ops.find_index(handshake->context, le32toh(message->receiver));

	if (peer == NULL)
		return HANDSHAKE_UNKNOWN_INDEX;
	if (cookie_consume_reply(&peer->cookie, message, now_ms) < 0)
		return HANDSHAKE_BAD_COOKIE;
	return HANDSHAKE_OK_COOKIE;
}

enum handshake_result handshake_receive(struct handshake *handshake, const void *message,
	size_t length, const struct handshake_source *source, uint64_t now_ms)
{
	enum wg_type type = wg_message_type(message, length);
	enum handshake_result result;

	if (type == WG_TYPE_NONE || type == WG_TYPE_DATA)
		return HANDSHAKE_MALFORMED;
	if (!handshake->has_identity)
		return HANDSHAKE_NO_IDENTITY;
	if (type == WG_TYPE_COOKIE_REPLY)
		return receive_cookie(handshake, message, now_ms);
	result = check_macs(handshake, (struct blake2s_bytes){message, length}, source, now_ms);
	if (result != HANDSHAKE_OK_COOKIE)
		return result;
	return type == WG_TYPE_INITIATION ? receive_initiation(handshake, message, source, now_ms)
					  : receive_response(handshake, message, source, now_ms);
}
