/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy rules, left-right. The first rule in order of priority, then of id, that matches decides;
 * nothing matches: denied.
 *
 * There may be a rule for each of 100,000 peers and routes, so they are not searched one by one:
 * a hash table finds those of one source set and one destination prefix, and a query asks it for
 * its own set and for any, each with "any destination" and with every length of prefix in use.
 * The rules of one bucket are linked in their order, so the first match in it is its best.
 * A rule enters and leaves by itself: applying many takes no step that is longer than another.
 */
#include <sys/mman.h>
#include <sys/random.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_jhash.h>

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
	NONE = 0,          /* no rule has this id */
	LENGTHS = 128 + 1, /* of prefixes, 0 included */
	FAMILIES = 2,      /* IPv4, IPv6 */
};

struct rule {
	uint32_t priority;
	uint32_t src_set;
	uint16_t flags;
	uint16_t port_first;
	uint16_t port_last;
	uint8_t proto;
	uint8_t verdict;
	uint32_t stamp; /* in use if it is the table's */
	uint32_t next;  /* id of the next one of its bucket */
	struct prefix src;
	struct prefix dst;
};

/* Lengths of the destination prefixes of one family. */
struct lengths {
	uint32_t rules[LENGTHS]; /* how many rules have it */
	uint8_t used[LENGTHS];   /* those that some rule has */
	uint8_t count;
};

struct table {
	struct rule *rules; /* by id */
	uint32_t *buckets;  /* the first rule of each */
	struct lengths lengths[FAMILIES];
	uint32_t stamp;
	bool changed;
};

struct rule_key {
	uint32_t set;
	struct prefix dst; /* family ADDR_NONE = any */
};

_Static_assert(sizeof(struct rule_key) == 24, "hashed as bytes: no padding");

static struct table tables[2];
static uint32_t rules_max;
static uint32_t bucket_mask;
static uint32_t seed; /* addresses of packets must not choose buckets */

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
	if ((rule->flags & API_POLICY_FORWARDED) != 0 && !query->forwarded)
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

static uint32_t *bucket_of(const struct table *table, uint32_t set, const struct prefix *dst)
{
	const struct rule_key key = {.set = set, .dst = *dst};

	/* every query asks for "any": nobody chooses sets, so a multiplication is hash enough */
	if (dst->family == ADDR_NONE)
		return &table->buckets[(uint32_t)((set ^ seed) * UINT64_C(0x9e3779b97f4a7c15) >>
						  32) &
				       bucket_mask];
	return &table->buckets[rte_jhash(&key, sizeof(key), seed) & bucket_mask];
}

/* The better of `best` and the first match among the rules of this set and destination. */
static uint32_t search(const struct table *table, uint32_t set, const struct prefix *dst,
	const struct policy_query *query, uint32_t best)
{
	for (uint32_t id = *bucket_of(table, set, dst); id != NONE; id = table->rules[id].next) {
		const struct rule *rule = &table->rules[id];

		if (best != NONE && is_before(table, best, id))
			return best;
		if (rule->src_set == set && match(rule, query))
			return id;
	}
	return best;
}

struct policy_answer policy_judge(unsigned copy, const struct policy_query *query)
{
	static const struct prefix any_dst;
	const struct table *table = &tables[copy];
	uint32_t own = query->set < API_SET_MAX ? query->set : 0;
	uint32_t best = search(table, 0, &any_dst, query, NONE);
	const struct lengths *lengths;

	if (own != 0)
		best = search(table, own, &any_dst, query, best);
	lengths = &table->lengths[query->dst.family == ADDR_V6];
	for (unsigned i = 0; i < lengths->count; i++) {
		struct prefix dst = prefix_of_addr(&query->dst);

		dst.length = lengths->used[i];
		prefix_mask(&dst);
		best = search(table, 0, &dst, query, best);
		if (own != 0)
			best = search(table, own, &dst, query, best);
	}
	return (struct policy_answer){
		.allow = best != NONE && table->rules[best].verdict == API_ALLOW,
		.rule = best,
	};
}

static int refuse(uint32_t *detail, size_t offset)
{
	*detail = (uint32_t)offset;
	return API_E_VALUE;
}

static int validate_set(const void *message, uint32_t *detail)
{
	const uint16_t known = API_POLICY_TO_HOST | API_POLICY_TO_EXIT | API_POLICY_ECHO_ONLY |
			       API_POLICY_FORWARDED;
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

static void use_length(struct lengths *lengths, uint8_t length)
{
	if (lengths->rules[length]++ == 0)
		lengths->used[lengths->count++] = length;
}

static void release_length(struct lengths *lengths, uint8_t length)
{
	if (--lengths->rules[length] != 0)
		return;
	for (unsigned i = 0; i < lengths->count; i++) {
		if (lengths->used[i] == length)
			lengths->used[i] = lengths->used[--lengths->count];
	}
}

static void enter(struct table *table, uint32_t id)
{
	struct rule *rule = &table->rules[id];
	uint32_t *link = bucket_of(table, rule->src_set, &rule->dst);

	while (*link != NONE && is_before(table, *link, id))
		link = &table->rules[*link].next;
	rule->next = *link;
	*link = id;
	rule->stamp = table->stamp;
	if (rule->dst.family != ADDR_NONE)
		use_length(&table->lengths[rule->dst.family == ADDR_V6], rule->dst.length);
}

static void leave(struct table *table, uint32_t id)
{
	struct rule *rule = &table->rules[id];
	uint32_t *link = bucket_of(table, rule->src_set, &rule->dst);

	if (rule->stamp != table->stamp)
		return;
	while (*link != id)
		link = &table->rules[*link].next;
	*link = rule->next;
	rule->stamp = 0;
	if (rule->dst.family != ADDR_NONE)
		release_length(&table->lengths[rule->dst.family == ADDR_V6], rule->dst.length);
}

static void apply_set(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_policy_set *set = message;
	struct table *table = &tables[copy];

	(void)pass;
	leave(table, set->rule);
	table->rules[set->rule] = (struct rule){
		.priority = set->priority,
		.src_set = set->src_set,
		.flags = set->flags,
		.port_first = set->port_first,
		.port_last = set->port_last,
		.proto = set->proto,
		.verdict = set->verdict,
		.src = set->src,
	};
	if (set->dst.family != ADDR_NONE)
		table->rules[set->rule].dst = set->dst;
	enter(table, set->rule);
	table->changed = true;
}

static void apply_del(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_policy_del *del = message;

	(void)pass;
	if (del->rule >= rules_max)
		return; /* never was */
	leave(&tables[copy], del->rule);
	tables[copy].changed = true;
}

/* A new stamp, and no rule is in use. */
static void begin(unsigned copy, enum handler_pass pass, bool full)
{
	struct table *table = &tables[copy];

	(void)pass;
	if (!full)
		return;
	memset(table->buckets, 0, ((size_t)bucket_mask + 1) * sizeof(*table->buckets));
	memset(table->lengths, 0, sizeof(table->lengths));
	table->stamp++;
	table->changed = true;
}

static void end(unsigned copy, enum handler_pass pass, bool full)
{
	struct table *table = &tables[copy];

	(void)full;
	/* only after the second pass does every worker read the new rules */
	if (table->changed && pass == HANDLER_CATCH_UP)
		judge_generation_bump();
	table->changed = false;
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
	bucket_mask = rte_align32pow2(rules_max) - 1;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return -EIO;
	for (unsigned copy = 0; copy < 2; copy++) {
		struct table *table = &tables[copy];

		table->rules = take_zeroes(rules_max * sizeof(*table->rules));
		table->buckets = take_zeroes(((size_t)bucket_mask + 1) * sizeof(*table->buckets));
		if (table->rules == NULL || table->buckets == NULL)
			return -ENOMEM;
		table->stamp = 1;
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
