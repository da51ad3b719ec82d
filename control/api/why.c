/* SPDX-License-Identifier: BSD-3-Clause */
/* The way of a flow through the configuration, as JSON: one member per step. */
#include "control/api/api_priv.h"

#include <stdlib.h>
#include <string.h>

#include "control/why/why.h"

struct why_context {
	const struct compiled *c;
	const struct why_answer *answer;
	const struct why_query *query;
	const char *file;
};

static const char *peer_name(const struct compiled *c, uint32_t id)
{
	const struct model_peer *peer = compile_peer_of_id(c, id);

	return peer == NULL ? NULL : peer->object.name;
}

static const struct model_port *port_of_id(const struct compiled *c, uint16_t id)
{
	for (size_t i = 0; i < c->desired.n; i++) {
		const struct api_port_set *set = (const void *)c->desired.messages[i];

		if (set->header.type != API_PORT_SET)
			break; /* ports come first in the list */
		if (set->port == id)
			return (const void *)model_find(c->model, MODEL_PORT, set->name);
	}
	return NULL;
}

/* "route office", "exit node internet", "peer anna", or NULL: an entry that no object names. */
static json_t *route_owner(const struct compiled *c, const struct api_route_set *route)
{
	const struct model *m = c->model;

	for (size_t i = 0; route->route_id != 0 && i < m->tables[MODEL_ROUTE].n; i++) {
		if (c->route_ids[i] == route->route_id)
			return json_sprintf("route %s", model_route_at(m, i)->object.name);
	}
	for (size_t i = 0; route->route_id != 0 && i < m->tables[MODEL_EXIT_NODE].n; i++) {
		if (c->exit_node_ids[i] == route->route_id)
			return json_sprintf("exit node %s", model_exit_node_at(m, i)->object.name);
	}
	if (route->next == API_NEXT_PEER)
		return json_sprintf("peer %s", peer_name(c, route->peer));
	return json_null();
}

/* Which object names a prefix that is closed to exit nodes. */
static json_t *closing_object(const struct compiled *c, const struct prefix *prefix)
{
	const struct model *m = c->model;

	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		const struct model_route *route = model_route_at(m, i);

		for (size_t k = 0; k < route->prefixes.n; k++) {
			if (prefix_equal(&route->prefixes.items[k], prefix))
				return json_sprintf("route %s", route->object.name);
		}
	}
	for (size_t i = 0; i < m->tables[MODEL_PORT].n; i++) {
		const struct model_port *port = model_port_at(m, i);

		for (size_t k = 0; k < port->addresses.n; k++) {
			struct prefix network = model_network(&port->addresses.items[k]);

			if (prefix_equal(&network, prefix))
				return json_sprintf("port %s", port->object.name);
		}
	}
	for (size_t i = 0; i < m->wireguard.addresses.n; i++) {
		struct prefix network = model_network(&m->wireguard.addresses.items[i]);

		if (prefix_equal(&network, prefix))
			return json_string("the overlay");
	}
	return json_string("RFC 6890");
}

static json_t *source_json(const struct why_context *w)
{
	const struct why_answer *answer = w->answer;
	json_t *json = json_pack("{s:o, s:o, s:o, s:o, s:o}", "address",
		api_json_addr(&w->query->src), "selected",
		api_json_text(answer->set == NULL || answer->set->selected == NULL
				      ? NULL
				      : answer->set->selected->object.name),
		"peer",
		api_json_text(answer->from_peer == NULL ? NULL : answer->from_peer->object.name),
		"port",
		api_json_text(answer->from_port == NULL ? NULL : answer->from_port->object.name),
		"set", api_json_text(answer->set == NULL ? NULL : answer->set->key));

	if (answer->src_seen.family == ADDR_NONE)
		return json;
	json_object_set_new(json, "seen", api_json_addr(&answer->src_seen));
	json_object_set_new(json, "real", api_json_addr(&answer->src_real));
	return json;
}

static json_t *route_json(const struct why_context *w)
{
	const struct why_answer *answer = w->answer;
	const struct api_route_set *route =
		answer->route != NULL ? answer->route : answer->underlay;
	json_t *json = json_object();

	json_object_set_new(json, "host", json_boolean(answer->to_host));
	if (route != NULL) {
		json_object_set_new(json, "prefix", api_json_prefix(&route->prefix));
		json_object_set_new(json, "by", route_owner(w->c, route));
	}
	if (answer->closed != NULL) {
		json_object_set_new(
			json, "closed_prefix", api_json_prefix(&answer->closed->prefix));
		json_object_set_new(
			json, "closed_by", closing_object(w->c, &answer->closed->prefix));
	}
	return json;
}

static json_t *policy_json(const struct why_context *w)
{
	const struct api_policy_set *rule = w->answer->rule;
	const char *name = rule == NULL ? NULL : w->c->rule_names[rule->rule];
	const struct model_policy *policy = NULL;
	json_t *json = json_object();

	if (name != NULL && strncmp(name, "policy:", 7) == 0)
		policy = (const void *)model_find(w->c->model, MODEL_POLICY, name + 7);
	json_object_set_new(json, "rule", api_json_text(name));
	json_object_set_new(json, "action",
		json_string(rule != NULL && rule->verdict == API_ALLOW ? "allow" : "deny"));
	json_object_set_new(json, "place",
		policy == NULL || policy->line == 0
			? json_null()
			: json_sprintf("%s:%u", policy->file == NULL ? w->file : policy->file,
				  policy->line));
	return json;
}

static bool is_pool(const struct compiled *c, size_t i, const struct api_egress_pool_set *pool)
{
	const struct model_pool *item = model_pool_at(c->model, i);

	for (size_t k = 0; k < item->addresses.n && k < pool->count; k++) {
		if (c->pool_address_ids[i][k] != pool->egress[k])
			return false;
	}
	return item->addresses.n == pool->count;
}

static json_t *egress_json(const struct why_context *w)
{
	const struct why_answer *answer = w->answer;
	json_t *addresses = json_array();
	const char *pool = NULL;

	for (size_t i = 0; i < answer->n_candidates; i++)
		json_array_append_new(addresses, api_json_addr(&answer->candidates[i]));
	for (size_t i = 0; answer->pool != NULL && i < w->c->model->tables[MODEL_POOL].n; i++) {
		if (pool == NULL && is_pool(w->c, i, answer->pool))
			pool = model_pool_at(w->c->model, i)->object.name;
	}
	return json_pack("{s:o, s:o, s:o}", "pool", api_json_text(pool), "addresses", addresses,
		"rule",
		answer->egress == NULL ? json_null() : api_json_count(answer->egress->rule));
}

static json_t *forward_json(const struct why_context *w)
{
	const struct api_forward_set *forward = w->answer->forward;
	const struct model *m = w->c->model;
	const char *name = NULL;

	if (forward == NULL)
		return json_null();
	for (size_t i = 0; i < m->tables[MODEL_FORWARD].n; i++) {
		if (w->c->forward_ids[i] == forward->forward)
			name = model_forward_at(m, i)->object.name;
	}
	return json_pack("{s:o, s:o, s:i}", "name", api_json_text(name), "address",
		api_json_addr(&forward->inside), "port",
		forward->inside_first + (w->query->port - forward->port_first));
}

/* Who would carry it if he were up; NULL: he does, or there is none. */
static const struct model_peer *stood_in_for(const struct why_context *w)
{
	const struct compile_set *set = w->answer->set;

	for (size_t i = 0; set != NULL && i < set->n_routes; i++) {
		const struct compile_route *held = &set->routes[i];

		if (prefix_equal(&held->prefix, &w->answer->route->prefix))
			return held->preferred != held->peer ? held->preferred : NULL;
	}
	return NULL;
}

static json_t *next_hop_json(const struct why_context *w)
{
	const struct why_answer *answer = w->answer;
	const struct api_route_set *hop =
		answer->underlay != NULL ? answer->underlay : answer->route;
	const struct model *m = w->c->model;
	const struct model_port *port;
	json_t *json;

	if (answer->inside_peer != NULL)
		return json_pack("{s:s, s:i}", "peer", answer->inside_peer->object.name, "mtu",
			answer->inside_peer->mtu != 0 ? answer->inside_peer->mtu
						      : m->wireguard.mtu);
	if (answer->to_host || hop == NULL)
		return json_null();
	if (hop->next == API_NEXT_PEER) {
		const char *name = peer_name(w->c, hop->peer);
		const struct model_peer *peer =
			name == NULL ? NULL : (const void *)model_find(m, MODEL_PEER, name);

		json = json_pack("{s:o, s:i}", "peer", api_json_text(name), "mtu",
			peer != NULL && peer->mtu != 0 ? peer->mtu : m->wireguard.mtu);
		peer = answer->route == hop ? stood_in_for(w) : NULL;
		if (peer != NULL)
			json_object_set_new(json, "instead_of", json_string(peer->object.name));
		if (answer->real.family != ADDR_NONE) /* mapped */
			json_object_set_new(json, "address", api_json_addr(&answer->real));
		return json;
	}
	port = port_of_id(w->c, hop->port);
	return json_pack("{s:o, s:o, s:i}", "port",
		api_json_text(port == NULL ? NULL : port->object.name), "address",
		api_json_addr(hop->gateway.family != ADDR_NONE ? &hop->gateway
			      : answer->forward != NULL        ? &answer->forward->inside
							       : &w->query->dst),
		"mtu", port == NULL ? 0 : port->mtu);
}

/* The largest segment that the data plane lets the two ends agree on: what fits both ways. */
static json_t *mss_json(const struct why_context *w, const json_t *hop)
{
	const struct why_answer *answer = w->answer;
	unsigned mtu = (unsigned)json_integer_value(json_object_get(hop, "mtu")), back = 0;

	if (answer->from_peer != NULL)
		back = answer->from_peer->mtu != 0 ? answer->from_peer->mtu
						   : w->c->model->wireguard.mtu;
	else if (answer->from_port != NULL)
		back = answer->from_port->mtu;
	if (mtu == 0 || (back != 0 && back < mtu))
		mtu = back;
	if (w->query->protocol != MODEL_TCP || !json_is_object(hop) || mtu == 0)
		return json_null();
	return json_integer(mtu - (w->query->dst.family == ADDR_V4 ? 40 : 60));
}

static json_t *verdict_text(const struct why_context *w, json_t *json)
{
	const json_t *route = json_object_get(json, "route");
	const json_t *rule = json_object_get(json_object_get(json, "policy"), "rule");

	switch (w->answer->verdict) {
	case WHY_ALLOWED:
		return json_sprintf("allowed by %s", json_string_value(rule));
	case WHY_UNKNOWN_SENDER:
		return json_string("denied: no peer and no port's network has the source address");
	case WHY_PEER_DISABLED:
		return json_string("denied: the peer is disabled");
	case WHY_SPOOFED:
		return json_string("denied: the source address is not the peer's");
	case WHY_SPOOFED_OVERLAY:
		return json_string("denied: an address of the overlay that no peer has");
	case WHY_UNSOLICITED:
		return json_string(w->answer->may_be_open
					   ? "denied, unless an open mapping has that port "
					     "(filtering of an egress rule)"
					   : "denied: that port of an egress address takes "
					     "answers only");
	case WHY_FORWARD_SOURCE:
		return json_string("denied: the forward of that port is not for this source");
	case WHY_LINK_LOCAL:
		return json_string("denied: link-local addresses are not forwarded");
	case WHY_NO_ROUTE:
		if (w->answer->set != NULL && w->answer->set->selected != NULL &&
			w->answer->set->exit_node == NULL)
			return json_sprintf(
				"denied: exit node %s is selected, but not offered any more",
				w->answer->set->selected->object.name);
		return json_string("denied: no route or exit node of this source leads there");
	case WHY_NO_REAL:
		return json_string(
			"denied: no real address is translated to this one (RFC 6296 3.4, 3.5)");
	case WHY_EXIT_CLOSED:
		return json_sprintf("denied: closed to exit traffic, %s names %s",
			json_string_value(json_object_get(route, "closed_by")),
			json_string_value(json_object_get(route, "closed_prefix")));
	case WHY_POLICY:
		return w->answer->rule == NULL
			       ? json_string("denied: no policy allows it")
			       : json_sprintf("denied by %s", json_string_value(rule));
	default:
		return json_string("denied: no egress address of this family for this source");
	}
}

json_t *api_why(const struct compiled *compiled, const struct desired *list,
	const struct why_query *query, const char *file)
{
	struct why_answer answer;
	struct why_context w = {compiled, &answer, query, file};
	struct why_index *index = why_index_create(compiled, list);
	const char *drop;
	json_t *json = json_object();
	bool judged;

	why_judge(index, query, &answer);
	why_index_destroy(&index); /* the answer points into the list */
	drop = why_drop_name(&answer);
	judged = answer.rule != NULL || answer.verdict == WHY_POLICY;
	json_object_set_new(json, "schema", json_integer(1));
	json_object_set_new(json, "allowed", json_boolean(answer.verdict == WHY_ALLOWED));
	json_object_set_new(json, "source", source_json(&w));
	json_object_set_new(json, "destination", api_json_addr(&query->dst));
	json_object_set_new(json, "route", route_json(&w));
	json_object_set_new(json, "policy", judged ? policy_json(&w) : json_null());
	json_object_set_new(json, "egress",
		answer.masquerade && answer.verdict != WHY_POLICY ? egress_json(&w) : json_null());
	json_object_set_new(json, "forward", forward_json(&w));
	json_object_set_new(json, "hairpin", json_boolean(answer.hairpin));
	json_object_set_new(json, "next_hop", next_hop_json(&w));
	json_object_set_new(json, "mss", mss_json(&w, json_object_get(json, "next_hop")));
	json_object_set_new(json, "drop", api_json_text(drop));
	json_object_set_new(json, "verdict", verdict_text(&w, json));
	return json;
}

static const struct model_peer *find_peer(const struct compiled *c, const char *name)
{
	return (const void *)model_find(c->model, MODEL_PEER, name);
}

/* A word for what is wrong with the request, or NULL. */
static const char *read_source(
	const struct compiled *c, const char *src, const char *as, struct why_query *query)
{
	const struct model_peer *peer = src == NULL ? NULL : find_peer(c, src);

	if (as != NULL && (query->as = find_peer(c, as)) == NULL)
		return "there is no such peer";
	if (src == NULL || addr_parse(src, &query->src) == 0)
		return src == NULL ? "the source is missing" : NULL;
	if (peer == NULL)
		return "the source is neither an address nor a peer";
	for (size_t i = peer->addresses.n; i > 0; i--) {
		if (peer->addresses.items[i - 1].family == query->dst.family)
			query->src = peer->addresses.items[i - 1];
	}
	query->as = query->as == NULL ? peer : query->as;
	return query->src.family == ADDR_NONE ? "the peer has no address of that family" : NULL;
}

/* PEER or PEER:PORT: its first address, or that of the family of `src` where that is an address.
 * False if there is no such peer, or none with such an address. */
static bool read_peer_destination(
	const struct compiled *c, const char *src, const char *dst, struct why_query *query)
{
	const char *colon = strrchr(dst, ':');
	const struct model_peer *peer = find_peer(c, dst);
	struct addr from = {0};
	char *name;

	if (peer == NULL && colon != NULL) {
		name = strndup(dst, (size_t)(colon - dst));
		if (name == NULL || port_parse(colon + 1, &query->port) < 0) {
			free(name);
			return false;
		}
		peer = find_peer(c, name);
		free(name);
	}
	if (peer == NULL || peer->addresses.n == 0)
		return false;
	query->dst = peer->addresses.items[0];
	if (src == NULL || addr_parse(src, &from) < 0)
		return true;
	for (size_t i = 0; i < peer->addresses.n && query->dst.family != from.family; i++)
		query->dst = peer->addresses.items[i];
	return true;
}

static const char *read_destination(
	const struct compiled *c, const char *src, const char *dst, struct why_query *query)
{
	struct endpoint endpoint;

	if (dst == NULL)
		return "the destination is missing";
	if (addr_parse(dst, &query->dst) == 0 || read_peer_destination(c, src, dst, query))
		return NULL;
	if (endpoint_parse(dst, &endpoint) < 0)
		return "the destination is neither an address nor a peer; with a port: "
		       "ADDRESS:PORT, [ADDRESS]:PORT or PEER:PORT";
	query->dst = endpoint.addr;
	query->port = endpoint.port;
	return NULL;
}

static const char *read_protocol(const char *proto, struct why_query *query)
{
	query->protocol = query->port == 0 ? MODEL_ICMP : MODEL_TCP;
	if (proto == NULL)
		return NULL;
	if (strcmp(proto, "icmp") == 0)
		query->protocol = MODEL_ICMP;
	else if (strcmp(proto, "tcp") == 0)
		query->protocol = MODEL_TCP;
	else if (strcmp(proto, "udp") == 0)
		query->protocol = MODEL_UDP;
	else
		return "the protocol is not tcp, udp or icmp";
	return (query->protocol == MODEL_ICMP) == (query->port == 0)
		       ? NULL
		       : "tcp and udp need a port, icmp has none";
}

const char *api_why_read(
	const struct compiled *compiled, const char *const words[4], struct why_query *query)
{
	const char *wrong;

	memset(query, 0, sizeof(*query));
	wrong = read_destination(compiled, words[0], words[1], query);
	if (wrong == NULL)
		wrong = read_protocol(words[2], query);
	if (wrong == NULL)
		wrong = read_source(compiled, words[0], words[3], query);
	if (wrong == NULL && query->src.family != query->dst.family)
		wrong = "source and destination are of different families";
	return wrong;
}

/* What the reason has counted, and when it last did: of any flow, since flows that are denied are
 * not kept. Null without a drop, or without a data plane. */
static json_t *last_drop(struct api *api, const char *name)
{
	json_t *json = json_null();
	uint32_t n;
	struct api_count_drop *rows = api_read_rows(api, API_SECTION_DROPS, sizeof(*rows), &n);

	for (uint32_t i = 0; name != NULL && i < n; i++) {
		if (strncmp(rows[i].name, name, sizeof(rows[i].name)) == 0)
			json = json_pack("{s:o, s:o}", "packets", api_json_count(rows[i].packets),
				"last", api_json_count(health_dropped_s(api->health, i)));
	}
	free(rows);
	return json;
}

void api_get_why(struct http_request *request, void *arg)
{
	struct api *api = arg;
	const struct compiled *c = api_need_config(api, request);
	const char *words[4] = {http_query(request, "src"), http_query(request, "dst"),
		http_query(request, "proto"), http_query(request, "as")};
	struct why_query query;
	const char *wrong;
	json_t *json;

	if (c == NULL)
		return;
	wrong = api_why_read(c, words, &query);
	if (wrong != NULL) {
		http_reply_problem(request, 400, wrong, NULL);
		return;
	}
	json = api_why(c, program_desired(api->program), &query, api->config_file);
	json_object_set_new(json, "last_drop",
		last_drop(api, json_string_value(json_object_get(json, "drop"))));
	http_reply(request, 200, json);
}
