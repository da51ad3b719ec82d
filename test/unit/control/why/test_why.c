/* SPDX-License-Identifier: BSD-3-Clause */
/* An exit node and two offices on one range: who is let where, by what, and why not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/api/api.h"
#include "control/conf/conf.h"
#include "control/why/why.h"

#define KEY_A "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
#define KEY_B "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define KEY_C "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
#define KEY_D "gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA="

static const char config[] =
	"version: 1\n"
	"ports:\n"
	"  wan: {device: net_null0, addresses: [198.51.100.2/24]}\n"
	"  inet: {device: net_null1, addresses: [203.0.113.2/24], gateways: [203.0.113.1]}\n"
	"  lan: {device: net_null2, addresses: [10.20.0.1/24]}\n"
	"wireguard: {addresses: [100.64.0.1/10, 'fd64::1/64']}\n"
	"groups: {berlin: {}, london: {}, routers: {}}\n"
	"peers:\n"
	"  anna: {public_key: " KEY_A ", addresses: [100.64.0.11, 'fd64::11'], groups: [berlin]}\n"
	"  bob: {public_key: " KEY_B ", addresses: [100.64.0.12], groups: [london], mtu: 1380}\n"
	"  r1: {public_key: " KEY_C ", addresses: [100.64.0.21], groups: [routers]}\n"
	"  r2: {public_key: " KEY_D ", addresses: [100.64.0.22], groups: [routers], mtu: 1300}\n"
	"routes:\n"
	"  office-b: {prefixes: [10.30.0.0/16], via: {peers: [r1]}, masquerade: false,\n"
	"             distribute_to: [berlin], network: b, distribute_to_ports: [lan]}\n"
	"  office-l: {prefixes: [10.30.0.0/16], via: {peers: [r2]}, masquerade: false,\n"
	"             distribute_to: [london], network: l}\n"
	"exit_nodes: {internet: {offer_to: [berlin]}}\n"
	"egress:\n"
	"  pools: {office: {addresses: [203.0.113.5, 203.0.113.6]},\n"
	"          games: {addresses: [203.0.113.7]}}\n"
	"  rules: [{from: {groups: [berlin]}, use: office},\n"
	"          {from: {groups: [london]}, use: games, filtering: address}]\n"
	"forwards:\n"
	"  web: {address: 203.0.113.5, protocol: tcp, ports: 8080-8081,\n"
	"        to: {peer: bob, ports: 80-81}, from: any}\n"
	"  few: {address: 203.0.113.5, protocol: udp, ports: 53, to: {address: 10.20.0.10},\n"
	"        from: {prefixes: [192.0.2.0/28]}}\n"
	"policies:\n"
	"  - {name: in, from: {port: inet}, to: {forwards: [web, few]}, action: allow}\n"
	"  - {name: in-2, from: {groups: [berlin]}, to: {forwards: [web]}, action: allow}\n"
	"  - {name: out, from: {groups: [berlin]}, to: {exit_nodes: [internet]}, action: allow}\n"
	"  - {name: to-b, from: {groups: [berlin]}, to: {routes: [office-b]}, action: allow}\n"
	"  - {name: to-l, from: {groups: [london]}, to: {routes: [office-l]}, protocol: tcp,\n"
	"     ports: [443], action: allow}\n"
	"  - {name: lan-to-b, from: {port: lan}, to: {routes: [office-b]}, action: allow}\n"
	"policy: {routes_without_acl_groups: deny}\n";

static struct model *model;
static struct compiled *compiled;
static struct store *store;

static int set_up(void **state)
{
	struct compile_input input = {.underlay = true};
	const char *what;
	struct diag *diag;
	int error;

	model = conf_parse("test.yaml", config, strlen(config), NULL, &diag);
	if (model == NULL)
		diag_print(diag, stderr, false);
	diag_destroy(&diag);
	store = store_open(":memory:", &error);
	input.model = model;
	input.store = store;
	compiled = model == NULL ? NULL : compile_model(&input, &error, &what);
	return compiled == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	compile_destroy(&compiled);
	model_destroy(&model);
	store_close(&store);
	return 0;
}

static json_t *ask(const char *src, const char *dst, const char *proto, const char *as)
{
	const char *words[4] = {src, dst, proto, as};
	struct why_query query;
	const char *wrong = api_why_read(compiled, words, &query);

	if (wrong != NULL)
		fail_msg("%s %s: %s", src, dst, wrong);
	return api_why(compiled, &compiled->desired, &query, "test.yaml");
}

static const struct {
	const char *src, *dst, *proto, *as;
	const char *drop; /* NULL = allowed */
	const char *verdict;
} cases[] = {
	{"anna", "192.0.2.80:443", NULL, NULL, NULL, "allowed by policy:out"},
	{"100.64.0.11", "192.0.2.80", NULL, NULL, NULL, "allowed by policy:out"},
	{"anna", "10.20.0.10:22", NULL, NULL, "flow.exit_closed",
		"denied: closed to exit traffic, port lan names 10.20.0.0/24"},
	{"anna", "10.9.0.1", NULL, NULL, "flow.exit_closed",
		"denied: closed to exit traffic, RFC 6890 names 10.0.0.0/8"},
	{"anna", "100.64.0.99", NULL, NULL, "flow.exit_closed",
		"denied: closed to exit traffic, the overlay names 100.64.0.0/10"},
	{"anna", "100.64.0.12", NULL, NULL, "flow.policy", "denied: no policy allows it"},
	{"anna", "bob", NULL, NULL, "flow.policy", "denied: no policy allows it"},
	{"bob", "anna:80", NULL, NULL, "flow.policy", "denied: no policy allows it"},
	{"fd64::1:5", "anna", NULL, "anna", "flow.spoofed_inner",
		"denied: the source address is not the peer's"},
	{"anna", "100.64.0.1", NULL, NULL, NULL, "allowed by host-echo"},
	{"anna", "fd64::1", NULL, NULL, NULL, "allowed by host-echo"},
	{"anna", "100.64.0.1:22", NULL, NULL, "flow.policy_host", "denied by host-closed"},
	{"anna", "10.30.0.10:80", NULL, NULL, NULL, "allowed by policy:to-b"},
	{"bob", "10.30.0.10:443", NULL, NULL, NULL, "allowed by policy:to-l"},
	/* without a tunnel: the LAN receives the route, the WAN does not */
	{"10.20.0.9", "10.30.0.10:443", NULL, NULL, NULL, "allowed by policy:lan-to-b"},
	{"198.51.100.9", "10.30.0.10:443", NULL, NULL, "flow.policy",
		"denied: no policy allows it"},
	{"bob", "10.30.0.10:443", "udp", NULL, "flow.policy", "denied: no policy allows it"},
	{"bob", "10.30.0.10:444", NULL, NULL, "flow.policy", "denied: no policy allows it"},
	{"bob", "192.0.2.80", NULL, NULL, "flow.no_route",
		"denied: no route or exit node of this source leads there"},
	{"100.64.0.11", "192.0.2.80", NULL, "bob", "flow.spoofed_inner",
		"denied: the source address is not the peer's"},
	{"anna", "[2001:db8::80]:80", NULL, NULL, "flow.no_route",
		"denied: no route or exit node of this source leads there"},
	{"anna", "203.0.113.5:5000", NULL, NULL, "flow.unsolicited",
		"denied: that port of an egress address takes answers only"},
	{"192.0.2.9", "203.0.113.7:5000", "udp", NULL, "flow.unsolicited",
		"denied, unless an open mapping has that port (filtering of an egress rule)"},
	{"100.64.0.99", "10.20.0.9", NULL, NULL, "flow.spoofed_overlay",
		"denied: an address of the overlay that no peer has"},
	{"anna", "169.254.1.1", NULL, NULL, "flow.link_local",
		"denied: link-local addresses are not forwarded"},
	{"192.0.2.9", "100.64.0.11", NULL, NULL, "flow.policy", "denied: no policy allows it"},
	{"2001:db8::9", "fd64::11", NULL, NULL, NULL,
		"denied: no peer and no port's network has the source address"},
	{"192.0.2.9", "203.0.113.5:8081", NULL, NULL, NULL, "allowed by policy:in"},
	{"192.0.2.9", "203.0.113.5:8082", NULL, NULL, "flow.unsolicited",
		"denied: that port of an egress address takes answers only"},
	{"192.0.2.9", "203.0.113.5:53", "udp", NULL, NULL, "allowed by policy:in"},
	{"192.0.2.99", "203.0.113.5:53", "udp", NULL, "flow.forward_source",
		"denied: the forward of that port is not for this source"},
	{"192.0.2.9", "100.64.0.12:81", NULL, NULL, "flow.policy", "denied: no policy allows it"},
	{"anna", "203.0.113.5:8080", NULL, NULL, NULL, "allowed by policy:out"},
	{"bob", "203.0.113.5:8080", NULL, NULL, "flow.no_route",
		"denied: no route or exit node of this source leads there"},
	{"10.20.0.10", "100.64.0.11", NULL, NULL, "flow.policy", "denied: no policy allows it"},
};

static void test_verdicts(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *json = ask(cases[i].src, cases[i].dst, cases[i].proto, cases[i].as);
		const char *verdict = json_string_value(json_object_get(json, "verdict"));
		const char *drop = json_string_value(json_object_get(json, "drop"));

		print_message("%s -> %s\n", cases[i].src, cases[i].dst);
		assert_string_equal(verdict, cases[i].verdict);
		assert_true(json_is_true(json_object_get(json, "allowed")) ==
			    (strncmp(verdict, "allowed", 7) == 0));
		assert_string_equal(
			drop == NULL ? "" : drop, cases[i].drop == NULL ? "" : cases[i].drop);
		json_decref(json);
	}
}

/* Each step of an answer, as one line of JSON. */
static void expect_step(const json_t *json, const char *key, const char *expected)
{
	char *text = json_dumps(
		json_object_get(json, key), JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	assert_string_equal(text, expected);
	free(text);
}

static void test_steps(void **state)
{
	json_t *json = ask("anna", "192.0.2.80:443", NULL, NULL);

	expect_step(json, "source",
		"{\"address\":\"100.64.0.11\",\"peer\":\"anna\",\"port\":null,"
		"\"selected\":null,\"set\":\"groups:berlin\"}");
	expect_step(json, "route",
		"{\"by\":\"exit node internet\",\"host\":false,\"prefix\":\"128.0.0.0/1\"}");
	expect_step(json, "policy",
		"{\"action\":\"allow\",\"place\":\"test.yaml:32\",\"rule\":\"policy:out\"}");
	expect_step(
		json, "next_hop", "{\"address\":\"203.0.113.1\",\"mtu\":1500,\"port\":\"inet\"}");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(json, "egress"), "pool")),
		"office");
	expect_step(
		json_object_get(json, "egress"), "addresses", "[\"203.0.113.5\",\"203.0.113.6\"]");
	json_decref(json);
	json = ask("bob", "10.30.0.10:443", NULL, NULL);
	expect_step(json, "route",
		"{\"by\":\"route office-l\",\"host\":false,\"prefix\":\"10.30.0.0/16\"}");
	expect_step(json, "egress", "null");
	expect_step(json, "next_hop", "{\"mtu\":1300,\"peer\":\"r2\"}");
	json_decref(json);
	json = ask("192.0.2.9", "203.0.113.5:8081", NULL, NULL);
	expect_step(json, "forward", "{\"address\":\"100.64.0.12\",\"name\":\"web\",\"port\":81}");
	expect_step(json, "hairpin", "false");
	expect_step(json, "next_hop", "{\"mtu\":1380,\"peer\":\"bob\"}");
	json_decref(json);
	json = ask("192.0.2.9", "203.0.113.5:53", "udp", NULL);
	expect_step(json, "next_hop", "{\"address\":\"10.20.0.10\",\"mtu\":1500,\"port\":\"lan\"}");
	json_decref(json);
}

static void test_refused_questions(void **state)
{
	static const char *const wrong[][4] = {
		{NULL, "192.0.2.80", NULL, NULL},
		{"anna", NULL, NULL, NULL},
		{"carl", "192.0.2.80", NULL, NULL},
		{"anna", "example.net", NULL, NULL},
		{"anna", "carl", NULL, NULL},
		{"anna", "bob:", NULL, NULL},
		{"anna", "bob:65536", NULL, NULL},
		{"anna", "192.0.2.80", "tcp", NULL},
		{"anna", "192.0.2.80:80", "icmp", NULL},
		{"anna", "192.0.2.80:80", "sctp", NULL},
		{"anna", "192.0.2.80", NULL, "carl"},
		{"bob", "2001:db8::80", NULL, NULL},
		{"100.64.0.11", "2001:db8::80", NULL, NULL},
	};
	struct why_query query;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_non_null(api_why_read(compiled, wrong[i], &query));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_refused_questions),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
