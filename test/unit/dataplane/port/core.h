/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The core of the data plane in a test: EAL, pool, hand-off, ports over rings in memory, workers,
 * and a forwarding node of the test's own that sends what it gets on port 1 out of port 2, after
 * a hop to worker (UDP destination port modulo workers).
 */
#pragma once

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <stdbool.h>
#include <stdint.h>

#include "common/api/port.h"
#include "dataplane/main/config.h"
#include "dataplane/main/txn.h"

enum { CORE_QUEUES_MAX = 4, CORE_DEADLINE_MS = 30000 };

struct core_port {
	const char *device;
	struct rte_ring *rx[CORE_QUEUES_MAX]; /* what is put here arrives */
	struct rte_ring *tx[CORE_QUEUES_MAX]; /* what was sent */
	unsigned queues;
};

/* Everything but ports and workers. 0 or -errno. */
int core_start(unsigned workers, enum dp_idle idle);
int core_launch(void);
void core_stop(void);

int core_add_rings(struct core_port *port, const char *device, unsigned queues);

/* One transaction through the handlers; n messages of their own sizes. 0 or a code. */
int core_commit(bool full, const void *const *messages, unsigned n);

struct api_port_set core_port_set(uint16_t id, const char *device);

/* An Ethernet frame with IPv4 UDP, destination port `dport`, `sequence` as payload. */
struct rte_mbuf *core_frame(const uint8_t *mac, uint16_t dport, uint32_t sequence);

/* Calls until true or the deadline; false = deadline. */
bool core_wait(bool (*done)(void *arg), void *arg);

extern uint64_t core_punted; /* packets that reached GRAPH_PUNT */
