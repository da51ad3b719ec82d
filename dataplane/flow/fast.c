/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The path of known flows: hash all packets of a group, then look at all buckets, then at all
 * flows, so that the misses of a group overlap. packet_parse() has seen to it that the headers of
 * layer 4 are there.
 */
#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_prefetch.h>
#include <rte_tcp.h>

#include <netinet/in.h>

#include "common/api/flow.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/flow/fragment.h"
#include "dataplane/flow/icmp_error.h"
#include "dataplane/flow/rewrite.h"
#include "dataplane/map/map.h"

enum {
	GROUP = 32,
	TCP_EVENTS = RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG,
};

/* The last hashed word of a key: ports, protocol, family. Written as one, since it is soon read
 * as one, and a store is not forwarded to a load that is wider. */
static inline uint64_t pack_word(const struct packet *packet)
{
#if RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN
	return packet->sport | (uint64_t)packet->dport << 16 | (uint64_t)packet->proto << 32 |
	       (uint64_t)packet->family << 40;
#else
	return (uint64_t)packet->sport << 48 | (uint64_t)packet->dport << 32 |
	       (uint64_t)packet->proto << 24 | (uint64_t)packet->family << 16;
#endif
}

static inline void store_word(struct flow_key *key, unsigned offset, uint64_t word)
{
	memcpy((uint8_t *)key + offset, &word, sizeof(word));
}

static inline uint64_t load_v4(const uint8_t *addr)
{
	uint32_t word;

	memcpy(&word, addr, sizeof(word));
#if RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN
	return word;
#else
	return (uint64_t)word << 32;
#endif
}

static inline __attribute__((always_inline)) void make_key(
	struct rte_mbuf *mbuf, struct flow_key *key)
{
	const struct packet *packet = packet_of(mbuf);
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint32_t ident = packet->ingress;

	if (likely(packet->family == ADDR_V4)) {
		store_word(key, 0, load_v4(ip + 12));
		store_word(key, 8, 0);
		store_word(key, 16, load_v4(ip + 16));
		store_word(key, 24, 0);
	} else {
		store_word(key, 0, hash_load(ip + 8));
		store_word(key, 8, hash_load(ip + 16));
		store_word(key, 16, hash_load(ip + 24));
		store_word(key, 24, hash_load(ip + 32));
	}
	store_word(key, offsetof(struct flow_key, sport), pack_word(packet));
	/* the kernel is one, whichever of its interfaces it uses */
	key->ident = (ident & API_IDENT_HOST) != 0 ? API_IDENT_HOST : ident;
}

void flow_key_of(const struct flow_worker *w, struct rte_mbuf *mbuf, struct flow_key *key)
{
	make_key(mbuf, key);
	if (w->mapped)
		map_turn(w->copy, key->ident, key->family, key->src);
}

void flow_source_of(const struct flow_worker *w, const struct flow_key *key, uint8_t addr[16])
{
	memcpy(addr, key->src, 16);
	if (w->mapped)
		map_turn(w->copy, key->ident, key->family, addr);
}

/* Where the layer-4 checksum and the field to be replaced lie. */
static inline unsigned checksum_offset(uint8_t proto)
{
	return proto == IPPROTO_TCP ? 16 : proto == IPPROTO_UDP ? 6 : 2;
}

static void rewrite_l4(uint8_t *l4, uint8_t proto, const struct flow_action *action)
{
	uint16_t *checksum = (uint16_t *)(l4 + checksum_offset(proto));
	bool icmp = proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;

	memcpy(l4 + (icmp ? 4 : (action->flags & FLOW_SNAT) != 0 ? 0 : 2), &action->port, 2);
	if (proto == IPPROTO_UDP && *checksum == 0)
		return; /* none was computed (IPv4 only) */
	*checksum = rewrite_checksum(*checksum, action->l4_delta);
	if (proto == IPPROTO_UDP && *checksum == 0)
		*checksum = 0xffff;
}

/* later: a fragment without a header of layer 4. */
static inline __attribute__((always_inline)) void rewrite(
	struct rte_mbuf *mbuf, const struct flow_action *action, bool later)
{
	const struct packet *packet = packet_of(mbuf);
	uint8_t *ip = rte_pktmbuf_mtod(mbuf, uint8_t *);
	uint8_t flags = action->flags;

	if (likely(packet->family == ADDR_V4)) {
		struct rte_ipv4_hdr *ip4 = (struct rte_ipv4_hdr *)ip;

		if ((flags & FLOW_SNAT) != 0)
			memcpy(&ip4->src_addr, action->addr, 4);
		else if ((flags & FLOW_DNAT) != 0)
			memcpy(&ip4->dst_addr, action->addr, 4);
		if ((flags & FLOW_TTL) != 0)
			ip4->time_to_live--;
		/* the delta has both changes in it */
		ip4->hdr_checksum = rewrite_checksum(ip4->hdr_checksum, action->l3_delta);
	} else {
		if ((flags & FLOW_SNAT) != 0)
			memcpy(ip + 8, action->addr, 16);
		else if ((flags & FLOW_DNAT) != 0)
			memcpy(ip + 24, action->addr, 16);
		if ((flags & FLOW_TTL) != 0)
			ip[7]--;
	}
	if ((flags & (FLOW_SNAT | FLOW_DNAT)) != 0 && !later)
		rewrite_l4(ip + packet->l4, packet->proto, action);
}

/* The other end too; the checksums have been told of it. ICMP has no port of its own there. */
static void rewrite_far(struct rte_mbuf *mbuf, const struct flow *flow, unsigned dir, bool later)
{
	const struct packet *packet = packet_of(mbuf);
	const uint8_t *far = flow->far[dir];
	uint8_t *ip = rte_pktmbuf_mtod(mbuf, uint8_t *);
	uint16_t port = rte_cpu_to_be_16(flow->dir[1 - dir].key.sport);

	if (packet->family == ADDR_V4)
		memcpy(ip + 16, far, 4);
	else
		memcpy(ip + 24, far, 16);
	if (!later && (packet->proto == IPPROTO_TCP || packet->proto == IPPROTO_UDP))
		memcpy(ip + packet->l4 + 2, &port, 2);
}

static uint8_t tell(struct rte_mbuf *mbuf, uint16_t reason, enum icmp_error error, uint16_t value)
{
	struct packet *packet = packet_of(mbuf);

	packet->drop = reason;
	packet->scratch[0] = icmp_error_code(error, value);
	return GRAPH_ICMP;
}

/* Moves the connection's state, and lowers the MSS of a SYN. */
static inline void mind_tcp(
	struct flow_worker *w, struct rte_mbuf *mbuf, struct flow *flow, unsigned dir)
{
	const struct packet *packet = packet_of(mbuf);
	const struct flow_action *action = &flow->dir[dir].action;
	uint8_t tcp_flags =
		rte_pktmbuf_mtod_offset(mbuf, struct rte_tcp_hdr *, packet->l4)->tcp_flags;

	if (likely((tcp_flags & TCP_EVENTS) == 0 && (action->flags & FLOW_WATCH) == 0))
		return;
	flow_tcp(w, flow, dir, tcp_flags);
	if ((tcp_flags & RTE_TCP_SYN_FLAG) != 0 && flow->cold.mss_mtu != 0)
		flow_clamp_mss(mbuf, packet->l4,
			(uint16_t)(flow->cold.mss_mtu - (packet->family == ADDR_V4 ? 40 : 60)));
}

static inline uint8_t ttl_of(struct rte_mbuf *mbuf, uint8_t family)
{
	return rte_pktmbuf_mtod(mbuf, const uint8_t *)[family == ADDR_V4 ? 8 : 7];
}

/* What is known when this is inlined: nothing of it costs the path of known flows anything. */
struct special {
	bool later; /* a fragment without ports */
	bool split; /* is cut to the MTU afterwards */
};

static inline __attribute__((always_inline)) uint8_t carry(struct flow_worker *w,
	struct rte_mbuf *mbuf, struct flow *flow, unsigned dir, struct special special)
{
	struct flow_action *action = &flow->dir[dir].action;
	struct packet *packet = packet_of(mbuf);
	uint32_t length = rte_pktmbuf_data_len(mbuf);

	if (unlikely(length > action->mtu && action->mtu != 0) && !special.split)
		return flow_may_split(mbuf)
			       ? FLOW_TO_SLOW
			       : tell(mbuf, DROP(flow, TOO_BIG), ICMP_ERROR_TOO_BIG, action->mtu);
	if (unlikely((action->flags & FLOW_TTL) != 0 && ttl_of(mbuf, packet->family) <= 1))
		return tell(mbuf, DROP(flow, TTL), ICMP_ERROR_TIME_EXCEEDED, 0);
	if (packet->proto == IPPROTO_TCP && !special.later)
		mind_tcp(w, mbuf, flow, dir);
	if (unlikely(action->packets == 0))
		flow_touch(w, flow, dir);
	action->packets++;
	action->bytes += length;
	action->seen_ms = (uint32_t)w->now_ms;
	rewrite(mbuf, action, special.later);
	packet->peer = action->peer;
	packet->adjacency = action->adjacency;
	packet->port_out = action->port_out;
	if (unlikely((action->flags & (FLOW_KEEP_L2 | FLOW_BOTH)) != 0)) {
		if ((action->flags & FLOW_BOTH) != 0)
			rewrite_far(mbuf, flow, dir, special.later);
		if ((action->flags & FLOW_KEEP_L2) != 0) {
			packet->flags |= PACKET_KEEP_L2;
			packet->port_out = (uint16_t)(packet->ingress & FLOW_IDENT_MASK);
		}
	}
	return action->role;
}

uint8_t flow_carry(struct flow_worker *w, struct rte_mbuf *mbuf, struct flow *flow, unsigned dir)
{
	const struct flow_action *action = &flow->dir[dir].action;
	uint16_t flags = packet_of(mbuf)->flags, mtu = action->mtu;
	struct special special = {
		.later = (flags & PACKET_FRAGMENT) != 0,
		.split = mtu != 0 && rte_pktmbuf_data_len(mbuf) > mtu && flow_may_split(mbuf),
	};
	uint8_t role = carry(w, mbuf, flow, dir, special);

	if (role == GRAPH_ICMP)
		return role;
	/* of several inside hosts two may have chosen the same (RFC 6864 5.3.1) */
	if ((action->flags & FLOW_SNAT) != 0 && packet_of(mbuf)->family == ADDR_V4) {
		if ((flags & PACKET_MET) != 0)
			flow_fragment_set_id(mbuf, flow_fragment_given_id(mbuf));
		else if (special.split)
			flow_fragment_set_id(mbuf, flow_fragment_id(w));
	}
	return special.split ? flow_split(w, mbuf, mtu, role) : role;
}

/* mapped: known when this is inlined, so that it costs nothing where there is no map. */
static inline __attribute__((always_inline)) void carry_keyed(
	struct flow_worker *w, struct rte_mbuf **mbufs, unsigned n, uint8_t *roles, bool mapped)
{
	struct flow_key keys[GROUP];
	uint32_t slots[GROUP];
	struct flow_table *table = &w->table;

	for (unsigned i = 0; i < n; i++) {
		make_key(mbufs[i], &keys[i]);
		if (mapped)
			map_turn(w->copy, keys[i].ident, keys[i].family, keys[i].src);
		keys[i].hash = flow_hash(table, &keys[i]);
		rte_prefetch0(&table->buckets[keys[i].hash & table->mask]);
	}
	for (unsigned i = 0; i < n; i++) {
		struct flow_direction *direction;

		slots[i] = flow_table_guess(table, keys[i].hash);
		direction = &table->flows[slots[i] >> 1].dir[slots[i] & 1];
		rte_prefetch0(&direction->key);
		rte_prefetch0(&direction->action);
	}
	for (unsigned i = 0; i < n; i++) {
		const struct packet *packet = packet_of(mbufs[i]);
		struct flow_direction *direction = &table->flows[slots[i] >> 1].dir[slots[i] & 1];

		/* flow 0 is all zeros and equals nothing that has a family */
		if (unlikely(!flow_key_equal(&direction->key, &keys[i]))) {
			slots[i] = flow_table_find(table, &keys[i]);
			direction = &table->flows[slots[i] >> 1].dir[slots[i] & 1];
		}
		if (unlikely(slots[i] == 0 || direction->key.ident != keys[i].ident ||
			     direction->action.generation != w->generation ||
			     (direction->action.flags & (FLOW_UNRESOLVED | FLOW_ASKED)) != 0 ||
			     (packet->flags & (PACKET_FRAGMENT | PACKET_FIRST_FRAGMENT |
						      PACKET_ICMP_ERROR)) != 0)) {
			roles[i] = FLOW_TO_SLOW;
			continue;
		}
		roles[i] = carry(w, mbufs[i], &table->flows[slots[i] >> 1], slots[i] & 1,
			(struct special){false, false});
	}
}

static void carry_group(struct flow_worker *w, struct rte_mbuf **mbufs, unsigned n, uint8_t *roles)
{
	carry_keyed(w, mbufs, n, roles, false);
}

static __attribute__((noinline, cold)) void carry_mapped_group(
	struct flow_worker *w, struct rte_mbuf **mbufs, unsigned n, uint8_t *roles)
{
	carry_keyed(w, mbufs, n, roles, true);
}

void flow_fast(struct flow_worker *w, struct rte_mbuf **mbufs, unsigned n, uint8_t *roles)
{
	unsigned ahead = RTE_MIN(n, (unsigned)GROUP);

	for (unsigned i = 0; i < ahead; i++) {
		rte_prefetch0(packet_of(mbufs[i]));
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	}
	for (unsigned done = 0; done < n; done += GROUP) {
		unsigned count = RTE_MIN(n - done, (unsigned)GROUP);
		unsigned end = RTE_MIN(n, done + 2 * GROUP);

		for (unsigned i = done + GROUP; i < end; i++) {
			rte_prefetch0(packet_of(mbufs[i]));
			rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
		}
		if (unlikely(w->mapped))
			carry_mapped_group(w, mbufs + done, count, roles + done);
		else
			carry_group(w, mbufs + done, count, roles + done);
	}
}
