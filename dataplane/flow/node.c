/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The graph's view of flows:
 *
 *	flow        (GRAPH_FORWARD) known flows; what it does not know goes to flow_slow
 *	flow_slow   first packets, flows of other workers, flows to be judged anew
 *	icmp_error  (GRAPH_ICMP)
 *	hairpin     (GRAPH_HAIRPIN) what goes back to flow as if it came from outside
 */
#include <rte_graph.h>
#include <rte_graph_worker.h>

#include "dataplane/flow/flow_node.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/flow/fragment.h"
#include "dataplane/graph/enqueue.h"
#include "dataplane/main/worker.h"
#include "dataplane/route/route.h"

enum { EDGE_SLOW = 0 }; /* the one edge of "flow" that is its own */

static const enum graph_role roles_used[] = {
	GRAPH_DROP,
	GRAPH_SEND,
	GRAPH_HANDOFF,
	GRAPH_PUNT,
	GRAPH_SEAL,
	GRAPH_OPEN,
	GRAPH_ICMP,
	GRAPH_HOLD,
	GRAPH_FORWARD,
	GRAPH_HAIRPIN,
};

static uint16_t edges_flow[FLOW_EDGES]; /* by role; set before graphs are created */
static uint16_t edges_slow[FLOW_EDGES];
static uint16_t edges_icmp[FLOW_EDGES];
static uint16_t edge_again; /* of the hairpin node */
static uint16_t edge_drop;

static struct flow_worker *refresh(void)
{
	const struct worker *worker = worker_self();
	struct flow_worker *w = flow_worker_get(worker->id);

	flow_worker_refresh(w, worker->copy, worker->now_ms);
	return w;
}

static void scatter(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n,
	const uint8_t *roles, const uint16_t *edges)
{
	uint16_t next[RTE_GRAPH_BURST_SIZE];

	for (uint16_t i = 0; i < n; i++)
		next[i] = edges[roles[i]];
	graph_enqueue(graph, node, objs, next, n);
}

/* All packets to their edges; a burst that stays together is moved as one. */
static void enqueue(struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n,
	const uint8_t *roles, const uint16_t *edges)
{
	uint16_t same = 1;

	while (same < n && roles[same] == roles[0])
		same++;
	if (same == n && objs == node->objs) {
		rte_node_next_stream_move(graph, node, edges[roles[0]]);
		return;
	}
	scatter(graph, node, objs, n, roles, edges);
}

static uint16_t process_flow(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	struct flow_worker *w = refresh();
	uint8_t roles[RTE_GRAPH_BURST_SIZE];

	for (uint16_t done = 0; done < n; done += RTE_GRAPH_BURST_SIZE) {
		uint16_t count = RTE_MIN((uint16_t)(n - done), (uint16_t)RTE_GRAPH_BURST_SIZE);

		flow_fast(w, (struct rte_mbuf **)objs + done, count, roles);
		/* all of them, or a part of them that must not be moved as a whole */
		if (count == n)
			enqueue(graph, node, objs, n, roles, edges_flow);
		else
			scatter(graph, node, objs + done, count, roles, edges_flow);
	}
	return n;
}

/* Only the neighbour is missing: the packet waits for it and then comes here again. */
static uint8_t wait_or_drop(struct rte_mbuf *mbuf, uint8_t role)
{
	struct packet *packet = packet_of(mbuf);

	if (role != GRAPH_DROP || packet->drop != DROP(flow, NEIGH_UNKNOWN))
		return role;
	packet->next = GRAPH_FORWARD;
	return GRAPH_HOLD;
}

/* Where the judgement of these packets will look for their ends. */
static void look_ahead(const struct flow_worker *w, void **objs, uint16_t n)
{
	struct route_ahead ends[ROUTE_AHEAD_MAX];

	if (!route_is_large(w->copy))
		return;
	for (uint16_t i = 0; i < n; i++) {
		struct flow_key key;

		flow_key_of(w, objs[i], &key);
		flow_key_src(&key, &ends[i].src);
		flow_key_dst(&key, &ends[i].dst);
		ends[i].from_peer = flow_is_peer(key.ident);
	}
	route_look_ahead(w->copy, ends, n);
}

static uint16_t process_slow(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	struct flow_worker *w = refresh();

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *mbuf = objs[i];
		uint8_t role = FLOW_TO_SLOW;

		if (i % ROUTE_AHEAD_MAX == 0)
			look_ahead(
				w, objs + i, RTE_MIN((uint16_t)(n - i), (uint16_t)ROUTE_AHEAD_MAX));

		do {
			if (role == FLOW_TO_SLOW)
				role = wait_or_drop(mbuf, flow_slow(w, mbuf));
			if (role != FLOW_HELD)
				rte_node_enqueue_x1(graph, node, edges_slow[role], mbuf);
		} while ((mbuf = flow_fragment_next(w, &role)) != NULL);
	}
	return n;
}

static uint16_t process_icmp(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	struct flow_worker *w = refresh();

	for (uint16_t i = 0; i < n; i++) {
		uint8_t role;
		struct rte_mbuf *reply = flow_tell(w, objs[i], &role);

		if (reply != NULL)
			rte_node_enqueue_x1(graph, node, edges_icmp[role], reply);
		rte_node_enqueue_x1(graph, node, edges_icmp[GRAPH_DROP], objs[i]);
	}
	return n;
}

static uint16_t process_hairpin(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	struct flow_worker *w = refresh();

	for (uint16_t i = 0; i < n; i++) {
		uint16_t reason = flow_hairpin_turn(w, objs[i]);

		packet_of(objs[i])->drop = reason;
		rte_node_enqueue_x1(
			graph, node, reason == DROP_NONE ? edge_again : edge_drop, objs[i]);
	}
	return n;
}

static struct rte_node_register node_hairpin = {
	.name = "hairpin",
	.process = process_hairpin,
};
RTE_NODE_REGISTER(node_hairpin);

static struct rte_node_register node_flow = {
	.name = "flow",
	.process = process_flow,
	.nb_edges = 1,
	.next_nodes = {[EDGE_SLOW] = "flow_slow"},
};
RTE_NODE_REGISTER(node_flow);

static struct rte_node_register node_slow = {
	.name = "flow_slow",
	.process = process_slow,
};
RTE_NODE_REGISTER(node_slow);

static struct rte_node_register node_icmp = {
	.name = "icmp_error",
	.process = process_icmp,
};
RTE_NODE_REGISTER(node_icmp);

void flow_node_init(void)
{
	graph_take_role(GRAPH_FORWARD, "flow");
	graph_take_role(GRAPH_ICMP, "icmp_error");
	graph_take_role(GRAPH_HAIRPIN, "hairpin");
	graph_edge("hairpin", GRAPH_FORWARD, &edge_again);
	graph_edge("hairpin", GRAPH_DROP, &edge_drop);
	edges_flow[FLOW_TO_SLOW] = EDGE_SLOW;
	for (unsigned i = 0; i < sizeof(roles_used) / sizeof(roles_used[0]); i++) {
		enum graph_role role = roles_used[i];

		if (role != GRAPH_FORWARD) {
			graph_edge("flow", role, &edges_flow[role]);
			graph_edge("flow_slow", role, &edges_slow[role]);
		}
		if (role != GRAPH_ICMP && role != GRAPH_HANDOFF)
			graph_edge("icmp_error", role, &edges_icmp[role]);
	}
}
