/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Strict reading of IP headers: whatever goes on from here has lengths that agree with each other,
 * so later nodes need no bounds checks on headers. RFC 791, 8200, 1858 and 3128 (tiny fragments),
 * 5095 (routing header type 0), 6946 (atomic fragments), 7126 (source routing).
 */
#include "dataplane/graph/packet.h"

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_ip.h>

#include <netinet/in.h>
#include <string.h>

#include "common/base/addr.h"
#include "dataplane/graph/checksum_v4.h"

DROP_GROUP_DEFINE(packet, PACKET_DROPS);

enum {
	EXTENSIONS_MAX = 8,
	L4_OFFSET_MAX = 255, /* struct packet keeps it in a byte */
	V4_MORE_FRAGMENTS = 0x2000,
	V4_OFFSET = 0x1fff,
	V6_MORE_FRAGMENTS = 0x0001,
	V6_OFFSET = 0xfff8,
	IP_BYTES_MAX = 65535,
};

enum { TCP_HEADER = 20, UDP_HEADER = 8, ICMP_HEADER = 8 };

/* A packet while it is read; length is what the IP header says, never more than there is. */
struct cursor {
	const uint8_t *data;
	uint32_t length;
	uint32_t at;     /* start of what was not read yet */
	uint32_t offset; /* of a fragment, in bytes */
	bool more;       /* fragments follow */
	bool fragment;
};

static uint16_t load16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint16_t check_v4_addresses(const uint8_t *header)
{
	const uint8_t *src = header + 12, *dst = header + 16;

	if ((src[0] & 0xf0) == 0xe0 || src[0] == 127 || load16(src) == 0xffff)
		return DROP(packet, SOURCE);
	if (dst[0] == 127 || dst[0] == 0)
		return DROP(packet, DESTINATION);
	return DROP_NONE;
}

/*
 * Most packets: whole IPv4 without options, UDP or TCP, with nothing to object to; passes the same
 * checks as on the long way below. False: not such a one, or there is something to object to; the
 * long way says what, and overwrites whatever was set here.
 */
static inline bool parse_common(
	struct packet *packet, struct rte_mbuf *mbuf, const uint8_t *ip, uint32_t there)
{
	uint32_t total, ports, l4_bytes;
	const uint8_t *l4 = ip + 20;

	if (there < 28 || ip[0] != 0x45)
		return false;
	total = load16(ip + 2);
	if (total < 28 || total > there)
		return false;
	if ((load16(ip + 6) & (V4_MORE_FRAGMENTS | V4_OFFSET)) != 0 ||
		checksum_v4_sum(ip) != 0xffff || check_v4_addresses(ip) != DROP_NONE)
		return false;
	l4_bytes = total - 20;
	if (ip[9] == IPPROTO_UDP) {
		uint32_t length = load16(l4 + 4);

		if (length < UDP_HEADER || length > l4_bytes)
			return false;
	} else if (ip[9] == IPPROTO_TCP) {
		uint32_t header;

		if (l4_bytes < TCP_HEADER)
			return false;
		header = (uint32_t)(l4[12] >> 4) * 4;
		if (header < TCP_HEADER || header > l4_bytes)
			return false;
	} else {
		return false;
	}
	memcpy(&ports, l4, sizeof(ports));
	ports = rte_be_to_cpu_32(ports);
	packet->family = ADDR_V4;
	packet->proto = ip[9];
	packet->l4 = 20;
	packet->sport = (uint16_t)(ports >> 16);
	packet->dport = (uint16_t)ports;
	mbuf->data_len = (uint16_t)total;
	mbuf->pkt_len = total;
	return true;
}

static bool is_icmp_error(uint8_t family, uint8_t type)
{
	if (family == ADDR_V6)
		return type < 128;
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static bool is_icmp_query(uint8_t family, uint8_t type)
{
	if (family == ADDR_V6)
		return type == 128 || type == 129;
	return type == 0 || type == 8 || (type >= 13 && type <= 18);
}

static uint16_t read_icmp(struct packet *packet, const struct cursor *c)
{
	const uint8_t *icmp = c->data + c->at;
	uint32_t inner = packet->family == ADDR_V6 ? 40 : 20;

	if (c->length - c->at < ICMP_HEADER)
		return DROP(packet, ICMP);
	packet->icmp_type = icmp[0];
	if (is_icmp_query(packet->family, icmp[0])) {
		packet->sport = packet->dport = load16(icmp + 4);
		return DROP_NONE;
	}
	if (!is_icmp_error(packet->family, icmp[0]))
		return DROP_NONE;
	/* An error quotes at least the header of the packet that it is about. */
	if (c->length - c->at < ICMP_HEADER + inner)
		return DROP(packet, ICMP);
	packet->flags |= PACKET_ICMP_ERROR;
	return DROP_NONE;
}

static uint16_t read_udp(struct packet *packet, const struct cursor *c)
{
	const uint8_t *udp = c->data + c->at;
	uint32_t length;

	if (c->length - c->at < UDP_HEADER)
		return DROP(packet, UDP);
	length = load16(udp + 4);
	if (length < UDP_HEADER || (!c->fragment && length > c->length - c->at))
		return DROP(packet, UDP);
	packet->sport = load16(udp);
	packet->dport = load16(udp + 2);
	return DROP_NONE;
}

static uint16_t read_tcp(struct packet *packet, const struct cursor *c)
{
	const uint8_t *tcp = c->data + c->at;
	uint32_t header;

	if (c->length - c->at < TCP_HEADER)
		return DROP(packet, TCP);
	header = (uint32_t)(tcp[12] >> 4) * 4;
	if (header < TCP_HEADER || header > c->length - c->at)
		return DROP(packet, TCP);
	packet->sport = load16(tcp);
	packet->dport = load16(tcp + 2);
	return DROP_NONE;
}

static uint16_t read_layer4(struct packet *packet, const struct cursor *c)
{
	uint16_t reason = DROP_NONE;
	uint8_t icmp = packet->family == ADDR_V6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;

	packet->l4 = (uint8_t)c->at;
	if (packet->proto == (icmp == IPPROTO_ICMP ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return DROP(packet, ICMP_FAMILY);
	if (packet->flags & PACKET_FRAGMENT)
		return DROP_NONE;
	if (packet->proto == IPPROTO_TCP)
		reason = read_tcp(packet, c);
	else if (packet->proto == IPPROTO_UDP)
		reason = read_udp(packet, c);
	else if (packet->proto == icmp)
		reason = read_icmp(packet, c);
	/* What a filter or NAT looks at must not hide in the second fragment. */
	if (reason != DROP_NONE && (packet->flags & PACKET_FIRST_FRAGMENT))
		return DROP(packet, FRAGMENT_TINY);
	return reason;
}

/* Flags and bounds of a fragment whose payload starts at c->at. */
static uint16_t read_fragment(struct packet *packet, struct cursor *c)
{
	uint32_t payload = c->length - c->at;

	if (c->offset == 0 && !c->more)
		return DROP_NONE;
	c->fragment = true;
	packet->flags |= c->offset == 0 ? PACKET_FIRST_FRAGMENT : PACKET_FRAGMENT;
	if (payload == 0 || (c->more && payload % 8 != 0))
		return DROP(packet, FRAGMENT_LENGTH);
	if (c->offset + c->length > IP_BYTES_MAX)
		return DROP(packet, FRAGMENT_OVERFLOW);
	return DROP_NONE;
}

static uint16_t read_v4_options(const uint8_t *options, uint32_t length)
{
	uint32_t at = 0;

	while (at < length) {
		uint8_t type = options[at];

		if (type == 0)
			break;
		if (type == 1) {
			at++;
			continue;
		}
		if (length - at < 2 || options[at + 1] < 2 || options[at + 1] > length - at)
			return DROP(packet, OPTIONS);
		if (type == 131 || type == 137)
			return DROP(packet, SOURCE_ROUTE);
		at += options[at + 1];
	}
	return DROP_NONE;
}

static uint16_t read_v4(struct packet *packet, struct cursor *c, uint32_t there)
{
	uint32_t header, total;
	uint16_t reason;

	if (there < 20)
		return DROP(packet, SHORT);
	header = (c->data[0] & 15U) * 4;
	total = load16(c->data + 2);
	if (header < 20 || header > there)
		return DROP(packet, HEADER_LENGTH);
	if (total < header)
		return DROP(packet, TOTAL_LENGTH);
	if (total > there)
		return DROP(packet, CUT);
	if (rte_raw_cksum(c->data, header) != 0xffff)
		return DROP(packet, CHECKSUM);
	reason = check_v4_addresses(c->data);
	if (reason == DROP_NONE && header > 20)
		reason = read_v4_options(c->data + 20, header - 20);
	if (reason != DROP_NONE)
		return reason;
	c->length = total;
	c->at = header;
	c->offset = (load16(c->data + 6) & V4_OFFSET) * 8U;
	c->more = (load16(c->data + 6) & V4_MORE_FRAGMENTS) != 0;
	packet->family = ADDR_V4;
	packet->proto = c->data[9];
	reason = read_fragment(packet, c);
	return reason != DROP_NONE ? reason : read_layer4(packet, c);
}

static uint16_t check_v6_addresses(const uint8_t *header)
{
	static const uint8_t loopback[16] = {[15] = 1}, unspecified[16];
	const uint8_t *src = header + 8, *dst = header + 24;

	if (src[0] == 0xff || memcmp(src, loopback, 16) == 0)
		return DROP(packet, SOURCE);
	if (memcmp(dst, loopback, 16) == 0 || memcmp(dst, unspecified, 16) == 0)
		return DROP(packet, DESTINATION);
	return DROP_NONE;
}

/* One extension header at c->at of kind *next; steps over it. */
static uint16_t read_extension(struct packet *packet, struct cursor *c, uint8_t *next)
{
	const uint8_t *header = c->data + c->at;
	uint32_t length;

	if (c->length - c->at < 8)
		return DROP(packet, EXTENSION_CUT);
	if (*next == IPPROTO_FRAGMENT)
		length = 8;
	else if (*next == IPPROTO_AH)
		length = (header[1] + 2U) * 4;
	else
		length = (header[1] + 1U) * 8;
	if (length > c->length - c->at)
		return DROP(packet, EXTENSION_CUT);
	if (*next == IPPROTO_ROUTING && header[2] == 0 && header[3] != 0)
		return DROP(packet, SOURCE_ROUTE);
	if (*next == IPPROTO_FRAGMENT) {
		if (c->fragment)
			return DROP(packet, EXTENSION_ORDER);
		c->fragment = true;
		c->offset = load16(header + 2) & V6_OFFSET;
		c->more = (load16(header + 2) & V6_MORE_FRAGMENTS) != 0;
	}
	*next = header[0];
	c->at += length;
	return DROP_NONE;
}

static bool is_extension(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_FRAGMENT ||
	       proto == IPPROTO_DSTOPTS || proto == IPPROTO_AH;
}

static uint16_t read_extensions(struct packet *packet, struct cursor *c)
{
	uint8_t next = c->data[6];

	for (unsigned n = 0; is_extension(next); n++) {
		uint16_t reason;

		if (n == EXTENSIONS_MAX)
			return DROP(packet, EXTENSIONS);
		if (next == IPPROTO_HOPOPTS && n != 0)
			return DROP(packet, EXTENSION_ORDER);
		reason = read_extension(packet, c, &next);
		if (reason != DROP_NONE)
			return reason;
		if (c->at > L4_OFFSET_MAX)
			return DROP(packet, EXTENSIONS);
		/* Behind the header of a later fragment there is only payload. */
		if (c->offset != 0)
			break;
	}
	packet->proto = next;
	return DROP_NONE;
}

static uint16_t read_v6(struct packet *packet, struct cursor *c, uint32_t there)
{
	uint32_t payload;
	uint16_t reason;

	if (there < 40)
		return DROP(packet, SHORT);
	payload = load16(c->data + 4);
	if (payload + 40 > there)
		return DROP(packet, CUT);
	if (payload == 0 && c->data[6] == IPPROTO_HOPOPTS)
		return DROP(packet, JUMBO);
	reason = check_v6_addresses(c->data);
	if (reason != DROP_NONE)
		return reason;
	packet->family = ADDR_V6;
	c->length = payload + 40;
	c->at = 40;
	reason = read_extensions(packet, c);
	if (reason != DROP_NONE)
		return reason;
	c->fragment = false;
	reason = read_fragment(packet, c);
	return reason != DROP_NONE ? reason : read_layer4(packet, c);
}

static __attribute__((noinline)) uint16_t parse_any(
	struct packet *packet, struct rte_mbuf *mbuf, const uint8_t *ip, uint32_t there)
{
	struct cursor c = {.data = ip};
	uint16_t reason;

	packet->sport = packet->dport = 0;
	if (there == 0)
		return DROP(packet, SHORT);
	if (c.data[0] >> 4 == 4)
		reason = read_v4(packet, &c, there);
	else if (c.data[0] >> 4 == 6)
		reason = read_v6(packet, &c, there);
	else
		return DROP(packet, VERSION);
	if (reason == DROP_NONE && c.length < there)
		rte_pktmbuf_trim(mbuf, (uint16_t)(there - c.length));
	return reason;
}

uint16_t packet_parse(struct rte_mbuf *mbuf)
{
	struct packet *packet = packet_of(mbuf);
	uint32_t there = rte_pktmbuf_data_len(mbuf);
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);

	packet->flags &= (uint16_t) ~(PACKET_FRAGMENT | PACKET_FIRST_FRAGMENT | PACKET_ICMP_ERROR);
	packet->icmp_type = 0;
	if (unlikely(mbuf->nb_segs != 1))
		return DROP(packet, SEGMENTS);
	if (likely(parse_common(packet, mbuf, ip, there)))
		return DROP_NONE;
	return parse_any(packet, mbuf, ip, there);
}
