/* SPDX-License-Identifier: BSD-3-Clause */
/* A look at the flow tables: a diagnostic, torn reads are possible, never a source of truth. */
#pragma once

#include "common/api/api.h"
#include "common/base/addr.h"

/* An identity is a peer id, or one of these: what stands behind a packet's arrival. */
enum {
	API_IDENT_HOST = 1 << 30, /* the kernel of the gateway; | port id, 0 = overlay interface */
	API_IDENT_PORT = 1 << 29, /* | port id: a plain packet that arrived there */
	/* | peer id: what a peer sent to an address of ours and the NAT sent back in; 0 = unknown
	 */
	API_IDENT_HAIRPIN = 1 << 28,
};

struct api_flow_dump {
	struct api_header header;
	uint32_t max;  /* entries wanted at most */
	uint32_t peer; /* 0 = any */
};

struct api_flow_entry {
	struct api_header header;
	struct addr src; /* as the first packet had them */
	struct addr dst;
	uint16_t sport;
	uint16_t dport;
	uint8_t proto;
	uint8_t tcp_state;
	uint16_t worker;
	uint32_t ingress; /* identities of the two sides */
	uint32_t egress;
	struct addr nat_addr; /* ADDR_NONE = not translated */
	uint16_t nat_port;
	uint16_t forward; /* id: then nat_* is the inside that the destination became */
	uint32_t policy_rule;
	uint32_t route_id;
	uint64_t packets[2]; /* [0] as the first packet went, [1] back */
	uint64_t bytes[2];   /* inner IP bytes */
	uint32_t idle_ms;
	uint32_t timeout_ms;
};

/* How long flows may be idle. An object of which there is one; without it the defaults hold. */
enum api_flow_timeout {
	API_TIMEOUT_UDP,
	API_TIMEOUT_DNS, /* UDP to port 53 */
	API_TIMEOUT_TCP_ESTABLISHED,
	API_TIMEOUT_TCP_OPENING,
	API_TIMEOUT_TCP_CLOSING, /* and after a RST */
	API_TIMEOUT_ICMP,        /* queries */
	API_TIMEOUT_OTHER,       /* protocols without ports */
	API_FLOW_TIMEOUTS,
};

struct api_flow_timeouts_set {
	struct api_header header;
	uint32_t id; /* 1 */
	uint32_t seconds[API_FLOW_TIMEOUTS];
};

struct api_flow_timeouts_del {
	struct api_header header;
	uint32_t id;
	uint32_t zero;
};

/*
 * Whose the figures in a row of counters are. The data plane counts by id, and ids are used again:
 * with another owner, or with the same one after a deletion, the row begins at zero. A data plane
 * that does not know this goes on where the row stands.
 */
struct api_counted_set {
	struct api_header header;
	uint32_t section; /* API_SECTION_RULES, _ROUTES, _EGRESS or _FORWARDS */
	uint32_t id;      /* the row; one beyond the section's end is passed over */
	uint64_t owner;   /* not 0; the same for as long as it is the same object */
};

struct api_counted_del {
	struct api_header header;
	uint32_t section;
	uint32_t id;
};
