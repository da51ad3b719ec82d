/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that compare configurations, and the history. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/cli/cli.h"

static bool is_version_or_disk(const char *text)
{
	return strcmp(text, "disk") == 0 ||
	       (text[0] >= '1' && text[0] <= '9' && strspn(text, "0123456789") == strlen(text) &&
		       strlen(text) < 16);
}

static int refuse_version(const char *text)
{
	fprintf(stderr, "sallyport: '%s' is not a version; `sallyport history` lists them\n", text);
	return CLI_USAGE;
}

static void print_value(const json_t *value)
{
	char *text = json_is_null(value) ? strdup("nothing")
					 : json_dumps(value, JSON_ENCODE_ANY | JSON_PRESERVE_ORDER);

	fputs(text == NULL ? "?" : text, stdout);
	free(text);
}

void cli_print_changes(const json_t *changes)
{
	json_t *change, *field;
	size_t i, k;

	json_array_foreach((json_t *)changes, i, change)
	{
		const char *kind = cli_text(change, "change");

		printf("  %c %s %s\n",
			kind[0] == 'a'   ? '+'
			: kind[0] == 'r' ? '-'
					 : '~',
			cli_text(change, "kind"), cli_text(change, "name"));
		json_array_foreach(json_object_get(change, "fields"), k, field)
		{
			printf("      %s: ", cli_text(field, "key"));
			print_value(json_object_get(field, "from"));
			fputs(" -> ", stdout);
			print_value(json_object_get(field, "to"));
			putchar('\n');
		}
	}
}

void cli_print_returns(const struct cli *cli, const json_t *list)
{
	const json_t *item;
	size_t i;

	if (json_array_size(list) > 0)
		cli_print_line(
			cli, "", "\nNot masqueraded: the networks behind need these routes.");
	json_array_foreach((json_t *)list, i, item)
	{
		bool ours = json_is_string(json_object_get(item, "via"));

		cli_print_line(cli, "      ", "  %s: %s via %s", cli_text(item, "route"),
			cli_text(item, "to"), ours ? cli_text(item, "via") : "its routing peer");
	}
}

static const char *plural(json_int_t n)
{
	return n == 1 ? "" : "s";
}

/* The way of packets to everywhere comes last: its addresses are what people know. */
static void print_addresses(const json_t *view)
{
	json_t *rule, *item;
	size_t i, k, n;
	bool first = true;

	json_array_foreach((json_t *)view, i, rule)
	{
		const json_t *addresses = json_object_get(rule, "addresses");

		n = json_array_size(json_object_get(rule, "to"));
		printf("%s", first ? "" : "; ");
		first = false;
		json_array_foreach(json_object_get(rule, "to"), k, item)
		{
			printf("%s%s", json_string_value(item), k + 1 == n ? " by " : ", ");
		}
		if (json_array_size(addresses) == 0)
			fputs("refused", stdout);
		json_array_foreach((json_t *)addresses, k, item)
		{
			printf("%s%s", k == 0 ? "" : ", ", json_string_value(item));
		}
	}
}

static void print_egress(const json_t *part)
{
	json_int_t n = cli_int(part, "count");
	json_t *peer;
	size_t i;

	if (n == 0)
		return;
	printf("%lld peer%s leave%s by another egress address:\n", (long long)n, plural(n),
		n == 1 ? "s" : "");
	json_array_foreach(json_object_get(part, "peers"), i, peer)
	{
		printf("  %s: ", cli_text(peer, "name"));
		print_addresses(json_object_get(peer, "from"));
		fputs(" -> ", stdout);
		print_addresses(json_object_get(peer, "to"));
		putchar('\n');
	}
}

static void print_list(const char *sign, const json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach((json_t *)list, i, item)
	{
		printf("      %s %s\n", sign, json_string_value(item));
	}
}

static void print_exit(const char *sign, const char *name)
{
	if (name != NULL)
		printf("      %s exit node %s\n", sign, name);
}

static void print_reach(const json_t *part)
{
	json_int_t n = cli_int(part, "count");
	json_t *peer;
	size_t i;

	if (n == 0)
		return;
	printf("%lld peer%s receive%s other routes; export the wg-quick file again:\n",
		(long long)n, plural(n), n == 1 ? "s" : "");
	json_array_foreach(json_object_get(part, "peers"), i, peer)
	{
		const char *from = json_string_value(json_object_get(peer, "exit_node_from"));
		const char *to = json_string_value(json_object_get(peer, "exit_node_to"));

		printf("  %s\n", cli_text(peer, "name"));
		if (from == NULL || to == NULL || strcmp(from, to) != 0) {
			print_exit("-", from);
			print_exit("+", to);
		}
		print_list("-", json_object_get(peer, "loses"));
		print_list("+", json_object_get(peer, "gains"));
	}
}

static void print_tunnels(const json_t *part)
{
	json_int_t n = cli_int(part, "count");
	json_t *peer;
	size_t i;

	if (n == 0)
		return;
	printf("%lld tunnel%s end%s:\n", (long long)n, plural(n), n == 1 ? "s" : "");
	json_array_foreach(json_object_get(part, "peers"), i, peer)
	{
		printf("  %s: %s\n", cli_text(peer, "name"), cli_text(peer, "why"));
	}
}

static void print_flows(const json_t *flows)
{
	json_int_t cut = cli_int(flows, "cut"), running = cli_int(flows, "running");
	json_int_t judged = cli_int(flows, "judged");
	json_t *flow;
	size_t i;

	if (!json_is_object(flows)) {
		puts("Running flows are unknown: there is no data plane.");
		return;
	}
	printf("%lld of %lld running flow%s would be cut%s\n", (long long)cut, (long long)judged,
		plural(judged), cut == 0 ? "." : ":");
	json_array_foreach(json_object_get(flows, "list"), i, flow)
	{
		printf("  %s: %s %s %lld -> %s %lld: %s\n", cli_text(flow, "from"),
			cli_text(flow, "protocol"), cli_text(flow, "src"),
			(long long)cli_int(flow, "sport"), cli_text(flow, "dst"),
			(long long)cli_int(flow, "dport"), cli_text(flow, "why"));
	}
	if (cut > (json_int_t)json_array_size(json_object_get(flows, "list")))
		printf("  and %lld more\n",
			(long long)cut -
				(long long)json_array_size(json_object_get(flows, "list")));
	if (judged < running)
		printf("Cut short: %lld of %lld running flows were judged, in the order of the "
		       "data plane's tables.\n",
			(long long)judged, (long long)running);
}

static void print_plan(const struct cli *cli, const json_t *json)
{
	const json_t *changes = json_object_get(json, "changes"), *touched;
	const char *text = json_string_value(json_object_get(json, "text"));
	json_t *item;
	size_t i;

	if (text != NULL && cli_int(json, "warnings") > 0)
		fputs(text, stderr);
	if (json_array_size(changes) == 0) {
		puts("Nothing would change.");
		return;
	}
	printf("%zu change%s:\n", json_array_size(changes),
		plural((json_int_t)json_array_size(changes)));
	cli_print_changes(changes);
	touched = json_object_get(json, "touched");
	print_egress(json_object_get(touched, "egress"));
	print_reach(json_object_get(touched, "reach"));
	print_tunnels(json_object_get(touched, "tunnels"));
	print_flows(json_object_get(json, "flows"));
	json_array_foreach(json_object_get(json, "restart_needed"), i, item)
	{
		printf("%s needs a restart of the data plane.\n", json_string_value(item));
	}
	cli_print_returns(cli, json_object_get(json, "return_routes"));
	printf("The data plane would be given %lld object%s and lose %lld.\n",
		(long long)cli_int(json, "sets"), plural(cli_int(json, "sets")),
		(long long)cli_int(json, "deletions"));
}

int cli_run_plan(struct cli *cli)
{
	char path[64] = "/api/config/plan";
	json_t *json;
	int code;

	if (cli->n_args > 0 &&
		(strcmp(cli->args[0], "disk") == 0 || !is_version_or_disk(cli->args[0])))
		return refuse_version(cli->args[0]);
	if (cli->n_args > 0)
		snprintf(path, sizeof(path), "/api/config/plan?version=%s", cli->args[0]);
	json = cli_get(cli, path, &code);
	if (json == NULL)
		return code;
	code = json_array_size(json_object_get(json, "changes")) == 0 ? CLI_OK : CLI_DIFFERS;
	if (cli->json)
		cli_print_json(json);
	else
		print_plan(cli, json);
	json_decref(json);
	return code;
}

int cli_run_config_diff(struct cli *cli)
{
	char path[128];
	const json_t *changes;
	json_t *json;
	int code;

	for (int i = 0; i < 2; i++) {
		if (!is_version_or_disk(cli->args[i]))
			return refuse_version(cli->args[i]);
	}
	snprintf(path, sizeof(path), "/api/config/diff?from=%s&to=%s", cli->args[0], cli->args[1]);
	json = cli_get(cli, path, &code);
	if (json == NULL)
		return code;
	changes = json_object_get(json, "changes");
	if (cli->json)
		cli_print_json(json);
	else if (json_array_size(changes) == 0)
		puts("They say the same.");
	else
		cli_print_changes(changes);
	code = json_array_size(changes) == 0 ? CLI_OK : CLI_DIFFERS;
	json_decref(json);
	return code;
}

static void print_files(const json_t *files)
{
	json_t *file;
	size_t i;

	json_array_foreach((json_t *)files, i, file)
	{
		printf("%s# --- %s\n%s", i == 0 ? "" : "\n", cli_text(file, "name"),
			cli_text(file, "text"));
	}
}

static void print_origins(struct cli *cli, const json_t *values)
{
	/* Values last: the longest one, of a list, would push all else aside. */
	static const char *const headers[] = {"KEY", "FROM", "VALUE", NULL};
	struct cli_table *table = cli_table_create(headers);
	const json_t *value;
	size_t i;

	json_array_foreach((json_t *)values, i, value)
	{
		const json_t *shown = json_object_get(value, "value");
		char *text = json_is_string(shown)
				     ? NULL
				     : json_dumps(shown, JSON_ENCODE_ANY | JSON_PRESERVE_ORDER);

		cli_table_cell(table, "%s", cli_text(value, "path"));
		cli_table_cell(table, "%s", cli_text(value, "origin"));
		cli_table_cell(table, "%s", text != NULL ? text : json_string_value(shown));
		free(text);
	}
	cli_table_print(cli, &table);
}

int cli_run_config_show(struct cli *cli)
{
	const char *version = cli->n_args == 0 ? "disk" : cli->args[0];
	char path[64];
	json_t *json;
	int code;

	if (!is_version_or_disk(version))
		return refuse_version(version);
	snprintf(path, sizeof(path), "/api/config/versions/%s%s", version,
		cli->given & CLI_ORIGIN ? "?origin=1" : "");
	json = cli_get(cli, path, &code);
	if (json == NULL)
		return code;
	if (cli->json)
		cli_print_json(json);
	else if (cli->given & CLI_ORIGIN)
		print_origins(cli, json_object_get(json, "values"));
	else
		print_files(json_object_get(json, "files"));
	json_decref(json);
	return CLI_OK;
}

static void print_history(struct cli *cli, const json_t *json)
{
	static const char *const headers[] = {
		">VERSION", "TIME", "WHO", "WHAT", "DIGEST", "MESSAGE", NULL};
	struct cli_table *table = cli_table_create(headers);
	json_t *version;
	size_t i;

	json_array_foreach(json_object_get(json, "versions"), i, version)
	{
		time_t at = (time_t)cli_int(version, "time");
		char when[32];
		struct tm tm;

		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", localtime_r(&at, &tm));
		cli_table_cell(table, "%s%lld",
			json_is_true(json_object_get(version, "on_trial"))   ? "?"
			: json_is_true(json_object_get(version, "in_force")) ? "*"
									     : "",
			(long long)cli_int(version, "version"));
		cli_table_cell(table, "%s", when);
		cli_table_cell(table, "%s", cli_text(version, "who"));
		cli_table_cell(table, "%s", cli_text(version, "what"));
		cli_table_cell(table, "%.8s", cli_text(version, "digest"));
		cli_table_cell(table, "%s", cli_text(version, "message"));
	}
	cli_table_print(cli, &table);
	if (cli_text(json, "trouble")[0] != '\0')
		printf("\n%s\n", cli_text(json, "trouble"));
}

int cli_run_history(struct cli *cli)
{
	int code;
	json_t *json = cli_get(cli, "/api/config/history", &code);

	if (json == NULL)
		return code;
	if (cli->json)
		cli_print_json(json);
	else
		print_history(cli, json);
	json_decref(json);
	return CLI_OK;
}
