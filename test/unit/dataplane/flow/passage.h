/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A packet on its way through a worker of the exit node's usual world, and what is expected of it.
 * Included by one source per program.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <cmocka.h>

#include <rte_tcp.h>

#include "test/unit/dataplane/flow/fakes.h"

#define WAN (API_IDENT_PORT | PORT_WAN)
#define LAN (API_IDENT_PORT | PORT_LAN)

static struct flow_worker *w;

static int setup(void **state)
{
	fake_exit_node();
	w = fake_worker(256);
	return 0;
}

/* Forwards a packet, expects the role and, where it is dropped, the reason; frees it. */
static inline void expect(const struct packet_spec *spec, uint8_t role, const char *reason)
{
	struct rte_mbuf *mbuf = fake_packet(spec);
	uint8_t got = fake_forward(w, mbuf);

	if (reason != NULL)
		assert_string_equal(fake_drop_name(packet_of(mbuf)->drop), reason);
	assert_int_equal(got, role);
	rte_pktmbuf_free(mbuf);
}

static inline struct packet_spec udp(uint32_t ingress, const char *src, const char *dst)
{
	return (struct packet_spec){.ingress = ingress,
		.src = src,
		.dst = dst,
		.sport = 5000,
		.dport = 53,
		.proto = IPPROTO_UDP,
		.payload = 32};
}
