/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP errors from elsewhere about packets of flows (RFC 5508 section 4). An error that travels
 * along direction d quotes a packet of the other direction as it left the gateway; it is put back
 * into what it was before. Such a packet never makes, refreshes or ends a flow.
 */
#include <rte_byteorder.h>
#include <rte_ip.h>

#include <netinet/in.h>

#include "common/api/flow.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/flow/rewrite.h"
#include "dataplane/map/map.h"
#include "dataplane/nat/nat.h"
#include "dataplane/route/route.h"

enum {
	ICMP_HEADER = 8,
	PORTS = 8, /* an error quotes at least eight bytes of layer 4 */
	EXTENSIONS_MAX = 4,
	ICMP4_SOURCE_QUENCH = 4,
	ICMP4_REDIRECT = 5,
};

/* Places in the quoted packet. */
struct quoted {
	uint8_t *ip;
	uint8_t *l4;
	uint16_t l4_bytes; /* that are there */
	uint8_t proto;
};

static uint16_t load_be(const uint8_t *byte)
{
	return (uint16_t)(byte[0] << 8 | byte[1]);
}

/* Would reveal addresses of the inside (RFC 5508 7.3); and we carry no packet with one. */
static bool has_source_route(const uint8_t *options, const uint8_t *end)
{
	enum { END = 0, NOP = 1, LOOSE = 131, STRICT = 137 };

	while (options < end && *options != END) {
		if (*options == LOOSE || *options == STRICT)
			return true;
		if (*options == NOP)
			options++;
		else if (end - options < 2 || options[1] < 2)
			return false;
		else
			options += options[1];
	}
	return false;
}

static bool find_quoted4(uint8_t *ip, uint8_t *end, struct quoted *quoted)
{
	uint8_t length;

	if (end - ip < (ptrdiff_t)sizeof(struct rte_ipv4_hdr) || ip[0] >> 4 != 4)
		return false;
	length = (uint8_t)((ip[0] & 15) * 4); /* with options (RFC 5508 REQ-3b) */
	if (length < sizeof(struct rte_ipv4_hdr) || end - ip < length + PORTS)
		return false;
	if ((load_be(ip + 6) & 0x1fff) != 0) /* a later fragment has no ports */
		return false;
	if (rte_raw_cksum(ip, length) != 0xffff ||
		has_source_route(ip + sizeof(struct rte_ipv4_hdr), ip + length))
		return false;
	*quoted = (struct quoted){
		.ip = ip,
		.l4 = ip + length,
		.l4_bytes = (uint16_t)(end - ip - length),
		.proto = ip[9],
	};
	return true;
}

static bool find_quoted6(uint8_t *ip, uint8_t *end, struct quoted *quoted)
{
	uint8_t *at = ip + sizeof(struct rte_ipv6_hdr);
	ptrdiff_t length;
	uint8_t proto;

	if (end - ip < (ptrdiff_t)sizeof(struct rte_ipv6_hdr) + PORTS || ip[0] >> 4 != 6)
		return false;
	proto = ip[6];
	for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
		if (proto != IPPROTO_HOPOPTS && proto != IPPROTO_ROUTING &&
			proto != IPPROTO_DSTOPTS && proto != IPPROTO_FRAGMENT)
			break;
		if (end - at < 8 + PORTS)
			return false;
		if (proto == IPPROTO_FRAGMENT && (load_be(at + 2) & 0xfff8) != 0)
			return false;
		length = proto == IPPROTO_FRAGMENT ? 8 : (at[1] + 1) * 8;
		proto = at[0];
		if (end - at < length + PORTS)
			return false;
		at += length;
	}
	*quoted = (struct quoted){
		.ip = ip, .l4 = at, .l4_bytes = (uint16_t)(end - at), .proto = proto};
	return true;
}

/* The key of packets that go the error's way: the quoted packet, turned around. */
static void make_error_key(const struct flow_worker *w, struct rte_mbuf *mbuf,
	const struct quoted *quoted, struct flow_key *key)
{
	const struct packet *packet = packet_of(mbuf);
	uint32_t ident = packet->ingress;
	bool v4 = packet->family == ADDR_V4;
	const uint8_t *src = quoted->ip + (v4 ? 12 : 8), *dst = quoted->ip + (v4 ? 16 : 24);

	memset(key, 0, sizeof(*key));
	memcpy(key->src, dst, v4 ? 4 : 16);
	memcpy(key->dst, src, v4 ? 4 : 16);
	key->family = packet->family;
	key->proto = quoted->proto;
	key->ident = (ident & API_IDENT_HOST) != 0 ? API_IDENT_HOST : ident;
	if (w->mapped)
		map_turn(w->copy, key->ident, key->family, key->src);
	switch (quoted->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		key->sport = load_be(quoted->l4 + 2);
		key->dport = load_be(quoted->l4);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		key->sport = load_be(quoted->l4 + 4);
		key->dport = key->sport;
		break;
	default:
		break;
	}
}

static bool find_quoted(struct rte_mbuf *mbuf, struct quoted *quoted)
{
	const struct packet *packet = packet_of(mbuf);
	uint8_t *start = rte_pktmbuf_mtod(mbuf, uint8_t *);
	uint8_t *end = start + rte_pktmbuf_data_len(mbuf);
	uint8_t *inner = start + packet->l4 + ICMP_HEADER;

	if (inner >= end)
		return false;
	return packet->family == ADDR_V4 ? find_quoted4(inner, end, quoted)
					 : find_quoted6(inner, end, quoted);
}

/* The checksum of the whole message as it stands: 0 if it is right. */
static uint16_t sum_message(struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of(mbuf);
	uint8_t *ip = rte_pktmbuf_mtod(mbuf, uint8_t *);
	uint32_t length = rte_pktmbuf_data_len(mbuf) - packet->l4;
	uint32_t sum = rte_raw_cksum(ip + packet->l4, length);

	if (packet->family == ADDR_V6) {
		sum += rte_raw_cksum(ip + 8, 32);
		sum += rte_cpu_to_be_16((uint16_t)length) + rte_cpu_to_be_16(IPPROTO_ICMPV6);
	}
	return (uint16_t)~rewrite_fold(sum);
}

/* Writes a port or identifier; of a checksum that is there, too. */
static void put_port(uint8_t *at, uint16_t port, uint16_t *delta)
{
	uint16_t word = rte_cpu_to_be_16(port);

	*delta = rewrite_delta(*delta, at, &word, 2);
	memcpy(at, &word, 2);
}

/* The quoted packet becomes what the sender of the flow's other direction had sent. */
static void restore_quoted(
	const struct flow_worker *w, const struct quoted *quoted, const struct flow_key *key)
{
	bool v4 = key->family == ADDR_V4;
	size_t size = v4 ? 4 : 16;
	uint8_t *src = quoted->ip + (v4 ? 12 : 8), *dst = src + size;
	uint16_t l3, l4, at, checksum;
	uint8_t sent[16];

	flow_source_of(w, key, sent);
	l3 = rewrite_delta(0, src, sent, size);

	l3 = rewrite_delta(l3, dst, key->dst, size);
	l4 = key->proto == IPPROTO_ICMP ? 0 : l3;
	memcpy(src, sent, size);
	memcpy(dst, key->dst, size);
	if (v4) {
		memcpy(&checksum, quoted->ip + 10, 2);
		checksum = rewrite_checksum(checksum, l3);
		memcpy(quoted->ip + 10, &checksum, 2);
	}
	switch (key->proto) {
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		put_port(quoted->l4 + 4, key->sport, &l4);
		at = 2;
		break;
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		put_port(quoted->l4, key->sport, &l4);
		put_port(quoted->l4 + 2, key->dport, &l4);
		at = key->proto == IPPROTO_TCP ? 16 : 6;
		break;
	default:
		return;
	}
	if (quoted->l4_bytes < at + 2u)
		return;
	memcpy(&checksum, quoted->l4 + at, 2);
	if (key->proto == IPPROTO_UDP && checksum == 0)
		return;
	checksum = rewrite_checksum(checksum, l4);
	memcpy(quoted->l4 + at, &checksum, 2);
}

/* May this sender report about this flow? An error may come from any router on the way. */
static bool may_report(struct flow_worker *w, struct rte_mbuf *mbuf, const struct flow_key *key)
{
	const struct packet *packet = packet_of(mbuf);
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	struct addr src = {.family = packet->family};

	memcpy(src.bytes, ip + (packet->family == ADDR_V4 ? 12 : 8), addr_size(packet->family));
	if ((key->ident & (API_IDENT_HOST | API_IDENT_HAIRPIN)) != 0 ||
		(packet->flags & PACKET_OWN) != 0)
		return true;
	if ((key->ident & API_IDENT_PORT) != 0)
		return allowed_owner(w->copy, &src) == 0;
	if (w->mapped)
		map_turn(w->copy, key->ident, src.family, src.bytes);
	return allowed_has(w->copy, key->ident, &src);
}

/* Does it come from where packets of this direction may come from? An error of our own about a
 * hairpinned packet has no peer behind it. */
static bool is_from(struct flow_worker *w, struct flow *flow, unsigned dir, struct rte_mbuf *mbuf,
	uint32_t ident)
{
	const struct flow_key *key = &flow->dir[dir].key;

	if (key->ident == ident)
		return true;
	if ((key->ident & ident & API_IDENT_HAIRPIN) == 0)
		return flow_may_carry(w, key, ident);
	return ident == API_IDENT_HAIRPIN || flow_adopt(w, flow, dir, mbuf, ident);
}

/* By the NAT's outside, or, of a prefix that is only mapped, by what the router itself is seen as.
 */
static void replace_source(const struct flow_worker *w, uint8_t *src, size_t size,
	const struct flow *flow, unsigned dir)
{
	const struct flow_key *key = &flow->dir[dir].key, *other = &flow->dir[1 - dir].key;
	uint8_t addr[16] = {0};

	memcpy(addr, src, size);
	if (memcmp(key->src, other->dst, 16) != 0)
		memcpy(addr, other->dst, 16);
	else
		map_turn(w->copy, key->ident, key->family, addr);
	memcpy(src, addr, size);
}

/* Outer addresses: the end that the gateway stands for is replaced (RFC 5508 REQ-4, REQ-5). */
static void rewrite_outer(
	const struct flow_worker *w, struct rte_mbuf *mbuf, const struct flow *flow, unsigned dir)
{
	const struct packet *packet = packet_of(mbuf);
	const struct flow_action *action = &flow->dir[dir].action;
	uint8_t *ip = rte_pktmbuf_mtod(mbuf, uint8_t *);
	bool v4 = packet->family == ADDR_V4;
	size_t size = v4 ? 4 : 16;

	if ((action->flags & FLOW_SNAT) != 0)
		replace_source(w, ip + (v4 ? 12 : 8), size, flow, dir);
	if ((action->flags & (FLOW_DNAT | FLOW_BOTH)) != 0)
		memcpy(ip + (v4 ? 16 : 24),
			(action->flags & FLOW_BOTH) != 0 ? flow->far[dir] : action->addr, size);
	if ((action->flags & FLOW_TTL) != 0)
		ip[v4 ? 8 : 7]--;
	if (v4) {
		struct rte_ipv4_hdr *ip4 = (struct rte_ipv4_hdr *)ip;

		ip4->hdr_checksum = 0;
		ip4->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, packet->l4);
	}
}

static uint8_t send_error(struct flow_worker *w, struct rte_mbuf *mbuf, struct flow *flow,
	unsigned dir, const struct quoted *quoted)
{
	struct packet *packet = packet_of(mbuf);
	struct flow_action *action = &flow->dir[dir].action;
	uint8_t *ip = rte_pktmbuf_mtod(mbuf, uint8_t *);
	uint16_t checksum = 0;

	if ((action->flags & FLOW_TTL) != 0 && ip[packet->family == ADDR_V4 ? 8 : 7] <= 1)
		return flow_drop(mbuf, DROP(flow, TTL));
	restore_quoted(w, quoted, &flow->dir[1 - dir].key);
	rewrite_outer(w, mbuf, flow, dir);
	memcpy(ip + packet->l4 + 2, &checksum, 2);
	checksum = sum_message(mbuf);
	memcpy(ip + packet->l4 + 2, &checksum, 2);
	packet->peer = action->peer;
	packet->adjacency = action->adjacency;
	packet->port_out = action->port_out;
	if ((action->flags & FLOW_KEEP_L2) != 0) {
		packet->flags |= PACKET_KEEP_L2;
		packet->port_out = (uint16_t)(packet->ingress & FLOW_IDENT_MASK);
	}
	return action->role;
}

/*
 * Deprecated (RFC 6633; RFC 5508 REQ-10c), and for the hosts of one link only (RFC 792): whoever
 * is beyond us can do nothing with a redirect but harm. The gateway's own kernel may have either.
 */
static bool is_for_nobody(const struct packet *packet, const struct flow *flow, unsigned dir)
{
	return packet->family == ADDR_V4 &&
	       (packet->icmp_type == ICMP4_SOURCE_QUENCH || packet->icmp_type == ICMP4_REDIRECT) &&
	       (flow->dir[1 - dir].key.ident & API_IDENT_HOST) == 0;
}

uint8_t flow_icmp_error(struct flow_worker *w, struct rte_mbuf *mbuf)
{
	struct packet *packet = packet_of(mbuf);
	struct quoted quoted;
	struct flow_key key;
	struct flow *flow;
	uint32_t slot;
	uint16_t reason;

	if (!find_quoted(mbuf, &quoted))
		return flow_drop(mbuf, DROP(flow, ICMP_ERROR_BAD));
	make_error_key(w, mbuf, &quoted, &key);
	key.hash = flow_hash(&w->table, &key);
	slot = flow_table_find(&w->table, &key);
	if (slot == 0) {
		if (flow_hand_on(w, mbuf, &key, false))
			return GRAPH_HANDOFF;
		return flow_drop(mbuf, DROP(flow, ICMP_ERROR_UNMATCHED));
	}
	flow = &w->table.flows[slot >> 1];
	if (!is_from(w, flow, slot & 1, mbuf, key.ident) || !may_report(w, mbuf, &key))
		return flow_drop(mbuf, DROP(flow, ICMP_ERROR_UNMATCHED));
	if (sum_message(mbuf) != 0)
		return flow_drop(mbuf, DROP(flow, ICMP_ERROR_BAD));
	if (is_for_nobody(packet, flow, slot & 1))
		return flow_drop(mbuf, DROP(flow, ICMP_NO_QUERY));
	if (flow->dir[slot & 1].action.generation != w->generation &&
		flow_rejudge(w, flow, &reason) != FLOW_STANDS)
		return flow_drop(mbuf, reason); /* its own next packet will end the flow */
	if ((flow->dir[slot & 1].action.flags & FLOW_UNRESOLVED) != 0)
		return flow_drop(mbuf, DROP(flow, NEIGH_UNKNOWN));
	return send_error(w, mbuf, flow, slot & 1, &quoted);
}
