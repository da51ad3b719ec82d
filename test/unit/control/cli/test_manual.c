/* SPDX-License-Identifier: BSD-3-Clause */
/* Help, manual pages and completion: what the table of commands makes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/diag/diag.h"
#include "test/unit/control/cli/fixture.h"

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

/* sallyport man codes >docs/man/sallyport-codes.7.scd */
static void test_every_code_is_in_the_manual(void **state)
{
	assert_int_equal(run("man", "codes", NULL), CLI_OK);
	assert_string_equal(output, read_all(CODES_MANUAL));
	assert_shows("*SP0101* (error)\n\tnot YAML. The file cannot be read");
	assert_shows("1\\_000 or 22:22"); /* no markup */
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
	snprintf(script, sizeof(script), "%s/script", test_dir);
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
	assert_shows("no manual page 'nothing'; type: sallyport man codes");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_code_is_explained),
		cmocka_unit_test(test_every_code_is_in_the_manual),
		cmocka_unit_test(test_completion),
		cmocka_unit_test(test_completion_in_bash),
		cmocka_unit_test(test_every_command_is_documented),
	};

	return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
