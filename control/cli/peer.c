/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A peer comes and goes with a file of its own. The key pair is made here: the private key reaches
 * neither the daemon nor a disk, only the file that is printed.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/key.h"
#include "control/cli/cli.h"

/* "a,b" as a list. */
static json_t *split(const char *text)
{
	json_t *list = json_array();

	while (text != NULL && *text != '\0') {
		size_t length = strcspn(text, ",");

		if (length > 0)
			json_array_append_new(list, json_stringn(text, length));
		text += length + (text[length] == ',');
	}
	return list;
}

/* One request; its answer's body, or NULL and *code. */
static char *add(struct cli *cli, const char *public_key, int *code)
{
	char *path = cli_change_path(cli, "/api/peers"), *body = NULL, *answer = NULL;
	json_t *asked = json_pack("{s:s, s:s, s:o, s:o}", "name", cli->args[0], "public_key",
		public_key, "groups", split(cli->groups), "addresses", split(cli->address));
	int status;

	*code = CLI_USAGE;
	if (asked != NULL)
		body = json_dumps(asked, JSON_COMPACT);
	json_decref(asked);
	if (path == NULL || body == NULL)
		goto out;
	status = cli_request(cli, "POST", path, "application/json", body, strlen(body), &answer);
	*code = status == 200 ? CLI_OK
		: status == 0 ? CLI_UNREACHABLE
			      : cli_problem(cli, status, answer);
	if (status != 200) {
		free(answer);
		answer = NULL;
	}
out:
	free(body);
	free(path);
	return answer;
}

int cli_run_peer_add(struct cli *cli)
{
	char public_text[KEY_TEXT_MAX], private_text[KEY_TEXT_MAX] = "", *answer;
	struct key private_key = {0}, public_key;
	json_t *json;
	int code = CLI_FAILED;

	if (cli->public_key != NULL && key_parse(cli->public_key, &public_key) < 0) {
		fputs("sallyport: --public-key is not a WireGuard key of 44 characters\n", stderr);
		return CLI_USAGE;
	}
	if (cli->public_key == NULL) {
		key_generate(&private_key);
		key_format(&private_key, private_text);
		if (key_public(&private_key, &public_key) < 0)
			goto out;
	}
	answer = add(cli, key_format(&public_key, public_text), &code);
	json = answer == NULL ? NULL : json_loads(answer, 0, NULL);
	free(answer);
	if (json == NULL)
		goto out;
	/* To standard error: what is printed can go straight into a file. */
	if (!cli->json)
		fprintf(stderr, "Peer %s is in force as version %lld%s.%s\n", cli->args[0],
			(long long)cli_int(json, "in_force"),
			json_is_true(json_object_get(json, "pending"))
				? ", once the data plane is there"
				: "",
			cli->public_key == NULL
				? " Its private key is shown this once and stored nowhere."
				: "");
	json_decref(json);
	code = cli_export(cli, cli->args[0], private_text[0] == '\0' ? NULL : private_text);
out:
	key_wipe(&private_key);
	explicit_bzero(private_text, sizeof(private_text));
	return code;
}

int cli_run_peer_remove(struct cli *cli)
{
	char path[128], *full, *body;
	int status, code;

	if (strlen(cli->args[0]) > 63 || strpbrk(cli->args[0], "/?&#% ") != NULL) {
		fprintf(stderr,
			"sallyport: '%s' is not the name of a peer; `sallyport peers` lists them\n",
			cli->args[0]);
		return CLI_USAGE;
	}
	snprintf(path, sizeof(path), "/api/peers/%s", cli->args[0]);
	if (!cli_accept_removal(cli, cli->args[0], &code))
		return code;
	full = cli_change_path(cli, path);
	if (full == NULL)
		return CLI_USAGE;
	status = cli_request(cli, "DELETE", full, "application/json", "", 0, &body);
	free(full);
	return cli_changed(cli, status, body);
}
