/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The counters memfd: written by the data plane's main thread about once a second from the
 * workers' private counters, mapped read-only by the control process. A section is a table of
 * fixed-size rows, read under the section's sequence (a seqlock: odd = being written). The
 * reader takes offsets and strides from a private, validated copy of the header.
 */
#pragma once

#include <stdint.h>

enum {
	API_COUNTERS_MAGIC = 0x53504354, /* "SPCT" */
	API_COUNTERS_SECTIONS = 16,
	API_COUNTER_NAME_MAX = 32,
	API_COUNTER_TEXT_MAX = 96,
};

enum api_section_id {
	API_SECTION_DROPS = 1,    /* struct api_count_drop, one per reason */
	API_SECTION_PEERS = 2,    /* struct api_count_peer, index = peer id */
	API_SECTION_PORTS = 3,    /* struct api_count_port, index = port id */
	API_SECTION_RULES = 4,    /* struct api_count_pair, index = policy rule id */
	API_SECTION_ROUTES = 5,   /* struct api_count_pair, index = route id */
	API_SECTION_EGRESS = 6,   /* struct api_count_egress, index = egress address id */
	API_SECTION_NODES = 7,    /* struct api_count_node */
	API_SECTION_WORKERS = 8,  /* struct api_count_worker, index = worker */
	API_SECTION_FORWARDS = 9, /* struct api_count_pair, index = forward id */
};

struct api_section {
	uint32_t id;
	uint32_t stride; /* bytes per row */
	uint32_t rows;   /* capacity */
	uint32_t used;   /* rows in use now */
	uint64_t offset; /* from the start of the memfd */
	uint32_t sequence;
	uint32_t zero;
};

struct api_counters {
	uint32_t magic;
	uint32_t sections;
	uint64_t updated_ns; /* CLOCK_MONOTONIC of the last round */
	uint64_t started_s;  /* Unix time at which the data plane started */
	uint64_t generation; /* of the last commit; 0 = none yet, nothing is forwarded */
	uint32_t workers;
	uint32_t applied_permille; /* of the transaction that is being applied; 0 = none is */
	char aead[16];             /* the implementation in use */
	struct api_section section[API_COUNTERS_SECTIONS];
	char x25519[16]; /* the implementation in use */
};

struct api_count_drop {
	char name[API_COUNTER_NAME_MAX]; /* "flow.no_route" */
	char text[API_COUNTER_TEXT_MAX]; /* for people */
	uint64_t packets;
};

struct api_count_peer {
	uint64_t rx_packets, rx_bytes; /* inner IP bytes that the peer sent us */
	uint64_t tx_packets, tx_bytes;
	uint64_t wire_rx_bytes, wire_tx_bytes; /* UDP payload, as `wg show` counts */
	uint64_t last_handshake_s;             /* Unix time; 0 = never */
	uint64_t flows;
};

struct api_count_port {
	uint64_t rx_packets, rx_bytes, rx_missed, rx_errors;
	uint64_t tx_packets, tx_bytes, tx_errors;
	uint64_t link_up;
};

struct api_count_pair {
	uint64_t packets, bytes; /* as the first packet of the flow went */
	uint64_t reply_packets, reply_bytes;
	uint64_t flows; /* opened so far */
};

struct api_count_egress {
	uint64_t tx_packets, tx_bytes; /* to the internet */
	uint64_t rx_packets, rx_bytes;
	uint64_t mappings;    /* in use now */
	uint64_t blocks_used; /* port blocks in use now, all protocols */
	uint64_t blocks_total;
	uint64_t refused; /* flows refused for want of a port */
};

struct api_count_node {
	char name[API_COUNTER_NAME_MAX];
	uint64_t calls, packets, cycles; /* TSC cycles */
};

struct api_count_worker {
	uint64_t busy_cycles, total_cycles; /* TSC */
	uint64_t sleeps;
	uint64_t handoff_out, handoff_in;
	uint64_t flows;
	int32_t cpu; /* where it ran last */
	uint32_t zero;
	uint64_t helped; /* bursts that it sealed or opened for other workers */
};
