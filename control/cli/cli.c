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

static void take_option(struct cli *cli, int letter, uint64_t mask)
{
	cli->given |= mask;
	switch (letter) {
	case 'j':
		cli->json = true;
		break;
	case 'J':
		cli->lines = true;
		break;
	case 'i':
		cli->units = CLI_SI;
		break;
	case 'k':
		cli->units = CLI_IEC;
		break;
	case 'x':
		cli->units = CLI_EXACT;
		break;
	case 'R':
		cli->accept_risk = optarg;
		break;
	case 'W':
		cli->interval = optarg == NULL ? "1" : optarg;
		break;
	case 'o':
		cli->output = optarg;
		break;
	case 'c':
		cli->check = optarg;
		break;
	case 's':
		cli->socket = optarg;
		break;
	case 'I':
		cli->port = optarg;
		break;
	case 'w':
		cli->write = optarg;
		break;
	case 'n':
		cli->count = optarg;
		break;
	case 'L':
		cli->snap = optarg;
		break;
	case 'E':
		cli->endpoint = optarg;
		break;
	case 'K':
		cli->private_key_file = optarg;
		break;
	case 'S':
		cli->state_dir = optarg;
		break;
	case 'M':
		cli->max = optarg;
		break;
	case 'P':
		cli->peer = optarg;
		break;
	case 'T':
		cli->proto = optarg;
		break;
	case 'G':
		cli->config = optarg;
		break;
	case 'U':
		cli->as = optarg;
		break;
	case 'z':
		cli->anonymize = optarg;
		break;
	case '6':
		cli->exit_node = optarg;
		break;
	case '7':
		cli->egress = optarg;
		break;
	case '8':
		cli->range = optarg;
		break;
	case 'B':
		cli->driver = optarg;
		break;
	case 'f':
		cli->force = true;
		break;
	case 'l':
		cli->list = true;
		break;
	case '1':
		cli->confirm = optarg;
		break;
	case '2':
		cli->message = optarg;
		break;
	case '3':
		cli->groups = optarg;
		break;
	case '4':
		cli->address = optarg;
		break;
	case '5':
		cli->public_key = optarg;
		break;
	default:
		break;
	}
}

/* Options may stand anywhere. False after getopt has said what is wrong. */
static bool parse_options(struct cli *cli, int argc, char **argv, bool *help)
{
	struct option longs[CLI_OPTIONS_MAX + 1] = {0};
	int c;

	for (size_t i = 0; cli_options[i].name != NULL; i++)
		longs[i] = (struct option){cli_options[i].name,
			cli_options[i].value == NULL     ? no_argument
			: cli_options[i].value[0] == '[' ? optional_argument
							 : required_argument,
			NULL, cli_options[i].letter};
	optind = 0; /* tests come here more than once */
	while ((c = getopt_long(argc, argv, "jho:dbn:w:", longs, NULL)) != -1) {
		size_t i = 0;

		while (cli_options[i].name != NULL && cli_options[i].letter != c)
			i++;
		if (cli_options[i].name == NULL)
			return false;
		if (c == 'h')
			*help = true;
		take_option(cli, c, cli_options[i].mask);
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

int cli_main(int argc, char **argv)
{
	struct cli cli = {.socket = "/run/sallyport/sallyport.sock"};
	const struct cli_command *command;
	bool help = false;
	int words, code;
	pid_t pager;

	cli_look_at_terminal(&cli);
	if (!parse_options(&cli, argc, argv, &help)) {
		fputs("More: sallyport help\n", stderr);
		return CLI_USAGE;
	}
	if (cli.n_args == 0) {
		cli_print_usage();
		return help ? CLI_OK : CLI_USAGE;
	}
	command = cli_find_command(cli.args, cli.n_args, &words);
	if (command == NULL) {
		fprintf(stderr, "sallyport: there is no command '%s'\nMore: sallyport help\n",
			cli.args[0]);
		return CLI_USAGE;
	}
	if (help)
		return cli_print_help_on(command);
	cli.args += words;
	cli.n_args -= words;
	if (cli.n_args < command->min_args)
		return refuse(command, "an argument is missing");
	if (cli.n_args > command->max_args)
		return refuse(command, "too many arguments");
	if (cli.given & ~command->options)
		return refuse(command, "an option that this command does not take");
	cli.command = command->words;
	cli_set_units(cli.units);
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
