/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports as nodes see them. Created and deleted by the main thread (API_PORT_SET, API_PORT_DEL),
 * constant in between; read by workers and the punt thread under the reader rules of worker.h.
 */
#pragma once

#include <rte_ether.h>

#include <stdbool.h>
#include <stdint.h>

#include "common/api/port.h"
#include "dataplane/main/config.h"

struct port {
	uint16_t id;   /* 1..API_PORT_MAX - 1 */
	uint16_t dpdk; /* DPDK's number */
	uint16_t mtu;  /* L3 bytes */
	uint16_t rx_queues;
	uint16_t tx_queues;
	bool partial_checksums; /* the driver may deliver unfinished checksums without saying so */
	bool tx_checksums;      /* the device finishes UDP and TCP checksums */
	struct rte_ether_addr mac;
	uint32_t set_id[2]; /* source set of what arrives here, by copy of the tables */
	char name[API_PORT_NAME_MAX];
	uint8_t rx_worker[DP_WORKERS_MAX]; /* for receive queue q: who polls it */
	uint8_t tx_worker[DP_WORKERS_MAX]; /* for worker w: who sends for it (itself or another) */
	uint16_t tx_queue[DP_WORKERS_MAX]; /* the queue of a sender */
};

/* NULL if there is none. Any reader. */
const struct port *port_get(uint16_t id);

/* Packets for the wire from a thread that is no worker go by way of this worker. */
unsigned port_sender(const struct port *port);

/* Called on the main thread when a port came up or is about to go; register in init. */
void port_on_change(void (*up)(const struct port *port), void (*down)(const struct port *port));

/* For dataplane/main, after EAL: the pool. 0 or -errno. */
int packet_pool_create(void) __attribute__((warn_unused_result));

/* Bytes that the pool's buffers hold beyond the headroom. */
uint16_t packet_pool_room(void);

/* Fills rows of struct api_count_port, row = port id; returns how many. Main thread. */
uint32_t port_fill(void *rows, uint32_t max);

/* The pool of all packet buffers; private size PACKET_PRIVATE_SIZE. Any thread. */
struct rte_mempool *packet_pool(void);
