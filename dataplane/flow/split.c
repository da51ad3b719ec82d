/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cutting IPv4 packets that are larger than the way out (RFC 791 section 3.2, RFC 4787 REQ-13).
 * The first piece stays in its mbuf; the others are fresh ones, and due after it.
 */
#include <rte_byteorder.h>
#include <rte_ip.h>

#include "dataplane/flow/flow_priv.h"
#include "dataplane/flow/fragment.h"
#include "dataplane/flow/rewrite.h"
#include "dataplane/port/port.h"

enum {
	PIECES_MAX = 32,
	V4_DONT = 0x4000,
	V4_MORE = 0x2000,
	OPTION_COPIED = 0x80,
	OPTION_END = 0,
	OPTION_NOTHING = 1,
};

bool flow_may_split(struct rte_mbuf *mbuf)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(mbuf, const struct rte_ipv4_hdr *);

	return packet_of(mbuf)->family == ADDR_V4 && (ip->fragment_offset & RTE_BE16(V4_DONT)) == 0;
}

void flow_fragment_set_id(struct rte_mbuf *mbuf, uint16_t id)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(mbuf, struct rte_ipv4_hdr *);
	rte_be16_t word = rte_cpu_to_be_16(id);

	ip->hdr_checksum =
		rewrite_checksum(ip->hdr_checksum, rewrite_delta(0, &ip->packet_id, &word, 2));
	ip->packet_id = word;
}

/* In later pieces nothing stands in the place of options that are for the first one only. */
static void blank_options(uint8_t *header, unsigned bytes)
{
	unsigned at = sizeof(struct rte_ipv4_hdr);

	while (at < bytes && header[at] != OPTION_END) {
		unsigned length = header[at] == OPTION_NOTHING ? 1 : header[at + 1];

		if ((header[at] & OPTION_COPIED) == 0)
			memset(header + at, OPTION_NOTHING, length);
		at += length;
	}
}

static void finish(uint8_t *header, unsigned bytes, uint16_t length, uint16_t field)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)header;

	ip->total_length = rte_cpu_to_be_16(length);
	ip->fragment_offset = rte_cpu_to_be_16(field);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = (uint16_t)~rte_raw_cksum(header, bytes);
}

/* The piece with `count` bytes of the payload from `from` on. */
static bool write_piece(struct rte_mbuf *piece, struct rte_mbuf *mbuf, uint16_t from,
	uint16_t count, uint16_t field)
{
	uint16_t bytes = packet_of(mbuf)->l4;
	uint8_t *header = (uint8_t *)rte_pktmbuf_append(piece, (uint16_t)(bytes + count));

	if (header == NULL)
		return false;
	memcpy(header, rte_pktmbuf_mtod(mbuf, void *), bytes);
	memcpy(header + bytes, rte_pktmbuf_mtod_offset(mbuf, void *, bytes + from), count);
	blank_options(header, bytes);
	finish(header, bytes, (uint16_t)(bytes + count), field);
	*packet_of(piece) = *packet_of(mbuf);
	packet_of(piece)->flags &= (uint16_t)~PACKET_FIRST_FRAGMENT;
	packet_of(piece)->flags |= PACKET_FRAGMENT;
	return true;
}

/* All pieces but the first. */
static bool write_pieces(
	struct rte_mbuf *mbuf, struct rte_mbuf **pieces, unsigned n, uint16_t step, uint16_t field)
{
	uint16_t payload = (uint16_t)(rte_pktmbuf_data_len(mbuf) - packet_of(mbuf)->l4);

	for (unsigned i = 0; i < n; i++) {
		uint16_t from = (uint16_t)((i + 1) * step);
		uint16_t count = RTE_MIN(step, (uint16_t)(payload - from));
		/* the last one is followed by what followed the whole */
		uint16_t more = i + 1 < n ? V4_MORE : (uint16_t)(field & V4_MORE);

		if (!write_piece(pieces[i], mbuf, from, count,
			    (uint16_t)(((field & ~V4_MORE) + from / 8) | more)))
			return false;
	}
	return true;
}

uint8_t flow_split(struct flow_worker *w, struct rte_mbuf *mbuf, uint16_t mtu, uint8_t role)
{
	struct packet *packet = packet_of(mbuf);
	uint8_t *ip = rte_pktmbuf_mtod(mbuf, uint8_t *);
	uint16_t header = (uint16_t)((ip[0] & 15) * 4);
	uint16_t payload = (uint16_t)(rte_pktmbuf_data_len(mbuf) - header);
	uint16_t step = (uint16_t)((mtu - header) & ~7);
	uint16_t field = (uint16_t)(ip[6] << 8 | ip[7]);
	struct rte_mbuf *pieces[PIECES_MAX];
	unsigned n;

	if (mtu < header + 8 || (n = (payload + step - 1u) / step - 1) > PIECES_MAX)
		return flow_drop(mbuf, DROP(flow, TOO_BIG));
	if (rte_pktmbuf_alloc_bulk(packet_pool(), pieces, n) != 0)
		return flow_drop(mbuf, DROP(flow, FRAGMENT_FULL));
	packet->l4 = (uint8_t)header;
	if (!write_pieces(mbuf, pieces, n, step, field)) {
		rte_pktmbuf_free_bulk(pieces, n);
		return flow_drop(mbuf, DROP(flow, FRAGMENT_FULL));
	}
	for (unsigned i = 0; i < n; i++)
		flow_fragment_due(w, pieces[i], role);
	rte_pktmbuf_trim(mbuf, (uint16_t)(payload - step));
	finish(ip, header, (uint16_t)(header + step), (uint16_t)(field | V4_MORE));
	return role;
}
