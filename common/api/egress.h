/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Egress: which address masqueraded traffic leaves with. Rules are tried in order of priority;
 * the first whose source set and destination match names a pool; a peer sticks to one address of
 * each family in it. No rule, an empty pool or a pool without the family: refused (fail closed).
 */
#pragma once

#include "common/api/api.h"
#include "common/base/addr.h"

enum {
	API_EGRESS_ADDR_MAX = 4096, /* ids 1..; 0 = none */
	API_EGRESS_POOL_MAX = 1024, /* ids 1..; 0 = deny */
	API_EGRESS_POOL_ADDRS = 64, /* addresses in one pool */
};

struct api_egress_addr_set {
	struct api_header header;
	struct addr addr;
	uint16_t egress;     /* id */
	uint16_t port_first; /* of the NAT's share; those below 1024 are for sources below 1024 */
	uint16_t port_last;
	uint16_t zero[3];
};

struct api_egress_addr_del {
	struct api_header header;
	uint16_t egress;
	uint16_t zero[3];
};

struct api_egress_pool_set {
	struct api_header header;
	uint16_t pool;
	uint16_t count;
	uint16_t egress[API_EGRESS_POOL_ADDRS]; /* ids, of either family */
	uint32_t zero;
};

struct api_egress_pool_del {
	struct api_header header;
	uint16_t pool;
	uint16_t zero[3];
};

/* How a rule's traffic is mapped. Of the first two, and of the next two, at most one. */
enum {
	/* who may send to a mapping; without either: whom the inside host has sent to, by address
	 * and port (RFC 4787 section 5) */
	API_EGRESS_OPEN = 1 << 0,    /* endpoint-independent filtering: anyone */
	API_EGRESS_BY_ADDR = 1 << 1, /* address-dependent filtering */
	/* ports are shared by flows to different destinations (RFC 7857 section 3): no mapping of
	 * an inside port that holds for all of them; not with the first two */
	API_EGRESS_SHARED = 1 << 2,
	API_EGRESS_ANY_PARITY = 1 << 3, /* even and odd ports alike (RFC 7857 section 8) */
	API_EGRESS_FLAGS = 15,
};

struct api_egress_rule_set {
	struct api_header header;
	uint32_t rule;
	uint32_t priority;
	uint32_t src_set;  /* 0 = any */
	uint16_t pool;     /* 0 = deny */
	uint16_t flags;    /* API_EGRESS_OPEN ... */
	struct prefix dst; /* family ADDR_NONE = any */
	uint32_t zero2;
};

struct api_egress_rule_del {
	struct api_header header;
	uint32_t rule;
	uint32_t zero;
};

enum {
	API_BLOCK_PORTS = 64, /* ports of a block: 0-63, 64-127 ... */
};

/*
 * Who uses which ports of an egress address. TAKEN and RELEASED come in the order in which they
 * happened; to a block that has a user SHARED adds another one, when nothing else is free. On a
 * new connection, or after some were lost, SYNC_BEGIN, a HELD for each block in use and SYNC_END
 * say all that holds: what was open and is not among them has ended.
 */
enum api_block_kind {
	API_BLOCK_TAKEN = 1,
	API_BLOCK_RELEASED = 2,
	API_BLOCK_SHARED = 3,
	API_BLOCK_HELD = 4,
	API_BLOCK_SYNC_BEGIN = 5, /* only the header and this */
	API_BLOCK_SYNC_END = 6,
};

/* The subscriber of a block whose ports flows to different destinations share. */
#define API_BLOCK_OF_ALL UINT32_MAX

struct api_event_block {
	struct api_header header;
	struct addr addr;
	uint16_t port_first;
	uint8_t kind;        /* enum api_block_kind */
	uint8_t proto;       /* IPPROTO_TCP, _UDP; _ICMP for queries of either family */
	uint32_t subscriber; /* a peer's id, API_IDENT_*, API_BLOCK_OF_ALL; 0 for RELEASED */
	uint32_t zero;
	uint64_t at_ms; /* Unix time */
};
