/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A flow and one worker's table of them.
 *
 * A flow has two directions: 0 as its first packet went, 1 back. Each direction has a key line
 * (what its packets look like when they arrive) and an action line (what is done to them); a
 * fifth line is cold. A packet of a known flow touches one bucket, one key, one action.
 */
#pragma once

#include <rte_mbuf.h>

#include <stdbool.h>
#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "common/api/flow.h"
#include "common/base/addr.h"
#include "dataplane/flow/flow.h"
#include "dataplane/flow/hash.h"
#include "dataplane/graph/graph.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/config.h"

struct nat_worker;
struct nat_mapping;
struct flow_fragments;

enum {
	FLOW_NONE = 0, /* flow 0 is never used */
	FLOW_BURST_MAX = 256,
	FLOW_BUCKET_WAYS = 8,
	FLOW_WHEEL_SLOTS = 8192, /* of FLOW_TICK: beyond the longest timeout that is usual */
	FLOW_TICK_SHIFT = 10,    /* 1,024 ms */
	FLOW_IDENT_MASK = 0x1fffffff,

	FLOW_TO_SLOW = GRAPH_ROLES, /* not a role: on to node flow_slow */
	FLOW_EDGES,
	FLOW_HELD, /* kept: goes nowhere now */
};

/* Which bound on idle time a flow has (timeouts.c). */
enum flow_timeout {
	FLOW_TIMEOUT_UDP = API_TIMEOUT_UDP,
	FLOW_TIMEOUT_DNS = API_TIMEOUT_DNS,
	FLOW_TIMEOUT_TCP = API_TIMEOUT_TCP_ESTABLISHED,
	FLOW_TIMEOUT_TCP_OPENING = API_TIMEOUT_TCP_OPENING,
	FLOW_TIMEOUT_TCP_CLOSING = API_TIMEOUT_TCP_CLOSING,
	FLOW_TIMEOUT_ICMP = API_TIMEOUT_ICMP,
	FLOW_TIMEOUT_OTHER = API_TIMEOUT_OTHER,
	FLOW_TIMEOUTS = API_FLOW_TIMEOUTS,
};

struct flow_key {
	uint8_t src[16]; /* IPv4 in the first four, the rest zero */
	uint8_t dst[16];
	uint16_t sport; /* host order, as in struct packet */
	uint16_t dport;
	uint8_t proto;
	uint8_t family;
	uint16_t zero;
	/* not hashed: */
	uint32_t ident;     /* of the side from which packets of this direction come */
	uint32_t hash;      /* kept for moving and removing the entry */
	uint8_t behind[16]; /* the inside address of whom `ident` sends, if it is API_IDENT_HAIRPIN
			     */
} __attribute__((aligned(64)));

enum flow_flag {
	FLOW_SNAT = 1 << 0,       /* addr and port replace the source */
	FLOW_DNAT = 1 << 1,       /* ... the destination */
	FLOW_WATCH = 1 << 2,      /* every TCP packet moves the state machine */
	FLOW_KEEP_L2 = 1 << 3,    /* sent by the kernel with its own layer-2 header */
	FLOW_TTL = 1 << 4,        /* forwarded: the TTL falls */
	FLOW_UNRESOLVED = 1 << 5, /* no next hop yet: judge anew */
	FLOW_BOTH = 1 << 6,       /* with FLOW_SNAT: the destination becomes far[] */
	FLOW_ASKED = 1 << 7,      /* packets came by whom they might have answered, and go on so */
};

struct flow_action {
	uint8_t addr[16];
	uint32_t generation; /* judged under; another one: judge anew */
	uint32_t peer;
	uint32_t adjacency;
	uint16_t port_out;
	uint16_t port;     /* network order; of an ICMP query the identifier */
	uint16_t l3_delta; /* to be added to the IPv4 header checksum's complement */
	uint16_t l4_delta;
	uint16_t mtu; /* of the way out; 0 = no bound */
	uint8_t role; /* where the packet goes: enum graph_role */
	uint8_t flags;
	uint32_t seen_ms; /* low bits of the clock at the last packet */
	uint32_t packets; /* since the counters were last collected */
	uint64_t bytes;
} __attribute__((aligned(64)));

struct flow_direction {
	struct flow_key key;
	struct flow_action action;
};

enum flow_tcp {
	FLOW_TCP_NONE, /* not TCP */
	FLOW_TCP_OPENING,
	FLOW_TCP_ESTABLISHED,
	FLOW_TCP_CLOSING, /* both sides sent FIN */
	FLOW_TCP_RESET,
};

struct flow_cold {
	uint32_t next; /* in its wheel slot, or in the free list */
	uint32_t prev;
	uint32_t timeout_ms;
	uint32_t mapping; /* index in the worker's NAT; 0 = none */
	uint32_t rule;
	uint32_t route_id;
	uint32_t epoch[2]; /* of the peers of the two sides when the flow was made */
	uint32_t set_id;
	uint16_t slot; /* of the wheel */
	uint16_t mss_mtu;
	uint8_t tcp_state; /* enum flow_tcp */
	uint8_t tcp_fin;   /* bit per direction that sent FIN */
	uint8_t live;
	uint8_t touched;      /* bit per direction that is on the list of uncollected counters */
	uint16_t egress;      /* id of the egress address; 0 = none */
	uint16_t behind_port; /* of dir[1].key.behind */
	uint16_t forward;     /* id of the port forward; 0 = none */
	uint8_t half_open;
	uint8_t opener;   /* direction of the first packet: 1 only if filtering lets others in */
	uint32_t contact; /* index in the worker's NAT; 0 = none */
	uint8_t zero[8];
} __attribute__((aligned(64)));

struct flow {
	struct flow_direction dir[2];
	struct flow_cold cold;
	uint64_t packets[2]; /* collected so far */
	uint64_t bytes[2];
	uint8_t far[2][16]; /* of a direction with FLOW_BOTH */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct flow_key) == 64, "one cache line");
_Static_assert(sizeof(struct flow_action) == 64, "one cache line");
_Static_assert(sizeof(struct flow_cold) == 64, "one cache line");
_Static_assert(sizeof(struct flow) == 384, "six cache lines");

struct flow_bucket {
	uint16_t tag[FLOW_BUCKET_WAYS];  /* 0 = free */
	uint32_t slot[FLOW_BUCKET_WAYS]; /* flow * 2 + direction */
	uint32_t spilled;                /* entries of this bucket that lie in their other one */
	uint32_t unused[3];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct flow_bucket) == 64, "one cache line");

/* The table alone, so that it can be tested and measured alone. */
struct flow_table {
	struct flow *flows;
	struct flow_bucket *buckets;
	uint32_t mask; /* buckets - 1 */
	uint32_t capacity;
	uint32_t free; /* head of the free list */
	uint32_t live;
	struct hash_key key;
};

static inline uint16_t flow_tag(uint32_t hash)
{
	uint16_t tag = (uint16_t)(hash >> 16);

	return tag != 0 ? tag : 1;
}

/* Symmetric, from either bucket of an entry to its other one; odd, so never to itself. */
static inline uint32_t flow_other_bucket(
	const struct flow_table *table, uint32_t bucket, uint32_t hash)
{
	return (bucket ^ (flow_tag(hash) * 0x5bd1e995u | 1)) & table->mask;
}

/* One bit per way whose tag matches. */
static inline uint32_t flow_match_tags(const struct flow_bucket *bucket, uint16_t tag)
{
#if defined(__SSE2__)
	__m128i tags = _mm_load_si128((const __m128i *)bucket->tag);
	__m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16((short)tag));

	return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128()));
#else
	uint32_t bits = 0;

	for (unsigned i = 0; i < FLOW_BUCKET_WAYS; i++)
		bits |= (uint32_t)(bucket->tag[i] == tag) << i;
	return bits;
#endif
}

/* The first slot whose tag matches, or 0: what to prefetch, and nearly always the right one. */
static inline uint32_t flow_table_guess(const struct flow_table *table, uint32_t hash)
{
	uint32_t home = hash & table->mask;
	const struct flow_bucket *bucket = &table->buckets[home];
	uint32_t bits = flow_match_tags(bucket, flow_tag(hash));

	if (unlikely(bits == 0 && bucket->spilled != 0)) {
		bucket = &table->buckets[flow_other_bucket(table, home, hash)];
		bits = flow_match_tags(bucket, flow_tag(hash));
	}
	return bits != 0 ? bucket->slot[__builtin_ctz(bits)] : 0;
}

/* Memory for `capacity` flows, touched now. 0 or -ENOMEM. */
int flow_table_create(struct flow_table *table, uint32_t capacity, const struct hash_key *key)
	__attribute__((warn_unused_result));
void flow_table_destroy(struct flow_table *table);

static inline uint32_t flow_hash(const struct flow_table *table, const struct flow_key *key)
{
	return (uint32_t)hash_40(&table->key, key);
}

static inline bool flow_key_equal(const struct flow_key *a, const struct flow_key *b)
{
	uint64_t x[5], y[5];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]));
}

static inline uint32_t flow_index(const struct flow_table *table, const struct flow *flow)
{
	return (uint32_t)(flow - table->flows);
}

/* slot (flow * 2 + direction) of an equal key whatever its identity, or 0. key->hash is set. */
uint32_t flow_table_find(const struct flow_table *table, const struct flow_key *key);

/* An unused flow, or NULL; give it back with flow_table_put. Zeroed. */
struct flow *flow_table_get(struct flow_table *table);
void flow_table_put(struct flow_table *table, struct flow *flow);

/* Enters one direction, whose key (with hash) is set. 0; -EEXIST an equal key is there; -ENOSPC. */
int flow_table_insert(struct flow_table *table, struct flow *flow, unsigned dir)
	__attribute__((warn_unused_result));
/* Nothing happens if that direction was not entered. */
void flow_table_remove(struct flow_table *table, struct flow *flow, unsigned dir);

struct flow_peer_count {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint64_t flows, half_open;
};

struct flow_pair_count {
	uint64_t packets[2], bytes[2];
	uint64_t flows;
};

/* Tokens, as of `ms`. */
struct flow_tokens {
	uint64_t tokens, ms;
};

/* What has figures of flows beside peers (counted.c). */
enum flow_counted {
	FLOW_COUNTED_RULES,
	FLOW_COUNTED_ROUTES,
	FLOW_COUNTED_EGRESS,
	FLOW_COUNTED_FORWARDS,
	FLOW_COUNTED,
};

/* What one sender has left: of ICMP errors about its packets, of new flows. */
struct flow_sender {
	struct flow_tokens icmp, opened;
};

/* Written by its worker only; the main thread reads the counters. */
struct flow_worker {
	struct flow_table table;
	struct nat_worker *nat;
	struct flow_fragments *fragments;
	unsigned id;
	unsigned workers;
	/* set per call of a node */
	unsigned copy;
	bool mapped; /* there are mapped prefixes (dataplane/map) */
	uint32_t generation;
	uint64_t now_ms;

	uint32_t *wheel;   /* heads, by slot */
	uint64_t tick;     /* the wheel's hand */
	uint32_t *touched; /* slots with uncollected counters, a ring of touched_mask + 1 */
	uint32_t touched_mask;
	uint32_t touched_head;
	uint32_t touched_tail;
	uint32_t touched_due;      /* up to here they are collected in this round */
	uint64_t touched_round_ms; /* when the round began */
	uint32_t sweep_token;      /* the removal of peers this worker has dealt with */
	uint32_t sweep_next;       /* flow to look at next; 0 = no sweep under way */
	uint32_t sweep_goal;

	uint32_t half_open;
	uint32_t half_open_max;
	uint32_t owner_max;           /* flows of one peer or port */
	uint32_t owner_half_open_max; /* ... half-open ones: a flood leaves others room */
	uint32_t port_owned[64];      /* by port id; of peers it is peers[].flows */
	uint32_t port_half_open[64];
	struct flow_tokens icmp, resets;    /* of messages of our own */
	struct flow_sender port_sender[64]; /* by port id */
	struct flow_sender *peer_sender;
	struct flow_tokens sweeps; /* of long searches for a shared port */
	struct flow_peer_count *peers;
	struct flow_pair_count *rules;
	struct flow_pair_count *routes;
	struct flow_pair_count *egress;
	struct flow_pair_count *forwards;
	uint32_t peers_max, rules_max, routes_max;
} __attribute__((aligned(64)));

struct flow_worker *flow_worker_get(unsigned id);

/* For node and test: what changes between loops. */
void flow_worker_refresh(struct flow_worker *w, unsigned copy, uint64_t now_ms);

int flow_worker_create(struct flow_worker *w, unsigned id, uint32_t capacity,
	const struct hash_key *key) __attribute__((warn_unused_result));
void flow_worker_destroy(struct flow_worker *w);

/* What a packet looks like; the identity as flows keep it (the kernel is one), and the source as
 * everybody knows it, where prefixes are mapped. */
void flow_key_of(const struct flow_worker *w, struct rte_mbuf *mbuf, struct flow_key *key);

/* The source of a key's packets as they arrive. */
void flow_source_of(const struct flow_worker *w, const struct flow_key *key, uint8_t addr[16]);

/* The known flows' path (fast.c): roles[i] says where mbufs[i] goes, FLOW_TO_SLOW if judged. */
void flow_fast(struct flow_worker *w, struct rte_mbuf **mbufs, unsigned n, uint8_t *roles);

/* One packet that flow_fast did not know (slow.c). Returns the role; then ask flow_fragment_next
 * for what has become due with it. */
uint8_t flow_slow(struct flow_worker *w, struct rte_mbuf *mbuf);

/* Sends a packet of this flow on its way (fast.c); not for the path of known flows. */
uint8_t flow_carry(struct flow_worker *w, struct rte_mbuf *mbuf, struct flow *flow, unsigned dir);

/* Which worker owns the flow that this key belongs to (home.c). asks: it is an ICMP query. */
unsigned flow_home(const struct flow_worker *w, const struct flow_key *key, bool asks);

/* A packet of no flow here: to whom it may answer, and then to its home. True: it goes to
 * GRAPH_HANDOFF, at most twice; false: it is at home. Of the two only the first: for a flow whose
 * packets all go that way, so that none overtakes another (FLOW_ASKED). */
bool flow_hand_to_asker(
	const struct flow_worker *w, struct rte_mbuf *mbuf, const struct flow_key *key);
bool flow_hand_on(
	const struct flow_worker *w, struct rte_mbuf *mbuf, const struct flow_key *key, bool asks);

struct flow_verdict;

/* The outside of a masqueraded flow (masquerade.c): fills in mapping, and address and port of the
 * way back. 0 or a drop reason. And gives it back. */
uint16_t flow_masquerade(struct flow_worker *w, struct flow *flow, uint32_t set_id);
void flow_unmap(struct flow_worker *w, struct flow *flow);

/* Parts of a first packet's way (slow.c), each 0 or a drop reason: may it be the first of a flow,
 * is there room for one more flow of this sender, and both directions' keys, mapping, actions. */
uint16_t flow_check_first(struct rte_mbuf *mbuf, const struct flow_verdict *verdict);
uint16_t flow_check_bounds(struct flow_worker *w, const struct flow_key *key);
uint16_t flow_build(struct flow_worker *w, struct flow *flow, const struct flow_key *key,
	const struct flow_verdict *verdict) __attribute__((warn_unused_result));

/* From outside to a mapping whose rule lets in others than those it was made for (inward.c). True:
 * the packet goes to *role; false: it does not. */
bool flow_open_inward(
	struct flow_worker *w, struct rte_mbuf *mbuf, const struct flow_key *key, uint8_t *role);

/* What the packet needs of a judgement (judge.c). */
struct flow_verdict {
	uint8_t role[2];
	uint8_t flags[2];
	uint32_t peer[2];
	uint32_t adjacency[2];
	uint16_t port_out[2];
	uint16_t mtu[2];
	uint32_t ident_back; /* identity of the far side */
	uint32_t rule;
	uint32_t route_id;
	uint32_t set_id;
	bool masquerade;
	bool hairpin;         /* to an address of ours, and in again by it */
	uint16_t forward;     /* lets it in; 0 = none */
	uint16_t inside_port; /* ... and turns the destination into */
	struct addr inside;
	bool tell;     /* the sender of a refused packet */
	uint32_t icmp; /* ... this: icmp_error_code() */
	uint16_t drop;
};

/* True if there was a translation that a flow cannot begin in the middle of. */
static inline bool flow_is_translated(const struct flow_verdict *verdict)
{
	return verdict->masquerade || verdict->forward != 0;
}

struct flow_asked {
	const struct flow_key *key;
	uint16_t host_port; /* from the kernel: the port whose twin it used, 0 = overlay */
	uint8_t icmp_type;
	bool forwarded; /* by a port forward */
};

/* True: allowed. False: verdict->drop says why not; if that is only that the next hop is not known
 * yet (NEIGH_UNKNOWN), all but its adjacency is filled in. */
bool flow_judge(
	const struct flow_worker *w, const struct flow_asked *asked, struct flow_verdict *verdict);

/* True for the sender of traffic that has an inside behind the NAT: a peer. */
static inline bool flow_is_peer(uint32_t ident)
{
	return (ident & (API_IDENT_HOST | API_IDENT_PORT | API_IDENT_HAIRPIN)) == 0;
}

/*
 * Hairpinning (hairpin.c). flow_hairpin_turn makes a packet that left by GRAPH_HAIRPIN one that
 * arrives from outside; 0 or a drop reason. May what another inside host sent to the outside of
 * this flow come in? flow_hairpin_admit asks the policy for the packet's sender and remembers him;
 * flow_hairpin_stands asks again about the one remembered.
 */
uint16_t flow_hairpin_turn(struct flow_worker *w, struct rte_mbuf *mbuf);
bool flow_hairpin_admit(struct flow_worker *w, struct flow *flow, struct rte_mbuf *mbuf);
bool flow_hairpin_stands(const struct flow_worker *w, const struct flow *flow);

/* May packets of this direction come from that identity too? Of several routing peers each may
 * carry what belongs to their range, and so may a port by which the kernel would reach the
 * sender (slow.c). */
bool flow_may_carry(const struct flow_worker *w, const struct flow_key *key, uint32_t ident);

/* A packet of a known direction from another identity: does the flow move over to it? (slow.c) */
bool flow_adopt(struct flow_worker *w, struct flow *flow, unsigned dir, struct rte_mbuf *mbuf,
	uint32_t ident);

/* Judges a flow again after a change. */
enum flow_rejudged {
	FLOW_STANDS,
	FLOW_WAITS, /* a next hop is unknown: drop this packet, keep the flow */
	FLOW_CUT,   /* the caller deletes it */
};
enum flow_rejudged flow_rejudge(struct flow_worker *w, struct flow *flow, uint16_t *drop);
void flow_set_actions(struct flow_worker *w, struct flow *flow, const struct flow_verdict *verdict);

/* An ICMP error along a flow (icmp_translate.c). Returns the role. */
uint8_t flow_icmp_error(struct flow_worker *w, struct rte_mbuf *mbuf);

/* The ICMP error about a packet, to go on at *role; NULL if none may be sent (icmp_error.c). The
 * packet stays the caller's. */
struct rte_mbuf *flow_tell(struct flow_worker *w, struct rte_mbuf *mbuf, uint8_t *role);

/* The RST that answers a segment of a peer's (reset.c), ready to be sealed; NULL without memory. */
struct rte_mbuf *flow_reset(struct rte_mbuf *mbuf);

/* Life of a flow (life.c). */
int flow_life_init(void) __attribute__((warn_unused_result)); /* main thread, in init */
void flow_start(struct flow_worker *w, struct flow *flow, struct rte_mbuf *mbuf);
/* Packets of this direction come from another identity from now on. */
void flow_move(struct flow_worker *w, struct flow *flow, unsigned dir, uint32_t ident);
void flow_delete(struct flow_worker *w, struct flow *flow);
void flow_set_timeout(struct flow_worker *w, struct flow *flow, uint32_t timeout_ms);
/* A TCP connection that was half-open is so no more. */
void flow_opened(struct flow_worker *w, struct flow *flow);
/* Expiry, counters and removed peers: a bounded piece of work; true if there was something. */
bool flow_tend(struct flow_worker *w);
uint32_t flow_idle_ms(const struct flow_worker *w, const struct flow *flow);
/* The counters of one flow now. */
void flow_collect(struct flow_worker *w, struct flow *flow);
/* The identity that packets of direction 0 go to. */
uint32_t flow_leads_to(const struct flow *flow);
/* All counters, regardless of bounds: tests, and before a worker stops. */
void flow_collect_all(struct flow_worker *w);
/* Counts the removals of a peer; 0 for identities that are none. Any thread. */
uint32_t flow_peer_epoch(uint32_t ident);
void flow_peer_gone(uint32_t peer); /* main thread */
void flow_touch(struct flow_worker *w, struct flow *flow, unsigned dir);

/* Whose the figures under an id are (counted.c): what flows that were judged before `since` have
 * is another's (any thread); and its figures so far, of all workers (main thread). The id is one of
 * the kind's. */
int flow_counted_init(void) __attribute__((warn_unused_result)); /* main thread, in init */
uint32_t flow_counted_since(enum flow_counted kind, uint32_t id);
struct flow_pair_count flow_counted_sum(enum flow_counted kind, uint32_t id);
/* Ids from there on have no figures: nobody has had one. All may have some where the control
 * process does not say whose they are. Main thread. */
uint32_t flow_counted_rows(enum flow_counted kind);

/* Counters and the dump (stats.c, dump.c). Main thread, in init. */
int flow_stats_init(void);
void flow_peer_made(uint32_t peer); /* its counters begin at zero */
void flow_dump_init(void);

/* Milliseconds of idleness (timeouts.c). Handlers: main thread, in init. */
uint32_t flow_timeout(const struct flow_worker *w, enum flow_timeout which);
void flow_timeouts_init(void);

/* What one sender may have of a worker (limits.c). Handlers: main thread, in init. */
struct flow_limits {
	uint32_t flows, half_open; /* 0 = the worker's own bounds */
	uint32_t new_per_s;        /* 0 = no limit */
	uint32_t icmp_per_s;
	uint32_t rest_ms;
	uint32_t resting; /* ports; 0 = as many as there are */
};
const struct flow_limits *flow_limits(const struct flow_worker *w);
void flow_limits_init(void);

/* NULL for the kernel, whose packets have no bound of their own. */
struct flow_sender *flow_sender_of(struct flow_worker *w, uint32_t ident);

/* Takes one of rate_per_s, of which `burst` may be had at once; false: there is none. */
static inline bool flow_take_token(
	struct flow_tokens *bucket, uint64_t now_ms, uint64_t rate_per_s, uint64_t burst)
{
	enum { ONE = 1000 }; /* a token, so that none is lost between two looks at the clock */
	uint64_t gained = (now_ms - bucket->ms) * rate_per_s;

	bucket->ms = now_ms;
	bucket->tokens = RTE_MIN(bucket->tokens + gained, burst * ONE);
	if (bucket->tokens < ONE)
		return false;
	bucket->tokens -= ONE;
	return true;
}

/* TCP (tcp.c): moves the state by this packet's flags. */
void flow_tcp(struct flow_worker *w, struct flow *flow, unsigned dir, uint8_t tcp_flags);
void flow_clamp_mss(struct rte_mbuf *mbuf, uint8_t l4, uint16_t mss);

/* Drops with a reason: the role of a packet that ends here. */
static inline uint8_t flow_drop(struct rte_mbuf *mbuf, uint16_t reason)
{
	packet_of(mbuf)->drop = reason;
	return GRAPH_DROP;
}

static inline void flow_key_src(const struct flow_key *key, struct addr *out)
{
	memset(out, 0, sizeof(*out));
	out->family = key->family;
	memcpy(out->bytes, key->src, 16);
}

static inline void flow_key_dst(const struct flow_key *key, struct addr *out)
{
	memset(out, 0, sizeof(*out));
	out->family = key->family;
	memcpy(out->bytes, key->dst, 16);
}
