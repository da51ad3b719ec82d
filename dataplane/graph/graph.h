/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packet graph (rte_graph): which node does what, without the core naming a feature.
 *
 * A node that hands packets on asks for its edge by role: graph_edge("port_rx", GRAPH_FORWARD).
 * A feature's node takes a role in the feature's init: graph_take_role(GRAPH_FORWARD, "flow").
 * Edges are made after every init and before the graphs are created.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum graph_role {
	GRAPH_DROP,    /* "drop": count packet->drop and free */
	GRAPH_SEND,    /* "port_tx": out of packet->port_out by packet->adjacency */
	GRAPH_HANDOFF, /* "handoff_tx": to worker packet->to, going on at packet->next */
	GRAPH_FORWARD, /* judge and forward an IP packet from packet->ingress */
	GRAPH_PUNT,    /* to the kernel: the twin of packet->port_in, or the overlay interface */
	GRAPH_SEAL,    /* seal for packet->peer and send */
	GRAPH_OPEN,    /* a WireGuard message, data at the layer-3 header */
	GRAPH_ICMP, /* answer the sender with the ICMP error in packet->scratch[0] (icmp_error.h) */
	GRAPH_HAIRPIN, /* back to GRAPH_FORWARD as a packet from outside, once translated */
	GRAPH_HOLD,    /* wait (route/hold.h), then go on at packet->next; else packet->drop */
	GRAPH_ROLES,
};

void graph_take_role(enum graph_role role, const char *node);

/* Wants an edge from `node` to whoever has the role; *edge is valid once graphs are created. */
void graph_edge(const char *node, enum graph_role role, uint16_t *edge);

/* A source node of a feature's own, run once per loop of each worker. In init. */
void graph_add_source(const char *node);

/* The one source whose packets go before those of all others in a loop. In init. */
void graph_lead_source(const char *node);

/*
 * UDP datagrams to this port (host order) that arrive on a plain port go to `role` instead of
 * GRAPH_FORWARD; that node checks that the destination is local, and forwards it otherwise.
 * Main thread, at any time; workers see it within a loop.
 */
void graph_udp_service(uint16_t port, enum graph_role role);
void graph_udp_service_remove(uint16_t port);

/* The role of a UDP port, GRAPH_FORWARD if nobody serves it. Any thread. */
extern uint8_t graph_udp_roles[65536];

static inline enum graph_role graph_udp_role(uint16_t port)
{
	return (enum graph_role)__atomic_load_n(&graph_udp_roles[port], __ATOMIC_RELAXED);
}

struct rte_graph;

/* For dataplane/main: makes the edges and one graph per worker. 0 or -errno. */
int graph_create_all(unsigned workers) __attribute__((warn_unused_result));
struct rte_graph *graph_of(unsigned worker);
void graph_destroy_all(void);

/* The row of a node in what graph_fill() fills; UINT32_MAX if there is none. */
uint32_t graph_row(const char *node);

/* True for nodes that were added as sources. */
bool graph_is_source(const char *node);

/* Fills rows of struct api_count_node, summed over the workers; returns how many. */
uint32_t graph_fill(void *rows, uint32_t max);
