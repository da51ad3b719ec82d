/* SPDX-License-Identifier: BSD-3-Clause */
/* The gateway's part of `sallyport doctor`: control/doctor with the counters of this moment. */
#include "control/api/api_priv.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/doctor/doctor.h"

struct context {
	struct api *api;
	const struct compiled *c;
	struct api_count_peer *peers;
	struct api_count_egress *egress;
	uint32_t n_peers, n_egress;
};

static void get_figures(void *context, uint32_t index, struct doctor_peer_figures *f)
{
	const struct context *x = context;
	uint32_t id = x->c->peer_ids[index];
	struct store_marks marks = {.endpoint = model_peer_at(x->c->model, index)->endpoint};

	memset(f, 0, sizeof(*f));
	if (id != 0 && id < x->n_peers) {
		const struct api_count_peer *row = &x->peers[id];

		*f = (struct doctor_peer_figures){
			.handshake_s = row->last_handshake_s,
			.rx_packets = row->rx_packets,
			.tx_packets = row->tx_packets,
			.wire_rx_bytes = row->wire_rx_bytes,
			.flows = row->flows,
		};
	}
	program_peer_marks(x->api->program, id, &marks);
	if (marks.last_handshake_s > f->handshake_s)
		f->handshake_s = marks.last_handshake_s;
	if (marks.endpoint.addr.family != ADDR_NONE) {
		_Static_assert(sizeof(f->endpoint) >= ENDPOINT_TEXT_MAX, "room for an endpoint");
		endpoint_format(&marks.endpoint, f->endpoint);
	}
}

static const char *get_port_problem(void *context, const struct model_port *port)
{
	const struct context *x = context;
	struct api_event_port state = {0};

	for (size_t i = 0; i < x->c->desired.n; i++) {
		const struct api_port_set *set = (const void *)x->c->desired.messages[i];

		if (set->header.type != API_PORT_SET)
			break; /* ports come first in the list */
		if (strcmp(set->name, port->object.name) != 0)
			continue;
		if (!program_port_state(x->api->program, set->port, &state))
			return NULL; /* nothing has been said against it */
		if (state.failed)
			return strerror(abs(state.code));
		return state.link_up ? NULL : "it has no link";
	}
	return "the data plane does not know it";
}

static uint64_t get_refused(void *context, const struct addr *addr)
{
	const struct context *x = context;
	const struct model *m = x->c->model;

	for (size_t i = 0; i < m->tables[MODEL_POOL].n; i++) {
		const struct model_addrs *addresses = &model_pool_at(m, i)->addresses;

		for (size_t k = 0; k < addresses->n; k++) {
			uint32_t id = x->c->pool_address_ids[i][k];

			if (id < x->n_egress && addr_equal(&addresses->items[k], addr))
				return x->egress[id].refused;
		}
	}
	return 0;
}

void api_get_doctor(struct http_request *request, void *arg)
{
	struct api *api = arg;
	const char *as = http_query(request, "as");
	const struct compiled *c = api_need_config(api, request);
	struct link *link = program_link(api->program);
	struct context x = {.api = api, .c = c};
	const struct model_peer *peer = NULL;

	if (c == NULL)
		return;
	if (as != NULL)
		peer = (const void *)model_find(c->model, MODEL_PEER, as);
	if (as != NULL && peer == NULL) {
		http_reply_problem(request, 404, "there is no such peer", NULL);
		return;
	}
	x.peers = api_read_rows(api, API_SECTION_PEERS, sizeof(*x.peers), &x.n_peers);
	x.egress = api_read_rows(api, API_SECTION_EGRESS, sizeof(*x.egress), &x.n_egress);
	http_reply(request, 200,
		json_pack("{s:i, s:o}", "schema", 1, "checks",
			doctor_gateway(
				&(struct doctor_gateway){
					.compiled = c,
					.list = program_desired(api->program),
					.file = api->config_file,
					.disconnected = link_is_connected(link)
								? NULL
								: program_link_reason(api->program),
					.generation = link_generation(link),
					.now_s = (uint64_t)time(NULL),
					.figures = get_figures,
					.port_problem = get_port_problem,
					.refused = get_refused,
					.context = &x,
				},
				peer)));
	free(x.peers);
	free(x.egress);
}
