/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of a tunnel's packets through the underlay: local address, next hop and a header ready
 * to be copied. A path never changes; a new one replaces it.
 */
#include <assert.h>
#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_udp.h>
#include <string.h>

#include "dataplane/graph/checksum_v4.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/port/port.h"
#include "dataplane/route/hold.h"
#include "dataplane/route/route.h"
#include "dataplane/wireguard/wireguard_priv.h"

enum { TTL = 64 };

static void header_v4(struct wg_path *path)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)path->header;

	ip->version_ihl = 0x45;
	ip->time_to_live = TTL;
	ip->next_proto_id = IPPROTO_UDP;
	memcpy(&ip->src_addr, path->local.addr.bytes, 4);
	memcpy(&ip->dst_addr, path->remote.addr.bytes, 4);
	path->header_length = sizeof(*ip) + sizeof(struct rte_udp_hdr);
	path->header_sum = checksum_v4_sum(ip);
}

static void header_v6(struct wg_path *path)
{
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)path->header;

	ip->vtc_flow = rte_cpu_to_be_32(6u << 28);
	ip->proto = IPPROTO_UDP;
	ip->hop_limits = TTL;
	memcpy(ip->src_addr, path->local.addr.bytes, 16);
	memcpy(ip->dst_addr, path->remote.addr.bytes, 16);
	path->header_length = sizeof(*ip) + sizeof(struct rte_udp_hdr);
}

static void header_make(struct wg_path *path)
{
	struct rte_udp_hdr *udp;

	memset(path->header, 0, sizeof(path->header));
	if (path->remote.addr.family == ADDR_V4)
		header_v4(path);
	else
		header_v6(path);
	udp = (struct rte_udp_hdr *)(path->header + path->header_length - sizeof(*udp));
	udp->src_port = rte_cpu_to_be_16(path->local.port);
	udp->dst_port = rte_cpu_to_be_16(path->remote.port);
}

/* Back to the port that was asked, while it is one of ours. */
static uint16_t port_for(const struct wg_peer *peer, uint16_t asked)
{
	return wg_interface_listens(peer->interface, asked) ? asked : peer->interface->listen_port;
}

/* Fills all but remote. `learned`: speak from this address if it is still ours. */
static void plan(struct wg_path *path, unsigned copy, const struct addr *learned)
{
	struct route_hop hop;
	uint16_t port;
	bool keep;

	path->generation = judge_generation();
	path->adjacency = 0;
	path->port = 0;
	keep = learned != NULL && learned->family == path->remote.addr.family &&
	       local_has(copy, learned, &port);
	path->learned = keep;
	path->local.addr = (struct addr){0};
	if (route_underlay(copy, &path->remote.addr, &hop) && hop.next == API_NEXT_PORT) {
		const struct addr *next =
			hop.gateway.family != ADDR_NONE ? &hop.gateway : &path->remote.addr;

		path->port = hop.port;
		path->adjacency = neigh_find(copy, hop.port, next);
		if (!path->learned &&
			!local_source(copy, hop.port, path->remote.addr.family, &path->local.addr))
			path->adjacency = 0; /* nothing to speak from */
	}
	if (keep)
		path->local.addr = *learned;
	header_make(path);
}

static void publish(struct wg_peer *peer, struct wg_path *path)
{
	struct wg_path *old = atomic_exchange_explicit(&peer->path, path, memory_order_acq_rel);

	if (old != NULL)
		reclaim_later(old, sizeof(*old));
}

void path_set(struct wg_peer *peer, const struct endpoint *remote, const struct endpoint *local)
{
	struct wg_path *path;

	if (remote->addr.family == ADDR_NONE) {
		path_clear(peer);
		return;
	}
	path = rte_zmalloc("wg_path", sizeof(*path), RTE_CACHE_LINE_SIZE);
	if (path == NULL)
		return; /* the old path stays; the next packet or timer tries again */
	path->remote = *remote;
	path->local.port = port_for(peer, local != NULL ? local->port : 0);
	plan(path, tables_active(), local != NULL ? &local->addr : NULL);
	publish(peer, path);
	if (path->adjacency != 0)
		hold_release(); /* packets may wait for this very path */
}

bool path_roamed(const struct wg_peer *peer, unsigned copy, struct wg_path *path)
{
	struct handshake_source source;

	if (!roam_read(&peer->roam, &source))
		return false;
	*path = (struct wg_path){
		.remote = source.remote, .local = {.port = port_for(peer, source.local_port)}};
	plan(path, copy, &source.local);
	return true;
}

void path_refresh(struct wg_peer *peer)
{
	const struct wg_path *path = atomic_load_explicit(&peer->path, memory_order_relaxed);

	if (path != NULL && path->learned)
		path_set(peer, &path->remote, &path->local);
	else
		path_forget_source(peer);
}

void path_return(struct wg_peer *peer)
{
	const struct wg_path *path = atomic_load_explicit(&peer->path, memory_order_relaxed);

	if (peer->thread.anchor.addr.family != ADDR_NONE && path != NULL &&
		!endpoint_equal(&path->remote, &peer->thread.anchor))
		path_set(peer, &peer->thread.anchor, NULL);
}

void path_forget_source(struct wg_peer *peer)
{
	const struct wg_path *path = atomic_load_explicit(&peer->path, memory_order_relaxed);

	/* The port stays: it is the one that a NAT on the way lets through. */
	if (path != NULL)
		path_set(peer, &path->remote, &(struct endpoint){.port = path->local.port});
}

void path_clear(struct wg_peer *peer)
{
	publish(peer, NULL);
}

/* Back to where the received frame came from, when no neighbour is known: its source MAC. */
static void reply_to_frame(struct rte_mbuf *mbuf, const struct rte_mbuf *received)
{
	struct packet *from = packet_of((struct rte_mbuf *)(uintptr_t)received);
	const struct rte_ether_hdr *was =
		(const struct rte_ether_hdr *)(rte_pktmbuf_mtod(received, const char *) -
					       from->l2_len);
	struct rte_ether_hdr *ether =
		(struct rte_ether_hdr *)(rte_pktmbuf_mtod(mbuf, char *) - sizeof(*ether));

	ether->dst_addr = was->src_addr;
	ether->src_addr = was->dst_addr;
	ether->ether_type = was->ether_type;
	packet_of(mbuf)->l2_len = sizeof(*ether);
	packet_of(mbuf)->flags |= PACKET_KEEP_L2;
	packet_of(mbuf)->port_out = from->port_in;
}

static void finish_v4(struct rte_ipv4_hdr *ip, struct rte_udp_hdr *udp, uint16_t length)
{
	ip->type_of_service = WG_HANDSHAKE_DSCP;
	ip->total_length = rte_cpu_to_be_16(length);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip, udp);
}

static void finish_v6(struct rte_ipv6_hdr *ip, struct rte_udp_hdr *udp, uint16_t length)
{
	ip->vtc_flow |= rte_cpu_to_be_32((uint32_t)WG_HANDSHAKE_DSCP << 20);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(length - sizeof(*ip)));
	udp->dgram_cksum = rte_ipv6_udptcp_cksum(ip, udp);
}

bool path_send(const struct endpoint *remote, const struct endpoint *local, const void *payload,
	size_t length, struct rte_mbuf *received)
{
	struct wg_path path = {.remote = *remote, .local = {.port = local->port}};
	struct rte_mbuf *mbuf;
	struct packet *packet;
	struct rte_udp_hdr *udp;
	const struct port *port;
	uint16_t total;
	char *data;

	plan(&path, tables_active(), &local->addr);
	if (path.local.addr.family == ADDR_NONE || (path.adjacency == 0 && received == NULL))
		return false;
	mbuf = rte_pktmbuf_alloc(packet_pool());
	if (mbuf == NULL)
		return true; /* the timers try again */
	total = (uint16_t)(path.header_length + length);
	data = rte_pktmbuf_append(mbuf, total);
	assert(data != NULL); /* a handshake message is far smaller than a buffer */
	memcpy(data, path.header, path.header_length);
	memcpy(data + path.header_length, payload, length);
	udp = (struct rte_udp_hdr *)(data + path.header_length - sizeof(*udp));
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(sizeof(*udp) + length));
	if (remote->addr.family == ADDR_V4)
		finish_v4((struct rte_ipv4_hdr *)data, udp, total);
	else
		finish_v6((struct rte_ipv6_hdr *)data, udp, total);
	packet = packet_of(mbuf);
	*packet = (struct packet){.family = remote->addr.family,
		.proto = IPPROTO_UDP,
		.port_out = path.port,
		.adjacency = path.adjacency};
	if (path.adjacency == 0)
		reply_to_frame(mbuf, received);
	port = port_get(packet->port_out);
	if (port == NULL) {
		rte_pktmbuf_free(mbuf);
		return true;
	}
	handoff_send(HANDOFF_HANDSHAKE, port_sender(port), GRAPH_SEND, &mbuf, 1);
	return true;
}
