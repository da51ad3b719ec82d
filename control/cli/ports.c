/* SPDX-License-Identifier: BSD-3-Clause */
/* What firewalls around the gateway must let through. */
#include "control/ports/ports.h"

#include "control/cli/cli.h"
#include "control/model/model.h"

static void print_rows(struct cli *cli, const json_t *rows)
{
	static const char *const headers[] = {
		"", "PROTO", ">PORT", "GATEWAY", "REMOTE", "WHAT FOR", NULL};
	struct cli_table *table = cli_table_create(headers);
	const json_t *row;
	size_t i;

	json_array_foreach((json_t *)rows, i, row)
	{
		const json_t *port = json_object_get(row, "port");

		cli_table_cell(table, "%s", cli_text(row, "direction"));
		cli_table_cell(table, "%s", cli_text(row, "protocol"));
		if (json_is_integer(port))
			cli_table_cell(table, "%lld", (long long)json_integer_value(port));
		else
			cli_table_cell(table, "%s", cli_text(row, "port"));
		cli_table_cell(table, "%s", cli_text(row, "address"));
		cli_table_cell(table, "%s", cli_text(row, "remote"));
		cli_table_cell(table, "%s%s", cli_text(row, "why"),
			json_is_true(json_object_get(row, "needed")) ? "" : " (not needed)");
	}
	cli_table_print(cli, &table);
}

int cli_run_ports(struct cli *cli)
{
	int code;
	struct model *model = cli_load_model(cli, &code);
	json_t *rows, *json;

	if (model == NULL)
		return code;
	rows = ports_rows(model);
	if (cli->given & CLI_NFT) {
		ports_write_nft(stdout, rows);
	} else if (cli->json) {
		json = json_pack("{s:i, s:O}", "schema", 1, "ports", rows);
		cli_print_json(json);
		json_decref(json);
	} else {
		print_rows(cli, rows);
		cli_print_line(cli, "",
			"\nAnswers to all of these go back the same way. The gateway asks nobody "
			"for permission: there is no other service that it needs.");
	}
	json_decref(rows);
	model_destroy(&model);
	return CLI_OK;
}
