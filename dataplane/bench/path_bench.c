/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * path-bench: cycles of the whole path, one worker, no NIC: the data plane's own graph between two
 * ring devices, programmed through the same handlers as by the control process.
 *
 *   open   a peer's sealed packet arrives on `wan`, is opened, judged, masqueraded and sent on
 * `inet` seal   its answer arrives on `inet`, is translated back, sealed and sent on `wan`
 *
 * The walk of the graph alone is measured; making and collecting packets is not. Beside it, in the
 * same run and on the same sizes, the cipher alone. TSC cycles per packet: the median and the 10th
 * percentile over windows; of each node, as the graph counts them, the median (wg_open's
 * and wg_seal's hold the cipher). Run by one thread: nothing else may use its core.
 */
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_ring.h>
#include <rte_udp.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/counters.h"
#include "common/api/egress.h"
#include "common/api/policy.h"
#include "common/api/port.h"
#include "common/api/route.h"
#include "dataplane/aead/aead.h"
#include "dataplane/graph/graph.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/dataplane.h"
#include "dataplane/main/eal.h"
#include "dataplane/main/feature.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/reader.h"
#include "dataplane/main/txn.h"
#include "dataplane/main/worker.h"
#include "dataplane/port/port.h"
#include "dataplane/port/port_tx.h"
#include "dataplane/wireguard/nodes.h"
#include "dataplane/wireguard/wireguard_priv.h"

enum {
	PORT_WAN = 1,
	PORT_INET = 2,
	PEER = 1,
	SET = 1,
	LISTEN = 51820,
	RING = 1024,
	WINDOW = 64, /* bursts of one reading */
	MTU = 1500,
	SERVER_PORT = 5001,
	FLOWS_PER_HOST = 60, /* ports of one inside host, as the peers were measured */
	OUTER_V4 = 28,       /* IPv4 and UDP */
	NODES_MAX = 64,
};

struct options {
	unsigned burst;
	unsigned flows;
	unsigned size; /* inner IP bytes */
	unsigned windows;
	const char *aead;
	bool json;
};

/* The cipher alone works on memory laid out as packets are: the address of a payload within a
 * cache line, and the distance of buffers, cost wide loads up to a tenth. */
enum {
	OFFSET_OPEN = RTE_ETHER_HDR_LEN + OUTER_V4 + WG_DATA_HEADER_SIZE,
	OFFSET_SEAL = RTE_ETHER_HDR_LEN,
	BUFFER = 2304,
};

/* The two ends of a ring device, seen from outside. */
struct wire {
	struct rte_ring *to_port, *from_port;
};

static struct wire wan, inet;
static struct worker *worker;
static struct aead *aead; /* the generator's own */
static uint8_t key_up[32], key_down[32];
static uint32_t local_index;
static uint64_t counter;
static uint16_t *nat_ports; /* of each flow, as seen on `inet` */
static uint32_t nat_addr;

static void die(const char *what, int rc)
{
	fprintf(stderr, "path-bench: %s: %s\n", what, strerror(-rc));
	exit(EXIT_FAILURE);
}

/* --- Programming, as the session does it --------------------------------------------------- */

static void around(
	void (*call)(const struct handler_group *group, unsigned copy, enum handler_pass pass),
	unsigned copy, enum handler_pass pass)
{
	for (unsigned i = 0; i < handler_group_count(); i++)
		call(handler_group_at(i), copy, pass);
}

static void begin(const struct handler_group *group, unsigned copy, enum handler_pass pass)
{
	if (group->begin != NULL)
		group->begin(copy, pass, false);
}

static void end(const struct handler_group *group, unsigned copy, enum handler_pass pass)
{
	if (group->end != NULL)
		group->end(copy, pass, false);
}

static void prepare(const void *message, const struct handler *handler, unsigned group)
{
	static struct txn *txn;
	char text[96] = "";
	uint64_t index = 0;
	uint32_t detail = 0;

	if (txn == NULL)
		txn = txn_create(1 << 20);
	if (txn == NULL)
		die("memory", -ENOMEM);
	txn_reset(txn, false);
	if (txn_stage(txn, message, handler, group) != 0)
		die(handler->name, -ENOSPC);
	for (unsigned i = 0; i < handler_group_count(); i++) {
		const struct handler_group *each = handler_group_at(i);

		if (each->prepare != NULL && each->prepare(txn, &index, &detail, text) != 0) {
			fprintf(stderr, "path-bench: %s: %s\n", handler->name, text);
			exit(EXIT_FAILURE);
		}
	}
	while (txn_trim(txn))
		;
}

/* One transaction of one message. */
static void commit(const void *message)
{
	const struct api_header *header = message;
	unsigned group;
	const struct handler *handler = handler_find(header->type, &group);
	uint32_t detail = 0;
	unsigned shadow = !tables_active();

	if (handler->validate != NULL && handler->validate(message, &detail) != 0) {
		fprintf(stderr, "path-bench: %s refused at offset %u\n", handler->name, detail);
		exit(EXIT_FAILURE);
	}
	prepare(message, handler, group);
	around(begin, shadow, HANDLER_SHADOW);
	handler->apply(message, shadow, HANDLER_SHADOW);
	around(end, shadow, HANDLER_SHADOW);
	tables_flip(shadow);
	around(begin, !shadow, HANDLER_CATCH_UP);
	handler->apply(message, !shadow, HANDLER_CATCH_UP);
	around(end, !shadow, HANDLER_CATCH_UP);
	worker->copy = (uint16_t)tables_active();
}

#define COMMIT(type_, name_, ...)                                                                  \
	do {                                                                                       \
		struct name_ message = {                                                           \
			.header = {.type = type_, .length = sizeof(message)}, __VA_ARGS__};        \
		commit(&message);                                                                  \
	} while (0)

static struct addr v4(uint32_t host)
{
	struct addr addr = {.family = ADDR_V4};
	uint32_t big = rte_cpu_to_be_32(host);

	memcpy(addr.bytes, &big, sizeof(big));
	return addr;
}

static struct prefix net(uint32_t host, uint8_t length)
{
	struct addr addr = v4(host);
	struct prefix prefix = prefix_of_addr(&addr);

	prefix.length = length;
	prefix_mask(&prefix);
	return prefix;
}

#define WAN_ADDR    RTE_IPV4(198, 51, 100, 2)
#define CLIENT_ADDR RTE_IPV4(198, 51, 100, 9)
#define INET_ADDR   RTE_IPV4(203, 0, 113, 2)
#define EGRESS_ADDR RTE_IPV4(203, 0, 113, 5)
#define SERVER_ADDR RTE_IPV4(203, 0, 113, 80)
#define INSIDE_NET  RTE_IPV4(100, 64, 0, 0)

static struct wire wire_create(const char *name)
{
	struct wire wire;
	char text[32];

	snprintf(text, sizeof(text), "%s_in", name);
	wire.to_port = rte_ring_create(text, RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	snprintf(text, sizeof(text), "%s_out", name);
	wire.from_port = rte_ring_create(text, RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (wire.to_port == NULL || wire.from_port == NULL)
		die(name, -ENOMEM);
	if (rte_eth_from_rings(name, &wire.to_port, 1, &wire.from_port, 1, 0) < 0)
		die(name, -EIO);
	return wire;
}

static void program_ports(void)
{
	wan = wire_create("wan");
	inet = wire_create("inet");
	COMMIT(API_PORT_SET, api_port_set, .port = PORT_WAN, .mtu = MTU, .name = "wan",
		.device = "net_ring_wan");
	COMMIT(API_PORT_SET, api_port_set, .port = PORT_INET, .mtu = MTU, .name = "inet",
		.device = "net_ring_inet");
	COMMIT(API_LOCAL_SET, api_local_set, .addr = v4(WAN_ADDR), .port = PORT_WAN);
	COMMIT(API_LOCAL_SET, api_local_set, .addr = v4(INET_ADDR), .port = PORT_INET);
	COMMIT(API_NEIGH_SET, api_neigh_set, .addr = v4(CLIENT_ADDR), .port = PORT_WAN,
		.mac = {2, 0, 0, 0, 0, 9});
	COMMIT(API_NEIGH_SET, api_neigh_set, .addr = v4(SERVER_ADDR), .port = PORT_INET,
		.mac = {2, 0, 0, 0, 0, 80});
	COMMIT(API_ROUTE_SET, api_route_set, .table = API_TABLE_UNDERLAY,
		.prefix = net(WAN_ADDR, 24), .next = API_NEXT_PORT, .port = PORT_WAN);
	COMMIT(API_ROUTE_SET, api_route_set, .table = API_TABLE_UNDERLAY,
		.prefix = net(INET_ADDR, 24), .next = API_NEXT_PORT, .port = PORT_INET);
}

static void program_gateway(void)
{
	COMMIT(API_WG_INTERFACE_SET, api_wg_interface_set, .interface = 1, .listen_port = LISTEN,
		.mtu = 1420);
	COMMIT(API_PEER_SET, api_peer_set, .peer = PEER, .interface = 1, .set_id = SET,
		.public_key = {.bytes = {1}});
	COMMIT(API_ALLOWED_SET, api_allowed_set, .prefix = net(INSIDE_NET, 10), .peer = PEER);
	for (unsigned half = 0; half < 2; half++)
		COMMIT(API_ROUTE_SET, api_route_set, .table = API_TABLE_OVERLAY,
			.prefix = net(half << 31, 1), .next = API_NEXT_UNDERLAY, .set_id = SET,
			.flags = API_ROUTE_MASQUERADE | API_ROUTE_EXIT, .route_id = 1);
	COMMIT(API_POLICY_SET, api_policy_set, .rule = 1, .priority = 1, .src_set = SET,
		.verdict = API_ALLOW, .flags = API_POLICY_TO_EXIT, .port_last = UINT16_MAX);
	COMMIT(API_EGRESS_ADDR_SET, api_egress_addr_set, .egress = 1, .addr = v4(EGRESS_ADDR),
		.port_first = 1024, .port_last = UINT16_MAX);
	COMMIT(API_EGRESS_POOL_SET, api_egress_pool_set, .pool = 1, .count = 1, .egress = {1});
	COMMIT(API_EGRESS_RULE_SET, api_egress_rule_set, .rule = 1, .priority = 1, .src_set = SET,
		.pool = 1);
}

/* A session with known keys instead of a handshake; the path to the client's endpoint. */
static void program_session(void)
{
	struct wg_peer *peer = wg_peer_get(PEER);
	struct endpoint remote = {.addr = v4(CLIENT_ADDR), .port = 40000};
	struct addr local = v4(WAN_ADDR);
	struct noise_keys keys = {.remote_index = 77, .initiator = true};

	memset(key_up, 0x11, sizeof(key_up));
	memset(key_down, 0x22, sizeof(key_down));
	memcpy(keys.receive.bytes, key_up, sizeof(key_up));
	memcpy(keys.send.bytes, key_down, sizeof(key_down));
	path_set(peer, &remote, &local);
	if (index_table_take(peer, 0, &keys.local_index) != 0)
		die("index", -ENOSPC);
	local_index = keys.local_index;
	keypair_install(peer, &keys, clock_ms());
	peer->watched = true; /* there is no handshake thread to tell */
}

/* --- Packets ------------------------------------------------------------------------------- */

static struct rte_mbuf *frame_create(uint16_t port, uint16_t length)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(packet_pool());
	struct rte_ether_hdr *ether;

	if (mbuf == NULL)
		die("packet buffers", -ENOMEM);
	ether = (struct rte_ether_hdr *)rte_pktmbuf_append(
		mbuf, (uint16_t)(sizeof(*ether) + length));
	ether->dst_addr = port_get(port)->mac;
	memset(&ether->src_addr, 2, sizeof(ether->src_addr));
	ether->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	return mbuf;
}

struct tuple {
	uint32_t src, dst;
	uint16_t sport, dport;
};

static void udp_write(void *data, uint16_t length, const struct tuple *tuple)
{
	struct rte_ipv4_hdr *ip = data;
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.total_length = rte_cpu_to_be_16(length),
		.src_addr = rte_cpu_to_be_32(tuple->src),
		.dst_addr = rte_cpu_to_be_32(tuple->dst)};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	*udp = (struct rte_udp_hdr){.src_port = rte_cpu_to_be_16(tuple->sport),
		.dst_port = rte_cpu_to_be_16(tuple->dport),
		.dgram_len = rte_cpu_to_be_16((uint16_t)(length - sizeof(*ip)))};
}

static struct tuple inside_tuple(unsigned flow)
{
	return (struct tuple){.src = INSIDE_NET + 10 + flow / FLOWS_PER_HOST,
		.dst = SERVER_ADDR,
		.sport = (uint16_t)(1024 + flow % FLOWS_PER_HOST),
		.dport = SERVER_PORT};
}

static void make_up(struct rte_mbuf **mbufs, const struct options *options, unsigned first)
{
	struct aead_packet jobs[RTE_GRAPH_BURST_SIZE];
	uint16_t padded = (uint16_t)RTE_ALIGN(options->size, (unsigned)WG_PADDING);
	uint16_t length = (uint16_t)(OUTER_V4 + WG_DATA_HEADER_SIZE + padded + WG_TAG_SIZE);

	padded = RTE_MIN(padded, (uint16_t)1420);
	length = (uint16_t)(OUTER_V4 + WG_DATA_HEADER_SIZE + padded + WG_TAG_SIZE);
	for (unsigned i = 0; i < options->burst; i++) {
		const struct tuple outer = {CLIENT_ADDR, WAN_ADDR, 40000, LISTEN};
		struct tuple inner = inside_tuple((first + i) % options->flows);
		struct rte_mbuf *mbuf = frame_create(PORT_WAN, length);
		uint8_t *ip = rte_pktmbuf_mtod_offset(mbuf, uint8_t *, RTE_ETHER_HDR_LEN);
		struct wg_data *data = (struct wg_data *)(ip + OUTER_V4);

		udp_write(ip, length, &outer);
		*data = (struct wg_data){.type = WG_TYPE_DATA,
			.receiver = htole32(local_index),
			.counter = htole64(counter)};
		memset(data + 1, 0, padded);
		udp_write(data + 1, (uint16_t)options->size, &inner);
		jobs[i] = (struct aead_packet){.key = key_up,
			.counter = counter++,
			.src = (uint8_t *)(data + 1),
			.dst = (uint8_t *)(data + 1),
			.length = padded};
		mbufs[i] = mbuf;
	}
	aead_seal(aead, jobs, options->burst);
}

static void make_down(struct rte_mbuf **mbufs, const struct options *options, unsigned first)
{
	for (unsigned i = 0; i < options->burst; i++) {
		struct tuple tuple = {.src = SERVER_ADDR,
			.dst = nat_addr,
			.sport = SERVER_PORT,
			.dport = nat_ports[(first + i) % options->flows]};

		mbufs[i] = frame_create(PORT_INET, (uint16_t)options->size);
		udp_write(rte_pktmbuf_mtod_offset(mbufs[i], uint8_t *, RTE_ETHER_HDR_LEN),
			(uint16_t)options->size, &tuple);
	}
}

/* Notes under which port a flow left; returns how many packets came out. */
static unsigned collect(struct wire *wire, bool learn, unsigned first, unsigned flows)
{
	struct rte_mbuf *mbufs[RTE_GRAPH_BURST_SIZE];
	unsigned n =
		rte_ring_dequeue_burst(wire->from_port, (void **)mbufs, RTE_GRAPH_BURST_SIZE, NULL);

	for (unsigned i = 0; i < n; i++) {
		const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(
			mbufs[i], const struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
		const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)(ip + 1);

		if (learn) {
			nat_addr = rte_be_to_cpu_32(ip->src_addr);
			nat_ports[(first + i) % flows] = rte_be_to_cpu_16(udp->src_port);
		}
	}
	rte_pktmbuf_free_bulk(mbufs, n);
	return n;
}

/* --- Measuring ----------------------------------------------------------------------------- */

static uint64_t walk(void)
{
	uint64_t start;

	worker->now_ms = clock_ms();
	worker->copy = (uint16_t)tables_active();
	start = rte_rdtsc_precise();
	rte_graph_walk(graph_of(0));
	port_tx_drain(0);
	return rte_rdtsc_precise() - start;
}

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
			die("memory", -ENOMEM);
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

typedef void make_fn(struct rte_mbuf **mbufs, const struct options *options, unsigned first);

static struct figure measure(make_fn *make, struct wire *in, struct wire *out,
	const struct options *options, struct nodes *nodes)
{
	double *readings = calloc(options->windows, sizeof(*readings));
	struct rte_mbuf *mbufs[RTE_GRAPH_BURST_SIZE];
	unsigned flow = 0, lost = 0;
	struct figure figure;

	if (readings == NULL)
		die("memory", -ENOMEM);
	nodes_start(nodes, options);
	for (unsigned window = 0; window < options->windows; window++) {
		uint64_t cycles = 0;

		for (unsigned i = 0; i < WINDOW; i++) {
			make(mbufs, options, flow);
			rte_ring_enqueue_bulk(in->to_port, (void **)mbufs, options->burst, NULL);
			cycles += walk();
			lost += options->burst - collect(out, false, flow, options->flows);
			flow += options->burst;
		}
		readings[window] = (double)cycles / (WINDOW * options->burst);
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

static struct figure measure_aead(const struct options *options, bool open)
{
	double *readings = calloc(options->windows, sizeof(*readings));
	uint32_t length = RTE_MIN(RTE_ALIGN(options->size, (unsigned)WG_PADDING), 1420U);
	unsigned offset = open ? OFFSET_OPEN : OFFSET_SEAL;
	struct aead_packet jobs[RTE_GRAPH_BURST_SIZE];
	uint8_t *memory = rte_malloc(NULL, (size_t)options->burst * BUFFER + 64, 64);
	struct figure figure;

	if (readings == NULL || memory == NULL)
		die("memory", -ENOMEM);
	for (unsigned window = 0; window < options->windows; window++) {
		uint64_t cycles = 0;

		for (unsigned i = 0; i < WINDOW; i++) {
			uint64_t start;

			for (unsigned k = 0; k < options->burst; k++)
				jobs[k] = (struct aead_packet){.key = key_up,
					.counter = counter++,
					.src = memory + k * BUFFER + offset,
					.dst = memory + k * BUFFER + offset,
					.length = length};
			if (open)
				aead_seal(aead, jobs, options->burst);
			start = rte_rdtsc_precise();
			if (open)
				aead_open(aead, jobs, options->burst);
			else
				aead_seal(aead, jobs, options->burst);
			cycles += rte_rdtsc_precise() - start;
		}
		readings[window] = (double)cycles / (WINDOW * options->burst);
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
		options->json
			? "{\"path\":\"%s\",\"bytes\":%u,\"flows\":%u,\"burst\":%u,\"aead\":\"%s\","
			  "\"cycles\":%.1f,\"cycles_p10\":%.1f,\"aead_cycles\":%.1f,\"beyond_"
			  "aead\":%.1f"
			: "%-5s %5u B  %7u flows  burst %3u  %-9s  %7.1f cycles (p10 %7.1f)  "
			  "cipher alone %7.1f  beyond it %6.1f\n     ";

	printf(shape, path, options->size, options->flows, options->burst, aead_name(),
		whole.median, whole.p10, cipher.median, whole.median - cipher.median);
	nodes_print(nodes, options->json);
}

static void run_path(const struct options *options, const char *path, bool open)
{
	struct figure cipher = measure_aead(options, open), whole;
	static struct nodes nodes;

	whole = open ? measure(make_up, &wan, &inet, options, &nodes)
		     : measure(make_down, &inet, &wan, options, &nodes);
	print_row(options, path, whole, cipher, &nodes);
}

static void run(const struct options *options)
{

	nat_ports = calloc(options->flows, sizeof(*nat_ports));
	if (nat_ports == NULL)
		die("memory", -ENOMEM);
	/* Each flow once first, so that flows exist and their ports are known. */
	for (unsigned flow = 0; flow < options->flows; flow += options->burst) {
		struct rte_mbuf *mbufs[RTE_GRAPH_BURST_SIZE];

		make_up(mbufs, options, flow);
		rte_ring_enqueue_bulk(wan.to_port, (void **)mbufs, options->burst, NULL);
		walk();
		collect(&inet, true, flow, options->flows);
	}
	collect(&wan, false, 0, 1); /* the keepalive that confirms a session */
	run_path(options, "open", true);
	run_path(options, "seal", false);
	free(nat_ports);
}

/* --- Start --------------------------------------------------------------------------------- */

static void set_up(struct args *args, const struct options *options)
{
	int rc = eal_start(args);

	if (rc == 0)
		rc = reader_create();
	if (rc == 0)
		rc = packet_pool_create();
	if (rc == 0)
		rc = handoff_create_all(1);
	if (rc == 0)
		rc = aead_select(options->aead);
	if (rc == 0)
		rc = feature_init_all();
	if (rc == 0)
		rc = worker_create_all();
	if (rc == 0)
		rc = graph_create_all(1);
	if (rc == 0)
		rc = feature_worker_init_all(worker_get(0));
	if (rc == 0)
		aead = aead_create(&rc);
	if (rc != 0)
		die("cannot start", rc);
	worker = worker_get(0);
	RTE_PER_LCORE(worker) = worker;
	reader_register(0);
	program_ports();
	program_gateway();
	program_session();
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
	     "                  [--json]\n"
	     "Cycles per packet of open-NAT-send and receive-NAT-seal, without a NIC.\n"
	     "Run it in a network namespace of its own: unshare -n path-bench");
	exit(EXIT_SUCCESS);
}

static struct options parse(int argc, char **argv)
{
	static const struct option longs[] = {{"size", 1, NULL, 's'}, {"flows", 1, NULL, 'f'},
		{"burst", 1, NULL, 'b'}, {"windows", 1, NULL, 'w'}, {"aead", 1, NULL, 'a'},
		{"json", 0, NULL, 'j'}, {"help", 0, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct options options = {.burst = 32, .flows = 1000, .size = 1420, .windows = 400};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			options.size = number(optarg, "size", 28, 1420);
			break;
		case 'f':
			options.flows = number(optarg, "flows", 1, 60000);
			break;
		case 'b':
			options.burst = number(optarg, "burst", 1, 64);
			break;
		case 'w':
			options.windows = number(optarg, "windows", 10, 100000);
			break;
		case 'a':
			options.aead = optarg;
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
	char *own[] = {name, workers, socket, NULL};
	struct args args;

	optind = 1;
	if (args_parse(3, own, &args) != ARGS_RUN)
		return 2;
	log_set_level(NULL, LOG_LEVEL_WARN);
	set_up(&args, &options);
	run(&options);
	return EXIT_SUCCESS;
}
