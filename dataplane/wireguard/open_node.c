/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Node "wg_open": from a UDP datagram to a listen port to the inner packet. Data packets go to
 * the worker named in their receiver index, are opened in one burst, checked for replay and
 * stripped; handshake messages go to the handshake thread. Whether the inner source address is
 * the peer's own is judged with the flow (allowed-IPs), on its first packet.
 */
#include <rte_byteorder.h>
#include <rte_graph.h>
#include <rte_graph_worker.h>
#include <rte_ip.h>
#include <rte_prefetch.h>
#include <rte_udp.h>
#include <string.h>

#include "dataplane/aead/aead.h"
#include "dataplane/graph/follow.h"
#include "dataplane/graph/packet.h"
#include "dataplane/graph/tap.h"
#include "dataplane/route/route.h"
#include "dataplane/wireguard/inbox.h"
#include "dataplane/wireguard/index.h"
#include "dataplane/wireguard/lend.h"
#include "dataplane/wireguard/nodes.h"
#include "dataplane/wireguard/renew.h"
#include "dataplane/wireguard/wireguard_priv.h"

_Static_assert(RTE_GRAPH_BURST_SIZE <= AEAD_BURST_MAX, "a node's burst is opened in one call");

enum { ECN_MASK = 3, ECN_CE = 3 };

/* Where IP headers keep their addresses. */
enum {
	V4_SOURCE = offsetof(struct rte_ipv4_hdr, src_addr),
	V4_DESTINATION = offsetof(struct rte_ipv4_hdr, dst_addr),
	V6_SOURCE = offsetof(struct rte_ipv6_hdr, src_addr),
	V6_DESTINATION = offsetof(struct rte_ipv6_hdr, dst_addr),
};

static uint16_t edge_drop, edge_forward, edge_handoff;

/* What is known about a data packet between the passes; the rest is still in its headers. */
struct opening {
	struct rte_mbuf *mbuf;
	struct keypair *keypair;
	uint16_t slot;   /* in the node's burst */
	uint16_t offset; /* of the inner packet from data */
};

struct burst {
	const struct worker *worker;
	uint32_t generation; /* of the tables */
	unsigned count;      /* of opening and aead */
	bool mixed;          /* of more than one session */
	struct opening opening[RTE_GRAPH_BURST_SIZE];
	struct aead_packet aead[RTE_GRAPH_BURST_SIZE];
	uint16_t next[RTE_GRAPH_BURST_SIZE];
};

/* What a run of packets of one keypair adds up to. */
struct received {
	uint64_t bytes;
	bool any, data; /* authentic packets; other than keepalives */
};

/* The last destination address that was found to be ours, of each worker: most packets of a
 * worker came to one address, and a compare is cheaper than the table. */
static struct last_local {
	struct addr addr;
	uint32_t generation;
} __rte_cache_aligned last_local[DP_WORKERS_MAX];

static uint16_t drop(struct rte_mbuf *mbuf, uint16_t reason)
{
	packet_of(mbuf)->drop = reason;
	return edge_drop;
}

static void read_addr(struct addr *addr, uint8_t family, const uint8_t *bytes)
{
	*addr = (struct addr){.family = family};
	memcpy(addr->bytes, bytes, addr_size(family));
}

static void read_source(struct rte_mbuf *mbuf, struct handshake_source *source)
{
	const struct packet *packet = packet_of(mbuf);
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	bool v4 = packet->family == ADDR_V4;

	source->remote.port = packet->sport;
	source->remote.zero = 0;
	source->local_port = packet->dport;
	source->port = packet->port_in;
	read_addr(&source->remote.addr, packet->family, ip + (v4 ? V4_SOURCE : V6_SOURCE));
	read_addr(&source->local, packet->family, ip + (v4 ? V4_DESTINATION : V6_DESTINATION));
}

/* Compares in place: a packet's addresses are copied only if somebody wants to keep them. */
static inline bool same_addr(const struct addr *addr, uint8_t family, const uint8_t *bytes)
{
	if (addr->family != family)
		return false;
	return family == ADDR_V4 ? memcmp(addr->bytes, bytes, 4) == 0
				 : memcmp(addr->bytes, bytes, 16) == 0;
}

static __attribute__((noinline)) bool find_local(const struct burst *burst, struct rte_mbuf *mbuf)
{
	struct last_local *last = &last_local[burst->worker->id];
	struct handshake_source source;
	uint16_t port;

	read_source(mbuf, &source);
	if (!local_has(burst->worker->copy, &source.local, &port))
		return false;
	last->addr = source.local;
	last->generation = burst->generation;
	return true;
}

static inline bool is_local(const struct burst *burst, struct rte_mbuf *mbuf)
{
	const struct last_local *last = &last_local[burst->worker->id];
	uint8_t family = packet_of(mbuf)->family;
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);

	if (likely(last->generation == burst->generation &&
		    same_addr(&last->addr, family,
			    ip + (family == ADDR_V4 ? V4_DESTINATION : V6_DESTINATION))))
		return true;
	return find_local(burst, mbuf);
}

/* What can be told without a key. A cookie that we asked for comes back as a mac2 other than zero;
 * an answer names an index that we gave out. */
static enum inbox_rank rank_of(const void *message, enum wg_type type)
{
	const struct wg_initiation *initiation = message;
	const struct wg_response *response = message;
	const struct wg_cookie_reply *reply = message;
	const uint8_t none[WG_MAC_SIZE] = {0};
	bool known;

	if (type == WG_TYPE_INITIATION)
		known = memcmp(initiation->macs.mac2, none, sizeof(none)) != 0;
	else if (type == WG_TYPE_RESPONSE)
		known = index_table_is_taken(le32toh(response->receiver));
	else
		known = index_table_is_taken(le32toh(reply->receiver));
	return known ? INBOX_KNOWN : INBOX_PLAIN;
}

/* `message` is of this type, and ends at `end` bytes from data. */
static __attribute__((noinline)) uint16_t hand_to_thread(
	struct rte_mbuf *mbuf, const void *message, enum wg_type type, uint16_t end)
{
	struct inbox_message incoming = {.mbuf = mbuf};
	unsigned worker = worker_self()->id;

	read_source(mbuf, &incoming.source);
	rte_pktmbuf_trim(mbuf, (uint16_t)(rte_pktmbuf_data_len(mbuf) - end));
	if (!inbox_put(worker, rank_of(message, type), &incoming))
		return drop(mbuf, DROP(wireguard, QUEUE_FULL));
	events_wake();
	return GRAPH_GONE;
}

/* No session of this worker: another worker's, or nobody's. */
static __attribute__((noinline)) uint16_t hand_over(
	struct rte_mbuf *mbuf, uint32_t index, unsigned worker)
{
	uint32_t owner = index_owner(index, index_table_secret());

	if (owner == worker || owner >= dp_config()->workers)
		return drop(mbuf, DROP(wireguard, UNKNOWN_INDEX));
	packet_of(mbuf)->to = (uint8_t)owner;
	packet_of(mbuf)->next = GRAPH_OPEN;
	return edge_handoff;
}

/* A data packet: to its owner, to the bin, or into the burst. */
static inline uint16_t prepare_data(
	struct burst *burst, struct rte_mbuf *mbuf, uint16_t offset, uint16_t length, uint16_t slot)
{
	uint8_t *message = rte_pktmbuf_mtod_offset(mbuf, uint8_t *, offset);
	const struct wg_data *data = (const struct wg_data *)message;
	uint32_t index = le32toh(data->receiver);
	uint64_t counter = le64toh(data->counter);
	struct keypair *keypair = index_table_find(index);

	if (unlikely(keypair == NULL || keypair->owner != burst->worker->id))
		return hand_over(mbuf, index, burst->worker->id);
	if (unlikely(!renew_is_usable(keypair->birth_ms, burst->worker->now_ms)))
		return drop(mbuf, DROP(wireguard, EXPIRED));
	if (unlikely(!replay_may_accept(&keypair->replay, counter)))
		return drop(mbuf, DROP(wireguard, REPLAYED));
	rte_prefetch0(keypair->peer);
	rte_prefetch0(&keypair->peer->activity);
	burst->opening[burst->count] = (struct opening){.mbuf = mbuf,
		.keypair = keypair,
		.slot = slot,
		.offset = (uint16_t)(offset + WG_DATA_HEADER_SIZE)};
	burst->aead[burst->count++] = (struct aead_packet){
		.key = keypair->receive_key,
		.counter = counter,
		.src = message + WG_DATA_HEADER_SIZE,
		.dst = message + WG_DATA_HEADER_SIZE,
		.length = (uint32_t)length - WG_DATA_HEADER_SIZE - WG_TAG_SIZE,
	};
	return edge_forward;
}

/* What it says, right or not; 0 if it is too short. */
static inline uint32_t receiver_of(struct rte_mbuf *mbuf)
{
	unsigned offset = packet_of(mbuf)->l4 + sizeof(struct rte_udp_hdr);

	if (unlikely(offset + sizeof(struct wg_data) > rte_pktmbuf_data_len(mbuf)))
		return 0;
	return le32toh(rte_pktmbuf_mtod_offset(mbuf, const struct wg_data *, offset)->receiver);
}

/* Packets of several sessions: what is on the way to the keypairs, each step for all of the burst,
 * so that its waits for memory are one. */
static __attribute__((noinline)) void look_ahead(struct rte_mbuf **mbufs, unsigned n)
{
	uint32_t indices[RTE_GRAPH_BURST_SIZE];

	for (unsigned i = 0; i < n; i++) {
		indices[i] = receiver_of(mbufs[i]);
		index_table_prefetch(indices[i]);
	}
	for (unsigned i = 0; i < n; i++)
		index_table_prefetch_keypair(indices[i]);
}

/* A burst whose first and last packets are of one session most likely is of it altogether. */
static inline void begin_burst(
	struct burst *burst, const struct worker *worker, struct rte_mbuf **mbufs, unsigned n)
{
	burst->worker = worker;
	burst->generation = judge_generation();
	burst->count = 0;
	burst->mixed = receiver_of(mbufs[0]) != receiver_of(mbufs[n - 1]);
	if (unlikely(burst->mixed))
		look_ahead(mbufs, n);
}

/* The way to the peer's endpoint, and its counters; the peer itself was asked for before. */
static __attribute__((noinline)) void look_ahead_of_peers(const struct burst *burst)
{
	for (unsigned i = 0; i < burst->count; i++) {
		const struct wg_peer *peer = burst->opening[i].keypair->peer;

		rte_prefetch0(atomic_load_explicit(&peer->path, memory_order_relaxed));
		rte_prefetch0(&counts_of(burst->worker->id)[peer->id]);
	}
}

static inline uint16_t prepare(struct burst *burst, struct rte_mbuf *mbuf, uint16_t slot)
{
	const struct packet *packet = packet_of(mbuf);
	const struct rte_udp_hdr *udp =
		rte_pktmbuf_mtod_offset(mbuf, const struct rte_udp_hdr *, packet->l4);
	uint16_t offset = (uint16_t)(packet->l4 + sizeof(*udp));
	uint16_t length = rte_be_to_cpu_16(udp->dgram_len);
	enum wg_type type;

	if (!is_local(burst, mbuf))
		return edge_forward; /* somebody else's tunnel, passing through */
	if (length < sizeof(*udp) || length > rte_pktmbuf_data_len(mbuf) - packet->l4)
		return drop(mbuf, DROP(wireguard, MALFORMED));
	length -= sizeof(*udp);
	type = wg_message_type(udp + 1, length);
	switch (type) {
	case WG_TYPE_DATA:
		return prepare_data(burst, mbuf, offset, length, slot);
	case WG_TYPE_INITIATION:
	case WG_TYPE_RESPONSE:
	case WG_TYPE_COOKIE_REPLY:
		return hand_to_thread(mbuf, udp + 1, type, (uint16_t)(offset + length));
	default:
		return drop(mbuf, DROP(wireguard, MALFORMED));
	}
}

static __attribute__((noinline)) void roam_ask(struct wg_peer *peer, struct rte_mbuf *mbuf)
{
	struct wg_event event = {.kind = WG_EVENT_ROAM, .peer = peer->id};

	read_source(mbuf, &event.source);
	if (roam_begin(&peer->roam, &event.source) && !events_put(&event))
		roam_end(&peer->roam); /* the next packet tries again */
}

/* The endpoint is where the last authentic packet came from. */
static inline void roam_check(struct wg_peer *peer, struct rte_mbuf *mbuf)
{
	const struct wg_path *path = atomic_load_explicit(&peer->path, memory_order_acquire);
	const struct packet *packet = packet_of(mbuf);
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	bool v4 = packet->family == ADDR_V4;

	if (likely(path != NULL && path->remote.port == packet->sport &&
		    path->local.port == packet->dport &&
		    same_addr(&path->remote.addr, packet->family,
			    ip + (v4 ? V4_SOURCE : V6_SOURCE)) &&
		    same_addr(&path->local.addr, packet->family,
			    ip + (v4 ? V4_DESTINATION : V6_DESTINATION))))
		return;
	roam_ask(peer, mbuf);
}

static void confirm_check(struct keypair *keypair)
{
	struct wg_event event;

	if (likely(!atomic_load_explicit(&keypair->unconfirmed, memory_order_relaxed)))
		return;
	event = (struct wg_event){.kind = WG_EVENT_CONFIRMED,
		.peer = keypair->peer->id,
		.index = keypair->local_index};
	/* Without room it stays unconfirmed and the next packet tries again. */
	if (events_put(&event))
		atomic_store_explicit(&keypair->unconfirmed, false, memory_order_release);
}

static void last_minute_check(struct keypair *keypair, uint64_t now_ms)
{
	bool current =
		atomic_load_explicit(&keypair->peer->current, memory_order_relaxed) == keypair;

	if (likely(!renew_receiver_due(keypair->initiator, current, keypair->birth_ms, now_ms)))
		return;
	if (renew_may_ask(&keypair->last_minute_asked_ms, now_ms))
		activity_ask(keypair->peer, TIMERS_LAST_MINUTE);
}

/* RFC 6040, section 4.2: congestion on the outer path must reach the inner endpoints. False: the
 * inner packet cannot carry it and must go. */
static bool ecn_combine(struct rte_mbuf *mbuf, uint8_t outer)
{
	uint8_t *ip = rte_pktmbuf_mtod(mbuf, uint8_t *);

	if (likely(outer != ECN_CE))
		return true;
	if (ip[0] >> 4 == 4) {
		struct rte_ipv4_hdr *ipv4 = (struct rte_ipv4_hdr *)ip;

		if ((ip[1] & ECN_MASK) == 0)
			return false;
		ip[1] |= ECN_CE;
		ipv4->hdr_checksum = 0;
		ipv4->hdr_checksum = rte_ipv4_cksum(ipv4);
		return true;
	}
	if ((ip[1] >> 4 & ECN_MASK) == 0)
		return false;
	ip[1] |= ECN_CE << 4;
	return true;
}

static uint8_t outer_ecn(struct rte_mbuf *mbuf)
{
	uint8_t byte = rte_pktmbuf_mtod(mbuf, const uint8_t *)[1];

	return (packet_of(mbuf)->family == ADDR_V4 ? byte : byte >> 4) & ECN_MASK;
}

/* Strips what was around the inner packet and reads its headers. */
static inline uint16_t inner_make(
	const struct opening *opening, uint32_t length, const struct lend_edges *edges)
{
	struct rte_mbuf *mbuf = opening->mbuf;
	struct packet *packet = packet_of(mbuf);
	uint8_t ecn = outer_ecn(mbuf);
	uint16_t reason;

	mbuf->data_off = (uint16_t)(mbuf->data_off + opening->offset);
	mbuf->data_len = (uint16_t)length;
	mbuf->pkt_len = length;
	*packet =
		(struct packet){.ingress = opening->keypair->peer->id, .flags = PACKET_FROM_TUNNEL};
	reason = packet_parse(mbuf);
	if (likely(reason == DROP_NONE) && unlikely(!ecn_combine(mbuf, ecn)))
		reason = DROP(wireguard, BAD_ECN);
	if (likely(reason == DROP_NONE))
		return edges->onward;
	packet->drop = reason;
	return edges->drop;
}

static inline uint16_t finish(const struct opening *opening, const struct aead_packet *aead,
	struct received *received, const struct lend_edges *edges)
{
	struct keypair *keypair = opening->keypair;

	if (unlikely(!aead->ok || !replay_accept(&keypair->replay, aead->counter))) {
		drop(opening->mbuf,
			aead->ok ? DROP(wireguard, REPLAYED) : DROP(wireguard, BAD_TAG));
		return edges->drop;
	}
	received->bytes += aead->length + WG_DATA_HEADER_SIZE + WG_TAG_SIZE;
	received->any = true;
	roam_check(keypair->peer, opening->mbuf);
	if (aead->length == 0) {
		struct rte_mbuf *mbuf = opening->mbuf;

		follow_free(&mbuf, 1, API_TRACE_KEEPALIVE, 0);
		return GRAPH_GONE;
	}
	received->data = true;
	return inner_make(opening, aead->length, edges);
}

/* Once for all packets of a run: the lines are the handshake thread's, too. */
static void account(struct keypair *keypair, const struct received *received, uint64_t now_ms)
{
	struct wg_peer *peer = keypair->peer;

	if (!received->any)
		return;
	counts_of(worker_self()->id)[peer->id].rx_bytes += received->bytes;
	confirm_check(keypair);
	last_minute_check(keypair, now_ms);
	if (received->data)
		timers_data_received(&peer->activity, now_ms);
	else
		timers_packet_received(&peer->activity, now_ms);
	activity_tell(peer);
}

static __attribute__((noinline)) void tap_opened(
	const struct burst *burst, const struct lend_edges *edges)
{
	for (unsigned i = 0; i < burst->count; i++) {
		const struct opening *opening = &burst->opening[i];

		if (burst->next[opening->slot] == edges->onward)
			tap_packet(burst->worker->id, API_CAPTURE_TUNNEL_IN, opening->mbuf);
	}
}

static void finish_all(
	struct burst *burst, const struct worker *worker, const struct lend_edges *edges)
{
	unsigned i = 0;

	if (unlikely(burst->mixed))
		look_ahead_of_peers(burst);
	while (i < burst->count) {
		struct keypair *keypair = burst->opening[i].keypair;
		struct received received = {0};

		for (; i < burst->count && burst->opening[i].keypair == keypair; i++)
			burst->next[burst->opening[i].slot] =
				finish(&burst->opening[i], &burst->aead[i], &received, edges);
		account(keypair, &received, worker->now_ms);
	}
	if (tap_wants(API_CAPTURE_TUNNEL_IN))
		tap_opened(burst, edges);
}

static void process_burst(
	struct rte_graph *graph, struct rte_node *node, struct rte_mbuf **mbufs, uint16_t n)
{
	struct worker *worker = worker_self();
	struct burst burst;

	begin_burst(&burst, worker, mbufs, n);
	for (unsigned i = 0; i < n; i++)
		burst.next[i] = prepare(&burst, mbufs[i], (uint16_t)i);
	if (burst.count != 0) {
		const struct lend_edges edges = {edge_drop, edge_forward};

		aead_open(worker->aead, burst.aead, burst.count);
		finish_all(&burst, worker, &edges);
	}
	graph_enqueue(graph, node, (void **)mbufs, burst.next, n);
}

static void finish_lent(
	struct lend_job *job, struct worker *worker, const struct lend_edges *edges, uint16_t *next)
{
	struct burst *burst = (struct burst *)job->room;

	finish_all(burst, worker, edges);
	memcpy(next, burst->next, job->count * sizeof(next[0]));
}

/* Drops what would have become a job. */
static __attribute__((noinline)) void drop_lent(struct burst *burst)
{
	for (unsigned i = 0; i < burst->count; i++)
		burst->next[burst->opening[i].slot] =
			drop(burst->opening[i].mbuf, DROP(wireguard, LEND_FULL));
}

/* What is not to be opened here and now goes its way at once, also where there is no job: a helper
 * that is away must not stop handshakes. The rest goes on when it comes back. */
static void process_lent(
	struct rte_graph *graph, struct rte_node *node, struct rte_mbuf **mbufs, uint16_t n)
{
	struct worker *worker = worker_self();
	struct lend_job *job = lend_begin(worker->id);
	struct burst jobless, *burst = &jobless;

	_Static_assert(sizeof(*burst) <= sizeof(job->room), "a burst fits a job");
	if (likely(job != NULL))
		burst = (struct burst *)job->room;
	begin_burst(burst, worker, mbufs, n);
	for (unsigned i = 0; i < n; i++)
		burst->next[i] = prepare(burst, mbufs[i], (uint16_t)i);
	if (unlikely(job == NULL)) {
		drop_lent(burst);
		graph_enqueue(graph, node, (void **)mbufs, burst->next, n);
		return;
	}
	for (unsigned i = 0; i < burst->count; i++) {
		burst->next[burst->opening[i].slot] = GRAPH_GONE;
		burst->opening[i].slot = (uint16_t)i;
		job->mbufs[i] = burst->opening[i].mbuf;
	}
	graph_enqueue(graph, node, (void **)mbufs, burst->next, n);
	if (burst->count == 0)
		return;
	job->seal = false;
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

static struct rte_node_register node_open = {
	.name = "wg_open",
	.process = process,
};

RTE_NODE_REGISTER(node_open)

void open_node_init(void)
{
	graph_take_role(GRAPH_OPEN, "wg_open");
	graph_edge("wg_open", GRAPH_DROP, &edge_drop);
	graph_edge("wg_open", GRAPH_FORWARD, &edge_forward);
	graph_edge("wg_open", GRAPH_HANDOFF, &edge_handoff);
}
