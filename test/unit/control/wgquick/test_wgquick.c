/* SPDX-License-Identifier: BSD-3-Clause */
/* A server's file becomes a configuration that conf_parse() takes; bad ones are refused by line. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "control/conf/conf.h"
#include "control/wgquick/wgquick.h"

#define KEY_A "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
#define KEY_B "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define KEY_C "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
#define KEY_D "gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA="

static const char server[] = "# made by hand\n"
			     "[Interface]\r\n"
			     "Address = 10.8.0.1/24, fd08::1/64\n"
			     "ListenPort = 4500 # not the usual one\n"
			     "mtu = 1412\n"
			     "PrivateKey = " KEY_D "\n"
			     "PostUp = iptables -A FORWARD -i %i -j ACCEPT\n"
			     "\n"
			     "### Client Anna's phone\n"
			     "[Peer]\n"
			     "PublicKey = " KEY_A "\n"
			     "PresharedKey = " KEY_D "\n"
			     "AllowedIPs = 10.8.0.2/32,fd08::2/128\n"
			     "\n"
			     "[Peer]\n"
			     "# Name = berlin\n"
			     "PublicKey = " KEY_B "\n"
			     "Endpoint = 198.51.100.7:51820\n"
			     "PersistentKeepalive = 25\n"
			     "AllowedIPs = 10.8.0.3, 192.168.7.0/24\n"
			     "AllowedIPs = fd99::/48\n"
			     "[peer]\n"
			     "publickey=" KEY_C "\n"
			     "allowedips=10.8.0.4/32, 0.0.0.0/0\n"
			     "Endpoint = vpn.example:51820\n";

static char *imported(const char *text, struct wgquick **file)
{
	struct diag *diag = diag_create("wg0.conf", text, strlen(text));
	char *yaml = NULL;
	size_t size;
	FILE *out;

	*file = wgquick_parse(text, strlen(text), diag);
	if (*file == NULL) {
		diag_print(diag, stderr, false);
		fail();
	}
	out = open_memstream(&yaml, &size);
	wgquick_write_yaml(out, *file, "wg0.conf");
	fclose(out);
	diag_destroy(&diag);
	return yaml;
}

static void test_server(void **state)
{
	struct wgquick *file;
	char *yaml = imported(server, &file), text[ENDPOINT_TEXT_MAX], key[KEY_TEXT_MAX];
	const struct model_peer *peer;
	const struct model_route *route;
	struct model *model;
	struct diag *diag;

	model = conf_parse("imported.yaml", yaml, strlen(yaml), NULL, &diag);
	if (model == NULL)
		diag_print(diag, stderr, false);
	assert_non_null(model);
	assert_int_equal(model->wireguard.listen_port, 4500);
	assert_int_equal(model->wireguard.mtu, 1412);
	assert_int_equal(model->wireguard.addresses.n, 2);
	assert_int_equal(model->tables[MODEL_PEER].n, 3);
	peer = (const void *)model_find(model, MODEL_PEER, "anna-s-phone");
	assert_non_null(peer);
	assert_string_equal(key_format(&peer->public_key, key), KEY_A);
	assert_string_equal(peer->preshared_key_file, "anna-s-phone.psk");
	assert_int_equal(peer->addresses.n, 2);
	peer = (const void *)model_find(model, MODEL_PEER, "berlin");
	assert_string_equal(endpoint_format(&peer->endpoint, text), "198.51.100.7:51820");
	assert_int_equal(peer->persistent_keepalive, 25);
	route = (const void *)model_find(model, MODEL_ROUTE, "behind-berlin");
	assert_int_equal(route->prefixes.n, 2);
	assert_false(route->masquerade);
	assert_non_null(model_find(model, MODEL_PEER, "peer-3"));
	assert_null(model_find(model, MODEL_ROUTE, "behind-peer-3")); /* a default route is none */

	/* What is not taken over is said; secrets are beside the text, not in it. */
	assert_non_null(strstr(yaml, "line 7: PostUp = iptables"));
	assert_non_null(strstr(yaml, "line 25: Endpoint = vpn.example:51820"));
	assert_non_null(strstr(yaml, "AllowedIPs had 0.0.0.0/0"));
	assert_null(strstr(yaml, KEY_D));
	assert_int_equal(file->n_secrets, 2);
	assert_string_equal(file->secrets[0].file, "gateway.key");
	assert_string_equal(file->secrets[1].file, "anna-s-phone.psk");
	assert_string_equal(key_format(&file->secrets[1].key, key), KEY_D);
	diag_destroy(&diag);
	model_destroy(&model);
	wgquick_destroy(&file);
	free(yaml);
}

#define HEAD "[Interface]\nAddress = 10.8.0.1/24\n"

static void test_refusals(void **state)
{
	static const struct {
		const char *text;
		unsigned line, column;
		const char *message, *hint;
	} cases[] = {
		{"Address = 10.8.0.1/24\n", 1, 1, "before the first section", ""},
		{HEAD "[Pear]\n", 3, 1, "'[Pear]' is no section", "[Interface] or [Peer]"},
		{HEAD "nonsense\n", 3, 1, "neither a section nor KEY = VALUE", ""},
		{HEAD "  Adress = x\n", 3, 3, "'Adress' is no key", "did you mean 'Address'?"},
		{HEAD "ListenPort = 70000\n", 3, 14, "not a number from 1 to 65535", ""},
		{HEAD "MTU = 99\n", 3, 7, "from 1280 to 9000", ""},
		{HEAD "PrivateKey = " KEY_D "x\n", 3, 14, "not a WireGuard key", ""},
		/* a secret that has lost its '=', its line, or its place */
		{HEAD "PrivateKey " KEY_D "\n", 3, 1, "'PrivateKey' is no key",
			"write PrivateKey = VALUE"},
		{HEAD KEY_D "\n", 3, 1, "this is no key of this section",
			"its keys are Address, ListenPort, MTU, PrivateKey, "},
		{HEAD "Address = " KEY_D "\n", 3, 11, "***=' is not an address", ""},
		{"[Interface]\nAddress = 10.8.0.1/24, 10.9.0/24\n", 2, 24, "'10.9.0/24' is not",
			""},
		{"[Interface]\nAddress = 10.8.0.1/33\n", 2, 11, "length is 1 to 32", ""},
		{"[Interface]\nListenPort = 1\n", 2, 1, "no Address", "Address = "},
		{HEAD "[Peer]\nAllowedIPs = 10.8.0.2/32\n", 3, 1, "no PublicKey", ""},
		{HEAD "[Peer]\nPublicKey = " KEY_A "\nAllowedIPs = 0.0.0.0/0\n", 3, 1,
			"no address of its own", "a client's own file"},
		{HEAD "[Peer]\nPublicKey = " KEY_A "\nAllowedIPs = 10.8.0.2/32, 10.9.0.1/24\n", 5,
			27, "'10.9.0.1/24' is not a prefix", ""},
		{HEAD "[Peer]\nPublicKey = " KEY_A "\nAllowedIPs = 10.8.0.2/32\nEndpoint = here\n",
			6, 12, "not HOST:PORT", ""},
	};

	char secret[] = KEY_D;

	secret[15] = '\0'; /* not even a part of it is told */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct diag *diag = diag_create("wg0.conf", cases[i].text, strlen(cases[i].text));
		const struct diag_item *item;

		assert_null(wgquick_parse(cases[i].text, strlen(cases[i].text), diag));
		item = diag_get(diag, 0);
		if (item->mark.line != cases[i].line || item->mark.column != cases[i].column ||
			strstr(item->message, cases[i].message) == NULL ||
			strstr(item->hint == NULL ? "" : item->hint, cases[i].hint) == NULL)
			fail_msg("case %zu: %u:%u: %s (%s)", i, item->mark.line, item->mark.column,
				item->message, item->hint == NULL ? "" : item->hint);
		assert_null(strstr(item->message, secret));
		diag_destroy(&diag);
	}
}

/* Any cut of the file is either taken or refused. */
static void test_cuts(void **state)
{
	for (size_t n = 0; n < strlen(server); n++) {
		struct diag *diag = diag_create("wg0.conf", server, n);
		struct wgquick *file = wgquick_parse(server, n, diag);

		assert_true((file == NULL) == (diag_errors(diag) > 0));
		wgquick_destroy(&file);
		diag_destroy(&diag);
	}
}

#define STARS "*******************************************"

static void test_redaction(void **state)
{
	static const struct {
		const char *text, *shown;
	} cases[] = {
		{"a = b\n PrivateKey= xyz\nPresharedKey =q\nPrivateKey\nPublicKey = p",
			"a = b\n PrivateKey= ***\nPresharedKey =*\nPrivateKey\nPublicKey = p"},
		{"PrivateKey xyz\n", "PrivateKey ***\n"},
		{"# PrivateKey = xyz", "# PrivateKey = ***"},
		{"PublicKey = " KEY_A "\n", "PublicKey = " KEY_A "\n"},
		{KEY_D "\nAddress = " KEY_D ", 10.8.0.1/24",
			STARS "=\nAddress = " STARS "=, 10.8.0.1/24"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = strdup(cases[i].text);

		wgquick_redact(text, strlen(text));
		assert_string_equal(text, cases[i].shown);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_redaction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
