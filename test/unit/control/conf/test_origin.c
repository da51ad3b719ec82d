/* SPDX-License-Identifier: BSD-3-Clause */
/* Where values come from, and that keys written into a file are not shown. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "control/conf/conf.h"

#define KEY "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="

static const char main_text[] = "version: 1\n"
				"ports:\n"
				"  inet:\n"
				"    device: net_null0\n"
				"    mtu: 1400\n"
				"wireguard:\n"
				"  private_key: ${file:/run/key}\n"
				"  addresses: [100.64.0.1/24]\n"
				"policies:\n"
				"  - name: out\n"
				"    from: any\n"
				"    action: allow\n";
static const char fragment[] = "timeouts: {udp: 60}\n"
			       "peers:\n"
			       "  anna: {public_key: \"" KEY "\", addresses: [100.64.0.9],\n"
			       "    preshared_key: \"it's\",\n"
			       "    public_key_file: " KEY ",\n"
			       "    enabled: false}\n";

static const struct {
	const char *path, *value, *origin; /* value NULL: not listed */
} wanted[] = {
	{"version", "1", "gw.yaml:1"},
	{"ports.inet.device", "\"net_null0\"", "gw.yaml:4"},
	{"ports.inet.mtu", "1400", "gw.yaml:5"},
	{"ports.inet.queues", "\"automatic\"", "default"},
	{"ports.inet.addresses", NULL, NULL}, /* a list has no default */
	{"gateway.name", NULL, NULL},         /* required where its mapping is */
	{"dataplane.idle", "\"adaptive\"", "default"},
	{"wireguard.private_key", "\"${file:/run/key}\"", "gw.yaml:7"},
	{"wireguard.private_key_file", NULL, NULL}, /* the other name of the same */
	{"wireguard.listen_port", "51820", "default"},
	{"wireguard.addresses", "[\"100.64.0.1/24\"]", "gw.yaml:8"},
	{"peers.anna.public_key", "\"" KEY "\"", "conf.d/x.yaml:3"},
	{"peers.anna.preshared_key", "\"***\"", "conf.d/x.yaml:4"},   /* no references, but */
	{"peers.anna.public_key_file", "\"***\"", "conf.d/x.yaml:5"}, /* what they are to name */
	{"peers.anna.enabled", "false", "conf.d/x.yaml:6"},
	{"peers.anna.persistent_keepalive", "0", "default"},
	{"timeouts.udp", "60", "conf.d/x.yaml:1"},
	{"timeouts.dns", "30", "default"},
	{"policies[0].name", "\"out\"", "gw.yaml:10"},
	{"policies[0].from", "\"any\"", "gw.yaml:11"},
	{"policies[0].enabled", "true", "default"},
	{"policies[0].protocol", "\"any\"", "default"},
	{"policies[0].action", "\"allow\"", "gw.yaml:12"},
	{"policy.routes_without_acl_groups", "\"allow\"", "default"},
	{"egress.keep_days", "90", "default"},
};

static const json_t *find(const json_t *list, const char *path)
{
	const json_t *item, *found = NULL;
	size_t i;

	json_array_foreach((json_t *)list, i, item)
	{
		if (strcmp(json_string_value(json_object_get(item, "path")), path) != 0)
			continue;
		assert_null(found); /* once */
		found = item;
	}
	return found;
}

static void test_origins(void **state)
{
	struct conf_files *files = conf_files_create("gw.yaml");
	struct diag *diag = diag_create("gw.yaml", main_text, strlen(main_text));
	json_t *list;

	conf_files_add(files, "gw.yaml", main_text, strlen(main_text));
	conf_files_add(files, "conf.d/x.yaml", fragment, strlen(fragment));
	list = conf_origins(files, diag);
	assert_non_null(list);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		const json_t *item = find(list, wanted[i].path);
		char *value;

		print_message("%s\n", wanted[i].path);
		if (wanted[i].value == NULL) {
			assert_null(item);
			continue;
		}
		assert_non_null(item);
		value = json_dumps(json_object_get(item, "value"), JSON_ENCODE_ANY | JSON_COMPACT);
		assert_string_equal(value, wanted[i].value);
		assert_string_equal(
			json_string_value(json_object_get(item, "origin")), wanted[i].origin);
		free(value);
	}
	json_decref(list);
	conf_files_destroy(&files);
	diag_destroy(&diag);
}

static void test_no_yaml(void **state)
{
	static const char text[] = "a: [\n";
	struct conf_files *files = conf_files_create("gw.yaml");
	struct diag *diag = diag_create("gw.yaml", text, strlen(text));

	conf_files_add(files, "gw.yaml", text, strlen(text));
	assert_null(conf_origins(files, diag));
	assert_true(diag_errors(diag) > 0);
	conf_files_destroy(&files);
	diag_destroy(&diag);
}

#define STARS "********************************************"

static void test_mask(void **state)
{
	static const struct {
		const char *text, *masked;
	} cases[] = {
		{"private_key: abc\n", "private_key: ***\n"},
		{"  preshared_key:   \"abc\" # why\n", "  preshared_key:   \"***\" # why\n"},
		{"{preshared_key: abc, mtu: 1400}", "{preshared_key: ***, mtu: 1400}"},
		{"\"private_key\" : abc}", "\"private_key\" : ***}"},
		{"preshared_key: \"it's\", a: 'b'", "preshared_key: \"****\", a: 'b'"},
		{"private_key: |\n  abc\nmtu: 1", "private_key: |\n  ***\nmtu: 1"},
		{"private_key:\n  abc\n", "private_key:\n  ***\n"},
		{"private_key: # of the vault\n  abc\n", "private_key: # of the vault\n  ***\n"},
		/* a key where the name of its file belongs */
		{"private_key_file: " KEY "\n", "private_key_file: " STARS "\n"},
		{"{preshared_key_file: '" KEY "', mtu: 1}",
			"{preshared_key_file: '" STARS "', mtu: 1}"},
		{"private_key_file: " KEY " # why", "private_key_file: " STARS "*# why"},
		/* nothing of these is a secret */
		{"private_key: ${file:/etc/key}\n", "private_key: ${file:/etc/key}\n"},
		{"private_key_file: abc\n", "private_key_file: abc\n"},
		{"public_key: abc\n", "public_key: abc\n"},
		{"my_private_key: abc\n", "my_private_key: abc\n"},
		{"private_key:\nmtu: 1400\n", "private_key:\nmtu: 1400\n"},
		{"private_key:", "private_key:"},
		{"", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = strdup(cases[i].text);

		diag_mask(text);
		assert_string_equal(text, cases[i].masked);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_origins),
		cmocka_unit_test(test_no_yaml),
		cmocka_unit_test(test_mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
