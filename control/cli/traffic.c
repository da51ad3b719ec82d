/* SPDX-License-Identifier: BSD-3-Clause */
/* Traffic over time: the points of one object, or the sums of all. As text, JSON or CSV. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/addr.h"
#include "control/cli/cli.h"

enum { BAR_MAX = 30 };

static const char *const count_names[] = {
	"sent_packets", "sent_bytes", "received_packets", "received_bytes"};

static const char *make_bar(json_int_t value, json_int_t highest, char text[BAR_MAX + 1])
{
	/* At least one mark for what is not nothing. */
	double part = highest <= 0 ? 0 : (double)value / (double)highest * BAR_MAX;
	int n = value > 0 && part < 1 ? 1 : (int)part;

	memset(text, '#', (size_t)n);
	text[n] = '\0';
	return text;
}

static json_int_t bytes_of(const json_t *object)
{
	return cli_int(object, "sent_bytes") + cli_int(object, "received_bytes");
}

static json_int_t highest_of(const json_t *list)
{
	json_int_t highest = 0;
	const json_t *object;
	size_t i;

	json_array_foreach((json_t *)list, i, object)
	{
		if (bytes_of(object) > highest)
			highest = bytes_of(object);
	}
	return highest;
}

static const char *format_time(json_int_t at, const char *form, char text[32])
{
	time_t t = (time_t)at;
	struct tm tm;

	text[0] = '\0';
	if (gmtime_r(&t, &tm) != NULL)
		strftime(text, 32, form, &tm);
	return text;
}

static void print_csv_counts(const json_t *object)
{
	for (size_t i = 0; i < 4; i++)
		printf(",%lld", (long long)cli_int(object, count_names[i]));
	putchar('\n');
}

static void print_csv(const json_t *json)
{
	const json_t *points = json_object_get(json, "points"), *object;
	char text[32];
	size_t i;

	fputs(points == NULL ? "kind,name,gone" : "time", stdout);
	for (i = 0; i < 4; i++)
		printf(",%s", count_names[i]);
	putchar('\n');
	json_array_foreach((json_t *)points, i, object)
	{
		fputs(format_time(cli_int(object, "time"), "%Y-%m-%dT%H:%M:%SZ", text), stdout);
		print_csv_counts(object);
	}
	/* Names have neither commas nor quotes. */
	json_array_foreach(json_object_get(json, "objects"), i, object)
	{
		printf("%s,%s,%d", cli_text(object, "kind"), cli_text(object, "name"),
			json_is_true(json_object_get(object, "gone")));
		print_csv_counts(object);
	}
}

static void traffic_cells(struct cli_table *table, const json_t *object, json_int_t highest)
{
	char sent[CLI_UNITS_TEXT], received[CLI_UNITS_TEXT], bar[BAR_MAX + 1];

	cli_table_cell(table, "%s", cli_bytes(cli_int(object, "sent_bytes"), sent));
	cli_table_cell(table, "%s", cli_bytes(cli_int(object, "received_bytes"), received));
	cli_table_cell(table, "%s", make_bar(bytes_of(object), highest, bar));
}

static void print_points(struct cli *cli, const json_t *json)
{
	static const char *const headers[] = {"TIME (UTC)", ">SENT", ">RECEIVED", "", NULL};
	static const struct {
		json_int_t step;
		const char *form;
	} forms[] = {{60, "%H:%M"}, {3600, "%a %H:00"}, {86400, "%Y-%m-%d"}, {0, "%Y-%m"}};
	const json_t *points = json_object_get(json, "points"), *point;
	json_int_t highest = highest_of(points), step = cli_int(json, "step");
	struct cli_table *table = cli_table_create(headers);
	const char *form = forms[3].form;
	char sent[CLI_UNITS_TEXT], received[CLI_UNITS_TEXT], text[32];
	bool begun = false;
	size_t i;

	for (i = 0; i < 3; i++)
		form = forms[i].step == step ? forms[i].form : form;
	json_array_foreach((json_t *)points, i, point)
	{
		begun |= bytes_of(point) > 0;
		if (!begun && i + 1 < json_array_size(points))
			continue; /* from the first traffic on */
		cli_table_cell(table, "%s", format_time(cli_int(point, "time"), form, text));
		traffic_cells(table, point, highest);
	}
	cli_table_print(cli, &table);
	printf("\n%s %s: sent %s, received %s in all of it.\n", cli_text(json, "kind"),
		cli_text(json, "name"), cli_bytes(cli_int(json, "sent_bytes"), sent),
		cli_bytes(cli_int(json, "received_bytes"), received));
}

static void print_sums(struct cli *cli, const json_t *json)
{
	static const char *const headers[] = {"KIND", "NAME", ">SENT", ">RECEIVED", "", NULL};
	const json_t *objects = json_object_get(json, "objects"), *object;
	struct cli_table *table = cli_table_create(headers);
	json_int_t highest = highest_of(objects);
	size_t i;

	json_array_foreach((json_t *)objects, i, object)
	{
		bool gone = json_is_true(json_object_get(object, "gone"));

		if (gone && bytes_of(object) == 0)
			continue;
		cli_table_cell(table, "%s", cli_text(object, "kind"));
		cli_table_cell(table, "%s%s", cli_text(object, "name"), gone ? " (gone)" : "");
		traffic_cells(table, object, highest);
	}
	cli_table_print(cli, &table);
}

/* The request's path; false after saying what is wrong. */
static bool make_path(const struct cli *cli, char *path, size_t size)
{
	const char *range = cli->range == NULL ? "hour" : cli->range;
	const char *kind = NULL, *name = NULL;
	struct addr addr;
	char text[ADDR_TEXT_MAX];

	if ((cli->peer != NULL) + (cli->exit_node != NULL) + (cli->egress != NULL) > 1) {
		fputs("sallyport: one of --peer, --exit-node and --egress, not several\n", stderr);
		return false;
	}
	if (cli->egress != NULL && addr_parse(cli->egress, &addr) < 0) {
		fprintf(stderr, "sallyport: --egress is an address, not '%s'\n", cli->egress);
		return false;
	}
	if (cli->peer != NULL)
		kind = "peer", name = cli->peer;
	else if (cli->exit_node != NULL)
		kind = "exit-node", name = cli->exit_node;
	else if (cli->egress != NULL)
		kind = "egress", name = addr_format(&addr, text);
	if ((cli->peer != NULL || cli->exit_node != NULL) && !cli_is_name(kind, name))
		return false;
	if (!cli_is_name("range", range))
		return false;
	if (kind == NULL)
		snprintf(path, size, "/api/traffic?range=%s", range);
	else
		snprintf(path, size, "/api/traffic?range=%s&kind=%s&name=%s", range, kind, name);
	return true;
}

int cli_run_traffic(struct cli *cli)
{
	char path[512];
	json_t *json;
	int code;

	if (!make_path(cli, path, sizeof(path)))
		return CLI_USAGE;
	json = cli_get(cli, path, &code);
	if (json == NULL)
		return code;
	if (cli->json)
		cli_print_json(json);
	else if (cli->given & CLI_CSV)
		print_csv(json);
	else if (json_object_get(json, "points") != NULL)
		print_points(cli, json);
	else
		print_sums(cli, json);
	json_decref(json);
	return CLI_OK;
}
