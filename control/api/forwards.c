/* SPDX-License-Identifier: BSD-3-Clause */
/* Port forwards with what went through them. */
#include "control/api/api_priv.h"

#include <stdlib.h>

static json_t *range_json(struct model_port_range range)
{
	if (range.first == range.last)
		return json_sprintf("%u", range.first);
	return json_sprintf("%u-%u", range.first, range.last);
}

static json_t *from_json(const struct model_source *from)
{
	if (from->any)
		return json_pack("[s]", "any");
	return api_json_prefixes(&from->prefixes);
}

static json_t *forward_json(const struct compiled *c, const struct model_forward *forward,
	const struct api_count_pair *rows, uint32_t n, uint32_t id)
{
	struct addr inside = {0};
	json_t *json = json_object();

	json_object_set_new(json, "name", json_string(forward->object.name));
	json_object_set_new(json, "description", api_json_text(forward->description));
	json_object_set_new(json, "enabled", json_boolean(forward->enabled));
	json_object_set_new(
		json, "protocol", json_string(forward->protocol == MODEL_TCP ? "tcp" : "udp"));
	json_object_set_new(json, "address", api_json_addr(&forward->address));
	json_object_set_new(json, "ports", range_json(forward->ports));
	json_object_set_new(json, "to_peer",
		api_json_text(forward->to_peer.n == 0 ? NULL : forward->to_peer.names[0]));
	if (model_forward_inside(c->model, forward, &inside))
		json_object_set_new(json, "to_address", api_json_addr(&inside));
	json_object_set_new(json, "to_ports", range_json(model_forward_to_ports(forward)));
	json_object_set_new(json, "from", from_json(&forward->from));
	api_add_pair(json, rows, n, id);
	return json;
}

void api_get_forwards(struct http_request *request, void *arg)
{
	struct api *api = arg;
	const struct compiled *c = api_need_config(api, request);
	struct api_count_pair *rows;
	json_t *list;
	uint32_t n;

	if (c == NULL)
		return;
	list = json_array();
	rows = api_read_rows(api, API_SECTION_FORWARDS, sizeof(*rows), &n);
	for (size_t i = 0; i < c->model->tables[MODEL_FORWARD].n; i++)
		json_array_append_new(list,
			forward_json(c, model_forward_at(c->model, i), rows, n, c->forward_ids[i]));
	free(rows);
	http_reply(request, 200, json_pack("{s:o}", "forwards", list));
}
