/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a change would cut, asked before it is made. On a terminal the user says yes or no; a
 * script says --accept-risk=drop-sessions beforehand. What comes back by itself (--confirm) needs
 * neither. Without the daemon's judgement there is no number to ask about: the change itself says
 * then what is wrong.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/cli/cli.h"

static const char accepted[] = "drop-sessions";

struct risk {
	json_int_t cut, judged; /* running flows */
	json_int_t tunnels;     /* that have a session now */
	char first[64];         /* the name of one of them */
};

/* GET without a word about what is wrong with it. *reached is false without a daemon. */
static json_t *look(struct cli *cli, const char *path, bool *reached)
{
	char *body;
	int status = cli_request(cli, "GET", path, "application/json", "", 0, &body);
	json_t *json = status == 200 ? json_loads(body, 0, NULL) : NULL;

	*reached = status != 0;
	free(body);
	return json;
}

static const json_t *find_peer(const json_t *peers, const char *name)
{
	const json_t *peer;
	size_t i;

	json_array_foreach(json_object_get(peers, "peers"), i, peer)
	{
		if (strcmp(cli_text(peer, "name"), name) == 0)
			return peer;
	}
	return NULL;
}

static void count_tunnel(struct risk *risk, const json_t *peer)
{
	if (strcmp(cli_text(peer, "state"), "live") != 0)
		return;
	if (risk->tunnels++ == 0)
		snprintf(risk->first, sizeof(risk->first), "%s", cli_text(peer, "name"));
}

/* Of the tunnels that would end those that somebody uses. */
static bool count_tunnels(struct cli *cli, const json_t *ending, struct risk *risk)
{
	const json_t *list = json_object_get(ending, "peers"), *peer;
	json_int_t unlisted = cli_int(ending, "count") - (json_int_t)json_array_size(list);
	bool reached = true;
	json_t *peers;
	size_t i;

	if (cli_int(ending, "count") == 0)
		return true;
	peers = look(cli, "/api/peers", &reached);
	json_array_foreach((json_t *)list, i, peer)
	{
		const json_t *now = find_peer(peers, cli_text(peer, "name"));

		if (now != NULL)
			count_tunnel(risk, now);
	}
	risk->tunnels += unlisted > 0 ? unlisted : 0;
	json_decref(peers);
	return reached;
}

static bool take_plan(struct cli *cli, const char *path, struct risk *risk)
{
	bool reached;
	json_t *plan = look(cli, path, &reached);
	const json_t *flows = json_object_get(plan, "flows");

	risk->cut = cli_int(flows, "cut");
	risk->judged = cli_int(flows, "judged");
	if (reached)
		reached = count_tunnels(
			cli, json_object_get(json_object_get(plan, "touched"), "tunnels"), risk);
	json_decref(plan);
	return reached;
}

static const char *describe(const struct risk *risk, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	if (risk->cut > 0 && risk->judged > 0)
		n = (size_t)snprintf(text, size, "cuts %lld of %lld running flow%s",
			(long long)risk->cut, (long long)risk->judged,
			risk->judged == 1 ? "" : "s");
	else if (risk->cut > 0)
		n = (size_t)snprintf(text, size, "cuts %lld running flow%s", (long long)risk->cut,
			risk->cut == 1 ? "" : "s");
	if (risk->tunnels > 0 && n < size)
		snprintf(text + n, size - n, "%sends %lld live tunnel%s%s%s%s",
			n > 0 ? " and " : "", (long long)risk->tunnels,
			risk->tunnels == 1 ? "" : "s",
			risk->first[0] == '\0' ? ""
			: risk->tunnels == 1   ? " ("
					       : " (such as ",
			risk->first, risk->first[0] == '\0' ? "" : ")");
	return text;
}

/* A line that begins with y. */
static bool says_yes(void)
{
	char answer[16];

	fputs("Go on? [y/N] ", stderr);
	fflush(stderr);
	return fgets(answer, sizeof(answer), stdin) != NULL &&
	       tolower((unsigned char)answer[0]) == 'y';
}

static bool refuse(struct cli *cli, const struct risk *risk, const char *text)
{
	bool trial = strncmp(cli->command, "peer", 4) != 0;

	if (cli->json)
		cli_print_json_new(json_pack("{s:s, s:I, s:I, s:s}", "refused", accepted,
			"flows_cut", risk->cut, "tunnels_ended", risk->tunnels, "accept",
			"--accept-risk=drop-sessions"));
	fprintf(stderr,
		"sallyport: this %s. Nothing was changed. To go on: "
		"--accept-risk=drop-sessions%s\n",
		text, trial ? ", or on trial: --confirm 5m. More: sallyport plan" : "");
	return false;
}

static bool judge(struct cli *cli, const struct risk *risk, int *code)
{
	char text[192];

	if (risk->cut == 0 && risk->tunnels == 0)
		return true;
	*code = CLI_FAILED;
	describe(risk, text, sizeof(text));
	if (cli->json || isatty(STDIN_FILENO) != 1 || isatty(STDERR_FILENO) != 1)
		return refuse(cli, risk, text);
	fprintf(stderr, "This %s.\n", text);
	if (says_yes())
		return true;
	fputs("Nothing was changed.\n", stderr);
	return false;
}

/* True: no question is to be asked. *wrong: the option says something else. */
static bool is_accepted(const struct cli *cli, bool *wrong)
{
	*wrong = cli->accept_risk != NULL && strcmp(cli->accept_risk, accepted) != 0;
	if (*wrong)
		fprintf(stderr, "sallyport: --accept-risk is %s, not '%s'\n", accepted,
			cli->accept_risk);
	return *wrong || cli->accept_risk != NULL || cli->confirm != NULL;
}

bool cli_accept_change(struct cli *cli, const char *version, int *code)
{
	struct risk risk = {0};
	char path[64];
	bool wrong;

	*code = CLI_USAGE;
	if (is_accepted(cli, &wrong))
		return !wrong;
	snprintf(path, sizeof(path), "/api/config/plan%s%.16s",
		version == NULL ? "" : "?version=", version == NULL ? "" : version);
	*code = CLI_UNREACHABLE;
	return take_plan(cli, path, &risk) && judge(cli, &risk, code);
}

/* The version below the one in force, as text; "" if there is none, or a trial, which only ends. */
static void find_before(const json_t *history, char version[24])
{
	json_int_t in_force = 0, before = 0;
	const json_t *item;
	size_t i;

	version[0] = '\0';
	json_array_foreach(json_object_get(history, "versions"), i, item)
	{
		if (json_is_true(json_object_get(item, "on_trial")))
			return;
		if (json_is_true(json_object_get(item, "in_force")))
			in_force = cli_int(item, "version");
	}
	json_array_foreach(json_object_get(history, "versions"), i, item)
	{
		if (cli_int(item, "version") < in_force && cli_int(item, "version") > before)
			before = cli_int(item, "version");
	}
	if (before > 0)
		snprintf(version, 24, "%lld", (long long)before);
}

bool cli_accept_rollback(struct cli *cli, const char *version, int *code)
{
	char before[24];
	json_t *history;
	bool reached, wrong;

	*code = CLI_USAGE;
	if (is_accepted(cli, &wrong))
		return !wrong;
	if (version != NULL)
		return cli_accept_change(cli, version, code);
	history = look(cli, "/api/config/history", &reached);
	find_before(history, before);
	json_decref(history);
	*code = CLI_UNREACHABLE;
	return reached && (before[0] == '\0' || cli_accept_change(cli, before, code));
}

bool cli_accept_removal(struct cli *cli, const char *peer, int *code)
{
	struct risk risk = {0};
	const json_t *now;
	json_t *peers;
	bool reached, wrong;

	*code = CLI_USAGE;
	if (is_accepted(cli, &wrong))
		return !wrong;
	peers = look(cli, "/api/peers", &reached);
	now = find_peer(peers, peer);
	if (now != NULL) {
		risk.cut = cli_int(now, "flows");
		count_tunnel(&risk, now);
	}
	json_decref(peers);
	*code = CLI_UNREACHABLE;
	return reached && judge(cli, &risk, code);
}
