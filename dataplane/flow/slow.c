/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that the fast path did not know: of flows that live on another worker, first packets,
 * flows to be judged anew, and another identity's hits.
 */
#include <errno.h>

#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_prefetch.h>
#include <rte_tcp.h>

#include <netinet/in.h>

#include "common/api/flow.h"
#include "common/api/port.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/flow/fragment.h"
#include "dataplane/flow/icmp_error.h"
#include "dataplane/nat/nat.h"
#include "dataplane/route/route.h"

enum {
	ICMP4_ECHO = 8,
	ICMP4_TIMESTAMP = 13,
	ICMP6_ECHO = 128,
	ICMP6_ND_FIRST = 133,
	ICMP6_ND_LAST = 137,
};

static bool is_query(const struct packet *packet)
{
	if (packet->proto == IPPROTO_ICMP)
		return packet->icmp_type == ICMP4_ECHO || packet->icmp_type == ICMP4_TIMESTAMP;
	return packet->icmp_type == ICMP6_ECHO;
}

static bool is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

/* RFC 1122 3.2.1.3, RFC 4291 2.7, 2.5.2, 2.5.3: not an address of one host. */
static bool is_strange(uint8_t family, const uint8_t *addr)
{
	static const uint8_t loopback6[16] = {[15] = 1}, none6[16];

	if (family == ADDR_V4)
		return addr[0] >= 224 || addr[0] == 127 || addr[0] == 0;
	return addr[0] == 0xff || memcmp(addr, loopback6, 16) == 0 || memcmp(addr, none6, 16) == 0;
}

static bool is_neighbour_discovery(struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of(mbuf);

	return packet->proto == IPPROTO_ICMPV6 && packet->icmp_type >= ICMP6_ND_FIRST &&
	       packet->icmp_type <= ICMP6_ND_LAST &&
	       rte_pktmbuf_mtod(mbuf, const struct rte_ipv6_hdr *)->hop_limits == 255;
}

/* From the kernel by way of a port's twin, not of the overlay interface. */
static bool is_from_twin(const struct packet *packet)
{
	return (packet->ingress & API_IDENT_HOST) != 0 && (packet->ingress & FLOW_IDENT_MASK) != 0;
}

/* Sent as the kernel made it; without a flow. */
static uint8_t send_for_host(struct rte_mbuf *mbuf)
{
	struct packet *packet = packet_of(mbuf);

	packet->port_out = (uint16_t)(packet->ingress & FLOW_IDENT_MASK);
	packet->flags |= PACKET_KEEP_L2;
	packet->adjacency = 0;
	return GRAPH_SEND;
}

/* What has no flow and needs none, or can have none. True: *role is where it goes. */
static bool settle_strange(struct rte_mbuf *mbuf, const struct flow_key *key, uint8_t *role)
{
	const struct packet *packet = packet_of(mbuf);
	bool host_port =
		(packet->ingress & API_IDENT_HOST) != 0 && (packet->ingress & FLOW_IDENT_MASK) != 0;

	if (is_neighbour_discovery(mbuf)) {
		if (host_port) {
			*role = send_for_host(mbuf);
			return true;
		}
		if ((packet->ingress & API_IDENT_PORT) != 0) {
			*role = GRAPH_PUNT;
			return true;
		}
	}
	if (!is_strange(key->family, key->src) && !is_strange(key->family, key->dst))
		return false;
	*role = host_port ? send_for_host(mbuf) : flow_drop(mbuf, DROP(flow, MULTICAST));
	return true;
}

bool flow_may_carry(const struct flow_worker *w, const struct flow_key *key, uint32_t ident)
{
	struct route_hop hop;
	struct addr src;

	if (((ident | key->ident) & API_IDENT_HAIRPIN) != 0 || ident == API_IDENT_HOST ||
		key->ident == API_IDENT_HOST ||
		(ident & API_IDENT_PORT) != (key->ident & API_IDENT_PORT))
		return false;
	flow_key_src(key, &src);
	if ((ident & API_IDENT_PORT) == 0)
		return allowed_has(w->copy, ident, &src) && allowed_has(w->copy, key->ident, &src);
	return route_underlay(w->copy, &src, &hop) && hop.next == API_NEXT_PORT &&
	       hop.port == (ident & FLOW_IDENT_MASK);
}

/* A packet of this direction, but from somebody else: if he may carry it, the flow moves over.
 * Anything else is forged. */
bool flow_adopt(struct flow_worker *w, struct flow *flow, unsigned dir, struct rte_mbuf *mbuf,
	uint32_t ident)
{
	const struct flow_key *key = &flow->dir[dir].key;
	/* as the first one's, if it is a forward's: asked where it was sent */
	bool may = (ident & key->ident & API_IDENT_HAIRPIN) != 0
			   ? dir == 0 || flow_hairpin_admit(w, flow, mbuf)
			   : flow_may_carry(w, key, ident);

	if (!may)
		return false;
	flow_move(w, flow, dir, ident);
	return true;
}

static uint8_t carry_known(
	struct flow_worker *w, struct rte_mbuf *mbuf, uint32_t slot, const struct flow_key *key)
{
	struct flow *flow = &w->table.flows[slot >> 1];
	unsigned dir = slot & 1;
	uint16_t reason;

	if ((flow->dir[dir].action.flags & FLOW_ASKED) != 0 && flow_hand_to_asker(w, mbuf, key))
		return GRAPH_HANDOFF;
	if (flow->dir[dir].key.ident != key->ident && !flow_adopt(w, flow, dir, mbuf, key->ident))
		return flow_drop(mbuf, (key->ident & API_IDENT_HAIRPIN) != 0
					       ? DROP(flow, HAIRPIN)
					       : DROP(flow, FORGED_TUPLE));
	if (flow->dir[dir].action.generation != w->generation ||
		(flow->dir[dir].action.flags & FLOW_UNRESOLVED) != 0) {
		enum flow_rejudged answer = flow_rejudge(w, flow, &reason);

		if (answer == FLOW_CUT)
			flow_delete(w, flow);
		if (answer != FLOW_STANDS)
			return flow_drop(mbuf, reason);
		if ((flow->dir[dir].action.flags & FLOW_UNRESOLVED) != 0)
			return flow_drop(mbuf, DROP(flow, NEIGH_UNKNOWN));
		/* the policy does not let this one in any more */
		if ((key->ident & API_IDENT_HAIRPIN) != 0 && flow->dir[dir].key.ident != key->ident)
			return flow_drop(mbuf, DROP(flow, HAIRPIN));
	}
	return flow_carry(w, mbuf, flow, dir);
}

static uint64_t count_half_open(const struct flow_worker *w, uint32_t ident)
{
	if ((ident & API_IDENT_PORT) != 0)
		return w->port_half_open[ident & (API_PORT_MAX - 1)];
	return ident < w->peers_max ? w->peers[ident].half_open : 0;
}

/* Flows that this sender opened on this worker. The kernel's are not bounded apart. */
static uint64_t count_owned(const struct flow_worker *w, uint32_t ident)
{
	if ((ident & API_IDENT_PORT) != 0)
		return w->port_owned[ident & (API_PORT_MAX - 1)];
	return ident < w->peers_max ? w->peers[ident].flows : 0;
}

/* The last to be asked: a flow that is refused for another reason takes nothing from its sender. */
static uint16_t check_rate(struct flow_worker *w, uint32_t ident)
{
	uint32_t rate = flow_limits(w)->new_per_s;
	struct flow_sender *sender = flow_sender_of(w, ident);

	if (rate == 0 || sender == NULL || flow_take_token(&sender->opened, w->now_ms, rate, rate))
		return 0;
	return DROP(flow, PEER_RATE);
}

uint16_t flow_check_bounds(struct flow_worker *w, const struct flow_key *key)
{
	const struct flow_limits *limits = flow_limits(w);
	uint32_t flows = limits->flows != 0 ? limits->flows : w->owner_max;
	uint32_t half_open = limits->half_open != 0 ? limits->half_open : w->owner_half_open_max;

	if (w->table.free == FLOW_NONE)
		return DROP(flow, TABLE_FULL);
	if (count_owned(w, key->ident) >= flows)
		return DROP(flow, PEER_FULL);
	if (key->proto == IPPROTO_TCP) {
		if (count_half_open(w, key->ident) >= half_open)
			return DROP(flow, PEER_HALF_OPEN);
		if (w->half_open >= w->half_open_max)
			return DROP(flow, HALF_OPEN_FULL);
	}
	return check_rate(w, key->ident);
}

/*
 * Both directions into the table. What somebody sends to itself, from a port to the same one or as
 * an ICMP query, looks like its own answer: then direction 0 is all there is, and leads back.
 */
static uint16_t enter(struct flow_worker *w, struct flow *flow)
{
	int error = flow_table_insert(&w->table, flow, 0);

	if (error == 0 && !flow_key_equal(&flow->dir[0].key, &flow->dir[1].key)) {
		error = flow_table_insert(&w->table, flow, 1);
		if (error != 0)
			flow_table_remove(&w->table, flow, 0);
	}
	if (error == 0)
		return 0;
	return error == -EEXIST ? DROP(flow, ANSWER_TAKEN) : DROP(flow, TABLE_FULL);
}

uint16_t flow_build(struct flow_worker *w, struct flow *flow, const struct flow_key *key,
	const struct flow_verdict *verdict)
{
	struct flow_key *back = &flow->dir[1].key;
	uint16_t reason = 0;

	flow->dir[0].key = *key;
	*back = *key;
	memcpy(back->src, key->dst, 16);
	memcpy(back->dst, key->src, 16);
	back->sport = key->dport;
	back->dport = key->sport;
	back->ident = verdict->ident_back;
	if (verdict->forward != 0) {
		memcpy(back->src, verdict->inside.bytes, 16);
		back->sport = verdict->inside_port;
		flow->cold.forward = verdict->forward;
	}
	if (verdict->masquerade)
		reason = flow_masquerade(w, flow, verdict->set_id);
	if (reason != 0)
		return reason;
	back->hash = flow_hash(&w->table, back);
	rte_prefetch0_write(&w->table.buckets[back->hash & w->table.mask]);
	flow_set_actions(w, flow, verdict);
	reason = enter(w, flow);
	if (reason != 0)
		flow_unmap(w, flow);
	return reason;
}

static uint8_t refuse(struct rte_mbuf *mbuf, const struct flow_verdict *verdict)
{
	struct packet *packet = packet_of(mbuf);

	packet->drop = verdict->drop;
	if (!verdict->tell)
		return GRAPH_DROP;
	packet->scratch[0] = verdict->icmp;
	return GRAPH_ICMP;
}

/*
 * A connection that was masqueraded before the data plane was started anew, or was forgotten: the
 * peer hears at once that it is over, instead of sending into silence. The outside is not told:
 * anybody's segments come from there.
 */
static uint8_t refuse_segment(struct rte_mbuf *mbuf)
{
	struct packet *packet = packet_of(mbuf);
	uint8_t tcp_flags =
		rte_pktmbuf_mtod_offset(mbuf, struct rte_tcp_hdr *, packet->l4)->tcp_flags;

	if (!flow_is_peer(packet->ingress) || (tcp_flags & RTE_TCP_RST_FLAG) != 0)
		return GRAPH_DROP;
	packet->scratch[0] = icmp_error_code(ICMP_ERROR_RESET, 0);
	return GRAPH_ICMP;
}

/*
 * What a peer is told when there is no room for its flow: that it may not have more (RFC 5508
 * REQ-8), or that nobody can have more now (RFC 6888 REQ-11). A plain port is told nothing.
 */
static uint8_t refuse_flow(struct rte_mbuf *mbuf, uint16_t reason)
{
	struct packet *packet = packet_of(mbuf);
	bool exhausted = reason == DROP(flow, PORTS_EXHAUSTED) || reason == DROP(flow, TABLE_FULL);

	packet->drop = reason;
	if (reason == DROP(flow, TCP_NO_FLOW))
		return refuse_segment(mbuf);
	if (!exhausted && reason != DROP(flow, PEER_FULL) && reason != DROP(flow, PEER_RATE) &&
		reason != DROP(flow, EGRESS_REFUSED))
		return GRAPH_DROP;
	if (!flow_is_peer(packet->ingress))
		return GRAPH_DROP;
	packet->scratch[0] =
		icmp_error_code(exhausted ? ICMP_ERROR_UNREACHABLE : ICMP_ERROR_ADMIN, 0);
	return GRAPH_ICMP;
}

uint16_t flow_check_first(struct rte_mbuf *mbuf, const struct flow_verdict *verdict)
{
	const struct packet *packet = packet_of(mbuf);
	uint8_t tcp_flags;

	if (packet->proto != IPPROTO_TCP)
		return 0;
	tcp_flags = rte_pktmbuf_mtod_offset(mbuf, struct rte_tcp_hdr *, packet->l4)->tcp_flags;
	if ((tcp_flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_RST_FLAG)) ==
		RTE_TCP_SYN_FLAG)
		return 0;
	/* a connection that is older than we are may go on unless its port would change */
	if (flow_is_translated(verdict) || (tcp_flags & RTE_TCP_RST_FLAG) != 0)
		return DROP(flow, TCP_NO_FLOW);
	return 0;
}

/* Refusals that would otherwise leave a flow behind. True: the packet goes to *role. */
static bool settle_unfit(struct rte_mbuf *mbuf, const struct flow_verdict *verdict, uint8_t *role)
{
	struct packet *packet = packet_of(mbuf);
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint8_t ttl = packet->family == ADDR_V4 ? ip[8] : ip[7];

	if ((verdict->flags[0] & FLOW_TTL) != 0 && ttl <= 1) {
		packet->drop = DROP(flow, TTL);
		packet->scratch[0] = icmp_error_code(ICMP_ERROR_TIME_EXCEEDED, 0);
	} else if (verdict->mtu[0] != 0 && rte_pktmbuf_data_len(mbuf) > verdict->mtu[0] &&
		   !flow_may_split(mbuf)) {
		packet->drop = DROP(flow, TOO_BIG);
		packet->scratch[0] = icmp_error_code(ICMP_ERROR_TOO_BIG, verdict->mtu[0]);
	} else {
		return false;
	}
	*role = GRAPH_ICMP;
	return true;
}

static uint8_t first_packet(
	struct flow_worker *w, struct rte_mbuf *mbuf, const struct flow_key *key)
{
	const struct packet *packet = packet_of(mbuf);
	struct flow_asked asked = {.key = key, .icmp_type = packet->icmp_type};
	struct flow_verdict verdict;
	struct flow *flow;
	uint16_t reason;
	uint8_t role;

	if (is_icmp(key->proto) && !is_query(packet))
		return flow_drop(mbuf, DROP(flow, ICMP_NO_QUERY));
	if ((packet->ingress & API_IDENT_HOST) != 0)
		asked.host_port = (uint16_t)(packet->ingress & FLOW_IDENT_MASK);
	if (!flow_judge(w, &asked, &verdict)) {
		if (verdict.drop == DROP(flow, UNSOLICITED) &&
			flow_open_inward(w, mbuf, key, &role))
			return role;
		return refuse(mbuf, &verdict);
	}
	if (settle_unfit(mbuf, &verdict, &role))
		return role;
	reason = flow_check_first(mbuf, &verdict);
	if (reason == 0)
		reason = flow_check_bounds(w, key);
	if (reason != 0)
		return refuse_flow(mbuf, reason);
	flow = flow_table_get(&w->table);
	reason = flow_build(w, flow, key, &verdict);
	if (reason != 0) {
		flow_table_put(&w->table, flow);
		return refuse_flow(mbuf, reason);
	}
	if ((packet->flags & PACKET_NO_ANSWER) != 0)
		flow->dir[0].action.flags |= FLOW_ASKED;
	flow_start(w, flow, mbuf);
	return flow_carry(w, mbuf, flow, 0);
}

/* A later fragment whose first one made no flow; it may be that both wait for a neighbour. */
static uint8_t later_fragment(
	struct flow_worker *w, struct rte_mbuf *mbuf, const struct flow_key *key)
{
	const struct packet *packet = packet_of(mbuf);
	struct flow_asked asked = {.key = key, .icmp_type = packet->icmp_type};
	struct flow_verdict verdict;

	if (!flow_judge(w, &asked, &verdict) && verdict.drop == DROP(flow, NEIGH_UNKNOWN))
		return flow_drop(mbuf, verdict.drop);
	return flow_drop(mbuf, DROP(flow, FRAGMENT));
}

/* Fragments come by here before they are treated like other packets. True: *role is decided. */
static bool settle_fragment(struct flow_worker *w, struct rte_mbuf *mbuf, uint8_t *role)
{
	struct packet *packet = packet_of(mbuf);
	struct flow_key key;

	if ((packet->flags & (PACKET_FRAGMENT | PACKET_FIRST_FRAGMENT)) == 0 ||
		(packet->flags & (PACKET_MET | PACKET_ICMP_ERROR)) != 0)
		return false;
	if (is_from_twin(packet)) {
		if ((packet->flags & PACKET_FRAGMENT) == 0)
			return false;
		*role = send_for_host(mbuf);
		return true;
	}
	flow_key_of(w, mbuf, &key);
	if (is_strange(key.family, key.src) || is_strange(key.family, key.dst)) {
		*role = flow_drop(mbuf, DROP(flow, MULTICAST));
		return true;
	}
	return !flow_fragment_meet(w, mbuf, role);
}

uint8_t flow_slow(struct flow_worker *w, struct rte_mbuf *mbuf)
{
	struct packet *packet = packet_of(mbuf);
	struct flow_key key;
	uint32_t slot;
	uint8_t role;

	if (settle_fragment(w, mbuf, &role))
		return role;
	if ((packet->flags & PACKET_ICMP_ERROR) != 0)
		return flow_icmp_error(w, mbuf);
	flow_key_of(w, mbuf, &key);
	key.hash = flow_hash(&w->table, &key);
	slot = flow_table_find(&w->table, &key);
	if (slot != 0)
		return carry_known(w, mbuf, slot, &key);
	if (settle_strange(mbuf, &key, &role))
		return role;
	if (flow_hand_on(w, mbuf, &key, is_icmp(key.proto) && is_query(packet)))
		return GRAPH_HANDOFF;
	if ((packet->flags & PACKET_FRAGMENT) != 0)
		return later_fragment(w, mbuf, &key);
	return first_packet(w, mbuf, &key);
}

enum flow_rejudged flow_rejudge(struct flow_worker *w, struct flow *flow, uint16_t *drop)
{
	struct flow_key *back = &flow->dir[1].key;
	const struct flow_key *key = &flow->dir[0].key;
	struct flow_asked asked = {
		.key = key,
		.icmp_type = key->proto == IPPROTO_ICMP ? ICMP4_ECHO : ICMP6_ECHO,
	};
	struct flow_verdict verdict;

	*drop = DROP(flow, REVOKED);
	if (flow->cold.epoch[0] != flow_peer_epoch(key->ident) ||
		flow->cold.epoch[1] != flow_peer_epoch(back->ident)) {
		*drop = DROP(flow, PEER_GONE);
		return FLOW_CUT;
	}
	if (key->ident == API_IDENT_HOST && (flow->dir[0].action.flags & FLOW_KEEP_L2) != 0)
		asked.host_port = flow->dir[0].action.port_out;
	if (!flow_judge(w, &asked, &verdict)) {
		if (verdict.drop != DROP(flow, NEIGH_UNKNOWN))
			return FLOW_CUT;
		*drop = verdict.drop;
		return FLOW_WAITS;
	}
	if (verdict.masquerade != (flow->cold.mapping != 0) ||
		verdict.forward != flow->cold.forward ||
		(verdict.forward != 0 && (memcmp(verdict.inside.bytes, back->src, 16) != 0 ||
						 verdict.inside_port != back->sport)))
		return FLOW_CUT;
	if (verdict.masquerade) {
		struct nat_asked egress = {.set_id = verdict.set_id, .subscriber = key->ident};
		uint16_t options;

		/* mapping and port stay, even if the rule names another pool now */
		flow_key_src(key, &egress.src);
		flow_key_dst(key, &egress.dst);
		if (!nat_mapping_valid(w->nat, w->copy, flow->cold.mapping) ||
			nat_select(w->copy, &egress, &options) == NULL)
			return FLOW_CUT;
	}
	/* who sends from the outside address that a flow leads to is known by his packets */
	if (verdict.hairpin && (back->ident & API_IDENT_HAIRPIN) != 0 &&
		back->ident != API_IDENT_HAIRPIN && flow_hairpin_stands(w, flow))
		verdict.ident_back = back->ident;
	flow_collect(w, flow); /* so far it counts for the old rule, route and peer */
	if (back->ident != verdict.ident_back) {
		back->ident = verdict.ident_back;
		flow->cold.epoch[1] = flow_peer_epoch(back->ident);
	}
	flow_set_actions(w, flow, &verdict);
	return FLOW_STANDS;
}
