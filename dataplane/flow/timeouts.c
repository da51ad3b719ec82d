/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a flow may be idle, as the configuration has it: two copies of one small table. Read
 * when a flow is opened or its connection changes its state, so a change counts from then on.
 */
#include <rte_common.h>

#include "common/api/flow.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/main/handler.h"

enum {
	SECONDS_MIN = 1,
	SECONDS_MAX = 864000, /* ten days: flows note the time in 32 bits of milliseconds */
};

/* ms; RFC 4787 REQ-5, RFC 5382 REQ-5, RFC 7857 section 2, RFC 5508 REQ-2 */
static const uint32_t defaults[FLOW_TIMEOUTS] = {
	[FLOW_TIMEOUT_UDP] = 300 * 1000,
	[FLOW_TIMEOUT_DNS] = 30 * 1000, /* RFC 4787 REQ-5a */
	[FLOW_TIMEOUT_TCP] = 7440 * 1000,
	[FLOW_TIMEOUT_TCP_OPENING] = 240 * 1000,
	[FLOW_TIMEOUT_TCP_CLOSING] = 240 * 1000,
	[FLOW_TIMEOUT_ICMP] = 60 * 1000,
	[FLOW_TIMEOUT_OTHER] = 300 * 1000,
};

static uint32_t tables[2][FLOW_TIMEOUTS];

uint32_t flow_timeout(const struct flow_worker *w, enum flow_timeout which)
{
	return tables[w->copy][which];
}

static int validate_set(const void *message, uint32_t *detail)
{
	const struct api_flow_timeouts_set *set = message;

	for (unsigned i = 0; i < API_FLOW_TIMEOUTS; i++) {
		*detail = (uint32_t)(offsetof(struct api_flow_timeouts_set, seconds) +
				     i * sizeof(set->seconds[0]));
		if (set->seconds[i] < SECONDS_MIN || set->seconds[i] > SECONDS_MAX)
			return API_E_VALUE;
	}
	*detail = offsetof(struct api_flow_timeouts_set, id);
	return set->id == 1 ? 0 : API_E_VALUE;
}

static void reset(unsigned copy)
{
	memcpy(tables[copy], defaults, sizeof(defaults));
}

static void apply_set(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_flow_timeouts_set *set = message;

	(void)pass;
	for (unsigned i = 0; i < FLOW_TIMEOUTS; i++)
		tables[copy][i] = set->seconds[i] * 1000;
}

static void apply_del(const void *message, unsigned copy, enum handler_pass pass)
{
	(void)message;
	(void)pass;
	reset(copy);
}

static void begin(unsigned copy, enum handler_pass pass, bool full)
{
	(void)pass;
	if (full)
		reset(copy);
}

static const struct handler handlers[] = {
	{API_FLOW_TIMEOUTS_SET, "flow_timeouts_set", sizeof(struct api_flow_timeouts_set),
		validate_set, apply_set},
	{API_FLOW_TIMEOUTS_DEL, "flow_timeouts_del", sizeof(struct api_flow_timeouts_del), NULL,
		apply_del},
};

static const struct handler_group group = {
	.feature = "flow",
	.handlers = handlers,
	.count = RTE_DIM(handlers),
	.begin = begin,
};

void flow_timeouts_init(void)
{
	reset(0);
	reset(1);
	handler_register(&group);
}
