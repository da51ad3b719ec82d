/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wires the nodes: features name the roles that their nodes take and the roles that they hand
 * packets to; the edges and one graph per worker are made once all features are initialised.
 * Main thread; the graphs then belong to the workers.
 */
#include "dataplane/graph/graph.h"

#include <rte_errno.h>
#include <rte_graph.h>
#include <rte_graph_worker.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/counters.h"
#include "common/base/log.h"
#include "dataplane/main/config.h"

LOG_TYPE(graph);

enum {
	WANTS_MAX = 256,
	SOURCES_MAX = 16,
	EDGES_MAX = 64,
	NODES_MAX = 64,
};

struct want {
	const char *node;
	enum graph_role role;
	uint16_t *edge;
};

uint8_t graph_udp_roles[65536] = {[0 ... 65535] = GRAPH_FORWARD};

static const char *role_nodes[GRAPH_ROLES] = {[GRAPH_DROP] = "drop"};
static struct want wants[WANTS_MAX];
static unsigned want_count;
static const char *sources[SOURCES_MAX];
static unsigned source_count;
static const char *leader;
static struct rte_graph *graphs[DP_WORKERS_MAX];
static rte_graph_t graph_ids[DP_WORKERS_MAX];
static unsigned graph_count;

static struct node_stats {
	const char *name;
	const struct rte_node *of[DP_WORKERS_MAX];
} stats[NODES_MAX];
static unsigned stats_count;

void graph_take_role(enum graph_role role, const char *node)
{
	assert(role < GRAPH_ROLES && role_nodes[role] == NULL);
	role_nodes[role] = node;
}

void graph_edge(const char *node, enum graph_role role, uint16_t *edge)
{
	assert(role < GRAPH_ROLES && want_count < WANTS_MAX);
	wants[want_count++] = (struct want){node, role, edge};
}

void graph_add_source(const char *node)
{
	assert(source_count < SOURCES_MAX);
	sources[source_count++] = node;
}

void graph_lead_source(const char *node)
{
	assert(leader == NULL);
	leader = node;
	graph_add_source(node);
}

void graph_udp_service(uint16_t port, enum graph_role role)
{
	__atomic_store_n(&graph_udp_roles[port], (uint8_t)role, __ATOMIC_RELAXED);
}

void graph_udp_service_remove(uint16_t port)
{
	graph_udp_service(port, GRAPH_FORWARD);
}

/* The number of the edge from a node to `next`, made if there is none. */
static int make_edge(rte_node_t node, const char *next, uint16_t *edge)
{
	char *names[EDGES_MAX];
	rte_edge_t count = rte_node_edge_count(node);

	if (count >= EDGES_MAX)
		return -ENOSPC;
	if (count != 0 && rte_node_edge_get(node, names) == RTE_NODE_ID_INVALID)
		return -EINVAL;
	for (rte_edge_t i = 0; i < count; i++) {
		if (strcmp(names[i], next) == 0) {
			*edge = i;
			return 0;
		}
	}
	if (rte_node_edge_update(node, RTE_EDGE_ID_INVALID, &next, 1) != 1)
		return -ENOMEM;
	*edge = count;
	return 0;
}

static int make_edges(void)
{
	for (unsigned i = 0; i < want_count; i++) {
		const struct want *want = &wants[i];
		const char *next = role_nodes[want->role];
		rte_node_t node = rte_node_from_name(want->node);
		int rc;

		/* A role that nobody takes in this build: the packets are dropped. */
		if (next == NULL)
			next = role_nodes[GRAPH_DROP];
		if (node == RTE_NODE_ID_INVALID || next == NULL ||
			rte_node_from_name(next) == RTE_NODE_ID_INVALID) {
			log_error(graph, "edge %s -> %s: no such node", want->node,
				next == NULL ? "(nobody)" : next);
			return -ENOENT;
		}
		rc = make_edge(node, next, want->edge);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static void collect_stats(unsigned worker, const struct rte_graph *graph)
{
	rte_graph_off_t offset;
	rte_node_t number;
	struct rte_node *node;

	rte_graph_foreach_node(number, offset, graph, node)
	{
		unsigned i = 0;

		while (i < stats_count && strcmp(stats[i].name, node->name) != 0)
			i++;
		if (i == NODES_MAX)
			continue;
		if (i == stats_count)
			stats[stats_count++].name = node->name;
		stats[i].of[worker] = node;
	}
}

/* A walk begins with the source node that was named last: the leader's place. */
static void order_sources(void)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < source_count; i++) {
		if (sources[i] != leader)
			sources[kept++] = sources[i];
	}
	if (kept < source_count)
		sources[kept] = leader;
}

static int create(unsigned worker)
{
	struct rte_graph_param param = {
		.socket_id = SOCKET_ID_ANY,
		.nb_node_patterns = (uint16_t)source_count,
		.node_patterns = sources,
	};
	char name[RTE_GRAPH_NAMESIZE];

	snprintf(name, sizeof(name), "worker%u", worker);
	graph_ids[worker] = rte_graph_create(name, &param);
	if (graph_ids[worker] == RTE_GRAPH_ID_INVALID) {
		log_error(graph, "%s: cannot create the graph: %s", name, rte_strerror(rte_errno));
		return rte_errno != 0 ? -rte_errno : -EINVAL;
	}
	graph_count = worker + 1;
	graphs[worker] = rte_graph_lookup(name);
	collect_stats(worker, graphs[worker]);
	return 0;
}

int graph_create_all(unsigned workers)
{
	int rc = make_edges();

	order_sources();
	for (unsigned worker = 0; rc == 0 && worker < workers; worker++)
		rc = create(worker);
	return rc;
}

struct rte_graph *graph_of(unsigned worker)
{
	return graphs[worker];
}

void graph_destroy_all(void)
{
	stats_count = 0;
	memset(stats, 0, sizeof(stats));
	for (unsigned worker = 0; worker < graph_count; worker++) {
		rte_graph_destroy(graph_ids[worker]);
		graphs[worker] = NULL;
	}
	graph_count = 0;
}

uint32_t graph_row(const char *node)
{
	for (unsigned i = 0; i < stats_count; i++) {
		if (strcmp(stats[i].name, node) == 0)
			return i;
	}
	return UINT32_MAX;
}

bool graph_is_source(const char *node)
{
	for (unsigned i = 0; i < source_count; i++) {
		if (strcmp(sources[i], node) == 0)
			return true;
	}
	return false;
}

uint32_t graph_fill(void *rows, uint32_t max)
{
	struct api_count_node *row = rows;
	uint32_t n = stats_count < max ? stats_count : max;

	for (uint32_t i = 0; i < n; i++) {
		snprintf(row[i].name, sizeof(row[i].name), "%s", stats[i].name);
		row[i].calls = row[i].packets = row[i].cycles = 0;
		for (unsigned worker = 0; worker < graph_count; worker++) {
			const volatile struct rte_node *node = stats[i].of[worker];

			if (node == NULL)
				continue;
			row[i].calls += node->total_calls;
			row[i].packets += node->total_objs;
			row[i].cycles += node->total_cycles;
		}
	}
	return n;
}
