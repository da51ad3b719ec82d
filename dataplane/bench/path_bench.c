/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * path-bench: cycles of the whole path, one worker, no NIC: the data plane's own graph between two
 * ring devices, programmed through the same handlers as by the control process.
 *
 *   open   a peer's sealed packet arrives on `wan`, is opened, judged, masqueraded and sent on
 *          `inet`
 *   seal   its answer arrives on `inet`, is translated back, sealed and sent on `wan`
 *   first  instead of these, with --routes N: as open, but each packet is a flow's first one, to an
 *          address behind one of so many routes of overlay and underlay
 *
 * The walk of the graph alone is measured; making and collecting packets is not. Beside it, in the
 * same run and on the same sizes, the cipher alone. TSC cycles per packet: the median and the 10th
 * percentile over windows; of each node, as the graph counts them, the median (wg_open's
 * and wg_seal's hold the cipher). Run by one thread: nothing else may use its core.
 */
#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_graph.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/counters.h"
#include "dataplane/aead/aead.h"
#include "dataplane/bench/rig.h"
#include "dataplane/bench/traffic.h"
#include "dataplane/graph/graph.h"
#include "dataplane/main/dataplane.h"
#include "dataplane/wireguard/wireguard_priv.h"

enum {
	WINDOW = 64, /* bursts of one reading */
	NODES_MAX = 64,
};

struct options {
	struct traffic traffic;
	unsigned windows;
	unsigned routes;
	const char *aead;
	bool json;
};

/* The cipher alone works on memory laid out as packets are: the address of a payload within a
 * cache line, and the distance of buffers, cost wide loads up to a tenth. */
enum {
	OFFSET_OPEN = RTE_ETHER_HDR_LEN + TRAFFIC_OUTER + WG_DATA_HEADER_SIZE,
	OFFSET_SEAL = RTE_ETHER_HDR_LEN,
	BUFFER = 2304,
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct figure {
	double median, p10;
};

static struct figure figure_of(double *readings, unsigned n)
{
	qsort(readings, n, sizeof(readings[0]), compare);
	return (struct figure){.median = readings[n / 2], .p10 = readings[n / 10]};
}

/* Cycles per packet of each node in each window, from the graph's own counters. */
struct nodes {
	struct api_count_node before[NODES_MAX], now[NODES_MAX];
	double *readings[NODES_MAX];
	unsigned count[NODES_MAX];
	uint32_t n;
};

static void nodes_start(struct nodes *nodes, const struct options *options)
{
	memset(nodes, 0, sizeof(*nodes));
	nodes->n = graph_fill(nodes->before, NODES_MAX);
	for (uint32_t i = 0; i < nodes->n; i++) {
		nodes->readings[i] = calloc(options->windows, sizeof(double));
		if (nodes->readings[i] == NULL)
			rig_die("memory", -ENOMEM);
	}
}

static void nodes_read(struct nodes *nodes)
{
	graph_fill(nodes->now, NODES_MAX);
	for (uint32_t i = 0; i < nodes->n; i++) {
		uint64_t packets = nodes->now[i].packets - nodes->before[i].packets;

		if (packets != 0)
			nodes->readings[i][nodes->count[i]++] =
				(double)(nodes->now[i].cycles - nodes->before[i].cycles) /
				(double)packets;
	}
	memcpy(nodes->before, nodes->now, sizeof(nodes->before));
}

static void nodes_print(struct nodes *nodes, bool json)
{
	for (uint32_t i = 0; i < nodes->n; i++) {
		if (nodes->count[i] != 0)
			printf(json ? ",\"%s\":%.1f" : "  %s %.1f", nodes->now[i].name,
				figure_of(nodes->readings[i], nodes->count[i]).median);
		free(nodes->readings[i]);
	}
	puts(json ? "}" : "");
}

static struct figure measure(
	struct rig *rig, const struct options *options, bool open, struct nodes *nodes)
{
	double *readings = calloc(options->windows, sizeof(*readings));
	struct rte_mbuf *mbufs[RTE_GRAPH_BURST_SIZE];
	unsigned flow = 0, lost = 0;
	struct wire *in = open ? &rig->wan : &rig->inet, *out = open ? &rig->inet : &rig->wan;
	struct figure figure;

	if (readings == NULL)
		rig_die("memory", -ENOMEM);
	nodes_start(nodes, options);
	for (unsigned window = 0; window < options->windows; window++) {
		uint64_t cycles = 0;

		for (unsigned i = 0; i < WINDOW; i++) {
			(open ? traffic_make_up : traffic_make_down)(
				rig, &options->traffic, mbufs, flow);
			rte_ring_enqueue_bulk(
				in->to_port, (void **)mbufs, options->traffic.burst, NULL);
			cycles += rig_walk(rig);
			lost += options->traffic.burst - traffic_collect(out, NULL, flow);
			flow += options->traffic.burst;
		}
		readings[window] = (double)cycles / (WINDOW * options->traffic.burst);
		nodes_read(nodes);
	}
	if (lost != 0) {
		fprintf(stderr, "path-bench: %u packets were lost on the way\n", lost);
		exit(EXIT_FAILURE);
	}
	figure = figure_of(readings, options->windows);
	free(readings);
	return figure;
}

static struct figure measure_aead(struct rig *rig, const struct options *options, bool open)
{
	double *readings = calloc(options->windows, sizeof(*readings));
	uint32_t length = RTE_MIN(
		RTE_ALIGN(options->traffic.size, (unsigned)WG_PADDING), (unsigned)RIG_TUNNEL_MTU);
	unsigned offset = open ? OFFSET_OPEN : OFFSET_SEAL;
	struct aead_packet jobs[RTE_GRAPH_BURST_SIZE];
	uint64_t counter = 0;
	uint8_t *memory = rte_malloc(NULL, (size_t)options->traffic.burst * BUFFER + 64, 64);
	struct figure figure;

	if (readings == NULL || memory == NULL)
		rig_die("memory", -ENOMEM);
	for (unsigned window = 0; window < options->windows; window++) {
		uint64_t cycles = 0;

		for (unsigned i = 0; i < WINDOW; i++) {
			uint64_t start;

			for (unsigned k = 0; k < options->traffic.burst; k++)
				jobs[k] = (struct aead_packet){.key = rig->key_up,
					.counter = counter++,
					.src = memory + k * BUFFER + offset,
					.dst = memory + k * BUFFER + offset,
					.length = length};
			if (open)
				aead_seal(rig->aead, jobs, options->traffic.burst);
			start = rte_rdtsc_precise();
			if (open)
				aead_open(rig->aead, jobs, options->traffic.burst);
			else
				aead_seal(rig->aead, jobs, options->traffic.burst);
			cycles += rte_rdtsc_precise() - start;
		}
		readings[window] = (double)cycles / (WINDOW * options->traffic.burst);
	}
	figure = figure_of(readings, options->windows);
	free(readings);
	rte_free(memory);
	return figure;
}

static void print_row(const struct options *options, const char *path, struct figure whole,
	struct figure cipher, struct nodes *nodes)
{
	const char *shape =
		options->json ? "{\"path\":\"%s\",\"bytes\":%u,\"peers\":%u,\"flows\":%u,\"burst\":"
				"%u,\"aead\":\"%s\","
				"\"cycles\":%.1f,\"cycles_p10\":%.1f,\"aead_cycles\":%.1f,\"beyond_"
				"aead\":%.1f"
			      : "%-5s %5u B  %6u peers  %7u flows  burst %3u  %-9s  %7.1f cycles "
				"(p10 %7.1f)  "
				"cipher alone %7.1f  beyond it %6.1f\n     ";

	printf(shape, path, options->traffic.size, options->traffic.peers, options->traffic.flows,
		options->traffic.burst, aead_name(), whole.median, whole.p10, cipher.median,
		whole.median - cipher.median);
	nodes_print(nodes, options->json);
}

static void run_path(struct rig *rig, const struct options *options, const char *path, bool open)
{
	struct figure cipher = measure_aead(rig, options, open), whole;
	static struct nodes nodes;

	whole = measure(rig, options, open, &nodes);
	print_row(options, path, whole, cipher, &nodes);
}

/* Sends each flow once, so that flows exist and their ports are known. */
static void learn_flows(struct rig *rig, struct traffic *traffic)
{
	for (unsigned flow = 0; flow < traffic->flows; flow += traffic->burst) {
		struct rte_mbuf *mbufs[RTE_GRAPH_BURST_SIZE];

		traffic_make_up(rig, traffic, mbufs, flow);
		rte_ring_enqueue_bulk(rig->wan.to_port, (void **)mbufs, traffic->burst, NULL);
		rig_walk(rig);
		traffic_collect(&rig->inet, traffic, flow);
		/* keepalives, which confirm sessions */
		while (traffic_collect(&rig->wan, NULL, 0) != 0)
			;
	}
}

static void make_flows(struct rig *rig, struct options *options, unsigned peers)
{
	options->traffic.peers = peers;
	options->traffic.nat_ports =
		calloc(options->traffic.flows, sizeof(*options->traffic.nat_ports));
	if (options->traffic.nat_ports == NULL)
		rig_die("memory", -ENOMEM);
	learn_flows(rig, &options->traffic);
}

/* All flows one peer's, and then spread over all peers, if there are others. */
static void run(struct rig *rig, const struct options *options)
{
	struct options one = *options, all = *options;

	make_flows(rig, &one, 1);
	if (rig->peers > 1)
		make_flows(rig, &all, rig->peers);
	for (unsigned open = 2; open-- > 0;) {
		run_path(rig, &one, open ? "open" : "seal", open);
		if (rig->peers > 1)
			run_path(rig, &all, open ? "open" : "seal", open);
	}
	free(one.traffic.nat_ports);
	if (rig->peers > 1)
		free(all.traffic.nat_ports);
}

/* The first packet of each flow; one reading for each burst, so that a disturbed one stands alone.
 */
static void run_first(struct rig *rig, const struct options *options)
{
	struct options own = *options;
	unsigned bursts = own.traffic.flows / own.traffic.burst, lost = 0;
	double *readings = calloc(bursts, sizeof(*readings));
	struct rte_mbuf *mbufs[RTE_GRAPH_BURST_SIZE];
	struct figure cipher = measure_aead(rig, options, true);
	static struct nodes nodes;

	own.traffic.servers = calloc(own.traffic.flows, sizeof(*own.traffic.servers));
	if (readings == NULL || own.traffic.servers == NULL)
		rig_die("memory", -ENOMEM);
	rig_add_routes(rig, own.routes, own.traffic.servers, own.traffic.flows);
	own.windows = bursts;
	nodes_start(&nodes, &own);
	for (unsigned i = 0; i < bursts; i++) {
		unsigned flow = i * own.traffic.burst;

		traffic_make_up(rig, &own.traffic, mbufs, flow);
		rte_ring_enqueue_bulk(rig->wan.to_port, (void **)mbufs, own.traffic.burst, NULL);
		readings[i] = (double)rig_walk(rig) / own.traffic.burst;
		lost += own.traffic.burst - traffic_collect(&rig->inet, NULL, flow);
		nodes_read(&nodes);
		while (traffic_collect(&rig->wan, NULL, 0) != 0) /* keepalives */
			;
	}
	if (lost != 0) {
		fprintf(stderr, "path-bench: %u first packets were lost on the way\n", lost);
		exit(EXIT_FAILURE);
	}
	print_row(&own, "first", figure_of(readings, bursts), cipher, &nodes);
	free(readings);
	free(own.traffic.servers);
}

static unsigned number(const char *text, const char *name, unsigned min, unsigned max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value < min || value > max) {
		fprintf(stderr, "path-bench: --%s takes %u to %u, not \"%s\"\n", name, min, max,
			text);
		exit(2);
	}
	return (unsigned)value;
}

static void usage(void)
{
	puts("usage: path-bench [--size BYTES] [--flows N] [--burst N] [--windows N] [--aead "
	     "NAME]\n"
	     "                  [--peers N] [--routes N] [--json]\n"
	     "Cycles per packet of open-NAT-send and receive-NAT-seal, without a NIC; with "
	     "--routes\n"
	     "of flows' first packets, to addresses behind N routes.\n"
	     "Run it in a network namespace of its own: unshare -n path-bench");
	exit(EXIT_SUCCESS);
}

static struct options parse(int argc, char **argv)
{
	static const struct option longs[] = {{"size", 1, NULL, 's'}, {"flows", 1, NULL, 'f'},
		{"burst", 1, NULL, 'b'}, {"windows", 1, NULL, 'w'}, {"aead", 1, NULL, 'a'},
		{"peers", 1, NULL, 'p'}, {"routes", 1, NULL, 'r'}, {"json", 0, NULL, 'j'},
		{"help", 0, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct options options = {
		.traffic = {.burst = 32, .flows = 1000, .size = 1420, .peers = 1}, .windows = 400};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			options.traffic.size = number(optarg, "size", 28, 1420);
			break;
		case 'f':
			options.traffic.flows = number(optarg, "flows", 1, 60000);
			break;
		case 'b':
			options.traffic.burst = number(optarg, "burst", 1, 64);
			break;
		case 'w':
			options.windows = number(optarg, "windows", 10, 100000);
			break;
		case 'a':
			options.aead = optarg;
			break;
		case 'p':
			options.traffic.peers = number(optarg, "peers", 1, 1000000);
			break;
		case 'r':
			options.routes = number(optarg, "routes", 1, 4000000);
			break;
		case 'j':
			options.json = true;
			break;
		case 'h':
			usage();
			break;
		default:
			exit(2);
		}
	}
	return options;
}

int main(int argc, char **argv)
{
	struct options options = parse(argc, argv);
	char name[] = "path-bench", workers[] = "--workers=1", socket[] = "--socket=/dev/null";
	char max_peers[32], max_routes[32];
	char *own[] = {name, workers, socket, max_peers, max_routes, NULL};
	static struct rig rig;
	struct args args;

	optind = 1;
	snprintf(max_peers, sizeof(max_peers), "--max-peers=%u", options.traffic.peers + 1024);
	snprintf(max_routes, sizeof(max_routes), "--max-routes=%u", options.routes + 16384);
	if (args_parse(5, own, &args) != ARGS_RUN)
		return 2;
	log_set_level(NULL, LOG_LEVEL_WARN);
	rig_start(&rig, &args, options.aead, options.traffic.peers);
	if (options.routes != 0)
		run_first(&rig, &options);
	else
		run(&rig, &options);
	return EXIT_SUCCESS;
}
