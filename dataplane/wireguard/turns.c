/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_common.h>
#include <string.h>

#include "dataplane/wireguard/thread_priv.h"

enum {
	WATCH_MS = 250,       /* an active peer's timers are looked at this often */
	UNSENT_AGAIN_MS = 32, /* how often an unresolved next hop is looked for */
	UNSENT_MAX_MS = 2000, /* the retransmission comes after 5 s, with a fresh message */
};

static struct wheel wheel; /* of peers, by when their timers are due */

void turns_tell(struct wg_peer *peer)
{
	const struct wg_path *path = atomic_load_explicit(&peer->path, memory_order_relaxed);
	struct api_event_peer event = {
		.header = {.type = API_EVENT_PEER, .length = sizeof(event)},
		.peer = peer->id,
		.last_handshake_s = peer->thread.last_handshake_s,
	};

	if (path != NULL)
		event.endpoint = path->remote;
	memcpy(event.tai64n_received, &peer->thread.handshake.received,
		sizeof(event.tai64n_received));
	memcpy(event.tai64n_sent, &peer->thread.handshake.sent, sizeof(event.tai64n_sent));
	peer_event_put(&event);
	peer->thread.event_due = false;
}

/* Tries again with an initiation that had no next hop. True: it still has none. */
static bool unsent_try(struct wg_peer *peer)
{
	const struct wg_path *path;
	struct endpoint local;

	if (peer->thread.unsent_length == 0)
		return false;
	path = atomic_load_explicit(&peer->path, memory_order_relaxed);
	local = (struct endpoint){.port = path != NULL ? path->local.port : 0};
	if (path != NULL && thread_now_ms() - peer->thread.unsent_ms < UNSENT_MAX_MS &&
		!path_send(&path->remote, &local, peer->thread.unsent, peer->thread.unsent_length,
			NULL))
		return true;
	peer->thread.unsent_length = 0;
	return false;
}

/*
 * After the peer's timers ran: sees to it that we come back when they are due. While packets flow
 * the peer is `watched` and looked at every WATCH_MS; when a look finds nothing new it is left to
 * its timers, and the next packet's worker tells us. A worker that saw `watched` just before told
 * nobody, and what it noted may not be visible yet: so there is one more look after that.
 */
static void come_back(struct wg_peer *peer, uint64_t due)
{
	uint64_t seen = __atomic_load_n(&peer->activity.last_any_ms, __ATOMIC_RELAXED);
	bool active = seen != peer->thread.last_seen_ms;

	peer->thread.last_seen_ms = seen;
	if (atomic_exchange_explicit(&peer->watched, active, memory_order_relaxed) || active)
		due = RTE_MIN(due, thread_now_ms() + WATCH_MS);
	if (unsent_try(peer))
		due = RTE_MIN(due, thread_now_ms() + UNSENT_AGAIN_MS);
	if (due != TIMERS_NEVER)
		wheel_set(&wheel, &peer->thread.timer, due);
	else
		wheel_remove(&wheel, &peer->thread.timer);
	if (peer->thread.event_due)
		turns_tell(peer);
}

/* Peers of one interface, none of them twice. */
void turns_run(struct wg_peer **peers, unsigned n)
{
	struct handshake_peer *handshakes[HANDSHAKE_BURST];
	uint64_t due[HANDSHAKE_BURST];

	if (n == 0)
		return;
	for (unsigned i = 0; i < n; i++)
		handshakes[i] = &peers[i]->thread.handshake;
	handshake_run_burst(peers[0]->interface->handshake, handshakes, n, thread_now_ms(), due);
	for (unsigned i = 0; i < n; i++)
		come_back(peers[i], due[i]);
}

void turns_run_one(struct wg_peer *peer)
{
	turns_run(&peer, 1);
}

void turns_run_due(void)
{
	struct wg_peer *peers[HANDSHAKE_BURST];
	struct wheel_entry *entry;
	unsigned n = 0;

	while ((entry = wheel_next(&wheel, thread_now_ms())) != NULL) {
		struct wg_peer *peer =
			(struct wg_peer *)((char *)entry - offsetof(struct wg_peer, thread.timer));

		if (n == HANDSHAKE_BURST || (n != 0 && peer->interface != peers[0]->interface)) {
			turns_run(peers, n);
			n = 0;
		}
		peers[n++] = peer;
	}
	turns_run(peers, n);
}

void turns_init(void)
{
	wheel_init(&wheel, thread_now_ms());
}

void turns_cancel(struct wg_peer *peer)
{
	wheel_remove(&wheel, &peer->thread.timer);
}

uint32_t turns_wait_ms(uint32_t max_ms)
{
	return wheel_wait_ms(&wheel, thread_now_ms(), max_ms);
}
