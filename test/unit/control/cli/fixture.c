/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/http/http.h"
#include "test/unit/control/cli/fixture.h"

char test_dir[] = "/tmp/sp-cli-XXXXXX";
char socket_path[64], output_path[64], output[65536];
int answer_end[2];
static pid_t server;

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

int fixture_start(void **state)
{
	int ready[2];
	char byte;

	if (mkdtemp(test_dir) == NULL || pipe(ready) < 0 || pipe(answer_end) < 0)
		return -1;
	snprintf(socket_path, sizeof(socket_path), "%s/api.sock", test_dir);
	snprintf(output_path, sizeof(output_path), "%s/output", test_dir);
	server = fork();
	if (server == 0)
		serve(ready[1]);
	close(ready[1]);
	return server > 0 && read(ready[0], &byte, 1) == 1 ? 0 : -1;
}

int fixture_stop(void **state)
{
	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	unlink(socket_path);
	unlink(output_path);
	return rmdir(test_dir);
}

int run(const char *first, ...)
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

char *read_all(const char *path)
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

int end_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
