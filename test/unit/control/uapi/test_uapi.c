/* SPDX-License-Identifier: BSD-3-Clause */
/* What `wg` says and is told: the parser, the answer, and what a change may do to whose peers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/conf/conf.h"
#include "control/uapi/uapi_priv.h"

#define KEY_A "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
#define KEY_B "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define HEX_A "1c8828f7137324c58b2804928624ea2326f1674537c062e251e2753ca7fcca4c"
#define HEX_B                                                                                      \
	"c53201039adba14be71f886da1d8dbe9eebded08cb111b7534007899"                                 \
	"9aa9f038"
#define HEX_C                                                                                      \
	"4eb32f4a83f8898425638948cc181bb2c42a637bf123623e2fbbe535"                                 \
	"95965d7d"
#define HEX_D                                                                                      \
	"5eb32f4a83f8898425638948cc181bb2c42a637bf123623e2fbbe535"                                 \
	"95965d7d"
#define ZERO "0000000000000000000000000000000000000000000000000000000000000000"
#define PEER "set=1\npublic_key=" HEX_C "\n"

static const char config[] =
	"version: 1\n"
	"wireguard: {addresses: [100.64.0.1/24, 'fd64::1/64'], listen_port: 4567}\n"
	"ports: {wan: {device: net_null0, addresses: [198.51.100.2/24]}}\n"
	"groups: {staff: {}}\n"
	"peers:\n"
	"  anna: {public_key: " KEY_A ", addresses: [100.64.0.11, 'fd64::11'], groups: [staff],\n"
	"    also_from: [192.0.2.0/24], persistent_keepalive: 25, endpoint: '203.0.113.9:51820'}\n"
	"  bob: {public_key: " KEY_B ", addresses: [100.64.0.12], enabled: false}\n"
	"routes: {lab: {prefixes: [10.30.0.0/16], via: {peers: [anna]}, distribute_to: [staff]}}\n";

static struct model *base;
static struct store *store;
static struct key private_key;

/* --- Parser -------------------------------------------------------------------------------- */

static const struct {
	const char *text;
	int result;
} texts[] = {
	{"get=1\n\n", 0},
	{"set=1\n\n", 0},
	{"set=1\nprivate_key=" HEX_C "\nlisten_port=51820\nfwmark=0\nreplace_peers=true\n\n", 0},
	{"set=1\nfwmark=\n\n", 0},
	{PEER "\n", 0},
	{PEER "remove=true\n\n", 0},
	{PEER "update_only=true\npreshared_key=" ZERO "\nendpoint=192.0.2.1:1\n"
	      "persistent_keepalive_interval=65535\nreplace_allowed_ips=true\n"
	      "allowed_ip=10.0.0.1/8\nallowed_ip=::/0\nprotocol_version=1\n\n",
		0},
	{PEER "endpoint=[2001:db8::1]:51820\n\n", 0},
	{PEER "public_key=" HEX_D "\n\n", 0},
	{"", -EPROTO},
	{"\n\n", -EPROTO},
	{"get=1\n", -EPROTO},
	{"get=2\n\n", -EPROTO},
	{"GET / HTTP/1.1\n\n", -EPROTO},
	{" set=1\n\n", -EPROTO},
	{"set=1 \n\n", -EPROTO},
	{"get=1\nlisten_port=1\n\n", -EINVAL},
	{"set=1\nlisten_port\n\n", -EINVAL},
	{"set=1\nlisten_port=\n\n", -EINVAL},
	{"set=1\nlisten_port=65536\n\n", -EINVAL},
	{"set=1\nlisten_port=-1\n\n", -EINVAL},
	{"set=1\nlisten_port= 1\n\n", -EINVAL},
	{"set=1\nlisten_port=01\n\n", -EINVAL},
	{"set=1\nlisten_port=0x10\n\n", -EINVAL},
	{"set=1\nlisten_port=51820\r\n\n", -EINVAL},
	{"set=1\nlisten_port=99999999999999999999\n\n", -EINVAL},
	{"set=1\nfwmark=4294967296\n\n", -EINVAL},
	{"set=1\nmtu=1420\n\n", -EINVAL},
	{"set=1\n=\n\n", -EINVAL},
	{"set=1\nprivate_key=abc\n\n", -EINVAL},
	{"set=1\nprivate_key=" HEX_C "00\n\n", -EINVAL},
	{"set=1\nreplace_peers=false\n\n", -EINVAL},
	{"set=1\nremove=true\n\n", -EINVAL},
	{"set=1\nallowed_ip=10.0.0.0/8\n\n", -EINVAL},
	{PEER "listen_port=1\n\n", -EINVAL},
	{PEER "replace_peers=true\n\n", -EINVAL},
	{PEER "public_key=zz" HEX_D "\n\n", -EINVAL},
	{PEER "endpoint=192.0.2.1\n\n", -EINVAL},
	{PEER "endpoint=192.0.2.1:0\n\n", -EINVAL},
	{PEER "endpoint=192.0.2.1:65536\n\n", -EINVAL},
	{PEER "endpoint=gate.example:51820\n\n", -EINVAL},
	{PEER "allowed_ip=10.0.0.0\n\n", -EINVAL},
	{PEER "allowed_ip=10.0.0.0/33\n\n", -EINVAL},
	{PEER "allowed_ip=10.0.0.0/\n\n", -EINVAL},
	{PEER "allowed_ip=::/129\n\n", -EINVAL},
	{PEER "allowed_ip=/0\n\n", -EINVAL},
	{PEER "persistent_keepalive_interval=off\n\n", -EINVAL},
	{PEER "protocol_version=2\n\n", -EINVAL},
	{PEER "remove=1\n\n", -EINVAL},
	{PEER "rx_bytes=1\n\n", -EINVAL},
	{PEER "endpoint=[2001:db8::1%eth0]:51820\n\n", -EINVAL},
};

static void test_texts(void **state)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct uapi_request request;
		const char *why;
		int rc = uapi_parse(texts[i].text, strlen(texts[i].text), &request, &why);

		if (rc != texts[i].result)
			fail_msg("%s: %d (%s)", texts[i].text, rc, why);
		uapi_request_wipe(&request);
	}
}

static void test_long_lines_and_zero_bytes(void **state)
{
	char text[UAPI_LINE_MAX + 64];
	struct uapi_request request;
	const char *why;

	memset(text, 'a', sizeof(text));
	memcpy(text, "set=1\n", 6);
	memcpy(text + sizeof(text) - 2, "\n\n", 2);
	assert_int_equal(uapi_parse(text, sizeof(text), &request, &why), -EINVAL);
	assert_string_equal(why, "a line that is too long");
	uapi_request_wipe(&request);
	memcpy(text, "set=1\nfwmark=0\n", 15);
	text[14] = '\0';
	assert_int_equal(uapi_parse(text, sizeof(text), &request, &why), -EINVAL);
	assert_string_equal(why, "a zero byte");
	uapi_request_wipe(&request);
}

static void test_values(void **state)
{
	static const char text[] = "set=1\nlisten_port=4567\n"
				   "public_key=" HEX_A "\nallowed_ip=10.1.2.3/8\n"
				   "replace_allowed_ips=true\nallowed_ip=fd64::9/128\n"
				   "public_key=" HEX_C "\nendpoint=[2001:db8::1]:7\n\n";
	struct uapi_request request;
	char written[PREFIX_TEXT_MAX];
	const char *why;

	assert_int_equal(uapi_parse(text, sizeof(text) - 1, &request, &why), 0);
	assert_int_equal(request.listen_port, 4567);
	assert_int_equal(request.n_changes, 2);
	assert_int_equal(request.changes[0].n_allowed, 1);
	assert_string_equal(prefix_format(&request.changes[0].allowed[0], written), "fd64::9/128");
	assert_false(request.changes[0].has_endpoint);
	assert_true(request.changes[1].has_endpoint);
	assert_int_equal(request.changes[1].endpoint.port, 7);
	uapi_request_wipe(&request);
}

/* However the bytes come in pieces, the end is found once, and where it is. */
static void test_end_is_found_in_pieces(void **state)
{
	static const char text[] = "set=1\nlisten_port=1\n\nget=1\n\n";

	for (size_t step = 1; step < sizeof(text); step++) {
		size_t from = 0, size = 0, n = 0;
		bool found = false;

		while (!found && n < sizeof(text) - 1) {
			n = n + step < sizeof(text) - 1 ? n + step : sizeof(text) - 1;
			found = uapi_find_end(text, n, &from, &size);
		}
		assert_true(found);
		assert_int_equal(size, 21);
	}
}

/* --- A gateway ----------------------------------------------------------------------------- */

struct gateway {
	struct model *model;
	struct compiled *compiled;
	struct uapi_device *device;
	char why[256];
};

static void compile(struct gateway *g)
{
	struct compile_input input = {
		.model = g->model, .store = store, .private_key = &private_key};
	const char *what;
	int error;

	g->compiled = compile_model(&input, &error, &what);
	assert_non_null(g->compiled);
	g->device = uapi_device_create(g->compiled, NULL);
}

static void start(struct gateway *g)
{
	g->model = model_extend(base);
	compile(g);
}

static void end(struct gateway *g)
{
	uapi_device_destroy(&g->device);
	compile_destroy(&g->compiled);
	model_destroy(&g->model);
}

/* A request on the gateway as it is; if it succeeds, the gateway is what came out. */
static int set(struct gateway *g, const char *text)
{
	struct uapi_request request;
	struct uapi_edit edit = {.request = &request, .pool = pool_create()};
	struct model *next = model_extend(g->model);
	const char *why;
	int rc;

	assert_int_equal(uapi_parse(text, strlen(text), &request, &why), 0);
	rc = uapi_edit_model(&edit, g->device, next);
	memcpy(g->why, edit.why, sizeof(g->why));
	assert_true((rc == 0) == (g->why[0] == '\0'));
	if (rc == 0) {
		end(g);
		g->model = next;
		compile(g);
	} else {
		model_destroy(&next);
	}
	uapi_request_wipe(&request);
	pool_destroy(&edit.pool);
	return rc;
}

static char *show(struct gateway *g, bool secrets)
{
	struct uapi_text text = {0};

	uapi_format(&text, g->device, secrets);
	uapi_text_add(&text, "%c", '\0');
	return text.bytes;
}

static const char anna[] = "public_key=" HEX_A "\nprotocol_version=1\n"
			   "endpoint=203.0.113.9:51820\n"
			   "last_handshake_time_sec=0\nlast_handshake_time_nsec=0\n"
			   "tx_bytes=0\nrx_bytes=0\npersistent_keepalive_interval=25\n"
			   "allowed_ip=100.64.0.11/32\nallowed_ip=fd64::11/128\n"
			   "allowed_ip=192.0.2.0/24\nallowed_ip=10.30.0.0/16\n";

static void test_answer(void **state)
{
	struct gateway g;
	char expected[1024], hex[65], *text;

	start(&g);
	text = show(&g, false);
	snprintf(expected, sizeof(expected), "listen_port=4567\nfwmark=0\n%s", anna);
	assert_string_equal(text, expected);
	free(text);
	text = show(&g, true);
	sodium_bin2hex(hex, sizeof(hex), private_key.bytes, KEY_SIZE);
	snprintf(expected, sizeof(expected), "private_key=%s\nlisten_port=4567\n", hex);
	assert_memory_equal(text, expected, strlen(expected));
	assert_non_null(strstr(text, "preshared_key=" ZERO "\n"));
	free(text);
	end(&g);
}

/* As `wg syncconf` and `wg setconf` say what `wg showconf` said. */
static void test_what_is_shown_may_be_said(void **state)
{
	static const char replace[] =
		"set=1\nlisten_port=4567\nfwmark=0\nreplace_peers=true\npublic_key=" HEX_A "\n"
		"preshared_key=" ZERO "\nendpoint=203.0.113.9:51820\n"
		"persistent_keepalive_interval=25\nreplace_allowed_ips=true\n"
		"allowed_ip=10.30.0.0/16\nallowed_ip=192.0.2.0/24\nallowed_ip=fd64::11/128\n"
		"allowed_ip=100.64.0.11/32\nallowed_ip=100.64.0.11/32\n\n";
	struct gateway g;
	char *before, *after;

	start(&g);
	before = show(&g, true);
	assert_int_equal(set(&g, "set=1\nlisten_port=4567\nfwmark=0\n\n"), 0);
	assert_int_equal(set(&g, replace), 0);
	assert_int_equal(set(&g, "set=1\npublic_key=" HEX_A "\nupdate_only=true\n\n"), 0);
	assert_int_equal(set(&g, "set=1\npublic_key=" HEX_B "\nremove=true\n\n"), 0);
	after = show(&g, true);
	assert_string_equal(before, after);
	free(before);
	free(after);
	end(&g);
}

static void test_the_files_objects_are_not_changed(void **state)
{
	static const struct {
		const char *text, *says;
	} refused[] = {
		{"listen_port=1\n", "wireguard.listen_port"},
		{"private_key=" HEX_C "\n", "wireguard.private_key_file"},
		{"private_key=" ZERO "\n", "wireguard.private_key_file"},
		{"fwmark=1\n", "no mark"},
		{"replace_peers=true\n", "peer anna"},
		{"public_key=" HEX_A "\nremove=true\n", "its removal"},
		{"public_key=" HEX_A "\npersistent_keepalive_interval=0\n", "persistent_keepalive"},
		{"public_key=" HEX_A "\nendpoint=203.0.113.9:1\n", "endpoint"},
		{"public_key=" HEX_A "\npreshared_key=" HEX_C "\n", "preshared_key_file"},
		{"public_key=" HEX_A "\nallowed_ip=100.64.0.99/32\n", "addresses"},
		{"public_key=" HEX_A "\nreplace_allowed_ips=true\n", "addresses"},
		{"public_key=" HEX_B "\n", "enabled: false"},
	};
	struct gateway g;
	char text[512];

	start(&g);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		snprintf(text, sizeof(text), "set=1\n%s\n", refused[i].text);
		assert_int_equal(set(&g, text), -EPERM);
		assert_non_null(strstr(g.why, refused[i].says));
	}
	end(&g);
}

static const struct model_peer *find(const struct gateway *g, const char *name)
{
	return (const struct model_peer *)model_find(g->model, MODEL_PEER, name);
}

#define NAME_C "wg-4eb32f4a83f88984"
#define NAME_D "wg-5eb32f4a83f88984"

static void test_peers_of_our_own(void **state)
{
	const struct model_peer *peer;
	struct gateway g;

	start(&g);
	assert_int_equal(set(&g, PEER "preshared_key=" HEX_A "\nendpoint=192.0.2.7:7\n"
				      "persistent_keepalive_interval=9\n"
				      "allowed_ip=100.64.0.50/32\nallowed_ip=fd64::50/128\n\n"),
		0);
	peer = find(&g, NAME_C);
	assert_non_null(peer);
	assert_int_equal(peer->origin, MODEL_ORIGIN_API);
	assert_int_equal(peer->addresses.n, 2);
	assert_int_equal(peer->persistent_keepalive, 9);
	assert_int_equal(peer->endpoint.port, 7);
	assert_non_null(strstr(peer->preshared_key_file, NAME_C "."));
	/* what is not said stays */
	assert_int_equal(set(&g, PEER "persistent_keepalive_interval=0\n\n"), 0);
	peer = find(&g, NAME_C);
	assert_int_equal(peer->persistent_keepalive, 0);
	assert_int_equal(peer->addresses.n, 2);
	assert_int_equal(peer->endpoint.port, 7);
	/* an address goes with the one who names it last */
	assert_int_equal(set(&g, "set=1\npublic_key=" HEX_D "\nallowed_ip=100.64.0.50/32\n\n"), 0);
	assert_int_equal(find(&g, NAME_C)->addresses.n, 1);
	assert_int_equal(find(&g, NAME_D)->addresses.n, 1);
	assert_int_equal(set(&g, PEER "replace_allowed_ips=true\n\n"), 0);
	assert_int_equal(find(&g, NAME_C)->addresses.n, 0);
	assert_int_equal(set(&g, PEER "remove=true\n\n"), 0);
	assert_null(find(&g, NAME_C));
	assert_non_null(find(&g, NAME_D));
	assert_non_null(find(&g, "anna"));
	end(&g);
}

static void test_bad_peers_are_refused(void **state)
{
	static const struct {
		const char *allowed;
		int error;
	} bad[] = {
		{"allowed_ip=100.64.0.11/32\n", -EEXIST},     /* anna's */
		{"allowed_ip=100.64.0.1/32\n", -EEXIST},      /* the gateway's */
		{"allowed_ip=10.9.0.1/32\n", -EADDRNOTAVAIL}, /* outside the overlay */
		{"allowed_ip=100.64.0.32/28\n", -EINVAL},     /* a network */
		{"allowed_ip=0.0.0.0/0\n", -EINVAL},
	};
	struct gateway g;
	char text[256];

	start(&g);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), PEER "%s\n", bad[i].allowed);
		assert_int_equal(set(&g, text), bad[i].error);
		assert_null(find(&g, NAME_C));
	}
	assert_int_equal(set(&g, PEER "update_only=true\nallowed_ip=0.0.0.0/0\n\n"), 0);
	assert_int_equal(set(&g, PEER "remove=true\n\n"), 0);
	assert_null(find(&g, NAME_C));
	end(&g);
}

static void test_nobody_is_a_peer_of_itself(void **state)
{
	struct key public_key;
	char text[128], hex[65];
	struct gateway g;

	start(&g);
	assert_int_equal(key_public(&private_key, &public_key), 0);
	sodium_bin2hex(hex, sizeof(hex), public_key.bytes, KEY_SIZE);
	snprintf(text, sizeof(text), "set=1\npublic_key=%s\n\n", hex);
	assert_int_equal(set(&g, text), 0);
	assert_int_equal(g.model->tables[MODEL_PEER].n, 2);
	end(&g);
}

static int set_up(void **state)
{
	struct diag *diag;
	int error;

	if (sodium_init() < 0)
		return -1;
	key_generate(&private_key);
	store = store_open(NULL, &error);
	base = conf_parse("test.yaml", config, strlen(config), NULL, &diag);
	if (base == NULL)
		diag_print(diag, stderr, false);
	diag_destroy(&diag);
	return base == NULL || store == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	model_destroy(&base);
	store_close(&store);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_long_lines_and_zero_bytes),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_end_is_found_in_pieces),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_what_is_shown_may_be_said),
		cmocka_unit_test(test_the_files_objects_are_not_changed),
		cmocka_unit_test(test_peers_of_our_own),
		cmocka_unit_test(test_bad_peers_are_refused),
		cmocka_unit_test(test_nobody_is_a_peer_of_itself),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
