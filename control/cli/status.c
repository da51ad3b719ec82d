/* SPDX-License-Identifier: BSD-3-Clause */
/* The gateway on one screen, what is wrong first. */
#include <string.h>

#include "control/cli/cli.h"

enum { LIST_TEXT = 512 };

#define INDENT "             "

static void print_ports(struct cli *cli, const json_t *status)
{
	static const char *const headers[] = {
		"PORT", "LINK", ">RX", ">TX", ">MISSED", "ADDRESSES", NULL};
	const json_t *ports = json_object_get(status, "ports"), *port;
	struct cli_table *table = cli_table_create(headers);
	char rx[CLI_UNITS_TEXT], tx[CLI_UNITS_TEXT], text[LIST_TEXT];
	size_t i;

	json_array_foreach((json_t *)ports, i, port)
	{
		cli_table_cell(table, "%s", cli_text(port, "name"));
		cli_table_cell(table, "%s",
			strcmp(cli_text(port, "held_by"), "kernel") == 0  ? "the kernel's"
			: json_is_string(json_object_get(port, "failed")) ? "failed"
			: json_is_true(json_object_get(port, "link_up"))  ? "up"
									  : "down");
		cli_table_cell(table, "%s", cli_bytes(cli_int(port, "rx_bytes"), rx));
		cli_table_cell(table, "%s", cli_bytes(cli_int(port, "tx_bytes"), tx));
		cli_table_cell(table, "%lld", (long long)cli_int(port, "rx_missed"));
		cli_table_cell(table, "%s", cli_list(port, "addresses", text, sizeof(text)));
	}
	cli_table_print(cli, &table);
}

static void print_workers(struct cli *cli, const json_t *status)
{
	static const char *const headers[] = {
		">WORKER", ">CPU", ">BUSY", ">FLOWS", ">HANDED OFF", ">TAKEN", NULL};
	const json_t *workers = json_object_get(status, "workers"), *worker;
	struct cli_table *table = cli_table_create(headers);
	size_t i;

	json_array_foreach((json_t *)workers, i, worker)
	{
		cli_table_cell(table, "%lld", (long long)cli_int(worker, "worker"));
		cli_table_cell(table, "%lld", (long long)cli_int(worker, "cpu"));
		cli_table_cell(
			table, "%.0f %%", 100 * json_real_value(json_object_get(worker, "busy")));
		cli_table_cell(table, "%lld", (long long)cli_int(worker, "flows"));
		cli_table_cell(table, "%lld", (long long)cli_int(worker, "handoff_out"));
		cli_table_cell(table, "%lld", (long long)cli_int(worker, "handoff_in"));
	}
	cli_table_print(cli, &table);
}

/* Each with its code, and below it what to type. */
static void print_problems(const struct cli *cli, const json_t *status)
{
	const json_t *problem;
	size_t i;

	json_array_foreach(json_object_get(status, "problems"), i, problem)
	{
		bool error = strcmp(cli_text(problem, "severity"), "error") == 0;

		printf("%s%s%s %s ",
			!cli->colour ? ""
			: error      ? "\033[1;31m"
				     : "\033[33m",
			error ? "ERROR " : "WARN  ", cli->colour ? "\033[0m" : "",
			cli_text(problem, "code"));
		cli_print_wrapped(cli, 14, "       ", cli_text(problem, "message"));
		cli_print_line(cli, "          ", "       -> %s", cli_text(problem, "next"));
	}
}

static void print_head(const struct cli *cli, const json_t *status, bool good)
{
	const json_t *dataplane = json_object_get(status, "dataplane");
	const json_t *peers = json_object_get(status, "peers");
	char age[16];

	printf("sallyport %s  %s  %s%s%s  up %s\n", cli_text(status, "version"),
		cli_text(status, "gateway"),
		!cli->colour ? ""
		: good       ? "\033[32m"
			     : "\033[1;31m",
		good ? "OK" : "DEGRADED", cli->colour ? "\033[0m" : "",
		cli_age(cli_int(status, "started"), age));
	print_problems(cli, status);
	if (json_is_true(json_object_get(dataplane, "connected")))
		cli_print_line(cli, "            ",
			"data plane  generation %lld  up %s  cipher %s  drops %lld",
			(long long)cli_int(dataplane, "generation"),
			cli_age(cli_int(dataplane, "started"), age), cli_text(dataplane, "aead"),
			(long long)cli_int(status, "drops"));
	else
		cli_print_line(cli, "            ", "data plane  not connected: %s",
			cli_text(dataplane, "reason"));
	printf("peers       %lld: %lld live, %lld idle, %lld never seen\n\n",
		(long long)cli_int(peers, "total"), (long long)cli_int(peers, "live"),
		(long long)cli_int(peers, "idle"), (long long)cli_int(peers, "never"));
}

/* For supervisors: the exit status is the answer. */
static int check(const char *what, const json_t *status, bool good)
{
	const json_t *dataplane = json_object_get(status, "dataplane");
	bool started = json_is_true(json_object_get(dataplane, "connected")) &&
		       cli_int(dataplane, "generation") != 0;

	if (strcmp(what, "live") == 0)
		return CLI_OK;
	if (strcmp(what, "startup") == 0)
		return started ? CLI_OK : CLI_DEGRADED;
	if (strcmp(what, "ready") == 0)
		return good ? CLI_OK : CLI_DEGRADED;
	fprintf(stderr, "sallyport: --check is live, ready or startup, not '%s'\n", what);
	return CLI_USAGE;
}

/* What is known of a peer; what is not is left out. */
static void print_peer(const struct cli *cli, const json_t *peer)
{
	const char *exit_node = json_string_value(json_object_get(peer, "exit_node"));
	const char *selected = json_string_value(json_object_get(peer, "exit_node_selected"));
	char text[LIST_TEXT], age[16], rx[CLI_UNITS_TEXT], tx[CLI_UNITS_TEXT],
		wire_rx[CLI_UNITS_TEXT], wire_tx[CLI_UNITS_TEXT];

	printf("\n%s  %s\n", cli_text(peer, "name"), cli_text(peer, "state"));
	cli_print_line(
		cli, INDENT, "  addresses  %s", cli_list(peer, "addresses", text, sizeof(text)));
	if (json_array_size(json_object_get(peer, "groups")) > 0)
		cli_print_line(cli, INDENT, "  groups     %s",
			cli_list(peer, "groups", text, sizeof(text)));
	cli_print_line(cli, INDENT, "  key        %s", cli_text(peer, "public_key"));
	if (json_is_string(json_object_get(peer, "endpoint")))
		cli_print_line(cli, INDENT, "  endpoint   %s, path %s", cli_text(peer, "endpoint"),
			cli_text(peer, "path"));
	else
		cli_print_line(
			cli, INDENT, "  endpoint   unknown: the peer has not been heard from");
	if (cli_int(peer, "last_handshake") != 0)
		cli_print_line(cli, INDENT, "  handshake  %s ago",
			cli_age(cli_int(peer, "last_handshake"), age));
	cli_print_line(cli, INDENT, "  transfer   %s received, %s sent; with tunnel headers %s, %s",
		cli_bytes(cli_int(peer, "rx_bytes"), rx), cli_bytes(cli_int(peer, "tx_bytes"), tx),
		cli_bytes(cli_int(peer, "wire_rx_bytes"), wire_rx),
		cli_bytes(cli_int(peer, "wire_tx_bytes"), wire_tx));
	cli_print_line(cli, INDENT, "  flows      %lld", (long long)cli_int(peer, "flows"));
	if (exit_node != NULL)
		cli_print_line(cli, INDENT, "  exit node  %s%s", exit_node,
			selected == NULL ? "" : ", selected");
	else if (selected != NULL)
		cli_print_line(cli, INDENT,
			"  exit node  none: %s is selected, but not offered any more", selected);
}

/* What networks behind must know, and which do not seem to. */
static int print_route_needs(struct cli *cli)
{
	int code;
	json_t *routes = cli_get(cli, "/api/routes", &code);

	if (routes == NULL)
		return code;
	cli_print_route_needs(cli, json_object_get(routes, "routes"));
	json_decref(routes);
	return CLI_OK;
}

static int print_details(struct cli *cli)
{
	int code;
	json_t *peers = cli_get(cli, "/api/peers", &code), *peer;
	size_t i;

	if (peers == NULL)
		return code;
	json_array_foreach(json_object_get(peers, "peers"), i, peer) print_peer(cli, peer);
	json_decref(peers);
	return print_route_needs(cli);
}

/* JSON with the peers in it. */
static int print_status_json(struct cli *cli, json_t *status)
{
	int code = CLI_OK;
	json_t *peers;

	if (cli->given & CLI_DETAILS) {
		peers = cli_get(cli, "/api/peers", &code);
		if (peers == NULL)
			return code;
		json_object_set(status, "peer_list", json_object_get(peers, "peers"));
		json_decref(peers);
	}
	cli_print_json(status);
	return CLI_OK;
}

int cli_run_status(struct cli *cli)
{
	int code;
	json_t *status = cli_get(cli, "/api/status", &code);
	bool good;

	if (status == NULL)
		return code;
	good = strcmp(cli_text(status, "state"), "ok") == 0;
	code = CLI_OK;
	if (cli->given & CLI_CHECK) {
		code = check(cli->check, status, good);
		json_decref(status);
		return code;
	}
	if (cli->json) {
		code = print_status_json(cli, status);
	} else {
		print_head(cli, status, good);
		print_ports(cli, status);
		if (json_array_size(json_object_get(status, "workers")) > 0) {
			putchar('\n');
			print_workers(cli, status);
		}
		if (cli->given & CLI_DETAILS)
			code = print_details(cli);
	}
	json_decref(status);
	return code != CLI_OK ? code : good ? CLI_OK : CLI_DEGRADED;
}
