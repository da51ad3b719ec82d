/* SPDX-License-Identifier: BSD-3-Clause */
/* The wg-quick file of a peer: what is in it, and what is not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/api/api.h"
#include "control/conf/conf.h"

#define KEY_A "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
#define KEY_B "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define KEY_D "gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA="
#define KEY_C "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="

static const char config[] =
	"version: 1\n"
	"wireguard: {addresses: [100.64.0.1/10, 'fd64::1/64'], mtu: 1400}\n"
	"ports:\n"
	"  lan: {device: net_null1, addresses: [10.20.0.1/24]}\n"
	"  wan: {device: net_null0, addresses: [198.51.100.2/24], gateways: [198.51.100.1]}\n"
	"groups: {staff: {}, guests: {}, routers: {}}\n"
	"peers:\n"
	"  anna: {public_key: " KEY_A ", addresses: [100.64.0.11, 'fd64::11'], groups: [staff]}\n"
	"  bob: {public_key: " KEY_B ", addresses: [100.64.0.12], groups: [guests], mtu: 1300}\n"
	"  off1: {public_key: " KEY_C ", addresses: [100.64.0.13], enabled: false}\n"
	"  router: {public_key: " KEY_D ", addresses: [100.64.0.14], groups: [routers]}\n"
	"routes:\n"
	"  hall: {prefixes: [10.40.0.0/24], via: {peers: [router]}, distribute_to: [staff]}\n"
	"  open: {prefixes: [10.50.0.0/24], via: {peers: [router]}, distribute_to: [staff],\n"
	"    masquerade: false}\n"
	"  lan: {prefixes: [10.20.0.0/24], via: {port: lan}, distribute_to: [staff, guests]}\n"
	"exit_nodes: {internet: {offer_to: [staff, guests]}}\n"
	"egress:\n"
	"  pools: {p: {addresses: [198.51.100.5]}, of-hall: {addresses: [198.51.100.6]},\n"
	"    of-open: {addresses: [198.51.100.7]}}\n"
	"  rules:\n"
	"    - {from: any, to: [10.40.0.128/25], use: of-hall}\n"
	"    - {from: any, to: [10.50.0.0/16], use: of-open}\n"
	"  default: p\n"
	"policies:\n"
	"  - {name: out, from: {groups: [staff]}, to: {exit_nodes: [internet]}, action: allow}\n";

static struct model *model;
static struct compiled *compiled;
static struct store *store;
static struct key gateway;

static char *export(const char *name, enum api_export_form form, const char *endpoint)
{
	struct api_export options = {.form = form, .endpoint = endpoint};
	int error = 0;
	char *text = api_export_peer(compiled, name, &gateway, &options, &error);

	assert_true((text == NULL) == (error != 0));
	return text;
}

static void test_halves(void **state)
{
	char *text = export("anna", API_EXPORT_HALVES, NULL);

	assert_string_equal(strstr(text, "[Interface]"),
		"[Interface]\n"
		"PrivateKey = @PRIVATE_KEY@\n"
		"Address = 100.64.0.11/32, fd64::11/128\n"
		"MTU = 1400\n"
		"# The routes below go to table 51820; all but the tunnel's own packets (mark "
		"51820)\n"
		"# look there, after any route of the main table but the default one. `wg-quick\n"
		"# down` takes it back; by hand: ip [-6] rule del ... as in the PreDown lines.\n"
		"Table = 51820\n"
		"FwMark = 51820\n"
		"PostUp = ip -4 rule add not fwmark 51820 table 51820\n"
		"PostUp = ip -4 rule add table main suppress_prefixlength 0\n"
		"PostUp = ip -4 rule add to 198.51.100.2 table main\n"
		"PostUp = ip -6 rule add not fwmark 51820 table 51820\n"
		"PostUp = ip -6 rule add table main suppress_prefixlength 0\n"
		"PreDown = ip -4 rule del not fwmark 51820 table 51820\n"
		"PreDown = ip -4 rule del table main suppress_prefixlength 0\n"
		"PreDown = ip -4 rule del to 198.51.100.2 table main\n"
		"PreDown = ip -6 rule del not fwmark 51820 table 51820\n"
		"PreDown = ip -6 rule del table main suppress_prefixlength 0\n"
		"\n"
		"[Peer]\n"
		"PublicKey = " KEY_C "\n"
		"Endpoint = 198.51.100.2:51820\n"
		"AllowedIPs = 100.64.0.0/10, fd64::/64, 10.20.0.0/24, 0.0.0.0/1, 128.0.0.0/1, "
		"::/1, 8000::/1\n"
		"PersistentKeepalive = 25\n");
	free(text);
}

static void test_full(void **state)
{
	char *text = export("anna", API_EXPORT_FULL, "vpn.example.org:443");

	assert_non_null(strstr(text, "10.20.0.0/24, 0.0.0.0/0, ::/0\n"));
	assert_non_null(strstr(text, "Endpoint = vpn.example.org:443\n"));
	assert_null(strstr(text, "0.0.0.0/1,"));
	assert_null(strstr(text, "PostUp"));
	assert_null(strstr(text, "Table"));
	free(text);
}

/* It has to take packets from what they are masqueraded as on their way to it. */
static void test_routing_peer(void **state)
{
	char *text = export("router", API_EXPORT_HALVES, NULL);

	assert_non_null(strstr(text, "AllowedIPs = 100.64.0.0/10, fd64::/64, 198.51.100.6/32\n"));
	free(text);
}

/* Offered, but no policy: no default route, or it would lead to a closed door. */
static void test_without_exit_node(void **state)
{
	char *text = export("bob", API_EXPORT_HALVES, NULL);

	assert_non_null(strstr(text, "AllowedIPs = 100.64.0.0/10, fd64::/64, 10.20.0.0/24\n"));
	assert_non_null(strstr(text, "MTU = 1300\n"));
	assert_null(strstr(text, "PostUp"));
	free(text);
	assert_null(export("off1", API_EXPORT_HALVES, NULL));
	assert_null(export("nobody", API_EXPORT_HALVES, NULL));
}

static int set_up(void **state)
{
	struct compile_input input = {.underlay = true};
	const char *what;
	struct diag *diag;
	int error;

	store = store_open(NULL, &error);
	model = conf_parse("test.yaml", config, strlen(config), NULL, &diag);
	if (model == NULL)
		diag_print(diag, stderr, false);
	diag_destroy(&diag);
	if (model == NULL || store == NULL)
		return -1;
	input.model = model;
	input.store = store;
	compiled = compile_model(&input, &error, &what);
	return compiled == NULL || key_parse(KEY_C, &gateway) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	compile_destroy(&compiled);
	model_destroy(&model);
	store_close(&store);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_halves),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_routing_peer),
		cmocka_unit_test(test_without_exit_node),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
