/* SPDX-License-Identifier: BSD-3-Clause */
/* Who knows a way to where, and by whom. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/control/compile/fixture.h"

/* Three ways to one range of one network; r3 is another network's. */
static const char redundant[] =
	"version: 1\n"
	"wireguard: {addresses: [100.64.0.1/10]}\n"
	"groups: {berlin: {}, london: {}, routers: {}}\n"
	"peers:\n"
	"  anna: {public_key: " KEY_A ", addresses: [100.64.0.11], groups: [berlin, london]}\n"
	"  r1: {public_key: " KEY_B ", addresses: [100.64.0.21], groups: [routers]}\n"
	"  r2: {public_key: " KEY_C ", addresses: [100.64.0.22], groups: [routers]}\n"
	"  r3: {public_key: " KEY_D ", addresses: [100.64.0.23], groups: [routers]}\n"
	"routes:\n"
	"  second: {network: office, prefixes: [10.30.0.0/16], via: {peers: [r1]}, metric: 10,\n"
	"           distribute_to: [berlin], masquerade: false}\n"
	"  first: {network: office, prefixes: [10.30.0.0/16], via: {peers: [r2]}, metric: 20,\n"
	"          distribute_to: [london]}\n"
	"  other: {network: other, prefixes: [10.30.0.0/16], via: {peers: [r3]}, metric: 1,\n"
	"          distribute_to: [berlin]}\n"
	"  pair: {prefixes: [10.40.0.0/16], via: {peers: [r2, r1]}, distribute_to: [berlin]}\n"
	"policies:\n"
	"  - {name: all, from: {groups: [berlin]}, to: {groups: [routers]}, action: allow}\n";

static void test_berlin_london(void **state)
{
	struct store *store = open_store();
	struct fixture f = compile_text(store, fixture_base, fixture_policies);
	const struct api_route_set *route;
	unsigned owners = 0;

	route = find_route(&f, set_of(&f, "anna"), "10.30.1.1");
	assert_non_null(route);
	assert_int_equal(route->next, API_NEXT_PEER);
	assert_int_equal(route->peer, id_of(&f, "r1"));
	assert_int_equal(route->flags & API_ROUTE_MASQUERADE, 0);
	route = find_route(&f, set_of(&f, "bob"), "10.30.1.1");
	assert_non_null(route);
	assert_int_equal(route->peer, id_of(&f, "r2"));
	assert_int_equal(route->flags & API_ROUTE_MASQUERADE, API_ROUTE_MASQUERADE);
	assert_null(find_route(&f, set_of(&f, "r1"), "10.30.1.1"));
	/* Replies through either routing peer are accepted. */
	for (size_t i = 0; i < f.compiled->desired.n; i++) {
		const struct api_allowed_set *allowed =
			(const void *)f.compiled->desired.messages[i];

		owners += allowed->header.type == API_ALLOWED_SET && allowed->prefix.length == 16;
	}
	assert_int_equal(owners, 2);
	release(&f);
	store_close(&store);
}

/* Either way, and to whatever stands for the route: anna's leads by r1, bob's by r2. */
static void test_route_needs_policy(void **state)
{
	static const struct {
		const char *policy; /* all of it but the action */
		bool deny, anna, bob;
	} cases[] = {
		{"from: {groups: [berlin]}, to: {groups: [routers]}", false, true, false},
		{"from: {groups: [berlin]}, to: {groups: [routers]}, protocol: icmp", false, true,
			false},
		{"from: {groups: [berlin]}, to: {groups: [routers]}", true, false, false},
		{"from: {groups: [london]}, to: {groups: [routers]}, enabled: false", false, false,
			false},
		{"from: any, to: {groups: [routers]}", false, true, true},
		{"from: any, to: {routes: [office-l]}", false, false, true},
		{"from: any, to: {peers: [r1]}", false, true, false},
		{"from: any, to: {groups: [berlin]}", false, true, false},
		{"from: {groups: [routers]}, to: {groups: [berlin, london]}", false, true, true},
		{"from: {peers: [r2]}, to: {groups: [berlin, london]}", false, false, true},
		{"from: {peers: [r2]}, to: {groups: [berlin]}", false, false, false},
		{"from: {groups: [routers]}, to: {groups: [london]}", true, false, false},
		{"from: {groups: [berlin]}, to: {groups: [london]}", false, false, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store *store = open_store();
		struct fixture f;
		char *text;

		print_message("%s%s\n", cases[i].policy, cases[i].deny ? ", denied" : "");
		assert_true(asprintf(&text,
				    "policies: [{name: a, %s, action: %s}]\n"
				    "policy: {routes_without_acl_groups: deny}\n",
				    cases[i].policy, cases[i].deny ? "deny" : "allow") > 0);
		f = compile_text(store, fixture_base, text);
		assert_int_equal(
			find_route(&f, set_of(&f, "anna"), "10.30.1.1") != NULL, cases[i].anna);
		assert_int_equal(
			find_route(&f, set_of(&f, "bob"), "10.30.1.1") != NULL, cases[i].bob);
		assert_null(f.compiled->set_of_peer[index_of(&f, "anna")]->exit_node);
		release(&f);
		store_close(&store);
		free(text);
	}
}

static void test_exit(void **state)
{
	static const char *const closed[] = {"10.20.0.7", "10.30.0.1", "10.99.0.1", "100.64.0.99",
		"169.254.1.1", "192.168.1.1", "172.31.255.255", "192.0.2.130", "127.0.0.1",
		"224.0.0.1", "fe80::1", "fd00::1", "ff02::1", "::1"};
	static const char *const open[] = {
		"192.0.2.1", "198.51.100.77", "8.8.8.8", "203.0.113.1", "2001:db8::1"};
	struct store *store = open_store();
	struct fixture f = compile_text(store, fixture_base,
		"policies:\n"
		"  - {name: out, from: {groups: [berlin]}, to: {exit_nodes: [internet]},\n"
		"     action: allow}\n");
	uint32_t anna = set_of(&f, "anna");
	const char *name;

	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
		const struct api_route_set *route = find_route(&f, anna, closed[i]);

		if (route != NULL)
			print_message("%s is open\n", closed[i]);
		assert_null(route);
	}
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
		const struct api_route_set *route = find_route(&f, anna, open[i]);

		assert_non_null(route);
		assert_int_equal(route->next, API_NEXT_UNDERLAY);
		assert_int_equal(route->flags, API_ROUTE_EXIT | API_ROUTE_MASQUERADE);
		assert_int_equal(route->prefix.length, 1);
		assert_null(find_route(&f, set_of(&f, "bob"), open[i]));
	}
	assert_true(judge(&f, anna, "8.8.8.8", 17, 53, API_POLICY_TO_EXIT, &name));
	assert_string_equal(name, "policy:out");
	/* What leads to the internet does not lead to a peer. */
	assert_false(judge(&f, anna, "100.64.0.12", 17, 53, 0, &name));
	release(&f);
	store_close(&store);
}

static void test_exit_also(void **state)
{
	struct store *store = open_store();
	char *text = strdup(fixture_base), *at = strstr(text, "offer_to: [berlin]}}");
	struct fixture f;

	assert_non_null(at);
	*at = '\0';
	assert_true(asprintf(&at, "%soffer_to: [berlin], also: [192.0.2.128/25]}}\n%s", text,
			    strstr(fixture_base, "egress:")) > 0);
	f = compile_text(store, at, fixture_policies);
	assert_non_null(find_route(&f, set_of(&f, "anna"), "192.0.2.130"));
	assert_null(find_route(&f, set_of(&f, "anna"), "10.20.0.7"));
	free(text);
	free(at);
	release(&f);
	store_close(&store);
}

static bool owns(const struct fixture *f, const char *peer, const char *prefix_text)
{
	struct prefix prefix;

	assert_int_equal(prefix_parse(prefix_text, &prefix), 0);
	for (size_t i = 0; i < f->compiled->desired.n; i++) {
		const struct api_allowed_set *allowed =
			(const void *)f->compiled->desired.messages[i];

		if (allowed->header.type == API_ALLOWED_SET && allowed->peer == id_of(f, peer) &&
			prefix_equal(&allowed->prefix, &prefix))
			return true;
	}
	return false;
}

/* Members of a group are routing peers, by name, behind those that are named themselves; who cannot
 * forward or is disabled is passed over, and owns nothing. */
static void test_routing_groups(void **state)
{
	static const char text[] =
		"version: 1\n"
		"wireguard: {addresses: [100.64.0.1/10]}\n"
		"groups: {staff: {}, routers: {}}\n"
		"peers:\n"
		"  anna: {public_key: " KEY_A ", addresses: [100.64.0.11], groups: [staff]}\n"
		"  r2: {public_key: " KEY_B ", addresses: [100.64.0.22], groups: [routers]}\n"
		"  r1: {public_key: " KEY_C ", addresses: [100.64.0.21], groups: [routers]%s}\n"
		"  r0: {public_key: " KEY_D ", addresses: [100.64.0.20], groups: [routers]%s}\n"
		"routes: {office: {prefixes: [10.30.0.0/16], distribute_to: [staff],\n"
		"  via: {%sgroups: [routers]}}}\n"
		"policies: [{name: x, from: {groups: [staff]}, to: {groups: [routers]}, action: "
		"allow}]\n";
	static const struct {
		const char *r1, *r0, *named, *carries;
		size_t members, skipped;
	} cases[] = {
		{"", "", "", "r0", 3, 0},
		{"", ", can_route: false", "", "r1", 2, 1},
		{"", ", enabled: false", "", "r1", 2, 1},
		{", can_route: false", ", enabled: false", "", "r2", 1, 2},
		{"", "", "peers: [r2], ", "r2", 3, 0},
		{"", ", can_route: false", "peers: [r0, r1], ", "r1", 2, 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store *store = open_store();
		const struct model_route *route;
		struct fixture f;
		char *yaml;

		assert_true(asprintf(&yaml, text, cases[i].r1, cases[i].r0, cases[i].named) > 0);
		f = compile_text(store, yaml, "");
		free(yaml);
		route = model_route_at(f.model, 0);
		assert_int_equal(route->via_peers.n, cases[i].members);
		assert_int_equal(route->n_skipped, cases[i].skipped);
		assert_int_equal(find_route(&f, set_of(&f, "anna"), "10.30.0.5")->peer,
			id_of(&f, cases[i].carries));
		assert_true(owns(&f, "r2", "10.30.0.0/16"));
		assert_int_equal(owns(&f, "r1", "10.30.0.0/16"), cases[i].r1[0] == '\0');
		assert_int_equal(
			f.compiled->n_understudies, cases[i].members == 1 ? 0 : cases[i].members);
		release(&f);
		store_close(&store);
	}
}

static void test_failover(void **state)
{
	static const struct {
		const char *down[3]; /* who does not answer */
		const char *office, *pair;
		const char *route; /* of the office */
	} cases[] = {
		{{NULL}, "r1", "r2", "second"}, /* the lower metric; the first of the list */
		{{KEY_B}, "r2", "r2", "first"}, {{KEY_C}, "r1", "r1", "second"},
		{{KEY_B, KEY_C}, "r1", "r2", "second"}, /* nobody is left: as if all were up */
		{{KEY_D}, "r1", "r2", "second"}, /* has nobody to stand in, and is no member */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store *store = open_store();
		const struct api_route_set *entry;
		const struct model_route *named;
		struct fixture f;
		size_t n;

		for (n = 0; n < 3 && cases[i].down[n] != NULL; n++)
			assert_int_equal(key_parse(cases[i].down[n], &fixture_down[n]), 0);
		fixture_n_down = n;
		f = compile_text(store, redundant, "");
		entry = find_route(&f, set_of(&f, "anna"), "10.30.0.5");
		assert_int_equal(entry->peer, id_of(&f, cases[i].office));
		named = (const void *)model_find(f.model, MODEL_ROUTE, cases[i].route);
		assert_int_equal(entry->route_id, f.compiled->route_ids[named->object.index]);
		assert_int_equal((entry->flags & API_ROUTE_MASQUERADE) != 0, named->masquerade);
		entry = find_route(&f, set_of(&f, "anna"), "10.40.0.5");
		assert_int_equal(entry->peer, id_of(&f, cases[i].pair));
		/* Answers through each of them are accepted, whoever is in force. */
		assert_true(owns(&f, "r1", "10.30.0.0/16") && owns(&f, "r2", "10.30.0.0/16"));
		assert_true(f.compiled->understudies[index_of(&f, "r1")]);
		assert_true(f.compiled->understudies[index_of(&f, "r2")]);
		assert_false(f.compiled->understudies[index_of(&f, "r3")]);
		assert_int_equal(f.compiled->n_understudies, 2);
		release(&f);
		store_close(&store);
	}
	fixture_n_down = 0;
}

/* Who is in the groups of one member only has no other to fall back to. */
static void test_members_have_their_own_groups(void **state)
{
	static const char two[] =
		"version: 1\n"
		"wireguard: {addresses: [100.64.0.1/10]}\n"
		"groups: {berlin: {}, london: {}, routers: {}}\n"
		"peers:\n"
		"  bert: {public_key: " KEY_A ", addresses: [100.64.0.11], groups: [berlin]}\n"
		"  lena: {public_key: " KEY_D ", addresses: [100.64.0.12], groups: [london]}\n"
		"  r1: {public_key: " KEY_B ", addresses: [100.64.0.21], groups: [routers]}\n"
		"  r2: {public_key: " KEY_C ", addresses: [100.64.0.22], groups: [routers]}\n"
		"routes:\n"
		"  one: {network: office, prefixes: [10.30.0.0/16], via: {peers: [r1]}, metric: "
		"10,\n"
		"        distribute_to: [berlin]}\n"
		"  two: {network: office, prefixes: [10.30.0.0/16], via: {peers: [r2]}, metric: "
		"20,\n"
		"        distribute_to: [london]}\n"
		"policies:\n"
		"  - {name: all, from: {groups: [berlin, london]}, to: {groups: [routers]}, "
		"action: "
		"allow}\n";

	for (unsigned i = 0; i < 2; i++) {
		struct store *store = open_store();
		struct fixture f;

		fixture_n_down = i; /* with r1 as it is, and down */
		assert_int_equal(key_parse(KEY_B, &fixture_down[0]), 0);
		f = compile_text(store, two, "");
		assert_int_equal(
			find_route(&f, set_of(&f, "bert"), "10.30.0.5")->peer, id_of(&f, "r1"));
		assert_int_equal(
			find_route(&f, set_of(&f, "lena"), "10.30.0.5")->peer, id_of(&f, "r2"));
		release(&f);
		store_close(&store);
	}
	fixture_n_down = 0;
}

/* Two routes of one network are no overlap, those of two networks are; metric decides nothing
 * between networks. */
static void test_overlap_is_told(void **state)
{
	struct store *store = open_store();
	struct fixture f = compile_text(store, redundant, "");
	unsigned told = 0;

	for (size_t i = 0; i < diag_warnings(f.diag); i++)
		told += diag_get(f.diag, i)->code == DIAG_ROUTES_OVERLAP;
	assert_int_equal(told, 1);
	release(&f);
	store_close(&store);
}

static const char two_exits[] =
	"version: 1\n"
	"wireguard: {addresses: [100.64.0.1/10]}\n"
	"groups: {staff: {}, ops: {}}\n"
	"peers:\n"
	"  anna: {public_key: " KEY_A ", addresses: [100.64.0.11], groups: [staff, ops]}\n"
	"  bob: {public_key: " KEY_B ", addresses: [100.64.0.12], groups: [staff]}\n"
	"  carl: {public_key: " KEY_C ", addresses: [100.64.0.13], groups: [staff, ops]}\n"
	"exit_nodes:\n"
	"  fra: {offer_to: [staff]}\n"
	"  dub: {offer_to: [ops]}\n"
	"  idle: {offer_to: [staff], enabled: false}\n"
	"  shut: {offer_to: [staff]}\n"
	"egress:\n"
	"  pools: {fra: {addresses: [198.51.100.5]}, dub: {addresses: [198.51.100.6]},\n"
	"          some: {addresses: [198.51.100.7]}}\n"
	"  rules:\n"
	"    - {from: any, exit_nodes: [dub], to: [192.0.2.0/24], use: some}\n"
	"    - {from: any, exit_nodes: [fra], use: fra}\n"
	"    - {from: {groups: [ops]}, exit_nodes: [dub, idle], use: dub}\n"
	"policies:\n"
	"  - {name: out, from: {groups: [staff]}, to: {exit_nodes: [fra, dub, idle]},\n"
	"     action: allow}\n";

/* The address by which the set leaves for dst, of the rule with the lowest priority. */
static void expect_egress(
	const struct fixture *f, uint32_t set, const char *dst_text, const char *address_text)
{
	const struct api_egress_rule_set *best = NULL;
	const struct addr dst = address(dst_text), wanted = address(address_text);
	bool found = false;

	for (size_t i = 0; i < f->compiled->desired.n; i++) {
		const struct api_egress_rule_set *rule =
			(const void *)f->compiled->desired.messages[i];

		if (rule->header.type == API_EGRESS_RULE_SET &&
			(rule->src_set == 0 || rule->src_set == set) &&
			(rule->dst.family == ADDR_NONE || prefix_contains(&rule->dst, &dst)) &&
			(best == NULL || rule->priority < best->priority))
			best = rule;
	}
	assert_non_null(best);
	for (size_t i = 0; i < f->model->tables[MODEL_POOL].n; i++) {
		const struct model_pool *pool = model_pool_at(f->model, i);

		for (size_t k = 0; k < f->compiled->desired.n; k++) {
			const struct api_egress_pool_set *set_of_pool =
				(const void *)f->compiled->desired.messages[k];

			found = found || (set_of_pool->header.type == API_EGRESS_POOL_SET &&
						 set_of_pool->pool == best->pool &&
						 set_of_pool->egress[0] ==
							 f->compiled->pool_address_ids[i][0] &&
						 addr_equal(&pool->addresses.items[0], &wanted));
		}
	}
	assert_true(found);
}

static const struct compile_set *whole_set(const struct fixture *f, const char *peer)
{
	return f->compiled->set_of_peer[index_of(f, peer)];
}

static const struct model_exit_node *exit_node(const struct fixture *f, const char *name)
{
	return (const void *)model_find(f->model, MODEL_EXIT_NODE, name);
}

/* The fixture with anna's choice; `plain` keeps what it is an extension of. */
static struct fixture choose(struct store *store, struct fixture *plain, const char *name)
{
	struct compile_input input = {.store = store, .underlay = true};
	struct fixture f = {.model = model_extend(plain->model)};
	const char *what;
	int error;

	model_extend_select(f.model, index_of(&f, "anna"), exit_node(&f, name));
	input.model = f.model;
	f.compiled = compile_model(&input, &error, &what);
	assert_non_null(f.compiled);
	return f;
}

static void test_selection(void **state)
{
	struct store *store = open_store();
	struct fixture plain = compile_text(store, two_exits, ""), f;
	const char *rule;

	/* The first one that is offered, for all: no set of anna's own. */
	assert_ptr_equal(whole_set(&plain, "anna")->exit_node, exit_node(&plain, "fra"));
	assert_ptr_equal(whole_set(&plain, "anna"), whole_set(&plain, "carl"));
	expect_egress(&plain, set_of(&plain, "anna"), "8.8.8.8", "198.51.100.5");

	f = choose(store, &plain, "dub");
	assert_string_equal(whole_set(&f, "anna")->key, "groups:ops,staff exit-node:dub");
	assert_ptr_equal(whole_set(&f, "anna")->exit_node, exit_node(&f, "dub"));
	assert_ptr_equal(whole_set(&f, "carl")->exit_node, exit_node(&f, "fra"));
	assert_int_equal(find_route(&f, set_of(&f, "anna"), "8.8.8.8")->route_id,
		f.compiled->exit_node_ids[exit_node(&f, "dub")->object.index]);
	expect_egress(&f, set_of(&f, "anna"), "8.8.8.8", "198.51.100.6");
	expect_egress(&f, set_of(&f, "anna"), "192.0.2.9", "198.51.100.7");
	expect_egress(&f, set_of(&f, "carl"), "8.8.8.8", "198.51.100.5");
	expect_egress(&f, set_of(&f, "carl"), "192.0.2.9", "198.51.100.5");
	assert_string_equal(
		compile_egress_pool(f.model, whole_set(&f, "anna"))->object.name, "dub");
	assert_true(judge(&f, set_of(&f, "anna"), "8.8.8.8", 17, 53, API_POLICY_TO_EXIT, &rule));
	release(&f);

	/* What is not offered (any more) is not replaced by what is. */
	f = choose(store, &plain, "shut");
	assert_null(whole_set(&f, "anna")->exit_node);
	assert_null(find_route(&f, set_of(&f, "anna"), "8.8.8.8"));
	release(&f);
	release(&plain);
	store_close(&store);
}

static void test_offers(void **state)
{
	static const struct {
		const char *peer, *exit_node;
		enum compile_offer offer;
	} cases[] = {
		{"anna", "fra", COMPILE_OFFERED},
		{"anna", "dub", COMPILE_OFFERED},
		{"bob", "dub", COMPILE_OFFER_NO_GROUP},
		{"bob", "idle", COMPILE_OFFER_DISABLED},
		{"bob", "shut", COMPILE_OFFER_NO_POLICY},
	};
	struct store *store = open_store();
	struct fixture f = compile_text(store, two_exits, "");

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(compile_offer(f.model, whole_set(&f, cases[i].peer),
					 exit_node(&f, cases[i].exit_node)),
			cases[i].offer);
	release(&f);
	store_close(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_berlin_london),
		cmocka_unit_test(test_route_needs_policy),
		cmocka_unit_test(test_exit),
		cmocka_unit_test(test_exit_also),
		cmocka_unit_test(test_routing_groups),
		cmocka_unit_test(test_failover),
		cmocka_unit_test(test_members_have_their_own_groups),
		cmocka_unit_test(test_overlap_is_told),
		cmocka_unit_test(test_selection),
		cmocka_unit_test(test_offers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
