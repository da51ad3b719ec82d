/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long `plan` takes to judge running flows by another configuration: bench_plan [PEERS]
 * [FLOWS] [LIMIT_MS]. Peers of two groups with an exit node, and a route per hundred of them, one
 * flow after the other from all of them; ends after the limit. Also what one turn of the control
 * process's loop takes, which judges 4,096 flows at most.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/conf/conf.h"
#include "control/plan/plan.h"

enum { PER_TURN = 4096 };

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void write_key(FILE *out, unsigned number)
{
	struct key key = {0};
	char text[KEY_TEXT_MAX];

	memcpy(key.bytes, &number, sizeof(number));
	key.bytes[8] = 1;
	fputs(key_format(&key, text), out);
}

static char *make_text(unsigned peers, size_t *size)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, size);

	if (out == NULL)
		exit(1);
	fputs("version: 1\n"
	      "ports: {inet: {device: net_null0, addresses: [203.0.113.2/24], gateways: "
	      "[203.0.113.1]}}\n"
	      "wireguard: {addresses: [100.64.0.1/10]}\n"
	      "groups: {staff: {}, ops: {}}\n"
	      "exit_nodes: {internet: {offer_to: [staff, ops]}}\n"
	      "egress: {pools: {a: {addresses: [203.0.113.5, 203.0.113.6]}}, default: a}\n"
	      "policies:\n"
	      "  - {name: out, from: {groups: [staff, ops]}, to: {exit_nodes: [internet]}, "
	      "action: allow}\n"
	      "  - {name: inside, from: {groups: [ops]}, to: {groups: [staff]}, action: allow}\n"
	      "peers:\n",
		out);
	for (unsigned i = 0; i < peers; i++) {
		fprintf(out, "  p%u: {addresses: [100.%u.%u.%u], groups: [%s], public_key: ", i,
			65 + (i >> 16), i >> 8 & 255, i & 255, i % 2 == 0 ? "staff" : "ops");
		write_key(out, i + 1);
		fputs("}\n", out);
	}
	fputs("routes:\n", out);
	for (unsigned i = 0; i < peers; i += 100)
		fprintf(out,
			"  r%u: {network: n%u, prefixes: [10.%u.%u.0/24], via: {peers: [p%u]}, "
			"distribute_to: [ops], acl_groups: [ops], masquerade: false}\n",
			i, i, i / 100 >> 8 & 255, i / 100 & 255, i);
	fclose(out);
	return text;
}

/* To the internet, to another peer, or into a routed network. */
static struct api_flow_entry make_flow(const struct compiled *c, unsigned number, unsigned peers)
{
	unsigned peer = number * 7919u % peers, other = (peer + 1) % peers;
	struct api_flow_entry entry = {.proto = MODEL_TCP, .sport = 40000, .dport = 443};
	char text[32];

	entry.ingress = c->peer_ids[peer];
	entry.src = model_peer_at(c->model, peer)->addresses.items[0];
	entry.egress = API_IDENT_PORT;
	if (number % 3 == 0) {
		entry.dst = model_peer_at(c->model, other)->addresses.items[0];
		entry.egress = c->peer_ids[other];
		return entry;
	}
	snprintf(text, sizeof(text), number % 3 == 1 ? "198.51.%u.9" : "10.0.%u.9", number & 255);
	if (addr_parse(text, &entry.dst) < 0 || addr_parse("203.0.113.5", &entry.nat_addr) < 0)
		exit(1);
	return entry;
}

int main(int argc, char **argv)
{
	unsigned peers = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
	unsigned n_flows = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 100000;
	double limit = argc > 3 ? strtod(argv[3], NULL) : 60000, start, begun, turn, longest = 0;
	struct compile_input input = {.underlay = true};
	struct plan_flows *flows;
	struct compiled *compiled;
	struct diag *diag;
	struct model *model;
	const char *what;
	unsigned n = 0, cut = 0;
	size_t size;
	char *text;
	int error;

	text = make_text(peers, &size);
	model = conf_parse("bench.yaml", text, size, NULL, &diag);
	input.store = store_open(NULL, &error);
	if (model == NULL || input.store == NULL) {
		diag_print(diag, stderr, false);
		return 1;
	}
	input.model = model;
	compiled = compile_model(&input, &error, &what);
	if (compiled == NULL)
		return 1;
	start = now_ms();
	flows = plan_flows_create(compiled, &compiled->desired);
	begun = turn = now_ms();
	while (n < n_flows && now_ms() - begun < limit) {
		struct api_flow_entry entry = make_flow(compiled, n++, peers);

		cut += plan_flow_cut(flows, &entry) != NULL;
		if (n % PER_TURN != 0)
			continue;
		longest = now_ms() - turn > longest ? now_ms() - turn : longest;
		turn = now_ms();
	}
	printf("%u peers, %zu objects: ready in %.1f ms; %u of %u flows judged in %.0f ms (%.2f us "
	       "each), %u cut; longest turn %.1f ms\n",
		peers, compiled->desired.n, begun - start, n, n_flows, now_ms() - begun,
		(now_ms() - begun) * 1000 / n, cut, longest);
	plan_flows_destroy(&flows);
	compile_destroy(&compiled);
	model_destroy(&model);
	diag_destroy(&diag);
	store_close(&input.store);
	free(text);
	return 0;
}
