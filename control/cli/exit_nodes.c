/* SPDX-License-Identifier: BSD-3-Clause */
/* Exit nodes: all of them, those of a peer, and the one that it leaves by. */
#include <stdlib.h>
#include <string.h>

#include "control/cli/cli.h"

enum { LIST_TEXT = 512, PATH_TEXT = 128 };

static bool make_path(const struct cli *cli, char path[PATH_TEXT])
{
	if (!cli_is_name("peer", cli->as))
		return false;
	snprintf(path, PATH_TEXT, "/api/peers/%.63s/exit-node", cli->as);
	return true;
}

static void print_all(struct cli *cli, const json_t *json)
{
	static const char *const headers[] = {"NAME", "OFFERED TO", ">PEERS", ">SELECTED", ">FLOWS",
		">OUT", ">BACK", "DESCRIPTION", NULL};
	struct cli_table *table = cli_table_create(headers);
	char text[LIST_TEXT], out[CLI_UNITS_TEXT], back[CLI_UNITS_TEXT];
	const json_t *exit_node;
	size_t i;

	json_array_foreach(json_object_get(json, "exit_nodes"), i, exit_node)
	{
		cli_table_cell(table, "%s", cli_text(exit_node, "name"));
		cli_table_cell(table, "%s", cli_list(exit_node, "offer_to", text, sizeof(text)));
		cli_table_cell(table, "%lld", (long long)cli_int(exit_node, "peers"));
		cli_table_cell(table, "%lld", (long long)cli_int(exit_node, "selected"));
		cli_table_cell(table, "%lld", (long long)cli_int(exit_node, "flows"));
		cli_table_cell(table, "%s", cli_bytes(cli_int(exit_node, "bytes"), out));
		cli_table_cell(table, "%s", cli_bytes(cli_int(exit_node, "reply_bytes"), back));
		cli_table_cell(table, "%s", cli_text(exit_node, "description"));
	}
	cli_table_print(cli, &table);
}

static void print_offers(struct cli *cli, const json_t *json)
{
	static const char *const headers[] = {"NAME", "FOR THIS PEER", "DESCRIPTION", NULL};
	struct cli_table *table = cli_table_create(headers);
	const json_t *exit_node;
	size_t i;

	json_array_foreach(json_object_get(json, "exit_nodes"), i, exit_node)
	{
		bool offered = json_is_true(json_object_get(exit_node, "offered"));
		bool selected = json_is_true(json_object_get(exit_node, "selected"));
		bool in_use = json_is_true(json_object_get(exit_node, "in_use"));

		cli_table_cell(table, "%s", cli_text(exit_node, "name"));
		cli_table_cell(table, "%s%s",
			in_use    ? "in use"
			: offered ? "offered"
				  : cli_text(exit_node, "why"),
			selected ? ", selected" : "");
		cli_table_cell(table, "%s", cli_text(exit_node, "description"));
	}
	cli_table_print(cli, &table);
}

int cli_run_exit_nodes(struct cli *cli)
{
	char path[PATH_TEXT] = "/api/exit-nodes";
	json_t *json;
	int code;

	if (cli->as != NULL && !make_path(cli, path))
		return CLI_USAGE;
	json = cli_get(cli, path, &code);
	if (json == NULL)
		return code;
	if (cli->json)
		cli_print_json(json);
	else if (cli->as != NULL)
		print_offers(cli, json);
	else
		print_all(cli, json);
	json_decref(json);
	return CLI_OK;
}

/* "exit node fra, as 203.0.113.6 (pool fra)" */
static const char *way_text(const json_t *way, char *text, size_t size)
{
	char list[LIST_TEXT];

	if (!json_is_object(way))
		snprintf(text, size, "no exit node");
	else if (json_array_size(json_object_get(way, "addresses")) == 0)
		snprintf(text, size, "exit node %s, which has no egress address for it",
			cli_text(way, "name"));
	else
		snprintf(text, size, "exit node %s, as %s (pool %s)", cli_text(way, "name"),
			cli_list(way, "addresses", list, sizeof(list)), cli_text(way, "pool"));
	return text;
}

static void print_choice(const struct cli *cli, const json_t *json)
{
	const json_t *before = json_object_get(json, "before");
	const json_t *now = json_object_get(json, "in_use");
	char text[LIST_TEXT + 160];

	printf("%s leaves by %s.\n", cli_text(json, "peer"), way_text(now, text, sizeof(text)));
	if (json_is_true(json_object_get(json, "pending")))
		printf("%s.\n", cli_text(json, "note"));
	if (json_equal(before, now))
		return;
	printf("Before: %s.\n", way_text(before, text, sizeof(text)));
	if (!json_is_object(before))
		return;
	puts(json_is_object(now)
			? "Running flows that are still allowed keep the address they have; "
			  "new ones leave as above."
			: "Its flows to the internet are cut.");
}

static int choose(struct cli *cli, const char *method, const char *body)
{
	char path[PATH_TEXT], *text = NULL;
	int status;

	if (cli->as == NULL) {
		fputs("sallyport: whose exit node? --as PEER\n", stderr);
		return CLI_USAGE;
	}
	if (!make_path(cli, path))
		return CLI_USAGE;
	status = cli_request(cli, method, path, "application/json", body, strlen(body), &text);
	return cli_changed_as(cli, status, text, print_choice);
}

int cli_run_select(struct cli *cli)
{
	char body[PATH_TEXT];

	if (!cli_is_name("exit node", cli->args[0]))
		return CLI_USAGE;
	snprintf(body, sizeof(body), "{\"exit_node\": \"%.63s\"}", cli->args[0]);
	return choose(cli, "PUT", body);
}

int cli_run_deselect(struct cli *cli)
{
	return choose(cli, "DELETE", "");
}
