/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy rules, left-right. A query meets two lists in order of priority: the rules of its source
 * set and those of any set; the first match of both merged decides. Nothing matches: denied.
 */
#include <sys/mman.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "common/api/wireguard.h"
#include "dataplane/main/feature.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/txn.h"
#include "dataplane/main/worker.h"
#include "dataplane/policy/policy.h"
#include "dataplane/route/route.h"

enum {
	ICMP4_ECHO = 8,
	ICMP6_ECHO = 128,
};

struct rule {
	uint32_t priority;
	uint32_t src_set;
	uint16_t flags;
	uint16_t port_first;
	uint16_t port_last;
	uint8_t proto;
	uint8_t verdict;
	bool used;
	struct prefix src;
	struct prefix dst;
};

struct table {
	struct rule *rules; /* by id */
	uint32_t *order;    /* ids by set, then priority, then id: from end() on */
	uint32_t *first;    /* of set s: order[first[s]] ... order[first[s + 1] - 1] */
	uint32_t bound;     /* highest id that was ever used + 1 */
	bool changed;
};

static struct table tables[2];
static uint32_t rules_max;

static bool is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static bool match_proto(const struct rule *rule, const struct policy_query *query)
{
	if (rule->proto == API_PROTO_ANY)
		return true;
	if (rule->proto == IPPROTO_ICMP && query->proto == IPPROTO_ICMPV6)
		return true;
	return rule->proto == query->proto;
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

static bool match_ports(const struct rule *rule, const struct policy_query *query)
{
	if (rule->port_first == 0 && rule->port_last == UINT16_MAX)
		return true;
	return has_ports(query->proto) && query->dport >= rule->port_first &&
	       query->dport <= rule->port_last;
}

static bool match_flags(const struct rule *rule, const struct policy_query *query)
{
	if ((rule->flags & API_POLICY_TO_HOST) != 0 && !query->to_host)
		return false;
	if ((rule->flags & API_POLICY_TO_EXIT) != 0 && !query->to_exit)
		return false;
	if ((rule->flags & API_POLICY_ECHO_ONLY) == 0 || !is_icmp(query->proto))
		return true;
	return query->icmp_type == (query->proto == IPPROTO_ICMP ? ICMP4_ECHO : ICMP6_ECHO);
}

static bool match(const struct rule *rule, const struct policy_query *query)
{
	return match_proto(rule, query) && match_ports(rule, query) && match_flags(rule, query) &&
	       (rule->src.family == ADDR_NONE || prefix_contains(&rule->src, &query->src)) &&
	       (rule->dst.family == ADDR_NONE || prefix_contains(&rule->dst, &query->dst));
}

/* True if rule a is asked before rule b. */
static bool is_before(const struct table *table, uint32_t a, uint32_t b)
{
	uint32_t left = table->rules[a].priority, right = table->rules[b].priority;

	return left != right ? left < right : a < b;
}

struct policy_answer policy_judge(unsigned copy, const struct policy_query *query)
{
	const struct table *table = &tables[copy];
	uint32_t any = table->first[0], any_end = table->first[1];
	uint32_t own = 0, own_end = 0;

	if (query->set != 0 && query->set < API_SET_MAX) {
		own = table->first[query->set];
		own_end = table->first[query->set + 1];
	}
	while (any < any_end || own < own_end) {
		uint32_t id;

		if (own == own_end ||
			(any < any_end && is_before(table, table->order[any], table->order[own])))
			id = table->order[any++];
		else
			id = table->order[own++];
		if (match(&table->rules[id], query))
			return (struct policy_answer){
				.allow = table->rules[id].verdict == API_ALLOW,
				.rule = id,
			};
	}
	return (struct policy_answer){0};
}

static int refuse(uint32_t *detail, size_t offset)
{
	*detail = (uint32_t)offset;
	return API_E_VALUE;
}

static int validate_set(const void *message, uint32_t *detail)
{
	const uint16_t known = API_POLICY_TO_HOST | API_POLICY_TO_EXIT | API_POLICY_ECHO_ONLY;
	const struct api_policy_set *set = message;

	if (set->rule == 0 || set->rule >= API_POLICY_MAX)
		return refuse(detail, offsetof(struct api_policy_set, rule));
	if (set->src_set >= API_SET_MAX)
		return refuse(detail, offsetof(struct api_policy_set, src_set));
	if (set->verdict > API_ALLOW)
		return refuse(detail, offsetof(struct api_policy_set, verdict));
	if ((set->flags & ~known) != 0)
		return refuse(detail, offsetof(struct api_policy_set, flags));
	if (set->src.family != ADDR_NONE && !prefix_is_valid(&set->src))
		return refuse(detail, offsetof(struct api_policy_set, src));
	if (set->dst.family != ADDR_NONE && !prefix_is_valid(&set->dst))
		return refuse(detail, offsetof(struct api_policy_set, dst));
	if (set->port_first > set->port_last ||
		((set->port_first != 0 || set->port_last != UINT16_MAX) && !has_ports(set->proto)))
		return refuse(detail, offsetof(struct api_policy_set, port_first));
	return 0;
}

static int validate_del(const void *message, uint32_t *detail)
{
	const struct api_policy_del *del = message;

	if (del->rule == 0 || del->rule >= API_POLICY_MAX)
		return refuse(detail, offsetof(struct api_policy_del, rule));
	return 0;
}

static int prepare(const struct txn *txn, uint64_t *index, uint32_t *detail, char text[96])
{
	struct txn_cursor cursor = {0};
	const struct api_policy_set *set;

	while ((set = txn_next_like(txn, &cursor, API_POLICY_SET)) != NULL) {
		if (set->rule < rules_max)
			continue;
		*index = cursor.index;
		*detail = offsetof(struct api_policy_set, rule);
		snprintf(text, 96, "policy: rule %u, the bound is %u", set->rule, rules_max);
		return API_E_LIMIT;
	}
	return 0;
}

static void apply_set(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_policy_set *set = message;
	struct table *table = &tables[copy];

	(void)pass;
	table->rules[set->rule] = (struct rule){
		.priority = set->priority,
		.src_set = set->src_set,
		.flags = set->flags,
		.port_first = set->port_first,
		.port_last = set->port_last,
		.proto = set->proto,
		.verdict = set->verdict,
		.used = true,
		.src = set->src,
		.dst = set->dst,
	};
	table->bound = RTE_MAX(table->bound, set->rule + 1);
	table->changed = true;
}

static void apply_del(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_policy_del *del = message;

	(void)pass;
	tables[copy].rules[del->rule].used = false;
	tables[copy].changed = true;
}

static const struct table *sorting; /* qsort has no argument for it; main thread only */

static int compare(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	uint32_t set_a = sorting->rules[a].src_set, set_b = sorting->rules[b].src_set;

	if (set_a != set_b)
		return set_a < set_b ? -1 : 1;
	return is_before(sorting, a, b) ? -1 : 1;
}

static void sort_rules(struct table *table)
{
	uint32_t count = 0, at = 0;

	for (uint32_t id = 1; id < table->bound; id++) {
		if (table->rules[id].used)
			table->order[count++] = id;
	}
	sorting = table;
	qsort(table->order, count, sizeof(*table->order), compare);
	for (uint32_t set = 0; set <= API_SET_MAX; set++) {
		while (at < count && table->rules[table->order[at]].src_set < set)
			at++;
		table->first[set] = at;
	}
}

static void begin(unsigned copy, enum handler_pass pass, bool full)
{
	struct table *table = &tables[copy];

	(void)pass;
	if (!full)
		return;
	for (uint32_t id = 1; id < table->bound; id++)
		table->rules[id].used = false;
	table->bound = 0;
	table->changed = true;
}

static void end(unsigned copy, enum handler_pass pass, bool full)
{
	struct table *table = &tables[copy];
	bool changed = table->changed;

	(void)full;
	if (changed)
		sort_rules(table);
	table->changed = false;
	/* only after the second pass does every worker read the new rules */
	if (changed && pass == HANDLER_CATCH_UP)
		judge_generation_bump();
}

static const struct handler handlers[] = {
	{API_POLICY_SET, "policy_set", sizeof(struct api_policy_set), validate_set, apply_set},
	{API_POLICY_DEL, "policy_del", sizeof(struct api_policy_del), validate_del, apply_del},
};

static const struct handler_group group = {
	.feature = "policy",
	.handlers = handlers,
	.count = RTE_DIM(handlers),
	.prepare = prepare,
	.begin = begin,
	.end = end,
};

static void *take_zeroes(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* All memory at once, so that applying cannot fail; the kernel gives pages when they are used. */
int policy_init(void)
{
	rules_max = RTE_MIN(dp_config()->max_rules, (uint32_t)API_POLICY_MAX);
	for (unsigned copy = 0; copy < 2; copy++) {
		struct table *table = &tables[copy];

		table->rules = take_zeroes(rules_max * sizeof(*table->rules));
		table->order = take_zeroes(rules_max * sizeof(*table->order));
		table->first = take_zeroes((API_SET_MAX + 1) * sizeof(*table->first));
		if (table->rules == NULL || table->order == NULL || table->first == NULL)
			return -ENOMEM;
	}
	handler_register(&group);
	return 0;
}

static struct feature feature = {
	.name = "policy",
	.after = {"route"},
	.init = policy_init,
};
FEATURE_REGISTER(feature)
