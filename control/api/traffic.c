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

struct listing {
	const struct compiled *compiled; /* NULL = without groups */
	json_t *objects;
	struct traffic_counts *groups; /* by index */
};

static void list_object(const struct traffic_sum *sum, void *arg)
{
	struct listing *listing = arg;
	const struct model_object *object = NULL;
	json_t *json = named(traffic_kind_name(sum->kind), sum->name, &sum->counts);
	const struct model_peer *peer;

	json_object_set_new(json, "key", json_string(sum->key));
	json_object_set_new(json, "gone", json_boolean(sum->gone));
	json_array_append_new(listing->objects, json);
	if (listing->groups == NULL || sum->kind != TRAFFIC_PEER || sum->gone)
		return;
	object = model_find(listing->compiled->model, MODEL_PEER, sum->name);
	if (object == NULL)
		return;
	peer = model_peer_at(listing->compiled->model, object->index);
	for (size_t i = 0; i < peer->groups.n; i++)
		add_counts(&listing->groups[peer->groups.index[i]], &sum->counts);
}

static void reply_sums(struct http_request *request, struct api *api, enum traffic_range range,
	const char *range_name)
{
	struct listing listing = {.compiled = program_compiled(api->program)};
	size_t n_groups = 0;
	int rc;

	if (listing.compiled != NULL)
		n_groups = listing.compiled->model->tables[MODEL_GROUP].n;
	listing.groups = n_groups == 0 ? NULL : calloc(n_groups, sizeof(*listing.groups));
	listing.objects = json_array();
	rc = traffic_sums(api->traffic, range, list_object, &listing);
	for (size_t i = 0; listing.groups != NULL && i < n_groups; i++) {
		const char *name = model_group_at(listing.compiled->model, i)->object.name;

		json_array_append_new(listing.objects, named("group", name, &listing.groups[i]));
	}
	free(listing.groups);
	if (rc == 0) {
		http_reply(request, 200,
			json_pack("{s:i, s:s, s:o}", "schema", 1, "range", range_name, "objects",
				listing.objects));
		return;
	}
	json_decref(listing.objects);
	http_reply_problem(request, 503, "the time series cannot be read: see the log", NULL);
}

static void reply_points(struct http_request *request, struct api *api, enum traffic_kind kind,
	const char *name, enum traffic_range range)
{
	struct traffic_point points[TRAFFIC_POINTS_MAX];
	int n = traffic_points(api->traffic, kind, name, range, points);
	struct traffic_counts total = {0};
	json_t *list, *answer;

	if (n == -ENOENT) {
		http_reply_problem(request, 404, "there are no figures of that name", NULL);
		return;
	}
	if (n < 0) {
		http_reply_problem(
			request, 503, "the time series cannot be read: see the log", NULL);
		return;
	}
	list = json_array();
	for (int i = 0; i < n; i++) {
		json_t *point = counts_json(&points[i].counts);

		json_object_set_new(point, "time", api_json_count(points[i].time_s));
		json_array_append_new(list, point);
		add_counts(&total, &points[i].counts);
	}
	answer = named(traffic_kind_name(kind), name, &total);
	json_object_set_new(answer, "schema", json_integer(1));
	json_object_set_new(answer, "range", json_string(http_query(request, "range")));
	json_object_set_new(answer, "step", json_integer(traffic_step_s(range)));
	json_object_set_new(answer, "points", list);
	http_reply(request, 200, answer);
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
		reply_sums(request, api, range, range_name);
	else if (name == NULL || !traffic_kind_parse(kind_name, &kind))
		http_reply_problem(request, 400,
			"kind is peer, exit-node or egress, and name says which one", NULL);
	else
		reply_points(request, api, kind, name, range);
}
