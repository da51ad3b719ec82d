/* SPDX-License-Identifier: BSD-3-Clause */
/* The way of a flow, one line per step, the verdict last. */
#include <stdlib.h>
#include <string.h>

#include "control/cli/cli.h"

enum { LIST_TEXT = 512 };

#define INDENT "          "

static bool has(const json_t *object, const char *key)
{
	return json_is_string(json_object_get(object, key));
}

static void print_route(const struct cli *cli, const json_t *route)
{
	if (json_is_true(json_object_get(route, "host")))
		puts("route     the gateway itself");
	else if (has(route, "prefix"))
		cli_print_line(cli, INDENT, "route     %s%s%s", cli_text(route, "prefix"),
			has(route, "by") ? "  " : "",
			has(route, "by") ? cli_text(route, "by") : "");
	else
		puts("route     none");
	if (has(route, "closed_prefix"))
		cli_print_line(cli, INDENT, "closed    %s  %s", cli_text(route, "closed_prefix"),
			cli_text(route, "closed_by"));
}

/* The reason, and whether it has counted lately: of any flow. */
static void print_drop(const struct cli *cli, const json_t *json)
{
	const json_t *last = json_object_get(json, "last_drop");
	char age[16], text[64] = "";

	if (cli_int(last, "last") != 0)
		snprintf(text, sizeof(text), ", last %s ago", cli_age(cli_int(last, "last"), age));
	if (json_is_object(last))
		cli_print_line(cli, INDENT, "counted   %s  %lld times for any flow%s",
			cli_text(json, "drop"), (long long)cli_int(last, "packets"), text);
	else
		cli_print_line(cli, INDENT, "counted   %s", cli_text(json, "drop"));
}

static void print_steps(const struct cli *cli, const json_t *json)
{
	const json_t *source = json_object_get(json, "source");
	const json_t *policy = json_object_get(json, "policy");
	const json_t *egress = json_object_get(json, "egress");
	const json_t *forward = json_object_get(json, "forward");
	const json_t *hop = json_object_get(json, "next_hop");
	char text[LIST_TEXT];

	cli_print_line(cli, INDENT, "source    %s%s%s  %s %s  set %s",
		cli_text(source, has(source, "seen") ? "seen" : "address"),
		has(source, "real") ? "=" : "", has(source, "real") ? cli_text(source, "real") : "",
		has(source, "peer") ? "peer" : "port",
		cli_text(source, has(source, "peer") ? "peer" : "port"), cli_text(source, "set"));
	if (has(source, "selected"))
		cli_print_line(cli, INDENT, "selected  exit node %s", cli_text(source, "selected"));
	print_route(cli, json_object_get(json, "route"));
	if (json_is_object(policy))
		cli_print_line(cli, INDENT, "policy    %s  %s%s%s", cli_text(policy, "action"),
			has(policy, "rule") ? cli_text(policy, "rule") : "no rule matches",
			has(policy, "place") ? "  " : "",
			has(policy, "place") ? cli_text(policy, "place") : "");
	if (json_is_object(egress))
		cli_print_line(cli, INDENT, "egress    %s  pool %s",
			cli_list(egress, "addresses", text, sizeof(text)),
			cli_text(egress, "pool"));
	if (json_is_object(forward))
		cli_print_line(cli, INDENT, "forward   %s  to %s port %lld%s",
			cli_text(forward, "name"), cli_text(forward, "address"),
			(long long)cli_int(forward, "port"),
			json_is_true(json_object_get(json, "hairpin"))
				? ", seen from the egress address"
				: "");
	if (json_is_object(hop))
		cli_print_line(cli, INDENT, "next hop  %s %s%s%s%s%s%s  MTU %lld",
			has(hop, "peer") ? "peer" : "port",
			cli_text(hop, has(hop, "peer") ? "peer" : "port"),
			has(hop, "instead_of") ? " (" : "",
			has(hop, "instead_of") ? cli_text(hop, "instead_of") : "",
			has(hop, "instead_of") ? " is down)" : "", has(hop, "address") ? "  " : "",
			has(hop, "address") ? cli_text(hop, "address") : "",
			(long long)cli_int(hop, "mtu"));
	if (cli_int(json, "mss") != 0)
		cli_print_line(cli, INDENT, "segments  %lld bytes at most (MSS)",
			(long long)cli_int(json, "mss"));
	if (has(json, "drop"))
		print_drop(cli, json);
	cli_print_line(cli, INDENT, "verdict   %s", cli_text(json, "verdict"));
}

/* Words go into the path of a request as they are. */
static bool is_plain(const char *word)
{
	return word == NULL ||
	       strspn(word, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "-_.:[]") == strlen(word);
}

int cli_run_why(struct cli *cli)
{
	char path[512];
	json_t *json;
	int code;

	if (!is_plain(cli->args[0]) || !is_plain(cli->args[1]) || !is_plain(cli->proto) ||
		!is_plain(cli->as)) {
		fputs("sallyport: not an address, a name or a protocol\n", stderr);
		return CLI_USAGE;
	}
	snprintf(path, sizeof(path), "/api/why?src=%.64s&dst=%.64s%s%.16s%s%.64s", cli->args[0],
		cli->args[1],
		cli->proto == NULL ? "" : "&proto=", cli->proto == NULL ? "" : cli->proto,
		cli->as == NULL ? "" : "&as=", cli->as == NULL ? "" : cli->as);
	json = cli_get(cli, path, &code);
	if (json == NULL)
		return code;
	code = json_is_true(json_object_get(json, "allowed")) ? CLI_OK : CLI_FAILED;
	if (cli->json)
		cli_print_json(json);
	else
		print_steps(cli, json);
	json_decref(json);
	return code;
}
