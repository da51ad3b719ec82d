/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the data plane is started with: its command line, parsed once, constant afterwards.
 * Everything else arrives through the rings.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	DP_WORKERS_MAX = 32, /* five bits in a WireGuard receiver index */
};

enum dp_idle {
	DP_IDLE_ADAPTIVE, /* wait on descriptors when there is nothing to do */
	DP_IDLE_POLL,     /* never sleep: for dedicated cores */
};

/* Whether workers lend sealing and opening to each other. */
enum dp_lend {
	DP_LEND_AUTO, /* when one has too much of it and others have time; not on shared cores */
	DP_LEND_ALWAYS,
	DP_LEND_OFF,
};

struct dp_config {
	unsigned workers; /* 1..DP_WORKERS_MAX */
	enum dp_idle idle;
	enum dp_lend lend;
	bool cores_shared; /* more threads than cores */
	const char *socket_path;
	const char *aead;         /* forced implementation, or NULL */
	const char *x25519;       /* likewise */
	const char *overlay_name; /* of the overlay interface; NULL: none (benchmarks) */
	uint32_t max_peers;       /* highest peer id + 1 */
	uint32_t max_flows;       /* over all workers */
	uint32_t max_routes;      /* per table */
	uint32_t max_rules;       /* policy rules */
	uint32_t mbufs;           /* in the packet pool */
	uint16_t mtu_max;         /* of any port: sizes the mbufs */
};

/* Valid from the end of argument parsing to exit; any thread. */
const struct dp_config *dp_config(void);
