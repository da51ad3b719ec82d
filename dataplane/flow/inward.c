/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filtering that lets in others than those whom the inside sent to (RFC 4787 section 5, RFC 5382
 * REQ-3): an egress rule may leave a mapping open to anyone, or to any port of the addresses that
 * the inside host sends to from it.
 *
 * What comes in makes the flow that the inside host would have made by sending there first: the
 * same keys, judged by the same policy as his, with direction 1 as the first to be used. So nobody
 * comes in to whom the host may not send.
 */
#include <netinet/in.h>

#include "common/api/egress.h"
#include "common/api/flow.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/nat/nat.h"

/* The mapping of the packet's destination, and the flow's key as the inside would have made it. */
static bool find_inside(struct flow_worker *w, const struct flow_key *key,
	struct nat_inside *inside, struct flow_key *there)
{
	const struct nat_address *address;
	struct addr dst;

	if ((key->proto != IPPROTO_TCP && key->proto != IPPROTO_UDP) || flow_is_peer(key->ident))
		return false;
	flow_key_dst(key, &dst);
	address = nat_address_find(w->copy, &dst);
	if (address == NULL || !nat_find_inside(w->nat, address, key->proto, key->dport, inside) ||
		!flow_is_peer(inside->subscriber))
		return false;
	*there = *key;
	memcpy(there->src, inside->addr.bytes, 16);
	memcpy(there->dst, key->src, 16);
	there->sport = inside->port;
	there->dport = key->sport;
	there->ident = inside->subscriber;
	there->hash = flow_hash(&w->table, there);
	return true;
}

/* As the inside would be, but a next hop that is not known yet keeps out nobody: only the inside's
 * answer has to wait for it. It is the last thing that is asked for, so the verdict is whole. */
static bool judge_inside(
	const struct flow_worker *w, const struct flow_asked *asked, struct flow_verdict *verdict)
{
	if (flow_judge(w, asked, verdict))
		return true;
	if (verdict->drop != DROP(flow, NEIGH_UNKNOWN))
		return false;
	verdict->flags[0] |= FLOW_UNRESOLVED;
	return true;
}

/* Does the rule by which the inside host would send there let this one in? */
static bool is_open(struct flow_worker *w, const struct flow_key *there, uint32_t set_id,
	const struct nat_inside *inside)
{
	struct nat_asked asked = {.set_id = set_id, .subscriber = there->ident};
	uint16_t options;

	flow_key_src(there, &asked.src);
	flow_key_dst(there, &asked.dst);
	if (nat_select(w->copy, &asked, &options) == NULL)
		return false;
	return (options & API_EGRESS_OPEN) != 0 ||
	       ((options & API_EGRESS_BY_ADDR) != 0 &&
		       nat_contact_has(w->nat, inside->mapping, &asked.dst));
}

/* Is the way back the one that the packet came? Its mapping may be another by now. */
static bool comes_back(
	struct flow_worker *w, struct flow *flow, struct rte_mbuf *mbuf, const struct flow_key *key)
{
	const struct flow_key *back = &flow->dir[1].key;

	return flow_key_equal(back, key) &&
	       (back->ident == key->ident || flow_adopt(w, flow, 1, mbuf, key->ident));
}

bool flow_open_inward(
	struct flow_worker *w, struct rte_mbuf *mbuf, const struct flow_key *key, uint8_t *role)
{
	struct flow_key there;
	struct flow_asked asked = {.key = &there};
	struct flow_verdict verdict;
	struct nat_inside inside;
	struct flow *flow;

	if (!find_inside(w, key, &inside, &there) || !judge_inside(w, &asked, &verdict) ||
		!verdict.masquerade || !is_open(w, &there, verdict.set_id, &inside) ||
		flow_check_first(mbuf, &verdict) != 0 || flow_check_bounds(w, &there) != 0)
		return false;
	flow = flow_table_get(&w->table);
	if (flow_build(w, flow, &there, &verdict) != 0) {
		flow_table_put(&w->table, flow);
		return false;
	}
	flow->cold.opener = 1;
	flow_start(w, flow, mbuf);
	if (!comes_back(w, flow, mbuf, key)) {
		flow_delete(w, flow);
		return false;
	}
	*role = flow_carry(w, mbuf, flow, 1);
	return true;
}
