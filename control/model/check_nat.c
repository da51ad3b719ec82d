/* SPDX-License-Identifier: BSD-3-Clause */
/* How egress rules map, and how long flows may be idle: against each other and the RFCs. */
#include "control/model/model_priv.h"

static const struct {
	const char *key, *source;
	uint32_t least; /* seconds */
} bounds[MODEL_TIMEOUTS] = {
	{"udp", "RFC 4787 REQ-5", 120},
	{"dns", "RFC 4787 REQ-5a", 1},
	{"tcp_established", "RFC 5382 REQ-5", 7440},
	{"tcp_opening", "RFC 5382 REQ-5", 240},
	{"tcp_closing", "RFC 5382 REQ-5", 240},
	{"icmp", "RFC 5508 REQ-2", 60},
	{"other", "", 1},
};

static bool check_timeouts(const struct model *m, const struct model_reporter *reporter)
{
	bool ok = true;

	for (size_t i = 0; i < MODEL_TIMEOUTS && !m->timeouts.below_rfc; i++) {
		if (m->timeouts.seconds[i] >= bounds[i].least)
			continue;
		reporter->report(reporter->context, DIAG_TIMEOUT_SHORT,
			pool_printf(m->pool, "timeouts.%s", bounds[i].key),
			pool_printf(m->pool, "%s asks for %u seconds at least, not %u",
				bounds[i].source, bounds[i].least, m->timeouts.seconds[i]),
			"add `below_rfc: true` if that is meant", NULL);
		ok = false;
	}
	return ok;
}

static bool check_rest(const struct model *m, const struct model_reporter *reporter)
{
	if (m->limits.rest_s >= MODEL_PORT_REST_S || m->timeouts.below_rfc)
		return true;
	reporter->report(reporter->context, DIAG_TIMEOUT_SHORT, "limits.port_rest_s",
		pool_printf(m->pool, "RFC 6888 REQ-8 asks for %u seconds at least, not %u",
			MODEL_PORT_REST_S, m->limits.rest_s),
		"add `timeouts: {below_rfc: true}` if that is meant", NULL);
	return false;
}

static bool check_rule(const struct model *m, size_t i, const struct model_reporter *reporter)
{
	const struct model_egress_rule *rule = &m->egress.rules.items[i];

	if (rule->mapping != MODEL_MAPPING_DEPENDENT ||
		rule->filtering == MODEL_FILTER_ADDRESS_PORT)
		return true;
	reporter->report(reporter->context, DIAG_EGRESS_OPTIONS,
		pool_printf(m->pool, "egress.rules[%zu].filtering", i),
		"a port that several inside hosts share cannot be open to others",
		"leave `filtering` out, or `mapping: endpoint-dependent`", NULL);
	return false;
}

/* RFC 4787 REQ-7: no address outside that is one inside. */
static bool check_pool(
	const struct model *m, const struct model_pool *pool, const struct model_reporter *reporter)
{
	char text[ADDR_TEXT_MAX];
	bool ok = true;

	for (size_t i = 0; i < pool->addresses.n; i++) {
		if (pool->addresses.items[i].family == ADDR_NONE ||
			!model_in_overlay(m, &pool->addresses.items[i]))
			continue;
		reporter->report(reporter->context, DIAG_NETWORKS_OVERLAP,
			pool_printf(
				m->pool, "egress.pools.%s.addresses[%zu]", pool->object.name, i),
			pool_printf(m->pool, "%s lies in a network of the overlay",
				addr_format(&pool->addresses.items[i], text)),
			NULL, NULL);
		ok = false;
	}
	return ok;
}

bool model_check_nat(const struct model *m, const struct model_reporter *reporter)
{
	bool ok = check_timeouts(m, reporter);

	ok = check_rest(m, reporter) && ok;

	for (size_t i = 0; i < m->egress.rules.n; i++)
		ok = check_rule(m, i, reporter) && ok;
	for (size_t i = 0; i < m->tables[MODEL_POOL].n; i++)
		ok = check_pool(m, model_pool_at(m, i), reporter) && ok;
	return ok;
}
