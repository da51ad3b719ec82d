/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Node "wg_seal": from an inner packet for packet->peer to an outer one on its way. An empty
 * packet is a keepalive. What has no usable key goes to the handshake thread to wait.
 *
 * One worker, the peer's home, numbers and sends the packets of a peer, so that they leave in the
 * order of their nonces: a receiver's window may be as small as 1,024. Others may do the sealing
 * for it (lend.h).
 */
#include <rte_byteorder.h>
#include <rte_graph.h>
#include <rte_graph_worker.h>
#include <rte_ip.h>
#include <rte_prefetch.h>
#include <rte_udp.h>
#include <string.h>

#include "dataplane/aead/aead.h"
#include "dataplane/flow/icmp_error.h"
#include "dataplane/graph/checksum_v4.h"
#include "dataplane/graph/packet.h"
#include "dataplane/graph/tap.h"
#include "dataplane/port/port.h"
#include "dataplane/route/hold.h"
#include "dataplane/route/route.h"
#include "dataplane/wireguard/lend.h"
#include "dataplane/wireguard/nodes.h"
#include "dataplane/wireguard/nonces.h"
#include "dataplane/wireguard/renew.h"
#include "dataplane/wireguard/wireguard_priv.h"

_Static_assert(RTE_GRAPH_BURST_SIZE <= AEAD_BURST_MAX, "a node's burst is sealed in one call");

enum {
	ECN_MASK = 3,
	ECN_CE = 3,
	ECN_ECT0 = 2,
	ROAMED_MAX = 8, /* peers of one burst that are just moving */
};

static uint16_t edge_drop, edge_send, edge_handoff, edge_hold, edge_icmp;

/* What is known about a packet between the passes. */
struct sealing {
	struct rte_mbuf *mbuf;
	struct wg_peer *peer;
	const struct wg_path *path;
	struct keypair *keypair;
	uint16_t slot; /* in the node's burst */
	bool data;     /* no keepalive */
	uint8_t tos;   /* of the outer header: the inner ECN */
};

enum way_state {
	WAY_READY,
	WAY_NO_PEER,
	WAY_AWAY, /* another worker seals for it */
	WAY_NO_ENDPOINT,
	WAY_NO_KEY,
	WAY_NO_NEIGHBOUR,
	WAY_BEHIND, /* earlier packets of the peer wait still: those first */
};

/* What packets of one peer have in common; looked at once for each run of them in a burst. */
struct way {
	struct wg_peer *peer;
	const struct wg_path *path;
	struct keypair *keypair;
	enum way_state state;
};

struct burst {
	struct sealing sealing[RTE_GRAPH_BURST_SIZE];
	struct aead_packet aead[RTE_GRAPH_BURST_SIZE];
	uint16_t next[RTE_GRAPH_BURST_SIZE];
	unsigned count; /* of sealing and aead */
	struct wg_path roamed[ROAMED_MAX];
	unsigned roamed_count;
};

static uint16_t drop(struct rte_mbuf *mbuf, uint16_t reason)
{
	packet_of(mbuf)->drop = reason;
	return edge_drop;
}

/* Its sender is told, but a keepalive has none. */
static uint16_t refuse(struct rte_mbuf *mbuf, uint16_t reason)
{
	if (rte_pktmbuf_data_len(mbuf) == 0)
		return drop(mbuf, reason);
	packet_of(mbuf)->drop = reason;
	packet_of(mbuf)->scratch[0] =
		ICMP_ERROR_BEYOND | icmp_error_code(ICMP_ERROR_UNREACHABLE, 0);
	return edge_icmp;
}

/* False if the packet was not with the handshake thread. */
static bool unstage(struct rte_mbuf *mbuf, struct wg_peer *peer)
{
	struct packet *packet = packet_of(mbuf);

	if ((packet->flags & PACKET_STAGED) == 0)
		return false;
	packet->flags &= (uint16_t)~PACKET_STAGED;
	if (peer != NULL && staged_leaves(peer))
		hold_retry(worker_self()->id);
	return true;
}

/* The path is out of date or has no next hop: one event until it has been looked at. */
static void path_ask(struct wg_peer *peer)
{
	struct wg_event event = {.kind = WG_EVENT_PATH, .peer = peer->id};

	if (!atomic_exchange_explicit(&peer->stale, true, memory_order_relaxed) &&
		!events_put(&event))
		atomic_store_explicit(&peer->stale, false, memory_order_relaxed);
}

static uint16_t stage(struct rte_mbuf *mbuf, struct wg_peer *peer, const struct keypair *keypair)
{
	struct wg_event event = {.kind = WG_EVENT_STAGE,
		.peer = peer->id,
		.mbuf = mbuf,
		.index = keypair != NULL ? keypair->local_index : 0};
	struct packet *packet = packet_of(mbuf);

	packet->flags = (uint16_t)((packet->flags & ~PACKET_FIRST) | PACKET_STAGED);
	packet->waits = 0;
	atomic_fetch_add_explicit(&peer->staged, 1, memory_order_relaxed);
	if (events_put(&event))
		return GRAPH_GONE;
	unstage(mbuf, peer);
	return drop(mbuf, DROP(wireguard, STAGED_FULL));
}

static bool usable(const struct keypair *keypair, uint64_t now_ms)
{
	return keypair != NULL && renew_is_usable(keypair->birth_ms, now_ms) &&
	       atomic_load_explicit(&keypair->send_counter, memory_order_relaxed) <
		       WG_REJECT_AFTER_MESSAGES;
}

/* The last unit of an oversize packet is padded as it will be cut (kernel: the modulo rule). */
static uint16_t padding(uint16_t inner, uint16_t mtu)
{
	uint32_t last = inner, padded;

	while (last > mtu) /* at most a few turns: the port's MTU bounds the packet */
		last -= mtu;
	padded = RTE_MIN(RTE_ALIGN(last, (uint32_t)WG_PADDING), (uint32_t)mtu);
	return (uint16_t)(padded - last);
}

static uint8_t inner_ecn(const struct rte_mbuf *mbuf)
{
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint8_t ecn;

	if (rte_pktmbuf_data_len(mbuf) == 0)
		return 0;
	ecn = (ip[0] >> 4 == 4 ? ip[1] : ip[1] >> 4) & ECN_MASK;
	/* Congestion on the inner path is the inner packet's; the outer one starts afresh. */
	return ecn == ECN_CE ? ECN_ECT0 : ecn;
}

/* While the handshake thread has yet to publish the path to a peer's new endpoint, it is made here
 * for each run of packets. False: there is no room for one more, these wait for the thread. */
static __attribute__((noinline)) bool take_roamed(
	struct burst *burst, struct way *way, unsigned copy)
{
	struct wg_path *path = &burst->roamed[burst->roamed_count];

	way->state = WAY_NO_NEIGHBOUR;
	if (burst->roamed_count == ROAMED_MAX)
		return false;
	if (!path_roamed(way->peer, copy, path))
		return true; /* it has been published just now */
	burst->roamed_count++;
	way->path = path;
	return true;
}

/* A responder's keypair counts from the moment the peer was heard on it: what answers that very
 * packet may be here before the handshake thread has made it the current one, and a peer that began
 * anew no longer knows the old. */
static struct keypair *sealing_keypair(struct wg_peer *peer)
{
	struct keypair *next = atomic_load_explicit(&peer->next, memory_order_acquire);

	if (unlikely(next != NULL) &&
		!atomic_load_explicit(&next->unconfirmed, memory_order_acquire))
		return next;
	return atomic_load_explicit(&peer->current, memory_order_acquire);
}

static bool is_behind(const struct wg_peer *peer, unsigned worker)
{
	return atomic_load_explicit(&peer->staged, memory_order_relaxed) != 0 ||
	       hold_of(worker, peer->id) != HOLD_NONE;
}

static struct way find_way(struct burst *burst, struct wg_peer *peer, const struct worker *worker)
{
	struct way way = {.peer = peer, .state = WAY_NO_PEER};

	if (peer == NULL)
		return way;
	way.state = WAY_AWAY;
	if (peer->home != worker->id)
		return way;
	way.state = WAY_NO_ENDPOINT;
	if (unlikely(roam_pending(&peer->roam)) && !take_roamed(burst, &way, worker->copy))
		return way;
	if (way.path == NULL)
		way.path = atomic_load_explicit(&peer->path, memory_order_acquire);
	if (way.path == NULL)
		return way;
	way.state = WAY_NO_KEY;
	way.keypair = sealing_keypair(peer);
	if (!usable(way.keypair, worker->now_ms))
		return way;
	if (way.path->adjacency == 0 || way.path->generation != judge_generation())
		path_ask(peer);
	if (unlikely(way.path->adjacency == 0))
		way.state = WAY_NO_NEIGHBOUR;
	else
		way.state = unlikely(is_behind(peer, worker->id)) ? WAY_BEHIND : WAY_READY;
	return way;
}

static uint16_t hold(struct rte_mbuf *mbuf, const struct way *way, uint16_t reason)
{
	struct packet *packet = packet_of(mbuf);
	bool first = (packet->flags & PACKET_FIRST) != 0;

	packet->drop = reason;
	return hold_follow(worker_self()->id, way->peer->id, first) ? edge_hold : edge_drop;
}

/* What is back from the handshake thread goes before all of the peer that was not there; true if
 * nothing else stands before it. */
static bool takes_turn(struct rte_mbuf *mbuf, const struct way *way)
{
	struct packet *packet = packet_of(mbuf);

	if (unstage(mbuf, way->peer))
		packet->flags |= PACKET_FIRST;
	return way->state == WAY_BEHIND && (packet->flags & PACKET_FIRST) != 0 &&
	       hold_of(worker_self()->id, way->peer->id) != HOLD_FIRST;
}

/* Not to be sealed here and now. */
static __attribute__((noinline)) uint16_t divert(struct rte_mbuf *mbuf, const struct way *way)
{
	struct packet *packet = packet_of(mbuf);

	packet->next = GRAPH_SEAL;
	switch (way->state) {
	case WAY_AWAY:
		packet->to = (uint8_t)way->peer->home;
		return edge_handoff;
	case WAY_NO_ENDPOINT:
		return refuse(mbuf, DROP(wireguard, NO_ENDPOINT));
	case WAY_NO_KEY:
		if (hold_of(worker_self()->id, way->peer->id) != HOLD_NONE)
			return hold(mbuf, way, DROP(wireguard, BEHIND));
		return stage(mbuf, way->peer, way->keypair);
	case WAY_NO_NEIGHBOUR:
		return hold(mbuf, way, DROP(wireguard, NO_NEIGHBOUR));
	case WAY_BEHIND:
		return hold(mbuf, way, DROP(wireguard, BEHIND));
	default:
		return drop(mbuf, DROP(wireguard, NO_PEER));
	}
}

/* Where the packet goes: on by edge_send once the burst is sealed, or elsewhere at once. */
static inline uint16_t prepare(
	struct burst *burst, struct rte_mbuf *mbuf, const struct way *way, uint16_t slot)
{
	uint16_t inner = rte_pktmbuf_data_len(mbuf);
	uint16_t pad;
	char *tail;

	if (unlikely(way->state != WAY_READY) && !takes_turn(mbuf, way))
		return divert(mbuf, way);
	pad = padding(inner, way->peer->mtu);
	if (unlikely(rte_pktmbuf_headroom(mbuf) < sizeof(way->path->header) + WG_DATA_HEADER_SIZE))
		return drop(mbuf, DROP(wireguard, NO_ROOM));
	tail = rte_pktmbuf_append(mbuf, (uint16_t)(pad + WG_TAG_SIZE));
	if (unlikely(tail == NULL))
		return drop(mbuf, DROP(wireguard, NO_ROOM));
	/* All of it that can be padding; the tag comes over the rest. */
	_Static_assert((int)WG_PADDING <= (int)WG_TAG_SIZE, "the longest padding fits");
	memset(tail, 0, WG_PADDING);
	burst->aead[burst->count] = (struct aead_packet){
		.key = way->keypair->send_key,
		.src = rte_pktmbuf_mtod(mbuf, uint8_t *),
		.dst = rte_pktmbuf_mtod(mbuf, uint8_t *),
		.length = (uint32_t)inner + pad,
	};
	burst->sealing[burst->count++] = (struct sealing){.mbuf = mbuf,
		.peer = way->peer,
		.path = way->path,
		.keypair = way->keypair,
		.slot = slot,
		.data = inner != 0,
		.tos = inner_ecn(mbuf)};
	return edge_send;
}

static void rekey_ask(struct sealing *sealing, uint64_t counter, uint64_t now_ms)
{
	struct keypair *keypair = sealing->keypair;

	if (likely(!renew_sender_due(keypair->initiator, keypair->birth_ms, counter, now_ms)))
		return;
	if (renew_may_ask(&keypair->rekey_asked_ms, now_ms))
		activity_ask(sealing->peer, TIMERS_REKEY);
}

/* One reservation per run of packets with the same keypair. */
static void nonces_take(struct burst *burst, uint64_t now_ms)
{
	unsigned first = 0;

	while (first < burst->count) {
		struct keypair *keypair = burst->sealing[first].keypair;
		unsigned end = first + 1;
		uint64_t counter;

		while (end < burst->count && burst->sealing[end].keypair == keypair)
			end++;
		if (unlikely(!nonces_reserve(&keypair->send_counter, end - first, &counter)))
			counter = WG_REJECT_AFTER_MESSAGES; /* finish_all() drops them */
		rekey_ask(&burst->sealing[first], counter, now_ms);
		for (unsigned i = first; i < end; i++)
			burst->aead[i].counter = counter + (i - first);
		first = end;
	}
}

/* The header is copied whole and changed by short writes: the checksum is reckoned from what is
 * known of it, since reading it back at once would wait for them. */
static inline void outer_v4(
	uint8_t *header, const struct wg_path *path, uint8_t tos, uint16_t length, uint16_t id)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)header;
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
	uint16_t total = rte_cpu_to_be_16(length);
	uint32_t sum = (uint32_t)path->header_sum + rte_cpu_to_be_16(tos) + total + id;

	memcpy(header, path->header, sizeof(*ip) + sizeof(*udp));
	ip->type_of_service = tos;
	ip->total_length = total;
	ip->packet_id = id;
	ip->hdr_checksum = (uint16_t)~checksum_v4_fold(sum);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(length - sizeof(*ip)));
}

static void outer_v6(uint8_t *header, const struct wg_path *path, uint8_t tos, uint16_t length)
{
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)header;
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	memcpy(header, path->header, sizeof(*ip) + sizeof(*udp));
	ip->vtc_flow |= rte_cpu_to_be_32((uint32_t)tos << 20);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(length - sizeof(*ip)));
	udp->dgram_len = ip->payload_len;
	/* Required over IPv6 (RFC 8200, 8.1); over IPv4 it stays 0, the tag protects more. */
	udp->dgram_cksum = rte_ipv6_udptcp_cksum(ip, udp);
}

/* prepare() saw to the headroom. */
static inline void outer_make(
	const struct sealing *sealing, const struct aead_packet *aead, uint16_t id)
{
	const struct wg_path *path = sealing->path;
	struct rte_mbuf *mbuf = sealing->mbuf;
	struct packet *packet = packet_of(mbuf);
	struct wg_data *data = rte_pktmbuf_mtod(mbuf, struct wg_data *) - 1;
	uint8_t *header = (uint8_t *)data - path->header_length;
	uint16_t grown = (uint16_t)(sizeof(*data) + path->header_length);

	mbuf->data_off = (uint16_t)(mbuf->data_off - grown);
	mbuf->data_len = (uint16_t)(mbuf->data_len + grown);
	mbuf->pkt_len = mbuf->data_len;
	data->type = htole32(WG_TYPE_DATA);
	data->receiver = htole32(sealing->keypair->remote_index);
	data->counter = htole64(aead->counter);
	if (likely(path->remote.addr.family == ADDR_V4))
		outer_v4(header, path, sealing->tos, mbuf->data_len, rte_cpu_to_be_16(id));
	else
		outer_v6(header, path, sealing->tos, mbuf->data_len);
	packet->port_out = path->port;
	packet->adjacency = path->adjacency;
	packet->flags = 0;
	packet->l2_len = 0;
	packet->family = path->remote.addr.family;
}

/* Once for all packets of a run: the lines are the handshake thread's, too. */
static void account(struct wg_peer *peer, uint64_t bytes, bool data, const struct worker *worker)
{
	if (bytes == 0)
		return;
	counts_of(worker->id)[peer->id].tx_bytes += bytes;
	if (data)
		timers_data_sent(&peer->activity, worker->now_ms);
	else
		timers_packet_sent(&peer->activity, worker->now_ms);
	activity_tell(peer);
}

static void finish_all(struct burst *burst, const struct worker *worker, uint16_t to_drop)
{
	uint16_t *id = wg_ipv4_id(worker->id);
	unsigned i = 0;

	while (i < burst->count) {
		struct wg_peer *peer = burst->sealing[i].peer;
		uint64_t bytes = 0;
		bool data = false;

		for (; i < burst->count && burst->sealing[i].peer == peer; i++) {
			const struct sealing *sealing = &burst->sealing[i];

			if (unlikely(burst->aead[i].counter >= WG_REJECT_AFTER_MESSAGES)) {
				drop(sealing->mbuf, DROP(wireguard, EXPIRED));
				burst->next[sealing->slot] = to_drop;
				continue;
			}
			bytes += burst->aead[i].length + WG_DATA_HEADER_SIZE + WG_TAG_SIZE;
			data |= sealing->data;
			outer_make(sealing, &burst->aead[i], (*id)++);
		}
		account(peer, bytes, data, worker);
	}
}

/* Each once: at its peer's home, and not again when it comes back from a wait. */
static __attribute__((noinline)) void tap_all(struct rte_mbuf **mbufs, uint16_t n, unsigned worker)
{
	for (unsigned i = 0; i < n; i++) {
		const struct packet *packet = packet_of(mbufs[i]);
		const struct wg_peer *peer = wg_peer_get(packet->peer);

		if ((peer == NULL || peer->home == worker) && packet->waits == 0 &&
			(packet->flags & (PACKET_STAGED | PACKET_FIRST)) == 0)
			tap_packet(worker, API_CAPTURE_TUNNEL_OUT, mbufs[i]);
	}
}

static void prepare_all(
	struct burst *burst, struct rte_mbuf **mbufs, uint16_t n, const struct worker *worker)
{
	struct wg_peer *peers[RTE_GRAPH_BURST_SIZE];
	struct way way;

	if (tap_wants(API_CAPTURE_TUNNEL_OUT))
		tap_all(mbufs, n, worker->id);
	for (unsigned i = 0; i < n; i++) {
		peers[i] = wg_peer_get(packet_of(mbufs[i])->peer);
		rte_prefetch0(peers[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		if (i == 0 || peers[i] != way.peer)
			way = find_way(burst, peers[i], worker);
		burst->next[i] = prepare(burst, mbufs[i], &way, (uint16_t)i);
	}
}

static void process_burst(
	struct rte_graph *graph, struct rte_node *node, struct rte_mbuf **mbufs, uint16_t n)
{
	struct worker *worker = worker_self();
	struct burst burst;

	burst.count = 0;
	burst.roamed_count = 0;
	prepare_all(&burst, mbufs, n, worker);
	if (burst.count != 0) {
		nonces_take(&burst, worker->now_ms);
		aead_seal(worker->aead, burst.aead, burst.count);
		finish_all(&burst, worker, edge_drop);
	}
	graph_enqueue(graph, node, (void **)mbufs, burst.next, n);
}

static void finish_lent(
	struct lend_job *job, struct worker *worker, const struct lend_edges *edges, uint16_t *next)
{
	struct burst *burst = (struct burst *)job->room;

	for (unsigned i = 0; i < job->count; i++)
		burst->next[i] = edges->onward;
	finish_all(burst, worker, edges->drop);
	memcpy(next, burst->next, job->count * sizeof(next[0]));
}

/* Drops what would have become a job, before it gets a counter. */
static __attribute__((noinline)) void drop_lent(struct burst *burst)
{
	for (unsigned i = 0; i < burst->count; i++)
		burst->next[burst->sealing[i].slot] =
			drop(burst->sealing[i].mbuf, DROP(wireguard, LEND_FULL));
}

/* What is not to be sealed here and now goes its way at once, also where there is no job: a helper
 * that is away must not cost what it has nothing to do with. The rest goes on when it comes back.
 */
static void process_lent(
	struct rte_graph *graph, struct rte_node *node, struct rte_mbuf **mbufs, uint16_t n)
{
	struct worker *worker = worker_self();
	struct lend_job *job = lend_begin(worker->id);
	struct burst jobless, *burst = &jobless;

	_Static_assert(sizeof(*burst) <= sizeof(job->room), "a burst fits a job");
	if (likely(job != NULL))
		burst = (struct burst *)job->room;
	burst->count = 0;
	burst->roamed_count = 0;
	prepare_all(burst, mbufs, n, worker);
	if (unlikely(job == NULL)) {
		drop_lent(burst);
		graph_enqueue(graph, node, (void **)mbufs, burst->next, n);
		return;
	}
	for (unsigned i = 0; i < burst->count; i++) {
		burst->next[burst->sealing[i].slot] = GRAPH_GONE;
		burst->sealing[i].slot = (uint16_t)i;
		job->mbufs[i] = burst->sealing[i].mbuf;
	}
	graph_enqueue(graph, node, (void **)mbufs, burst->next, n);
	if (burst->count == 0)
		return;
	nonces_take(burst, worker->now_ms);
	job->seal = true;
	job->count = (uint16_t)burst->count;
	job->aead = burst->aead;
	job->finish = finish_lent;
	lend_end(worker, job);
}

static uint16_t process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	if (unlikely(lend_wanted(worker_self()->id, n)))
		return nodes_in_bursts(graph, node, objs, n, LEND_BURST, process_lent);
	return nodes_in_bursts(graph, node, objs, n, RTE_GRAPH_BURST_SIZE, process_burst);
}

static struct rte_node_register node_seal = {
	.name = "wg_seal",
	.process = process,
};

RTE_NODE_REGISTER(node_seal)

void seal_node_init(void)
{
	graph_take_role(GRAPH_SEAL, "wg_seal");
	graph_edge("wg_seal", GRAPH_DROP, &edge_drop);
	graph_edge("wg_seal", GRAPH_SEND, &edge_send);
	graph_edge("wg_seal", GRAPH_HANDOFF, &edge_handoff);
	graph_edge("wg_seal", GRAPH_HOLD, &edge_hold);
	graph_edge("wg_seal", GRAPH_ICMP, &edge_icmp);
}
