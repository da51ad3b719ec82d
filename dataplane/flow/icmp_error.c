/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gateway's own ICMP errors: quotes a packet that is not forwarded in a packet of our own, for
 * whoever sent it. The packet itself then goes to "drop" and is counted there.
 */
#include <rte_byteorder.h>
#include <rte_ip.h>

#include <netinet/in.h>

#include "common/api/flow.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/flow/icmp_error.h"
#include "dataplane/flow/rewrite.h"
#include "dataplane/port/port.h"
#include "dataplane/route/route.h"

enum {
	ICMP_HEADER = 8,
	QUOTE4_MAX = 548,  /* RFC 1812 4.3.2.3: the message is at most 576 bytes */
	QUOTE6_MAX = 1232, /* RFC 4443 2.4 (c): at most 1,280 */
	/* Of a worker as many as of five senders, so that one who provokes many leaves others
	 * theirs; at once half of what there is in a second. */
	SENDERS = 5,
	/* After a restart every connection of every peer needs one. */
	RESETS_PER_S = 1000,
	RESET_BURST = 500,
	TTL = 64,
};

struct kind {
	uint8_t type4, code4, type6, code6;
};

static const struct kind kinds[] = {
	[ICMP_ERROR_TOO_BIG] = {3, 4, 2, 0},
	[ICMP_ERROR_TIME_EXCEEDED] = {11, 0, 3, 0},
	[ICMP_ERROR_ADMIN] = {3, 13, 1, 1},
	[ICMP_ERROR_UNREACHABLE] = {3, 1, 1, 3},
	[ICMP_ERROR_NO_ROUTE] = {3, 0, 1, 0},
};

/* The sender's own rate is asked first: what it may not have takes nothing from the others. */
static bool may_tell(struct flow_worker *w, uint32_t ident)
{
	struct flow_sender *own = flow_sender_of(w, ident);
	uint64_t rate = flow_limits(w)->icmp_per_s, burst = (rate + 1) / 2;

	return (own == NULL || flow_take_token(&own->icmp, w->now_ms, rate, burst)) &&
	       flow_take_token(&w->icmp, w->now_ms, SENDERS * rate, SENDERS * burst);
}

/* A source that is one host's, and can be answered. */
static bool is_answerable(struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of(mbuf);
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	const uint8_t *src, *dst;

	if ((packet->flags & (PACKET_FRAGMENT | PACKET_ICMP_ERROR)) != 0)
		return false;
	if (packet->family == ADDR_V4) {
		src = ip + 12;
		dst = ip + 16;
		return src[0] != 0 && src[0] != 127 && src[0] < 224 && dst[0] < 224;
	}
	src = ip + 8;
	dst = ip + 24;
	/* the unspecified address; too big may answer multicast, but we forward none */
	return src[0] != 0xff && dst[0] != 0xff && (src[0] != 0 || src[15] != 0);
}

/*
 * As if the peer that cannot be reached said it. The kernel believes nobody who has the kernel's
 * own address: it hears it from where its packet was to go.
 */
static bool find_way_along(struct flow_worker *w, struct packet *about, struct rte_mbuf *mbuf,
	struct addr *from, uint8_t *role)
{
	const struct packet *packet = packet_of(mbuf);
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	bool v4 = packet->family == ADDR_V4;

	about->ingress = packet->peer;
	about->flags = PACKET_ICMP_ERROR | PACKET_OWN;
	*role = GRAPH_FORWARD;
	if ((packet->ingress & API_IDENT_HOST) == 0)
		return local_source(w->copy, 0, packet->family, from);
	*from = (struct addr){.family = packet->family};
	memcpy(from->bytes, ip + (v4 ? 16 : 24), v4 ? 4 : 16);
	return true;
}

/* The way back: to the peer, the port or the kernel that sent the packet. */
static bool find_way(struct flow_worker *w, struct packet *packet, const struct addr *to,
	uint8_t *role, uint16_t *port)
{
	struct route_hop hop;
	const struct addr *next = to;

	*port = 0;
	packet->flags &= (uint16_t)~PACKET_KEEP_L2;
	if ((packet->ingress & API_IDENT_HAIRPIN) != 0) {
		/* along the flow of the peer who sent it */
		packet->ingress = API_IDENT_HAIRPIN;
		packet->flags |= PACKET_ICMP_ERROR;
		*role = GRAPH_FORWARD;
		return true;
	}
	if ((packet->ingress & API_IDENT_HOST) != 0) {
		*port = (uint16_t)(packet->ingress & FLOW_IDENT_MASK);
		packet->port_in = *port;
		*role = GRAPH_PUNT;
		return true;
	}
	if ((packet->ingress & API_IDENT_PORT) == 0) {
		packet->peer = packet->ingress;
		*role = GRAPH_SEAL;
		return true;
	}
	*port = (uint16_t)(packet->ingress & FLOW_IDENT_MASK);
	if (route_underlay(w->copy, to, &hop) && hop.next == API_NEXT_PORT) {
		*port = hop.port;
		if (hop.gateway.family != ADDR_NONE)
			next = &hop.gateway;
	}
	packet->port_out = *port;
	packet->adjacency = neigh_find(w->copy, *port, next);
	*role = GRAPH_SEND;
	return packet->adjacency != 0;
}

static void write_icmp(uint8_t *icmp, uint8_t family, uint32_t what)
{
	const struct kind *kind = &kinds[(what & ~ICMP_ERROR_BEYOND) >> 16];
	uint16_t argument = rte_cpu_to_be_16((uint16_t)what);

	memset(icmp, 0, ICMP_HEADER);
	icmp[0] = family == ADDR_V4 ? kind->type4 : kind->type6;
	icmp[1] = family == ADDR_V4 ? kind->code4 : kind->code6;
	memcpy(icmp + 6, &argument, 2); /* v4: next-hop MTU; v6: low half of the MTU */
}

/* The class of the packet that is told about, without its ECN bits (RFC 5508 7.7). */
static uint8_t class_of(struct rte_mbuf *mbuf)
{
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint8_t octet =
		packet_of(mbuf)->family == ADDR_V4 ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4);

	return octet & (uint8_t)~RTE_IPV4_HDR_ECN_MASK;
}

static void finish4(
	struct rte_mbuf *mbuf, const struct addr *from, const struct addr *to, uint8_t class)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(mbuf, struct rte_ipv4_hdr *);
	uint8_t *icmp = (uint8_t *)(ip + 1);
	uint16_t length = (uint16_t)rte_pktmbuf_data_len(mbuf);
	uint16_t checksum = (uint16_t)~rte_raw_cksum(icmp, length - sizeof(*ip));

	memcpy(icmp + 2, &checksum, 2);
	memset(ip, 0, sizeof(*ip));
	ip->version_ihl = 0x45;
	ip->type_of_service = class;
	ip->total_length = rte_cpu_to_be_16(length);
	ip->time_to_live = TTL;
	ip->next_proto_id = IPPROTO_ICMP;
	memcpy(&ip->src_addr, from->bytes, 4);
	memcpy(&ip->dst_addr, to->bytes, 4);
	ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, sizeof(*ip));
}

static void finish6(
	struct rte_mbuf *mbuf, const struct addr *from, const struct addr *to, uint8_t class)
{
	struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod(mbuf, struct rte_ipv6_hdr *);
	uint8_t *icmp = (uint8_t *)(ip + 1);
	uint16_t length = (uint16_t)(rte_pktmbuf_data_len(mbuf) - sizeof(*ip));
	uint32_t sum;
	uint16_t checksum;

	memset(ip, 0, sizeof(*ip));
	ip->vtc_flow = rte_cpu_to_be_32(6u << 28 | (uint32_t) class << RTE_IPV6_HDR_TC_SHIFT);
	ip->payload_len = rte_cpu_to_be_16(length);
	ip->proto = IPPROTO_ICMPV6;
	ip->hop_limits = TTL;
	memcpy(ip->src_addr, from->bytes, 16);
	memcpy(ip->dst_addr, to->bytes, 16);
	sum = rte_raw_cksum(icmp, length);
	sum += rte_raw_cksum(ip->src_addr, 32);
	sum += ip->payload_len + rte_cpu_to_be_16(IPPROTO_ICMPV6);
	checksum = (uint16_t)~rewrite_fold(sum);
	memcpy(icmp + 2, &checksum, 2);
}

/* A packet of ours with room for the headers and the quotation in it; NULL if there is none. */
static struct rte_mbuf *quote(struct rte_mbuf *mbuf, uint16_t header)
{
	bool v4 = packet_of(mbuf)->family == ADDR_V4;
	uint16_t bytes = rte_pktmbuf_data_len(mbuf);
	struct rte_mbuf *reply = rte_pktmbuf_alloc(packet_pool());
	char *data;

	if (reply == NULL)
		return NULL;
	bytes = RTE_MIN(bytes, (uint16_t)(v4 ? QUOTE4_MAX : QUOTE6_MAX));
	data = rte_pktmbuf_append(reply, (uint16_t)(header + ICMP_HEADER + bytes));
	if (data == NULL) {
		rte_pktmbuf_free(reply);
		return NULL;
	}
	memcpy(data + header + ICMP_HEADER, rte_pktmbuf_mtod(mbuf, void *), bytes);
	return reply;
}

/* Whether the packet may be answered was seen to by who asked for it. */
static struct rte_mbuf *tell_reset(struct flow_worker *w, struct rte_mbuf *mbuf, uint8_t *role)
{
	*role = GRAPH_SEAL;
	if (!flow_take_token(&w->resets, w->now_ms, RESETS_PER_S, RESET_BURST))
		return NULL;
	return flow_reset(mbuf);
}

struct rte_mbuf *flow_tell(struct flow_worker *w, struct rte_mbuf *mbuf, uint8_t *role)
{
	const struct packet *packet = packet_of(mbuf);
	bool v4 = packet->family == ADDR_V4;
	uint16_t header = v4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	struct packet about = {
		.ingress = packet->ingress,
		.family = packet->family,
		.proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
		.l4 = (uint8_t)header,
	};
	struct addr to = {.family = packet->family}, from;
	struct rte_mbuf *reply;
	uint16_t port;

	memcpy(to.bytes, ip + (v4 ? 12 : 8), v4 ? 4 : 16);
	if (!is_answerable(mbuf))
		return NULL;
	if (packet->scratch[0] == icmp_error_code(ICMP_ERROR_RESET, 0))
		return tell_reset(w, mbuf, role);
	if ((packet->scratch[0] & ICMP_ERROR_BEYOND) != 0) {
		if (!find_way_along(w, &about, mbuf, &from, role))
			return NULL;
	} else if (!find_way(w, &about, &to, role, &port) ||
		   !local_source(w->copy, port, packet->family, &from)) {
		return NULL;
	}
	if (!may_tell(w, packet->ingress))
		return NULL;
	reply = quote(mbuf, header);
	if (reply == NULL)
		return NULL;
	*packet_of(reply) = about;
	write_icmp(rte_pktmbuf_mtod_offset(reply, uint8_t *, header), packet->family,
		packet->scratch[0]);
	if (v4)
		finish4(reply, &from, &to, class_of(mbuf));
	else
		finish6(reply, &from, &to, class_of(mbuf));
	return reply;
}
