/* SPDX-License-Identifier: BSD-3-Clause */
/* Port forwards, one line each. */
#include <stdlib.h>
#include <string.h>

#include "control/cli/cli.h"

enum { LIST_TEXT = 512 };

/* 203.0.113.5:8080, [2001:db8::5]:8000-8009 */
static void place_cell(
	struct cli_table *table, const json_t *forward, const char *address, const char *ports)
{
	const char *text = cli_text(forward, address);

	cli_table_cell(table, strchr(text, ':') != NULL ? "[%s]:%s" : "%s:%s", text,
		cli_text(forward, ports));
}

int cli_run_forwards(struct cli *cli)
{
	static const char *const headers[] = {"NAME", "PROTO", "OUTSIDE", "INSIDE", "PEER", "FROM",
		">FLOWS", ">IN", ">BACK", NULL};
	char text[LIST_TEXT], in[CLI_UNITS_TEXT], back[CLI_UNITS_TEXT];
	struct cli_table *table;
	json_t *json, *forward;
	size_t i;
	int code;

	json = cli_get(cli, "/api/forwards", &code);
	if (json == NULL)
		return code;
	if (cli->json) {
		cli_print_json(json);
		json_decref(json);
		return CLI_OK;
	}
	table = cli_table_create(headers);
	json_array_foreach(json_object_get(json, "forwards"), i, forward)
	{
		bool enabled = json_is_true(json_object_get(forward, "enabled"));

		cli_table_cell(table, "%s", cli_text(forward, "name"));
		cli_table_cell(table, "%s", enabled ? cli_text(forward, "protocol") : "disabled");
		place_cell(table, forward, "address", "ports");
		place_cell(table, forward, "to_address", "to_ports");
		cli_table_cell(table, "%s", cli_text(forward, "to_peer"));
		cli_table_cell(table, "%s", cli_list(forward, "from", text, sizeof(text)));
		cli_table_cell(table, "%lld", (long long)cli_int(forward, "flows"));
		cli_table_cell(table, "%s", cli_bytes(cli_int(forward, "bytes"), in));
		cli_table_cell(table, "%s", cli_bytes(cli_int(forward, "reply_bytes"), back));
	}
	cli_table_print(cli, &table);
	json_decref(json);
	return CLI_OK;
}
