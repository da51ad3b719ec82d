/* SPDX-License-Identifier: BSD-3-Clause */
/* Which exit node a peer leaves by: what is offered to it, and the choice among them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/api/api_priv.h"

struct choosing {
	struct http_request *request;
	struct api *api;
	char peer[MODEL_NAME_MAX + 1];
	json_t *before;
};

/* {name, pool, addresses}, or null: how the set leaves for the internet at large. */
static json_t *way_json(const struct compiled *c, const struct compile_set *set)
{
	const struct model_pool *pool;
	json_t *addresses;

	if (set == NULL || set->exit_node == NULL)
		return json_null();
	pool = compile_egress_pool(c->model, set);
	addresses = json_array();
	for (size_t i = 0; pool != NULL && i < pool->addresses.n; i++)
		json_array_append_new(addresses, api_json_addr(&pool->addresses.items[i]));
	return json_pack("{s:s, s:o, s:o}", "name", set->exit_node->object.name, "pool",
		api_json_text(pool == NULL ? NULL : pool->object.name), "addresses", addresses);
}

/* Every exit node, and what keeps the peer from it if anything does. */
static json_t *offers_json(const struct compiled *c, const struct model_peer *peer)
{
	const struct compile_set *set = c->set_of_peer[peer->object.index];
	json_t *list = json_array();
	char why[320];

	for (size_t i = 0; i < c->model->tables[MODEL_EXIT_NODE].n; i++) {
		const struct model_exit_node *exit_node = model_exit_node_at(c->model, i);
		bool refused = program_is_refused(c, peer, exit_node, why, sizeof(why));

		json_array_append_new(list,
			json_pack("{s:s, s:o, s:b, s:o, s:b, s:b}", "name", exit_node->object.name,
				"description", api_json_text(exit_node->description), "offered",
				!refused, "why", refused ? json_string(why) : json_null(), "in_use",
				set != NULL && set->exit_node == exit_node, "selected",
				peer->selected == exit_node));
	}
	return list;
}

static json_t *choice_json(const struct compiled *c, const struct model_peer *peer)
{
	return json_pack("{s:s, s:o, s:o, s:o}", "peer", peer->object.name, "in_use",
		way_json(c, c->set_of_peer[peer->object.index]), "selected",
		api_json_text(peer->selected == NULL ? NULL : peer->selected->object.name),
		"exit_nodes", offers_json(c, peer));
}

/* NULL after answering. */
static const struct model_peer *find_peer(
	struct http_request *request, const struct compiled *c, const char *name)
{
	const struct model_peer *peer = (const void *)model_find(c->model, MODEL_PEER, name);

	if (peer == NULL)
		http_reply_problem(request, 404, "there is no such peer", NULL);
	return peer;
}

void api_get_choice(struct http_request *request, void *arg)
{
	const struct compiled *c = api_need_config(arg, request);
	const struct model_peer *peer =
		c == NULL ? NULL : find_peer(request, c, http_param(request));

	if (peer != NULL)
		http_reply(request, 200, choice_json(c, peer));
}

static void answer(const struct program_result *result, void *arg)
{
	struct choosing *choosing = arg;
	const struct compiled *c = program_compiled(choosing->api->program);
	const struct model_peer *peer =
		c == NULL ? NULL : (const void *)model_find(c->model, MODEL_PEER, choosing->peer);
	json_t *json;

	if (result->error != 0 && result->error != -EINPROGRESS) {
		http_reply_problem(choosing->request,
			result->error == -ENOENT   ? 404
			: result->error == -EACCES ? 403
						   : 409,
			result->text, NULL);
	} else if (peer == NULL) {
		http_reply_problem(choosing->request, 404, "there is no such peer", NULL);
	} else {
		json = choice_json(c, peer);
		json_object_set(json, "before", choosing->before);
		json_object_set_new(json, "changed", json_boolean(result->changed));
		json_object_set_new(json, "pending", json_boolean(result->error == -EINPROGRESS));
		json_object_set_new(json, "note", json_string(result->text));
		http_reply(choosing->request, 200, json);
	}
	json_decref(choosing->before);
	free(choosing);
}

/* exit_node NULL = none any more. */
static void choose(struct http_request *request, struct api *api, const char *exit_node)
{
	const struct compiled *c = api_need_config(api, request);
	const struct model_peer *peer =
		c == NULL ? NULL : find_peer(request, c, http_param(request));
	struct choosing *choosing;

	if (peer == NULL)
		return;
	choosing = calloc(1, sizeof(*choosing));
	if (choosing == NULL) {
		http_reply_problem(request, 503, "out of memory", NULL);
		return;
	}
	choosing->request = request;
	choosing->api = api;
	choosing->before = way_json(c, c->set_of_peer[peer->object.index]);
	strcpy(choosing->peer, peer->object.name);
	program_select(api->program, choosing->peer, exit_node, answer, choosing);
}

void api_put_choice(struct http_request *request, void *arg)
{
	size_t size;
	const char *body = http_body(request, &size);
	json_t *json = json_loadb(body, size, 0, NULL);
	const char *name = json_string_value(json_object_get(json, "exit_node"));

	if (name == NULL || name[0] == '\0' || strlen(name) > MODEL_NAME_MAX)
		http_reply_problem(request, 400,
			"the body is {\"exit_node\": NAME}, with the name of an exit node", NULL);
	else
		choose(request, arg, name);
	json_decref(json);
}

void api_delete_choice(struct http_request *request, void *arg)
{
	choose(request, arg, NULL);
}
