/* SPDX-License-Identifier: BSD-3-Clause */
/* Which address and port a masqueraded flow has outside, and how it gives them back. */
#include <netinet/in.h>

#include <rte_common.h>

#include "common/api/egress.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/nat/nat.h"

static bool is_query(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

/* May this refusal cost a whole row of tries? 500 a second may, 32 at once. */
static bool may_sweep(struct flow_worker *w)
{
	enum { PER_S = 500, AT_ONCE = 32 };

	return flow_take_token(&w->sweeps, w->now_ms, PER_S, AT_ONCE);
}

/* Notes whom the flow sends to. False: no memory; then it has no mapping either. */
static bool note_contact(struct flow_worker *w, struct flow *flow, const struct addr *remote)
{
	flow->cold.contact = nat_contact_add(w->nat, flow->cold.mapping, remote);
	if (flow->cold.contact == 0)
		flow_unmap(w, flow);
	return flow->cold.contact != 0;
}

/*
 * A port that no other flow to this address has: neither a shared one, nor whatever else the table
 * knows, since the key of the way back has to be a new one. At random first; where nearly all are
 * taken, in a row. Somebody who keeps asking for what is all taken must not keep the worker busy.
 */
static uint16_t share_port(
	struct flow_worker *w, struct flow *flow, const struct nat_wanted *wanted)
{
	struct flow_key *back = &flow->dir[1].key;
	struct addr remote;

	flow_key_src(back, &remote);
	for (unsigned attempt = 0; attempt < NAT_ATTEMPTS + NAT_SWEEP; attempt++) {
		if (attempt == NAT_ATTEMPTS && !may_sweep(w))
			break;
		back->dport = nat_offer(w->nat, wanted, attempt);
		if (back->dport == 0 || nat_shared_to(w->nat, wanted, back->dport, &remote))
			continue;
		back->hash = flow_hash(&w->table, back);
		if (flow_table_find(&w->table, back) != 0)
			continue;
		flow->cold.mapping = nat_share(w->nat, wanted, back->dport);
		break;
	}
	if (flow->cold.mapping != 0)
		return note_contact(w, flow, &remote) ? 0 : DROP(flow, TABLE_FULL);
	nat_count_refused(wanted->address);
	return DROP(flow, PORTS_EXHAUSTED);
}

static uint16_t map_port(struct flow_worker *w, struct flow *flow, const struct nat_wanted *wanted)
{
	struct flow_key *back = &flow->dir[1].key;
	struct addr remote;

	flow->cold.mapping = nat_map(w->nat, wanted, &back->dport);
	if (flow->cold.mapping == 0)
		return DROP(flow, PORTS_EXHAUSTED);
	if (is_query(wanted->proto))
		back->sport = back->dport; /* the identifier stands in both */
	if ((wanted->options & API_EGRESS_BY_ADDR) == 0)
		return 0;
	flow_key_src(back, &remote);
	return note_contact(w, flow, &remote) ? 0 : DROP(flow, TABLE_FULL);
}

uint16_t flow_masquerade(struct flow_worker *w, struct flow *flow, uint32_t set_id)
{
	const struct flow_key *key = &flow->dir[0].key;
	struct nat_asked asked = {.set_id = set_id, .subscriber = key->ident};
	struct nat_wanted wanted = {
		.port = key->sport,
		.proto = key->proto,
		.subscriber = key->ident,
	};

	if (!nat_can_map(key->proto))
		return DROP(flow, PROTOCOL);
	flow_key_src(key, &asked.src);
	flow_key_dst(key, &asked.dst);
	wanted.inside = asked.src;
	wanted.address = nat_select(w->copy, &asked, &wanted.options);
	if (wanted.address == NULL)
		return DROP(flow, EGRESS_REFUSED);
	flow->cold.egress = nat_address_id(wanted.address);
	memcpy(flow->dir[1].key.dst, nat_address_addr(wanted.address)->bytes, 16);
	/* of a query the identifier is the mapping's whatever the destination (RFC 5508 REQ-1) */
	if ((wanted.options & API_EGRESS_SHARED) != 0 && !is_query(key->proto))
		return share_port(w, flow, &wanted);
	return map_port(w, flow, &wanted);
}

void flow_unmap(struct flow_worker *w, struct flow *flow)
{
	if (flow->cold.contact != 0)
		nat_contact_drop(w->nat, flow->cold.contact);
	if (flow->cold.mapping != 0)
		nat_unmap(w->nat, flow->cold.mapping);
	flow->cold.contact = 0;
	flow->cold.mapping = 0;
}
