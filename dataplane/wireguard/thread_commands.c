/* SPDX-License-Identifier: BSD-3-Clause */
/* What the main thread wants of the handshake thread: peers and interfaces come, change and go. */
#include <errno.h>
#include <string.h>

#include "common/base/log.h"
#include "dataplane/wireguard/renew.h"
#include "dataplane/wireguard/thread_priv.h"

LOG_TYPE(wireguard);

enum { COMMANDS = 32 };

/* Nothing is said by it or heard of it from now on. */
static void peer_silence(struct wg_peer *peer)
{
	turns_cancel(peer);
	staged_drop(peer);
	keypairs_destroy(peer);
	path_clear(peer);
	if (!peer->thread.listed)
		return;
	HASH_DELETE(thread.by_key, peer->interface->peers, peer);
	handshake_peer_clear(peer->interface->handshake, &peer->thread.handshake);
	peer->thread.listed = false;
}

/* A controller that has lost its numbers sets a key under another one before it deletes the old. */
static void peer_list(struct wg_peer *peer)
{
	const struct key *public_key = &peer->thread.handshake.noise.public_key;
	struct wg_peer *other;

	HASH_FIND(thread.by_key, peer->interface->peers, public_key, KEY_SIZE, other);
	if (other != NULL) {
		log_info(wireguard, "peer %u: takes over the public key of peer %u", peer->id,
			other->id);
		peer_silence(other);
	}
	HASH_ADD_KEYPTR(thread.by_key, peer->interface->peers, public_key, KEY_SIZE, peer);
	peer->thread.listed = true;
}

static void restore_marks(struct wg_peer *peer, const struct api_peer_set *set)
{
	_Static_assert(sizeof(peer->thread.handshake.received) == API_TAI64N_SIZE, "wire form");
	memcpy(&peer->thread.handshake.received, set->tai64n_received, API_TAI64N_SIZE);
	memcpy(&peer->thread.handshake.sent, set->tai64n_sent, API_TAI64N_SIZE);
}

static bool has_session(const struct wg_peer *peer)
{
	const struct keypair *current = atomic_load_explicit(&peer->current, memory_order_relaxed);

	return current != NULL && renew_is_usable(current->birth_ms, thread_now_ms());
}

static void anchor_set(struct wg_peer *peer, const struct api_peer_set *set)
{
	peer->thread.anchor =
		(set->flags & API_PEER_RETURN) != 0 ? set->endpoint : (struct endpoint){0};
}

static void peer_add(const struct wg_command *command)
{
	struct wg_peer *peer = command->peer;
	const struct api_peer_set *set = &command->set;
	int rc;

	if (peer->interface->handshake == NULL)
		return; /* its creation failed and was said */
	rc = handshake_peer_init(peer->interface->handshake, &peer->thread.handshake,
		&set->public_key, command->has_key ? &command->key : NULL, &peer->activity);
	if (rc < 0) {
		log_warn(wireguard, "peer %u: cannot be used: %s", peer->id, strerror(-rc));
		return;
	}
	peer->thread.worker = (uint8_t)peer->home;
	restore_marks(peer, set);
	peer_list(peer);
	anchor_set(peer, set);
	if (command->has_endpoint)
		path_set(peer, &set->endpoint, NULL);
	timers_set_persistent(&peer->thread.handshake.timers, set->persistent_keepalive);
	if ((set->flags & API_PEER_INITIATE) != 0 && command->has_endpoint)
		timers_request(&peer->activity, TIMERS_SEND_STAGED);
	turns_run_one(peer);
}

/* A name's new address waits until the session has ended by itself. */
static void endpoint_change(struct wg_peer *peer, const struct wg_command *command)
{
	const struct api_peer_set *set = &command->set;

	anchor_set(peer, set);
	if (!command->has_endpoint || ((set->flags & API_PEER_RETURN) != 0 && has_session(peer)))
		return;
	path_set(peer, &set->endpoint, NULL);
	if ((set->flags & (API_PEER_RETURN | API_PEER_INITIATE)) ==
		(API_PEER_RETURN | API_PEER_INITIATE))
		timers_request(&peer->activity, TIMERS_SEND_STAGED);
}

static void peer_change(const struct wg_command *command)
{
	struct wg_peer *peer = command->peer;

	if (!peer->thread.listed)
		return;
	if (command->has_key || (command->set.flags & API_PEER_HAS_PSK) == 0)
		handshake_peer_set_preshared_key(peer->interface->handshake,
			&peer->thread.handshake, command->has_key ? &command->key : NULL);
	endpoint_change(peer, command);
	timers_set_persistent(&peer->thread.handshake.timers, command->set.persistent_keepalive);
	turns_run_one(peer);
}

static void peer_remove(struct wg_peer *peer)
{
	peer_silence(peer);
	reclaim_later(peer, sizeof(*peer));
}

/* A controller that starts anew sends the key anew: sessions survive that. */
static bool is_own_key(const struct handshake *handshake, const struct key *private_key)
{
	const struct key *own = handshake_public_key(handshake);
	struct key public_key;

	return own != NULL && key_public(private_key, &public_key) == 0 &&
	       key_equal(own, &public_key);
}

/* After the interface has got another private key. */
static void peer_renew(struct wg_peer *peer)
{
	const struct key *own = handshake_public_key(peer->interface->handshake);

	if (own != NULL && key_equal(own, &peer->thread.handshake.noise.public_key)) {
		log_warn(wireguard, "peer %u: has our own public key, falls silent", peer->id);
		peer_silence(peer);
		return;
	}
	handshake_peer_renew(peer->interface->handshake, &peer->thread.handshake);
	keypairs_destroy(peer);
}

static void interface_set(const struct wg_command *command)
{
	struct wg_interface *interface = command->interface;
	struct wg_peer *peer, *tmp;
	int error = 0;

	if (interface->handshake == NULL)
		interface->handshake = handshake_create(&thread_ops, interface, &error);
	if (interface->handshake == NULL) {
		log_error(wireguard, "interface %u: %s", interface->id, strerror(-error));
		return;
	}
	if (command->has_ports) {
		HASH_ITER (thread.by_key, interface->peers, peer, tmp)
			path_refresh(peer);
	}
	if (!command->has_key || is_own_key(interface->handshake, &command->key))
		return;
	error = handshake_set_private_key(interface->handshake, &command->key);
	if (error < 0) {
		log_error(wireguard, "interface %u: private key refused: %s", interface->id,
			strerror(-error));
		return;
	}
	HASH_ITER (thread.by_key, interface->peers, peer, tmp)
		peer_renew(peer);
}

/* A controller has connected: it gets what it may have missed. */
static void tell_all(void)
{
	for (unsigned i = 1; i < API_WG_INTERFACE_MAX; i++) {
		struct wg_interface *interface = wg_interface_get(i);
		struct wg_peer *peer, *tmp;

		if (interface == NULL)
			continue;
		HASH_ITER (thread.by_key, interface->peers, peer, tmp) {
			if (peer->thread.last_handshake_s != 0)
				turns_tell(peer);
		}
	}
}

static void command_run(struct wg_command *command)
{
	switch (command->kind) {
	case WG_COMMAND_INTERFACE:
		interface_set(command);
		break;
	case WG_COMMAND_INTERFACE_DEL:
		handshake_destroy(&command->interface->handshake);
		break;
	case WG_COMMAND_PEER_ADD:
		peer_add(command);
		break;
	case WG_COMMAND_PEER_CHANGE:
		peer_change(command);
		break;
	case WG_COMMAND_PEER_DEL:
		peer_remove(command->peer);
		break;
	case WG_COMMAND_TELL:
		tell_all();
		break;
	}
}

/* At most COMMANDS, so that a large transaction does not keep handshakes waiting. */
unsigned thread_run_commands(void)
{
	struct wg_command *command;
	unsigned n = 0;

	while (n < COMMANDS && (command = command_take()) != NULL) {
		command_run(command);
		command_destroy(&command);
		n++;
	}
	return n;
}
