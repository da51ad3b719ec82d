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
#include "dataplane/graph/packet.h"
#include "dataplane/route/route.h"
#include "dataplane/wireguard/index.h"
#include "dataplane/wireguard/nodes.h"
#include "dataplane/wireguard/renew.h"
#include "dataplane/wireguard/wireguard_priv.h"

_Static_assert(RTE_GRAPH_BURST_SIZE <= AEAD_BURST_MAX, "a node's burst is opened in one call");

enum { ECN_MASK = 3, ECN_CE = 3 };

static uint16_t edge_drop, edge_forward, edge_handoff;

/* What is known about a data packet between the passes. */
struct opening {
	struct rte_mbuf *mbuf;
	struct keypair *keypair;
	struct handshake_source source;
	uint64_t counter;
	uint16_t slot;   /* in the node's burst */
	uint16_t offset; /* of the inner packet from data */
	uint8_t ecn;     /* of the outer header */
};

struct burst {
	struct opening opening[RTE_GRAPH_BURST_SIZE];
	struct aead_packet aead[RTE_GRAPH_BURST_SIZE];
	uint16_t next[RTE_GRAPH_BURST_SIZE];
	unsigned count; /* of opening and aead */
};

/* The last destination address that was found to be ours, of each worker: most packets of a
 * worker came to one address, and a compare is cheaper than the table. */
static struct {
	struct addr addr;
	uint32_t generation;
} last_local[DP_WORKERS_MAX];

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

static uint8_t read_source(struct rte_mbuf *mbuf, struct handshake_source *source)
{
	const struct packet *packet = packet_of(mbuf);
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);

	source->remote.port = packet->sport;
	source->remote.zero = 0;
	source->port = packet->port_in;
	if (packet->family == ADDR_V4) {
		read_addr(&source->remote.addr, ADDR_V4,
			ip + offsetof(struct rte_ipv4_hdr, src_addr));
		read_addr(&source->local, ADDR_V4, ip + offsetof(struct rte_ipv4_hdr, dst_addr));
		return ip[1] & ECN_MASK;
	}
	read_addr(&source->remote.addr, ADDR_V6, ip + offsetof(struct rte_ipv6_hdr, src_addr));
	read_addr(&source->local, ADDR_V6, ip + offsetof(struct rte_ipv6_hdr, dst_addr));
	return (ip[1] >> 4) & ECN_MASK;
}

static bool is_local(const struct worker *worker, const struct addr *addr)
{
	uint32_t generation = judge_generation();
	uint16_t port;

	if (likely(last_local[worker->id].generation == generation &&
		    addr_equal(&last_local[worker->id].addr, addr)))
		return true;
	if (!local_has(worker->copy, addr, &port))
		return false;
	last_local[worker->id].addr = *addr;
	last_local[worker->id].generation = generation;
	return true;
}

static uint16_t hand_to_thread(struct rte_mbuf *mbuf, const struct handshake_source *source)
{
	struct wg_event event = {.kind = WG_EVENT_MESSAGE, .mbuf = mbuf, .source = *source};

	return events_put(&event) ? (uint16_t)NODES_GONE : drop(mbuf, DROP(wireguard, QUEUE_FULL));
}

/* A data packet: to its owner, to the bin, or into the burst. */
static uint16_t prepare_data(struct burst *burst, struct rte_mbuf *mbuf, uint16_t offset,
	uint16_t length, const struct worker *worker, struct opening *opening)
{
	uint8_t *message = rte_pktmbuf_mtod_offset(mbuf, uint8_t *, offset);
	const struct wg_data *data = (const struct wg_data *)message;
	uint32_t index = le32toh(data->receiver);
	uint32_t owner = index_owner(index, index_table_secret());
	struct keypair *keypair;

	if (owner != worker->id && owner < dp_config()->workers) {
		packet_of(mbuf)->to = (uint8_t)owner;
		packet_of(mbuf)->next = GRAPH_OPEN;
		return edge_handoff;
	}
	keypair = index_table_find(index);
	if (keypair == NULL || keypair->owner != worker->id)
		return drop(mbuf, DROP(wireguard, UNKNOWN_INDEX));
	if (worker->now_ms - keypair->birth_ms >= WG_REJECT_AFTER_TIME_MS)
		return drop(mbuf, DROP(wireguard, EXPIRED));
	opening->counter = le64toh(data->counter);
	if (!replay_may_accept(&keypair->replay, opening->counter))
		return drop(mbuf, DROP(wireguard, REPLAYED));
	rte_prefetch0(&keypair->peer->activity);
	opening->mbuf = mbuf;
	opening->keypair = keypair;
	opening->offset = (uint16_t)(offset + WG_DATA_HEADER_SIZE);
	burst->aead[burst->count] = (struct aead_packet){
		.key = keypair->receive_key,
		.counter = opening->counter,
		.src = message + WG_DATA_HEADER_SIZE,
		.dst = message + WG_DATA_HEADER_SIZE,
		.length = (uint32_t)length - WG_DATA_HEADER_SIZE - WG_TAG_SIZE,
	};
	burst->opening[burst->count++] = *opening;
	return edge_forward;
}

static uint16_t prepare(
	struct burst *burst, struct rte_mbuf *mbuf, const struct worker *worker, uint16_t slot)
{
	const struct packet *packet = packet_of(mbuf);
	const struct rte_udp_hdr *udp =
		rte_pktmbuf_mtod_offset(mbuf, const struct rte_udp_hdr *, packet->l4);
	uint16_t offset = (uint16_t)(packet->l4 + sizeof(*udp));
	struct opening opening = {.slot = slot};
	uint16_t length;

	opening.ecn = read_source(mbuf, &opening.source);
	if (!is_local(worker, &opening.source.local))
		return edge_forward; /* somebody else's tunnel, passing through */
	length = rte_be_to_cpu_16(udp->dgram_len);
	if (length < sizeof(*udp) || length > rte_pktmbuf_data_len(mbuf) - packet->l4)
		return drop(mbuf, DROP(wireguard, MALFORMED));
	length -= sizeof(*udp);
	rte_pktmbuf_trim(mbuf, (uint16_t)(rte_pktmbuf_data_len(mbuf) - offset - length));
	switch (wg_message_type(rte_pktmbuf_mtod_offset(mbuf, const void *, offset), length)) {
	case WG_TYPE_DATA:
		return prepare_data(burst, mbuf, offset, length, worker, &opening);
	case WG_TYPE_INITIATION:
	case WG_TYPE_RESPONSE:
	case WG_TYPE_COOKIE_REPLY:
		return hand_to_thread(mbuf, &opening.source);
	default:
		return drop(mbuf, DROP(wireguard, MALFORMED));
	}
}

/* The endpoint is where the last authentic packet came from. */
static void roam_check(struct wg_peer *peer, const struct opening *opening)
{
	const struct wg_path *path = atomic_load_explicit(&peer->path, memory_order_acquire);
	struct wg_event event = {
		.kind = WG_EVENT_ROAM, .peer = peer->id, .source = opening->source};

	if (likely(path != NULL && endpoint_equal(&path->remote, &opening->source.remote) &&
		    addr_equal(&path->local.addr, &opening->source.local)))
		return;
	if (!atomic_exchange_explicit(&peer->roaming, true, memory_order_acq_rel) &&
		!events_put(&event))
		atomic_store_explicit(&peer->roaming, false, memory_order_relaxed);
}

static void confirm_check(struct keypair *keypair)
{
	struct wg_event event = {.kind = WG_EVENT_CONFIRMED,
		.peer = keypair->peer->id,
		.index = keypair->local_index};

	if (likely(!atomic_load_explicit(&keypair->unconfirmed, memory_order_relaxed)))
		return;
	/* Without room it stays unconfirmed and the next packet tries again. */
	if (events_put(&event))
		atomic_store_explicit(&keypair->unconfirmed, false, memory_order_relaxed);
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

/* Strips what was around the inner packet and reads its headers. */
static uint16_t inner_make(struct opening *opening, uint32_t length)
{
	struct rte_mbuf *mbuf = opening->mbuf;
	struct packet *packet = packet_of(mbuf);
	uint16_t reason;

	rte_pktmbuf_adj(mbuf, opening->offset);
	rte_pktmbuf_trim(mbuf, (uint16_t)(rte_pktmbuf_data_len(mbuf) - length));
	*packet =
		(struct packet){.ingress = opening->keypair->peer->id, .flags = PACKET_FROM_TUNNEL};
	reason = packet_parse(mbuf);
	if (reason != DROP_NONE)
		return drop(mbuf, reason);
	if (!ecn_combine(mbuf, opening->ecn))
		return drop(mbuf, DROP(wireguard, BAD_ECN));
	return edge_forward;
}

static uint16_t finish(struct opening *opening, const struct aead_packet *aead,
	struct wg_count *counts, uint64_t now_ms)
{
	struct keypair *keypair = opening->keypair;
	struct wg_peer *peer = keypair->peer;

	if (!aead->ok)
		return drop(opening->mbuf, DROP(wireguard, BAD_TAG));
	if (!replay_accept(&keypair->replay, opening->counter))
		return drop(opening->mbuf, DROP(wireguard, REPLAYED));
	counts[peer->id].rx_bytes += aead->length + WG_DATA_HEADER_SIZE + WG_TAG_SIZE;
	confirm_check(keypair);
	roam_check(peer, opening);
	last_minute_check(keypair, now_ms);
	if (aead->length == 0) {
		timers_packet_received(&peer->activity, now_ms);
		activity_tell(peer);
		rte_pktmbuf_free(opening->mbuf);
		return NODES_GONE;
	}
	timers_data_received(&peer->activity, now_ms);
	activity_tell(peer);
	return inner_make(opening, aead->length);
}

static void process_burst(
	struct rte_graph *graph, struct rte_node *node, struct rte_mbuf **mbufs, uint16_t n)
{
	struct worker *worker = worker_self();
	struct burst burst;

	burst.count = 0;
	for (unsigned i = 0; i < n; i++)
		burst.next[i] = prepare(&burst, mbufs[i], worker, (uint16_t)i);
	if (burst.count != 0) {
		aead_open(worker->aead, burst.aead, burst.count);
		for (unsigned i = 0; i < burst.count; i++)
			burst.next[burst.opening[i].slot] = finish(&burst.opening[i],
				&burst.aead[i], counts_of(worker->id), worker->now_ms);
	}
	nodes_pass(graph, node, mbufs, burst.next, n);
}

static uint16_t process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	return nodes_in_bursts(graph, node, objs, n, process_burst);
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
