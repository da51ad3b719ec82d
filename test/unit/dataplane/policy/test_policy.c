/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules by table, and random rules against a search through all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <cmocka.h>

#include "dataplane/policy/policy.h"
#include "test/unit/dataplane/flow/fakes.h"

static int setup(void **state)
{
	fake_reset();
	return 0;
}

static struct prefix prefix_of(const char *text)
{
	struct prefix prefix = {0};

	if (text != NULL)
		assert_int_equal(prefix_parse(text, &prefix), 0);
	return prefix;
}

static struct policy_query query(uint32_t set, const char *dst, uint8_t proto, uint16_t dport)
{
	struct policy_query query = {.set = set, .proto = proto, .dport = dport};

	assert_int_equal(addr_parse(strchr(dst, ':') ? "fd00::1" : "100.64.0.1", &query.src), 0);
	assert_int_equal(addr_parse(dst, &query.dst), 0);
	return query;
}

static void nothing_matches_is_denied(void **state)
{
	struct policy_query asked = query(1, "10.0.0.1", IPPROTO_TCP, 22);

	assert_false(policy_judge(fake_copy, &asked).allow);
	assert_int_equal(policy_judge(fake_copy, &asked).rule, 0);
}

static void rules_by_table(void **state)
{
	struct api_policy_set web = {
		.header = {.type = API_POLICY_SET, .length = sizeof(web)},
		.rule = 20,
		.priority = 100,
		.src_set = 3,
		.proto = IPPROTO_TCP,
		.verdict = API_ALLOW,
		.dst = prefix_of("10.0.0.0/8"),
		.port_first = 80,
		.port_last = 443,
	};
	const struct {
		struct policy_query query;
		uint32_t rule;
	} cases[] = {
		{query(3, "10.1.1.1", IPPROTO_TCP, 80), 20},
		{query(3, "10.1.1.1", IPPROTO_TCP, 443), 20},
		{query(3, "10.1.1.1", IPPROTO_TCP, 444), 0},
		{query(3, "10.1.1.1", IPPROTO_UDP, 80), 0},
		{query(4, "10.1.1.1", IPPROTO_TCP, 80), 0},
		{query(0, "10.1.1.1", IPPROTO_TCP, 80), 0},
		{query(3, "11.1.1.1", IPPROTO_TCP, 80), 0},
		{query(3, "10.66.0.1", IPPROTO_TCP, 80), 21},
		{query(9, "10.66.0.1", IPPROTO_ICMP, 0), 21},
		{query(9, "fd00::9", IPPROTO_ICMPV6, 0), 22},
		{query(9, "fd00::9", IPPROTO_UDP, 1), 0},
	};

	assert_int_equal(fake_apply(&web), 0);
	fake_policy(21, 50, 0, "10.66.0.0/16", 0, 0, API_DENY);
	fake_policy(22, 50, 0, "fd00::/8", IPPROTO_ICMP, 0, API_ALLOW);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct policy_answer answer = policy_judge(fake_copy, &cases[i].query);

		assert_int_equal(answer.rule, cases[i].rule);
		assert_int_equal(answer.allow, cases[i].rule == 20 || cases[i].rule == 22);
	}
}

/* A prefix of sources, of whatever set or of one; the other family is none of it. */
static void sources_narrow_a_rule(void **state)
{
	struct api_policy_set rule = {
		.header = {.type = API_POLICY_SET, .length = sizeof(rule)},
		.rule = 1,
		.verdict = API_ALLOW,
		.port_last = UINT16_MAX,
		.src = prefix_of("100.64.0.0/31"),
	};
	struct policy_query inside = query(3, "10.0.0.1", IPPROTO_TCP, 22), outside = inside;
	struct policy_query six = query(3, "fd00::9", IPPROTO_TCP, 22);

	outside.src.bytes[3] = 2;
	assert_int_equal(fake_apply(&rule), 0);
	assert_true(policy_judge(fake_copy, &inside).allow);
	assert_false(policy_judge(fake_copy, &outside).allow);
	assert_false(policy_judge(fake_copy, &six).allow);
	rule.src_set = 3;
	assert_int_equal(fake_apply(&rule), 0);
	assert_true(policy_judge(fake_copy, &inside).allow);
	assert_false(policy_judge(fake_copy, &outside).allow);
	inside.set = 4;
	assert_false(policy_judge(fake_copy, &inside).allow);
}

static void flags_narrow_a_rule(void **state)
{
	struct policy_query echo = query(1, "100.64.0.254", IPPROTO_ICMP, 0);

	fake_policy(
		1, 1, 0, NULL, IPPROTO_ICMP, API_POLICY_TO_HOST | API_POLICY_ECHO_ONLY, API_ALLOW);
	fake_policy(2, 2, 0, NULL, 0, API_POLICY_TO_EXIT, API_ALLOW);
	echo.icmp_type = 8;
	assert_false(policy_judge(fake_copy, &echo).allow);
	echo.to_host = true;
	assert_int_equal(policy_judge(fake_copy, &echo).rule, 1);
	echo.icmp_type = 13;
	assert_false(policy_judge(fake_copy, &echo).allow);
	echo.to_host = false;
	echo.to_exit = true;
	assert_int_equal(policy_judge(fake_copy, &echo).rule, 2);
}

static void deleted_and_replaced(void **state)
{
	struct api_policy_del del = {
		.header = {.type = API_POLICY_DEL, .length = sizeof(del)}, .rule = 1};
	struct policy_query asked = query(1, "10.0.0.1", IPPROTO_TCP, 22);

	fake_policy(1, 1, 1, NULL, 0, 0, API_ALLOW);
	assert_true(policy_judge(0, &asked).allow);
	assert_true(policy_judge(1, &asked).allow);
	fake_policy(1, 1, 2, NULL, 0, 0, API_ALLOW);
	assert_false(policy_judge(0, &asked).allow);
	assert_false(policy_judge(1, &asked).allow);
	fake_policy(1, 1, 1, NULL, 0, 0, API_ALLOW);
	assert_int_equal(fake_apply(&del), 0);
	assert_false(policy_judge(0, &asked).allow);
	assert_false(policy_judge(1, &asked).allow);
}

static void bad_rules_are_refused(void **state)
{
	struct api_policy_set good = {
		.header = {.type = API_POLICY_SET, .length = sizeof(good)},
		.rule = 1,
		.port_last = UINT16_MAX,
	};
	struct api_policy_set bad;

	assert_int_equal(fake_apply(&good), 0);
	bad = good;
	bad.rule = 0;
	assert_int_equal(fake_apply(&bad), API_E_VALUE);
	bad = good;
	bad.verdict = 2;
	assert_int_equal(fake_apply(&bad), API_E_VALUE);
	bad = good;
	bad.port_first = 5; /* ports without a protocol that has any */
	assert_int_equal(fake_apply(&bad), API_E_VALUE);
	bad = good;
	bad.dst = (struct prefix){.family = ADDR_V4, .length = 33};
	assert_int_equal(fake_apply(&bad), API_E_VALUE);
	bad = good;
	bad.flags = 1 << 9;
	assert_int_equal(fake_apply(&bad), API_E_VALUE);
	bad = good;
	bad.rule = 4096; /* the data plane was started for fewer */
	assert_int_equal(fake_apply(&bad), API_E_LIMIT);
}

enum { RULES = 300, QUERIES = 20000 };

static struct api_policy_set rules[RULES]; /* header.type 0: deleted */

static void set_random_rule(uint32_t id)
{
	struct api_policy_set *rule = &rules[id];

	*rule = (struct api_policy_set){
		.header = {.type = API_POLICY_SET, .length = sizeof(*rule)},
		.rule = id,
		.priority = (uint32_t)rand() % 40,
		.src_set = (uint32_t)rand() % 6,
		.proto = rand() % 2 ? IPPROTO_TCP : IPPROTO_UDP,
		.verdict = (uint8_t)(rand() % 2),
		.port_first = (uint16_t)(rand() % 50),
	};
	rule->port_last = (uint16_t)(rule->port_first + rand() % 50);
	if (rand() % 5 != 0) {
		rule->dst.family = ADDR_V4;
		rule->dst.length = (uint8_t)(rand() % 4 ? 8 * (rand() % 3) : rand() % 33);
		rule->dst.bytes[0] = (uint8_t)(rand() % 4);
		rule->dst.bytes[1] = (uint8_t)(rand() % 4);
		prefix_mask(&rule->dst);
	}
	if (rand() % 3 == 0) {
		rule->src = prefix_of("100.64.0.0/24");
		rule->src.length = (uint8_t)(24 + rand() % 9);
		rule->src.bytes[3] = (uint8_t)(rand() % 4);
		prefix_mask(&rule->src);
	}
	assert_int_equal(fake_apply(rule), 0);
}

/* Deletes a rule, or sets it anew: what was there before must leave no trace. */
static void change_a_rule(void)
{
	uint32_t id = 1 + (uint32_t)rand() % (RULES - 1);
	struct api_policy_del del = {
		.header = {.type = API_POLICY_DEL, .length = sizeof(del)},
		.rule = id,
	};

	if (rand() % 2) {
		set_random_rule(id);
		return;
	}
	assert_int_equal(fake_apply(&del), 0);
	rules[id].header.type = 0;
}

static bool applies(const struct api_policy_set *rule, const struct policy_query *asked)
{
	return rule->header.type != 0 && (rule->src_set == 0 || rule->src_set == asked->set) &&
	       rule->proto == asked->proto && asked->dport >= rule->port_first &&
	       asked->dport <= rule->port_last &&
	       (rule->src.family == ADDR_NONE || prefix_contains(&rule->src, &asked->src)) &&
	       (rule->dst.family == ADDR_NONE || prefix_contains(&rule->dst, &asked->dst));
}

static void random_rules_against_a_search(void **state)
{
	srand(1812);
	for (uint32_t i = 1; i < RULES; i++)
		set_random_rule(i);
	for (unsigned i = 0; i < QUERIES; i++) {
		struct policy_query asked = query((uint32_t)rand() % 7, "1.2.0.0",
			rand() % 2 ? IPPROTO_TCP : IPPROTO_UDP, (uint16_t)(rand() % 120));
		uint32_t best = 0;

		if (i % 20 == 0)
			change_a_rule();
		asked.dst.bytes[0] = (uint8_t)(rand() % 4);
		asked.dst.bytes[1] = (uint8_t)(rand() % 4);
		asked.src.bytes[3] = (uint8_t)(rand() % 6);
		for (uint32_t id = 1; id < RULES; id++) {
			if (applies(&rules[id], &asked) &&
				(best == 0 || rules[id].priority < rules[best].priority))
				best = id;
		}
		assert_int_equal(policy_judge(fake_copy, &asked).rule, best);
		assert_int_equal(policy_judge(fake_copy, &asked).allow,
			best != 0 && rules[best].verdict == API_ALLOW);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_matches_is_denied, setup),
		cmocka_unit_test_setup(rules_by_table, setup),
		cmocka_unit_test_setup(sources_narrow_a_rule, setup),
		cmocka_unit_test_setup(flags_narrow_a_rule, setup),
		cmocka_unit_test_setup(deleted_and_replaced, setup),
		cmocka_unit_test_setup(bad_rules_are_refused, setup),
		cmocka_unit_test_setup(random_rules_against_a_search, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
