/* SPDX-License-Identifier: BSD-3-Clause */
/* Step by step: the machine from here, the gateway from the daemon. */
#include <string.h>

#include "control/cli/cli.h"
#include "control/doctor/doctor.h"

static void print_finding(const struct cli *cli, const json_t *finding)
{
	static const struct {
		const char *state, *colour;
	} colours[] = {
		{"ok", "32"}, {"warn", "33"}, {"fail", "1;31"}, {"ask", "36"}, {"skip", "2"}};
	const char *state = cli_text(finding, "state");
	const char *fix = json_string_value(json_object_get(finding, "fix"));
	char shown[32];

	snprintf(shown, sizeof(shown), "%-4s", state);
	for (size_t i = 0; cli->colour && i < sizeof(colours) / sizeof(colours[0]); i++) {
		if (strcmp(colours[i].state, state) == 0)
			snprintf(shown, sizeof(shown), "\033[%sm%-4s\033[0m", colours[i].colour,
				state);
	}
	printf("%s  ", shown);
	cli_print_wrapped(cli, 6, "      ", cli_text(finding, "title"));
	fputs("      ", stdout);
	cli_print_wrapped(cli, 6, "      ", cli_text(finding, "text"));
	if (fix != NULL) {
		fputs("      -> ", stdout);
		cli_print_wrapped(cli, 9, "         ", fix);
	}
}

/* One line per good step with its text, more for others. */
static void print_short(const struct cli *cli, const json_t *finding)
{
	const char *state = cli_text(finding, "state"), *text = cli_text(finding, "text");
	char line[256];

	if ((strcmp(state, "ok") != 0 && strcmp(state, "skip") != 0) ||
		strchr(text, '\n') != NULL ||
		snprintf(line, sizeof(line), "%-28s %s", cli_text(finding, "title"), text) > 73) {
		print_finding(cli, finding);
		return;
	}
	printf("%s%-4s%s  %s\n",
		!cli->colour      ? ""
		: state[0] == 'o' ? "\033[32m"
				  : "\033[2m",
		state, cli->colour ? "\033[0m" : "", line);
}

static void print_part(const struct cli *cli, const char *name, const json_t *findings)
{
	const json_t *finding;
	size_t i;

	printf("%s%s%s\n", cli->colour ? "\033[1m" : "", name, cli->colour ? "\033[0m" : "");
	json_array_foreach((json_t *)findings, i, finding)
	{
		if (strcmp(cli_text(finding, "state"), "skip") != 0 ||
			strcmp(cli_text(finding, "text"), "does not apply here") != 0)
			print_short(cli, finding);
	}
}

/* What the daemon says; or one finding that there is none, with how to start it. */
static json_t *ask_daemon(struct cli *cli, bool *running, int *code)
{
	char path[256];
	json_t *json, *checks;

	*code = CLI_OK;
	*running = cli_is_reachable(cli);
	if (!*running)
		return json_pack("[{s:s, s:s, s:s, s:s, s:s}]", "step", "daemon", "title", "daemon",
			"state", "fail", "text",
			"sallyportd does not run: what only it knows was not looked at", "fix",
			"systemctl start sallyportd; without systemd: sallyportd --config FILE");
	snprintf(path, sizeof(path), "/api/doctor%s%.64s",
		cli->as == NULL ? "" : "?as=", cli->as == NULL ? "" : cli->as);
	json = cli_get(cli, path, code);
	checks = json_incref(json_object_get(json, "checks"));
	json_decref(json);
	*running = checks != NULL;
	return checks;
}

static json_t *look_at_machine(const struct cli *cli, const struct model *model, bool running)
{
	struct doctor_machine machine = {.root = "", .model = model, .running = running};
	json_t *rules, *findings;
	int error;

	rules = doctor_ruleset(&error);
	if (rules == NULL && !cli->json)
		fputs("sallyport: the firewall's rules cannot be read; try as root\n", stderr);
	machine.ruleset = rules;
	findings = doctor_machine(&machine);
	json_decref(rules);
	return findings;
}

static bool is_plain(const char *name)
{
	return name == NULL || strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz_-"
					    "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(name);
}

json_t *cli_diagnose(struct cli *cli, int *code)
{
	json_t *machine, *gateway, *all;
	struct model *model;
	bool running, failed;

	gateway = ask_daemon(cli, &running, code);
	if (gateway == NULL)
		return NULL;
	model = cli_load_model(cli, code); /* NULL: without ports */
	machine = look_at_machine(cli, model, running);
	model_destroy(&model);
	failed = doctor_has(machine, DOCTOR_FAIL) || doctor_has(gateway, DOCTOR_FAIL);
	all = json_pack("{s:i, s:b, s:o, s:o}", "schema", 1, "ok", !failed, "machine", machine,
		"gateway", gateway);
	*code = failed ? CLI_FAILED : CLI_OK;
	return all;
}

int cli_run_doctor(struct cli *cli)
{
	json_t *all;
	int code;

	if (!is_plain(cli->as)) {
		fputs("sallyport: not a name of a peer\n", stderr);
		return CLI_USAGE;
	}
	all = cli_diagnose(cli, &code);
	if (all == NULL)
		return code;
	if (cli->json) {
		cli_print_json(all);
	} else {
		if (cli->columns == 0)
			cli->columns = 80; /* its texts are long: not one line of each in a file */
		print_part(cli, "machine", json_object_get(all, "machine"));
		putchar('\n');
		print_part(cli, cli->as == NULL ? "gateway" : "gateway and peer",
			json_object_get(all, "gateway"));
		printf("\n%s\n", code == CLI_FAILED
					 ? "Something stands in the way: see the steps that fail."
					 : "Nothing stands in the way that can be seen from here.");
	}
	json_decref(all);
	return code;
}
