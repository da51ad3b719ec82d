/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a message must show before it may cost multiplications, from cheap to dear: its form, mac1,
 * and under load mac2 and a source that does not send too many. Who lacks mac2 is sent a cookie.
 */
#include <string.h>

#include "dataplane/wireguard/handshake_priv.h"

_Static_assert(offsetof(struct wg_initiation, sender) == offsetof(struct wg_response, sender),
	"check_macs reads the sender of both");

static enum handshake_result demand_cookie(
	struct handshake *handshake, const struct handshake_message *message, uint64_t now_ms)
{
	const uint8_t *bytes = message->bytes;
	struct wg_cookie_reply reply;
	struct wg_macs macs;
	uint32_t sender;

	memcpy(&sender, bytes + offsetof(struct wg_initiation, sender), sizeof(sender));
	memcpy(&macs, bytes + message->length - sizeof(macs), sizeof(macs));
	cookie_create_reply(
		&handshake->checker, &macs, sender, &message->source.remote, now_ms, &reply);
	handshake->ops.send(handshake->context, NULL, message, &reply, sizeof(reply));
	return HANDSHAKE_COOKIE_SENT;
}

static bool check_macs(
	struct handshake *handshake, struct handshake_message *message, uint64_t now_ms)
{
	bool under_load = handshake->ops.under_load(handshake->context, message);

	switch (cookie_check(&handshake->checker,
		(struct blake2s_bytes){message->bytes, message->length}, &message->source.remote,
		now_ms, under_load ? handshake->ratelimit : NULL)) {
	case COOKIE_BAD_MAC:
		message->result = HANDSHAKE_BAD_MAC;
		return false;
	case COOKIE_RATE_LIMITED:
		message->result = HANDSHAKE_RATE_LIMITED;
		return false;
	case COOKIE_PROVEN:
		return true;
	case COOKIE_MAC_ONLY:
		break;
	}
	if (!under_load)
		return true;
	message->result = demand_cookie(handshake, message, now_ms);
	return false;
}

bool handshake_admit(
	struct handshake *handshake, struct handshake_message *message, uint64_t now_ms)
{
	enum wg_type type = wg_message_type(message->bytes, message->length);

	if (type == WG_TYPE_NONE || type == WG_TYPE_DATA) {
		message->result = HANDSHAKE_MALFORMED;
		return false;
	}
	if (!handshake->has_identity) {
		message->result = HANDSHAKE_NO_IDENTITY;
		return false;
	}
	/* A cookie reply has no macs, and costs no multiplication. */
	return type == WG_TYPE_COOKIE_REPLY || check_macs(handshake, message, now_ms);
}
