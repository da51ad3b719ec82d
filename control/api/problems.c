/* SPDX-License-Identifier: BSD-3-Clause */
/* What is wrong with the running gateway, worst first, each with what to type next. */
#include "control/api/api_priv.h"

#include "control/failover/failover.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	BLOCKS_FULL_PERCENT = 80, /* of an address's port blocks: more is coming to an end */
};

struct problems {
	json_t *errors, *warnings;
};

static void add(struct problems *problems, enum diag_code code, json_t *message, const char *next)
{
	const struct diag_code_info *info;
	char text[DIAG_CODE_TEXT_MAX];
	bool error;

	diag_code_format(code, text);
	info = diag_explain(text);
	error = info == NULL || info->severity == DIAG_ERROR;
	json_array_append_new(error ? problems->errors : problems->warnings,
		json_pack("{s:s, s:s, s:o, s:s}", "code", text, "severity",
			error ? "error" : "warning", "message", message, "next", next));
}

static void look_at_dataplane(struct problems *problems, struct api *api)
{
	struct link *link = program_link(api->program);

	if (!link_is_connected(link))
		add(problems, DIAG_NO_DATAPLANE,
			json_sprintf("no data plane: %s", program_link_reason(api->program)),
			"sallyport doctor");
	else if (link_generation(link) == 0)
		add(problems, DIAG_NOT_FORWARDING,
			json_string("the data plane has no configuration: nothing is forwarded"),
			"sallyport apply");
}

static void look_at_ports(struct problems *problems, const json_t *ports)
{
	const json_t *port;
	size_t i;

	json_array_foreach((json_t *)ports, i, port)
	{
		const char *name = json_string_value(json_object_get(port, "name"));
		const char *failed = json_string_value(json_object_get(port, "failed"));

		if (failed != NULL)
			add(problems, DIAG_PORT_FAILED,
				json_sprintf("port %s has failed: %s", name, failed),
				"sallyport doctor");
		else if (!json_is_true(json_object_get(port, "link_up")))
			add(problems, DIAG_PORT_DOWN, json_sprintf("port %s has no link", name),
				"sallyport doctor");
	}
}

static void look_at_egress(struct problems *problems, struct api *api, const struct compiled *c)
{
	uint32_t n;
	struct api_count_egress *rows = api_read_rows(api, API_SECTION_EGRESS, sizeof(*rows), &n);

	for (size_t i = 0; i < c->model->tables[MODEL_POOL].n; i++) {
		const struct model_pool *pool = model_pool_at(c->model, i);

		for (size_t k = 0; k < pool->addresses.n; k++) {
			uint32_t id = c->pool_address_ids[i][k];
			char text[ADDR_TEXT_MAX];

			if (id == 0 || id >= n || rows[id].blocks_total == 0)
				continue;
			addr_format(&pool->addresses.items[k], text);
			if (rows[id].refused > 0)
				add(problems, DIAG_EGRESS_REFUSED,
					json_sprintf("egress %s has refused %llu flows: no port "
						     "was free",
						text, (unsigned long long)rows[id].refused),
					"sallyport egress");
			else if (rows[id].blocks_used * 100 >=
				 rows[id].blocks_total * BLOCKS_FULL_PERCENT)
				add(problems, DIAG_EGRESS_FULL,
					json_sprintf("egress %s: %llu of %llu port blocks are used",
						text, (unsigned long long)rows[id].blocks_used,
						(unsigned long long)rows[id].blocks_total),
					"sallyport egress");
		}
	}
	free(rows);
}

static void look_at_traffic(struct problems *problems, const struct api *api)
{
	if (api->traffic == NULL || traffic_is_stuck(api->traffic))
		add(problems, DIAG_TRAFFIC_NOT_KEPT,
			json_sprintf("%s/traffic.db cannot be %s: no time series of traffic",
				api->state_dir, api->traffic == NULL ? "opened" : "written"),
			"sallyport explain SP1107");
}

/* Whose place somebody else has taken, or for whom there is nobody left. */
static void look_at_routers(struct problems *problems, struct api *api, const struct compiled *c)
{
	struct failover_view view;

	for (size_t i = 0; c->n_understudies > 0 && i < c->model->tables[MODEL_PEER].n; i++) {
		if (!c->understudies[i] || !failover_look(api->failover, c->peer_ids[i], &view) ||
			view.state == MEMBER_UP)
			continue;
		add(problems, DIAG_ROUTER_DOWN,
			json_sprintf("routing peer %s is %s: nothing is sent to its networks "
				     "through it while another one is up",
				model_peer_at(c->model, i)->object.name,
				failover_state_name(view.state)),
			"sallyport routes");
	}
}

/* Who was asked to carry a route and cannot. That a disabled peer does not is no surprise. */
static void look_at_skipped(struct problems *problems, const struct compiled *c)
{
	for (size_t i = 0; i < c->model->tables[MODEL_ROUTE].n; i++) {
		const struct model_route *route = model_route_at(c->model, i);
		const char *first = NULL;
		size_t n = 0;

		for (size_t k = 0; route->enabled && k < route->n_skipped; k++) {
			const struct model_peer *peer = model_peer_at(c->model, route->skipped[k]);

			if (peer->can_route)
				continue;
			first = first == NULL ? peer->object.name : first;
			n++;
		}
		if (n == 1)
			add(problems, DIAG_ROUTERS_SKIPPED,
				json_sprintf("route %s: peer %s is skipped, it cannot forward",
					route->object.name, first),
				"sallyport routes");
		else if (n > 1)
			add(problems, DIAG_ROUTERS_SKIPPED,
				json_sprintf("route %s: %zu peers are skipped, %s first: they "
					     "cannot forward",
					route->object.name, n, first),
				"sallyport routes -j");
	}
}

/* Asked often enough, and nothing back: each route once. */
static void look_at_answers(struct problems *problems, struct api *api, const struct compiled *c)
{
	uint32_t n;
	struct api_count_pair *rows = api_read_rows(api, API_SECTION_ROUTES, sizeof(*rows), &n);

	for (size_t i = 0; i < c->model->tables[MODEL_ROUTE].n; i++) {
		const struct model_route *route = model_route_at(c->model, i);

		if (c->route_ids[i] < n && api_is_unanswered(route, &rows[c->route_ids[i]]))
			add(problems, DIAG_NO_ANSWERS,
				json_sprintf("route %s: %llu packets went out and none came back",
					route->object.name,
					(unsigned long long)rows[c->route_ids[i]].packets),
				"sallyport routes");
	}
	free(rows);
}

static const char *first_selector(const struct compiled *c, const struct model_exit_node *exit_node)
{
	for (size_t i = 0; i < c->model->tables[MODEL_PEER].n; i++) {
		const struct compile_set *set = c->set_of_peer[i];

		if (set != NULL && set->selected == exit_node && set->exit_node == NULL)
			return model_peer_at(c->model, i)->object.name;
	}
	return "";
}

/* Selections outlive the offer: who made them has no exit node then, and should be told of. */
static void look_at_selections(struct problems *problems, const struct compiled *c)
{
	for (size_t i = 0; i < c->model->tables[MODEL_EXIT_NODE].n; i++) {
		const struct model_exit_node *exit_node = model_exit_node_at(c->model, i);
		char next[MODEL_NAME_MAX + 40];
		size_t n = 0;

		for (size_t k = 0; k < c->n_sets; k++) {
			const struct compile_set *set = c->sets[k];

			if (set->selected == exit_node && set->exit_node == NULL)
				n += set->members;
		}
		if (n == 0)
			continue;
		snprintf(next, sizeof(next), "sallyport exit-nodes --as %s",
			first_selector(c, exit_node));
		add(problems, DIAG_SELECTION_WITHDRAWN,
			json_sprintf("exit node %s is selected by %zu peer%s, but not offered any "
				     "more: nothing of theirs leaves",
				exit_node->object.name, n, n == 1 ? "" : "s"),
			next);
	}
}

static void look_at_revision(struct problems *problems, struct api *api)
{
	struct revision_state state = revision_state(api->revision);
	char when[32];
	time_t ends = (time_t)state.trial_ends_s;
	struct tm tm;

	if (state.trouble[0] != '\0')
		add(problems, DIAG_FILES_BEHIND, json_string(state.trouble), "sallyport plan");
	if (state.trial_back_to == 0)
		return;
	strftime(when, sizeof(when), "%H:%M:%S", localtime_r(&ends, &tm));
	add(problems, DIAG_ON_TRIAL,
		json_sprintf("version %llu is on trial: version %llu comes back at %s",
			(unsigned long long)state.version, (unsigned long long)state.trial_back_to,
			when),
		"sallyport confirm");
}

json_t *api_problems(struct api *api, const struct compiled *c, const json_t *ports)
{
	struct problems problems = {json_array(), json_array()};

	look_at_dataplane(&problems, api);
	look_at_revision(&problems, api);
	if (link_is_connected(program_link(api->program)))
		look_at_ports(&problems, ports);
	if (c != NULL)
		look_at_egress(&problems, api, c);
	look_at_traffic(&problems, api);
	if (c != NULL) {
		look_at_routers(&problems, api, c);
		look_at_skipped(&problems, c);
		look_at_answers(&problems, api, c);
		look_at_selections(&problems, c);
	}
	json_array_extend(problems.errors, problems.warnings);
	json_decref(problems.warnings);
	return problems.errors;
}

bool api_has_error(const json_t *problems)
{
	const json_t *first = json_array_get(problems, 0); /* the worst */

	return first != NULL &&
	       strcmp(json_string_value(json_object_get(first, "severity")), "error") == 0;
}
