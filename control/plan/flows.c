/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data plane judges each running flow anew at its first packet after a change, and cuts it if
 * its sender is gone, if it is denied now, if it would be masqueraded and was not (or the other
 * way round), or if its egress address is gone. A flow keeps the address that it has, even if new
 * ones get another. Asked here is the engine of `sallyport why`.
 */
#include <stdlib.h>

#include "control/plan/plan.h"
#include "control/why/why.h"

enum { ICMP = 1, ICMPV6 = 58 };

struct plan_flows {
	const struct compiled *c;
	struct why_index *index;
};

struct plan_flows *plan_flows_create(const struct compiled *to, const struct desired *list)
{
	struct plan_flows *flows = calloc(1, sizeof(*flows));

	if (flows == NULL)
		abort();
	flows->c = to;
	flows->index = why_index_create(to, list);
	return flows;
}

void plan_flows_destroy(struct plan_flows **flows)
{
	if (*flows == NULL)
		return;
	why_index_destroy(&(*flows)->index);
	free(*flows);
	*flows = NULL;
}

static bool is_peer(uint32_t identity)
{
	return (identity & (API_IDENT_HOST | API_IDENT_PORT | API_IDENT_HAIRPIN)) == 0;
}

static const char *why_denied(const struct why_answer *answer)
{
	switch (answer->verdict) {
	case WHY_POLICY:
		return answer->rule == NULL ? "no policy allows it" : "a policy denies it";
	case WHY_NO_ROUTE:
		return "no route or exit node leads there";
	case WHY_EXIT_CLOSED:
		return "the destination is closed to exit traffic";
	case WHY_EGRESS_REFUSED:
		return "no egress address for it";
	case WHY_SPOOFED:
	case WHY_UNKNOWN_SENDER:
		return "its source address is nobody's";
	case WHY_PEER_DISABLED:
		return "its peer is disabled";
	default:
		return "it is denied";
	}
}

const char *plan_flow_cut(const struct plan_flows *flows, const struct api_flow_entry *entry)
{
	bool ports = entry->proto == MODEL_TCP || entry->proto == MODEL_UDP;
	struct why_query query = {
		.src = entry->src,
		.dst = entry->dst,
		.protocol = entry->proto == ICMPV6 ? ICMP : (enum model_protocol)entry->proto,
		.port = ports ? entry->dport : 0,
		.seen = true,
	};
	struct why_answer answer = {0};
	/* of a forward's flow the address is the one inside */
	bool masqueraded = entry->nat_addr.family != ADDR_NONE && entry->forward == 0;

	if (is_peer(entry->ingress) &&
		(query.as = compile_peer_of_id(flows->c, entry->ingress)) == NULL)
		return "its peer is gone";
	if (is_peer(entry->egress) && entry->egress != 0 &&
		compile_peer_of_id(flows->c, entry->egress) == NULL)
		return "the peer at its other end is gone";
	/* What the gateway itself opened no policy judges; the second half of what goes around by
	 * an outside address is judged where it comes from. */
	if ((entry->ingress & (API_IDENT_HOST | API_IDENT_HAIRPIN)) != 0)
		return NULL;
	why_judge(flows->index, &query, &answer);
	/* to a mapping of another peer's: he asked for it, or his rule is open */
	if (answer.verdict == WHY_UNSOLICITED && entry->egress != 0 &&
		(entry->egress & API_IDENT_HAIRPIN) != 0)
		return NULL;
	if (answer.verdict != WHY_ALLOWED)
		return why_denied(&answer);
	if (answer.masquerade != masqueraded)
		return masqueraded ? "it would not be masqueraded any more"
				   : "it would be masqueraded";
	if (masqueraded && !why_is_egress_address(flows->index, &entry->nat_addr))
		return "its egress address is gone";
	return NULL;
}
