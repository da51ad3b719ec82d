/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects of the configuration with what became of them and what they counted. */
#include "control/api/api_priv.h"

#include "control/failover/failover.h"
#include "control/plan/plan.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A peer lives by its last handshake. */
static const char *peer_state(const struct model_peer *peer, uint64_t handshake)
{
	if (!peer->enabled)
		return "disabled";
	if (handshake == 0)
		return "never";
	return handshake + API_LIVE_S >= (uint64_t)time(NULL) ? "live" : "idle";
}

/* Of an endpoint by name: the name, its address and why that may be an old one. */
static void add_name(json_t *json, struct api *api, const struct model_peer *peer)
{
	struct endpoint endpoint;
	const char *error;

	if (!program_peer_name(api->program, peer, &endpoint, &error))
		return;
	json_object_set_new(json, "endpoint_name", json_string(peer->endpoint_text));
	json_object_set_new(json, "endpoint_resolved", api_json_endpoint(&endpoint));
	json_object_set_new(json, "endpoint_error", api_json_text(error));
}

static json_t *peer_json(
	struct api *api, const struct compiled *c, size_t i, const struct api_count_peer *row)
{
	const struct model_peer *peer = model_peer_at(c->model, i);
	json_t *json = json_object(), *addresses = json_array();
	struct store_marks marks = {.endpoint = peer->endpoint};
	char key[KEY_TEXT_MAX];
	uint64_t handshake;

	program_peer_marks(api->program, c->peer_ids[i], &marks);
	handshake = row->last_handshake_s > marks.last_handshake_s ? row->last_handshake_s
								   : marks.last_handshake_s;
	for (size_t k = 0; k < peer->addresses.n; k++)
		json_array_append_new(addresses, api_json_addr(&peer->addresses.items[k]));
	json_object_set_new(json, "name", json_string(peer->object.name));
	json_object_set_new(json, "description", api_json_text(peer->description));
	json_object_set_new(
		json, "origin", json_string(peer->origin == MODEL_ORIGIN_API ? "api" : "file"));
	json_object_set_new(json, "state", json_string(peer_state(peer, handshake)));
	json_object_set_new(json, "public_key", json_string(key_format(&peer->public_key, key)));
	json_object_set_new(json, "addresses", addresses);
	json_object_set_new(json, "groups", api_json_names(&peer->groups));
	json_object_set_new(json, "endpoint", api_json_endpoint(&marks.endpoint));
	add_name(json, api, peer);
	json_object_set_new(json, "last_handshake", api_json_count(handshake));
	json_object_set_new(json, "rx_packets", api_json_count(row->rx_packets));
	json_object_set_new(json, "rx_bytes", api_json_count(row->rx_bytes));
	json_object_set_new(json, "tx_packets", api_json_count(row->tx_packets));
	json_object_set_new(json, "tx_bytes", api_json_count(row->tx_bytes));
	json_object_set_new(json, "wire_rx_bytes", api_json_count(row->wire_rx_bytes));
	json_object_set_new(json, "wire_tx_bytes", api_json_count(row->wire_tx_bytes));
	json_object_set_new(json, "flows", api_json_count(row->flows));
	json_object_set_new(json, "exit_node",
		api_json_text(c->set_of_peer[i] != NULL && c->set_of_peer[i]->exit_node != NULL
				      ? c->set_of_peer[i]->exit_node->object.name
				      : NULL));
	json_object_set_new(json, "exit_node_selected",
		api_json_text(peer->selected == NULL ? NULL : peer->selected->object.name));
	/* Nothing relays: who is heard from is heard from directly. */
	json_object_set_new(json, "path",
		marks.endpoint.addr.family == ADDR_NONE ? json_null() : json_string("direct"));
	return json;
}

void api_get_peers(struct http_request *request, void *arg)
{
	static const struct api_count_peer nothing;
	struct api *api = arg;
	const struct compiled *c = api_need_config(api, request);
	json_t *list = json_array();
	struct api_count_peer *rows;
	uint32_t n;

	if (c == NULL) {
		json_decref(list);
		return;
	}
	rows = api_read_rows(api, API_SECTION_PEERS, sizeof(*rows), &n);
	for (size_t i = 0; i < c->model->tables[MODEL_PEER].n; i++)
		json_array_append_new(list,
			peer_json(api, c, i,
				c->peer_ids[i] != 0 && c->peer_ids[i] < n ? &rows[c->peer_ids[i]]
									  : &nothing));
	free(rows);
	http_reply(request, 200, json_pack("{s:o}", "peers", list));
}

void api_add_pair(json_t *json, const struct api_count_pair *rows, uint32_t n, uint32_t id)
{
	static const struct api_count_pair nothing;
	const struct api_count_pair *row = id != 0 && id < n ? &rows[id] : &nothing;

	json_object_set_new(json, "packets", api_json_count(row->packets));
	json_object_set_new(json, "bytes", api_json_count(row->bytes));
	json_object_set_new(json, "reply_packets", api_json_count(row->reply_packets));
	json_object_set_new(json, "reply_bytes", api_json_count(row->reply_bytes));
	json_object_set_new(json, "flows", api_json_count(row->flows));
}

/* Peers of all sets that hold this route or exit node. */
static size_t holders(const struct compiled *c, const void *object)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_sets; i++) {
		const struct compile_set *set = c->sets[i];
		bool holds = set->exit_node == object;

		for (size_t k = 0; !holds && k < set->n_routes; k++)
			holds = set->routes[k].route == object;
		n += holds ? set->members : 0;
	}
	return n;
}

/* Peers that selected it, whether it is still offered to them or not. */
static size_t selectors(const struct compiled *c, const struct model_exit_node *exit_node)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_sets; i++)
		n += c->sets[i]->selected == exit_node ? c->sets[i]->members : 0;
	return n;
}

/* Does any set reach the route's network through this peer? */
static bool is_in_use(const struct compiled *c, const struct model_route *route, uint32_t peer)
{
	for (size_t i = 0; i < c->n_sets; i++) {
		for (size_t k = 0; k < c->sets[i]->n_routes; k++) {
			const struct compile_route *held = &c->sets[i]->routes[k];

			if (held->route == route && held->peer != NULL &&
				held->peer->object.index == peer)
				return true;
		}
	}
	return false;
}

/* The routing peers; of those that others can take over from, how they stand. */
static json_t *members_json(
	const struct api *api, const struct compiled *c, const struct model_route *route)
{
	json_t *list = json_array();

	for (size_t i = 0; i < route->via_peers.n; i++) {
		uint32_t peer = route->via_peers.index[i];
		json_t *json = json_pack("{s:s, s:b}", "peer", route->via_peers.names[i], "in_use",
			is_in_use(c, route, peer));
		struct failover_view view;

		if (c->understudies[peer] &&
			failover_look(api->failover, c->peer_ids[peer], &view)) {
			json_object_set_new(
				json, "state", json_string(failover_state_name(view.state)));
			json_object_set_new(json, "for_s", api_json_count(view.since_ms / 1000));
			json_object_set_new(
				json, "silent_s", api_json_count(view.silent_ms / 1000));
		} else {
			json_object_set_new(json, "state", json_null()); /* not watched */
		}
		json_array_append_new(list, json);
	}
	return list;
}

static json_t *skipped_json(const struct compiled *c, const struct model_route *route)
{
	json_t *list = json_array();

	for (size_t i = 0; i < route->n_skipped; i++) {
		const struct model_peer *peer = model_peer_at(c->model, route->skipped[i]);

		json_array_append_new(
			list, json_pack("{s:s, s:s}", "peer", peer->object.name, "why",
				      peer->enabled ? "cannot forward" : "disabled"));
	}
	return list;
}

void api_get_routes(struct http_request *request, void *arg)
{
	struct api *api = arg;
	const struct compiled *c = api_need_config(api, request);
	struct api_count_pair *rows;
	json_t *list;
	uint32_t n;

	if (c == NULL)
		return;
	list = json_array();
	rows = api_read_rows(api, API_SECTION_ROUTES, sizeof(*rows), &n);
	for (size_t i = 0; i < c->model->tables[MODEL_ROUTE].n; i++) {
		const struct model_route *route = model_route_at(c->model, i);
		json_t *json = json_object();

		json_object_set_new(json, "name", json_string(route->object.name));
		json_object_set_new(json, "network", json_string(route->network));
		json_object_set_new(json, "description", api_json_text(route->description));
		json_object_set_new(json, "enabled", json_boolean(route->enabled));
		json_object_set_new(json, "prefixes", api_json_prefixes(&route->prefixes));
		json_object_set_new(json, "map", api_json_prefixes(&route->map));
		json_object_set_new(json, "nptv6", json_boolean(route->nptv6));
		json_object_set_new(json, "via_peers", api_json_names(&route->via_peers));
		json_object_set_new(json, "via_groups", api_json_names(&route->via_groups));
		json_object_set_new(json, "members", members_json(api, c, route));
		json_object_set_new(json, "skipped", skipped_json(c, route));
		json_object_set_new(json, "via_port",
			api_json_text(route->via_port.n > 0 ? route->via_port.names[0] : NULL));
		json_object_set_new(json, "masquerade", json_boolean(route->masquerade));
		json_object_set_new(json, "return_routes", plan_return_routes_of(c->model, route));
		json_object_set_new(json, "unanswered",
			json_boolean(c->route_ids[i] < n &&
				     api_is_unanswered(route, &rows[c->route_ids[i]])));
		json_object_set_new(json, "metric", json_integer(route->metric));
		json_object_set_new(json, "distribute_to", api_json_names(&route->distribute_to));
		json_object_set_new(json, "distribute_to_ports", api_json_names(&route->to_ports));
		json_object_set_new(json, "acl_groups", api_json_names(&route->acl_groups));
		json_object_set_new(json, "unrestricted",
			json_boolean(route->acl_groups.n == 0 &&
				     c->model->routes_without_acl_groups_allow));
		json_object_set_new(json, "peers", json_integer((json_int_t)holders(c, route)));
		api_add_pair(json, rows, n, c->route_ids[i]);
		json_array_append_new(list, json);
	}
	free(rows);
	http_reply(request, 200, json_pack("{s:o}", "routes", list));
}

void api_get_exit_nodes(struct http_request *request, void *arg)
{
	struct api *api = arg;
	const struct compiled *c = api_need_config(api, request);
	struct api_count_pair *rows;
	json_t *list;
	uint32_t n;

	if (c == NULL)
		return;
	list = json_array();
	rows = api_read_rows(api, API_SECTION_ROUTES, sizeof(*rows), &n);
	for (size_t i = 0; i < c->model->tables[MODEL_EXIT_NODE].n; i++) {
		const struct model_exit_node *exit_node = model_exit_node_at(c->model, i);
		json_t *json = json_object();

		json_object_set_new(json, "name", json_string(exit_node->object.name));
		json_object_set_new(json, "description", api_json_text(exit_node->description));
		json_object_set_new(json, "enabled", json_boolean(exit_node->enabled));
		json_object_set_new(json, "offer_to", api_json_names(&exit_node->offer_to));
		json_object_set_new(json, "also", api_json_prefixes(&exit_node->also));
		json_object_set_new(json, "peers", json_integer((json_int_t)holders(c, exit_node)));
		json_object_set_new(
			json, "selected", json_integer((json_int_t)selectors(c, exit_node)));
		api_add_pair(json, rows, n, c->exit_node_ids[i]);
		json_array_append_new(list, json);
	}
	free(rows);
	http_reply(request, 200, json_pack("{s:o}", "exit_nodes", list));
}

static json_t *address_json(
	const struct addr *addr, uint32_t id, const struct api_count_egress *rows, uint32_t n)
{
	static const struct api_count_egress nothing;
	const struct api_count_egress *row = id != 0 && id < n ? &rows[id] : &nothing;
	json_t *json = json_object();

	json_object_set_new(json, "address", api_json_addr(addr));
	json_object_set_new(json, "tx_packets", api_json_count(row->tx_packets));
	json_object_set_new(json, "tx_bytes", api_json_count(row->tx_bytes));
	json_object_set_new(json, "rx_packets", api_json_count(row->rx_packets));
	json_object_set_new(json, "rx_bytes", api_json_count(row->rx_bytes));
	json_object_set_new(json, "mappings", api_json_count(row->mappings));
	json_object_set_new(json, "blocks_used", api_json_count(row->blocks_used));
	json_object_set_new(json, "blocks_total", api_json_count(row->blocks_total));
	json_object_set_new(json, "refused", api_json_count(row->refused));
	return json;
}

static json_t *source_json(const struct model_source *from)
{
	json_t *json = json_object();

	if (from->any)
		json_object_set_new(json, "any", json_true());
	if (from->groups.n > 0)
		json_object_set_new(json, "groups", api_json_names(&from->groups));
	if (from->peers.n > 0)
		json_object_set_new(json, "peers", api_json_names(&from->peers));
	if (from->port.n > 0)
		json_object_set_new(json, "port", json_string(from->port.names[0]));
	if (from->prefixes.n > 0)
		json_object_set_new(json, "prefixes", api_json_prefixes(&from->prefixes));
	return json;
}

void api_get_egress(struct http_request *request, void *arg)
{
	static const char *const filters[] = {
		[MODEL_FILTER_ADDRESS_PORT] = "address-port",
		[MODEL_FILTER_ADDRESS] = "address",
		[MODEL_FILTER_NONE] = "endpoint-independent",
	};
	struct api *api = arg;
	const struct compiled *c = api_need_config(api, request);
	json_t *pools, *rules;
	struct api_count_egress *rows;
	uint32_t n;

	if (c == NULL)
		return;
	pools = json_array();
	rules = json_array();
	rows = api_read_rows(api, API_SECTION_EGRESS, sizeof(*rows), &n);
	for (size_t i = 0; i < c->model->tables[MODEL_POOL].n; i++) {
		const struct model_pool *pool = model_pool_at(c->model, i);
		json_t *addresses = json_array();

		for (size_t k = 0; k < pool->addresses.n; k++)
			json_array_append_new(
				addresses, address_json(&pool->addresses.items[k],
						   c->pool_address_ids[i][k], rows, n));
		json_array_append_new(pools,
			json_pack("{s:s, s:o, s:o}", "name", pool->object.name, "description",
				api_json_text(pool->description), "addresses", addresses));
	}
	for (size_t i = 0; i < c->model->egress.rules.n; i++) {
		const struct model_egress_rule *rule = &c->model->egress.rules.items[i];

		json_array_append_new(rules,
			json_pack("{s:o, s:o, s:o, s:s, s:s, s:s, s:b}", "from",
				source_json(&rule->from), "exit_nodes",
				api_json_names(&rule->exit_nodes), "to",
				api_json_prefixes(&rule->to), "use",
				rule->use.n > 0 ? rule->use.names[0] : "deny", "mapping",
				rule->mapping == MODEL_MAPPING_DEPENDENT ? "endpoint-dependent"
									 : "endpoint-independent",
				"filtering", filters[rule->filtering], "keep_parity",
				!rule->any_parity));
	}
	free(rows);
	http_reply(request, 200,
		json_pack("{s:o, s:o, s:s}", "pools", pools, "rules", rules, "default",
			c->model->egress.default_pool.n > 0 ? c->model->egress.default_pool.names[0]
							    : "deny"));
}

struct api_count_pair api_sum_rules(
	const struct compiled *c, const char *policy, const struct api_count_pair *rows, uint32_t n)
{
	char name[MODEL_NAME_MAX + 16];
	struct api_count_pair sum = {0};

	snprintf(name, sizeof(name), "policy:%s", policy);
	for (uint32_t i = 0; i < n && i < c->n_rule_names; i++) {
		if (c->rule_names[i] == NULL || strcmp(c->rule_names[i], name) != 0)
			continue;
		sum.packets += rows[i].packets;
		sum.bytes += rows[i].bytes;
		sum.reply_packets += rows[i].reply_packets;
		sum.reply_bytes += rows[i].reply_bytes;
		sum.flows += rows[i].flows;
	}
	return sum;
}

static json_t *target_json(const struct model_target *to)
{
	json_t *json = json_object();

	if (to->host)
		json_object_set_new(json, "host", json_true());
	if (to->groups.n > 0)
		json_object_set_new(json, "groups", api_json_names(&to->groups));
	if (to->peers.n > 0)
		json_object_set_new(json, "peers", api_json_names(&to->peers));
	if (to->routes.n > 0)
		json_object_set_new(json, "routes", api_json_names(&to->routes));
	if (to->exit_nodes.n > 0)
		json_object_set_new(json, "exit_nodes", api_json_names(&to->exit_nodes));
	if (to->forwards.n > 0)
		json_object_set_new(json, "forwards", api_json_names(&to->forwards));
	if (to->prefixes.n > 0)
		json_object_set_new(json, "prefixes", api_json_prefixes(&to->prefixes));
	return json;
}

static const char *protocol_name(enum model_protocol protocol)
{
	switch (protocol) {
	case MODEL_TCP:
		return "tcp";
	case MODEL_UDP:
		return "udp";
	case MODEL_ICMP:
		return "icmp";
	default:
		return "any";
	}
}

static json_t *ports_json(const struct model_port_ranges *ranges)
{
	json_t *list = json_array();
	char text[16];

	for (size_t i = 0; i < ranges->n; i++) {
		if (ranges->items[i].first == ranges->items[i].last)
			snprintf(text, sizeof(text), "%u", ranges->items[i].first);
		else
			snprintf(text, sizeof(text), "%u-%u", ranges->items[i].first,
				ranges->items[i].last);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

void api_get_policies(struct http_request *request, void *arg)
{
	struct api *api = arg;
	const struct compiled *c = api_need_config(api, request);
	struct api_count_pair *rows;
	json_t *list;
	uint32_t n;

	if (c == NULL)
		return;
	list = json_array();
	rows = api_read_rows(api, API_SECTION_RULES, sizeof(*rows), &n);
	for (size_t i = 0; i < c->model->tables[MODEL_POLICY].n; i++) {
		const struct model_policy *policy = model_policy_at(c->model, i);
		struct api_count_pair sum = api_sum_rules(c, policy->object.name, rows, n);
		json_t *json = json_object();

		json_object_set_new(json, "name", json_string(policy->object.name));
		json_object_set_new(json, "description", api_json_text(policy->description));
		json_object_set_new(json, "enabled", json_boolean(policy->enabled));
		json_object_set_new(json, "from", source_json(&policy->from));
		json_object_set_new(json, "to", target_json(&policy->to));
		json_object_set_new(json, "protocol", json_string(protocol_name(policy->protocol)));
		json_object_set_new(json, "ports", ports_json(&policy->ports));
		json_object_set_new(json, "action", json_string(policy->allow ? "allow" : "deny"));
		api_add_pair(json, (const struct api_count_pair[]){{0}, sum}, 2, 1);
		json_array_append_new(list, json);
	}
	free(rows);
	http_reply(request, 200,
		json_pack("{s:o, s:s}", "policies", list, "routes_without_acl_groups",
			c->model->routes_without_acl_groups_allow ? "allow" : "deny"));
}
