/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the data plane would do with the first packet of a flow, and which objects of the
 * configuration make it so. Judged from the messages that the data plane was given, in the order
 * in which it judges itself: sender, gateway's own addresses, route, policy, egress address.
 * No packet is sent. Loop's thread.
 */
#pragma once

#include "common/api/egress.h"
#include "common/api/map.h"
#include "common/api/forward.h"
#include "common/api/policy.h"
#include "common/api/route.h"
#include "control/compile/compile.h"

/* A new flow; of ICMP an echo request. */
struct why_query {
	struct addr src, dst; /* of one family */
	enum model_protocol protocol;
	uint16_t port;               /* 0 = none */
	const struct model_peer *as; /* whose tunnel it comes from; NULL = found by src */
	bool seen; /* src is the one that others see, of a mapped peer also with `as` */
};

enum why_verdict {
	WHY_ALLOWED,
	WHY_UNKNOWN_SENDER, /* no peer and no port's network has this address */
	WHY_PEER_DISABLED,
	WHY_SPOOFED,         /* not an address of the peer's */
	WHY_SPOOFED_OVERLAY, /* an overlay address that no peer has, from a plain port */
	WHY_UNSOLICITED,     /* to the NAT's own share of an egress address */
	WHY_FORWARD_SOURCE,  /* to a forwarded port, but not from whom it is for */
	WHY_LINK_LOCAL,
	WHY_NO_ROUTE,
	WHY_NO_REAL, /* a seen address that RFC 6296 has no real one for */
	WHY_EXIT_CLOSED,
	WHY_POLICY,
	WHY_EGRESS_REFUSED,
};

/* Everything found on the way to the verdict; what was not reached is NULL. Points into the
 * compiled configuration and the list. */
struct why_answer {
	enum why_verdict verdict;
	const struct model_peer *from_peer;
	const struct model_port *from_port;
	const struct compile_set *set; /* NULL: a port that no rule names */
	bool to_host;
	const struct api_route_set *route;  /* of the overlay, or underlay for plain senders */
	const struct api_route_set *closed; /* the entry that keeps the exit node out */
	const struct api_route_set *underlay;
	struct addr real;               /* of the destination, where it is mapped; else ADDR_NONE */
	struct addr src_seen, src_real; /* of the source, where it is mapped; else ADDR_NONE */
	const struct api_policy_set *rule; /* NULL after WHY_POLICY: none matched */
	const struct api_forward_set *forward;
	const struct model_peer *inside_peer; /* to which the forward leads; NULL = a plain host */
	bool hairpin;                         /* out by an egress address, and in again */
	bool may_be_open; /* with WHY_UNSOLICITED: a rule's mappings there let others in */
	bool masquerade;
	const struct api_egress_rule_set *egress;
	const struct api_egress_pool_set *pool;
	struct addr candidates[API_EGRESS_POOL_ADDRS]; /* of the flow's family */
	size_t n_candidates;
};

/* What the data plane has, made ready for questions: some ten milliseconds for 100,000 peers. */
struct why_index;

/* list: as desired_make() or desired_merge() gave it; both outlive the index. Never NULL. */
struct why_index *why_index_create(const struct compiled *compiled, const struct desired *list);
void why_index_destroy(struct why_index **index);

void why_judge(
	const struct why_index *index, const struct why_query *query, struct why_answer *answer);

/* True for an address that the NAT has in this list. */
bool why_is_egress_address(const struct why_index *index, const struct addr *addr);

/* Turns an address of a mapped peer's from real to seen, and the other way round. False for what
 * has no map, and for a seen address that RFC 6296 has no real one for. */
bool why_turn(const struct desired *list, uint32_t peer, struct addr *addr);

/* The counter that the data plane counts this verdict under ("flow.policy"), or NULL. */
const char *why_drop_name(const struct why_answer *answer);
