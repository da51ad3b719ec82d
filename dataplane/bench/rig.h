/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rig of a benchmark: this process's own data plane as a gateway with one worker between two
 * ring devices, `wan` with peers behind it and `inet` with a server, and sessions whose keys the
 * benchmark knows. No NIC, no hugepages, no handshake thread. Everything runs on one thread.
 */
#pragma once

#include <stdint.h>

struct aead;
struct args;
struct rte_ring;
struct worker;

enum {
	RIG_PORT_WAN = 1,
	RIG_PORT_INET = 2,
	RIG_LISTEN = 51820,
	RIG_CLIENT_PORT = 40000,
	RIG_TUNNEL_MTU = 1420,
	RIG_RING = 1024, /* packets that a wire holds */
};

#define RIG_WAN_ADDR    RTE_IPV4(198U, 51, 100, 2)
#define RIG_CLIENT_ADDR RTE_IPV4(198U, 51, 100, 9)
#define RIG_INET_ADDR   RTE_IPV4(203U, 0, 113, 2)
#define RIG_EGRESS_ADDR RTE_IPV4(203U, 0, 113, 5)
#define RIG_SERVER_ADDR RTE_IPV4(203U, 0, 113, 80)
#define RIG_INSIDE_NET  RTE_IPV4(100, 64, 0, 0) /* /10, all of it the first peer's, but for ... */
#define RIG_OTHERS_NET  RTE_IPV4(100, 96, 0, 0) /* an address of each other peer, by its number */

/* The two ends of a ring device, seen from outside. */
struct wire {
	struct rte_ring *to_port, *from_port;
};

struct rig {
	struct wire wan, inet;
	struct worker *worker;
	struct aead *aead; /* the far peer's own */
	uint8_t key_up[32], key_down[32];
	unsigned peers;
	struct rig_session {
		uint32_t local_index; /* of the gateway's end of the session */
		uint64_t counter;     /* the next one that the far peer seals with */
	} * sessions;                 /* of each peer; all have the same two keys */
};

/* Starts EAL and the data plane, and programs the gateway with so many peers; aead as aead_select()
 * takes it. */
void rig_start(struct rig *rig, struct args *args, const char *aead, unsigned peers);

/* So many routes besides, of the overlay and, by way of the server, of the underlay, with lengths
 * as in the internet's table. behind[i] becomes an address behind one of them. */
void rig_add_routes(struct rig *rig, unsigned routes, uint32_t *behind, unsigned addresses);

/* One walk of the worker's graph; returns the TSC cycles that it took. */
uint64_t rig_walk(struct rig *rig);

/* Ends the process with what failed; rc is a negative errno. */
void rig_die(const char *what, int rc) __attribute__((noreturn));
