/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets in mbufs, written and read byte by byte: nothing here is shared with what is tested. */
#include "test/unit/dataplane/flow/fakes.h"

#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <rte_common.h>
#include <rte_mbuf.h>

#include "dataplane/port/port.h"

static uint16_t sum_layer4(
	const uint8_t *ip, uint8_t family, uint8_t l4, uint32_t bytes, uint8_t proto)
{
	uint32_t sum = 0;
	const uint8_t *pseudo = family == ADDR_V4 ? ip + 12 : ip + 8;
	uint32_t size = family == ADDR_V4 ? 8 : 32;

	for (uint32_t i = 0; i < bytes; i++)
		sum += (uint32_t)ip[l4 + i] << (i % 2 == 0 ? 8 : 0);
	if (proto != IPPROTO_ICMP) {
		for (uint32_t i = 0; i < size; i++)
			sum += (uint32_t)pseudo[i] << (i % 2 == 0 ? 8 : 0);
		sum += proto + bytes;
	}
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint16_t sum_header(const uint8_t *ip, unsigned bytes)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < bytes; i++)
		sum += (uint32_t)ip[i] << (i % 2 == 0 ? 8 : 0);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void store16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static unsigned write_layer4(uint8_t *at, const struct packet_spec *spec)
{
	unsigned bytes = 8;

	switch (spec->proto) {
	case IPPROTO_TCP:
		bytes = spec->mss != 0 ? 28 : 20;
		store16(at, spec->sport);
		store16(at + 2, spec->dport);
		at[12] = (uint8_t)(bytes / 4 << 4);
		at[13] = spec->tcp_flags;
		if (spec->mss != 0) {
			/* at an odd place: end and padding around it */
			at[20] = 1;
			at[21] = 2;
			at[22] = 4;
			store16(at + 23, spec->mss);
			at[25] = 1;
			at[26] = 1;
		}
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		at[0] = spec->icmp_type;
		store16(at + 4, spec->sport);
		break;
	default:
		store16(at, spec->sport);
		store16(at + 2, spec->dport);
		store16(at + 4, (uint16_t)(8 + spec->payload));
		break;
	}
	for (unsigned i = 0; i < spec->payload; i++)
		at[bytes + i] = (uint8_t)(i * 7 + spec->sport);
	return bytes + spec->payload;
}

static int checksum_at(uint8_t proto)
{
	return proto == IPPROTO_TCP ? 16 : proto == IPPROTO_UDP ? 6 : 2;
}

static struct rte_mbuf *finish(
	struct rte_mbuf *mbuf, uint8_t *ip, unsigned bytes, uint32_t ingress, uint16_t flags)
{
	struct packet *packet = packet_of(mbuf);

	rte_pktmbuf_append(mbuf, (uint16_t)bytes);
	memset(packet, 0, sizeof(*packet));
	packet->ingress = ingress;
	packet->flags = flags;
	if ((ingress & API_IDENT_PORT) != 0)
		packet->port_in = (uint16_t)(ingress & 63);
	if (packet_parse(mbuf) != 0)
		abort();
	return mbuf;
}

static unsigned write_ip(uint8_t *ip, const struct addr *src, const struct addr *dst, uint8_t proto,
	uint8_t ttl, bool dont_fragment, unsigned l4_bytes)
{
	unsigned header = src->family == ADDR_V4 ? 20 : 40;

	memset(ip, 0, header);
	if (src->family == ADDR_V4) {
		ip[0] = 0x45;
		store16(ip + 2, (uint16_t)(header + l4_bytes));
		ip[6] = dont_fragment ? 0x40 : 0;
		ip[8] = ttl;
		ip[9] = proto;
		memcpy(ip + 12, src->bytes, 4);
		memcpy(ip + 16, dst->bytes, 4);
		store16(ip + 10, sum_header(ip, 20));
	} else {
		ip[0] = 0x60;
		store16(ip + 4, (uint16_t)l4_bytes);
		ip[6] = proto;
		ip[7] = ttl;
		memcpy(ip + 8, src->bytes, 16);
		memcpy(ip + 24, dst->bytes, 16);
	}
	return header;
}

struct rte_mbuf *fake_packet(const struct packet_spec *spec)
{
	struct addr src = fake_addr(spec->src), dst = fake_addr(spec->dst);
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(packet_pool());
	uint8_t *ip = rte_pktmbuf_mtod(mbuf, uint8_t *);
	unsigned header = src.family == ADDR_V4 ? 20 : 40, bytes;

	memset(ip, 0, 128);
	bytes = write_layer4(ip + header, spec);
	write_ip(ip, &src, &dst, spec->proto, spec->ttl != 0 ? spec->ttl : 64, spec->dont_fragment,
		bytes);
	if (!spec->no_checksum)
		store16(ip + header + checksum_at(spec->proto),
			sum_layer4(ip, src.family, (uint8_t)header, bytes, spec->proto));
	return finish(mbuf, ip, header + bytes, spec->ingress, spec->flags);
}

struct rte_mbuf *fake_error(uint32_t ingress, const char *src_text, const char *dst_text,
	uint8_t type, uint8_t code, struct rte_mbuf *about)
{
	struct addr src = fake_addr(src_text), dst = fake_addr(dst_text);
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(packet_pool());
	uint8_t *ip = rte_pktmbuf_mtod(mbuf, uint8_t *);
	unsigned quoted = RTE_MIN(rte_pktmbuf_data_len(about), 500);
	uint8_t proto = src.family == ADDR_V4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	unsigned header = write_ip(ip, &src, &dst, proto, 60, false, 8 + quoted);

	memset(ip + header, 0, 8);
	ip[header] = type;
	ip[header + 1] = code;
	memcpy(ip + header + 8, rte_pktmbuf_mtod(about, void *), quoted);
	store16(ip + header + 2, sum_layer4(ip, src.family, (uint8_t)header, 8 + quoted, proto));
	return finish(mbuf, ip, header + 8 + quoted, ingress, 0);
}

bool fake_checksums_right(struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of(mbuf);
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint32_t bytes = rte_pktmbuf_data_len(mbuf) - packet->l4;

	if (packet->family == ADDR_V4 && sum_header(ip, packet->l4) != 0)
		return false;
	if (packet->proto == IPPROTO_UDP && ip[packet->l4 + 6] == 0 && ip[packet->l4 + 7] == 0)
		return packet->family == ADDR_V4;
	return sum_layer4(ip, packet->family, packet->l4, bytes, packet->proto) == 0;
}

void fake_read(struct rte_mbuf *mbuf, struct packet_spec *spec, char src[46], char dst[46])
{
	const struct packet *packet = packet_of(mbuf);
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	const uint8_t *l4 = ip + packet->l4;
	bool v4 = packet->family == ADDR_V4;
	struct addr from = {.family = packet->family}, to = from;

	memcpy(from.bytes, ip + (v4 ? 12 : 8), v4 ? 4 : 16);
	memcpy(to.bytes, ip + (v4 ? 16 : 24), v4 ? 4 : 16);
	memset(spec, 0, sizeof(*spec));
	spec->src = addr_format(&from, src);
	spec->dst = addr_format(&to, dst);
	spec->ttl = ip[v4 ? 8 : 7];
	spec->proto = packet->proto;
	if (packet->proto == IPPROTO_ICMP || packet->proto == IPPROTO_ICMPV6) {
		spec->icmp_type = l4[0];
		spec->sport = spec->dport = (uint16_t)(l4[4] << 8 | l4[5]);
		return;
	}
	spec->sport = (uint16_t)(l4[0] << 8 | l4[1]);
	spec->dport = (uint16_t)(l4[2] << 8 | l4[3]);
	if (packet->proto == IPPROTO_TCP && l4[20] == 1)
		spec->mss = (uint16_t)(l4[23] << 8 | l4[24]);
}
