/* SPDX-License-Identifier: BSD-3-Clause */
/* What is printed as lines, again and again, and in the units that one asks for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/unit/control/cli/fixture.h"

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
	assert_shows("--watch does not go with --check; for scripts: --watch --jsonl");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_yaml),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_repeat),
		cmocka_unit_test(test_repeated_forms),
		cmocka_unit_test(test_units),
	};

	return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
