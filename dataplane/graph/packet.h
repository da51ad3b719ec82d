/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What nodes tell each other about a packet: one cache line in the mbuf's private area.
 *
 * Everywhere beyond port_rx the mbuf's data starts at the layer-3 header (for wg_seal: the inner
 * one); l2_len bytes of layer-2 header still stand before it where a packet may be punted. A
 * packet has exactly one segment.
 */
#pragma once

#include <rte_mbuf.h>

#include <stdint.h>

#include "dataplane/graph/drop.h"

/* Why packet_parse() refuses a packet. */
#define PACKET_DROPS(X)                                                                            \
	X(VERSION, "version", "neither IPv4 nor IPv6")                                             \
	X(SHORT, "short", "shorter than an IP header")                                             \
	X(HEADER_LENGTH, "header_length",                                                          \
		"IPv4 header length below 20 bytes or beyond the packet")                          \
	X(TOTAL_LENGTH, "total_length", "IPv4 total length below the header's")                    \
	X(CUT, "cut", "longer in its IP header than on the wire: switch off TSO, GSO and GRO")     \
	X(CHECKSUM, "checksum", "IPv4 header checksum is wrong")                                   \
	X(OPTIONS, "options", "malformed IPv4 options")                                            \
	X(SOURCE_ROUTE, "source_route",                                                            \
		"IPv4 source routing, or an IPv6 routing header of type 0")                        \
	X(SOURCE, "source", "source address is multicast, broadcast or loopback")                  \
	X(DESTINATION, "destination", "destination address is loopback or unspecified")            \
	X(JUMBO, "jumbo", "IPv6 payload length 0 with payload")                                    \
	X(EXTENSIONS, "extensions", "too many or too long IPv6 extension headers")                 \
	X(EXTENSION_CUT, "extension_cut", "IPv6 extension header beyond the packet")               \
	X(EXTENSION_ORDER, "extension_order",                                                      \
		"IPv6 hop-by-hop or second fragment header behind "                                \
		"another header")                                                                  \
	X(FRAGMENT_LENGTH, "fragment_length", "fragment length is no multiple of 8, or 0")         \
	X(FRAGMENT_OVERFLOW, "fragment_overflow", "fragment ends beyond 65,535 bytes")             \
	X(FRAGMENT_TINY, "fragment_tiny", "first fragment without the whole layer-4 header")       \
	X(TCP, "tcp", "TCP header cut or its length below 20 bytes")                               \
	X(UDP, "udp", "UDP header cut or its length wrong")                                        \
	X(ICMP, "icmp", "ICMP message cut")                                                        \
	X(ICMP_FAMILY, "icmp_family", "ICMP in IPv6 or ICMPv6 in IPv4")                            \
	X(SEGMENTS, "segments", "came in several buffers that do not fit one")
DROP_GROUP_DECLARE(packet, PACKET_DROPS);

enum {
	PACKET_AT_HOME = 1 << 0,  /* was handed to its flow's home: do not hand off again */
	PACKET_FRAGMENT = 1 << 1, /* not the first fragment: no ports */
	PACKET_FIRST_FRAGMENT = 1 << 2,
	PACKET_FROM_TUNNEL = 1 << 3, /* was opened: its inner checksums were authenticated */
	PACKET_FROM_HOST = 1 << 4,   /* was sent by the gateway's kernel */
	PACKET_ICMP_ERROR = 1 << 5,  /* ICMP or ICMPv6 error message */
	PACKET_KEEP_L2 = 1 << 6,     /* port_tx sends the l2_len bytes before data as they are */
	PACKET_TO_MEETING = 1 << 7, /* a fragment was handed to where its packet's fragments meet */
	PACKET_MET = 1 << 8,        /* ... and was there: it has the first one's ports */
	PACKET_OWN = 1 << 9,        /* an ICMP error of our own, on behalf of a peer */
	PACKET_NO_ANSWER = 1 << 10, /* who would have the mapping of its destination was asked */
	PACKET_STAGED = 1 << 11,    /* of wg_peer.staged */
	PACKET_FIRST = 1 << 12,     /* was: in hold it goes before others of its peer */
};

struct packet {
	uint32_t ingress;   /* identity: peer id, or API_IDENT_PORT|port, API_IDENT_HOST|port */
	uint32_t peer;      /* for wg_seal: through whose tunnel; else 0 */
	uint32_t adjacency; /* for port_tx: the layer-2 next hop; 0 with PACKET_KEEP_L2 */
	uint16_t port_in;   /* port id on which it arrived; 0 = tunnel or host */
	uint16_t port_out;  /* for port_tx */
	uint16_t drop;      /* for drop: the reason */
	uint16_t flags;     /* PACKET_* */
	uint8_t l2_len;     /* bytes of layer-2 header before data */
	uint8_t family;     /* ADDR_V4 or ADDR_V6 of the layer-3 header */
	uint8_t proto;      /* layer-4 protocol behind any extension headers */
	uint8_t l4;         /* offset of the layer-4 header from data */
	uint16_t sport;     /* host order; of an ICMP query the identifier, in both */
	uint16_t dport;
	uint8_t to;   /* for handoff_tx: worker id */
	uint8_t next; /* for handoff_tx: enum graph_role where it goes on there */
	uint8_t icmp_type;
	uint8_t waits;       /* hold's: until when, or did; 0 = not yet */
	uint32_t scratch[6]; /* between two nodes of one feature */
};

_Static_assert(sizeof(struct packet) == 64 || sizeof(struct packet) <= 64, "one cache line");

enum { PACKET_PRIVATE_SIZE = 64 }; /* the last eight bytes are graph/follow.c's */

static inline struct packet *packet_of(struct rte_mbuf *mbuf)
{
	return (struct packet *)rte_mbuf_to_priv(mbuf);
}

/*
 * Reads the layer-3 header at the mbuf's data and the start of layer 4 into family, proto, l4,
 * sport, dport, icmp_type and the fragment flags; cuts trailing bytes beyond the IP length.
 * Returns 0 or a drop reason (truncated, bad version, bad header length, bad checksum of the
 * IPv4 header, extension headers beyond bounds ...). Worker.
 */
uint16_t packet_parse(struct rte_mbuf *mbuf);
