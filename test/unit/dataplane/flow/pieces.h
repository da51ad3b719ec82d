/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets are cut and put together again by code of the tests' own; what comes out of the workers
 * is kept in order. Included by one source per program.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <cmocka.h>

#include "common/api/flow.h"
#include "dataplane/flow/fragment.h"
#include "test/unit/dataplane/flow/fakes.h"

#define WAN (API_IDENT_PORT | PORT_WAN)
#define V4  "198.51.100.1"
#define V6  "2001:db8::1"

enum { OUT_MAX = 64, PAYLOAD = 1900 };

static struct flow_worker *w;

/* All that came out of the worker, in order. */
static struct rte_mbuf *out[OUT_MAX];
static uint8_t roles[OUT_MAX];
static unsigned outs;

static int setup(void **state)
{
	fake_exit_node();
	w = fake_worker(4096);
	memset(fake_drops, 0, sizeof(fake_drops));
	return 0;
}

static void clear(void)
{
	for (unsigned i = 0; i < outs; i++)
		rte_pktmbuf_free(out[i]);
	outs = 0;
}

static int teardown(void **state)
{
	clear();
	return 0;
}

static void store16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static unsigned load16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static unsigned header_of(struct rte_mbuf *mbuf)
{
	return packet_of(mbuf)->family == ADDR_V4 ? 20 : 40;
}

static void sum_header(uint8_t *ip)
{
	uint32_t sum = 0;

	store16(ip + 10, 0);
	for (unsigned i = 0; i < 20; i += 2)
		sum += load16(ip + i);
	sum = (sum & 0xffff) + (sum >> 16);
	store16(ip + 10, (uint16_t) ~((sum & 0xffff) + (sum >> 16)));
}

/* Bytes from..from + count of a whole packet's payload as a fragment. */
static struct rte_mbuf *cut(struct rte_mbuf *whole, unsigned from, unsigned count, uint16_t id)
{
	unsigned header = header_of(whole), extra = header == 40 ? 8 : 0;
	unsigned payload = rte_pktmbuf_data_len(whole) - header;
	bool more = from + count < payload;
	struct rte_mbuf *mbuf;
	uint8_t *ip;

	if (!more)
		count = payload - from;
	mbuf = rte_pktmbuf_alloc(whole->pool);
	ip = (uint8_t *)rte_pktmbuf_append(mbuf, (uint16_t)(header + extra + count));
	memcpy(ip, rte_pktmbuf_mtod(whole, void *), header);
	memcpy(ip + header + extra, rte_pktmbuf_mtod_offset(whole, void *, header + from), count);
	if (header == 20) {
		store16(ip + 2, 20 + count);
		store16(ip + 4, id);
		store16(ip + 6, from / 8 | (more ? 0x2000 : 0));
		sum_header(ip);
	} else {
		store16(ip + 4, 8 + count);
		memset(ip + 40, 0, 8);
		ip[40] = ip[6];
		ip[6] = IPPROTO_FRAGMENT;
		store16(ip + 42, from | more);
		store16(ip + 46, id);
	}
	*packet_of(mbuf) = (struct packet){.ingress = packet_of(whole)->ingress};
	assert_int_equal(packet_parse(mbuf), 0);
	return mbuf;
}

/* The pieces that came out as one packet again; NULL if there are holes or twice the same. */
static __attribute__((unused)) struct rte_mbuf *join(struct rte_mbuf **pieces, unsigned n)
{
	struct rte_mbuf *whole = rte_pktmbuf_alloc(pieces[0]->pool);
	unsigned header = header_of(pieces[0]), extra = header == 40 ? 8 : 0, end = 0, sum = 0;
	uint8_t *ip = (uint8_t *)rte_pktmbuf_append(whole, 2040);

	memcpy(ip, rte_pktmbuf_mtod(pieces[0], void *), header);
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *piece = rte_pktmbuf_mtod(pieces[i], const uint8_t *);
		unsigned count = rte_pktmbuf_data_len(pieces[i]) - header - extra;
		unsigned from = header == 20 ? (load16(piece + 6) & 0x1fff) * 8
					     : load16(piece + 42) & 0xfff8;
		bool more = header == 20 ? (piece[6] & 0x20) != 0 : (piece[43] & 1) != 0;

		memcpy(ip + header + from, piece + header + extra, count);
		sum += count;
		if (!more)
			end = from + count;
		if (header == 20)
			assert_int_equal(load16(piece + 4),
				load16(rte_pktmbuf_mtod(pieces[0], const uint8_t *) + 4));
	}
	assert_int_equal(sum, end);
	rte_pktmbuf_trim(whole, (uint16_t)(2040 - header - end));
	if (header == 20) {
		store16(ip + 2, 20 + end);
		store16(ip + 6, 0);
		sum_header(ip);
	} else {
		ip[6] = rte_pktmbuf_mtod(pieces[0], const uint8_t *)[40];
		store16(ip + 4, end);
	}
	*packet_of(whole) = (struct packet){0};
	assert_int_equal(packet_parse(whole), 0);
	return whole;
}

/* Through one worker, with all that becomes due. */
static void forward_on(struct flow_worker *worker, struct rte_mbuf *mbuf)
{
	uint8_t role = fake_forward(worker, mbuf);

	do {
		if (role == FLOW_TO_SLOW)
			role = flow_slow(worker, mbuf);
		if (role == GRAPH_HANDOFF) {
			struct flow_worker *to = flow_worker_get(packet_of(mbuf)->to);

			assert_ptr_not_equal(to, worker);
			forward_on(to, mbuf);
		} else if (role != FLOW_HELD) {
			assert_true(outs < OUT_MAX);
			roles[outs] = role;
			out[outs++] = mbuf;
		}
	} while ((mbuf = flow_fragment_next(worker, &role)) != NULL);
}

static void forward(struct rte_mbuf *mbuf)
{
	forward_on(w, mbuf);
}
