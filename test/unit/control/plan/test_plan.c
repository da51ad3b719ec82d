/* SPDX-License-Identifier: BSD-3-Clause */
/* Two configurations, and what is said about the way from one to the other. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/conf/conf.h"
#include "control/plan/plan.h"

#define KEY_A "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
#define KEY_B "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define KEY_C "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="

#define HEAD                                                                                       \
	"version: 1\n"                                                                             \
	"ports:\n"                                                                                 \
	"  inet: {device: net_null1, addresses: [203.0.113.2/24], gateways: [203.0.113.1]}\n"      \
	"wireguard: {addresses: [100.64.0.1/24]}\n"                                                \
	"groups: {staff: {}, ops: {}}\n"
#define PEERS                                                                                      \
	"peers:\n"                                                                                 \
	"  anna: {public_key: " KEY_A ", addresses: [100.64.0.11], groups: [staff]}\n"             \
	"  bob: {public_key: " KEY_B ", addresses: [100.64.0.12], groups: [ops]}\n"
#define EXIT "exit_nodes: {internet: {offer_to: [staff, ops]}}\n"
#define POOLS                                                                                      \
	"egress:\n"                                                                                \
	"  pools: {a: {addresses: [203.0.113.5]}, b: {addresses: [203.0.113.6]}}\n"                \
	"  rules:\n"
#define RULES                                                                                      \
	"    - {from: {groups: [staff]}, use: a}\n"                                                \
	"    - {from: {groups: [ops]}, use: b}\n"
#define POLICY                                                                                     \
	"policies:\n"                                                                              \
	"  - {name: out, from: {groups: [staff, ops]}, to: {exit_nodes: [internet]}, action: "     \
	"allow}\n"                                                                                 \
	"policy: {routes_without_acl_groups: deny}\n"

static const char base[] = HEAD PEERS EXIT POOLS RULES POLICY;

struct side {
	struct model *model;
	struct compiled *compiled;
	json_t *json;
};

static void make(struct side *side, struct store *store, const char *text)
{
	struct compile_input input = {.store = store, .underlay = true};
	struct conf_files *files = conf_files_create("test.yaml");
	struct diag *diag = diag_create("test.yaml", text, strlen(text));
	const char *what = "";
	int error;

	conf_files_add(files, "test.yaml", text, strlen(text));
	side->model = conf_files_parse(files, NULL, diag, &side->json);
	if (side->model == NULL)
		diag_print(diag, stderr, false);
	assert_non_null(side->model);
	input.model = side->model;
	side->compiled = compile_model(&input, &error, &what);
	assert_non_null(side->compiled);
	conf_files_destroy(&files);
	diag_destroy(&diag);
}

static void drop(struct side *side)
{
	compile_destroy(&side->compiled);
	model_destroy(&side->model);
	json_decref(side->json);
}

static const struct {
	const char *name, *to, *changes, *touched;
} cases[] = {
	{"nothing", HEAD "# a comment\n" PEERS EXIT POOLS RULES POLICY, "[]",
		"egress 0 reach 0 tunnels 0"},
	{"another pool", HEAD PEERS EXIT POOLS "    - {from: any, use: b}\n" POLICY,
		"[{\"change\":\"changed\",\"kind\":\"egress rule\",\"name\":\"1\",\"fields\":[{"
		"\"key\":\"from\",\"from\":{\"groups\":[\"staff\"]},\"to\":\"any\"},{\"key\":"
		"\"use\","
		"\"from\":\"a\",\"to\":\"b\"}]},{\"change\":\"removed\",\"kind\":\"egress rule\","
		"\"name\":\"2\",\"fields\":[]}]",
		"egress 1 anna reach 0 tunnels 0"},
	{"no exit for ops",
		HEAD PEERS "exit_nodes: {internet: {offer_to: [staff]}}\n" POOLS RULES POLICY,
		"[{\"change\":\"changed\",\"kind\":\"exit "
		"node\",\"name\":\"internet\",\"fields\":[{"
		"\"key\":\"offer_to\",\"from\":[\"staff\",\"ops\"],\"to\":[\"staff\"]}]}]",
		"egress 0 reach 1 bob tunnels 0"},
	{"a peer less, another key",
		HEAD "peers:\n  bob: {public_key: " KEY_C
		     ", addresses: [100.64.0.12], groups: [ops]}\n" EXIT POOLS RULES POLICY,
		"[{\"change\":\"removed\",\"kind\":\"peer\",\"name\":\"anna\",\"fields\":[]},{"
		"\"change\":\"changed\",\"kind\":\"peer\",\"name\":\"bob\",\"fields\":[{\"key\":"
		"\"public_key\",\"from\":\"" KEY_B "\",\"to\":\"" KEY_C "\"}]}]",
		"egress 0 reach 0 tunnels 2 anna bob"},
	{"settings and another order",
		"version: 1\n"
		"ports:\n"
		"  inet: {device: net_null1, addresses: [203.0.113.2/24], gateways: "
		"[203.0.113.1]}\n"
		"wireguard: {addresses: [100.64.0.1/24], mtu: 1400}\n"
		"groups: {staff: {}, ops: {}}\n" PEERS EXIT POOLS RULES "  default: a\n" POLICY,
		"[{\"change\":\"changed\",\"kind\":\"section\",\"name\":\"wireguard\",\"fields\":[{"
		"\"key\":\"mtu\",\"from\":null,\"to\":1400}]},{\"change\":\"changed\",\"kind\":"
		"\"section\",\"name\":\"egress\",\"fields\":[{\"key\":\"default\",\"from\":null,"
		"\"to\":\"a\"}]}]",
		"egress 0 reach 0 tunnels 0"},
};

static void print_part(FILE *out, const json_t *touched, const char *key)
{
	const json_t *part = json_object_get(touched, key);
	json_t *peer;
	size_t i;

	fprintf(out, "%s %lld", key, (long long)json_integer_value(json_object_get(part, "count")));
	json_array_foreach(json_object_get(part, "peers"), i, peer)
		fprintf(out, " %s", json_string_value(json_object_get(peer, "name")));
}

static char *summary_of(const json_t *touched)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	print_part(out, touched, "egress");
	fputc(' ', out);
	print_part(out, touched, "reach");
	fputc(' ', out);
	print_part(out, touched, "tunnels");
	fclose(out);
	return text;
}

static void test_cases(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct side from, to;
		json_t *changes, *touched;
		char *text, *summary;
		int error;
		struct store *store = store_open(NULL, &error);

		make(&from, store, base);
		make(&to, store, cases[i].to);
		changes = plan_difference(from.json, to.json);
		touched = plan_touched(from.compiled, to.compiled);
		text = json_dumps(changes, JSON_COMPACT | JSON_PRESERVE_ORDER);
		summary = summary_of(touched);
		print_message("%s\n", cases[i].name);
		assert_string_equal(text, cases[i].changes);
		assert_string_equal(summary, cases[i].touched);
		free(text);
		free(summary);
		json_decref(changes);
		json_decref(touched);
		drop(&from);
		drop(&to);
		store_close(&store);
	}
}

enum { MANY = 3 * PLAN_PEERS_MAX + 30 }; /* a third of them moves */

/* Peers in turn of the first, the second and again the first group. */
static char *many_peers(const char *first, const char *second)
{
	char key_text[KEY_TEXT_MAX], *text = NULL;
	struct key key = {{0}};
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs("version: 1\n"
	      "ports: {inet: {device: net_null1, addresses: [203.0.113.2/24]}}\n"
	      "wireguard: {addresses: [100.64.0.1/16]}\n"
	      "groups: {staff: {}, ops: {}}\n"
	      "routes:\n"
	      "  dc: {network: dc, prefixes: [10.0.0.0/8, 172.16.0.0/12], distribute_to: [staff],\n"
	      "    acl_groups: [staff], via: {port: inet, gateway: 203.0.113.9}}\n"
	      "  lab: {network: lab, prefixes: [192.168.0.0/16], distribute_to: [ops],\n"
	      "    acl_groups: [ops], via: {port: inet, gateway: 203.0.113.9}}\n"
	      "peers:\n",
		out);
	for (int i = 0; i < MANY; i++) {
		key.bytes[0] = (uint8_t)i;
		key.bytes[1] = (uint8_t)(i >> 8);
		key.bytes[2] = 1;
		fprintf(out, "  p%d: {public_key: %s, addresses: [100.64.%d.%d], groups: [%s]}\n",
			i, key_format(&key, key_text), 1 + i / 200, 1 + i % 200,
			i % 3 == 1 ? second : first);
	}
	fclose(out);
	return text;
}

/* Many take the same step, others none, in turn: all are counted, the first ones are named. */
static void test_many(void **state)
{
	int error;
	struct store *store = store_open(NULL, &error);
	char *before = many_peers("staff", "staff"), *after = many_peers("staff", "ops");
	json_t *touched, *reach, *peer;
	struct side from, to;
	char *text, name[16];
	size_t i;

	make(&from, store, before);
	make(&to, store, after);
	touched = plan_touched(from.compiled, to.compiled);
	reach = json_object_get(touched, "reach");
	assert_int_equal(json_integer_value(json_object_get(reach, "count")), MANY / 3);
	assert_int_equal(json_array_size(json_object_get(reach, "peers")), PLAN_PEERS_MAX);
	json_array_foreach(json_object_get(reach, "peers"), i, peer)
	{
		snprintf(name, sizeof(name), "p%zu", 3 * i + 1);
		assert_string_equal(json_string_value(json_object_get(peer, "name")), name);
		text = json_dumps(json_object_get(peer, "gains"), 0);
		assert_string_equal(text, "[\"192.168.0.0/16 by route lab\"]");
		free(text);
		text = json_dumps(json_object_get(peer, "loses"), 0);
		assert_string_equal(text, "[\"10.0.0.0/8 by route dc\", \"172.16.0.0/12 by route "
					  "dc\"]");
		free(text);
	}
	json_decref(touched);
	drop(&from);
	drop(&to);
	free(before);
	free(after);
	store_close(&store);
}

static void test_order_of_policies(void **state)
{
	json_t *one = json_loads("{\"policies\": [{\"name\": \"a\"}, {\"name\": \"b\"}]}", 0, NULL);
	json_t *two = json_loads("{\"policies\": [{\"name\": \"b\"}, {\"name\": \"a\"}]}", 0, NULL);
	json_t *changes = plan_difference(one, two);
	char *text = json_dumps(changes, JSON_COMPACT | JSON_PRESERVE_ORDER);

	assert_string_equal(text,
		"[{\"change\":\"changed\",\"kind\":\"policies\",\"name\":\"order\","
		"\"fields\":[{\"key\":\"order\",\"from\":[\"a\",\"b\"],\"to\":"
		"[\"b\",\"a\"]}]}]");
	free(text);
	json_decref(changes);
	json_decref(one);
	json_decref(two);
}

/* A flow of anna's to the internet, and one that bob has with her. */
static void test_flows(void **state)
{
	static const struct {
		const char *to, *why;
	} flow_cases[] = {
		{base, NULL},
		/* The rule names another pool, but the address is still there: it stays. */
		{HEAD PEERS EXIT POOLS "    - {from: any, use: b}\n" POLICY, NULL},
		{HEAD PEERS EXIT "egress:\n  pools: {b: {addresses: [203.0.113.6]}}\n  rules:\n"
				 "    - {from: any, use: b}\n" POLICY,
			"its egress address is gone"},
		{HEAD PEERS EXIT POOLS RULES, "no route or exit node leads there"},
		{HEAD PEERS EXIT POOLS RULES
			"policies:\n  - {name: dns, from: {groups: [staff]}, to: {exit_nodes: "
			"[internet]}, protocol: udp, ports: [53], action: allow}\n",
			"no policy allows it"},
		{HEAD "peers:\n  bob: {public_key: " KEY_B
		      ", addresses: [100.64.0.12], groups: [ops]}\n" EXIT POOLS RULES POLICY,
			"its peer is gone"},
	};

	for (size_t i = 0; i < sizeof(flow_cases) / sizeof(flow_cases[0]); i++) {
		struct api_flow_entry entry = {.proto = MODEL_TCP, .sport = 4000, .dport = 443};
		struct plan_flows *flows;
		struct side from, to;
		const char *why;
		int error;
		struct store *store = store_open(NULL, &error);

		make(&from, store, base);
		make(&to, store, flow_cases[i].to);
		entry.ingress = from.compiled->peer_ids[0];
		assert_int_equal(addr_parse("100.64.0.11", &entry.src), 0);
		assert_int_equal(addr_parse("1.1.1.1", &entry.dst), 0);
		assert_int_equal(addr_parse("203.0.113.5", &entry.nat_addr), 0);
		entry.egress = API_IDENT_PORT | 1;
		flows = plan_flows_create(to.compiled, &to.compiled->desired);
		why = plan_flow_cut(flows, &entry);
		if (flow_cases[i].why == NULL)
			assert_null(why);
		else
			assert_string_equal(why, flow_cases[i].why);
		plan_flows_destroy(&flows);
		drop(&from);
		drop(&to);
		store_close(&store);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_order_of_policies),
		cmocka_unit_test(test_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
