/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Node "wg_seal": from an inner packet for packet->peer to an outer one on its way. An empty
 * packet is a keepalive. What has no usable key goes to the handshake thread to wait.
 *
 * Nonces are taken for exactly the packets of one burst immediately before sealing, so several
 * workers may seal for one peer and stay within a receiver's window of 1,024.
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
#include "dataplane/port/port.h"
#include "dataplane/route/route.h"
#include "dataplane/wireguard/nodes.h"
#include "dataplane/wireguard/renew.h"
#include "dataplane/wireguard/wireguard_priv.h"

_Static_assert(RTE_GRAPH_BURST_SIZE <= AEAD_BURST_MAX, "a node's burst is sealed in one call");

enum { ECN_MASK = 3, ECN_CE = 3, ECN_ECT0 = 2 };

static uint16_t edge_drop, edge_send, edge_handoff, edge_hold;

/* What is known about a packet between the passes. */
struct sealing {
	struct rte_mbuf *mbuf;
	struct wg_peer *peer;
	const struct wg_path *path;
	struct keypair *keypair;
	uint16_t slot;  /* in the node's burst */
	uint16_t inner; /* bytes before padding */
	uint8_t tos;    /* of the outer header: the inner ECN */
};

struct burst {
	struct sealing sealing[RTE_GRAPH_BURST_SIZE];
	struct aead_packet aead[RTE_GRAPH_BURST_SIZE];
	uint16_t next[RTE_GRAPH_BURST_SIZE];
	unsigned count; /* of sealing and aead */
};

static uint16_t drop(struct rte_mbuf *mbuf, uint16_t reason)
{
	packet_of(mbuf)->drop = reason;
	return edge_drop;
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

	return events_put(&event) ? (uint16_t)GRAPH_GONE : drop(mbuf, DROP(wireguard, STAGED_FULL));
}

static bool usable(const struct keypair *keypair, uint64_t now_ms)
{
	return keypair != NULL && now_ms - keypair->birth_ms < WG_REJECT_AFTER_TIME_MS &&
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

/* Where the packet goes: on by edge_send once the burst is sealed, or elsewhere at once. */
static uint16_t prepare(struct burst *burst, struct rte_mbuf *mbuf, struct wg_peer *peer,
	const struct worker *worker, uint16_t slot)
{
	const struct wg_path *path;
	struct keypair *keypair;
	uint16_t inner = rte_pktmbuf_data_len(mbuf);
	uint16_t pad;
	char *tail;

	if (peer == NULL)
		return drop(mbuf, DROP(wireguard, NO_PEER));
	if (dp_config()->cores_shared && peer->home != worker->id) {
		packet_of(mbuf)->to = (uint8_t)peer->home;
		packet_of(mbuf)->next = GRAPH_SEAL;
		return edge_handoff;
	}
	path = atomic_load_explicit(&peer->path, memory_order_acquire);
	if (path == NULL)
		return drop(mbuf, DROP(wireguard, NO_ENDPOINT));
	keypair = atomic_load_explicit(&peer->current, memory_order_acquire);
	if (!usable(keypair, worker->now_ms))
		return stage(mbuf, peer, keypair);
	if (path->adjacency == 0 || path->generation != judge_generation())
		path_ask(peer);
	if (path->adjacency == 0) {
		packet_of(mbuf)->drop = DROP(wireguard, NO_NEIGHBOUR);
		packet_of(mbuf)->next = GRAPH_SEAL;
		return edge_hold;
	}
	pad = padding(inner, peer->mtu);
	if (rte_pktmbuf_headroom(mbuf) < sizeof(path->header) + WG_DATA_HEADER_SIZE)
		return drop(mbuf, DROP(wireguard, NO_ROOM));
	tail = rte_pktmbuf_append(mbuf, (uint16_t)(pad + WG_TAG_SIZE));
	if (tail == NULL)
		return drop(mbuf, DROP(wireguard, NO_ROOM));
	memset(tail, 0, pad);
	burst->aead[burst->count] = (struct aead_packet){
		.key = keypair->send_key,
		.src = rte_pktmbuf_mtod(mbuf, uint8_t *),
		.dst = rte_pktmbuf_mtod(mbuf, uint8_t *),
		.length = (uint32_t)inner + pad,
	};
	burst->sealing[burst->count++] = (struct sealing){.mbuf = mbuf,
		.peer = peer,
		.path = path,
		.keypair = keypair,
		.slot = slot,
		.inner = inner,
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
		counter = atomic_fetch_add_explicit(
			&keypair->send_counter, end - first, memory_order_relaxed);
		rekey_ask(&burst->sealing[first], counter, now_ms);
		for (unsigned i = first; i < end; i++)
			burst->aead[i].counter = counter + (i - first);
		first = end;
	}
}

static void outer_v4(struct rte_ipv4_hdr *ip, uint8_t tos, uint16_t length, uint16_t id)
{
	ip->type_of_service = tos;
	ip->total_length = rte_cpu_to_be_16(length);
	ip->packet_id = rte_cpu_to_be_16(id);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void outer_v6(struct rte_ipv6_hdr *ip, uint8_t tos, uint16_t length)
{
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	ip->vtc_flow |= rte_cpu_to_be_32((uint32_t)tos << 20);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(length - sizeof(*ip)));
	/* Required over IPv6 (RFC 8200, 8.1); over IPv4 it stays 0, the tag protects more. */
	udp->dgram_cksum = rte_ipv6_udptcp_cksum(ip, udp);
}

static void outer_make(struct sealing *sealing, const struct aead_packet *aead, uint16_t id)
{
	const struct wg_path *path = sealing->path;
	struct rte_mbuf *mbuf = sealing->mbuf;
	struct packet *packet = packet_of(mbuf);
	uint16_t sealed = rte_pktmbuf_data_len(mbuf);
	struct wg_data *data = (struct wg_data *)rte_pktmbuf_prepend(mbuf, sizeof(*data));
	char *header = rte_pktmbuf_prepend(mbuf, path->header_length);
	struct rte_udp_hdr *udp =
		(struct rte_udp_hdr *)(header + path->header_length - sizeof(*udp));

	data->type = htole32(WG_TYPE_DATA);
	data->receiver = htole32(sealing->keypair->remote_index);
	data->counter = htole64(aead->counter);
	memcpy(header, path->header, path->header_length);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(sizeof(*udp) + sizeof(*data) + sealed));
	if (path->remote.addr.family == ADDR_V4)
		outer_v4((struct rte_ipv4_hdr *)header, sealing->tos, rte_pktmbuf_data_len(mbuf),
			id);
	else
		outer_v6((struct rte_ipv6_hdr *)header, sealing->tos, rte_pktmbuf_data_len(mbuf));
	packet->port_out = path->port;
	packet->adjacency = path->adjacency;
	packet->flags = 0;
	packet->l2_len = 0;
	packet->family = path->remote.addr.family;
}

static void account(struct sealing *sealing, struct wg_count *counts, uint64_t now_ms)
{
	struct wg_peer *peer = sealing->peer;

	counts[peer->id].tx_bytes +=
		rte_pktmbuf_data_len(sealing->mbuf) - sealing->path->header_length;
	if (sealing->inner != 0)
		timers_data_sent(&peer->activity, now_ms);
	else
		timers_packet_sent(&peer->activity, now_ms);
	activity_tell(peer);
}

static void seal(struct burst *burst, struct worker *worker)
{
	struct wg_count *counts = counts_of(worker->id);
	uint16_t *id = wg_ipv4_id(worker->id);

	nonces_take(burst, worker->now_ms);
	aead_seal(worker->aead, burst->aead, burst->count);
	for (unsigned i = 0; i < burst->count; i++) {
		struct sealing *sealing = &burst->sealing[i];

		/* Checked at the end of the reservation: a counter past it is never sent. */
		if (unlikely(burst->aead[i].counter >= WG_REJECT_AFTER_MESSAGES)) {
			burst->next[sealing->slot] = drop(sealing->mbuf, DROP(wireguard, EXPIRED));
			continue;
		}
		outer_make(sealing, &burst->aead[i], (*id)++);
		account(sealing, counts, worker->now_ms);
	}
}

static void process_burst(
	struct rte_graph *graph, struct rte_node *node, struct rte_mbuf **mbufs, uint16_t n)
{
	struct worker *worker = worker_self();
	struct wg_peer *peers[RTE_GRAPH_BURST_SIZE];
	struct burst burst;

	burst.count = 0;
	for (unsigned i = 0; i < n; i++) {
		peers[i] = wg_peer_get(packet_of(mbufs[i])->peer);
		rte_prefetch0(peers[i]);
	}
	for (unsigned i = 0; i < n; i++)
		burst.next[i] = prepare(&burst, mbufs[i], peers[i], worker, (uint16_t)i);
	if (burst.count != 0)
		seal(&burst, worker);
	graph_enqueue(graph, node, (void **)mbufs, burst.next, n);
}

static uint16_t process(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	return nodes_in_bursts(graph, node, objs, n, process_burst);
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
}
