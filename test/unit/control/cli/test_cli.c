/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command from its arguments to its exit code, against a server in a child that knows a few
 * paths; and the manual page, which must be what the table of commands makes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/cli/cli.h"
#include "control/diag/diag.h"
#include "control/http/http.h"
#include "control/progress/progress.h"

static char dir[] = "/tmp/sp-cli-XXXXXX", socket_path[64], output_path[64];
static pid_t server;

/* --- the server, in the child --- */

static void get_status(struct http_request *request, void *arg)
{
	http_reply(request, 200,
		json_pack("{s:s, s:s, s:{s:b, s:s}, s:{s:i}, s:[], s:[], s:[{s:s, s:s, s:s, s:s}]}",
			"state", "degraded", "gateway", "gw", "dataplane", "connected", 0, "reason",
			"gone", "peers", "total", 3, "ports", "workers", "problems", "code",
			"SP1101", "severity", "error", "message", "no data plane: gone", "next",
			"sallyport doctor"));
}

static void get_drops(struct http_request *request, void *arg)
{
	http_reply(request, 200,
		json_pack("{s:[{s:s, s:s, s:i}, {s:s, s:s, s:i}]}", "drops", "name", "flow.policy",
			"text", "no policy", "packets", 7, "name", "flow.none", "text", "never",
			"packets", 0));
}

static void get_peers(struct http_request *request, void *arg)
{
	http_reply(request, 200,
		json_pack("{s:[{s:s, s:s, s:b}, {s:s, s:s, s:b}]}", "peers", "name", "anna",
			"state", "live", "open", 1, "name", "no", "state", "1.5", "open", 0));
}

static void get_routes(struct http_request *request, void *arg)
{
	http_reply(request, 200,
		json_pack("{s:[{s:s, s:i, s:b, s:[{s:s, s:s, s:s}]}]}", "routes", "name", "office",
			"bytes", 1500000, "unanswered", 1, "return_routes", "route", "office", "to",
			"100.64.0.0/24", "via", "10.20.0.1"));
}

static void get_egress(struct http_request *request, void *arg)
{
	http_reply(request, 200,
		json_pack("{s:[{s:s, s:[{s:s}, {s:s}]}]}", "pools", "name", "office", "addresses",
			"address", "203.0.113.5", "address", "2001:db8::5"));
}

static void get_who(struct http_request *request, void *arg)
{
	const char *at = http_query(request, "at_ms");

	if (at != NULL && strcmp(at, "1795183380000") != 0)
		http_reply(request, 200, json_pack("{s:[]}", "users"));
	else
		http_reply(request, 200,
			json_pack("{s:[{s:s, s:s, s:i, s:i, s:b, s:I, s:n}]}", "users", "who",
				"peer anna", "protocol", "tcp", "port_first", 41216, "port_last",
				41279, "shared", 0, "since_ms", (json_int_t)1795183000000,
				"until_ms"));
}

static void post_apply(struct http_request *request, void *arg)
{
	http_reply_problem(request, 422, "the configuration has errors",
		json_pack("{s:s}", "text", "x.yaml:1:1: error[SP0201]: text\n"));
}

static void get_export(struct http_request *request, void *arg)
{
	if (strcmp(http_param(request), "anna") != 0) {
		http_reply_problem(request, 404, "there is no such peer", NULL);
		return;
	}
	http_reply_text(request, 200, "text/plain",
		http_query(request, "full") != NULL
			? "full\n"
			: "[Interface]\nPrivateKey = @PRIVATE_KEY@\nAddress = x\n");
}

static int answer_end[2]; /* a pipe: the answer that is waited for */

/* How far the daemon is, twice; then the answer itself begins. */
static void get_progress(struct http_request *request, void *arg)
{
	static int asked;

	asked++;
	http_reply(request, 200,
		json_pack("{s:s, s:s, s:i, s:i}", "what", "programming the data plane", "unit",
			"objects", "done", 3 * asked, "total", 7));
	if (asked == 2 && write(answer_end[1], "x", 1) != 1)
		_exit(1);
}

/* To version 2 a tunnel ends; to others two flows do. */
static void get_plan(struct http_request *request, void *arg)
{
	const char *version = http_query(request, "version");

	if (version != NULL && strcmp(version, "2") == 0)
		http_reply(request, 200,
			json_pack("{s:{s:i, s:i}, s:{s:{s:i, s:[{s:s}, {s:s}]}}}", "flows", "cut",
				0, "judged", 5, "touched", "tunnels", "count", 2, "peers", "name",
				"anna", "name", "no"));
	else
		http_reply(request, 200,
			json_pack("{s:[{s:s, s:s, s:s}], s:{s:i, s:i, s:i, s:[]}, s:{}, s:i, s:i}",
				"changes", "change", "removed", "kind", "peer", "name", "anna",
				"flows", "running", 9, "judged", 5, "cut", 2, "list", "touched",
				"sets", 0, "deletions", 1));
}

static void get_history(struct http_request *request, void *arg)
{
	http_reply(request, 200,
		json_pack("{s:[{s:i, s:b}, {s:i}, {s:i}]}", "versions", "version", 3, "in_force", 1,
			"version", 2, "version", 1));
}

static const struct http_route routes[] = {
	{"GET", "/api/progress", get_progress},
	{"GET", "/api/config/plan", get_plan},
	{"GET", "/api/config/history", get_history},
	{"GET", "/api/status", get_status},
	{"GET", "/api/drops", get_drops},
	{"GET", "/api/peers", get_peers},
	{"GET", "/api/routes", get_routes},
	{"GET", "/api/egress", get_egress},
	{"GET", "/api/egress/who", get_who},
	{"POST", "/api/config/apply", post_apply},
	{"GET", "/api/peers/{name}/export", get_export},
	{NULL, NULL, NULL},
};

static void serve(int ready)
{
	struct event_base *base = event_base_new();
	int error;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (base == NULL || http_create(base, socket_path, 0600, routes, NULL, &error) == NULL)
		_exit(1);
	if (write(ready, "x", 1) != 1)
		_exit(1);
	event_base_dispatch(base);
	_exit(0);
}

/* --- the command, its output in a file --- */

static char output[65536];

static int run(const char *first, ...)
{
	char *argv[16] = {(char *)"sallyport", (char *)"--socket", socket_path, (char *)first};
	int argc = 4, code, saved[2], fd;
	va_list args;
	ssize_t n;

	va_start(args, first);
	while ((argv[argc] = va_arg(args, char *)) != NULL)
		argc++;
	va_end(args);
	fflush(stdout);
	fflush(stderr);
	fd = open(output_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	for (int i = 0; i < 2; i++) {
		saved[i] = dup(i + 1);
		assert_int_equal(dup2(fd, i + 1), i + 1);
	}
	code = cli_main(argc, argv);
	fflush(stdout);
	fflush(stderr);
	for (int i = 0; i < 2; i++) {
		dup2(saved[i], i + 1);
		close(saved[i]);
	}
	n = pread(fd, output, sizeof(output) - 1, 0);
	assert_true(n >= 0);
	output[n] = '\0';
	close(fd);
	return code;
}

#define assert_shows(text) assert_non_null(strstr(output, text))

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

	snprintf(key_path, sizeof(key_path), "%s/key", dir);
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
	snprintf(path, sizeof(path), "%s/wg0.conf", dir);
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
	assert_int_equal(run("check", SAMPLE, NULL), CLI_OK);
	assert_int_equal(run("check", "/nowhere.yaml", NULL), CLI_USAGE);
	assert_int_equal(run("dataplane-args", SAMPLE, NULL), CLI_OK);
	assert_string_equal(output, "--workers=1 --idle=adaptive\n");
}

/* Every code by its own name, as findings show it. */
static void test_every_code_is_explained(void **state)
{
	char code[DIAG_CODE_TEXT_MAX];

	for (size_t i = 0; diag_code_at(i) != NULL; i++) {
		diag_code_format(diag_code_at(i)->code, code);
		assert_int_equal(run("explain", code, NULL), CLI_OK);
		assert_shows(code);
		assert_shows(diag_code_at(i)->title);
	}
}

/* A value that YAML readers would take for something else stays what it is. */
static void test_yaml(void **state)
{
	assert_int_equal(run("peers", "-o", "yaml", NULL), CLI_OK);
	assert_string_equal(output, "peers:\n- name: \"anna\"\n  state: \"live\"\n  open: true\n"
				    "- name: \"no\"\n  state: \"1.5\"\n  open: false\nschema: 1\n");
	assert_int_equal(run("peers", "-o", "json", NULL), CLI_OK);
	assert_shows("\"name\": \"anna\"");
	assert_int_equal(run("peers", "-o", "text", NULL), CLI_OK);
	assert_shows("NAME  STATE");
	assert_int_equal(run("peers", "-o", "xml", NULL), CLI_USAGE);
}

/* A row is a line, with all that a reader needs to know of it; what is no list is one line. */
static void test_lines(void **state)
{
	static const char *const forms[] = {"--jsonl", "--output=jsonl"};

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(run("peers", forms[i], NULL), CLI_OK);
		assert_string_equal(output,
			"{\"name\":\"anna\",\"state\":\"live\",\"open\":true,\"schema\":1}\n"
			"{\"name\":\"no\",\"state\":\"1.5\",\"open\":false,\"schema\":1}\n");
	}
	assert_int_equal(run("status", "--jsonl", NULL), CLI_DEGRADED);
	assert_shows("{\"state\":\"degraded\",");
	assert_true(strchr(output, '\n') == output + strlen(output) - 1);
	assert_int_equal(run("forwards", "--jsonl", NULL), CLI_USAGE); /* the server has none */
	assert_shows("sallyport: ");
	assert_shows("{\"type\":"); /* what is wrong is a line, too */
}

/* The command in a child, its output in a pipe. */
static pid_t start_watch(const char *interval, const char *form, const char *path, FILE **out)
{
	char *argv[] = {(char *)"sallyport", (char *)"peers", (char *)"--socket", (char *)path,
		(char *)interval, (char *)form, NULL};
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		exit(cli_main(6, argv));
	}
	close(ends[1]);
	*out = fdopen(ends[0], "r");
	assert_non_null(*out);
	return pid;
}

static json_int_t read_stamped_line(FILE *out, const char *name)
{
	char line[256];
	json_t *json;
	json_int_t at_ms;

	assert_non_null(fgets(line, sizeof(line), out));
	json = json_loads(line, 0, NULL);
	assert_string_equal(cli_text(json, "name"), name);
	at_ms = cli_int(json, "at_ms");
	assert_true(at_ms > 1700000000000);
	json_decref(json);
	return at_ms;
}

static int end_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Goes on until it is told to end, or nobody reads any more. */
static void test_repeat(void **state)
{
	static const int signals[] = {SIGINT, SIGTERM};
	json_int_t first;
	FILE *out;
	pid_t pid;

	for (size_t i = 0; i < 2; i++) {
		pid = start_watch("--watch=0.2", "--jsonl", socket_path, &out);
		first = read_stamped_line(out, "anna");
		assert_true(read_stamped_line(out, "no") == first);
		assert_true(read_stamped_line(out, "anna") >= first);
		assert_int_equal(kill(pid, signals[i]), 0);
		assert_int_equal(end_of(pid), CLI_OK);
		fclose(out);
	}
	pid = start_watch("--watch=3600", "--jsonl", socket_path, &out);
	read_stamped_line(out, "anna");
	read_stamped_line(out, "no");
	fclose(out); /* long before the next time */
	assert_int_equal(end_of(pid), CLI_OK);
}

static void test_repeated_forms(void **state)
{
	static const char *const wrong[] = {"--watch=0.1", "--watch=3601", "--watch=x",
		"--watch=", "--watch=nan", "--watch=1s"};
	char line[256];
	FILE *out;
	pid_t pid = start_watch("--watch=0.2", "--output=text", socket_path, &out);

	for (size_t i = 0; i < 10; i++) {
		assert_non_null(fgets(line, sizeof(line), out)); /* a time, a table, a blank line */
		assert_int_equal(line[0], "#Nan\n"[i % 5]);
	}
	fclose(out);
	assert_int_equal(end_of(pid), CLI_OK);
	pid = start_watch("--watch=0.2", "--output=yaml", socket_path, &out);
	for (size_t i = 0; i < 2; i++) {
		assert_non_null(fgets(line, sizeof(line), out));
		assert_string_equal(line, "---\n");
		while (fgets(line, sizeof(line), out) != NULL && strncmp(line, "at_ms:", 6) != 0)
			;
	}
	fclose(out);
	assert_int_equal(end_of(pid), CLI_OK);
	pid = start_watch("--watch", "--jsonl", "/nowhere/x.sock", &out);
	assert_non_null(fgets(line, sizeof(line), out));
	assert_int_equal(end_of(pid), CLI_UNREACHABLE); /* there never was one */
	fclose(out);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(run("peers", wrong[i], NULL), CLI_USAGE);
		assert_shows("from 0.2 to 3600 seconds");
	}
	assert_int_equal(run("status", "--watch", "--check", "live", NULL), CLI_USAGE);
	assert_int_equal(run("apply", "--watch", NULL), CLI_USAGE);
}

static void test_units(void **state)
{
	static const struct {
		json_int_t bytes;
		const char *si, *iec, *exact;
	} amounts[] = {
		{0, "0 B", "0 B", "0 B"},
		{999, "999 B", "999 B", "999 B"},
		{1000, "1.0 kB", "1000 B", "1000 B"},
		{1024, "1.0 kB", "1.0 KiB", "1024 B"},
		{9949, "9.9 kB", "9.7 KiB", "9949 B"},
		{9960, "10 kB", "9.7 KiB", "9960 B"},
		{999600, "1.0 MB", "976 KiB", "999600 B"},
		{1048576, "1.0 MB", "1.0 MiB", "1048576 B"},
		{INT64_MAX, "9.2 EB", "8.0 EiB", "9223372036854775807 B"},
	};
	char text[CLI_UNITS_TEXT];

	for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
		cli_set_units(CLI_IEC);
		assert_string_equal(cli_bytes(amounts[i].bytes, text), amounts[i].iec);
		cli_set_units(CLI_EXACT);
		assert_string_equal(cli_bytes(amounts[i].bytes, text), amounts[i].exact);
		cli_set_units(CLI_SI);
		assert_string_equal(cli_bytes(amounts[i].bytes, text), amounts[i].si);
	}
	assert_string_equal(cli_rate(125000, text), "1.0 Mbit/s");
	assert_string_equal(cli_rate(0, text), "0 bit/s");
	cli_set_units(CLI_IEC);
	assert_string_equal(cli_rate(131072, text), "1.0 Mibit/s");
	cli_set_units(CLI_EXACT);
	assert_string_equal(cli_rate(154320.125, text), "1234561 bit/s");
	cli_set_units(CLI_SI);
	/* Beside the number, in every table. */
	assert_int_equal(run("routes", NULL), CLI_OK);
	assert_shows("1.5 MB");
	assert_int_equal(run("routes", "--iec", NULL), CLI_OK);
	assert_shows("1.4 MiB");
	assert_int_equal(run("routes", "--exact", NULL), CLI_OK);
	assert_shows("1500000 B");
	assert_int_equal(run("drops", "--iec", NULL), CLI_USAGE);
}

static void test_completion(void **state)
{
	static const struct {
		const char *words[4];
		const char *shown;
	} cases[] = {
		{{"sta"}, "status\tthe gateway on one screen\n"},
		{{"pee"}, "peers\tpeers, their endpoints, handshakes and traffic\n"
			  "peer\texport, add, remove\n"},
		{{"egr"}, "egress\tegress pools, addresses and rules\n"},
		{{"peer", "exp"}, "export\tthe wg-quick file of a peer\n"},
		{{"peer", "export", ""}, "anna\tlive\nno\t1.5\n"}, /* the daemon's names */
		{{"peer", "export", "--full", "a"}, "anna\tlive\n"},
		{{"flows", "--peer", "a"}, "anna\tlive\n"},
		{{"why", "--as", "n"}, "no\t1.5\n"},
		{{"why", "anna", ""}, ""},
		{{"peer", "export", "anna", ""}, ""}, /* enough arguments */
		{{"drops", "--al"}, "--all\talso what has counted nothing\n"},
		{{"status", "--al"}, ""}, /* not an option of this command */
		{{"status", "-o", "y"}, "yaml\t\n"},
		{{"apply", "--accept-risk", ""}, "drop-sessions\t\n"},
		{{"drops", "--wa"}, "--watch\tagain and again, until Ctrl-C (1; 0.2 to 3600)\n"},
		{{"drops", "--watch", "--al"}, "--all\talso what has counted nothing\n"},
		{{"flows", "--peer=a"}, "--peer=anna\tlive\n"},
		{{"status", "--nonsense=a"}, ""},
		{{"check", ""}, ":files\n"},
		{{"completion", "b"}, "bash\t\n"},
		{{"explain", "SP0201"}, "SP0201\tunknown key\n"},
		{{"nonsense", ""}, ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const *words = cases[i].words;

		assert_int_equal(
			run("complete", "--", words[0], words[1], words[2], words[3], NULL),
			CLI_OK);
		assert_string_equal(output, cases[i].shown);
	}
	assert_int_equal(run("complete", "--", "--socket", "/nowhere", "why", "", NULL), CLI_OK);
	assert_null(strstr(output, "anna")); /* the socket that was typed */
	assert_int_equal(run("completion", "tcsh", NULL), CLI_USAGE);
}

/* The script in a real bash, with this test's server behind it. */
static void test_completion_in_bash(void **state)
{
	char script[80], command[512], line[64];
	FILE *out;

	assert_int_equal(run("completion", "bash", NULL), CLI_OK);
	snprintf(script, sizeof(script), "%s/script", dir);
	out = fopen(script, "we");
	assert_non_null(out);
	fputs(output, out);
	fclose(out);
	snprintf(command, sizeof(command),
		". %s; ask() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_LINE=\"$*\"; "
		"COMP_POINT=${#COMP_LINE}; _sallyport; echo \"${COMPREPLY[@]}\"; }; "
		"ask " PROGRAM " --socket %s peer export a; ask " PROGRAM " exi",
		script, socket_path);
	setenv("SCRIPT", command, 1);
	out = popen("bash -c \"$SCRIPT\"", "re");
	assert_non_null(out);
	assert_non_null(fgets(line, sizeof(line), out));
	assert_string_equal(line, "anna\n");
	assert_non_null(fgets(line, sizeof(line), out));
	assert_string_equal(line, "exit-nodes\n");
	assert_int_equal(pclose(out), 0);
	unlink(script);
}

static char *read_all(const char *path)
{
	static char text[65536];
	FILE *file = fopen(path, "re");
	size_t n;

	assert_non_null(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

/* sallyport man codes >docs/man/sallyport-codes.7.scd */
static void test_every_code_is_in_the_manual(void **state)
{
	assert_int_equal(run("man", "codes", NULL), CLI_OK);
	assert_string_equal(output, read_all(CODES_MANUAL));
	assert_shows("*SP0101* (error)\n\tnot YAML. The file cannot be read");
	assert_shows("1\\_000 or 22:22"); /* no markup */
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

/* A plan that was cut short says so, and of how many it speaks. */
static void test_plan(void **state)
{
	assert_int_equal(run("plan", NULL), CLI_DIFFERS);
	assert_shows("  - peer anna\n");
	assert_shows("2 of 5 running flows would be cut:\n  and 2 more\n");
	assert_shows("Cut short: 5 of 9 running flows were judged");
}

/* What cuts something says how much, and is not done unless somebody has said yes to it. */
static void test_risk(void **state)
{
	static const struct {
		const char *words[4], *shown; /* NULL: it is tried, and the server refuses it */
	} cases[] = {
		{{"apply"}, "sallyport: this cuts 2 of 5 running flows. Nothing was changed."},
		{{"rollback"}, "this ends 1 live tunnel (anna). Nothing was changed."}, /* to 2 */
		{{"rollback", "1"}, "this cuts 2 of 5 running flows."},
		{{"peer", "remove", "anna"}, "this ends 1 live tunnel (anna)."},
		{{"peer", "remove", "no"}, NULL}, /* has none */
		{{"apply", "--confirm", "5m"}, NULL},
		{{"apply", "--accept-risk", "drop-sessions"}, NULL},
		{{"rollback", "--accept-risk", "drop-sessions"}, NULL},
		{{"peer", "remove", "anna", "--accept-risk=drop-sessions"}, NULL},
	};
	json_t *json;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const *words = cases[i].words;
		int code = run(words[0], words[1], words[2], words[3], NULL);

		assert_int_equal(strstr(output, "this ") != NULL, cases[i].shown != NULL);
		if (cases[i].shown == NULL) {
			assert_int_not_equal(code, CLI_OK);
			continue;
		}
		assert_int_equal(code, CLI_FAILED);
		assert_shows(cases[i].shown);
		assert_shows("--accept-risk=drop-sessions");
	}
	assert_int_equal(run("apply", "--accept-risk=everything", NULL), CLI_USAGE);
	assert_shows("--accept-risk is drop-sessions, not 'everything'");
	assert_int_equal(run("apply", "--jsonl", NULL), CLI_FAILED);
	json = json_loads(strchr(output, '{'), JSON_DISABLE_EOF_CHECK, NULL);
	assert_string_equal(cli_text(json, "refused"), "drop-sessions");
	assert_int_equal(cli_int(json, "flows_cut"), 2);
	json_decref(json);
}

/* On a terminal: the question, and what comes of the answer. */
static int answer_on_terminal(const char *typed)
{
	char *argv[] = {
		(char *)"sallyport", (char *)"--socket", socket_path, (char *)"apply", NULL};
	size_t size = 0;
	int master, code;
	ssize_t n;
	pid_t pid;

	fflush(stdout);
	pid = forkpty(&master, NULL, NULL, NULL);
	if (pid == 0)
		exit(cli_main(4, argv));
	assert_int_equal(write(master, typed, strlen(typed)), strlen(typed));
	while ((n = read(master, output + size, sizeof(output) - 1 - size)) > 0)
		size += (size_t)n;
	output[size] = '\0';
	code = end_of(pid);
	close(master);
	return code;
}

static void test_risk_on_a_terminal(void **state)
{
	assert_int_equal(answer_on_terminal("\n"), CLI_FAILED);
	assert_shows("This cuts 2 of 5 running flows.\r\nGo on? [y/N] ");
	assert_shows("Nothing was changed.");
	assert_int_equal(answer_on_terminal("n\n"), CLI_FAILED);
	assert_int_equal(answer_on_terminal("y\n"), CLI_USAGE);
	assert_shows("error[SP0201]"); /* it was tried */
}

static struct progress seen[8];
static size_t n_seen, n_ends;

static void note_progress(const struct progress *now, void *arg)
{
	n_ends += now == NULL;
	if (now == NULL || n_seen == 8)
		return;
	seen[n_seen] = *now;
	seen[n_seen++].what = strdup(now->what);
}

static void test_watch(void **state)
{
	struct cli cli = {.socket = socket_path};
	bool found = false;

	progress_listen(note_progress, NULL);
	cli_watch(&cli, answer_end[0], false);
	progress_listen(NULL, NULL);
	assert_true(n_seen > 0);
	assert_string_equal(seen[0].what, "waiting for sallyportd");
	for (size_t i = 0; i < n_seen; i++) {
		found |= strcmp(seen[i].what, "programming the data plane") == 0 &&
			 seen[i].done == 3 && seen[i].total == 7;
		free((char *)seen[i].what);
	}
	assert_true(found);
	assert_int_equal(n_ends, 1);
}

static void interrupt_myself(const struct progress *now, void *arg)
{
	if (now != NULL)
		raise(SIGINT);
}

/* Ctrl-C ends the command, not the change, and says so. */
static void test_interrupted(void **state)
{
	struct cli cli = {.socket = socket_path};
	int never[2], status, fd;
	ssize_t n;
	pid_t child;

	assert_int_equal(pipe(never), 0);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		fd = open(output_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		dup2(fd, STDERR_FILENO);
		progress_listen(interrupt_myself, NULL);
		cli_watch(&cli, never[0], true);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	fd = open(output_path, O_RDONLY);
	n = read(fd, output, sizeof(output) - 1);
	assert_true(n > 0);
	output[n] = '\0';
	assert_shows("sallyportd brings the change to its end");
	close(fd);
	close(never[0]);
	close(never[1]);
}

/* "  --name ..." or "  -n, --name ..." */
static bool has_option_line(const char *name)
{
	size_t length = strlen(name);

	for (const char *at = output; (at = strstr(at, "--")) != NULL; at += 2) {
		bool starts = (at - output >= 3 && strncmp(at - 3, "\n  ", 3) == 0) ||
			      (at - output >= 7 && strncmp(at - 7, "\n  -", 4) == 0 &&
				      strncmp(at - 2, ", ", 2) == 0);

		if (starts && strncmp(at + 2, name, length) == 0 &&
			strchr(" [\n", at[2 + length]) != NULL)
			return true;
	}
	return false;
}

/* `COMMAND --help`: usage, every option that it takes and no other; a section of the manual. */
static void assert_has_help(const struct cli_command *command, const char *manual)
{
	char words[64], section[80];
	char *second;

	snprintf(words, sizeof(words), "%s", command->words);
	second = strchr(words, ' ');
	if (second != NULL)
		*second++ = '\0';
	assert_int_equal(run(words, "--help", second, NULL), CLI_OK);
	snprintf(section, sizeof(section), "usage: sallyport %s", command->words);
	assert_shows(section);
	for (const struct cli_option_row *o = cli_options; o->name != NULL; o++)
		assert_int_equal(has_option_line(o->name),
			o->mask == 0 || (o->mask & command->options) != 0);
	snprintf(section, sizeof(section), "*%s*", command->words);
	assert_non_null(strstr(manual, section));
	for (char *line = strtok(output, "\n"); line != NULL; line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= 80);
}

static void test_every_command_is_documented(void **state)
{
	const char *manual = read_all(MANUAL);

	assert_int_equal(run("man", NULL), CLI_OK);
	assert_string_equal(output, manual); /* sallyport man >docs/man/sallyport.1.scd */
	assert_int_equal(run("man", "nothing", NULL), CLI_USAGE);
	assert_int_equal(run("help", NULL), CLI_OK);
	for (const struct cli_command *c = cli_commands; c->words != NULL; c++) {
		assert_true(c->summary[0] != '\0');
		assert_shows(c->words);
	}
	for (const struct cli_command *c = cli_commands; c->words != NULL; c++)
		assert_has_help(c, manual);
	assert_int_equal(run("help", NULL), CLI_OK);
	for (char *line = strtok(output, "\n"); line != NULL; line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= 80);
}

static int set_up(void **state)
{
	int ready[2];
	char byte;

	if (mkdtemp(dir) == NULL || pipe(ready) < 0 || pipe(answer_end) < 0)
		return -1;
	snprintf(socket_path, sizeof(socket_path), "%s/api.sock", dir);
	snprintf(output_path, sizeof(output_path), "%s/output", dir);
	server = fork();
	if (server == 0)
		serve(ready[1]);
	close(ready[1]);
	return server > 0 && read(ready[0], &byte, 1) == 1 ? 0 : -1;
}

static int tear_down(void **state)
{
	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	unlink(socket_path);
	unlink(output_path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_show),
		cmocka_unit_test(test_export),
		cmocka_unit_test(test_egress),
		cmocka_unit_test(test_import),
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_every_code_is_explained),
		cmocka_unit_test(test_every_code_is_in_the_manual),
		cmocka_unit_test(test_yaml),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_repeat),
		cmocka_unit_test(test_repeated_forms),
		cmocka_unit_test(test_completion),
		cmocka_unit_test(test_completion_in_bash),
		cmocka_unit_test(test_schema),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_risk),
		cmocka_unit_test(test_risk_on_a_terminal),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_every_command_is_documented),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
