/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IP fragments. Only the first one of a packet has ports; later ones follow it by source,
 * destination, identification, protocol and ingress identity (RFC 4787 REQ-14, RFC 7857 section
 * 10). All fragments between two addresses meet on one worker, where the later ones are given the
 * ports of the first; from there they go on as packets of its flow.
 *
 * Datagrams to a port that the data plane serves itself (graph_udp_service) at a local address are
 * put together where their fragments meet, and go on to that service; those of one that cannot
 * become whole any more are dropped.
 *
 * What is kept is bounded: entries per worker and kind of sender, the oldest goes; two seconds
 * (RFC 6146 3.4); packets that wait for their first fragment per worker and per source. Bytes that
 * were seen before are dropped, so that a header that was judged is not replaced.
 *
 * All functions: the worker's thread.
 */
#pragma once

#include <rte_mbuf.h>

#include <stdbool.h>
#include <stdint.h>

struct flow_worker;
struct flow_fragments; /* of one worker */

/* 0 or -ENOMEM. Main thread, before workers run. */
int flow_fragments_create(struct flow_fragments **out) __attribute__((warn_unused_result));
void flow_fragments_destroy(struct flow_fragments **out);

/*
 * True: the fragment has ports now (PACKET_MET) and goes on as a packet of its flow. False: *role
 * is where it goes, FLOW_HELD if it waits here.
 */
bool flow_fragment_meet(struct flow_worker *w, struct rte_mbuf *mbuf, uint8_t *role);

/* What became due by the last packet and goes on at *role (FLOW_TO_SLOW: to flow_slow), or NULL. */
struct rte_mbuf *flow_fragment_next(struct flow_worker *w, uint8_t *role);

/* Appends to what is due. */
void flow_fragment_due(struct flow_worker *w, struct rte_mbuf *mbuf, uint8_t role);

/* Drops what waited in vain: a bounded piece of work; true if there is more. */
bool flow_fragments_tend(struct flow_worker *w);

/* An IPv4 packet that may be cut (RFC 791: no DF). */
bool flow_may_split(struct rte_mbuf *mbuf);

/* Cuts a packet, ready for `role`, to this MTU. Returns the role of the first piece; the others
 * come from flow_fragment_next. */
uint8_t flow_split(struct flow_worker *w, struct rte_mbuf *mbuf, uint16_t mtu, uint8_t role);

/* An identification that no other packet of ours has for a while, host order (RFC 6864 5.3.1). */
uint16_t flow_fragment_id(struct flow_worker *w);
void flow_fragment_set_id(struct rte_mbuf *mbuf, uint16_t id);

/* The identification for a fragment that leaves masqueraded, as its meeting place gave it. */
uint16_t flow_fragment_given_id(struct rte_mbuf *mbuf);
