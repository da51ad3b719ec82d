/* SPDX-License-Identifier: BSD-3-Clause */
/* What a fragment says of itself, how the fragments of one packet become it again (piece.c), and
 * which of its bytes were seen (seen.c). */
#pragma once

#include <rte_mbuf.h>

#include <stdbool.h>
#include <stdint.h>

struct fragment_key {
	uint8_t src[16];
	uint8_t dst[16];
	uint32_t id;
	uint8_t proto; /* IPv6: 0, since later fragments need not tell it */
	uint8_t family;
	uint16_t zero;
};

_Static_assert(sizeof(struct fragment_key) == 40, "what hash_40 takes");

struct fragment_piece {
	struct fragment_key key;
	uint32_t from, to; /* bytes of the packet's payload, to is beyond */
	uint16_t header;   /* bytes before the piece's payload, IPv6 fragment header and all */
	uint16_t link;     /* IPv6: where the fragment header's own number stands */
	bool more;
};

/* Of a packet that packet_parse() has found to be a fragment. Worker. */
void fragment_piece_read(struct rte_mbuf *mbuf, struct fragment_piece *piece);

/*
 * All pieces of a packet, without holes or overlaps, in any order. Returns the mbuf of the first
 * one, which is the whole packet then, parsed, with its layer-2 header; the others are freed. NULL
 * and *reason, and all are still there, if they do not fit into one buffer, or if the packet is
 * none that packet_parse() takes. Worker.
 */
struct rte_mbuf *fragment_piece_join(struct rte_mbuf **pieces, unsigned n, uint16_t *reason)
	__attribute__((warn_unused_result));

enum { FRAGMENT_RANGES = 24 };

struct fragment_range {
	uint16_t from, to; /* bytes of the payload, to is beyond */
};

/* Of one packet; all zero = nothing yet. */
struct fragment_seen {
	uint32_t end; /* of the payload; 0 = the last fragment was not here */
	uint8_t ranges;
	struct fragment_range range[FRAGMENT_RANGES];
};

/* Takes the piece's bytes as seen. 0, or a drop reason: then nothing has changed. Worker. */
uint16_t fragment_seen_note(struct fragment_seen *seen, const struct fragment_piece *piece);

/* True if no byte is missing. Worker. */
bool fragment_seen_all(const struct fragment_seen *seen);
