/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/cli/cli.h"
#include "control/progress/progress.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void cli_look_at_terminal(struct cli *cli)
{
	struct winsize size;

	if (isatty(STDOUT_FILENO) != 1)
		return;
	cli->colour = getenv("NO_COLOR") == NULL;
	cli->columns = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
		cli->columns = size.ws_col;
}

static void take_option(struct cli *cli, const struct cli_option_row *option)
{
	char *field = (char *)cli + option->field;

	cli->given |= option->mask;
	if (option->field == 0)
		return;
	if (option->value == NULL)
		*(bool *)field = true;
	else
		*(const char **)field = optarg;
}

/* For getopt_long(), from the table. */
static void list_options(struct option longs[CLI_OPTIONS_MAX + 1], char shorts[2 * CLI_OPTIONS_MAX])
{
	const struct cli_option_row *option = cli_options;

	for (int i = 0; option->name != NULL; i++, option++) {
		longs[i] = (struct option){option->name,
			option->value == NULL     ? no_argument
			: option->value[0] == '[' ? optional_argument
						  : required_argument,
			NULL, CLI_LONG + i};
		if (option->letter == 0)
			continue;
		*shorts++ = option->letter;
		if (option->value != NULL)
			*shorts++ = ':';
	}
}

/* What getopt_long() has found; NULL after it has said what is wrong. */
static const struct cli_option_row *find_option(int found)
{
	if (found >= CLI_LONG)
		return &cli_options[found - CLI_LONG];
	for (const struct cli_option_row *option = cli_options; option->name != NULL; option++) {
		if (option->letter == found)
			return option;
	}
	return NULL;
}

/* Options may stand anywhere. False after a word about what is wrong. */
static bool parse_options(struct cli *cli, int argc, char **argv)
{
	struct option longs[CLI_OPTIONS_MAX + 1] = {0};
	char shorts[2 * CLI_OPTIONS_MAX] = "";
	int found;

	list_options(longs, shorts);
	optind = 0; /* tests come here more than once */
	while ((found = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct cli_option_row *option = find_option(found);

		if (option == NULL)
			return false;
		take_option(cli, option);
	}
	if (!cli_set_output(cli)) {
		fprintf(stderr, "sallyport: --output is text, json, jsonl or yaml, not '%s'\n",
			cli->output);
		return false;
	}
	cli->n_args = argc - optind;
	cli->args = argv + optind;
	return true;
}

static int refuse(const struct cli_command *command, const char *why)
{
	fprintf(stderr, "sallyport: %s\nusage: sallyport %s%s%s [OPTION ...]\n", why,
		command->words, command->args[0] == '\0' ? "" : " ", command->args);
	return CLI_USAGE;
}

/* Several options may share a bit of `given`. */
static bool is_given(const struct cli *cli, const struct cli_option_row *option)
{
	const char *field = (const char *)cli + option->field;

	if ((cli->given & option->mask) == 0)
		return false;
	if (option->field == 0 || (option->value != NULL && option->value[0] == '['))
		return true;
	return option->value == NULL ? *(const bool *)field : *(const char *const *)field != NULL;
}

/* The first one that was given and that the command does not take. */
static int refuse_option(const struct cli *cli, const struct cli_command *command)
{
	const struct cli_option_row *option = cli_options;
	char why[80];

	while (!is_given(cli, option) || (option->mask & command->options) != 0)
		option++;
	snprintf(why, sizeof(why), "it takes no --%s; its options: sallyport help %s", option->name,
		command->words);
	return refuse(command, why);
}

int cli_main(int argc, char **argv)
{
	struct cli cli = {.socket = "/run/sallyport/sallyport.sock"};
	const struct cli_command *command;
	int words, code;
	pid_t pager;

	cli_look_at_terminal(&cli);
	if (!parse_options(&cli, argc, argv)) {
		fputs("More: sallyport help\n", stderr);
		return CLI_USAGE;
	}
	if (cli.n_args == 0) {
		cli_print_usage();
		return cli.help ? CLI_OK : CLI_USAGE;
	}
	command = cli_find_command(cli.args, cli.n_args, &words);
	if (command == NULL) {
		fprintf(stderr, "sallyport: there is no command '%s'\nMore: sallyport help\n",
			cli.args[0]);
		return CLI_USAGE;
	}
	if (cli.help)
		return cli_print_help_on(command);
	cli.args += words;
	cli.n_args -= words;
	if (cli.n_args < command->min_args)
		return refuse(command, "an argument is missing");
	if (cli.n_args > command->max_args)
		return refuse(command, "too many arguments");
	if (cli.given & ~command->options)
		return refuse_option(&cli, command);
	cli.command = command->words;
	cli_set_units(cli.exact ? CLI_EXACT : cli.iec ? CLI_IEC : CLI_SI);
	cli_set_lines(command->rows, cli.given & CLI_WATCH);
	if (cli.given & CLI_WATCH)
		return cli_repeat(&cli, command);
	cli_progress_start();
	pager = command->options & CLI_PAGED ? cli_pager_start(&cli) : -1;
	code = command->run(&cli);
	progress_end();
	cli_pager_end(pager);
	return code;
}
