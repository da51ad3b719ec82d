/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows come from the data plane entry by entry; the answer waits for the last one. */
#include "control/api/api_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/table.h"
#include "control/why/why.h"

struct dumping {
	struct api *api;
	struct http_request *request;
	json_t *flows;
};

static json_t *identity_json(const struct compiled *c, uint32_t identity)
{
	const struct model_peer *peer;
	char text[32];

	if (identity & API_IDENT_HOST)
		return json_string("host");
	if (identity & API_IDENT_HAIRPIN)
		return json_string("hairpin");
	for (size_t i = 0; (identity & API_IDENT_PORT) && i < c->desired.n; i++) {
		const struct api_port_set *set = (const void *)c->desired.messages[i];

		if (set->header.type == API_PORT_SET && set->port == (identity & 0xffff)) {
			snprintf(text, sizeof(text), "port:%s", set->name);
			return json_string(text);
		}
	}
	peer = compile_peer_of_id(c, identity);
	return api_json_text(peer == NULL ? NULL : peer->object.name);
}

static const char *protocol_name(uint8_t proto, char text[8])
{
	switch (proto) {
	case 1:
		return "icmp";
	case 6:
		return "tcp";
	case 17:
		return "udp";
	case 58:
		return "icmpv6";
	default:
		snprintf(text, 8, "%u", proto);
		return text;
	}
}

/* Where a peer's prefixes are mapped: what stands on the wire in his tunnel, else null. */
static json_t *real_json(const struct compiled *c, uint32_t identity, const struct addr *seen)
{
	struct addr addr = *seen;

	if (c == NULL || identity == 0 ||
		(identity & (API_IDENT_HOST | API_IDENT_PORT | API_IDENT_HAIRPIN)) != 0 ||
		!why_turn(&c->desired, identity, &addr))
		return json_null();
	return api_json_addr(&addr);
}

json_t *api_json_flow(const struct compiled *c, const struct api_flow_entry *entry)
{
	json_t *flow = json_object();
	const char *rule = NULL;
	char text[8];

	if (c != NULL && entry->policy_rule < c->n_rule_names)
		rule = c->rule_names[entry->policy_rule];
	json_object_set_new(flow, "protocol", json_string(protocol_name(entry->proto, text)));
	json_object_set_new(flow, "src", api_json_addr(&entry->src));
	json_object_set_new(flow, "sport", json_integer(entry->sport));
	json_object_set_new(flow, "dst", api_json_addr(&entry->dst));
	json_object_set_new(flow, "dport", json_integer(entry->dport));
	json_object_set_new(
		flow, "from", c == NULL ? json_null() : identity_json(c, entry->ingress));
	json_object_set_new(flow, "to", c == NULL ? json_null() : identity_json(c, entry->egress));
	json_object_set_new(flow, "src_real", real_json(c, entry->ingress, &entry->src));
	json_object_set_new(flow, "dst_real", real_json(c, entry->egress, &entry->dst));
	json_object_set_new(flow, "nat", api_json_addr(&entry->nat_addr));
	json_object_set_new(flow, "nat_port", json_integer(entry->nat_port));
	json_object_set_new(flow, "rule", api_json_text(rule));
	json_object_set_new(flow, "worker", json_integer(entry->worker));
	json_object_set_new(flow, "packets", api_json_count(entry->packets[0]));
	json_object_set_new(flow, "bytes", api_json_count(entry->bytes[0]));
	json_object_set_new(flow, "reply_packets", api_json_count(entry->packets[1]));
	json_object_set_new(flow, "reply_bytes", api_json_count(entry->bytes[1]));
	json_object_set_new(flow, "hint", api_flow_hint(c, entry));
	json_object_set_new(flow, "idle_ms", json_integer(entry->idle_ms));
	return flow;
}

static void add_flow(const struct api_header *message, void *arg)
{
	const struct api_flow_entry *entry = (const void *)message;
	struct dumping *dumping = arg;

	json_array_append_new(
		dumping->flows, api_json_flow(program_compiled(dumping->api->program), entry));
}

static void finish_flows(const struct api_reply *reply, void *arg)
{
	struct dumping *dumping = arg;

	if (reply->code == 0) {
		http_reply(dumping->request, 200, json_pack("{s:o}", "flows", dumping->flows));
	} else {
		json_decref(dumping->flows);
		http_reply_problem(dumping->request, 503, "the data plane did not answer", NULL);
	}
	free(dumping);
}

/* The id of the peer of this name; 0 if there is none. */
static uint32_t peer_id(const struct compiled *c, const char *name)
{
	const struct model_object *object = model_find(c->model, MODEL_PEER, name);

	return object == NULL ? 0 : c->peer_ids[object->index];
}

void api_get_flows(struct http_request *request, void *arg)
{
	struct api *api = arg;
	const struct compiled *c = api_need_config(api, request);
	const char *peer = http_query(request, "peer");
	unsigned long max = API_FLOWS_DEFAULT;
	struct api_flow_dump dump;
	struct link_question question = {
		.message = &dump,
		.entry = add_flow,
		.done = finish_flows,
	};
	struct dumping *dumping;

	if (c == NULL)
		return;
	api_message_init(&dump, API_FLOW_DUMP, sizeof(dump));
	if (peer != NULL && (dump.peer = peer_id(c, peer)) == 0) {
		http_reply_problem(request, 404, "there is no such peer", NULL);
		return;
	}
	if (!api_read_number(request, "max", 1, API_FLOWS_MAX, &max))
		return;
	dump.max = (uint32_t)max;
	dumping = calloc(1, sizeof(*dumping));
	if (dumping == NULL) {
		http_reply_problem(request, 503, "out of memory", NULL);
		return;
	}
	*dumping = (struct dumping){.api = api, .request = request, .flows = json_array()};
	question.arg = dumping;
	if (link_ask(program_link(api->program), &question) < 0) {
		json_decref(dumping->flows);
		free(dumping);
		http_reply_problem(request, 503, "the data plane is not connected", NULL);
	}
}
