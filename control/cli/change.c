/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that bring a configuration into force, or keep one. */
#include <ctype.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/cli/cli.h"

unsigned long cli_duration(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);
	unsigned long unit = strcmp(end, "h") == 0                   ? 3600
			     : strcmp(end, "m") == 0                 ? 60
			     : *end == '\0' || strcmp(end, "s") == 0 ? 1
								     : 0;

	return isdigit((unsigned char)text[0]) && value <= 86400 ? value * unit : 0;
}

char *cli_change_path(const struct cli *cli, const char *path)
{
	unsigned long seconds = cli->confirm == NULL ? 0 : cli_duration(cli->confirm);
	char *message, *result;

	if (cli->confirm != NULL && (seconds < 10 || seconds > 86400)) {
		fprintf(stderr, "sallyport: --confirm is a time from 10s to 24h, not '%s'\n",
			cli->confirm);
		return NULL;
	}
	message = evhttp_encode_uri(cli->message == NULL ? "" : cli->message);
	if (message == NULL || asprintf(&result, "%s%sconfirm=%lu%s%s", path,
				       strchr(path, '?') == NULL ? "?" : "&", seconds,
				       cli->message == NULL ? "" : "&message=",
				       cli->message == NULL ? "" : message) < 0)
		result = NULL;
	free(message);
	if (result == NULL)
		fputs("sallyport: out of memory\n", stderr);
	return result;
}

/* The files had edits that were never applied, and now say something else. */
static void print_kept(const json_t *kept)
{
	json_t *name;
	size_t i;

	json_array_foreach(kept, i, name) printf(
		"What was edited and never applied is kept in %s.\n", json_string_value(name));
}

static void print_changed(const struct cli *cli, const json_t *json)
{
	const char *text = json_string_value(json_object_get(json, "text"));
	const json_t *ends = json_object_get(json, "trial_ends");
	const char *note = cli_text(json, "note");
	time_t at = (time_t)json_integer_value(ends);
	char when[32];
	struct tm tm;

	if (text != NULL && cli_int(json, "warnings") > 0)
		fputs(text, stderr);
	if (json_is_true(json_object_get(json, "pending")))
		printf("Accepted; %s.\n", note);
	else if (json_is_true(json_object_get(json, "changed")))
		printf("Applied: %lld set, %lld deleted, generation %lld. Version %lld.\n",
			(long long)cli_int(json, "sets"), (long long)cli_int(json, "deletions"),
			(long long)cli_int(json, "generation"),
			(long long)cli_int(json, "in_force"));
	else
		puts("Nothing has changed.");
	print_kept(json_object_get(json, "kept"));
	cli_print_returns(cli, json_object_get(json, "return_routes"));
	if (!json_is_integer(ends))
		return;
	strftime(when, sizeof(when), "%H:%M:%S", localtime_r(&at, &tm));
	printf("On trial: the version before comes back at %s. Keep it: sallyport confirm\n", when);
}

int cli_changed_as(struct cli *cli, int status, char *body,
	void (*print)(const struct cli *cli, const json_t *json))
{
	json_t *json;
	int code = CLI_OK;

	if (status != 200) {
		code = status == 0 ? CLI_UNREACHABLE : cli_problem(cli, status, body);
		free(body);
		return code;
	}
	json = json_loads(body, 0, NULL);
	free(body);
	if (json_is_true(json_object_get(json, "pending")))
		code = CLI_DEGRADED;
	else if (!json_is_true(json_object_get(json, "changed")))
		code = CLI_NOTHING;
	if (cli->json)
		cli_print_json(json);
	else
		print(cli, json);
	json_decref(json);
	return code;
}

int cli_changed(struct cli *cli, int status, char *body)
{
	return cli_changed_as(cli, status, body, print_changed);
}

static int change(struct cli *cli, const char *path)
{
	char *full = cli_change_path(cli, path), *body;
	int status;

	if (full == NULL)
		return CLI_USAGE;
	status = cli_request(cli, "POST", full, "application/json", "", 0, &body);
	free(full);
	return cli_changed(cli, status, body);
}

int cli_run_apply(struct cli *cli)
{
	int code;

	return cli_accept_change(cli, NULL, &code) ? change(cli, "/api/config/apply") : code;
}

static bool is_version(const char *text)
{
	return text[0] >= '1' && text[0] <= '9' && strspn(text, "0123456789") == strlen(text) &&
	       strlen(text) < 16;
}

int cli_run_rollback(struct cli *cli)
{
	const char *version = cli->n_args > 0 ? cli->args[0] : NULL;
	char path[64] = "/api/config/rollback";
	int code;

	if (version != NULL && !is_version(version)) {
		fprintf(stderr,
			"sallyport: '%s' is not a version; `sallyport history` lists them\n",
			version);
		return CLI_USAGE;
	}
	if (version != NULL)
		snprintf(path, sizeof(path), "/api/config/rollback?version=%s", version);
	return cli_accept_rollback(cli, version, &code) ? change(cli, path) : code;
}

int cli_run_confirm(struct cli *cli)
{
	char *body;
	int status =
		cli_request(cli, "POST", "/api/config/confirm", "application/json", "", 0, &body);
	int code = status == 0 ? CLI_UNREACHABLE : CLI_OK;
	json_t *json;

	if (status != 0 && status != 200)
		code = cli_problem(cli, status, body);
	json = status == 200 ? json_loads(body, 0, NULL) : NULL;
	free(body);
	if (json == NULL)
		return code;
	if (cli->json)
		cli_print_json(json);
	else
		printf("Version %lld stays in force.\n", (long long)cli_int(json, "in_force"));
	json_decref(json);
	return code;
}
