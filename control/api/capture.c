/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * POST /api/capture {port, peer, drops, snap, count, filter: {ethernet, ip}} answers with a pcapng
 * file that goes on until the client leaves or `count` packets are in it; filters are lists of
 * [code, jt, jf, k]. GET /api/trace?peer=&count= answers with one JSON object per line. One of
 * each at a time: the data plane has one set of buffers.
 */
#include "control/api/api_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/capture/capture.h"

enum {
	PENDING_MAX =
		4 << 20, /* bytes that the client has not taken yet: then nothing is fetched */
	COMMENT_MAX = 256,
	INTERFACE_IP = 0,     /* of the file; ports follow from INTERFACE_FRAMES + 1 */
	INTERFACE_FRAMES = 1, /* of a port that is unknown */
};

struct api_stream {
	struct api *api;
	struct http_request *request;
	struct capture *capture;
	struct api_stream **slot; /* where the api knows it; cleared at the end */
	struct pcapng out;
	uint64_t left; /* packets until the end; 0 = no bound */
	uint64_t lost;
	uint32_t interface[API_PORT_MAX]; /* by port id; 0 = none */
};

static void end_stream(struct api_stream *stream)
{
	capture_stop(&stream->capture);
	*stream->slot = NULL;
	http_stream_end(stream->request);
	pcapng_free(&stream->out);
	free(stream);
}

static void on_closed(void *arg)
{
	end_stream(arg);
}

static void on_ended(const char *reason, void *arg)
{
	end_stream(arg);
}

static bool has_room(void *arg)
{
	const struct api_stream *stream = arg;

	return http_stream_pending(stream->request) < PENDING_MAX;
}

static const char *peer_name(const struct compiled *c, uint32_t id)
{
	const struct model_peer *peer = compile_peer_of_id(c, id);

	return peer == NULL ? NULL : peer->object.name;
}

static const char *port_name(const struct compiled *c, uint32_t id)
{
	for (size_t i = 0; i < c->desired.n; i++) {
		const struct api_port_set *set = (const void *)c->desired.messages[i];

		if (set->header.type != API_PORT_SET)
			break; /* ports come first in the list */
		if (set->port == id)
			return set->name;
	}
	return NULL;
}

static void drop_name(struct api *api, uint16_t reason, char name[API_COUNTER_NAME_MAX + 1])
{
	struct api_count_drop row;

	snprintf(name, API_COUNTER_NAME_MAX, "%u", reason);
	if (link_counters_read(program_link(api->program), API_SECTION_DROPS, reason, 1, &row,
		    sizeof(row)) == 0)
		snprintf(name, API_COUNTER_NAME_MAX + 1, "%.*s", (int)sizeof(row.name), row.name);
}

/* --- capture --- */

/* "drop flow.policy, from peer anna, port wan" */
static void comment_on(
	struct api_stream *stream, const struct api_capture_part *head, char comment[COMMENT_MAX])
{
	const struct compiled *c = program_compiled(stream->api->program);
	const char *from = peer_name(c, head->ingress), *to = peer_name(c, head->peer);
	const char *port = head->port == 0 ? NULL : port_name(c, head->port);
	char drop[API_COUNTER_NAME_MAX + 1] = "";

	if (head->point == API_CAPTURE_DROP)
		drop_name(stream->api, head->reason, drop);
	snprintf(comment, COMMENT_MAX, "%s%s%s%s%s%s%s%s", drop[0] != '\0' ? ", drop " : "", drop,
		from != NULL ? ", from peer " : "", from != NULL ? from : "",
		to != NULL ? ", to peer " : "", to != NULL ? to : "", port != NULL ? ", port " : "",
		port != NULL ? port : "");
	if (comment[0] != '\0')
		memmove(comment, comment + 2, strlen(comment + 2) + 1);
}

static uint32_t interface_of(const struct api_stream *stream, const struct api_capture_part *head)
{
	if (head->link == API_CAPTURE_IP)
		return INTERFACE_IP;
	if (head->port >= API_PORT_MAX || stream->interface[head->port] == 0)
		return INTERFACE_FRAMES;
	return stream->interface[head->port];
}

static void on_packet(const struct api_capture_part *head, const uint8_t *data, void *arg)
{
	struct api_stream *stream = arg;
	char comment[COMMENT_MAX];
	struct pcapng_packet packet = {
		.interface = interface_of(stream, head),
		.time_ns = head->time_ns,
		.data = data,
		.captured = head->captured,
		.wire = head->wire,
		.direction = head->point == API_CAPTURE_DROP ? PCAPNG_UNKNOWN
			     : head->point & (API_CAPTURE_PORT_IN | API_CAPTURE_TUNNEL_IN)
				     ? PCAPNG_IN
				     : PCAPNG_OUT,
		.comment = comment,
	};

	if (stream->left == 0)
		return; /* enough: the end is on its way */
	comment_on(stream, head, comment);
	pcapng_packet(&stream->out, &packet);
	if (head->lost != stream->lost)
		pcapng_lost(&stream->out, packet.interface, head->time_ns, head->lost);
	stream->lost = head->lost;
	http_stream_send(stream->request, stream->out.bytes, stream->out.n);
	pcapng_clear(&stream->out);
	stream->left--;
}

static bool is_finished(void *arg)
{
	const struct api_stream *stream = arg;

	return stream->left == 0;
}

static void begin_file(struct api_stream *stream, const struct compiled *c, uint32_t snap)
{
	uint32_t interfaces = INTERFACE_FRAMES + 1;

	pcapng_section(&stream->out, "sallyport " SP_VERSION);
	pcapng_interface(&stream->out, PCAPNG_RAW_IP, snap, "ip", "packets inside the gateway");
	pcapng_interface(&stream->out, PCAPNG_ETHERNET, snap, "frames", "frames of deleted ports");
	for (size_t i = 0; i < c->desired.n; i++) {
		const struct api_port_set *set = (const void *)c->desired.messages[i];

		if (set->header.type != API_PORT_SET)
			break;
		pcapng_interface(&stream->out, PCAPNG_ETHERNET, snap, set->name, set->device);
		stream->interface[set->port] = interfaces++;
	}
	http_stream_send(stream->request, stream->out.bytes, stream->out.n);
	pcapng_clear(&stream->out);
}

/* NULL, or what is wrong. */
static const char *read_filter(const json_t *list, struct capture_filter *filter)
{
	size_t n = json_array_size(list);

	if (list == NULL || json_is_null(list))
		return NULL;
	if (!json_is_array(list) || n == 0 || n > API_CAPTURE_CODE_MAX)
		return "a filter is a list of 1 to 512 instructions";
	filter->insns = calloc(n, sizeof(*filter->insns));
	if (filter->insns == NULL)
		return "out of memory";
	for (size_t i = 0; i < n; i++) {
		json_int_t part[4];

		for (size_t k = 0; k < 4; k++)
			part[k] = json_integer_value(json_array_get(json_array_get(list, i), k));
		filter->insns[i] = (struct api_capture_insn){
			(uint16_t)part[0], (uint8_t)part[1], (uint8_t)part[2], (uint32_t)part[3]};
	}
	filter->n = (uint16_t)n;
	return capture_filter_valid(filter) ? NULL : "not a program of classic BPF";
}

static uint32_t find_peer(const struct compiled *c, const char *name)
{
	const struct model_object *object = model_find(c->model, MODEL_PEER, name);

	return object == NULL ? 0 : c->peer_ids[object->index];
}

static uint16_t find_port(const struct compiled *c, const char *name)
{
	for (uint16_t id = 1; id < API_PORT_MAX; id++) {
		const char *known = port_name(c, id);

		if (known != NULL && strcmp(known, name) == 0)
			return id;
	}
	return 0;
}

static const char *read_options(
	const struct compiled *c, const json_t *json, struct capture_options *options)
{
	const char *peer = json_string_value(json_object_get(json, "peer"));
	const char *port = json_string_value(json_object_get(json, "port"));
	const json_t *filter = json_object_get(json, "filter"),
		     *snap = json_object_get(json, "snap");
	const char *wrong;

	options->snap = API_CAPTURE_SNAP_MAX;
	if (snap != NULL) {
		json_int_t bytes = json_integer_value(snap);

		if (bytes < 1 || bytes > API_CAPTURE_SNAP_MAX)
			return "snap is a number from 1 to 9216";
		options->snap = (uint16_t)bytes;
	}
	if (peer != NULL && (options->peer = find_peer(c, peer)) == 0)
		return "there is no such peer";
	if (port != NULL && (options->port = find_port(c, port)) == 0)
		return "there is no such port";
	if (json_is_true(json_object_get(json, "drops")))
		options->points = API_CAPTURE_DROP;
	else if (peer != NULL && port != NULL)
		return "a peer or a port: both only with drops";
	else
		options->points = peer != NULL ? API_CAPTURE_TUNNEL_IN | API_CAPTURE_TUNNEL_OUT
					       : API_CAPTURE_PORT_IN | API_CAPTURE_PORT_OUT;
	wrong = read_filter(
		json_object_get(filter, "ethernet"), &options->filter[API_CAPTURE_ETHERNET]);
	if (wrong == NULL)
		wrong = read_filter(
			json_object_get(filter, "ip"), &options->filter[API_CAPTURE_IP]);
	return wrong;
}

static struct api_stream *make_stream(
	struct api *api, struct http_request *request, struct api_stream **slot)
{
	struct api_stream *stream = calloc(1, sizeof(*stream));

	if (stream == NULL)
		return NULL;
	stream->api = api;
	stream->request = request;
	stream->slot = slot;
	return stream;
}

static void refuse(struct http_request *request, int error)
{
	if (error == -EOPNOTSUPP)
		http_reply_problem(request, 503, "the data plane is too old for it", NULL);
	else
		http_reply_problem(request, 503, "the data plane is not connected", NULL);
}

static void begin_capture(struct api *api, struct http_request *request, const struct compiled *c,
	const struct capture_options *options, uint64_t count)
{
	struct api_stream *stream = make_stream(api, request, &api->capturing);
	const struct capture_handler handler = {.packet = on_packet,
		.has_room = has_room,
		.finished = is_finished,
		.ended = on_ended,
		.arg = stream};
	int error = -ENOMEM;

	if (stream != NULL)
		stream->capture = capture_start(
			api->base, program_link(api->program), options, &handler, &error);
	if (stream == NULL || stream->capture == NULL) {
		free(stream);
		refuse(request, error);
		return;
	}
	api->capturing = stream;
	stream->left = count == 0 ? UINT64_MAX : count;
	http_stream_start(request, "application/x-pcapng", on_closed, stream);
	begin_file(stream, c, options->snap);
}

void api_post_capture(struct http_request *request, void *arg)
{
	struct api *api = arg;
	const struct compiled *c = api_need_config(api, request);
	struct capture_options options = {0};
	const char *body, *wrong;
	json_t *json;
	size_t size;

	if (c == NULL)
		return;
	body = http_body(request, &size);
	json = json_loadb(body, size, 0, NULL);
	wrong = json_is_object(json) ? read_options(c, json, &options) : "not a JSON object";
	if (wrong != NULL)
		http_reply_problem(request, 400, wrong, NULL);
	else if (api->capturing != NULL)
		http_reply_problem(request, 409, "somebody else is capturing", NULL);
	else
		begin_capture(api, request, c, &options,
			(uint64_t)json_integer_value(json_object_get(json, "count")));
	for (unsigned link = 0; link < API_CAPTURE_LINKS; link++)
		free(options.filter[link].insns);
	json_decref(json);
}

/* --- trace --- */

static json_t *stages_json(struct api *api, const struct api_trace_entry *entry)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < entry->stages; i++) {
		const struct api_trace_stage *stage = &entry->stage[i];
		struct api_count_node row = {.name = "?"};

		if (link_counters_read(program_link(api->program), API_SECTION_NODES, stage->node,
			    1, &row, sizeof(row)) < 0)
			row.name[0] = '?';
		row.name[sizeof(row.name) - 1] = '\0';
		json_array_append_new(
			list, json_pack("{s:s, s:i, s:i, s:i, s:I}", "node", row.name, "worker",
				      (int)stage->worker, "burst", (int)stage->burst, "cycles",
				      (int)stage->cycles, "at_ns", (json_int_t)stage->at_ns));
	}
	return list;
}

static const char *const ends[] = {
	[API_TRACE_WAITS] = "waits",
	[API_TRACE_DROPPED] = "dropped",
	[API_TRACE_SENT] = "sent",
	[API_TRACE_HOST] = "host",
	[API_TRACE_HANDSHAKE] = "handshake",
	[API_TRACE_KEEPALIVE] = "keepalive",
	[API_TRACE_JOINED] = "joined",
};

/* What became of it, and where. */
static void end_json(struct api *api, const struct api_trace_entry *entry, json_t *json)
{
	const struct compiled *c = program_compiled(api->program);
	const char *end = entry->end < sizeof(ends) / sizeof(ends[0]) ? ends[entry->end] : NULL;
	char drop[API_COUNTER_NAME_MAX + 1];

	if (entry->reason != 0)
		drop_name(api, entry->reason, drop);
	json_object_set_new(json, "end", api_json_text(end));
	json_object_set_new(
		json, "port", api_json_text(entry->port == 0 ? NULL : port_name(c, entry->port)));
	json_object_set_new(json, "drop", api_json_text(entry->reason != 0 ? drop : NULL));
}

static void on_way(const struct api_trace_entry *entry, void *arg)
{
	struct api_stream *stream = arg;
	const struct compiled *c = program_compiled(stream->api->program);
	const char *from = peer_name(c, entry->ingress), *to = peer_name(c, entry->peer);
	json_t *json = json_object();
	char *text;

	if (stream->left == 0)
		return;
	json_object_set_new(json, "time_ns", api_json_count(entry->time_ns));
	json_object_set_new(json, "from", api_json_text(from));
	json_object_set_new(json, "to", api_json_text(to));
	json_object_set_new(json, "src", api_json_addr(&entry->src));
	json_object_set_new(json, "dst", api_json_addr(&entry->dst));
	json_object_set_new(json, "sport", json_integer(entry->sport));
	json_object_set_new(json, "dport", json_integer(entry->dport));
	json_object_set_new(json, "proto", json_integer(entry->proto));
	json_object_set_new(json, "stages", stages_json(stream->api, entry));
	json_object_set_new(json, "cycles_per_us", json_integer(entry->hz_mhz));
	end_json(stream->api, entry, json);
	text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(json);
	if (text != NULL) {
		http_stream_send(stream->request, text, strlen(text));
		http_stream_send(stream->request, "\n", 1);
	}
	free(text);
	stream->left--;
}

void api_get_trace(struct http_request *request, void *arg)
{
	struct api *api = arg;
	const struct compiled *c = api_need_config(api, request);
	const char *peer = http_query(request, "peer");
	unsigned long n = 1;
	uint32_t id = 0;
	struct api_stream *stream;
	struct capture_handler handler = {
		.way = on_way, .finished = is_finished, .ended = on_ended};
	int error = -ENOMEM;

	if (c == NULL)
		return;
	if (peer != NULL && (id = find_peer(c, peer)) == 0) {
		http_reply_problem(request, 404, "there is no such peer", NULL);
		return;
	}
	if (!api_read_number(request, "count", 1, API_TRACE_COUNT_MAX, &n))
		return;
	if (api->tracing != NULL) {
		http_reply_problem(request, 409, "somebody else is tracing", NULL);
		return;
	}
	stream = handler.arg = make_stream(api, request, &api->tracing);
	if (stream != NULL)
		stream->capture = capture_trace(
			api->base, program_link(api->program), id, (uint32_t)n, &handler, &error);
	if (stream == NULL || stream->capture == NULL) {
		free(stream);
		refuse(request, error);
		return;
	}
	api->tracing = stream;
	stream->left = n;
	http_stream_start(request, "application/x-ndjson", on_closed, stream);
}
