/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/api/api_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const struct http_route api_routes[] = {
	{"GET", "/metrics", api_get_metrics},
	{"GET", "/livez", api_get_livez},
	{"GET", "/readyz", api_get_readyz},
	{"GET", "/startupz", api_get_startupz},
	{"POST", "/api/capture", api_post_capture},
	{"GET", "/api/trace", api_get_trace},
	{"GET", "/api/progress", api_get_progress},
	{"GET", "/api/status", api_get_status},
	{"GET", "/api/peers", api_get_peers},
	{"GET", "/api/routes", api_get_routes},
	{"GET", "/api/exit-nodes", api_get_exit_nodes},
	{"GET", "/api/egress", api_get_egress},
	{"GET", "/api/forwards", api_get_forwards},
	{"GET", "/api/policies", api_get_policies},
	{"GET", "/api/traffic", api_get_traffic},
	{"GET", "/api/why", api_get_why},
	{"GET", "/api/doctor", api_get_doctor},
	{"GET", "/api/egress/who", api_get_who},
	{"GET", "/api/flows", api_get_flows},
	{"GET", "/api/drops", api_get_drops},
	{"GET", "/api/peers/{name}/export", api_get_export},
	{"GET", "/api/peers/{name}/exit-node", api_get_choice},
	{"PUT", "/api/peers/{name}/exit-node", api_put_choice},
	{"DELETE", "/api/peers/{name}/exit-node", api_delete_choice},
	{"POST", "/api/config/check", api_post_check},
	{"POST", "/api/config/apply", api_post_apply},
	{"POST", "/api/config/confirm", api_post_confirm},
	{"POST", "/api/config/rollback", api_post_rollback},
	{"GET", "/api/config/plan", api_get_plan},
	{"GET", "/api/config/history", api_get_history},
	{"GET", "/api/config/versions/{version}", api_get_version},
	{"GET", "/api/config/diff", api_get_diff},
	{"POST", "/api/peers", api_post_peer},
	{"DELETE", "/api/peers/{name}", api_delete_peer},
	{NULL, NULL, NULL},
};

void *api_read_rows(struct api *api, uint32_t section, size_t row_size, uint32_t *n)
{
	const struct link *link = program_link(api->program);
	void *rows;

	*n = link_is_connected(link) ? link_counters_used(link, section) : 0;
	if (*n == 0)
		return NULL;
	rows = calloc(*n, row_size);
	if (rows == NULL || link_counters_read(link, section, 0, *n, rows, row_size) < 0) {
		free(rows);
		*n = 0;
		return NULL;
	}
	return rows;
}

json_t *api_json_addr(const struct addr *addr)
{
	char text[ADDR_TEXT_MAX];

	return addr->family == ADDR_NONE ? json_null() : json_string(addr_format(addr, text));
}

json_t *api_json_endpoint(const struct endpoint *endpoint)
{
	char text[ENDPOINT_TEXT_MAX];

	if (endpoint->addr.family == ADDR_NONE)
		return json_null();
	return json_string(endpoint_format(endpoint, text));
}

json_t *api_json_prefix(const struct prefix *prefix)
{
	char text[PREFIX_TEXT_MAX];

	return prefix->family == ADDR_NONE ? json_null() : json_string(prefix_format(prefix, text));
}

json_t *api_json_prefixes(const struct model_prefixes *prefixes)
{
	json_t *list = json_array();

	for (size_t i = 0; i < prefixes->n; i++)
		json_array_append_new(list, api_json_prefix(&prefixes->items[i]));
	return list;
}

json_t *api_json_names(const struct model_refs *refs)
{
	json_t *list = json_array();

	for (size_t i = 0; i < refs->n; i++)
		json_array_append_new(list, json_string(refs->names[i]));
	return list;
}

json_t *api_json_count(uint64_t value)
{
	return json_integer((json_int_t)value);
}

json_t *api_json_text(const char *text)
{
	return text == NULL ? json_null() : json_string(text);
}

const struct compiled *api_need_config(struct api *api, struct http_request *request)
{
	const struct compiled *compiled = program_compiled(api->program);

	if (compiled == NULL)
		http_reply_problem(request, 503, "there is no configuration in force", NULL);
	return compiled;
}

/* What was read, cut, and with a ? for what is not ASCII: half a character is no JSON. */
static const char *show_text(const char *text, char shown[36])
{
	size_t n = strnlen(text, 32);

	for (size_t i = 0; i < n; i++)
		shown[i] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
	strcpy(shown + n, text[n] == '\0' ? "" : "...");
	return shown;
}

bool api_read_number(struct http_request *request, const char *key, unsigned long min,
	unsigned long max, unsigned long *out)
{
	const char *text = http_query(request, key);
	char wrong[160], shown[36], *end;
	unsigned long number;

	if (text == NULL)
		return true;
	errno = 0;
	number = strtoul(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && number >= min &&
		number <= max) {
		*out = number;
		return true;
	}
	snprintf(wrong, sizeof(wrong), "%s is a number from %lu to %lu, not '%s'", key, min, max,
		show_text(text, shown));
	http_reply_problem(request, 400, wrong, NULL);
	return false;
}

static json_t *dataplane_json(struct api *api)
{
	struct link *link = program_link(api->program);
	bool connected = link_is_connected(link);
	struct api_counters header = {0};
	char aead[sizeof(header.aead) + 1] = "", x25519[sizeof(header.x25519) + 1] = "";
	json_t *json = json_object();

	json_object_set_new(json, "connected", json_boolean(connected));
	json_object_set_new(json, "reason",
		connected ? json_null() : json_string(program_link_reason(api->program)));
	json_object_set_new(json, "generation", api_json_count(link_generation(link)));
	if (connected && link_counters_header(link, &header) == 0) {
		memcpy(aead, header.aead, sizeof(header.aead));
		memcpy(x25519, header.x25519, sizeof(header.x25519));
		json_object_set_new(json, "aead", json_string(aead));
		json_object_set_new(json, "x25519", json_string(x25519));
		json_object_set_new(json, "started", api_json_count(header.started_s));
	}
	return json;
}

static json_t *workers_json(struct api *api)
{
	json_t *list = json_array();
	uint32_t n;
	struct api_count_worker *rows = api_read_rows(api, API_SECTION_WORKERS, sizeof(*rows), &n);

	for (uint32_t i = 0; i < n; i++) {
		const struct api_count_worker *row = &rows[i];

		json_array_append_new(list,
			json_pack("{s:i, s:i, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "worker",
				(int)i, "cpu", (int)row->cpu, "busy",
				row->total_cycles == 0
					? 0.0
					: (double)row->busy_cycles / (double)row->total_cycles,
				"busy_cycles", (json_int_t)row->busy_cycles, "total_cycles",
				(json_int_t)row->total_cycles, "sleeps", (json_int_t)row->sleeps,
				"handoff_out", (json_int_t)row->handoff_out, "handoff_in",
				(json_int_t)row->handoff_in, "flows", (json_int_t)row->flows,
				"helped", (json_int_t)row->helped));
	}
	free(rows);
	return list;
}

/* What packets go through, as the data plane names it. */
static json_t *nodes_json(struct api *api)
{
	json_t *list = json_array();
	uint32_t n;
	struct api_count_node *rows = api_read_rows(api, API_SECTION_NODES, sizeof(*rows), &n);

	for (uint32_t i = 0; i < n; i++) {
		const struct api_count_node *row = &rows[i];

		json_array_append_new(
			list, json_pack("{s:s%, s:I, s:I, s:I}", "name", row->name,
				      strnlen(row->name, sizeof(row->name)), "calls",
				      (json_int_t)row->calls, "packets", (json_int_t)row->packets,
				      "cycles", (json_int_t)row->cycles));
	}
	free(rows);
	return list;
}

static json_t *port_json(struct api *api, const struct compiled *c, const struct model_port *port,
	const struct api_count_port *rows, uint32_t n)
{
	json_t *json = json_object(), *addresses = json_array();
	struct api_event_port state = {0};
	static const char *const holders[] = {
		[HOST_HELD_BY_KERNEL] = "kernel", [HOST_HELD_BY_PORT] = "port"};
	enum host_holder holder = HOST_HELD_BY_NOBODY;
	const struct api_count_port *row = NULL;

	for (size_t i = 0; i < c->desired.n; i++) {
		const struct api_port_set *set = (const void *)c->desired.messages[i];

		if (set->header.type != API_PORT_SET)
			break; /* ports come first in the list */
		if (strcmp(set->name, port->object.name) != 0)
			continue;
		if (set->port < n)
			row = &rows[set->port];
		holder = program_device_holder(api->program, set->port);
		if (!program_port_state(api->program, set->port, &state))
			state.link_up = row != NULL && row->link_up;
	}
	for (size_t i = 0; i < port->addresses.n; i++)
		json_array_append_new(addresses, api_json_addr(&port->addresses.items[i].addr));
	json_object_set_new(json, "name", json_string(port->object.name));
	json_object_set_new(json, "device", json_string(port->device));
	json_object_set_new(json, "addresses", addresses);
	json_object_set_new(json, "held_by",
		holder == HOST_HELD_BY_NOBODY ? json_null() : json_string(holders[holder]));
	json_object_set_new(json, "link_up", json_boolean(state.link_up));
	json_object_set_new(json, "failed",
		state.failed ? json_string(strerror(abs(state.code))) : json_null());
	if (row != NULL)
		json_object_update_new(json,
			json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "rx_packets",
				(json_int_t)row->rx_packets, "rx_bytes", (json_int_t)row->rx_bytes,
				"rx_missed", (json_int_t)row->rx_missed, "tx_packets",
				(json_int_t)row->tx_packets, "tx_bytes", (json_int_t)row->tx_bytes,
				"tx_errors", (json_int_t)row->tx_errors));
	return json;
}

static json_t *ports_json(struct api *api, const struct compiled *c)
{
	json_t *list = json_array();
	uint32_t n;
	struct api_count_port *rows = api_read_rows(api, API_SECTION_PORTS, sizeof(*rows), &n);

	for (size_t i = 0; i < c->model->tables[MODEL_PORT].n; i++)
		json_array_append_new(list, port_json(api, c, model_port_at(c->model, i), rows, n));
	free(rows);
	return list;
}

static json_t *peers_summary(struct api *api, const struct compiled *c)
{
	uint64_t now = (uint64_t)time(NULL);
	uint32_t n, live = 0, never = 0, total = 0;
	struct api_count_peer *rows = api_read_rows(api, API_SECTION_PEERS, sizeof(*rows), &n);

	for (size_t i = 0; i < c->model->tables[MODEL_PEER].n; i++) {
		uint32_t id = c->peer_ids[i];
		uint64_t handshake = id < n ? rows[id].last_handshake_s : 0;
		struct store_marks marks;

		if (!model_peer_at(c->model, i)->enabled)
			continue;
		/* An event comes at once, the counters within a second. */
		if (program_peer_marks(api->program, id, &marks) &&
			marks.last_handshake_s > handshake)
			handshake = marks.last_handshake_s;
		total++;
		live += handshake != 0 && handshake + API_LIVE_S >= now;
		never += handshake == 0;
	}
	free(rows);
	return json_pack("{s:i, s:i, s:i, s:i}", "total", (int)total, "live", (int)live, "idle",
		(int)(total - live - never), "never", (int)never);
}

static uint64_t drops_total(struct api *api)
{
	uint64_t total = 0;
	uint32_t n;
	struct api_count_drop *rows = api_read_rows(api, API_SECTION_DROPS, sizeof(*rows), &n);

	for (uint32_t i = 0; i < n; i++)
		total += rows[i].packets;
	free(rows);
	return total;
}

void api_get_status(struct http_request *request, void *arg)
{
	struct api *api = arg;
	const struct compiled *c = program_compiled(api->program);
	json_t *json = json_object(), *dataplane = dataplane_json(api);
	json_t *problems;

	json_object_set_new(json, "schema", json_integer(1));
	json_object_set_new(json, "version", json_string(SP_VERSION));
	json_object_set_new(json, "started", json_integer(api->started_s));
	json_object_set_new(json, "config_file", json_string(api->config_file));
	json_object_set_new(json, "dataplane", dataplane);
	if (c != NULL) {
		json_object_set_new(json, "gateway", json_string(c->model->gateway_name));
		json_object_set_new(json, "peers", peers_summary(api, c));
		json_object_set_new(json, "ports", ports_json(api, c));
	}
	json_object_set_new(json, "workers", workers_json(api));
	json_object_set_new(json, "nodes", nodes_json(api));
	json_object_set_new(json, "drops", api_json_count(drops_total(api)));
	problems = api_problems(api, c, json_object_get(json, "ports"));
	json_object_set_new(json, "state",
		json_string(c != NULL && !api_has_error(problems) ? "ok" : "degraded"));
	json_object_set_new(json, "problems", problems);
	http_reply(request, 200, json);
}

/* A name from shared memory: it may lack its terminator. */
static json_t *bounded_text(const char *text, size_t size)
{
	return json_stringn(text, strnlen(text, size));
}

void api_get_drops(struct http_request *request, void *arg)
{
	struct api *api = arg;
	json_t *list = json_array();
	uint32_t n;
	struct api_count_drop *rows = api_read_rows(api, API_SECTION_DROPS, sizeof(*rows), &n);

	for (uint32_t i = 0; i < n; i++) {
		json_t *row = json_object();

		json_object_set_new(row, "name", bounded_text(rows[i].name, sizeof(rows[i].name)));
		json_object_set_new(row, "text", bounded_text(rows[i].text, sizeof(rows[i].text)));
		json_object_set_new(row, "packets", api_json_count(rows[i].packets));
		json_object_set_new(row, "last", api_json_count(health_dropped_s(api->health, i)));
		json_array_append_new(list, row);
	}
	free(rows);
	http_reply(request, 200, json_pack("{s:o}", "drops", list));
}
