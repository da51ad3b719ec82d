/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies of packets, for `sallyport capture`. One capture at a time: CAPTURE_CODE (any number,
 * the filter), CAPTURE_START, then CAPTURE_READ again and again, each answered by what was caught
 * since, then CAPTURE_STOP. Who does not read for API_CAPTURE_PATIENCE_MS has gone, and it stops by
 * itself. Filters are classic BPF, one program for Ethernet frames and one for IP packets; they are
 * checked before use, and have no loops by their nature.
 */
#pragma once

#include <stdbool.h>

#include "common/api/api.h"

enum {
	API_CAPTURE_PORT_IN = 1 << 0,    /* frames as a port received them */
	API_CAPTURE_PORT_OUT = 1 << 1,   /* frames as a port is about to send them */
	API_CAPTURE_TUNNEL_IN = 1 << 2,  /* inner packets that peers sent */
	API_CAPTURE_TUNNEL_OUT = 1 << 3, /* inner packets for peers */
	API_CAPTURE_DROP = 1 << 4,       /* packets that were dropped, as they were then */
	API_CAPTURE_POINTS = (1 << 5) - 1,
};

enum api_capture_link {
	API_CAPTURE_ETHERNET = 0,
	API_CAPTURE_IP = 1, /* begins at the IP header */
	API_CAPTURE_LINKS = 2,
};

enum {
	API_CAPTURE_CODE_MAX = 512, /* instructions of one program */
	API_CAPTURE_CODE_PART = 60,
	API_CAPTURE_DATA = 448,
	API_CAPTURE_SNAP_MAX = 9216,
	API_CAPTURE_PATIENCE_MS = 2000,
};

struct api_capture_insn {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};

/* Instructions first .. first + count - 1 of a program; they come in order. first 0 begins anew. */
struct api_capture_code {
	struct api_header header;
	uint8_t link; /* enum api_capture_link */
	uint8_t count;
	uint16_t first;
	uint32_t zero;
	struct api_capture_insn insns[API_CAPTURE_CODE_PART];
};

struct api_capture_start {
	struct api_header header;
	uint32_t points; /* API_CAPTURE_* */
	uint32_t peer;   /* 0 = any */
	uint16_t port;   /* 0 = any */
	uint16_t snap;   /* bytes of a packet kept at most, 1..API_CAPTURE_SNAP_MAX */
	/* Instructions sent before; 0 = everything matches. */
	uint16_t code[API_CAPTURE_LINKS];
};

struct api_capture_read {
	struct api_header header;
	uint32_t max; /* packets */
	uint32_t zero;
};

/* A packet, or the next part of it: `offset` bytes of `captured` came before. */
struct api_capture_part {
	struct api_header header;
	uint64_t time_ns; /* Unix time */
	uint64_t lost;    /* packets so far that found no room, and were forwarded all the same */
	uint32_t wire;    /* bytes of the packet */
	uint32_t captured;
	uint32_t offset;
	uint16_t length; /* of data here */
	uint16_t point;  /* one of API_CAPTURE_* */
	uint32_t ingress;
	uint32_t peer;
	uint16_t port;   /* 0 = none */
	uint16_t reason; /* row of the drop counters, for API_CAPTURE_DROP */
	uint8_t worker;
	uint8_t link; /* enum api_capture_link */
	uint16_t zero;
	uint8_t data[API_CAPTURE_DATA];
};

struct api_capture_stop {
	struct api_header header;
};

/*
 * True if every instruction is one of classic BPF, every jump leads forward and stays inside, and
 * the last instruction returns: then a run is no longer than the program. libpcap's bpf_validate()
 * sees to the rest; it lets loops pass, and instructions at which bpf_filter() aborts.
 */
bool api_capture_code_valid(const struct api_capture_insn *insns, unsigned n);

_Static_assert(sizeof(struct api_capture_code) <= API_MESSAGE_MAX, "a message");
_Static_assert(sizeof(struct api_capture_part) <= API_MESSAGE_MAX, "a message");
