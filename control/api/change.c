/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that bring another configuration into force; answered when the data plane has it. */
#include "control/api/api_priv.h"
#include "control/conf/conf.h"
#include "control/plan/plan.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct changing {
	struct http_request *request;
	struct api *api;
	char *who;
	json_t *returns;               /* return routes before the change */
	char peer[MODEL_NAME_MAX + 1]; /* of peer add: whom the answer is about */
};

static void add_program(json_t *json, const struct revision_result *result)
{
	const struct program_result *program = result->program;

	if (program == NULL)
		return;
	json_object_set_new(json, "changed", json_boolean(program->changed || result->changed));
	json_object_set_new(json, "sets", json_integer((json_int_t)program->sets));
	json_object_set_new(json, "deletions", json_integer((json_int_t)program->deletions));
	json_object_set_new(json, "generation", api_json_count(program->generation));
}

static json_t *returns_of(const struct api *api)
{
	const struct compiled *compiled = program_compiled(api->program);

	return compiled == NULL ? json_array() : plan_return_routes(compiled->model);
}

/* What the networks behind did not need before the change. */
static void add_returns(json_t *json, const struct changing *changing)
{
	json_t *now = returns_of(changing->api);

	json_object_set_new(json, "return_routes", plan_new_items(changing->returns, now));
	json_decref(now);
}

static int status_of(const struct revision_result *result)
{
	switch (result->error) {
	case 0:
	case -EINPROGRESS:
		return 200;
	case -EINVAL:
		/* Of the program it is no finding: a key that is gone, ids that are used up. */
		return result->program == NULL ? 422 : 409;
	case -ENOENT:
		return 404;
	case -EBUSY:
	case -EEXIST:
	case -EPROTO:
		return 409;
	default:
		return 500;
	}
}

static void answer(const struct revision_result *result, void *arg)
{
	struct changing *changing = arg;
	struct revision_state state = revision_state(changing->api->revision);
	json_t *json = result->diag == NULL ? json_object() : api_json_findings(result->diag);
	int status = status_of(result);

	add_program(json, result);
	json_object_set_new(json, "pending", json_boolean(result->error == -EINPROGRESS));
	json_object_set_new(json, "note", json_string(result->text));
	json_object_set_new(json, "in_force", api_json_count(result->version));
	json_object_set_new(json, "trial_ends",
		state.trial_back_to == 0 ? json_null() : api_json_count(state.trial_ends_s));
	if (result->kept != NULL)
		json_object_set_new(json, "kept", json_deep_copy(result->kept));
	add_returns(json, changing);
	if (changing->peer[0] != '\0')
		json_object_set_new(json, "peer", json_string(changing->peer));
	if (status == 200)
		http_reply(changing->request, 200, json);
	else
		http_reply_problem(changing->request, status, result->text, json);
	free(changing->who);
	json_decref(changing->returns);
	free(changing);
}

static struct changing *begin(struct http_request *request, struct api *api)
{
	struct changing *changing = calloc(1, sizeof(*changing));

	if (changing == NULL) {
		http_reply_problem(request, 503, "out of memory", NULL);
		return NULL;
	}
	changing->request = request;
	changing->api = api;
	changing->who = http_user(request);
	changing->returns = returns_of(api);
	return changing;
}

/* Who asks, why, and for how long on trial. NULL after answering. */
static struct changing *read_request(
	struct http_request *request, struct api *api, struct revision_request *out)
{
	const char *message = http_query(request, "message");
	struct changing *changing;
	unsigned long seconds = 0;

	if (!api_read_number(request, "confirm", 0, REVISION_CONFIRM_MAX_S, &seconds))
		return NULL;
	if (seconds != 0 && seconds < REVISION_CONFIRM_MIN_S) {
		http_reply_problem(request, 400, "a trial lasts 10 s to 24 h", NULL);
		return NULL;
	}
	if (message != NULL && strlen(message) > MODEL_TEXT_MAX) {
		http_reply_problem(request, 400, "a message has at most 255 bytes", NULL);
		return NULL;
	}
	changing = begin(request, api);
	if (changing != NULL)
		*out = (struct revision_request){
			.who = changing->who == NULL ? "unknown" : changing->who,
			.message = message == NULL ? "" : message,
			.confirm_s = (unsigned)seconds,
		};
	return changing;
}

void api_post_apply(struct http_request *request, void *arg)
{
	struct api *api = arg;
	struct revision_request asked;
	struct changing *changing;
	size_t size;

	http_body(request, &size);
	if (size != 0) {
		/* What is in force is always what the file says: one truth. */
		http_reply_problem(request, 400, "apply reads the file of the daemon", NULL);
		return;
	}
	changing = read_request(request, api, &asked);
	if (changing != NULL)
		revision_apply(api->revision, &asked, answer, changing);
}

void api_post_rollback(struct http_request *request, void *arg)
{
	struct api *api = arg;
	struct revision_request asked;
	struct changing *changing;
	unsigned long version = 0;

	if (!api_read_number(request, "version", 0, LONG_MAX, &version))
		return;
	changing = read_request(request, api, &asked);
	if (changing != NULL)
		revision_rollback(api->revision, version, &asked, answer, changing);
}

void api_post_confirm(struct http_request *request, void *arg)
{
	struct api *api = arg;
	int rc = revision_confirm(api->revision);

	if (rc == 0)
		http_reply(request, 200,
			json_pack("{s:o}", "in_force",
				api_json_count(revision_state(api->revision).version)));
	else if (rc == -ENOENT)
		http_reply_problem(request, 404, "nothing is on trial", NULL);
	else
		http_reply_problem(request, 500, "the store cannot be written", NULL);
}

/* One line of the file: strings of JSON are strings of YAML. */
static char *peer_text(const char *name, const char *key, const json_t *addresses,
	const json_t *groups, const char *description)
{
	json_t *wanted = json_pack("{s:s, s:O}", "public_key", key, "addresses", addresses);
	char *text, *body;

	if (json_array_size(groups) > 0)
		json_object_set(wanted, "groups", (json_t *)groups);
	if (description != NULL)
		json_object_set_new(wanted, "description", json_string(description));
	body = json_dumps(wanted, JSON_PRESERVE_ORDER | JSON_INDENT(6));
	json_decref(wanted);
	if (body == NULL || asprintf(&text,
				    "# Made by `sallyport peer add`; it may be edited like any "
				    "other file.\npeers:\n  %s:\n    %s\n",
				    name, body) < 0)
		text = NULL;
	free(body);
	return text;
}

static bool is_strings(const json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach((json_t *)list, i, item)
	{
		if (!json_is_string(item))
			return false;
	}
	return list == NULL || json_is_array(list);
}

/* Why the request is none, or NULL. */
static const char *check_peer(const json_t *asked, struct key *key)
{
	const char *name = json_string_value(json_object_get(asked, "name"));
	const char *text = json_string_value(json_object_get(asked, "public_key"));
	const json_t *description = json_object_get(asked, "description");

	if (name == NULL || !conf_is_name(name, MODEL_NAME_MAX))
		return "a name has 1 to 63 letters, digits, '-', '_'";
	if (text == NULL || key_parse(text, key) < 0)
		return "a public key has 44 characters of base64";
	if (!is_strings(json_object_get(asked, "addresses")) ||
		!is_strings(json_object_get(asked, "groups")) ||
		(description != NULL && !json_is_string(description)))
		return "addresses and groups are lists of texts, a description is a text";
	return NULL;
}

void api_post_peer(struct http_request *request, void *arg)
{
	struct api *api = arg;
	const struct compiled *c = api_need_config(api, request);
	struct revision_request asked;
	struct changing *changing;
	json_t *json, *addresses;
	const char *body, *wrong, *name;
	struct key key;
	size_t size;
	char *text = NULL;

	if (c == NULL)
		return;
	body = http_body(request, &size);
	json = json_loadb(body, size, 0, NULL);
	wrong = json == NULL ? "the body is not JSON" : check_peer(json, &key);
	addresses = json_incref(json_object_get(json, "addresses"));
	if (wrong == NULL && json_array_size(addresses) == 0) {
		json_decref(addresses);
		addresses = api_free_addresses(c->model);
		wrong = json_array_size(addresses) == 0 ? "the overlay has no free address" : NULL;
	}
	if (wrong != NULL) {
		http_reply_problem(request, 400, wrong, NULL);
		goto out;
	}
	name = json_string_value(json_object_get(json, "name"));
	text = peer_text(name, json_string_value(json_object_get(json, "public_key")), addresses,
		json_object_get(json, "groups"),
		json_string_value(json_object_get(json, "description")));
	if (text == NULL) {
		http_reply_problem(request, 503, "out of memory", NULL);
		goto out;
	}
	changing = read_request(request, api, &asked);
	if (changing == NULL)
		goto out;
	snprintf(changing->peer, sizeof(changing->peer), "%s", name);
	revision_peer_add(api->revision, name, text, &asked, answer, changing);
out:
	free(text);
	json_decref(addresses);
	json_decref(json);
}

void api_delete_peer(struct http_request *request, void *arg)
{
	struct api *api = arg;
	const char *name = http_param(request);
	struct revision_request asked;
	struct changing *changing;

	if (api_need_config(api, request) == NULL)
		return;
	if (!conf_is_name(name, MODEL_NAME_MAX)) {
		http_reply_problem(request, 404, "there is no such peer", NULL);
		return;
	}
	changing = read_request(request, api, &asked);
	if (changing != NULL)
		revision_peer_remove(api->revision, name, &asked, answer, changing);
}
