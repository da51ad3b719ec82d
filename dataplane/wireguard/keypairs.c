/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Life of the keypairs of a peer (WireGuard paper, section 6.3, with the kernel's order): next,
 * current, previous; and the packets that wait for a key. Handshake thread only.
 */
#include <rte_malloc.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "dataplane/flow/icmp_error.h"
#include "dataplane/graph/follow.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/port/port.h"
#include "dataplane/route/hold.h"
#include "dataplane/wireguard/index.h"
#include "dataplane/wireguard/wireguard_priv.h"

static void destroy(struct keypair *keypair)
{
	if (keypair == NULL)
		return;
	index_table_give(keypair->local_index);
	reclaim_later(keypair, sizeof(*keypair));
}

static struct keypair *current_of(const struct wg_peer *peer)
{
	return atomic_load_explicit(&peer->current, memory_order_relaxed);
}

static void current_set(struct wg_peer *peer, struct keypair *keypair)
{
	atomic_store_explicit(&peer->current, keypair, memory_order_release);
}

static struct keypair *next_of(const struct wg_peer *peer)
{
	return atomic_load_explicit(&peer->next, memory_order_relaxed);
}

static void next_set(struct wg_peer *peer, struct keypair *keypair)
{
	atomic_store_explicit(&peer->next, keypair, memory_order_release);
}

static struct keypair *create(struct wg_peer *peer, const struct noise_keys *keys, uint64_t now_ms)
{
	struct keypair *keypair = rte_zmalloc("wg_keypair", sizeof(*keypair), RTE_CACHE_LINE_SIZE);

	if (keypair == NULL)
		return NULL;
	memcpy(keypair->send_key, keys->send.bytes, sizeof(keypair->send_key));
	memcpy(keypair->receive_key, keys->receive.bytes, sizeof(keypair->receive_key));
	keypair->local_index = keys->local_index;
	keypair->remote_index = keys->remote_index;
	keypair->peer = peer;
	keypair->birth_ms = now_ms;
	keypair->initiator = keys->initiator;
	keypair->unconfirmed = !keys->initiator;
	keypair->owner = (uint8_t)index_owner(keys->local_index, index_table_secret());
	return keypair;
}

void keypair_install(struct wg_peer *peer, const struct noise_keys *keys, uint64_t now_ms)
{
	struct keypair *fresh = create(peer, keys, now_ms);
	struct keypair *current = current_of(peer);
	struct keypair *next = next_of(peer);

	if (fresh == NULL) {
		index_table_give(keys->local_index);
		return;
	}
	if (keys->initiator) {
		/* A next one that was never confirmed may still be in use by the peer. */
		destroy(peer->thread.previous);
		peer->thread.previous = next != NULL ? next : current;
		if (next != NULL)
			destroy(current);
		next_set(peer, NULL);
		index_table_set(fresh->local_index, fresh);
		current_set(peer, fresh);
		peer->thread.last_handshake_s = (uint64_t)time(NULL);
		if (peer->thread.staged_count != 0)
			staged_flush(peer);
		else
			keepalive_send(peer); /* the responder may not send before it hears us */
	} else {
		destroy(next);
		next_set(peer, fresh);
		destroy(peer->thread.previous);
		peer->thread.previous = NULL;
		index_table_set(fresh->local_index, fresh);
	}
}

void keypair_confirm(struct wg_peer *peer, uint32_t index, uint64_t now_ms)
{
	struct keypair *next = next_of(peer);

	if (next == NULL || next->local_index != index)
		return;
	destroy(peer->thread.previous);
	peer->thread.previous = current_of(peer);
	current_set(peer, next);
	next_set(peer, NULL);
	peer->thread.last_handshake_s = (uint64_t)time(NULL);
	staged_flush(peer);
}

void keypairs_destroy(struct wg_peer *peer)
{
	struct keypair *current = current_of(peer), *next = next_of(peer);

	current_set(peer, NULL);
	next_set(peer, NULL);
	destroy(current);
	destroy(next);
	destroy(peer->thread.previous);
	peer->thread.previous = NULL;
}

/* False: the packet is lost. */
static bool seal_later(struct wg_peer *peer, struct rte_mbuf *mbuf)
{
	return handoff_send(HANDOFF_HANDSHAKE, peer->home, GRAPH_SEAL, &mbuf, 1) == 1;
}

void keepalive_send(struct wg_peer *peer)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(packet_pool());

	if (mbuf == NULL)
		return; /* the timer comes again */
	*packet_of(mbuf) = (struct packet){.peer = peer->id};
	seal_later(peer, mbuf);
}

void staged_lost(struct wg_peer *peer)
{
	/* Packets may wait behind it. */
	if (staged_leaves(peer))
		hold_release();
}

/* The link of a packet that waits, in its private line. */
static void link_set(struct rte_mbuf *mbuf, struct rte_mbuf *next)
{
	_Static_assert(sizeof(next) <= sizeof(packet_of(mbuf)->scratch), "room for a link");
	memcpy(packet_of(mbuf)->scratch, &next, sizeof(next));
}

static struct rte_mbuf *link_get(struct rte_mbuf *mbuf)
{
	struct rte_mbuf *next;

	memcpy(&next, packet_of(mbuf)->scratch, sizeof(next));
	return next;
}

static struct rte_mbuf *staged_take(struct wg_peer *peer)
{
	struct rte_mbuf *mbuf = peer->thread.staged_first;

	peer->thread.staged_first = link_get(mbuf);
	peer->thread.staged_count--;
	return mbuf;
}

void staged_put(struct wg_peer *peer, struct rte_mbuf *mbuf)
{
	/* A keepalive that found no key has done its work: the handshake begins. */
	if (rte_pktmbuf_data_len(mbuf) == 0) {
		staged_lost(peer);
		follow_free(&mbuf, 1, API_TRACE_KEEPALIVE, 0);
		return;
	}
	if (peer->thread.staged_count == WG_STAGED_MAX) {
		struct rte_mbuf *oldest = staged_take(peer);

		drop_free(HANDOFF_HANDSHAKE, DROP(wireguard, STAGED_FULL), &oldest, 1);
		staged_lost(peer);
	}
	link_set(mbuf, NULL);
	if (peer->thread.staged_count == 0)
		peer->thread.staged_first = mbuf;
	else
		link_set(peer->thread.staged_last, mbuf);
	peer->thread.staged_last = mbuf;
	peer->thread.staged_count++;
}

void staged_flush(struct wg_peer *peer)
{
	while (peer->thread.staged_count != 0) {
		if (!seal_later(peer, staged_take(peer)))
			staged_lost(peer);
	}
}

void staged_drop(struct wg_peer *peer)
{
	while (peer->thread.staged_count != 0) {
		struct rte_mbuf *mbuf = staged_take(peer);

		packet_of(mbuf)->drop = DROP(wireguard, STAGED_DROPPED);
		packet_of(mbuf)->scratch[0] =
			ICMP_ERROR_BEYOND | icmp_error_code(ICMP_ERROR_UNREACHABLE, 0);
		packet_of(mbuf)->flags &= (uint16_t)~PACKET_STAGED;
		handoff_send(HANDOFF_HANDSHAKE, peer->home, GRAPH_ICMP, &mbuf, 1);
		staged_lost(peer);
	}
}
