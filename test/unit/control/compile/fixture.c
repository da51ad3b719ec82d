/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/control/compile/fixture.h"

#include "control/conf/conf.h"

const char fixture_base[] =
	"version: 1\n"
	"wireguard: {addresses: [100.64.0.1/10, fd64::1/64]}\n"
	"ports:\n"
	"  wan: {device: net_null0, addresses: [198.51.100.2/24], gateways: [198.51.100.1]}\n"
	"  lan: {device: net_null1, addresses: [10.20.0.1/24]}\n"
	"  dmz: {device: net_null2, addresses: [192.0.2.129/25]}\n"
	"groups: {berlin: {}, london: {}, routers: {}}\n"
	"peers:\n"
	"  anna: {public_key: " KEY_A ", addresses: [100.64.0.11, fd64::11], groups: [berlin]}\n"
	"  bob: {public_key: " KEY_B ", addresses: [100.64.0.12], groups: [london]}\n"
	"  r1: {public_key: " KEY_C ", addresses: [100.64.0.21], groups: [routers]}\n"
	"  r2: {public_key: " KEY_D ", addresses: [100.64.0.22], groups: [routers]}\n"
	"routes:\n"
	"  office-b: {prefixes: [10.30.0.0/16], via: {peers: [r1]}, distribute_to: [berlin],\n"
	"             masquerade: false, acl_groups: [routers]}\n"
	"  office-l: {prefixes: [10.30.0.0/16], via: {peers: [r2]}, distribute_to: [london],\n"
	"             acl_groups: [routers]}\n"
	"  lan: {prefixes: [10.20.0.0/24], via: {port: lan}, distribute_to: [london]}\n"
	"exit_nodes: {internet: {offer_to: [berlin]}}\n"
	"egress:\n"
	"  pools: {office: {addresses: [198.51.100.5]}}\n"
	"  rules: [{from: {groups: [berlin]}, use: office}]\n";

const char fixture_policies[] =
	"policies:\n"
	"  - {name: out, from: {groups: [berlin]}, to: {exit_nodes: [internet]}, action: allow}\n"
	"  - {name: to-routers, from: {groups: [berlin, london]}, to: {groups: [routers]},\n"
	"     protocol: tcp, ports: [443, 8000-8999], action: allow}\n"
	"  - {name: ssh, from: {peers: [bob]}, to: {host: true}, protocol: tcp, ports: [22],\n"
	"     action: allow}\n"
	"policy: {routes_without_acl_groups: deny}\n";

struct key fixture_down[4];
size_t fixture_n_down;

struct fixture compile_text(struct store *store, const char *first, const char *second)
{
	struct fixture f;
	struct compile_input input = {
		.store = store, .underlay = true, .down = fixture_down, .n_down = fixture_n_down};
	const char *what;
	char *text;
	int error;

	assert_true(asprintf(&text, "%s%s", first, second) > 0);
	f.model = conf_parse("test.yaml", text, strlen(text), NULL, &f.diag);
	if (f.model == NULL)
		diag_print(f.diag, stderr, false);
	assert_non_null(f.model);
	input.model = f.model;
	f.compiled = compile_model(&input, &error, &what);
	assert_non_null(f.compiled);
	free(text);
	return f;
}

void release(struct fixture *f)
{
	compile_destroy(&f->compiled);
	model_destroy(&f->model);
	diag_destroy(&f->diag);
}

struct store *open_store(void)
{
	int error;
	struct store *store = store_open(NULL, &error);

	assert_non_null(store);
	return store;
}

uint32_t index_of(const struct fixture *f, const char *peer)
{
	return model_find(f->model, MODEL_PEER, peer)->index;
}

uint32_t set_of(const struct fixture *f, const char *peer)
{
	return f->compiled->set_of_peer[index_of(f, peer)]->id;
}

uint32_t id_of(const struct fixture *f, const char *peer)
{
	return f->compiled->peer_ids[index_of(f, peer)];
}

struct addr address(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

/* The entry that carries traffic of this set to dst, as common/api/route.h says. */
const struct api_route_set *find_route(const struct fixture *f, uint32_t set, const char *dst_text)
{
	struct addr dst = address(dst_text);
	const struct api_route_set *best = NULL;
	int named = -1;

	for (size_t i = 0; i < f->compiled->desired.n; i++) {
		const struct api_route_set *route = (const void *)f->compiled->desired.messages[i];

		if (route->header.type != API_ROUTE_SET || route->table != API_TABLE_OVERLAY ||
			!prefix_contains(&route->prefix, &dst))
			continue;
		if (route->prefix.length > named)
			named = route->prefix.length;
		if (route->next == API_NEXT_CLOSED || (route->set_id != 0 && route->set_id != set))
			continue;
		if (best == NULL || route->prefix.length >= best->prefix.length)
			best = route;
	}
	if (best != NULL && (best->flags & API_ROUTE_EXIT) && best->prefix.length < named)
		return NULL;
	return best;
}

/* The verdict, and the name of the rule that decided. */
bool judge(const struct fixture *f, uint32_t set, const char *dst_text, uint8_t proto,
	uint16_t port, uint16_t about, const char **name)
{
	const struct api_policy_set *best = NULL;
	struct addr dst = address(dst_text);

	for (size_t i = 0; i < f->compiled->desired.n; i++) {
		const struct api_policy_set *rule = (const void *)f->compiled->desired.messages[i];

		if (rule->header.type != API_POLICY_SET ||
			(rule->src_set != 0 && rule->src_set != set) ||
			(rule->dst.family != ADDR_NONE && !prefix_contains(&rule->dst, &dst)) ||
			(rule->proto != 0 && rule->proto != proto) || port < rule->port_first ||
			port > rule->port_last ||
			((rule->flags & ~about) &
				(API_POLICY_TO_HOST | API_POLICY_TO_EXIT | API_POLICY_ECHO_ONLY)))
			continue;
		if (best == NULL || rule->priority < best->priority)
			best = rule;
	}
	*name = best == NULL ? "" : f->compiled->rule_names[best->rule];
	return best != NULL && best->verdict == API_ALLOW;
}
