/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pieces of a packet: reading their headers (RFC 791 section 3.1, RFC 8200 section 4.5), and
 * putting them together in the buffer of the first one.
 */
#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ip.h>

#include "common/base/addr.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/flow/fragment_priv.h"
#include "dataplane/graph/follow.h"

enum {
	V4_MORE = 0x2000,
	V4_OFFSET = 0x1fff,
	FRAGMENT_HEADER = 8,
	PARSED = PACKET_FRAGMENT | PACKET_FIRST_FRAGMENT | PACKET_MET | PACKET_TO_MEETING |
		 PACKET_AT_HOME | PACKET_NO_ANSWER,
};

static uint16_t load_be(const uint8_t *byte)
{
	return (uint16_t)(byte[0] << 8 | byte[1]);
}

static void read_v4(struct rte_mbuf *mbuf, struct fragment_piece *piece)
{
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint16_t field = load_be(ip + 6);

	memcpy(piece->key.src, ip + 12, 4);
	memcpy(piece->key.dst, ip + 16, 4);
	piece->key.id = load_be(ip + 4);
	piece->key.proto = ip[9];
	piece->header = (uint16_t)((ip[0] & 15) * 4);
	piece->from = (field & V4_OFFSET) * 8u;
	piece->to = piece->from + rte_pktmbuf_data_len(mbuf) - piece->header;
	piece->more = (field & V4_MORE) != 0;
}

/* packet_parse() has seen that there is a fragment header, and that the lengths fit. */
static void read_v6(struct rte_mbuf *mbuf, struct fragment_piece *piece)
{
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	const uint8_t *at = ip + sizeof(struct rte_ipv6_hdr);
	uint8_t next = ip[6];
	uint16_t field;

	piece->link = 6;
	while (next != IPPROTO_FRAGMENT) {
		uint8_t this = next;

		piece->link = (uint16_t)(at - ip);
		next = at[0];
		at += this == IPPROTO_AH ? (at[1] + 2) * 4 : (at[1] + 1) * 8;
	}
	field = load_be(at + 2);
	memcpy(piece->key.src, ip + 8, 16);
	memcpy(piece->key.dst, ip + 24, 16);
	memcpy(&piece->key.id, at + 4, 4);
	piece->header = (uint16_t)(at + FRAGMENT_HEADER - ip);
	piece->from = field & 0xfff8;
	piece->to = piece->from + rte_pktmbuf_data_len(mbuf) - piece->header;
	piece->more = (field & 1) != 0;
}

void fragment_piece_read(struct rte_mbuf *mbuf, struct fragment_piece *piece)
{
	memset(piece, 0, sizeof(*piece));
	piece->key.family = packet_of(mbuf)->family;
	if (piece->key.family == ADDR_V4)
		read_v4(mbuf, piece);
	else
		read_v6(mbuf, piece);
}

/* The header of the first piece becomes that of the whole packet. */
static void mend_v4(struct rte_mbuf *mbuf, const struct fragment_piece *first)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(mbuf, struct rte_ipv4_hdr *);

	ip->total_length = rte_cpu_to_be_16(rte_pktmbuf_data_len(mbuf));
	ip->fragment_offset = 0;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, first->header);
}

/* Without its fragment header: what stands before that, layer 2 too, moves up. */
static void mend_v6(struct rte_mbuf *mbuf, const struct fragment_piece *first)
{
	uint8_t *ip = rte_pktmbuf_mtod(mbuf, uint8_t *);
	uint8_t l2_len = packet_of(mbuf)->l2_len;
	uint16_t before = (uint16_t)(first->header - FRAGMENT_HEADER);
	uint16_t payload = (uint16_t)(rte_pktmbuf_data_len(mbuf) - sizeof(struct rte_ipv6_hdr) -
				      FRAGMENT_HEADER);

	ip[first->link] = ip[before];
	ip[4] = (uint8_t)(payload >> 8);
	ip[5] = (uint8_t)payload;
	memmove(ip - l2_len + FRAGMENT_HEADER, ip - l2_len, l2_len + before);
	rte_pktmbuf_adj(mbuf, FRAGMENT_HEADER);
}

/* The place of the first piece, and the end of the payload. */
static unsigned survey(struct rte_mbuf **pieces, unsigned n, uint32_t *end)
{
	struct fragment_piece piece;
	unsigned first = 0;

	*end = 0;
	for (unsigned i = 0; i < n; i++) {
		fragment_piece_read(pieces[i], &piece);
		*end = RTE_MAX(*end, piece.to);
		if (piece.from == 0)
			first = i;
	}
	return first;
}

struct rte_mbuf *fragment_piece_join(struct rte_mbuf **pieces, unsigned n, uint16_t *reason)
{
	struct fragment_piece head, piece;
	uint32_t end;
	unsigned first = survey(pieces, n, &end);
	struct rte_mbuf *whole = pieces[first];
	uint8_t *payload;

	fragment_piece_read(whole, &head);
	*reason = DROP(flow, FRAGMENT_LONG);
	if (end - head.to > rte_pktmbuf_tailroom(whole))
		return NULL;
	payload = rte_pktmbuf_mtod_offset(whole, uint8_t *, head.header);
	rte_pktmbuf_append(whole, (uint16_t)(end - head.to));
	for (unsigned i = 0; i < n; i++) {
		if (i == first)
			continue;
		fragment_piece_read(pieces[i], &piece);
		memcpy(payload + piece.from,
			rte_pktmbuf_mtod_offset(pieces[i], void *, piece.header),
			piece.to - piece.from);
	}
	if (packet_of(whole)->family == ADDR_V4)
		mend_v4(whole, &head);
	else
		mend_v6(whole, &head);
	packet_of(whole)->flags &= (uint16_t)~PARSED;
	*reason = packet_parse(whole);
	if (*reason != DROP_NONE)
		return NULL;
	pieces[first] = pieces[n - 1];
	follow_free(pieces, n - 1, API_TRACE_JOINED, 0);
	return whole;
}
