/* SPDX-License-Identifier: BSD-3-Clause */
/* All counters and gauges by their names in /metrics, so that what is read here can be graphed. */
#include <stdlib.h>
#include <string.h>

#include "control/cli/cli.h"

enum { NAME_TEXT = 128, LABELS_TEXT = 512 };

struct counter {
	char name[NAME_TEXT];
	char labels[LABELS_TEXT]; /* "port=wan,reason=..." */
	double value;
};

/* Values of labels have neither quotes nor line ends in them but behind a backslash. */
static void read_labels(const char *from, size_t size, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < size && n + 2 < LABELS_TEXT; i++) {
		if (from[i] == '\\' && i + 1 < size)
			out[n++] = from[++i];
		else if (from[i] != '"')
			out[n++] = from[i];
	}
	out[n] = '\0';
}

/* "name{label="value"} 12"; false for a comment. */
static bool read_line(const char *line, size_t size, struct counter *counter)
{
	const char *space = memrchr(line, ' ', size), *brace;
	size_t name;

	if (size == 0 || line[0] == '#' || space == NULL)
		return false;
	brace = memchr(line, '{', (size_t)(space - line));
	name = (size_t)((brace == NULL ? space : brace) - line);
	if (name >= NAME_TEXT || (brace != NULL && space[-1] != '}'))
		return false;
	memcpy(counter->name, line, name);
	counter->name[name] = '\0';
	counter->labels[0] = '\0';
	if (brace != NULL)
		read_labels(brace + 1, (size_t)(space - brace) - 2, counter->labels);
	counter->value = strtod(space + 1, NULL);
	return true;
}

static void add(
	const struct cli *cli, const struct counter *counter, struct cli_table *table, json_t *list)
{
	if (cli->n_args > 0 && strstr(counter->name, cli->args[0]) == NULL &&
		strstr(counter->labels, cli->args[0]) == NULL)
		return;
	if (counter->value == 0 && !(cli->given & CLI_ALL))
		return;
	json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "name", counter->name, "labels",
					    counter->labels, "value",
					    counter->value == (double)(json_int_t)counter->value
						    ? json_integer((json_int_t)counter->value)
						    : json_real(counter->value)));
	cli_table_cell(table, "%s", counter->name);
	cli_table_cell(table, "%.15g", counter->value);
	cli_table_cell(table, "%s", counter->labels);
}

static void print_all(struct cli *cli, const char *text)
{
	static const char *const headers[] = {"NAME", ">VALUE", "OF", NULL};
	struct cli_table *table = cli_table_create(headers);
	json_t *json, *list = json_array();
	struct counter counter;

	while (*text != '\0') {
		size_t size = strcspn(text, "\n");

		if (read_line(text, size, &counter))
			add(cli, &counter, table, list);
		text += size + (text[size] == '\n');
	}
	if (cli->json) {
		json = json_pack("{s:i, s:O}", "schema", 1, "counters", list);
		cli_print_json(json);
		json_decref(json);
		cli_table_drop(&table);
	} else {
		cli_table_print(cli, &table);
	}
	json_decref(list);
}

int cli_run_counters(struct cli *cli)
{
	char *body;
	int status = cli_request(cli, "GET", "/metrics", "text/plain", "", 0, &body);
	int code = status == 0 ? CLI_UNREACHABLE : CLI_OK;

	if (status == 200)
		print_all(cli, body);
	else if (status != 0)
		code = cli_problem(cli, status, body);
	free(body);
	return code;
}
