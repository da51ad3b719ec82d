/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Toy features behind the handler interface, so that transactions can be watched: ports (objects
 * with live state), policy rules (plain left-right rows) and interfaces (keys), and a stream of
 * flow entries. Time and the grace period are in the test's hands.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/api/table.h"

enum { TOY_RULES = 4096, TOY_LOG_MAX = 8192 };

struct toy_port {
	bool present;
	uint16_t mtu;
};

struct toy {
	/* What workers would read. */
	struct toy_port ports[2][API_PORT_MAX];
	uint32_t rules[2][TOY_RULES]; /* priority, 0 = none */
	/* Live state of ports: serial of the creation, 0 = none. */
	unsigned live[API_PORT_MAX];
	unsigned created;
	unsigned destroyed;
	unsigned changed;
	struct key keys[API_WG_INTERFACE_MAX];

	unsigned active;
	unsigned flips;
	uint64_t committed; /* generation of the last commit */
	bool grace_over;    /* answer of grace_done */
	unsigned grace_polls;
	uint64_t now_ns;
	uint64_t apply_cost_ns;
	unsigned prepare_again; /* -EAGAIN that often */
	int prepare_fails;      /* code of the rules' prepare */

	unsigned entries;   /* the stream's length */
	unsigned streamed;  /* so far */
	bool stream_paused; /* next() has nothing now */
	unsigned streams_open;

	unsigned applied;
	bool logging;
	char log[TOY_LOG_MAX]; /* one word per call, separated by blanks */
};

extern struct toy toy;

/* Zeroes the toy and registers its groups: "port", "policy", "wireguard". */
void toy_reset(void);

/* Callbacks for struct commit_options and struct session_options. */
uint64_t toy_clock(void *arg);
void toy_flip(unsigned active, void *arg);
void toy_grace_start(void *arg);
bool toy_grace_done(void *arg);
void toy_committed(uint64_t generation, void *arg);

/* Messages. */
struct api_port_set toy_port(uint16_t port, uint16_t mtu);
struct api_port_del toy_port_del(uint16_t port);
struct api_policy_set toy_rule(uint32_t rule, uint32_t priority);
struct api_txn_begin toy_begin(enum api_txn_mode mode, uint64_t base, uint64_t count);
struct api_txn_commit toy_commit(uint64_t generation);
