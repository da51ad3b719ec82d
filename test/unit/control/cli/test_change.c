/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes: who is asked before, and what is shown meanwhile. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/progress/progress.h"
#include "test/unit/control/cli/fixture.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_risk),
		cmocka_unit_test(test_risk_on_a_terminal),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_interrupted),
	};

	return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
