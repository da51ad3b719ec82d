/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bad files and what is said about each, to the letter: bad/NAME.yaml and bad/NAME.expected.
 * With UPDATE_EXPECTED=1 the expected files are written anew, for a person to read in the diff.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/cli/cli.h"
#include "control/conf/conf.h"

enum { FILES_MIN = 100 };

#define OVERLAY "version: 1\nwireguard: {addresses: [100.64.0.1/10, fd64::1/64]}\n"

static char *slurp(const char *path, size_t *size)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;

	if (file == NULL)
		return NULL;
	*size = 0;
	assert_true(getdelim(&text, size, '\0', file) >= 0 || feof(file));
	fclose(file);
	*size = text == NULL ? 0 : strlen(text);
	return text;
}

/* What `sallyport check` says and how it ends; findings name files without their folder, so that
 * expected files hold anywhere. */
static char *report_of(const char *path, size_t *size)
{
	char *argv[] = {(char *)"sallyport", (char *)"check", (char *)path, NULL};
	char output[] = "/tmp/sp-check-XXXXXX";
	int saved[2], fd = mkstemp(output), code;
	char *report;

	assert_true(fd >= 0);
	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 2; i++) {
		saved[i] = dup(i + 1);
		assert_int_equal(dup2(fd, i + 1), i + 1);
	}
	code = cli_main(3, argv);
	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 2; i++) {
		dup2(saved[i], i + 1);
		close(saved[i]);
	}
	close(fd);
	report = slurp(output, size);
	unlink(output);
	assert_non_null(report);
	assert_int_equal(code, strstr(report, ": error[SP") == NULL ? CLI_OK : CLI_USAGE);
	return report;
}

/* NAME.yaml or NAME/main.yaml, with NAME.expected. */
static void compare_one(const char *yaml)
{
	size_t report_size, expected_size, length = strcspn(yaml, "./");
	char expected_path[512], *report, *expected;

	snprintf(expected_path, sizeof(expected_path), "%.*s.expected", (int)length, yaml);
	report = report_of(yaml, &report_size);
	if (getenv("UPDATE_EXPECTED") != NULL) {
		FILE *file = fopen(expected_path, "we");

		assert_non_null(file);
		fwrite(report, 1, report_size, file);
		fclose(file);
	}
	expected = slurp(expected_path, &expected_size);
	assert_non_null(expected);
	assert_string_equal(report, expected);
	free(expected);
	free(report);
}

static void test_bad_files(void **state)
{
	glob_t files;

	assert_int_equal(chdir(CONF_BAD_DIR), 0);
	assert_int_equal(glob("*.yaml", 0, NULL, &files), 0);
	assert_int_equal(glob("*/main.yaml", GLOB_APPEND, NULL, &files), 0);
	assert_true(files.gl_pathc >= FILES_MIN);
	for (size_t i = 0; i < files.gl_pathc; i++)
		compare_one(files.gl_pathv[i]);
	globfree(&files);
}

static struct model *parse(const char *text, struct diag **diag)
{
	return conf_parse("test.yaml", text, strlen(text), NULL, diag);
}

static void test_endpoints(void **state)
{
	static const struct {
		const char *text, *name; /* name NULL = an address, "" = refused */
		uint16_t port;
	} rows[] = {
		{"192.0.2.1:51820", NULL, 51820},
		{"[2001:db8::1]:1", NULL, 1},
		{"office.example:51820", "office.example", 51820},
		{"gw-1:65535", "gw-1", 65535},
		{"a.example.:9", "a.example.", 9},
		{"192.0.2.256:51820", "", 0},
		{"192.0.2.1", "", 0},
		{"office.example", "", 0},
		{"office.example:", "", 0},
		{"office.example:0", "", 0},
		{"office.example:65536", "", 0},
		{"office.example:+1", "", 0},
		{"office.example:1x", "", 0},
		{"office..example:1", "", 0},
		{".example:1", "", 0},
		{"-a.example:1", "", 0},
		{"of fice:1", "", 0},
		{"2001:db8::1:51820", "", 0},
		{":51820", "", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct model *model;
		struct diag *diag;
		char *text;

		assert_true(asprintf(&text,
				    OVERLAY "gateway: {name: gw-a}\npeers:\n"
					    "  a: {public_key: "
					    "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=, "
					    "addresses: [100.64.0.2], endpoint: '%s'}\n",
				    rows[i].text) > 0);
		model = parse(text, &diag);
		free(text);
		if (rows[i].name != NULL && rows[i].name[0] == '\0') {
			assert_null(model);
		} else {
			const struct model_peer *peer;

			assert_non_null(model);
			peer = model_peer_at(model, 0);
			if (rows[i].name == NULL) {
				assert_null(peer->endpoint_name);
				assert_int_equal(peer->endpoint.port, rows[i].port);
			} else {
				assert_string_equal(peer->endpoint_name, rows[i].name);
				assert_int_equal(peer->endpoint_port, rows[i].port);
				assert_int_equal(peer->endpoint.addr.family, ADDR_NONE);
			}
		}
		model_destroy(&model);
		diag_destroy(&diag);
	}
}

static void test_good_file(void **state)
{
	struct diag *diag;
	struct model *model = parse(OVERLAY
		"gateway: {name: gw-a}\n"
		"dataplane: {workers: 3, idle: poll}\n"
		"ports:\n"
		"  lan: {device: net_null0, addresses: [10.20.0.1/24, 'fd20::1/64'], mtu: 9000}\n"
		"groups: {staff: {description: People}}\n"
		"peers:\n"
		"  anna: {public_key: HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=,\n"
		"         addresses: [100.64.0.2, fd64::2], groups: [staff],\n"
		"         endpoint: '[2001:db8::7]:5', persistent_keepalive: 25}\n"
		"egress:\n"
		"  pools: {office: {addresses: [10.20.0.9]}}\n"
		"  rules: [{from: {groups: [staff]}, to: [10.0.0.0/8], use: office}]\n"
		"policies:\n"
		"  - {name: web, from: {groups: [staff]}, to: {prefixes: [10.20.0.0/24]},\n"
		"     protocol: tcp, ports: [443, 8000-8999], action: allow}\n"
		"policy: {routes_without_acl_groups: deny}\n",
		&diag);
	const struct model_peer *peer;
	const struct model_policy *policy;

	if (model == NULL)
		diag_print(diag, stderr, false);
	assert_non_null(model);
	assert_int_equal(diag_warnings(diag), 0);
	assert_string_equal(model->gateway_name, "gw-a");
	assert_int_equal(model->dataplane.workers, 3);
	assert_int_equal(model->dataplane.idle, MODEL_IDLE_POLL);
	assert_int_equal(model->wireguard.listen_port, 51820);
	assert_false(model->routes_without_acl_groups_allow);
	assert_int_equal(model_port_at(model, 0)->mtu, 9000);
	peer = model_peer_at(model, 0);
	assert_int_equal(peer->groups.n, 1);
	assert_int_equal(peer->groups.index[0], 0);
	assert_int_equal(peer->endpoint.port, 5);
	assert_true(peer->has_public_key);
	assert_int_equal(model->egress.rules.items[0].use.index[0], 0);
	policy = model_policy_at(model, 0);
	assert_int_equal(policy->protocol, MODEL_TCP);
	assert_int_equal(policy->ports.n, 2);
	assert_int_equal(policy->ports.items[1].first, 8000);
	assert_true(policy->allow);
	model_destroy(&model);
	diag_destroy(&diag);
}

static void test_json(void **state)
{
	struct diag *diag;
	struct model *model = parse("version: 1\nwireguard: {adresses: []}\n", &diag);
	json_t *json = diag_json(diag),
	       *finding = json_array_get(json_object_get(json, "findings"), 1);

	assert_null(model);
	assert_int_equal(json_integer_value(json_object_get(json, "errors")), 2);
	assert_string_equal(json_string_value(json_object_get(finding, "code")), "SP0201");
	assert_string_equal(
		json_string_value(json_object_get(finding, "path")), "wireguard.adresses");
	assert_int_equal(json_integer_value(json_object_get(finding, "line")), 2);
	assert_int_equal(json_integer_value(json_object_get(finding, "col")), 13);
	assert_string_equal(
		json_string_value(json_object_get(finding, "hint")), "did you mean 'addresses'?");
	json_decref(json);
	diag_destroy(&diag);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void test_key_files(void **state)
{
	static const char text[] = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=\n";
	char dir[] = "/tmp/sp-conf-XXXXXX", path[64];
	struct key key, again;
	struct stat st;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a", dir);
	assert_int_equal(conf_key_file_read(dir, "a", true, &key), -ENOENT);
	write_file(path, text, 0600);
	assert_int_equal(conf_key_file_read(dir, "a", true, &key), 0);
	write_file(path, text, 0644);
	assert_int_equal(conf_key_file_read(dir, "a", true, &key), -EACCES);
	assert_int_equal(conf_key_file_read(dir, "a", false, &key), 0);
	write_file(path, "short\n", 0600);
	assert_int_equal(conf_key_file_read(dir, "a", true, &key), -EINVAL);
	assert_int_equal(conf_key_file_read(dir, ".", true, &key), -EINVAL);
	unlink(path);

	assert_int_equal(conf_key_file_obtain(dir, "b", &key), 0);
	snprintf(path, sizeof(path), "%s/b", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(conf_key_file_obtain(dir, "b", &again), 0);
	assert_true(key_equal(&key, &again));
	unlink(path);
	rmdir(dir);
}

/* Objects come together, lists follow one another, and places stay where they are. */
static void test_merge(void **state)
{
	static const char first[] = OVERLAY "groups: {a: {}}\n"
					    "policies:\n  - {name: one, from: {groups: [a]}, to: "
					    "{host: true}, action: allow}\n";
	static const char second[] =
		"wireguard: {mtu: 1400}\n"
		"groups: {b: {}}\n"
		"policies:\n  - {name: two, from: {groups: [b]}, to: {host: true}, action: deny}\n";
	struct conf_files *files = conf_files_create("x/main.yaml");
	struct diag *diag = diag_create("x/main.yaml", first, strlen(first));
	const struct model_policy *policy;
	struct model *model;
	json_t *json;

	conf_files_add(files, "main.yaml", first, strlen(first));
	conf_files_add(files, "conf.d/b.yaml", second, strlen(second));
	model = conf_files_parse(files, NULL, diag, &json);
	assert_non_null(model);
	assert_int_equal(model->wireguard.mtu, 1400);
	assert_int_equal(model->wireguard.addresses.n, 2);
	assert_int_equal(model->tables[MODEL_GROUP].n, 2);
	assert_int_equal(model->tables[MODEL_POLICY].n, 2);
	assert_string_equal(model_policy_at(model, 0)->object.name, "one");
	policy = model_policy_at(model, 1);
	assert_string_equal(policy->object.name, "two");
	assert_string_equal(policy->file, "x/conf.d/b.yaml");
	assert_int_equal(policy->line, 4);
	assert_int_equal(json_array_size(json_object_get(json, "policies")), 2);
	json_decref(json);
	model_destroy(&model);
	conf_files_destroy(&files);
	diag_destroy(&diag);
}

static void test_secret_references(void **state)
{
	char dir[] = "/tmp/sp-secret-XXXXXX", path[64], ref[80];
	const char *text = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=\n";
	struct key key;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/wg", dir);
	snprintf(ref, sizeof(ref), "${file:%s}", path);
	/* What somebody else has to put there is not made. */
	assert_int_equal(conf_key_file_obtain(dir, ref, &key), -ENOENT);
	assert_int_equal(conf_key_file_write(dir, ref, &key), -EROFS);
	write_file(path, text, 0400);
	assert_int_equal(conf_key_file_read("/nowhere", ref, true, &key), 0);
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(conf_key_file_read(dir, "${credential:wg}", true, &key), -ENOKEY);
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	assert_int_equal(conf_key_file_read("/nowhere", "${credential:wg}", true, &key), 0);
	assert_int_equal(conf_key_file_obtain("/nowhere", "${credential:gone}", &key), -ENOENT);
	chmod(path, 0444);
	assert_int_equal(conf_key_file_read("/nowhere", "${credential:wg}", true, &key), -EACCES);
	unsetenv("CREDENTIALS_DIRECTORY");
	unlink(path);
	rmdir(dir);
}

static void test_explain(void **state)
{
	assert_int_equal(diag_explain("SP0201")->code, DIAG_UNKNOWN_KEY);
	assert_int_equal(diag_explain("sp201")->code, DIAG_UNKNOWN_KEY);
	assert_int_equal(diag_explain("0201")->code, DIAG_UNKNOWN_KEY);
	assert_null(diag_explain("SP9999"));
	assert_null(diag_explain("nonsense"));
	for (size_t i = 1; diag_code_at(i) != NULL; i++)
		assert_true(diag_code_at(i)->code > diag_code_at(i - 1)->code);
}

/* Whatever code a finding or a problem shows can be asked for, and there is more to say than its
 * title: at least a sentence. */
static void test_every_code_is_explained(void **state)
{
	const struct diag_code_info *info;
	char code[DIAG_CODE_TEXT_MAX];
	size_t count = 0;

#define CODE(number, id, how_bad, words, more)                                                     \
	info = diag_explain(diag_code_format(DIAG_##id, code));                                    \
	assert_non_null(info);                                                                     \
	assert_int_equal(info->code, number);                                                      \
	assert_true(strlen(info->title) > 5);                                                      \
	assert_true(strlen(info->explanation) > 30);                                               \
	assert_int_equal(info->explanation[strlen(info->explanation) - 1], '.');                   \
	count++;
	DIAG_CODES(CODE)
#undef CODE
	assert_non_null(diag_code_at(count - 1));
	assert_null(diag_code_at(count));
}

static void test_suggest(void **state)
{
	static const char *const words[] = {"addresses", "groups", "endpoint", "mtu"};

	assert_string_equal(diag_suggest("adresses", words, 4), "addresses");
	assert_string_equal(diag_suggest("gruops", words, 4), "groups");
	assert_string_equal(diag_suggest("mut", words, 4), "mtu");
	assert_null(diag_suggest("zebra", words, 4));
	assert_null(diag_suggest("", words, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_good_file),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_key_files),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_secret_references),
		cmocka_unit_test(test_explain),
		cmocka_unit_test(test_every_code_is_explained),
		cmocka_unit_test(test_suggest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
