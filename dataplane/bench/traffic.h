/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets of a benchmark, both ways through the rig: UDP of many flows between hosts behind the
 * peer and the server.
 */
#pragma once

#include <stdint.h>

#include "dataplane/bench/rig.h"

struct rte_mbuf;

enum {
	TRAFFIC_OUTER = 28, /* IPv4 and UDP */
};

struct traffic {
	unsigned burst; /* packets made at a time */
	unsigned flows;
	unsigned peers;      /* flows are spread over so many */
	unsigned size;       /* inner IP bytes */
	uint16_t *nat_ports; /* of each flow, as seen on `inet`; the caller's */
	uint32_t *servers;   /* of each flow, instead of RIG_SERVER_ADDR, or NULL; the caller's */
	uint32_t nat_addr;
};

/* A burst as it arrives on `wan`: sealed by the far peer. Flow number `first` and those after it.
 */
void traffic_make_up(
	struct rig *rig, const struct traffic *traffic, struct rte_mbuf **mbufs, unsigned first);

/* The answers, as they arrive on `inet`. */
void traffic_make_down(
	struct rig *rig, const struct traffic *traffic, struct rte_mbuf **mbufs, unsigned first);

/* Frees what came out of a wire and returns how many packets these were. If learn is not NULL the
 * address and port under which flows from `first` on left are noted there. */
unsigned traffic_collect(struct wire *wire, struct traffic *learn, unsigned first);
