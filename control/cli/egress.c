/* SPDX-License-Identifier: BSD-3-Clause */
/* Egress addresses for allow lists, and whose their ports were. */
#include <string.h>
#include <time.h>

#include "control/cli/cli.h"

int cli_run_egress_list(struct cli *cli)
{
	int code;
	json_t *json = cli_get(cli, "/api/egress", &code), *list, *pool, *address;
	size_t i, k;

	if (json == NULL)
		return code;
	list = json_array();
	json_array_foreach(json_object_get(json, "pools"), i, pool)
	{
		json_array_foreach(json_object_get(pool, "addresses"), k, address)
		{
			json_array_append_new(list,
				json_pack("{s:s, s:s}", "address", cli_text(address, "address"),
					"pool", cli_text(pool, "name")));
			if (!cli->json)
				puts(cli_text(address, "address"));
		}
	}
	if (cli->json) {
		json_t *all = json_pack("{s:i, s:O}", "schema", 1, "addresses", list);

		cli_print_json(all);
		json_decref(all);
	}
	json_decref(list);
	json_decref(json);
	return CLI_OK;
}

/* "2026-11-20 14:03[:07]", also with a T, in this machine's time zone; "@1795183387". */
static bool read_time(const char *text, long long *at_ms)
{
	static const char *const forms[] = {
		"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"};
	long long seconds;
	char rest;

	if (sscanf(text, "@%lld%c", &seconds, &rest) == 1) {
		*at_ms = seconds * 1000;
		return seconds > 0;
	}
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = {.tm_isdst = -1};
		const char *end = strptime(text, forms[i], &tm);
		time_t at;

		if (end == NULL || (end[0] != '\0' && strcmp(end, "Z") != 0))
			continue;
		at = *end == 'Z' ? timegm(&tm) : mktime(&tm);
		*at_ms = (long long)at * 1000;
		return at > 0;
	}
	return false;
}

static void time_cell(struct cli_table *table, const json_t *value)
{
	time_t at = (time_t)(json_integer_value(value) / 1000);
	char text[32];
	struct tm tm;

	if (json_is_null(value)) {
		cli_table_cell(table, "still");
		return;
	}
	localtime_r(&at, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	cli_table_cell(table, "%s", text);
}

static void print_users(struct cli *cli, const json_t *users)
{
	static const char *const headers[] = {"WHO", "PROTO", "PORTS", "FROM", "TO", "", NULL};
	struct cli_table *table = cli_table_create(headers);
	const json_t *user;
	size_t i;

	json_array_foreach((json_t *)users, i, user)
	{
		cli_table_cell(table, "%s", cli_text(user, "who"));
		cli_table_cell(table, "%s", cli_text(user, "protocol"));
		cli_table_cell(table, "%lld-%lld", (long long)cli_int(user, "port_first"),
			(long long)cli_int(user, "port_last"));
		time_cell(table, json_object_get(user, "since_ms"));
		time_cell(table, json_object_get(user, "until_ms"));
		cli_table_cell(
			table, "%s", json_is_true(json_object_get(user, "shared")) ? "shared" : "");
	}
	cli_table_print(cli, &table);
}

int cli_run_egress_who(struct cli *cli)
{
	char path[256], at[32] = "";
	long long at_ms = 0;
	json_t *json, *users;
	int code;

	if (cli->n_args == 2 && !read_time(cli->args[1], &at_ms)) {
		fprintf(stderr,
			"sallyport: '%s' is no time; \"2026-11-20 14:03\", with :SS or Z, or "
			"@UNIX\n",
			cli->args[1]);
		return CLI_USAGE;
	}
	if (strspn(cli->args[0], "0123456789abcdefABCDEF.:[]") != strlen(cli->args[0]) ||
		(cli->proto != NULL && strspn(cli->proto, "tcpudim") != strlen(cli->proto))) {
		fputs("sallyport: ADDRESS:PORT or [ADDRESS]:PORT, --proto tcp, udp or icmp\n",
			stderr);
		return CLI_USAGE;
	}
	if (cli->n_args == 2)
		snprintf(at, sizeof(at), "&at_ms=%lld", at_ms);
	snprintf(path, sizeof(path), "/api/egress/who?endpoint=%.64s%s%s%.8s", cli->args[0], at,
		cli->proto == NULL ? "" : "&proto=", cli->proto == NULL ? "" : cli->proto);
	json = cli_get(cli, path, &code);
	if (json == NULL)
		return code;
	users = json_object_get(json, "users");
	code = json_array_size(users) > 0 ? CLI_OK : CLI_NOTHING;
	if (cli->json)
		cli_print_json(json);
	else if (code == CLI_OK)
		print_users(cli, users);
	else
		puts("Nobody had that port then.");
	json_decref(json);
	return code;
}
