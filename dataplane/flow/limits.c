/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one sender, a peer or a plain port, may have of a worker, as the configuration has it: two
 * copies of one small table. RFC 6888 REQ-4, REQ-5 and REQ-8, RFC 1812 4.3.2.8.
 */
#include <rte_common.h>

#include "common/api/flow.h"
#include "common/api/port.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/main/handler.h"

static const struct flow_limits defaults = {
	.icmp_per_s = API_LIMIT_ICMP_DEFAULT,
	.rest_ms = API_LIMIT_REST_DEFAULT * 1000,
};

static struct flow_limits tables[2];

const struct flow_limits *flow_limits(const struct flow_worker *w)
{
	return &tables[w->copy];
}

struct flow_sender *flow_sender_of(struct flow_worker *w, uint32_t ident)
{
	if ((ident & API_IDENT_HOST) != 0)
		return NULL;
	if ((ident & API_IDENT_PORT) != 0)
		return &w->port_sender[ident & (API_PORT_MAX - 1)];
	ident &= FLOW_IDENT_MASK & ~(uint32_t)API_IDENT_HAIRPIN;
	return ident < w->peers_max ? &w->peer_sender[ident] : NULL;
}

static int validate_set(const void *message, uint32_t *detail)
{
	const struct api_flow_limits_set *set = message;

	*detail = offsetof(struct api_flow_limits_set, new_per_s);
	if (set->new_per_s > API_LIMIT_RATE_MAX)
		return API_E_VALUE;
	*detail = offsetof(struct api_flow_limits_set, icmp_per_s);
	if (set->icmp_per_s == 0 || set->icmp_per_s > API_LIMIT_RATE_MAX)
		return API_E_VALUE;
	*detail = offsetof(struct api_flow_limits_set, rest_s);
	if (set->rest_s > API_LIMIT_REST_MAX)
		return API_E_VALUE;
	*detail = offsetof(struct api_flow_limits_set, id);
	return set->id == 1 ? 0 : API_E_VALUE;
}

static void apply_set(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_flow_limits_set *set = message;

	(void)pass;
	tables[copy] = (struct flow_limits){
		.flows = set->flows,
		.half_open = set->half_open,
		.new_per_s = set->new_per_s,
		.icmp_per_s = set->icmp_per_s,
		.rest_ms = set->rest_s * 1000,
		.resting = set->resting,
	};
}

static void apply_del(const void *message, unsigned copy, enum handler_pass pass)
{
	(void)message;
	(void)pass;
	tables[copy] = defaults;
}

static void begin(unsigned copy, enum handler_pass pass, bool full)
{
	(void)pass;
	if (full)
		tables[copy] = defaults;
}

static const struct handler handlers[] = {
	{API_FLOW_LIMITS_SET, "flow_limits_set", sizeof(struct api_flow_limits_set), validate_set,
		apply_set},
	{API_FLOW_LIMITS_DEL, "flow_limits_del", sizeof(struct api_flow_limits_del), NULL,
		apply_del},
};

static const struct handler_group group = {
	.feature = "flow",
	.handlers = handlers,
	.count = RTE_DIM(handlers),
	.begin = begin,
};

void flow_limits_init(void)
{
	tables[0] = tables[1] = defaults;
	handler_register(&group);
}
