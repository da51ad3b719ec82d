/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/cli/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const struct cli_command cli_commands[] = {
	{"status", "", 0, 0, 0, "the gateway on one screen",
		"Data plane, ports, peers and workers. Exits with 4 if something is wrong.",
		cli_run_status},
	{"peers", "", 0, 0, 0, "peers, their endpoints, handshakes and traffic",
		"A peer is live if its last handshake is at most three minutes old.",
		cli_run_peers},
	{"routes", "", 0, 0, 0, "network routes and who receives them",
		"Routes without ACL groups that are open to all who receive them are marked.",
		cli_run_routes},
	{"exit-nodes", "", 0, 0, 0, "exit nodes and who uses them",
		"Peers: to how many the exit node is offered and allowed.", cli_run_exit_nodes},
	{"egress", "", 0, 0, 0, "egress pools, addresses and rules",
		"The list of addresses is what partners put into their allow lists.",
		cli_run_egress},
	{"flows", "", 0, 0, CLI_MAX | CLI_PEER, "flows in the data plane now",
		"A snapshot of at most --max flows, of one peer with --peer.", cli_run_flows},
	{"drops", "", 0, 0, CLI_ALL, "dropped packets by reason",
		"Only reasons that have counted something, unless --all is given.", cli_run_drops},
	{"policy", "", 0, 0, 0, "policies in their order, with what they matched",
		"The first policy that matches decides; nothing matches = denied.", cli_run_policy},
	{"why", "SRC DST[:PORT]", 2, 2, CLI_PROTO | CLI_AS,
		"what becomes of a flow, and by which rule",
		"Sends nothing: says from what the data plane was given who the sender is, which "
		"route "
		"and policy decide, with which address it leaves and by which next hop. SRC is an "
		"address or the name of a peer. Exits with 1 if the flow is denied.",
		cli_run_why},
	{"check", "FILE", 1, 1, CLI_STATE_DIR, "look for errors in a configuration",
		"Needs no daemon and changes nothing. Shows every error in one pass; exits with 2 "
		"if there is one. Key files are looked at if --state-dir is given.",
		cli_run_check},
	{"apply", "", 0, 0, 0, "read the daemon's configuration again",
		"All of it or, if there is any error, nothing. Running tunnels and flows stay. "
		"Exits with 3 if nothing has changed.",
		cli_run_apply},
	{"explain", "CODE", 1, 1, 0, "what an error code means",
		"CODE as findings show it, such as SP0201; `explain all` lists every code.",
		cli_run_explain},
	{"peer export", "NAME", 1, 1, CLI_FULL | CLI_ENDPOINT | CLI_PRIVATE_KEY_FILE,
		"the wg-quick file of a peer",
		"With an exit node it takes the halves 0.0.0.0/1, 128.0.0.0/1, ::/1 and 8000::/1, "
		"which leave the default route in place, or /0 with --full. The private key comes "
		"from --private-key-file, or is left to be filled in.",
		cli_run_export},
	{"dataplane-args", "FILE", 1, 1, 0, "options for sallyport-dataplane",
		"What the section `dataplane` of a configuration means as a command line. A change "
		"needs a restart of the data plane.",
		cli_run_dataplane_args},
	{"schema", "", 0, 0, 0, "the JSON Schema of the configuration",
		"For editors; config/sallyport.schema.json is its output.", cli_run_schema},
	{"version", "", 0, 0, 0, "print the version", "", cli_run_version},
	{"help", "[COMMAND]", 0, 2, 0, "print help", "", cli_run_help},
	{"man", "", 0, 0, 0, "print the source of the manual page", "For scdoc(1).", cli_run_man},
	{NULL, NULL, 0, 0, 0, NULL, NULL, NULL},
};

/* Also the manual's list of options: mask 0 = every command takes it. */
static const struct {
	unsigned mask;
	int letter;
	const char *name, *value, *help;
} options[] = {
	{0, 'j', "json", NULL, "JSON instead of text"},
	{0, 's', "socket", "PATH", "of sallyportd (/run/sallyport/sallyport.sock)"},
	{0, 'h', "help", NULL, "help on the command"},
	{CLI_FULL, 'F', "full", NULL, "routes for 0.0.0.0/0 and ::/0 instead of halves"},
	{CLI_ENDPOINT, 'E', "endpoint", "HOST:PORT", "where the peer finds the gateway"},
	{CLI_PRIVATE_KEY_FILE, 'K', "private-key-file", "FILE", "the peer's private key"},
	{CLI_STATE_DIR, 'S', "state-dir", "DIR", "look at key files there as well"},
	{CLI_MAX, 'M', "max", "N", "at most so many (1000)"},
	{CLI_PEER, 'P', "peer", "NAME", "only of this peer"},
	{CLI_PROTO, 'T', "proto", "PROTO", "tcp, udp or icmp (tcp with a port, else icmp)"},
	{CLI_AS, 'U', "as", "PEER", "as if it came from this peer's tunnel"},
	{CLI_ALL, 'A', "all", NULL, "also what has counted nothing"},
};

enum { N_OPTIONS = sizeof(options) / sizeof(options[0]) };

static void print_options(unsigned mask)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		char left[48];

		if (options[i].mask != 0 && (options[i].mask & mask) == 0)
			continue;
		snprintf(left, sizeof(left), "%s--%s%s%s", options[i].letter == 'j' ? "-j, " : "",
			options[i].name, options[i].value == NULL ? "" : " ",
			options[i].value == NULL ? "" : options[i].value);
		printf("  %-26s %s\n", left, options[i].help);
	}
}

static void print_usage(void)
{
	puts("usage: sallyport COMMAND [OPTION ...] [ARGUMENT ...]\n\ncommands:");
	for (const struct cli_command *c = cli_commands; c->words != NULL; c++) {
		char left[48];

		snprintf(left, sizeof(left), "%s %s", c->words, c->args);
		printf("  %-26s %s\n", left, c->summary);
	}
	puts("\noptions of every command:");
	print_options(0);
	puts("\nexit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 nothing to do,\n"
	     "  4 degraded, 5 no daemon. More on one: sallyport help COMMAND");
}

static int print_help_on(const struct cli_command *command)
{
	printf("usage: sallyport %s%s%s [OPTION ...]\n\n%s.\n", command->words,
		command->args[0] == '\0' ? "" : " ", command->args, command->summary);
	if (command->about[0] != '\0')
		printf("%s\n", command->about);
	puts("\noptions:");
	print_options(command->options);
	return CLI_OK;
}

/* The command whose words begin the arguments, and how many words that is. */
static const struct cli_command *find_command(char **args, int n, int *words)
{
	for (const struct cli_command *c = cli_commands; c->words != NULL; c++) {
		const char *space = strchr(c->words, ' ');
		size_t first = space == NULL ? strlen(c->words) : (size_t)(space - c->words);

		*words = space == NULL ? 1 : 2;
		if (n < *words || strlen(args[0]) != first ||
			strncmp(args[0], c->words, first) != 0)
			continue;
		if (space == NULL || strcmp(args[1], space + 1) == 0)
			return c;
	}
	return NULL;
}

int cli_run_help(struct cli *cli)
{
	const struct cli_command *command;
	int words;

	if (cli->n_args == 0) {
		print_usage();
		return CLI_OK;
	}
	command = find_command(cli->args, cli->n_args, &words);
	if (command != NULL)
		return print_help_on(command);
	fprintf(stderr, "sallyport: there is no command '%s'\n", cli->args[0]);
	return CLI_USAGE;
}

int cli_run_version(struct cli *cli)
{
	if (cli->json)
		puts("{\"version\": \"" SP_VERSION "\"}");
	else
		puts("sallyport " SP_VERSION);
	return CLI_OK;
}

int cli_run_man(struct cli *cli)
{
	puts("sallyport(1)\n\n# NAME\n\nsallyport - operate a Sallyport gateway\n\n# SYNOPSIS\n\n"
	     "*sallyport* _command_ [option ...] [argument ...]\n\n# COMMANDS\n");
	for (const struct cli_command *c = cli_commands; c->words != NULL; c++)
		printf("*%s*%s%s%s\n\t%c%s. %s\n\n", c->words, c->args[0] == '\0' ? "" : " _",
			c->args, c->args[0] == '\0' ? "" : "_", c->summary[0] - 'a' + 'A',
			c->summary + 1, c->about);
	puts("# OPTIONS\n");
	for (size_t i = 0; i < N_OPTIONS; i++)
		printf("*%s--%s*%s%s%s\n\t%s\n\n", options[i].letter == 'j' ? "-j, " : "",
			options[i].name, options[i].value == NULL ? "" : " _",
			options[i].value == NULL ? "" : options[i].value,
			options[i].value == NULL ? "" : "_", options[i].help);
	puts("# EXIT STATUS\n\n0: done. 1: failed. 2: wrong usage, or errors in the configuration. "
	     "3: nothing to do.\n4: degraded. 5: no daemon.\n\n# FILES\n\n"
	     "_/etc/sallyport/sallyport.yaml_, _/run/sallyport/sallyport.sock_");
	return CLI_OK;
}

static void look_at_terminal(struct cli *cli)
{
	struct winsize size;

	if (isatty(STDOUT_FILENO) != 1)
		return;
	cli->colour = getenv("NO_COLOR") == NULL;
	cli->columns = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
		cli->columns = size.ws_col;
}

static void take_option(struct cli *cli, int letter, unsigned mask)
{
	cli->given |= mask;
	switch (letter) {
	case 'j':
		cli->json = true;
		break;
	case 's':
		cli->socket = optarg;
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
	case 'U':
		cli->as = optarg;
		break;
	default:
		break;
	}
}

/* Options may stand anywhere. False after getopt has said what is wrong. */
static bool parse_options(struct cli *cli, int argc, char **argv, bool *help)
{
	struct option longs[N_OPTIONS + 1] = {0};
	int c;

	for (size_t i = 0; i < N_OPTIONS; i++)
		longs[i] = (struct option){options[i].name,
			options[i].value == NULL ? no_argument : required_argument, NULL,
			options[i].letter};
	optind = 0; /* tests come here more than once */
	while ((c = getopt_long(argc, argv, "jh", longs, NULL)) != -1) {
		size_t i = 0;

		while (i < N_OPTIONS && options[i].letter != c)
			i++;
		if (i == N_OPTIONS)
			return false;
		if (c == 'h')
			*help = true;
		take_option(cli, c, options[i].mask);
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
	int words;

	look_at_terminal(&cli);
	if (!parse_options(&cli, argc, argv, &help)) {
		fputs("More: sallyport help\n", stderr);
		return CLI_USAGE;
	}
	if (cli.n_args == 0) {
		print_usage();
		return help ? CLI_OK : CLI_USAGE;
	}
	command = find_command(cli.args, cli.n_args, &words);
	if (command == NULL) {
		fprintf(stderr, "sallyport: there is no command '%s'\nMore: sallyport help\n",
			cli.args[0]);
		return CLI_USAGE;
	}
	if (help)
		return print_help_on(command);
	cli.args += words;
	cli.n_args -= words;
	if (cli.n_args < command->min_args)
		return refuse(command, "an argument is missing");
	if (cli.n_args > command->max_args)
		return refuse(command, "too many arguments");
	if (cli.given & ~command->options)
		return refuse(command, "an option that this command does not take");
	return command->run(&cli);
}
