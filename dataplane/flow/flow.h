/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flows: what was decided about a conversation on its first packet, kept so that every further
 * packet costs one lookup. Nodes "flow" (GRAPH_FORWARD), "flow_slow" and "icmp_error"
 * (GRAPH_ICMP). Each worker has its own table; nothing here is shared between workers.
 */
#pragma once

#include "dataplane/graph/drop.h"

#define FLOW_DROPS(X)                                                                              \
	X(SPOOFED_INNER, "spoofed_inner", "source not in the allowed-IPs of the sending peer")     \
	X(SPOOFED_OVERLAY, "spoofed_overlay", "source of a peer or the overlay on a plain port")   \
	X(FORGED_TUPLE, "forged_tuple", "addresses and ports of somebody else's flow")             \
	X(NO_ROUTE, "no_route", "no route to the destination for this source")                     \
	X(LINK_LOCAL, "link_local", "link-local addresses are not forwarded")                      \
	X(EXIT_CLOSED, "exit_closed", "exit nodes lead to the internet only")                      \
	X(POLICY, "policy", "no policy allows the flow")                                           \
	X(POLICY_HOST, "policy_host", "no policy allows the flow to the gateway itself")           \
	X(REVOKED, "revoked", "a change of policy, routes or peers cut the flow")                  \
	X(EGRESS_REFUSED, "egress_refused", "no egress address for this source and destination")   \
	X(PORTS_EXHAUSTED, "ports_exhausted", "no free port on the egress address")                \
	X(UNSOLICITED, "unsolicited", "to an egress address, but belongs to no flow")              \
	X(FORWARD_SOURCE, "forward_source", "to a forwarded port, but not from whom it is for")    \
	X(HAIRPIN, "hairpin", "by way of an egress address to a peer that policy keeps apart")     \
	X(NEIGH_UNKNOWN, "neigh_unknown", "the next hop's MAC address is not known yet")           \
	X(TTL, "ttl", "TTL or hop limit used up")                                                  \
	X(TOO_BIG, "too_big", "larger than the MTU of the way out")                                \
	X(FRAGMENT, "fragment", "a later fragment whose first one made no flow")                   \
	X(FRAGMENT_LATE, "fragment_late", "a fragment that is needed did not come in two seconds") \
	X(FRAGMENT_FULL, "fragment_full", "too many fragments wait or are known already")          \
	X(FRAGMENT_LONG, "fragment_long", "longer than a buffer when put together")                \
	X(FRAGMENT_OVERLAP, "fragment_overlap", "bytes that another fragment had brought")         \
	X(PROTOCOL, "protocol", "a protocol that cannot be masqueraded")                           \
	X(TCP_NO_FLOW, "tcp_no_flow", "TCP in the middle of an unknown connection")                \
	X(ICMP_NO_QUERY, "icmp_no_query", "ICMP that neither asks nor reports about a flow")       \
	X(ICMP_ERROR_UNMATCHED, "icmp_error_unmatched", "ICMP error about no flow of ours")        \
	X(ICMP_ERROR_BAD, "icmp_error_bad", "malformed ICMP error")                                \
	X(ANSWER_TAKEN, "answer_taken",                                                            \
		"its answers would look like packets of another flow that runs")                   \
	X(TABLE_FULL, "table_full", "this worker's flow table is full")                            \
	X(PEER_FULL, "peer_full", "the peer or port has as many flows as it may")                  \
	X(PEER_RATE, "peer_rate", "the peer or port opens flows faster than it may")               \
	X(HALF_OPEN_FULL, "half_open_full", "too many half-open TCP connections")                  \
	X(PEER_HALF_OPEN, "peer_half_open",                                                        \
		"the peer or port has as many half-open TCP connections as it may")                \
	X(MULTICAST, "multicast", "multicast, broadcast or another address nobody can have")       \
	X(PEER_GONE, "peer_gone", "the peer was removed")

DROP_GROUP_DECLARE(flow, FLOW_DROPS);
