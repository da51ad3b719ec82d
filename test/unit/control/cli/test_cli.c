/* SPDX-License-Identifier: BSD-3-Clause */
/* What the commands print of the answers that they get, and their exit codes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/stat.h>

#include "test/unit/control/cli/fixture.h"

static void test_show(void **state)
{
	json_t *json;

	assert_int_equal(run("status", NULL), CLI_DEGRADED);
	assert_shows("DEGRADED");
	assert_shows("not connected: gone");
	assert_true(strstr(output, "ERROR  SP1101") < strstr(output, "data plane"));
	assert_shows("-> sallyport doctor");
	assert_int_equal(run("status", "--details", NULL), CLI_DEGRADED);
	assert_shows("anna");
	assert_shows("  office: 100.64.0.0/24 via 10.20.0.1\n");
	assert_shows("Route office has had no answer");
	for (size_t i = 0; i < 4; i++) {
		static const struct {
			const char *word;
			int code;
		} checks[] = {{"live", CLI_OK}, {"ready", CLI_DEGRADED}, {"startup", CLI_DEGRADED},
			{"asleep", CLI_USAGE}};

		assert_int_equal(run("status", "--check", checks[i].word, NULL), checks[i].code);
		assert_true((output[0] == '\0') == (checks[i].code != CLI_USAGE));
	}
	assert_int_equal(run("status", "-j", NULL), CLI_DEGRADED);
	json = json_loads(output, 0, NULL);
	assert_string_equal(cli_text(json, "gateway"), "gw");
	json_decref(json);
	assert_int_equal(run("drops", NULL), CLI_OK);
	assert_string_equal(
		output, "REASON       PACKETS  MEANING\nflow.policy        7  no policy\n");
	assert_int_equal(run("drops", "--all", NULL), CLI_OK);
	assert_shows("flow.none");
	assert_null(strchr(output, '\033')); /* no colour but on a terminal */
}

static void test_export(void **state)
{
	char key_path[80];
	int fd;

	snprintf(key_path, sizeof(key_path), "%s/key", test_dir);
	fd = open(key_path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=\n", 45), 45);
	assert_int_equal(
		run("peer", "export", "anna", "--private-key-file", key_path, NULL), CLI_OK);
	assert_string_equal(output, "[Interface]\nPrivateKey = "
				    "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=\nAddress = x\n");
	assert_int_equal(run("peer", "export", "anna", NULL), CLI_OK);
	assert_shows("# PrivateKey = ");
	setenv("LC_ALL", "C", 1);
	assert_int_equal(run("peer", "export", "anna", "--qr", NULL), CLI_USAGE);
	assert_shows("--private-key-file");
	assert_int_equal(
		run("peer", "export", "anna", "--qr", "--private-key-file", key_path, NULL),
		CLI_OK);
	assert_shows("##  "); /* the margin, then the first finder's edge: no UTF-8 in a test */
	assert_null(strstr(output, "PrivateKey"));
	assert_int_equal(run("peer", "export", "--full", "anna", NULL), CLI_OK);
	assert_string_equal(output, "full\n");
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(
		run("peer", "export", "anna", "--private-key-file", key_path, NULL), CLI_USAGE);
	assert_shows("chmod 0600");
	assert_int_equal(run("peer", "export", "bob", NULL), CLI_USAGE);
	assert_shows("there is no such peer");
	assert_int_equal(run("peer", "export", "x/../y", NULL), CLI_USAGE);
	close(fd);
	unlink(key_path);
}

static void test_egress(void **state)
{
	setenv("TZ", "UTC", 1);
	assert_int_equal(run("egress", "list", NULL), CLI_OK);
	assert_string_equal(output, "203.0.113.5\n2001:db8::5\n");
	assert_int_equal(run("egress", "who", "203.0.113.5:41234", NULL), CLI_OK);
	assert_shows("peer anna  tcp    41216-41279  2026-11-20 13:56:40  still");
	assert_int_equal(
		run("egress", "who", "203.0.113.5:41234", "2026-11-20 14:03", NULL), CLI_OK);
	assert_int_equal(
		run("egress", "who", "203.0.113.5:41234", "2026-11-20T14:03:00Z", NULL), CLI_OK);
	assert_int_equal(run("egress", "who", "203.0.113.5:41234", "@1795183380", NULL), CLI_OK);
	assert_int_equal(
		run("egress", "who", "203.0.113.5:41234", "@1795183381", NULL), CLI_NOTHING);
	assert_int_equal(run("egress", "who", "203.0.113.5:41234", "yesterday", NULL), CLI_USAGE);
	assert_shows("'yesterday' is no time");
	assert_int_equal(run("egress", "who", "x&y", NULL), CLI_USAGE);
}

static void test_import(void **state)
{
	char path[80], state_dir[] = "/tmp/sp-cli-state-XXXXXX", key[160];
	FILE *out;

	assert_non_null(mkdtemp(state_dir));
	snprintf(path, sizeof(path), "%s/wg0.conf", test_dir);
	out = fopen(path, "we");
	fputs("[Interface]\nAddress = 10.8.0.1/24\n"
	      "PrivateKey = HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=\nTypo = 1\n",
		out);
	fclose(out);
	assert_int_equal(run("import", "wg-quick", path, NULL), CLI_USAGE);
	assert_shows("wg0.conf:4:1: error[SP0601]: 'Typo' is no key of this section");
	assert_int_equal(truncate(path, 34 + 58), 0); /* without the last line */
	assert_int_equal(run("import", "wg-quick", path, "--state-dir", state_dir, NULL), CLI_OK);
	assert_shows("private_key_file: gateway.key");
	assert_null(strstr(output, "HIgo9x"));
	assert_int_equal(
		run("import", "wg-quick", path, "--state-dir", state_dir, NULL), CLI_FAILED);
	assert_shows("left alone"); /* a key is never written over */
	assert_int_equal(run("import", "wg-quick", "/nowhere", NULL), CLI_USAGE);
	snprintf(key, sizeof(key), "%s/gateway.key", state_dir);
	assert_int_equal(unlink(key), 0);
	assert_int_equal(rmdir(state_dir), 0);
	unlink(path);
}

static void test_exit_codes(void **state)
{
	json_t *json;

	assert_int_equal(run("apply", "--accept-risk=drop-sessions", NULL), CLI_USAGE);
	assert_shows("x.yaml:1:1: error[SP0201]: text");
	assert_int_equal(run("forwards", NULL), CLI_USAGE); /* a path the server does not know */
	assert_int_equal(run("nonsense", NULL), CLI_USAGE);
	assert_int_equal(run("peer", "nonsense", NULL), CLI_USAGE);
	assert_int_equal(run("status", "surplus", NULL), CLI_USAGE);
	assert_int_equal(run("status", "--full", NULL), CLI_USAGE);
	assert_int_equal(run("status", "--nonsense", NULL), CLI_USAGE);
	assert_int_equal(run("status", "--socket", "/nowhere/x.sock", NULL), CLI_UNREACHABLE);
	assert_int_equal(run("explain", "SP0201", NULL), CLI_OK);
	assert_int_equal(run("explain", "SP9999", NULL), CLI_USAGE);
	assert_int_equal(run("explain", "all", "-j", NULL), CLI_OK);
	json = json_loads(output, 0, NULL);
	assert_true(json_array_size(json_object_get(json, "codes")) > 50);
	json_decref(json);
	assert_int_equal(run("explain", "flow.policy", NULL), CLI_OK);
	assert_shows("flow.policy (reason of drops): no policy.\n");
	assert_int_equal(run("explain", "flow.polite", NULL), CLI_USAGE);
	assert_int_equal(run("explain", "flow.policy", "--socket", "/nowhere/x.sock", NULL),
		CLI_UNREACHABLE);
	assert_int_equal(run("history", "--iec", NULL), CLI_USAGE);
	assert_shows("it takes no --iec; its options: sallyport help history");
	assert_int_equal(run("apply", "--watch", NULL), CLI_USAGE);
	assert_shows("it takes no --watch");
	assert_int_equal(run("status", "--list", "--driver=x", NULL), CLI_USAGE);
	assert_shows("it takes no --driver");
	assert_int_equal(run("peer", "remove", "a b", NULL), CLI_USAGE);
	assert_shows("'a b' is not the name of a peer");
	assert_int_equal(run("check", SAMPLE, NULL), CLI_OK);
	assert_int_equal(run("check", "/nowhere.yaml", NULL), CLI_USAGE);
	assert_int_equal(run("dataplane-args", SAMPLE, NULL), CLI_OK);
	assert_string_equal(output, "--workers=1 --idle=adaptive\n");
}

/* Of every number in it: that a value can be right. */
static void assert_ranges(const json_t *schema)
{
	const json_t *least = json_object_get(schema, "minimum"), *value;
	const char *key;
	size_t i;

	if (json_is_integer(least))
		assert_true(json_integer_value(json_object_get(schema, "maximum")) >
			    json_integer_value(least));
	json_object_foreach((json_t *)schema, key, value) assert_ranges(value);
	json_array_foreach(schema, i, value) assert_ranges(value);
}

static void test_schema(void **state)
{
	json_t *schema;

	assert_int_equal(run("schema", NULL), CLI_OK);
	assert_string_equal(output, read_all(SCHEMA)); /* sallyport schema >config/... */
	schema = json_loads(output, 0, NULL);
	assert_non_null(schema);
	assert_ranges(schema);
	assert_shows("\"maximum\": 4294967295");
	json_decref(schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_show),
		cmocka_unit_test(test_export),
		cmocka_unit_test(test_egress),
		cmocka_unit_test(test_import),
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_schema),
	};

	return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
