/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks and applies the configuration file; an apply is answered when the data plane has it. */
#include "control/api/api_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/conf/conf.h"

/* Findings as JSON, and as the text that a person is shown. */
static json_t *findings_json(struct diag *diag)
{
	json_t *json = diag_json(diag);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out != NULL) {
		diag_print(diag, out, false);
		fclose(out);
		json_object_set_new(json, "text", json_string(text));
	}
	free(text);
	return json;
}

/* The file of the request's body, or the daemon's own one if the body is empty. */
static struct model *read_config(struct api *api, struct http_request *request, struct diag **diag)
{
	const char *file = http_query(request, "file");
	size_t size;
	const char *body = http_body(request, &size);

	if (size == 0)
		return conf_load(api->config_file, api->state_dir, diag);
	return conf_parse(file == NULL ? "request" : file, body, size, api->state_dir, diag);
}

void api_post_check(struct http_request *request, void *arg)
{
	struct diag *diag;
	struct model *model = read_config(arg, request, &diag);

	if (model != NULL)
		http_reply(request, 200, findings_json(diag));
	else
		http_reply_problem(
			request, 422, "the configuration has errors", findings_json(diag));
	model_destroy(&model);
	diag_destroy(&diag);
}

struct applying {
	struct http_request *request;
	json_t *findings;
};

static void finish_apply(const struct program_result *result, void *arg)
{
	struct applying *applying = arg;
	json_t *json = applying->findings;

	json_object_set_new(json, "changed", json_boolean(result->changed));
	json_object_set_new(json, "sets", json_integer((json_int_t)result->sets));
	json_object_set_new(json, "deletions", json_integer((json_int_t)result->deletions));
	json_object_set_new(json, "generation", api_json_count(result->generation));
	json_object_set_new(json, "pending", json_boolean(result->error == -EINPROGRESS));
	json_object_set_new(json, "note", json_string(result->text));
	if (result->error == 0 || result->error == -EINPROGRESS)
		http_reply(applying->request, 200, json);
	else
		http_reply_problem(applying->request, 409, result->text, json);
	free(applying);
}

void api_post_apply(struct http_request *request, void *arg)
{
	struct api *api = arg;
	struct applying *applying;
	struct diag *diag;
	struct model *model;
	size_t size;

	http_body(request, &size);
	if (size != 0) {
		/* What is in force is always what the file says: one truth. */
		http_reply_problem(request, 400, "apply reads the file of the daemon", NULL);
		return;
	}
	model = read_config(api, request, &diag);
	applying = calloc(1, sizeof(*applying));
	if (model == NULL || applying == NULL) {
		http_reply_problem(
			request, 422, "the configuration has errors", findings_json(diag));
		model_destroy(&model);
		free(applying);
	} else {
		*applying = (struct applying){request, findings_json(diag)};
		program_apply(api->program, model, finish_apply, applying);
	}
	diag_destroy(&diag);
}
