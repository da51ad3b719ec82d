/* SPDX-License-Identifier: BSD-3-Clause */
/* Configurations of others. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/cli/cli.h"
#include "control/conf/conf.h"
#include "control/wgquick/wgquick.h"

enum { FILE_MAX = 64 << 20 };

static char *read_file(const char *name, size_t *size)
{
	FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
	char *text = NULL;
	size_t n;

	*size = 0;
	if (file == NULL)
		return NULL;
	do {
		char *grown = realloc(text, *size + 65536);

		if (grown == NULL || *size > FILE_MAX) {
			free(grown == NULL ? text : grown);
			text = NULL;
			break;
		}
		text = grown;
		n = fread(text + *size, 1, 65536, file);
		*size += n;
	} while (n > 0);
	if (file != stdin)
		fclose(file);
	return text;
}

/* Keys are written only where there is none of that name; else what to do is said. */
static int keep_secrets(const struct cli *cli, const struct wgquick *file)
{
	for (size_t i = 0; i < file->n_secrets; i++) {
		const struct wgquick_secret *secret = &file->secrets[i];
		char path[PATH_MAX];
		int rc;

		if (cli->state_dir == NULL) {
			fprintf(stderr,
				"sallyport: the key for %s was not written: give --state-dir\n",
				secret->file);
			continue;
		}
		snprintf(path, sizeof(path), "%s/%s", cli->state_dir, secret->file);
		rc = access(path, F_OK) == 0
			     ? -EEXIST
			     : conf_key_file_write(cli->state_dir, secret->file, &secret->key);
		if (rc < 0) {
			fprintf(stderr, "sallyport: %s: %s\n", path,
				rc == -EEXIST ? "is there already and was left alone"
					      : strerror(-rc));
			return CLI_FAILED;
		}
	}
	return CLI_OK;
}

static int print_import(struct cli *cli, const struct wgquick *file)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	json_t *json;

	if (out == NULL)
		return CLI_FAILED;
	wgquick_write_yaml(out, file, cli->args[0]);
	fclose(out);
	if (cli->json) {
		json = json_pack("{s:i, s:i, s:s}", "schema", 1, "peers", (int)file->n_peers,
			"config", text);
		cli_print_json(json);
		json_decref(json);
	} else {
		fputs(text, stdout);
	}
	free(text);
	return keep_secrets(cli, file);
}

int cli_run_import(struct cli *cli)
{
	size_t size;
	char *text = read_file(cli->args[0], &size), *shown;
	struct wgquick *file;
	struct diag *diag;
	int code = CLI_USAGE;

	if (text == NULL) {
		fprintf(stderr, "sallyport: %s: %s\n", cli->args[0], strerror(errno));
		return CLI_USAGE;
	}
	shown = malloc(size + 1);
	if (shown == NULL)
		abort();
	memcpy(shown, text, size);
	wgquick_redact(shown, size);
	diag = diag_create(cli->args[0], shown, size);
	file = wgquick_parse(text, size, diag);
	explicit_bzero(text, size);
	free(text);
	free(shown);
	if (file == NULL && cli->json) {
		json_t *json = diag_json(diag);

		cli_print_json(json);
		json_decref(json);
	} else if (file == NULL) {
		diag_print(diag, stderr, cli->colour);
	} else {
		code = print_import(cli, file);
	}
	wgquick_destroy(&file);
	diag_destroy(&diag);
	return code;
}
