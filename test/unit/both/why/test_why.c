/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sallyport why` judges the messages that the data plane was given, in the order in which the
 * data plane judges; here both are asked. Configurations and questions come from fixed seeds; the
 * real route, policy, egress, forward and map tables are filled with what was compiled, and the
 * packet of the question goes through a worker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <cmocka.h>

#include <rte_tcp.h>

#include "common/api/flow.h"
#include "common/api/port.h"
#include "common/api/wireguard.h"
#include "control/api/api.h"
#include "control/conf/conf.h"
#include "control/plan/plan.h"
#include "control/why/why.h"
#include "dataplane/map/map.h"
#include "dataplane/route/route_priv.h"
#include "test/unit/both/why/configs.h"
#include "test/unit/dataplane/flow/fakes.h"

enum { CONFIGS = 300, QUESTIONS = 100 };

static struct store *store;
static struct flow_worker *w;
static struct model *model;
static struct compiled *compiled;
static unsigned seed, disagreements;

static void fill_routes(unsigned copy)
{
	const struct desired *list = &compiled->desired;

	routes_begin(copy);
	allowed_begin(copy);
	local_begin(copy);
	for (size_t i = 0; i < list->n; i++) {
		switch (list->messages[i]->type) {
		case API_ROUTE_SET:
			route_set_apply(list->messages[i], copy, HANDLER_SHADOW);
			break;
		case API_ALLOWED_SET:
			allowed_set_apply(list->messages[i], copy, HANDLER_SHADOW);
			break;
		case API_LOCAL_SET:
			local_set_apply(list->messages[i], copy, HANDLER_SHADOW);
			break;
		default:
			break;
		}
	}
}

static void fill_identities(void)
{
	for (size_t i = 0; i < compiled->desired.n; i++) {
		const struct api_header *message = compiled->desired.messages[i];

		if (message->type == API_PORT_SET) {
			const struct api_port_set *port = (const void *)message;

			assert_in_range(port->port, 1, FAKE_PORTS - 1);
			world.port_set[port->port] = port->set_id;
		} else if (message->type == API_PEER_SET) {
			const struct api_peer_set *peer = (const void *)message;

			assert_in_range(peer->peer, 1, FAKE_PEERS - 1);
			world.peer[peer->peer] =
				(struct fake_peer){.there = true, .set = peer->set_id, .mtu = 1420};
		}
	}
}

static void take_config(unsigned number)
{
	struct compile_input input = {.underlay = true};
	const char *what;
	struct diag *diag;
	char *text;
	int error;

	seed = number;
	configs_seed(number);
	text = configs_make();
	model = conf_parse("random.yaml", text, strlen(text), NULL, &diag);
	if (model == NULL) {
		diag_print(diag, stderr, false);
		fputs(text, stderr);
		fail_msg("seed %u gives no configuration", seed);
	}
	diag_destroy(&diag);
	free(text);
	/* ids are never given twice: each starts from one */
	store = store_open(":memory:", &error);
	assert_non_null(store);
	input.model = model;
	input.store = store;
	compiled = compile_model(&input, &error, &what);
	assert_non_null(compiled);
	fake_reset();
	w = fake_worker(1024);
	assert_int_equal(fake_apply_all(compiled->desired.messages, compiled->desired.n), 0);
	fill_routes(0);
	fill_routes(1);
	fill_identities();
}

static void drop_config(void)
{
	compile_destroy(&compiled);
	model_destroy(&model);
	store_close(&store);
}

/* Where the packet of a question comes in; 0 if nowhere. */
static uint32_t find_ingress(const struct why_query *query, const struct why_answer *answer)
{
	const struct api_port_set *port;

	if (answer->verdict == WHY_PEER_DISABLED) {
		uint32_t id = compiled->peer_ids[answer->from_peer->object.index];

		assert_false(world.peer[id].there);
		return 0;
	}
	if (answer->from_peer != NULL)
		return compiled->peer_ids[answer->from_peer->object.index];
	for (size_t i = 0; i < compiled->desired.n && answer->from_port != NULL; i++) {
		port = (const void *)compiled->desired.messages[i];
		if (port->header.type == API_PORT_SET &&
			strcmp(port->name, answer->from_port->object.name) == 0)
			return API_IDENT_PORT | port->port;
	}
	assert_int_equal(answer->verdict, WHY_UNKNOWN_SENDER);
	return 0;
}

struct packet_out {
	uint8_t role;
	uint32_t peer;
	char src[46], dst[46];
	char drop[48]; /* as why names it; empty = let through */
};

static struct packet_out send_packet(
	const struct why_query *query, uint32_t ingress, uint16_t sport)
{
	bool v6 = query->src.family == ADDR_V6, icmp = query->protocol == MODEL_ICMP;
	struct addr from = query->src;
	char src[46], dst[46];
	struct packet_spec spec = {.ingress = ingress,
				   .dst = addr_format(&query->dst, dst),
				   .sport = sport,
				   .dport = icmp ? sport : query->port,
				   .proto = icmp && v6 ? IPPROTO_ICMPV6 : (uint8_t)query->protocol,
				   .payload = 5,
				   .tcp_flags = RTE_TCP_SYN_FLAG,
				   .icmp_type = v6 ? 128 : 8},
			   seen;
	struct packet_out out = {0};
	struct rte_mbuf *mbuf;
	unsigned at;

	/* a question without a peer names senders as they are seen */
	if (query->as == NULL && (ingress & API_IDENT_PORT) == 0)
		map_turn(fake_copy, ingress, from.family, from.bytes);
	spec.src = addr_format(&from, src);
	mbuf = fake_packet(&spec);
	out.role = fake_deliver(0, mbuf, &at);
	if (out.role == GRAPH_DROP || out.role == GRAPH_ICMP)
		snprintf(out.drop, sizeof(out.drop), "flow.%s",
			fake_drop_name(packet_of(mbuf)->drop));
	out.peer = packet_of(mbuf)->peer;
	fake_read(mbuf, &seen, out.src, out.dst);
	rte_pktmbuf_free(mbuf);
	return out;
}

/* Of what is let through: to whom, and as whom. */
static void compare_way(const struct why_query *query, const struct why_answer *answer,
	const struct packet_out *out)
{
	const struct api_route_set *hop =
		answer->underlay != NULL ? answer->underlay : answer->route;
	bool changed = false;
	char text[46];

	if (answer->to_host) {
		assert_int_equal(out->role, GRAPH_PUNT);
		return;
	}
	if (answer->inside_peer != NULL) {
		assert_int_equal(out->role, GRAPH_SEAL);
		assert_int_equal(out->peer, compiled->peer_ids[answer->inside_peer->object.index]);
	} else if (answer->forward == NULL && hop->next == API_NEXT_PEER) {
		assert_int_equal(out->role, GRAPH_SEAL);
		assert_int_equal(out->peer, hop->peer);
	} else {
		assert_int_equal(out->role, GRAPH_SEND);
	}
	for (size_t i = 0; i < answer->n_candidates; i++)
		changed |= strcmp(out->src, addr_format(&answer->candidates[i], text)) == 0;
	assert_int_equal(changed, answer->masquerade);
	if (answer->real.family != ADDR_NONE && answer->forward == NULL)
		assert_string_equal(out->dst, addr_format(&answer->real, text));
}

static void compare(uint16_t number, unsigned count[2])
{
	const char *words[4], *wrong, *drop;
	struct why_query query;
	struct why_answer answer;
	struct why_index *index;
	struct packet_out out;
	uint32_t ingress;

	configs_question(words);
	wrong = api_why_read(compiled, words, &query);
	if (wrong != NULL)
		return; /* a peer without an address of that family */
	index = why_index_create(compiled, &compiled->desired);
	why_judge(index, &query, &answer);
	why_index_destroy(&index);
	ingress = find_ingress(&query, &answer);
	if (ingress == 0)
		return;
	out = send_packet(&query, ingress, (uint16_t)(30000 + number));
	drop = why_drop_name(&answer);
	if (strcmp(drop == NULL ? "" : drop, out.drop) != 0) {
		print_error("seed %u: %s -> %s %s as %s: why says '%s', the data plane '%s'\n",
			seed, words[0], words[1], words[2] == NULL ? "icmp" : words[2],
			words[3] == NULL ? "itself" : words[3], drop == NULL ? "allowed" : drop,
			out.drop[0] == '\0' ? "allowed" : out.drop);
		disagreements++;
		return;
	}
	if (drop == NULL)
		compare_way(&query, &answer, &out);
	count[drop == NULL]++;
}

/* The same configuration again: it cuts none of the flows that run. */
static void expect_no_cut(void)
{
	const struct handler_stream *dump = handler_find_stream(API_FLOW_DUMP);
	struct api_flow_dump asked = {.max = UINT32_MAX};
	struct plan_flows *flows = plan_flows_create(compiled, &compiled->desired);
	struct api_flow_entry entry;
	const char *why;
	void *stream;
	int rc;

	assert_int_equal(dump->open(&asked, &stream), 0);
	while ((rc = dump->next(stream, &entry)) >= 0) {
		char src[46], dst[46];

		why = rc == 0 ? NULL : plan_flow_cut(flows, &entry);
		if (why == NULL)
			continue;
		print_error("seed %u: %s -> %s %u protocol %u would be cut: %s\n", seed,
			addr_format(&entry.src, src), addr_format(&entry.dst, dst), entry.dport,
			entry.proto, why);
		disagreements++;
	}
	dump->close(stream);
	plan_flows_destroy(&flows);
}

static void why_and_the_data_plane_agree(void **state)
{
	unsigned count[2] = {0};

	for (unsigned i = 1; i <= CONFIGS; i++) {
		take_config(i);
		for (uint16_t k = 0; k < QUESTIONS; k++)
			compare(k, count);
		expect_no_cut();
		drop_config();
	}
	assert_int_equal(disagreements, 0);
	print_message("%u refused, %u let through\n", count[0], count[1]);
	assert_true(count[0] > CONFIGS && count[1] > CONFIGS);
}

static int set_up(void **state)
{
	fake_start();
	return routes_init(4096) != 0 || allowed_init(4096) != 0 || local_init() != 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(why_and_the_data_plane_agree),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
