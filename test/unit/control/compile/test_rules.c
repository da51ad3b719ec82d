/* SPDX-License-Identifier: BSD-3-Clause */
/* What policies and egress rules become, in their order. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/control/compile/fixture.h"

static void test_policies(void **state)
{
	struct store *store = open_store();
	struct fixture f = compile_text(store, fixture_base, fixture_policies);
	uint32_t anna = set_of(&f, "anna"), bob = set_of(&f, "bob"), r1 = set_of(&f, "r1");
	const uint16_t host = API_POLICY_TO_HOST;
	const struct {
		uint32_t set;
		const char *dst;
		uint8_t proto;
		uint16_t port, about;
		const char *rule;
		bool allow;
	} cases[] = {
		{anna, "100.64.0.21", 6, 443, 0, "policy:to-routers", true},
		{anna, "100.64.0.21", 6, 8500, 0, "policy:to-routers", true},
		{anna, "100.64.0.21", 6, 80, 0, "", false},
		{anna, "100.64.0.21", 17, 443, 0, "", false},
		{r1, "100.64.0.11", 6, 443, 0, "", false},
		{anna, "100.64.0.12", 6, 443, 0, "", false},
		/* A route's ACL group is a destination: the route is reached by that policy. */
		{anna, "10.30.0.5", 6, 443, 0, "policy:to-routers", true},
		{anna, "10.30.0.5", 6, 22, 0, "", false},
		/* No ACL groups, and the configuration says deny. */
		{bob, "10.20.0.9", 6, 443, 0, "", false},
		/* The gateway: echo from peers, what a policy names, nothing else. */
		{anna, "100.64.0.1", 1, 0, host | API_POLICY_ECHO_ONLY, "host-echo", true},
		{anna, "100.64.0.1", 1, 0, host, "host-closed", false},
		{0, "198.51.100.2", 1, 0, host | API_POLICY_ECHO_ONLY, "host-closed", false},
		{bob, "100.64.0.1", 6, 22, host, "policy:ssh", true},
		{anna, "100.64.0.1", 6, 22, host, "host-closed", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *name;
		bool allow = judge(&f, cases[i].set, cases[i].dst, cases[i].proto, cases[i].port,
			cases[i].about, &name);

		if (allow != cases[i].allow || strcmp(name, cases[i].rule) != 0)
			print_message("case %zu: %d by '%s'\n", i, allow, name);
		assert_int_equal(allow, cases[i].allow);
		assert_string_equal(name, cases[i].rule);
	}
	release(&f);
	store_close(&store);
}

static void test_open_route(void **state)
{
	struct store *store = open_store();
	struct fixture f =
		compile_text(store, fixture_base, "policy: {routes_without_acl_groups: allow}\n");
	const char *name;

	assert_true(judge(&f, set_of(&f, "bob"), "10.20.0.9", 6, 443, 0, &name));
	assert_string_equal(name, "open-route:lan");
	assert_false(judge(&f, set_of(&f, "anna"), "10.20.0.9", 6, 443, 0, &name));
	/* The route is open, the gateway's address in it is not. */
	assert_false(judge(&f, set_of(&f, "bob"), "10.20.0.1", 6, 22, API_POLICY_TO_HOST, &name));
	release(&f);
	store_close(&store);
}

/* A range that is open, a part of it that is not, and a part of that which is open again. */
static void test_open_route_has_exceptions(void **state)
{
	static const char text[] =
		"version: 1\n"
		"wireguard: {addresses: [100.64.0.1/10]}\n"
		"groups: {users: {}, router: {}, web: {}}\n"
		"peers:\n"
		"  anna: {public_key: " KEY_A ", addresses: [100.64.0.11], groups: [users]}\n"
		"  r1: {public_key: " KEY_C ", addresses: [100.64.0.21], groups: [router]}\n"
		"routes:\n"
		"  all: {prefixes: [10.0.0.0/8], via: {peers: [r1]}, distribute_to: [users]}\n"
		"  web: {prefixes: [10.1.0.0/16], via: {peers: [r1]}, distribute_to: [users],\n"
		"        acl_groups: [web]}\n"
		"  printer: {prefixes: [10.1.1.1/32], via: {peers: [r1]}, distribute_to: [users]}\n"
		"policies:\n"
		"  - {name: ping, from: {groups: [users]}, to: {groups: [router]},\n"
		"     protocol: icmp, action: allow}\n"
		"  - {name: http, from: {groups: [users]}, to: {groups: [web]}, protocol: tcp,\n"
		"     ports: [80], action: allow}\n";
	static const struct {
		const char *dst;
		uint16_t port;
		const char *rule;
		bool allow;
	} cases[] = {
		{"10.2.0.1", 22, "open-route:all", true},
		{"10.1.0.1", 80, "policy:http", true},
		{"10.1.0.1", 22, "acl-groups-of:web", false},
		{"10.1.1.1", 22, "open-route:printer", true},
	};
	struct store *store = open_store();
	struct fixture f = compile_text(store, text, "");

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *name;

		assert_int_equal(
			judge(&f, set_of(&f, "anna"), cases[i].dst, 6, cases[i].port, 0, &name),
			cases[i].allow);
		assert_string_equal(name, cases[i].rule);
	}
	release(&f);
	store_close(&store);
}

static void test_egress(void **state)
{
	struct store *store = open_store();
	struct fixture f = compile_text(store, fixture_base, fixture_policies);
	uint16_t office = (uint16_t)store_id(store, STORE_EGRESS_POOL, "pool:office");
	uint16_t own = (uint16_t)store_id(store, STORE_EGRESS_POOL, "own:lan");
	unsigned user_rules = 0, route_rules = 0;

	for (size_t i = 0; i < f.compiled->desired.n; i++) {
		const struct api_egress_rule_set *rule =
			(const void *)f.compiled->desired.messages[i];
		const struct api_egress_addr_set *addr = (const void *)rule;
		struct addr lan = address("10.20.0.1");

		if (rule->header.type == API_EGRESS_ADDR_SET)
			assert_int_equal(addr->port_last,
				addr_equal(&addr->addr, &lan) || addr->addr.bytes[0] != 198
					? COMPILE_SHARED_PORT_LAST
					: COMPILE_PORT_LAST);
		if (rule->header.type != API_EGRESS_RULE_SET)
			continue;
		if (rule->pool == office) {
			assert_int_equal(rule->src_set, set_of(&f, "anna"));
			user_rules++;
		} else if (rule->pool == own) {
			route_rules++;
		}
	}
	assert_int_equal(user_rules, 1);
	assert_int_equal(route_rules, 1);
	release(&f);
	store_close(&store);
}

/* What an egress rule says about mapping, timeouts and limits arrive as they are written. */
static void test_nat_options(void **state)
{
	static const char text[] =
		"version: 1\n"
		"wireguard: {addresses: [100.64.0.1/10]}\n"
		"ports: {wan: {device: net_null0, addresses: [198.51.100.2/24]}}\n"
		"groups: {a: {}}\n"
		"peers: {p: {public_key: HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=,\n"
		"            addresses: [100.64.0.2], groups: [a]}}\n"
		"egress:\n"
		"  pools: {p: {addresses: [198.51.100.5]}}\n"
		"  rules:\n"
		"    - {from: {groups: [a]}, to: [192.0.2.0/24], use: p, mapping: "
		"endpoint-dependent,\n"
		"       keep_parity: false}\n"
		"    - {from: {groups: [a]}, use: p, filtering: endpoint-independent}\n"
		"timeouts: {udp: 600, icmp: 10, below_rfc: true}\n"
		"limits: {flows_per_peer: 7, half_open_per_peer: 6, new_flows_per_second: 5,\n"
		"         port_rest_s: 3, resting_ports: 2}\n";
	struct store *store = open_store();
	struct fixture f = compile_text(store, text, "");
	unsigned rules = 0, timeouts = 0, limits = 0;

	for (size_t i = 0; i < f.compiled->desired.n; i++) {
		const struct api_egress_rule_set *rule =
			(const void *)f.compiled->desired.messages[i];
		const struct api_flow_timeouts_set *set = (const void *)rule;

		if (rule->header.type == API_EGRESS_RULE_SET) {
			assert_int_equal(
				rule->flags, rule->dst.family == ADDR_NONE
						     ? API_EGRESS_OPEN
						     : API_EGRESS_SHARED | API_EGRESS_ANY_PARITY);
			rules++;
		} else if (rule->header.type == API_FLOW_TIMEOUTS_SET) {
			assert_int_equal(set->seconds[API_TIMEOUT_UDP], 600);
			assert_int_equal(set->seconds[API_TIMEOUT_ICMP], 10);
			assert_int_equal(set->seconds[API_TIMEOUT_TCP_ESTABLISHED], 7440);
			timeouts++;
		} else if (rule->header.type == API_FLOW_LIMITS_SET) {
			const struct api_flow_limits_set *limit = (const void *)rule;

			assert_int_equal(limit->flows, 7);
			assert_int_equal(limit->half_open, 6);
			assert_int_equal(limit->new_per_s, 5);
			assert_int_equal(limit->icmp_per_s, API_LIMIT_ICMP_DEFAULT);
			assert_int_equal(limit->rest_s, 3);
			assert_int_equal(limit->resting, 2);
			limits++;
		}
	}
	assert_int_equal(limits, 1);
	assert_int_equal(rules, 2);
	assert_int_equal(timeouts, 1);
	release(&f);
	store_close(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_open_route),
		cmocka_unit_test(test_open_route_has_exceptions),
		cmocka_unit_test(test_egress),
		cmocka_unit_test(test_nat_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
