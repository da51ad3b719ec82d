/* SPDX-License-Identifier: BSD-3-Clause */
/* Traffic over time: of one object its points, or of all of them the sums. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/api/api_priv.h"

static json_t *counts_json(const struct traffic_counts *counts)
{
	json_t *json = json_object();

	json_object_set_new(json, "sent_packets", api_json_count(counts->sent_packets));
	json_object_set_new(json, "sent_bytes", api_json_count(counts->sent_bytes));
	json_object_set_new(json, "received_packets", api_json_count(counts->received_packets));
	json_object_set_new(json, "received_bytes", api_json_count(counts->received_bytes));
	return json;
}

static void add_counts(struct traffic_counts *sum, const struct traffic_counts *counts)
{
	sum->sent_packets += counts->sent_packets;
	sum->sent_bytes += counts->sent_bytes;
	sum->received_packets += counts->received_packets;
	sum->received_bytes += counts->received_bytes;
}

static json_t *named(const char *kind, const char *name, const struct traffic_counts *counts)
{
	json_t *json = json_pack("{s:s, s:s}", "kind", kind, "name", name);
	json_t *more = counts_json(counts);

	json_object_update(json, more);
	json_decref(more);
	return json;
}

/* A request that waits for figures. */
struct asking {
	struct http_request *request;
	struct api *api;
	enum traffic_range range;
	enum traffic_kind kind;
};

static void reply_unreadable(struct http_request *request)
{
	http_reply_problem(request, 503, "the time series cannot be read: see the log", NULL);
}

static json_t *sum_json(const struct traffic_sum *sum)
{
	json_t *json = named(traffic_kind_name(sum->kind), sum->name, &sum->counts);

	json_object_set_new(json, "key", json_string(sum->key));
	json_object_set_new(json, "gone", json_boolean(sum->gone));
	return json;
}

/* groups: by index. */
static void add_to_groups(
	struct traffic_counts *groups, const struct model *model, const struct traffic_sum *sum)
{
	const struct model_object *object = NULL;
	const struct model_peer *peer;

	if (sum->kind == TRAFFIC_PEER && !sum->gone)
		object = model_find(model, MODEL_PEER, sum->name);
	if (object == NULL)
		return;
	peer = model_peer_at(model, object->index);
	for (size_t i = 0; i < peer->groups.n; i++)
		add_counts(&groups[peer->groups.index[i]], &sum->counts);
}

static json_t *groups_json(const struct model *model, const struct traffic_sum *sums, size_t n)
{
	json_t *objects = json_array();
	size_t n_groups = model->tables[MODEL_GROUP].n;
	struct traffic_counts *groups = calloc(n_groups + 1, sizeof(*groups));

	for (size_t i = 0; groups != NULL && i < n; i++)
		add_to_groups(groups, model, &sums[i]);
	for (size_t i = 0; groups != NULL && i < n_groups; i++)
		json_array_append_new(
			objects, named("group", model_group_at(model, i)->object.name, &groups[i]));
	free(groups);
	return objects;
}

/* The objects' rows without the list's brackets. */
static char *format_sums(const struct traffic_sum *sums, size_t n)
{
	json_t *objects = json_array();
	char *text;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(objects, sum_json(&sums[i]));
	text = json_dumps(objects, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(objects);
	if (text != NULL)
		memmove(text, text + 1, strlen(text)); /* with the terminator */
	if (text != NULL)
		text[strlen(text) - 1] = '\0';
	return text;
}

static void reply_sums(
	int rc, const struct traffic_sum *sums, size_t n, const char *text, void *arg)
{
	struct asking *asking = arg;
	const struct compiled *compiled = program_compiled(asking->api->program);
	json_t *groups = compiled == NULL ? json_array() : groups_json(compiled->model, sums, n);
	char *rest = json_dumps(groups, JSON_COMPACT | JSON_PRESERVE_ORDER), *all = NULL;

	if (rc == 0 && text != NULL && rest != NULL &&
		asprintf(&all, "{\"schema\":1,\"range\":\"%s\",\"objects\":[%s%s%s}",
			http_query(asking->request, "range"), text,
			text[0] == '\0' || rest[1] == ']' ? "" : ",", rest + 1) < 0)
		all = NULL;
	if (all != NULL)
		http_reply_text(asking->request, 200, "application/json", all);
	else
		reply_unreadable(asking->request);
	free(all);
	free(rest);
	json_decref(groups);
	free(asking);
}

static json_t *points_json(const struct asking *asking, const struct traffic_point *points, int n)
{
	struct traffic_counts total = {0};
	json_t *list = json_array(), *answer;

	for (int i = 0; i < n; i++) {
		json_t *point = counts_json(&points[i].counts);

		json_object_set_new(point, "time", api_json_count(points[i].time_s));
		json_array_append_new(list, point);
		add_counts(&total, &points[i].counts);
	}
	answer =
		named(traffic_kind_name(asking->kind), http_query(asking->request, "name"), &total);
	json_object_set_new(answer, "schema", json_integer(1));
	json_object_set_new(answer, "range", json_string(http_query(asking->request, "range")));
	json_object_set_new(answer, "step", json_integer(traffic_step_s(asking->range)));
	json_object_set_new(answer, "points", list);
	return answer;
}

static void reply_points(int n, const struct traffic_point *points, void *arg)
{
	struct asking *asking = arg;

	if (n == -ENOENT)
		http_reply_problem(asking->request, 404, "there are no figures of that name", NULL);
	else if (n < 0)
		reply_unreadable(asking->request);
	else
		http_reply(asking->request, 200, points_json(asking, points, n));
	free(asking);
}

static void ask(struct http_request *request, struct api *api, const char *name,
	enum traffic_range range, enum traffic_kind kind)
{
	struct asking *asking = malloc(sizeof(*asking));

	if (asking == NULL) {
		http_reply_problem(request, 503, "out of memory", NULL);
		return;
	}
	*asking = (struct asking){request, api, range, kind};
	if (name == NULL)
		traffic_sums(api->traffic, range, format_sums, reply_sums, asking);
	else
		traffic_points(api->traffic, kind, name, range, reply_points, asking);
}

void api_get_traffic(struct http_request *request, void *arg)
{
	struct api *api = arg;
	const char *range_name = http_query(request, "range");
	const char *kind_name = http_query(request, "kind"), *name = http_query(request, "name");
	enum traffic_range range;
	enum traffic_kind kind;

	if (api->traffic == NULL)
		http_reply_problem(request, 503,
			"no time series are kept (SP1107): the log of sallyportd says why", NULL);
	else if (range_name == NULL || !traffic_range_parse(range_name, &range))
		http_reply_problem(request, 400, "range is hour, day, 30d or month", NULL);
	else if (kind_name == NULL)
		ask(request, api, NULL, range, TRAFFIC_PEER);
	else if (name == NULL || !traffic_kind_parse(kind_name, &kind))
		http_reply_problem(request, 400,
			"kind is peer, exit-node or egress, and name says which one", NULL);
	else
		ask(request, api, name, range, kind);
}
