/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of a flow: who sends it, where it leads, whether it may. Asked for its first packet
 * and again after every change of routes, policy, egress or peers.
 */
#include <netinet/in.h>

#include "common/api/flow.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/flow/icmp_error.h"
#include "dataplane/flow/rewrite.h"
#include "dataplane/map/map.h"
#include "dataplane/nat/nat.h"
#include "dataplane/policy/policy.h"
#include "dataplane/port/port.h"
#include "dataplane/route/route.h"
#include "dataplane/wireguard/peer.h"

#include <rte_byteorder.h>

static bool refuse(struct flow_verdict *verdict, uint16_t reason)
{
	verdict->drop = reason;
	return false;
}

/* Peers are told why; a plain port learns nothing about what stands behind the gateway. */
static bool refuse_told(struct flow_verdict *verdict, const struct flow_key *key, uint16_t reason,
	enum icmp_error error)
{
	verdict->drop = reason;
	verdict->tell = flow_is_peer(key->ident);
	verdict->icmp = icmp_error_code(error, 0);
	return false;
}

static void lead_to_peer(
	struct flow_verdict *verdict, unsigned dir, uint32_t peer, const struct peer_view *view)
{
	verdict->role[dir] = GRAPH_SEAL;
	verdict->peer[dir] = peer;
	verdict->mtu[dir] = view->mtu;
}

/* The way back out of a plain port. An unknown neighbour is asked for, and can wait. */
static void lead_back_to_port(const struct flow_worker *w, struct flow_verdict *verdict,
	const struct port *port, const struct addr *src)
{
	struct route_hop hop;
	uint16_t out = port->id;
	const struct addr *next = src;

	if (route_underlay(w->copy, src, &hop) && hop.next == API_NEXT_PORT) {
		out = hop.port;
		if (hop.gateway.family != ADDR_NONE)
			next = &hop.gateway;
	}
	verdict->role[1] = GRAPH_SEND;
	verdict->port_out[1] = out;
	verdict->mtu[1] = port->mtu;
	verdict->adjacency[1] = neigh_find(w->copy, out, next);
	if (verdict->adjacency[1] == 0)
		verdict->flags[1] |= FLOW_UNRESOLVED;
}

/* Who sends this, is it his address, and how do answers reach him? */
static bool judge_sender(const struct flow_worker *w, const struct flow_asked *asked,
	const struct addr *src, struct flow_verdict *verdict)
{
	uint32_t ident = asked->key->ident;
	const struct port *port;
	struct peer_view view;

	if ((ident & API_IDENT_HOST) != 0) {
		verdict->role[1] = GRAPH_PUNT;
		return true;
	}
	if ((ident & API_IDENT_HAIRPIN) != 0) {
		verdict->role[1] = GRAPH_HAIRPIN;
		ident &= ~(uint32_t)API_IDENT_HAIRPIN;
		if (!peer_look(w->copy, ident, &view))
			return refuse(verdict, DROP(flow, PEER_GONE));
		verdict->set_id = view.set_id;
		return true;
	}
	if ((ident & API_IDENT_PORT) != 0) {
		port = port_get((uint16_t)(ident & FLOW_IDENT_MASK));
		if (port == NULL)
			return refuse(verdict, DROP(flow, NO_ROUTE));
		if (allowed_owner(w->copy, src) != 0 || route_is_overlay(w->copy, src))
			return refuse(verdict, DROP(flow, SPOOFED_OVERLAY));
		verdict->set_id = port->set_id[w->copy];
		lead_back_to_port(w, verdict, port, src);
		return true;
	}
	if (!peer_look(w->copy, ident, &view))
		return refuse(verdict, DROP(flow, PEER_GONE));
	if (!allowed_has(w->copy, ident, src))
		return refuse(verdict, DROP(flow, SPOOFED_INNER));
	verdict->set_id = view.set_id;
	lead_to_peer(verdict, 1, ident, &view);
	return true;
}

static bool ask_policy(const struct flow_worker *w, const struct flow_asked *asked,
	struct flow_verdict *verdict, bool to_host, bool to_exit)
{
	const struct flow_key *key = asked->key;
	struct policy_query query = {
		.set = verdict->set_id,
		.proto = key->proto,
		.icmp_type = asked->icmp_type,
		.dport = key->dport,
		.to_host = to_host,
		.to_exit = to_exit,
		.forwarded = asked->forwarded,
	};
	struct policy_answer answer;

	flow_key_src(key, &query.src);
	flow_key_dst(key, &query.dst);
	answer = policy_judge(w->copy, &query);
	verdict->rule = answer.rule;
	if (answer.allow)
		return true;
	return refuse_told(verdict, key, to_host ? DROP(flow, POLICY_HOST) : DROP(flow, POLICY),
		ICMP_ERROR_ADMIN);
}

static bool lead_to_host(
	const struct flow_worker *w, const struct flow_asked *asked, struct flow_verdict *verdict)
{
	if (!ask_policy(w, asked, verdict, true, false))
		return false;
	verdict->role[0] = GRAPH_PUNT;
	verdict->ident_back = API_IDENT_HOST;
	/* the kernel answers with the layer-2 header of its own choice */
	if (verdict->role[1] == GRAPH_SEND) {
		verdict->flags[1] = FLOW_KEEP_L2;
		verdict->adjacency[1] = 0;
	}
	return true;
}

/*
 * An address that is the NAT's too is divided by ports and identifiers. The kernel was told which
 * are not its own (control/host/reserved.c), but it does not ask for identifiers, and a program
 * may bind to any port: what leaves from one of the NAT's gets another one, like a subscriber's.
 */
static bool is_from_share(const struct flow_worker *w, const struct flow_key *key)
{
	const struct nat_address *address;
	struct addr src;

	flow_key_src(key, &src);
	address = nat_address_find(w->copy, &src);
	return address != NULL && nat_can_map(key->proto) && nat_port_in_share(address, key->sport);
}

/* The gateway's own packets: wherever its kernel sends them; answers are let in. */
static bool lead_from_host(const struct flow_worker *w, const struct flow_asked *asked,
	const struct addr *dst, struct flow_verdict *verdict)
{
	struct route_hop hop;
	struct peer_view view;
	uint32_t peer;

	verdict->masquerade = is_from_share(w, asked->key);
	if (asked->host_port != 0) {
		verdict->role[0] = GRAPH_SEND;
		verdict->flags[0] = FLOW_KEEP_L2;
		verdict->port_out[0] = asked->host_port;
		verdict->ident_back = API_IDENT_PORT | asked->host_port;
		return true;
	}
	if (route_overlay(w->copy, 0, dst, &hop) == ROUTE_FOUND && hop.next == API_NEXT_PEER) {
		peer = hop.peer;
		verdict->route_id = hop.route_id;
	} else {
		peer = allowed_owner(w->copy, dst);
	}
	if (peer == 0 || !peer_look(w->copy, peer, &view))
		return refuse(verdict, DROP(flow, NO_ROUTE));
	lead_to_peer(verdict, 0, peer, &view);
	verdict->ident_back = peer;
	return true;
}

/* The route's next hop of this source, underlay resolved. */
static bool find_hop(const struct flow_worker *w, const struct flow_key *key,
	const struct addr *dst, struct flow_verdict *verdict, struct route_hop *hop)
{
	enum route_status status = route_overlay(w->copy, verdict->set_id, dst, hop);
	struct route_hop under;

	if (status == ROUTE_CLOSED)
		return refuse_told(verdict, key, DROP(flow, EXIT_CLOSED), ICMP_ERROR_ADMIN);
	if (status == ROUTE_NONE) {
		if ((key->ident & API_IDENT_PORT) == 0)
			return refuse_told(verdict, key, DROP(flow, NO_ROUTE), ICMP_ERROR_NO_ROUTE);
		memset(hop, 0, sizeof(*hop));
		hop->next = API_NEXT_UNDERLAY;
	}
	if (hop->next != API_NEXT_UNDERLAY)
		return true;
	if (!route_underlay(w->copy, dst, &under))
		return refuse_told(verdict, key, DROP(flow, NO_ROUTE), ICMP_ERROR_NO_ROUTE);
	hop->next = under.next;
	hop->port = under.port;
	hop->gateway = under.gateway;
	return true;
}

/* A seen address without a real one: RFC 6296 has packets to it dropped (sections 3.4, 3.5). */
static bool stands_for_nothing(const struct flow_worker *w, uint32_t peer, const struct addr *dst)
{
	uint8_t real[16];

	memcpy(real, dst->bytes, 16);
	return map_is_final(w->copy, peer, dst->family, real) &&
	       !map_turn(w->copy, peer, dst->family, real);
}

static bool lead_to_hop(const struct flow_worker *w, const struct addr *dst,
	const struct route_hop *hop, struct flow_verdict *verdict)
{
	const struct port *port;
	struct peer_view view;

	if (hop->next == API_NEXT_PEER) {
		if (!peer_look(w->copy, hop->peer, &view))
			return refuse(verdict, DROP(flow, PEER_GONE));
		if (w->mapped && stands_for_nothing(w, hop->peer, dst))
			return refuse(verdict, DROP(flow, NO_ROUTE));
		lead_to_peer(verdict, 0, hop->peer, &view);
		verdict->ident_back = hop->peer;
		return true;
	}
	port = port_get(hop->port);
	if (port == NULL)
		return refuse(verdict, DROP(flow, NO_ROUTE));
	verdict->role[0] = GRAPH_SEND;
	verdict->port_out[0] = port->id;
	verdict->mtu[0] = port->mtu;
	verdict->ident_back = API_IDENT_PORT | port->id;
	verdict->adjacency[0] = neigh_find(
		w->copy, port->id, hop->gateway.family != ADDR_NONE ? &hop->gateway : dst);
	if (verdict->adjacency[0] == 0)
		return refuse(verdict, DROP(flow, NEIGH_UNKNOWN));
	return true;
}

/* Our own side of an egress address: only what flows asked for comes in there. */
static bool is_unsolicited(
	const struct flow_worker *w, const struct flow_key *key, const struct addr *dst)
{
	const struct nat_address *address = nat_address_find(w->copy, dst);

	/* a query is never an answer to a mapping's: it is for the host */
	if (address == NULL || key->proto == IPPROTO_ICMP || key->proto == IPPROTO_ICMPV6)
		return false;
	return nat_can_map(key->proto) && nat_port_in_share(address, key->dport);
}

/* RFC 3927 2.7, RFC 4291 2.5.6. */
static bool is_link_local(const struct addr *addr)
{
	if (addr->family == ADDR_V4)
		return addr->bytes[0] == 169 && addr->bytes[1] == 254;
	return addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
}

/* A forwarded port is no other's, neither the NAT's nor the kernel's. */
static const struct nat_forward *find_forward(
	const struct flow_worker *w, const struct flow_key *key, const struct addr *dst)
{
	if (key->proto != IPPROTO_TCP && key->proto != IPPROTO_UDP)
		return NULL;
	return nat_forward_find(w->copy, dst, key->proto, key->dport);
}

/* May it, as a flow to the inside of the forward? */
static bool ask_policy_inside(const struct flow_worker *w, const struct flow_asked *asked,
	const struct nat_forward *forward, struct flow_verdict *verdict)
{
	struct flow_key inside = *asked->key;
	struct flow_asked about = {.key = &inside, .forwarded = true};

	memcpy(inside.dst, forward->inside.bytes, 16);
	inside.dport = nat_forward_port(forward, inside.dport);
	return ask_policy(w, &about, verdict, false, false);
}

/*
 * From outside to a forwarded port. The forward itself is the permission to be routed there. What
 * another peer sends by way of our address was asked about where its own address was known.
 */
static bool lead_inside(const struct flow_worker *w, const struct flow_asked *asked,
	const struct nat_forward *forward, struct flow_verdict *verdict)
{
	const struct flow_key *key = asked->key;
	bool turned = (key->ident & API_IDENT_HAIRPIN) != 0;
	struct route_hop hop = {.next = API_NEXT_PEER};
	struct addr src;

	flow_key_src(key, &src);
	if (!nat_forward_admits(forward, &src))
		return refuse(verdict, DROP(flow, FORWARD_SOURCE));
	if (is_link_local(&src))
		return refuse(verdict, DROP(flow, LINK_LOCAL));
	if (!turned && !ask_policy_inside(w, asked, forward, verdict))
		return false;
	hop.peer = allowed_owner(w->copy, &forward->inside);
	if (hop.peer == 0 &&
		(!route_underlay(w->copy, &forward->inside, &hop) || hop.next != API_NEXT_PORT))
		return refuse(verdict, DROP(flow, NO_ROUTE));
	verdict->forward = (uint16_t)forward->id;
	verdict->inside = forward->inside;
	verdict->inside_port = nat_forward_port(forward, key->dport);
	/* of both passes of a hairpinned packet one takes from its TTL */
	verdict->flags[0] |= turned ? 0 : FLOW_TTL;
	verdict->flags[1] |= FLOW_TTL;
	return lead_to_hop(w, &forward->inside, &hop, verdict);
}

/*
 * From a peer to what the NAT has outside: judged and translated as if it left for the internet,
 * then in again as if it came from there, with the outside address and port (RFC 4787 REQ-9a).
 */
static bool lead_around(const struct flow_worker *w, const struct flow_asked *asked,
	const struct addr *dst, const struct nat_forward *forward, struct flow_verdict *verdict)
{
	struct route_hop hop;

	if (!find_hop(w, asked->key, dst, verdict, &hop))
		return false;
	if ((hop.flags & API_ROUTE_MASQUERADE) == 0)
		return refuse(verdict, DROP(flow, UNSOLICITED));
	if (forward != NULL && !ask_policy_inside(w, asked, forward, verdict))
		return false;
	if (!ask_policy(w, asked, verdict, false, (hop.flags & API_ROUTE_EXIT) != 0))
		return false;
	verdict->route_id = hop.route_id;
	verdict->masquerade = true;
	verdict->hairpin = true;
	verdict->role[0] = GRAPH_HAIRPIN;
	verdict->flags[0] |= FLOW_TTL;
	verdict->ident_back = API_IDENT_HAIRPIN;
	if (forward != NULL)
		verdict->ident_back |= allowed_owner(w->copy, &forward->inside);
	return true;
}

bool flow_judge(
	const struct flow_worker *w, const struct flow_asked *asked, struct flow_verdict *verdict)
{
	const struct flow_key *key = asked->key;
	struct addr src, dst;
	const struct nat_forward *forward;
	struct route_hop hop;
	uint16_t local_port;
	bool taken;

	memset(verdict, 0, sizeof(*verdict));
	flow_key_src(key, &src);
	flow_key_dst(key, &dst);
	if (!judge_sender(w, asked, &src, verdict))
		return false;
	if ((key->ident & API_IDENT_HOST) != 0)
		return lead_from_host(w, asked, &dst, verdict);
	forward = find_forward(w, key, &dst);
	taken = forward != NULL || is_unsolicited(w, key, &dst);
	if (taken && flow_is_peer(key->ident))
		return lead_around(w, asked, &dst, forward, verdict);
	if (forward != NULL)
		return lead_inside(w, asked, forward, verdict);
	if (taken || (key->ident & API_IDENT_HAIRPIN) != 0)
		return refuse(verdict, DROP(flow, UNSOLICITED));
	if (local_has(w->copy, &dst, &local_port))
		return lead_to_host(w, asked, verdict);
	if (is_link_local(&src) || is_link_local(&dst))
		return refuse(verdict, DROP(flow, LINK_LOCAL));
	if (!find_hop(w, key, &dst, verdict, &hop))
		return false;
	if (hop.next == API_NEXT_HOST)
		return lead_to_host(w, asked, verdict);
	if (!ask_policy(w, asked, verdict, false, (hop.flags & API_ROUTE_EXIT) != 0))
		return false;
	verdict->route_id = hop.route_id;
	verdict->masquerade =
		(hop.flags & API_ROUTE_MASQUERADE) != 0 &&
		!(w->mapped && map_is_final(w->copy, key->ident, key->family, key->src));
	verdict->flags[0] |= FLOW_TTL;
	verdict->flags[1] |= FLOW_TTL;
	return lead_to_hop(w, &dst, &hop, verdict);
}

/* Replacing one end: what it changes in the checksums, beside what is there. */
static void add_rewrite(struct flow_action *action, const struct flow_key *key,
	const uint8_t *old_addr, const uint8_t *new_addr, uint16_t old_port, uint16_t new_port)
{
	size_t size = key->family == ADDR_V4 ? 4 : 16;
	uint16_t old_be = rte_cpu_to_be_16(old_port), new_be = rte_cpu_to_be_16(new_port);
	uint16_t addr_delta = rewrite_delta(0, old_addr, new_addr, size);
	uint32_t l4_delta = action->l4_delta;

	action->l3_delta = rewrite_fold((uint32_t)action->l3_delta + addr_delta);
	/* of all of them only ICMPv4 has no pseudo-header in its checksum */
	if (key->proto != IPPROTO_ICMP)
		l4_delta += addr_delta;
	action->l4_delta = rewrite_delta(rewrite_fold(l4_delta), &old_be, &new_be, 2);
}

/* One direction's part: what its source becomes if `snat`, its destination if `dnat`. */
static void set_ends(struct flow *flow, unsigned dir, bool snat, bool dnat, const uint8_t *far)
{
	const struct flow_key *key = &flow->dir[dir].key, *other = &flow->dir[1 - dir].key;
	struct flow_action *action = &flow->dir[dir].action;
	bool icmp = key->proto == IPPROTO_ICMP || key->proto == IPPROTO_ICMPV6;

	if (snat) {
		action->flags |= FLOW_SNAT | (dnat ? FLOW_BOTH : 0);
		memcpy(action->addr, other->dst, 16);
	} else if (dnat) {
		action->flags |= FLOW_DNAT;
		memcpy(action->addr, far, 16);
	}
	if (snat && dnat)
		memcpy(flow->far[dir], far, 16);
	action->port = rte_cpu_to_be_16(snat && !icmp ? other->dport : other->sport);
}

/*
 * Packets of a direction leave with the ends that the other direction's packets come with. An ICMP
 * identifier is one for both ends, and counted with the near one, which a mapping replaces. What
 * one direction adds to the checksums the other one takes away.
 */
static void set_translation(struct flow_worker *w, struct flow *flow)
{
	const struct flow_key *there = &flow->dir[0].key, *back = &flow->dir[1].key;
	struct flow_action *action = &flow->dir[0].action, *reverse = &flow->dir[1].action;
	bool icmp = there->proto == IPPROTO_ICMP || there->proto == IPPROTO_ICMPV6;
	const uint8_t *near = there->src, *far = back->src;
	uint16_t far_port = icmp ? there->dport : back->sport;
	uint8_t real[2][16];
	bool near_turns, far_turns;

	if (unlikely(w->mapped)) {
		flow_source_of(w, there, real[0]);
		flow_source_of(w, back, real[1]);
		near = real[0];
		far = real[1];
	}
	near_turns = memcmp(near, back->dst, 16) != 0 || there->sport != back->dport;
	far_turns = memcmp(there->dst, far, 16) != 0 || there->dport != far_port;
	set_ends(flow, 0, near_turns, far_turns, far);
	set_ends(flow, 1, far_turns, near_turns, near);
	action->l3_delta = action->l4_delta = reverse->l3_delta = reverse->l4_delta = 0;
	if (near_turns)
		add_rewrite(action, there, near, back->dst, there->sport, back->dport);
	if (far_turns)
		add_rewrite(action, there, there->dst, far, there->dport, far_port);
	if (near_turns || far_turns) {
		reverse->l3_delta = (uint16_t)~action->l3_delta;
		reverse->l4_delta = (uint16_t)~action->l4_delta;
	}
}

void flow_set_actions(struct flow_worker *w, struct flow *flow, const struct flow_verdict *verdict)
{
	uint16_t mtu[2] = {verdict->mtu[0], verdict->mtu[1]};

	for (unsigned i = 0; i < 2; i++) {
		struct flow_action *action = &flow->dir[i].action;

		action->generation = w->generation;
		action->role = verdict->role[i];
		action->peer = verdict->peer[i];
		/* who is to be sent in again is found by his flow */
		action->adjacency = verdict->role[i] == GRAPH_HAIRPIN ? flow_index(&w->table, flow)
								      : verdict->adjacency[i];
		action->port_out = verdict->port_out[i];
		action->mtu = verdict->mtu[i];
		action->flags =
			(uint8_t)((action->flags & (FLOW_WATCH | FLOW_ASKED)) | verdict->flags[i]);
	}
	set_translation(w, flow);
	for (unsigned i = 0; i < 2; i++) {
		struct flow_action *action = &flow->dir[i].action;

		if ((action->flags & FLOW_TTL) != 0)
			action->l3_delta =
				rewrite_fold((uint32_t)action->l3_delta + rte_cpu_to_be_16(0xfeff));
	}
	if (mtu[0] == 0 || (mtu[1] != 0 && mtu[1] < mtu[0]))
		mtu[0] = mtu[1];
	flow->cold.mss_mtu = mtu[0];
	flow->cold.rule = verdict->rule;
	flow->cold.route_id = verdict->route_id;
	flow->cold.set_id = verdict->set_id;
}
