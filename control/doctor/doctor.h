/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stands between a peer and the internet, looked at step by step, each step with its state
 * and, where something is wrong, what to type. Two lists: the machine (hugepages, network cards,
 * firewalls ...), which needs no daemon, and the gateway, which is what the daemon knows (who may,
 * what arrives, where it leaves). Each step is one row of a table with a function of its own.
 *
 * Only looks, changes nothing. The machine's checks read files below a root directory that tests
 * make themselves, but for the state of network devices, which comes from the kernel. Any thread;
 * the caller's structures are only read.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "control/compile/compile.h"
#include "control/model/model.h"

enum doctor_state {
	DOCTOR_OK,
	DOCTOR_ASK,  /* cannot be seen from here: what to type elsewhere */
	DOCTOR_SKIP, /* does not apply, or cannot be known */
	DOCTOR_WARN,
	DOCTOR_FAIL,
};

struct doctor_machine {
	const char *root;          /* "" for the real /sys, /proc and /etc */
	const struct model *model; /* NULL = no configuration to look at */
	const json_t *ruleset;     /* of `nft -j list ruleset`, NULL = unknown */
	bool running;              /* the daemon runs here: it has set up what it sets up */
};

/*
 * [{step, title, state, text, fix}]; state is "ok", "ask", "skip", "warn" or "fail", fix null
 * unless there is something to type. A new reference.
 */
json_t *doctor_machine(const struct doctor_machine *machine);

/* The rules of this network namespace; NULL and *error if they cannot be read. New reference. */
json_t *doctor_ruleset(int *error);

/* What has been counted of one peer, or 0. */
struct doctor_peer_figures {
	uint64_t handshake_s; /* Unix time; 0 = never */
	uint64_t rx_packets, tx_packets;
	uint64_t wire_rx_bytes;
	uint64_t flows;
	char endpoint[64]; /* "" = unknown */
};

struct doctor_gateway {
	const struct compiled *compiled;
	const struct desired *list; /* what the data plane has, neighbours too */
	const char *file;           /* of the configuration */
	const char *disconnected;   /* why there is no data plane; NULL = connected */
	uint64_t generation;
	uint64_t now_s; /* Unix time */
	/* The figures of a peer, by its place in the model. */
	void (*figures)(void *context, uint32_t index, struct doctor_peer_figures *figures);
	/* NULL if the port's link is up, else what is wrong with it. */
	const char *(*port_problem)(void *context, const struct model_port *port);
	/* How many flows an egress address has refused for want of a port. */
	uint64_t (*refused)(void *context, const struct addr *addr);
	void *context;
};

/* As doctor_machine(); of one peer's way to the internet and its networks if `peer` is given. */
json_t *doctor_gateway(const struct doctor_gateway *gateway, const struct model_peer *peer);

/* True if there is a finding of this state. */
bool doctor_has(const json_t *findings, enum doctor_state state);

/* "ok", "ask" ... */
const char *doctor_state_name(enum doctor_state state);
