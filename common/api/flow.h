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

/*
 * What one sender, a peer or a plain port, may have of each worker. An object of which there is
 * one; without it the defaults hold.
 */
enum {
	API_LIMIT_RATE_MAX = 1000000, /* of what is limited by the second */
	API_LIMIT_ICMP_DEFAULT = 100,
	API_LIMIT_REST_DEFAULT = 120,
	API_LIMIT_REST_MAX = 86400,
};

struct api_flow_limits_set {
	struct api_header header;
	uint32_t id;         /* 1 */
	uint32_t flows;      /* at once; 0 = half of a worker's */
	uint32_t half_open;  /* TCP connections without an answer; 0 = a sixteenth of a worker's */
	uint32_t new_per_s;  /* flows opened in a second; 0 = no limit */
	uint32_t icmp_per_s; /* ICMP errors sent about its packets */
	/* ports of open mappings that nobody has any more: for how long, and how many of each
	 * worker's; 0 = as many as there are */
	uint32_t rest_s;
	uint32_t resting;
	uint32_t zero;
};

struct api_flow_limits_del {
	struct api_header header;
	uint32_t id;
	uint32_t zero;
};
