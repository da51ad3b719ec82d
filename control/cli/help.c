/* SPDX-License-Identifier: BSD-3-Clause */
/* Help and the manual page, of the tables of commands and options. */
#include <stdio.h>
#include <string.h>

#include "control/cli/cli.h"
#include "control/diag/diag.h"

enum { HELP_WIDTH = 80, HELP_COLUMN = 34 };

/* Words from column `column` on, in lines of HELP_WIDTH; the next line begins at `indent`. */
static void print_wrapped(const char *text, int column, int indent)
{
	while (*text != '\0') {
		int length = (int)strcspn(text, " ");

		if (column > indent && column + 1 + length > HELP_WIDTH) {
			printf("\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			putchar(' ');
			column++;
		}
		printf("%.*s", length, text);
		column += length;
		text += length;
		text += strspn(text, " ");
	}
	putchar('\n');
}

/* A name on the left, what it means on the right. */
static void print_row(const char *left, const char *right)
{
	int column = printf("  %-*s", HELP_COLUMN - 2, left);

	if (column > HELP_COLUMN)
		printf("\n%*s", HELP_COLUMN, "");
	print_wrapped(right, HELP_COLUMN, HELP_COLUMN);
}

/* "-j, ", or "" */
static const char *short_form(const struct cli_option_row *option, char text[8])
{
	text[0] = '\0';
	if (option->letter != 0)
		snprintf(text, 8, "-%c, ", option->letter);
	return text;
}

/* " FILE", "[=SECONDS]" for a value that may be left out, or "". */
static const char *value_form(const struct cli_option_row *option, char text[48])
{
	bool optional = option->value != NULL && option->value[0] == '[';

	snprintf(text, 48, "%s%s",
		option->value == NULL ? ""
		: optional            ? "[="
				      : " ",
		option->value == NULL ? "" : option->value + optional);
	return text;
}

static void print_options(uint64_t mask)
{
	for (size_t i = 0; cli_options[i].name != NULL; i++) {
		char left[80], flag[8], value[48];

		if (cli_options[i].mask != 0 && (cli_options[i].mask & mask) == 0)
			continue;
		snprintf(left, sizeof(left), "%s--%s%s", short_form(&cli_options[i], flag),
			cli_options[i].name, value_form(&cli_options[i], value));
		print_row(left, cli_options[i].help);
	}
}

void cli_print_usage(void)
{
	puts("usage: sallyport COMMAND [OPTION ...] [ARGUMENT ...]\n\ncommands:");
	for (const struct cli_command *c = cli_commands; c->words != NULL; c++) {
		char left[48];

		snprintf(left, sizeof(left), "%s %s", c->words, c->args);
		print_row(left, c->summary);
	}
	puts("\noptions of every command:");
	print_options(0);
	puts("\nexit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 nothing to do,\n"
	     "  4 degraded, 5 no daemon. More on one: sallyport help COMMAND");
}

int cli_print_help_on(const struct cli_command *command)
{
	printf("usage: sallyport %s%s%s [OPTION ...]\n\n%s.\n", command->words,
		command->args[0] == '\0' ? "" : " ", command->args, command->summary);
	if (command->about[0] != '\0')
		print_wrapped(command->about, 0, 0);
	puts("\noptions:");
	print_options(command->options);
	return CLI_OK;
}

int cli_run_help(struct cli *cli)
{
	const struct cli_command *command;
	int words;

	if (cli->n_args == 0) {
		cli_print_usage();
		return CLI_OK;
	}
	command = cli_find_command(cli->args, cli->n_args, &words);
	if (command != NULL)
		return cli_print_help_on(command);
	fprintf(stderr, "sallyport: there is no command '%s'\n", cli->args[0]);
	return CLI_USAGE;
}

int cli_run_version(struct cli *cli)
{
	json_t *json;

	if (cli->json) {
		json = json_pack("{s:s}", "version", SP_VERSION);
		cli_print_json(json);
		json_decref(json);
	} else {
		puts("sallyport " SP_VERSION);
	}
	return CLI_OK;
}

/* What scdoc would take for the beginning of bold or underlined text. */
static void print_escaped(const char *text)
{
	for (; *text != '\0'; text++) {
		if (strchr("_*\\", *text) != NULL)
			putchar('\\');
		putchar(*text);
	}
}

static void print_codes_manual(void)
{
	const struct diag_code_info *info;
	char code[DIAG_CODE_TEXT_MAX];

	puts("sallyport-codes(7)\n\n# NAME\n\nsallyport-codes - what the codes of findings mean\n\n"
	     "# DESCRIPTION\n\nWhatever finds something wrong with a configuration or a running "
	     "gateway says so with a code: *check*, *plan*, *apply*, *status*, and the log of "
	     "*sallyportd*(8). `sallyport explain CODE` prints what stands here. Codes are never "
	     "used again for something else.\n\n01xx: the file as YAML. 02xx: a value. 03xx: what "
	     "objects say about each other. 04xx: files of keys. 05xx: warnings. 06xx: wg-quick "
	     "files. 11xx: the state of a running gateway.\n\n# CODES\n");
	for (size_t i = 0; (info = diag_code_at(i)) != NULL; i++) {
		printf("*%s* (%s)\n\t", diag_code_format(info->code, code),
			info->severity == DIAG_ERROR ? "error" : "warning");
		print_escaped(info->title);
		fputs(". ", stdout);
		print_escaped(info->explanation);
		puts("\n");
	}
	puts("# SEE ALSO\n\n*sallyport*(1), *sallyportd*(8)");
}

static void print_option_manual(const struct cli_option_row *option)
{
	bool optional = option->value != NULL && option->value[0] == '[';
	const char *value = option->value == NULL ? "" : option->value + optional;
	char flag[8];

	printf("*%s--%s*%s%.*s%s\n\t%s\n\n", short_form(option, flag), option->name,
		value[0] == '\0' ? ""
		: optional       ? "[=_"
				 : " _",
		(int)strcspn(value, "]"), value,
		value[0] == '\0' ? ""
		: optional       ? "_]"
				 : "_",
		option->help);
}

static void print_manual(void)
{
	puts("sallyport(1)\n\n# NAME\n\nsallyport - operate a Sallyport gateway\n\n# SYNOPSIS\n\n"
	     "*sallyport* _command_ [option ...] [argument ...]\n\n# COMMANDS\n");
	for (const struct cli_command *c = cli_commands; c->words != NULL; c++)
		printf("*%s*%s%s%s\n\t%c%s. %s\n\n", c->words, c->args[0] == '\0' ? "" : " _",
			c->args, c->args[0] == '\0' ? "" : "_", c->summary[0] - 'a' + 'A',
			c->summary + 1, c->about);
	puts("# OPTIONS\n");
	for (size_t i = 0; cli_options[i].name != NULL; i++)
		print_option_manual(&cli_options[i]);
	puts("# EXIT STATUS\n\n0: done. 1: failed. 2: wrong usage, or errors in the configuration. "
	     "3: nothing to do.\n4: degraded. 5: no daemon.\n\n# JSON\n\n"
	     "Objects printed with -j, but for the lines of *trace*, have a member `schema`, 1 "
	     "today. It rises when a member is renamed or removed, or changes its meaning; members "
	     "that "
	     "are added leave it as it is. With --jsonl each row of a list is a line of its own "
	     "(peers, flows, drops ...), and has the `schema`; what is no list is one line. Under "
	     "--watch each has `at_ms`, when it was asked for, in Unix milliseconds.\n\n"
	     "# FILES\n\n_/etc/sallyport/sallyport.yaml_, _/run/sallyport/sallyport.sock_\n\n"
	     "# SEE ALSO\n\n*sallyport-codes*(7), *sallyportd*(8), *sallyport-dataplane*(8)");
}

int cli_run_man(struct cli *cli)
{
	if (cli->n_args == 0) {
		print_manual();
	} else if (strcmp(cli->args[0], "codes") == 0) {
		print_codes_manual();
	} else {
		fprintf(stderr,
			"sallyport: no manual page '%s'; type: sallyport man codes, or sallyport "
			"man\n",
			cli->args[0]);
		return CLI_USAGE;
	}
	return CLI_OK;
}
