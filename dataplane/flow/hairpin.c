/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hairpinning (RFC 4787 REQ-9, RFC 5382 REQ-8, RFC 5508 REQ-7): a peer's packet to an address of
 * ours is translated at the home of that peer's flow, as for any destination outside, and comes in
 * again from there, with its outside address and port as the source:
 *
 *	a -> E:pb    flow of a, at a's home    E:pa -> E:pb    flow of b, at b's home    E:pa -> b
 *
 * So each of the two flows is an ordinary one, filters as ordinary ones do, and lives where it
 * would live anyway. What comes in again has the identity API_IDENT_HAIRPIN | peer.
 *
 * The NAT is no way around the policy. A flow that was opened towards an outside address of
 * another inside host lets that host in only if the policy lets one of the two reach the other; it
 * is asked when the other one's first packet arrives, which brings his inside address along, and
 * again after each change. Towards a port forward it is asked when the flow is opened (judge.c).
 */
#include <netinet/in.h>

#include "common/api/flow.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/nat/nat.h"
#include "dataplane/policy/policy.h"
#include "dataplane/wireguard/peer.h"

/* Places in struct packet's scratch; the first word is the ICMP error's. */
enum { SCRATCH_PORT = 1, SCRATCH_ADDR = 2 };

/* One inside host of two. */
struct side {
	uint32_t set;
	struct addr addr;
	uint16_t port;
};

uint16_t flow_hairpin_turn(struct flow_worker *w, struct rte_mbuf *mbuf)
{
	struct packet *packet = packet_of(mbuf);
	const struct flow *flow = &w->table.flows[packet->adjacency];
	unsigned dir = flow->dir[0].action.role == GRAPH_HAIRPIN ? 0 : 1;
	const struct flow_key *sender = &flow->dir[dir].key;
	bool known = flow_is_peer(sender->ident) && sender->ident == packet->ingress;

	packet->scratch[SCRATCH_PORT] = sender->sport;
	memcpy(&packet->scratch[SCRATCH_ADDR], sender->src, sizeof(sender->src));
	/* a host on a plain network, or a flow that went between the two nodes: nobody's */
	packet->ingress = API_IDENT_HAIRPIN | (known ? sender->ident : 0);
	packet->flags &=
		(uint16_t) ~(PACKET_AT_HOME | PACKET_NO_ANSWER | PACKET_TO_MEETING | PACKET_MET);
	packet->port_in = 0;
	packet->adjacency = 0;
	return packet_parse(mbuf);
}

static bool may_reach(const struct flow_worker *w, const struct side *from, const struct side *to,
	uint8_t proto, bool forwarded)
{
	struct policy_query query = {
		.set = from->set,
		.src = from->addr,
		.dst = to->addr,
		.proto = proto,
		.dport = to->port,
		.forwarded = forwarded,
	};

	return policy_judge(w->copy, &query).allow;
}

/* May the owner of the flow and this other one meet, whoever opens? */
static bool may_meet(
	const struct flow_worker *w, const struct flow *flow, uint32_t ident, struct side *other)
{
	const struct flow_key *key = &flow->dir[0].key;
	struct side own = {.set = flow->cold.set_id, .port = key->sport};
	struct peer_view view;
	struct addr dst;
	bool forwarded;

	if (!peer_look(w->copy, ident & ~(uint32_t)API_IDENT_HAIRPIN, &view))
		return false;
	other->set = view.set_id;
	other->addr.family = key->family;
	flow_key_src(key, &own.addr);
	flow_key_dst(key, &dst);
	forwarded = nat_forward_find(w->copy, &dst, key->proto, key->dport) != NULL;
	return may_reach(w, &own, other, key->proto, forwarded) ||
	       may_reach(w, other, &own, key->proto, false);
}

bool flow_hairpin_admit(struct flow_worker *w, struct flow *flow, struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of(mbuf);
	struct side other = {.port = (uint16_t)packet->scratch[SCRATCH_PORT]};

	/* where fragments meet they use the same scratch */
	if ((packet->flags & (PACKET_FRAGMENT | PACKET_FIRST_FRAGMENT)) != 0)
		return false;
	memcpy(other.addr.bytes, &packet->scratch[SCRATCH_ADDR], sizeof(other.addr.bytes));
	if (!may_meet(w, flow, packet->ingress, &other))
		return false;
	memcpy(flow->dir[1].key.behind, other.addr.bytes, sizeof(other.addr.bytes));
	flow->cold.behind_port = other.port;
	return true;
}

bool flow_hairpin_stands(const struct flow_worker *w, const struct flow *flow)
{
	const struct flow_key *back = &flow->dir[1].key;
	struct side other = {.port = flow->cold.behind_port};

	memcpy(other.addr.bytes, back->behind, sizeof(back->behind));
	return may_meet(w, flow, back->ident, &other);
}
