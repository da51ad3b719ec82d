/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of a few packets through the graph's nodes, for `sallyport trace`. One trace at a time:
 * TRACE_START, then TRACE_READ again and again; who does not read for API_TRACE_PATIENCE_MS has
 * gone. It ends by itself when `count` packets have been followed.
 */
#pragma once

#include "common/api/api.h"
#include "common/base/addr.h"

enum {
	API_TRACE_STAGES = 16,
	API_TRACE_COUNT_MAX = 1000,
	API_TRACE_PATIENCE_MS = 2000,
	API_TRACE_WAIT_MS =
		3000, /* a packet that no node has seen for so long is told of as it is */
};

/* What became of a packet. */
enum api_trace_end {
	API_TRACE_UNTOLD = 0, /* the data plane is older than this */
	API_TRACE_WAITS,      /* for a neighbour, a session or its other fragments */
	API_TRACE_DROPPED,
	API_TRACE_SENT,      /* a port's device has taken it */
	API_TRACE_HOST,      /* the host's kernel has it */
	API_TRACE_HANDSHAKE, /* a handshake message: it has been read */
	API_TRACE_KEEPALIVE, /* it has done its work */
	API_TRACE_JOINED,    /* a fragment: what it was put together with goes on */
};

struct api_trace_start {
	struct api_header header;
	uint32_t peer;  /* from or to whom; 0 = any packet */
	uint32_t count; /* 1..API_TRACE_COUNT_MAX; 0 = stop */
};

struct api_trace_read {
	struct api_header header;
};

struct api_trace_stage {
	uint8_t node; /* row of the node counters */
	uint8_t worker;
	uint16_t burst;  /* packets that the node handled in that call */
	uint32_t cycles; /* of the call, divided by burst */
	uint32_t at_ns;  /* when the call began, from the first stage's beginning */
};

/* The answer to TRACE_READ: one per packet whose way has ended or that waits, then API_REPLY. */
struct api_trace_entry {
	struct api_header header;
	uint64_t time_ns; /* Unix time of the first stage */
	uint32_t ingress; /* as in flows */
	uint32_t peer;    /* through whose tunnel it was to leave; 0 = none */
	struct addr src;  /* as it was last seen */
	struct addr dst;
	uint16_t sport, dport;
	uint8_t proto;
	uint8_t stages;
	uint16_t reason;   /* row of the drop counters; 0 = was not dropped */
	uint32_t followed; /* packets of this trace so far, this one included */
	uint32_t hz_mhz;   /* cycles per microsecond */
	struct api_trace_stage stage[API_TRACE_STAGES];
	uint8_t end; /* enum api_trace_end */
	uint8_t zero;
	uint16_t port; /* that sent it, or as whose the host has it; 0 = none, or the overlay */
	uint32_t zero2;
};

_Static_assert(sizeof(struct api_trace_entry) <= API_MESSAGE_MAX, "a message");
_Static_assert(sizeof(struct api_trace_entry) % API_ALIGN == 0, "a message");
