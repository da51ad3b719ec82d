/* SPDX-License-Identifier: BSD-3-Clause */
/* Looks at configurations: checks, plans, the history. Nothing here changes anything. */
#include "control/api/api_priv.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/api/table.h"
#include "control/conf/conf.h"
#include "control/expect/expect.h"
#include "control/plan/plan.h"
#include "control/store/store.h"

enum {
	JUDGE_S_MAX = 20,          /* who plans waits for it; the loop does not (link's turns) */
	JUDGE_FLOWS_MAX = 1000000, /* some 10 us each */
	CUT_SHOWN_MAX = 200,
};

json_t *api_json_findings(struct diag *diag)
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

/* The file of the request's body, or the daemon's own ones if the body is empty. */
static struct model *read_config(struct api *api, struct http_request *request, struct diag **diag)
{
	const char *file = http_query(request, "file");
	struct conf_files *files;
	struct model *model;
	size_t size;
	const char *body = http_body(request, &size);

	if (size == 0) {
		files = revision_files(api->revision, 0, diag);
	} else {
		files = conf_files_create(file == NULL ? "request" : file);
		conf_files_add(files, "request", body, size);
		*diag = diag_create(file == NULL ? "request" : file, body, size);
	}
	model = files == NULL ? NULL : revision_check(api->revision, files, *diag, NULL);
	conf_files_destroy(&files);
	return model;
}

void api_post_check(struct http_request *request, void *arg)
{
	struct diag *diag;
	struct model *model = read_config(arg, request, &diag);

	if (model != NULL)
		http_reply(request, 200, api_json_findings(diag));
	else
		http_reply_problem(
			request, 422, "the configuration has errors", api_json_findings(diag));
	model_destroy(&model);
	diag_destroy(&diag);
}

/* --- plan --- */

struct planning {
	struct api *api;
	struct http_request *request;
	struct program_preview *preview;
	struct plan_flows *flows;
	json_t *json, *cut;
	size_t running, n_cut, unjudged;
	struct timespec end;
};

static bool is_past(const struct timespec *end)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > end->tv_sec ||
	       (now.tv_sec == end->tv_sec && now.tv_nsec > end->tv_nsec);
}

static void judge_flow(const struct api_header *message, void *arg)
{
	const struct api_flow_entry *entry = (const void *)message;
	struct planning *planning = arg;
	const struct compiled *now = program_compiled(planning->api->program);
	const char *why;
	json_t *flow;

	planning->running++;
	if (planning->unjudged > 0 || is_past(&planning->end)) {
		planning->unjudged++;
		return;
	}
	why = plan_flow_cut(planning->flows, entry);
	if (why == NULL)
		return;
	if (planning->n_cut++ >= CUT_SHOWN_MAX)
		return;
	flow = api_json_flow(now, entry);
	json_object_set_new(flow, "why", json_string(why));
	json_array_append_new(planning->cut, flow);
}

/* As the data plane's workers count them. */
static size_t count_flows(struct api *api)
{
	size_t sum = 0;
	uint32_t n;
	struct api_count_worker *rows = api_read_rows(api, API_SECTION_WORKERS, sizeof(*rows), &n);

	for (uint32_t i = 0; i < n; i++)
		sum += rows[i].flows;
	free(rows);
	return sum;
}

static json_t *flows_json(const struct planning *planning)
{
	size_t running = planning->running, judged = running - planning->unjudged;

	/* The list ended where it was to: there may be more than were looked at. */
	if (running >= JUDGE_FLOWS_MAX && count_flows(planning->api) > running)
		running = count_flows(planning->api);
	return json_pack("{s:o, s:o, s:o, s:b, s:o, s:O}", "running", api_json_count(running),
		"judged", api_json_count(judged), "unjudged", api_json_count(running - judged),
		"complete", running == judged, "cut", api_json_count(planning->n_cut), "list",
		planning->cut);
}

static void finish_plan(const struct api_reply *reply, void *arg)
{
	struct planning *planning = arg;

	if (reply->code == 0)
		json_object_set_new(planning->json, "flows", flows_json(planning));
	http_reply(planning->request, 200, planning->json);
	json_decref(planning->cut);
	plan_flows_destroy(&planning->flows);
	program_preview_destroy(&planning->preview);
	free(planning);
}

/* Settings that the data plane reads at its start only. */
static json_t *restart_needed(const json_t *changes)
{
	json_t *change, *field, *list = json_array();
	size_t i, k;

	json_array_foreach((json_t *)changes, i, change)
	{
		if (strcmp(json_string_value(json_object_get(change, "name")), "dataplane") != 0 ||
			strcmp(json_string_value(json_object_get(change, "kind")), "section") != 0)
			continue;
		json_array_foreach(json_object_get(change, "fields"), k, field)
		{
			json_array_append_new(
				list, json_sprintf("dataplane.%s",
					      json_string_value(json_object_get(field, "key"))));
		}
	}
	return list;
}

/* Those of another configuration that this one did not ask for. */
static json_t *new_returns(const struct model *now, const struct model *next)
{
	json_t *from = plan_return_routes(now), *to = plan_return_routes(next);
	json_t *list = plan_new_items(from, to);

	json_decref(from);
	json_decref(to);
	return list;
}

/* Takes model, json and findings over. */
static void plan(struct http_request *request, struct api *api, struct model *model, json_t *json,
	json_t *findings)
{
	struct planning *planning = calloc(1, sizeof(*planning));
	const struct compiled *now = program_compiled(api->program);
	struct api_flow_dump dump;
	struct link_question question = {
		.message = &dump, .entry = judge_flow, .done = finish_plan, .arg = planning};
	json_t *changes = plan_difference(revision_running(api->revision), json);
	char text[192];

	json_decref(json);
	if (planning == NULL)
		abort();
	planning->preview = program_preview(api->program, model, text, sizeof(text));
	if (planning->preview == NULL) {
		http_reply_problem(request, 409, text, findings);
		json_decref(changes);
		free(planning);
		return;
	}
	planning->api = api;
	planning->request = request;
	planning->json = findings;
	planning->cut = json_array();
	json_object_set_new(findings, "restart_needed", restart_needed(changes));
	json_object_set_new(findings, "changes", changes);
	json_object_set_new(findings, "touched", plan_touched(now, planning->preview->compiled));
	json_object_set_new(findings, "return_routes",
		new_returns(now->model, planning->preview->compiled->model));
	json_object_set_new(findings, "sets", json_integer((json_int_t)planning->preview->sets));
	json_object_set_new(
		findings, "deletions", json_integer((json_int_t)planning->preview->deletions));
	json_object_set_new(findings, "flows", json_null());
	planning->flows =
		plan_flows_create(planning->preview->compiled, &planning->preview->desired);
	clock_gettime(CLOCK_MONOTONIC, &planning->end);
	planning->end.tv_sec += JUDGE_S_MAX;
	/* Without a data plane nothing runs. */
	api_message_init(&dump, API_FLOW_DUMP, sizeof(dump));
	dump.max = JUDGE_FLOWS_MAX;
	if (link_ask(program_link(api->program), &question) < 0)
		finish_plan(&(struct api_reply){.code = -1}, planning);
}

static bool read_version(const char *text, uint64_t *version)
{
	char *end;

	*version = 0;
	if (text == NULL)
		return true;
	*version = strtoull(text, &end, 10);
	return text[0] >= '1' && text[0] <= '9' && *end == '\0';
}

void api_get_plan(struct http_request *request, void *arg)
{
	struct api *api = arg;
	struct conf_files *files;
	struct model *model = NULL;
	struct diag *diag;
	json_t *json = NULL;
	uint64_t version;

	if (api_need_config(api, request) == NULL)
		return;
	if (!read_version(http_query(request, "version"), &version)) {
		http_reply_problem(request, 400, "not the number of a version", NULL);
		return;
	}
	files = revision_files(api->revision, version, &diag);
	if (files != NULL)
		model = revision_check(api->revision, files, diag, &json);
	if (model != NULL)
		plan(request, api, model, json, api_json_findings(diag));
	else
		http_reply_problem(
			request, 422, "the configuration has errors", api_json_findings(diag));
	conf_files_destroy(&files);
	diag_destroy(&diag);
}

/* --- history --- */

struct listing {
	json_t *list;
	struct revision_state state;
};

static void list_version(const struct store_version *version, void *arg)
{
	struct listing *listing = arg;
	bool in_force = version->id == listing->state.version;

	json_array_append_new(listing->list,
		json_pack("{s:o, s:o, s:s, s:s, s:s, s:s, s:b, s:b}", "version",
			api_json_count(version->id), "time", api_json_count(version->time_s), "who",
			version->who, "what", version->what, "message", version->message, "digest",
			version->digest, "in_force", in_force, "on_trial",
			in_force && listing->state.trial_back_to != 0));
}

void api_get_history(struct http_request *request, void *arg)
{
	struct api *api = arg;
	struct listing listing = {json_array(), revision_state(api->revision)};
	bool trial = listing.state.trial_back_to != 0;

	if (store_versions_each(api->store, list_version, &listing) < 0) {
		json_decref(listing.list);
		http_reply_problem(request, 500, "the store cannot be read", NULL);
		return;
	}
	http_reply(request, 200,
		json_pack("{s:o, s:o, s:o, s:s}", "versions", listing.list, "trial_ends",
			trial ? api_json_count(listing.state.trial_ends_s) : json_null(),
			"trial_back_to",
			trial ? api_json_count(listing.state.trial_back_to) : json_null(),
			"trouble", listing.state.trouble));
}

static json_t *texts_json(const struct conf_files *files)
{
	json_t *list = json_array();

	for (size_t i = 0; i < files->n; i++) {
		char *text = strndup(files->items[i].text, files->items[i].size);

		if (text == NULL)
			abort();
		diag_mask(text);
		json_array_append_new(
			list, json_pack("{s:s, s:s}", "name", files->items[i].name, "text", text));
		free(text);
	}
	return list;
}

/* A wrong value has a place all the same; only what is no YAML has none. */
static void reply_origins(
	struct http_request *request, const struct conf_files *files, struct diag *diag)
{
	json_t *values = conf_origins(files, diag);

	if (values != NULL)
		http_reply(request, 200, json_pack("{s:i, s:o}", "schema", 1, "values", values));
	else
		http_reply_problem(
			request, 422, "the configuration has errors", api_json_findings(diag));
}

/* A version, or, for 0, the files on disk; but for keys, as they are. */
void api_get_version(struct http_request *request, void *arg)
{
	struct api *api = arg;
	struct conf_files *files = NULL;
	struct diag *diag = NULL;
	uint64_t version;

	if (!read_version(http_param(request), &version) &&
		strcmp(http_param(request), "disk") != 0) {
		http_reply_problem(request, 404, "there is no such version", NULL);
		return;
	}
	files = revision_files(api->revision, version, &diag);
	if (files == NULL) {
		http_reply_problem(request, 404, "there is no such version, or no such file",
			api_json_findings(diag));
		diag_destroy(&diag);
		return;
	}
	if (http_query(request, "origin") != NULL)
		reply_origins(request, files, diag);
	else
		http_reply(request, 200, json_pack("{s:o}", "files", texts_json(files)));
	conf_files_destroy(&files);
	diag_destroy(&diag);
}

/* What the files of a version say; NULL after answering. Its keys may be gone: not looked at. */
static json_t *json_of(struct http_request *request, struct api *api, const char *text)
{
	struct conf_files *files;
	struct model *model = NULL;
	struct diag *diag;
	json_t *json = NULL;
	uint64_t version;

	if (text == NULL || (!read_version(text, &version) && strcmp(text, "disk") != 0)) {
		http_reply_problem(request, 400, "from and to are versions, or disk", NULL);
		return NULL;
	}
	files = revision_files(api->revision, version, &diag);
	if (files != NULL)
		model = conf_files_parse(files, NULL, diag, &json);
	if (json == NULL)
		http_reply_problem(request, files == NULL ? 404 : 422,
			"this version cannot be read", api_json_findings(diag));
	model_destroy(&model);
	conf_files_destroy(&files);
	diag_destroy(&diag);
	return json;
}

void api_get_diff(struct http_request *request, void *arg)
{
	json_t *from = json_of(request, arg, http_query(request, "from")), *to;

	if (from == NULL)
		return;
	to = json_of(request, arg, http_query(request, "to"));
	if (to != NULL)
		http_reply(request, 200, json_pack("{s:o}", "changes", plan_difference(from, to)));
	json_decref(from);
	json_decref(to);
}
