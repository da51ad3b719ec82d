/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /metrics, in the OpenMetrics text format 1.0, or in Prometheus' older one where the client does
 * not ask for it; and the probes. The formats differ in a counter's family name (OpenMetrics
 * leaves "_total" to the sample), the lines UNIT and the last line.
 *
 * Labels take their values from the configuration and from tables in the program, never from
 * packets. Kinds of objects of which there may be very many (peers, routes, policies) show each
 * one only up to METRICS_OBJECTS_MAX; peers are summed up by group in any case.
 */
#include "control/api/api_priv.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/health/health.h"

enum { METRICS_OBJECTS_MAX = 512 };

enum type {
	COUNTER,
	GAUGE,
};

struct out {
	FILE *file;
	bool openmetrics;
	const char *name; /* of the family begun last, without "_total" */
	enum type type;
};

/* unit NULL = none; else the name ends with it. */
static void family(
	struct out *out, enum type type, const char *name, const char *unit, const char *help)
{
	const char *suffix = type == COUNTER && !out->openmetrics ? "_total" : "";

	out->name = name;
	out->type = type;
	fprintf(out->file, "# HELP sallyport_%s%s %s\n", name, suffix, help);
	fprintf(out->file, "# TYPE sallyport_%s%s %s\n", name, suffix,
		type == COUNTER ? "counter" : "gauge");
	if (unit != NULL && out->openmetrics)
		fprintf(out->file, "# UNIT sallyport_%s %s\n", name, unit);
}

/* label NULL = none. */
static void sample(struct out *out, const char *label, const char *value, uint64_t number)
{
	fprintf(out->file, "sallyport_%s%s", out->name, out->type == COUNTER ? "_total" : "");
	if (label != NULL)
		fprintf(out->file, "{%s=\"%s\"}", label, value);
	fprintf(out->file, " %" PRIu64 "\n", number);
}

static void single(struct out *out, enum type type, const char *name, const char *unit,
	const char *help, uint64_t number)
{
	family(out, type, name, unit, help);
	sample(out, NULL, NULL, number);
}

/* A column of a table of counters: which field of a row is shown under which name. */
struct column {
	enum type type;
	const char *name;
	const char *unit;
	const char *help;
	size_t offset; /* of a uint64_t in the row */
};

#define COLUMN(type_, row, field, name_, unit_, help_)                                             \
	{                                                                                          \
		.type = type_, .name = name_, .unit = unit_, .help = help_,                        \
		.offset = offsetof(struct row, field)                                              \
	}

static uint64_t value_at(const void *row, size_t offset)
{
	uint64_t value;

	memcpy(&value, (const uint8_t *)row + offset, sizeof(value));
	return value;
}

/* Rows with the value of their label, gathered before they are printed column by column. */
struct rows {
	size_t size;
	size_t n;
	struct entry {
		char label[API_COUNTER_NAME_MAX + MODEL_NAME_MAX + 1];
		const void *row;
	} * entries;
};

static void add(struct rows *rows, const char *label, const void *row)
{
	struct entry *entry;

	if ((rows->n & (rows->n - 1)) == 0) {
		struct entry *grown = realloc(
			rows->entries, (rows->n == 0 ? 1 : rows->n * 2) * sizeof(*rows->entries));

		if (grown == NULL)
			return;
		rows->entries = grown;
	}
	entry = &rows->entries[rows->n++];
	snprintf(entry->label, sizeof(entry->label), "%s", label);
	entry->row = row;
}

static void print(struct out *out, const struct column *columns, size_t n_columns,
	const char *label, struct rows *rows)
{
	for (size_t i = 0; i < n_columns; i++) {
		family(out, columns[i].type, columns[i].name, columns[i].unit, columns[i].help);
		for (size_t k = 0; k < rows->n; k++)
			sample(out, label, rows->entries[k].label,
				value_at(rows->entries[k].row, columns[i].offset));
	}
	free(rows->entries);
	*rows = (struct rows){0};
}

#define PRINT(out, columns, label, rows)                                                           \
	print(out, columns, sizeof(columns) / sizeof((columns)[0]), label, rows)

/* --- what every gateway has --- */

static void print_process(struct out *out, struct api *api)
{
	struct link *link = program_link(api->program);
	struct api_counters header = {0};
	char reason[HEALTH_TEXT_MAX], aead[sizeof(header.aead) + 1] = "";
	bool connected = link_is_connected(link);

	if (connected && link_counters_header(link, &header) == 0)
		memcpy(aead, header.aead, sizeof(header.aead));
	family(out, GAUGE, "build_info", NULL, "Version and cipher implementation; always 1.");
	fprintf(out->file, "sallyport_build_info{version=\"%s\",aead=\"%s\"} 1\n", SP_VERSION,
		aead);
	single(out, GAUGE, "ready", NULL, "1 if the gateway forwards: what /readyz answers.",
		health_ready(api->health, reason));
	single(out, GAUGE, "dataplane_connected", NULL,
		"1 if the control process has its connection to the data plane.", connected);
	single(out, GAUGE, "dataplane_generation", NULL,
		"Number of the configuration that the data plane has in force; 0 = none.",
		link_generation(link));
	single(out, GAUGE, "config_version", NULL,
		"Number of the version in force (`sallyport history`); 0 = none yet.",
		revision_state(api->revision).version);
	single(out, GAUGE, "config_files_differ", NULL,
		"1 if the files on disk are not what is in force (SP1120).",
		revision_state(api->revision).trouble[0] != '\0');
	single(out, GAUGE, "start_time_seconds", "seconds",
		"Unix time at which the control process started.", (uint64_t)api->started_s);
	single(out, GAUGE, "dataplane_start_time_seconds", "seconds",
		"Unix time at which the data plane started; its counters began at 0 then.",
		header.started_s);
}

static const struct column worker_columns[] = {
	COLUMN(COUNTER, api_count_worker, busy_cycles, "worker_busy_cycles", "cycles",
		"TSC cycles of loops that found a packet."),
	COLUMN(COUNTER, api_count_worker, total_cycles, "worker_cycles", "cycles",
		"TSC cycles of all loops; a worker whose counter stands still has stopped."),
	COLUMN(COUNTER, api_count_worker, sleeps, "worker_sleeps", NULL,
		"Times that the worker slept for want of packets."),
	COLUMN(COUNTER, api_count_worker, handoff_out, "worker_handoff_sent_packets", "packets",
		"Packets handed to another worker."),
	COLUMN(COUNTER, api_count_worker, handoff_in, "worker_handoff_received_packets", "packets",
		"Packets taken over from other threads."),
	COLUMN(GAUGE, api_count_worker, flows, "worker_flows", NULL,
		"Flows in the worker's table."),
	COLUMN(COUNTER, api_count_worker, helped, "worker_helped_bursts", "bursts",
		"Bursts that the worker sealed or opened for another."),
};

static const struct column node_columns[] = {
	COLUMN(COUNTER, api_count_node, calls, "node_calls", NULL,
		"Times that the graph's node was run."),
	COLUMN(COUNTER, api_count_node, packets, "node_packets", "packets",
		"Packets that the node handled."),
	COLUMN(COUNTER, api_count_node, cycles, "node_cycles", "cycles",
		"TSC cycles spent in the node."),
};

static const struct column drop_columns[] = {
	COLUMN(COUNTER, api_count_drop, packets, "dropped_packets", "packets",
		"Packets dropped, by reason (`sallyport drops --all` explains them)."),
};

static const struct column port_columns[] = {
	COLUMN(GAUGE, api_count_port, link_up, "port_up", NULL, "1 if the port's link is up."),
	COLUMN(COUNTER, api_count_port, rx_packets, "port_receive_packets", "packets",
		"Frames received."),
	COLUMN(COUNTER, api_count_port, rx_bytes, "port_receive_bytes", "bytes",
		"Bytes of frames received."),
	COLUMN(COUNTER, api_count_port, rx_missed, "port_receive_missed_packets", "packets",
		"Frames that the device dropped because nobody fetched them in time."),
	COLUMN(COUNTER, api_count_port, rx_errors, "port_receive_error_packets", "packets",
		"Frames that the device found broken."),
	COLUMN(COUNTER, api_count_port, tx_packets, "port_transmit_packets", "packets",
		"Frames sent."),
	COLUMN(COUNTER, api_count_port, tx_bytes, "port_transmit_bytes", "bytes",
		"Bytes of frames sent."),
	COLUMN(COUNTER, api_count_port, tx_errors, "port_transmit_error_packets", "packets",
		"Frames that the device could not send."),
};

static void print_workers(struct out *out, struct api *api)
{
	uint32_t n;
	struct api_count_worker *rows = api_read_rows(api, API_SECTION_WORKERS, sizeof(*rows), &n);
	struct rows all = {0};

	for (uint32_t i = 0; i < n; i++) {
		char label[16];

		snprintf(label, sizeof(label), "%u", i);
		add(&all, label, &rows[i]);
	}
	PRINT(out, worker_columns, "worker", &all);
	free(rows);
}

/* Names in shared memory may lack their terminator, and are the data plane's word. */
static void clean_name(const char *name, char out[API_COUNTER_NAME_MAX + 1])
{
	size_t length = strnlen(name, API_COUNTER_NAME_MAX);

	for (size_t i = 0; i < length; i++)
		out[i] = strchr("\"\\", name[i]) != NULL || name[i] < ' ' ? '_' : name[i];
	out[length] = '\0';
}

static void print_nodes(struct out *out, struct api *api)
{
	uint32_t n;
	struct api_count_node *rows = api_read_rows(api, API_SECTION_NODES, sizeof(*rows), &n);
	struct rows all = {0};
	char label[API_COUNTER_NAME_MAX + 1];

	for (uint32_t i = 0; i < n; i++) {
		clean_name(rows[i].name, label);
		add(&all, label, &rows[i]);
	}
	PRINT(out, node_columns, "node", &all);
	free(rows);
}

static void print_drops(struct out *out, struct api *api)
{
	uint32_t n;
	struct api_count_drop *rows = api_read_rows(api, API_SECTION_DROPS, sizeof(*rows), &n);
	struct rows all = {0};
	char label[API_COUNTER_NAME_MAX + 1];

	for (uint32_t i = 0; i < n; i++) {
		clean_name(rows[i].name, label);
		add(&all, label, &rows[i]);
	}
	PRINT(out, drop_columns, "reason", &all);
	free(rows);
}

static void print_ports(struct out *out, struct api *api, const struct compiled *c)
{
	uint32_t n;
	struct api_count_port *rows = api_read_rows(api, API_SECTION_PORTS, sizeof(*rows), &n);
	struct rows all = {0};

	for (size_t i = 0; i < c->desired.n; i++) {
		const struct api_port_set *set = (const void *)c->desired.messages[i];

		if (set->header.type != API_PORT_SET)
			break; /* ports come first in the list */
		if (set->port < n)
			add(&all, set->name, &rows[set->port]);
	}
	PRINT(out, port_columns, "port", &all);
	free(rows);
}

/* --- peers and groups --- */

static const struct column peer_columns[] = {
	COLUMN(COUNTER, api_count_peer, rx_packets, "peer_receive_packets", "packets",
		"Inner packets that the peer sent."),
	COLUMN(COUNTER, api_count_peer, rx_bytes, "peer_receive_bytes", "bytes",
		"Bytes of inner packets that the peer sent."),
	COLUMN(COUNTER, api_count_peer, tx_packets, "peer_transmit_packets", "packets",
		"Inner packets sent to the peer."),
	COLUMN(COUNTER, api_count_peer, tx_bytes, "peer_transmit_bytes", "bytes",
		"Bytes of inner packets sent to the peer."),
	COLUMN(GAUGE, api_count_peer, last_handshake_s, "peer_last_handshake_seconds", "seconds",
		"Unix time of the last handshake; 0 = never."),
	COLUMN(GAUGE, api_count_peer, flows, "peer_flows", NULL, "Flows of the peer now."),
};

static const struct column group_columns[] = {
	COLUMN(COUNTER, api_count_peer, rx_packets, "group_receive_packets", "packets",
		"Inner packets that the group's peers sent; a peer counts in each of its groups."),
	COLUMN(COUNTER, api_count_peer, rx_bytes, "group_receive_bytes", "bytes",
		"Bytes of inner packets that the group's peers sent."),
	COLUMN(COUNTER, api_count_peer, tx_packets, "group_transmit_packets", "packets",
		"Inner packets sent to the group's peers."),
	COLUMN(COUNTER, api_count_peer, tx_bytes, "group_transmit_bytes", "bytes",
		"Bytes of inner packets sent to the group's peers."),
	COLUMN(GAUGE, api_count_peer, flows, "group_flows", NULL, "Flows of the group's peers."),
};

static void print_states(
	struct out *out, const struct compiled *c, const struct api_count_peer *rows, uint32_t n)
{
	uint64_t now = (uint64_t)time(NULL), live = 0, never = 0, disabled = 0;
	size_t total = c->model->tables[MODEL_PEER].n;

	for (size_t i = 0; i < total; i++) {
		uint32_t id = c->peer_ids[i];
		uint64_t handshake = id < n ? rows[id].last_handshake_s : 0;

		if (!model_peer_at(c->model, i)->enabled)
			disabled++;
		else if (handshake == 0)
			never++;
		else if (handshake + API_LIVE_S >= now)
			live++;
	}
	family(out, GAUGE, "peers", NULL,
		"Peers by state: live = a handshake within the last three minutes.");
	sample(out, "state", "live", live);
	sample(out, "state", "idle", total - live - never - disabled);
	sample(out, "state", "never", never);
	sample(out, "state", "disabled", disabled);
}

static void add_up(struct api_count_peer *sum, const struct api_count_peer *row)
{
	sum->rx_packets += row->rx_packets;
	sum->rx_bytes += row->rx_bytes;
	sum->tx_packets += row->tx_packets;
	sum->tx_bytes += row->tx_bytes;
	sum->flows += row->flows;
}

static void print_groups(
	struct out *out, const struct compiled *c, const struct api_count_peer *rows, uint32_t n)
{
	size_t groups = c->model->tables[MODEL_GROUP].n;
	struct api_count_peer *sums = calloc(groups + 1, sizeof(*sums));
	struct rows all = {0};

	for (size_t i = 0; sums != NULL && i < c->model->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(c->model, i);

		for (size_t k = 0; k < peer->groups.n && c->peer_ids[i] < n; k++)
			add_up(&sums[peer->groups.index[k]], &rows[c->peer_ids[i]]);
	}
	for (size_t i = 0; sums != NULL && i < groups && i < METRICS_OBJECTS_MAX; i++)
		add(&all, model_group_at(c->model, i)->object.name, &sums[i]);
	PRINT(out, group_columns, "group", &all);
	free(sums);
}

static void print_peers(struct out *out, struct api *api, const struct compiled *c)
{
	uint32_t n;
	struct api_count_peer *rows = api_read_rows(api, API_SECTION_PEERS, sizeof(*rows), &n);
	size_t total = c->model->tables[MODEL_PEER].n;
	bool each = total <= METRICS_OBJECTS_MAX;
	struct rows all = {0};

	print_states(out, c, rows, n);
	print_groups(out, c, rows, n);
	single(out, GAUGE, "peers_shown", NULL,
		"1 if each peer is shown; with more than 512 only groups are.", each);
	for (size_t i = 0; each && i < total; i++) {
		if (c->peer_ids[i] < n)
			add(&all, model_peer_at(c->model, i)->object.name, &rows[c->peer_ids[i]]);
	}
	PRINT(out, peer_columns, "peer", &all);
	free(rows);
}

/* --- routes, exit nodes, policies, egress --- */

#define PAIR_COLUMNS(kind, noun)                                                                   \
	static const struct column kind##_columns[] = {                                            \
		COLUMN(COUNTER, api_count_pair, packets, #kind "_forward_packets", "packets",      \
			"Packets by the " noun ", as the first of the flow went."),                \
		COLUMN(COUNTER, api_count_pair, bytes, #kind "_forward_bytes", "bytes",            \
			"Bytes of packets by the " noun ", as the first of the flow went."),       \
		COLUMN(COUNTER, api_count_pair, reply_packets, #kind "_reply_packets", "packets",  \
			"Packets of the flows of the " noun ", back."),                            \
		COLUMN(COUNTER, api_count_pair, reply_bytes, #kind "_reply_bytes", "bytes",        \
			"Bytes of packets of the flows of the " noun ", back."),                   \
		COLUMN(COUNTER, api_count_pair, flows, #kind "_flows", NULL,                       \
			"Flows opened by the " noun "."),                                          \
	}

PAIR_COLUMNS(route, "route");
PAIR_COLUMNS(exit_node, "exit node");
PAIR_COLUMNS(policy, "policy");

static void print_routes(struct out *out, struct api *api, const struct compiled *c)
{
	uint32_t n;
	struct api_count_pair *rows = api_read_rows(api, API_SECTION_ROUTES, sizeof(*rows), &n);
	struct rows all = {0};

	for (size_t i = 0; i < c->model->tables[MODEL_ROUTE].n && i < METRICS_OBJECTS_MAX; i++) {
		if (c->route_ids[i] < n)
			add(&all, model_route_at(c->model, i)->object.name, &rows[c->route_ids[i]]);
	}
	PRINT(out, route_columns, "route", &all);
	for (size_t i = 0; i < c->model->tables[MODEL_EXIT_NODE].n && i < METRICS_OBJECTS_MAX;
		i++) {
		if (c->exit_node_ids[i] < n)
			add(&all, model_exit_node_at(c->model, i)->object.name,
				&rows[c->exit_node_ids[i]]);
	}
	PRINT(out, exit_node_columns, "exit_node", &all);
	free(rows);
}

static void print_policies(struct out *out, struct api *api, const struct compiled *c)
{
	size_t n_policies = c->model->tables[MODEL_POLICY].n;
	struct api_count_pair *sums = calloc(n_policies + 1, sizeof(*sums)), *rows;
	struct rows all = {0};
	uint32_t n;

	rows = api_read_rows(api, API_SECTION_RULES, sizeof(*rows), &n);
	for (size_t i = 0; sums != NULL && i < n_policies && i < METRICS_OBJECTS_MAX; i++) {
		const char *name = model_policy_at(c->model, i)->object.name;

		sums[i] = api_sum_rules(c, name, rows, n);
		add(&all, name, &sums[i]);
	}
	PRINT(out, policy_columns, "policy", &all);
	free(rows);
	free(sums);
}

static const struct column egress_columns[] = {
	COLUMN(COUNTER, api_count_egress, tx_packets, "egress_transmit_packets", "packets",
		"Packets that left with the address."),
	COLUMN(COUNTER, api_count_egress, tx_bytes, "egress_transmit_bytes", "bytes",
		"Bytes of packets that left with the address."),
	COLUMN(COUNTER, api_count_egress, rx_packets, "egress_receive_packets", "packets",
		"Packets that came back to the address."),
	COLUMN(COUNTER, api_count_egress, rx_bytes, "egress_receive_bytes", "bytes",
		"Bytes of packets that came back to the address."),
	COLUMN(GAUGE, api_count_egress, mappings, "egress_mappings", NULL,
		"Port mappings of the address now."),
	COLUMN(GAUGE, api_count_egress, blocks_used, "egress_port_blocks_used", NULL,
		"Port blocks of the address in use, all protocols."),
	COLUMN(GAUGE, api_count_egress, blocks_total, "egress_port_blocks", NULL,
		"Port blocks that the address has, all protocols."),
	COLUMN(COUNTER, api_count_egress, refused, "egress_refused_flows", NULL,
		"Flows refused for want of a port."),
};

static void print_egress(struct out *out, struct api *api, const struct compiled *c)
{
	uint32_t n;
	struct api_count_egress *rows = api_read_rows(api, API_SECTION_EGRESS, sizeof(*rows), &n);
	char text[ADDR_TEXT_MAX];
	struct rows all = {0};

	for (size_t i = 0; i < c->model->tables[MODEL_POOL].n; i++) {
		const struct model_pool *pool = model_pool_at(c->model, i);

		for (size_t k = 0; k < pool->addresses.n && all.n < METRICS_OBJECTS_MAX; k++) {
			if (c->pool_address_ids[i][k] < n)
				add(&all, addr_format(&pool->addresses.items[k], text),
					&rows[c->pool_address_ids[i][k]]);
		}
	}
	PRINT(out, egress_columns, "address", &all);
	free(rows);
}

char *api_metrics(struct api *api, bool openmetrics)
{
	const struct compiled *c = program_compiled(api->program);
	char *text = NULL;
	size_t size;
	struct out out = {.file = open_memstream(&text, &size), .openmetrics = openmetrics};

	if (out.file == NULL)
		return NULL;
	print_process(&out, api);
	print_workers(&out, api);
	print_nodes(&out, api);
	print_drops(&out, api);
	if (c != NULL) {
		print_ports(&out, api, c);
		print_peers(&out, api, c);
		print_routes(&out, api, c);
		print_policies(&out, api, c);
		print_egress(&out, api, c);
	}
	if (openmetrics)
		fputs("# EOF\n", out.file);
	if (fclose(out.file) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

void api_get_metrics(struct http_request *request, void *arg)
{
	const char *accept = http_header(request, "Accept");
	bool openmetrics = accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
	char *text = api_metrics(arg, openmetrics);

	if (text == NULL) {
		http_reply_problem(request, 503, "out of memory", NULL);
		return;
	}
	http_reply_text(request, 200,
		openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
			    : "text/plain; version=0.0.4; charset=utf-8",
		text);
	free(text);
}

/* --- probes --- */

static void answer(struct http_request *request, bool good, const char *reason)
{
	char text[HEALTH_TEXT_MAX + 8];

	snprintf(text, sizeof(text), "%s\n", good ? "ok" : reason);
	http_reply_text(request, good ? 200 : 503, "text/plain; charset=utf-8", text);
}

/* That it answers is the answer: the loop turns. */
void api_get_livez(struct http_request *request, void *arg)
{
	answer(request, true, "");
}

void api_get_readyz(struct http_request *request, void *arg)
{
	const struct api *api = arg;
	char reason[HEALTH_TEXT_MAX];
	bool ready = health_ready(api->health, reason);

	answer(request, ready, reason);
}

void api_get_startupz(struct http_request *request, void *arg)
{
	const struct api *api = arg;
	char reason[HEALTH_TEXT_MAX] = "";
	bool started = health_started(api->health);

	if (!started && health_ready(api->health, reason))
		started = true;
	answer(request, started, reason);
}

const struct http_route api_probe_routes[] = {
	{"GET", "/metrics", api_get_metrics},
	{"GET", "/livez", api_get_livez},
	{"GET", "/readyz", api_get_readyz},
	{"GET", "/startupz", api_get_startupz},
	{NULL, NULL, NULL},
};
