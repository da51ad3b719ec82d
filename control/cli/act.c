/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that check, change or hand out something. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/bind/bind.h"
#include "control/cli/cli.h"
#include "control/conf/conf.h"
#include "control/expect/expect.h"
#include "control/plan/plan.h"

/* What the data plane assumes by itself. */
#define OVERLAY_USUAL "sp0"
enum { MTU_USUAL = 1500 };

struct model *cli_load_model(struct cli *cli, int *code)
{
	const char *file = cli->config == NULL ? "/etc/sallyport/sallyport.yaml" : cli->config;
	json_t *status = NULL;
	struct model *model;
	struct diag *diag;

	*code = CLI_OK;
	if (cli->config == NULL && cli_is_reachable(cli)) {
		status = cli_get(cli, "/api/status", code);
		if (json_is_string(json_object_get(status, "config_file")))
			file = json_string_value(json_object_get(status, "config_file"));
	}
	model = conf_load(file, NULL, &diag);
	if (model == NULL) {
		diag_print(diag, stderr, cli->colour);
		*code = CLI_USAGE;
	}
	diag_destroy(&diag);
	json_decref(status);
	return model;
}

int cli_run_check(struct cli *cli)
{
	struct diag *diag;
	struct model *model = conf_load(cli->args[0], cli->state_dir, &diag);
	bool good = model != NULL && expect_check(model, diag);
	json_t *returns = good ? plan_return_routes(model) : json_array();
	int code = good ? CLI_OK : CLI_USAGE;

	if (cli->json) {
		json_t *json = diag_json(diag);

		json_object_set(json, "return_routes", returns);
		cli_print_json(json);
		json_decref(json);
	} else {
		diag_print(diag, stderr, cli->colour);
		if (good)
			printf("%s: no errors\n", cli->args[0]);
		cli_print_returns(cli, returns);
	}
	json_decref(returns);
	model_destroy(&model);
	diag_destroy(&diag);
	return code;
}

static const char *severity_of(const struct diag_code_info *info)
{
	return info->severity == DIAG_ERROR ? "error" : "warning";
}

static json_t *code_json(const struct diag_code_info *info)
{
	char code[DIAG_CODE_TEXT_MAX];

	return json_pack("{s:s, s:s, s:s, s:s}", "code", diag_code_format(info->code, code),
		"severity", severity_of(info), "title", info->title, "explanation",
		info->explanation);
}

static void print_code(struct cli *cli, const struct diag_code_info *info)
{
	char code[DIAG_CODE_TEXT_MAX];
	json_t *json;

	if (cli->json) {
		json = code_json(info);
		cli_print_json(json);
		json_decref(json);
		return;
	}
	printf("%s (%s): %s.\n\n", diag_code_format(info->code, code), severity_of(info),
		info->title);
	cli_print_wrapped(cli, 0, "", info->explanation);
}

static void print_all_codes(struct cli *cli)
{
	const struct diag_code_info *info;
	json_t *json = json_pack("{s:i, s:[]}", "schema", 1, "codes");
	char code[DIAG_CODE_TEXT_MAX];

	for (size_t i = 0; (info = diag_code_at(i)) != NULL; i++) {
		json_array_append_new(json_object_get(json, "codes"), code_json(info));
		if (!cli->json)
			printf("%s  %-7s  %s\n", diag_code_format(info->code, code),
				severity_of(info), info->title);
	}
	if (cli->json)
		cli_print_json(json);
	json_decref(json);
}

/* A reason that `drops` shows: the data plane's own words, and what it has counted. */
static int explain_drop(struct cli *cli, const char *name)
{
	int code;
	json_t *json = cli_get(cli, "/api/drops", &code), *drops, *drop;
	size_t i;

	if (json == NULL) {
		if (code == CLI_UNREACHABLE)
			fputs("Reasons of drops are explained by the data plane that runs; codes "
			      "such as SP0201 by `sallyport explain` alone.\n",
				stderr);
		return code;
	}
	code = CLI_USAGE;
	drops = json_object_get(json, "drops");
	json_array_foreach(drops, i, drop)
	{
		if (strcmp(cli_text(drop, "name"), name) != 0)
			continue;
		code = CLI_OK;
		if (cli->json)
			cli_print_json(drop);
		else
			printf("%s (reason of drops): %s.\n\n%lld packets so far. To see some: "
			       "sallyport capture --drops -w drops.pcapng\n",
				name, cli_text(drop, "text"), (long long)cli_int(drop, "packets"));
	}
	if (json_array_size(drops) == 0)
		fprintf(stderr,
			"sallyport: '%s' is no code; reasons of drops are explained by the data "
			"plane, and none runs; see: sallyport doctor\n",
			name);
	else if (code != CLI_OK)
		fprintf(stderr,
			"sallyport: no packet is dropped as '%s'; `sallyport drops --all` lists "
			"the reasons\n",
			name);
	json_decref(json);
	return code;
}

int cli_run_explain(struct cli *cli)
{
	const struct diag_code_info *info = diag_explain(cli->args[0]);

	if (info != NULL) {
		print_code(cli, info);
		return CLI_OK;
	}
	if (strcmp(cli->args[0], "all") != 0) {
		if (strchr(cli->args[0], '.') != NULL)
			return explain_drop(cli, cli->args[0]);
		fprintf(stderr,
			"sallyport: there is no code '%s'; `sallyport explain all` lists them\n",
			cli->args[0]);
		return CLI_USAGE;
	}
	print_all_codes(cli);
	return CLI_OK;
}

/* Prints text with the key in the place that the daemon has left for it. */
static void print_with_key(FILE *out, const char *text, const char *key)
{
	static const char mark[] = "PrivateKey = @PRIVATE_KEY@";
	const char *at = strstr(text, mark);

	if (at == NULL) {
		fputs(text, out);
		return;
	}
	fprintf(out, "%.*s", (int)(at - text), text);
	if (key != NULL)
		fprintf(out, "PrivateKey = %s", key);
	else
		fputs("# PrivateKey = ... (the peer's own, see `wg genkey`)", out);
	fputs(at + strlen(mark), out);
}

static int print_export(struct cli *cli, const char *body, const char *key)
{
	char *text = NULL;
	size_t size;
	FILE *out;
	json_t *json;
	int code = CLI_OK;

	if (!cli->json && !(cli->given & CLI_QR)) {
		print_with_key(stdout, body, key);
		return CLI_OK;
	}
	out = open_memstream(&text, &size);
	if (out == NULL)
		return CLI_FAILED;
	print_with_key(out, body, key);
	fclose(out);
	if (cli->json) {
		json = json_pack("{s:s, s:s}", "name", cli->args[0], "config", text);
		cli_print_json(json);
		json_decref(json);
	} else {
		code = cli_print_qr(cli, text);
	}
	explicit_bzero(text, size);
	free(text);
	return code;
}

static bool is_word(const char *text, const char *more)
{
	for (; *text != '\0'; text++) {
		if (strchr("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
			    *text) == NULL &&
			strchr(more, *text) == NULL)
			return false;
	}
	return true;
}

int cli_export(struct cli *cli, const char *name, const char *key)
{
	char path[512], *body = NULL;
	int status, code = CLI_OK;

	if (!is_word(name, "-_") || (cli->endpoint != NULL && !is_word(cli->endpoint, ".:-[]"))) {
		fputs("sallyport: not the name of a peer, or not HOST:PORT\n", stderr);
		return CLI_USAGE;
	}
	snprintf(path, sizeof(path), "/api/peers/%.64s/export?format=wg-quick%s%s%.128s", name,
		cli->given & CLI_FULL ? "&full=1" : "", cli->endpoint != NULL ? "&endpoint=" : "",
		cli->endpoint != NULL ? cli->endpoint : "");
	status = cli_request(cli, "GET", path, "text/plain", "", 0, &body);
	if (status == 0)
		code = CLI_UNREACHABLE;
	else if (status != 200)
		code = cli_problem(cli, status, body);
	else
		code = print_export(cli, body, key);
	free(body);
	return code;
}

int cli_run_export(struct cli *cli)
{
	char text[KEY_TEXT_MAX] = "";
	struct key key = {0};
	int rc, code;

	if (cli->given & CLI_QR && cli->private_key_file == NULL) {
		fputs("sallyport: a telephone needs its private key too: --private-key-file FILE\n",
			stderr);
		return CLI_USAGE;
	}
	if (cli->private_key_file != NULL) {
		rc = conf_key_file_read(".", cli->private_key_file, true, &key);
		if (rc < 0) {
			fprintf(stderr, "sallyport: %s: %s\n", cli->private_key_file,
				rc == -EACCES   ? "readable by others; chmod 0600"
				: rc == -EINVAL ? "does not hold a key"
						: strerror(-rc));
			return CLI_USAGE;
		}
		key_format(&key, text);
	}
	code = cli_export(cli, cli->args[0], text[0] == '\0' ? NULL : text);
	key_wipe(&key);
	explicit_bzero(text, sizeof(text));
	return code;
}

/* What the data plane has to know before the first port is set. */
static void add_port_args(const struct model *model, json_t *list)
{
	char address[BIND_ADDRESS_MAX];
	unsigned mtu = 0;
	bool pci = false;

	for (size_t i = 0; i < model->tables[MODEL_PORT].n; i++) {
		const struct model_port *port = model_port_at(model, i);

		pci |= bind_device_address(port->device, address);
		mtu = port->mtu > mtu ? port->mtu : mtu;
	}
	if (pci)
		json_array_append_new(list, json_string("--allow-pci"));
	if (mtu > MTU_USUAL)
		json_array_append_new(list, json_sprintf("--mtu-max=%u", mtu));
}

static json_t *list_dataplane_args(const struct model *model)
{
	const struct model_dataplane *dataplane = &model->dataplane;
	json_t *list = json_array();

	if (dataplane->workers != 0)
		json_array_append_new(list, json_sprintf("--workers=%u", dataplane->workers));
	json_array_append_new(
		list, json_sprintf("--idle=%s",
			      dataplane->idle == MODEL_IDLE_POLL ? "poll" : "adaptive"));
	if (dataplane->memory_mib != 0)
		json_array_append_new(list, json_sprintf("--memory=%u", dataplane->memory_mib));
	if (dataplane->cores != NULL)
		json_array_append_new(list, json_sprintf("--lcores=%s", dataplane->cores));
	add_port_args(model, list);
	if (strcmp(model->wireguard.interface, OVERLAY_USUAL) != 0)
		json_array_append_new(
			list, json_sprintf("--overlay-name=%s", model->wireguard.interface));
	return list;
}

int cli_run_dataplane_args(struct cli *cli)
{
	struct diag *diag;
	struct model *model = conf_load(cli->args[0], NULL, &diag);
	json_t *list, *item;
	size_t i;

	if (model == NULL) {
		diag_print(diag, stderr, cli->colour);
		diag_destroy(&diag);
		return CLI_USAGE;
	}
	list = list_dataplane_args(model);
	if (cli->json) {
		cli_print_json(list);
	} else {
		json_array_foreach(list, i, item)
		{
			printf("%s%s", i == 0 ? "" : " ", json_string_value(item));
		}
		putchar('\n');
	}
	json_decref(list);
	model_destroy(&model);
	diag_destroy(&diag);
	return CLI_OK;
}

int cli_run_schema(struct cli *cli)
{
	json_t *schema = conf_schema();

	cli_print_json(schema);
	json_decref(schema);
	return CLI_OK;
}
