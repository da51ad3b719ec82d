/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cycles per packet of known masqueraded flows, visited round robin, and per new flow:
 *
 *	flow_bench [-b BURST] [-s STRIDE] FLOWS...
 *
 * Headers are written before each burst and so lie in the first cache, as with a packet generator
 * on the same core; flows and buckets do not. Routes, peers and neighbours are the unit tests'
 * fakes, which cost little with one entry each. TSC cycles; median of the rounds. Memory is what
 * the process has more after the flows than before. Ratios are to the first line.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <unistd.h>

#include <rte_byteorder.h>
#include <rte_cycles.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "common/api/flow.h"
#include "common/api/route.h"
#include "dataplane/port/port.h"
#include "test/bench/figures.h"
#include "test/unit/dataplane/flow/fakes.h"

enum {
	NETS = 20,             /* destinations, each with an egress address of its own */
	PORTS_PER_NET = 60000, /* of its 64,512 */
	ROUNDS = 21,
	PARTS = 10, /* of opening the flows, for a median */
	PACKETS_PER_ROUND = 200000,
};

static struct rte_mbuf *mbufs[FLOW_BURST_MAX];
static unsigned burst = 256;
static uint32_t stride =
	1; /* from flow to flow; a large prime defeats the hardware's prefetching */

static void set_up_world(void)
{
	static char text[64];

	fake_reset();
	world.peer[1] = (struct fake_peer){.there = true, .set = 1, .mtu = 1420};
	fake_allow(1, "10.0.0.0/8");
	fake_route(0, "0.0.0.0/0", API_NEXT_UNDERLAY, API_ROUTE_EXIT | API_ROUTE_MASQUERADE);
	fake_underlay("0.0.0.0/0", PORT_WAN, "192.0.2.1");
	fake_policy(1, 1, 0, NULL, 0, 0, 1);
	for (uint16_t i = 0; i < NETS; i++) {
		uint16_t id = (uint16_t)(i + 1);

		snprintf(text, sizeof(text), "198.51.100.%u", id);
		fake_egress(id, text, 1024, 65535);
		fake_pool(id, &id, 1);
		snprintf(text, sizeof(text), "203.0.%u.0/24", i);
		fake_egress_rule(id, 0, id, text);
	}
}

/* The packet of flow n as its sender sends it. */
static void write_packet(struct rte_mbuf *mbuf, uint32_t n)
{
	struct packet *packet = packet_of(mbuf);
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(mbuf, struct rte_ipv4_hdr *);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
	uint32_t net = n / PORTS_PER_NET, port = 2000 + n % PORTS_PER_NET;

	memset(packet, 0, sizeof(*packet));
	packet->ingress = 1;
	packet->family = ADDR_V4;
	packet->proto = IPPROTO_UDP;
	packet->l4 = sizeof(*ip);
	packet->sport = (uint16_t)port;
	packet->dport = 53;
	ip->version_ihl = 0x45;
	ip->time_to_live = 64;
	ip->next_proto_id = IPPROTO_UDP;
	ip->src_addr = rte_cpu_to_be_32(0x0a000000 + n / 60);
	ip->dst_addr = rte_cpu_to_be_32(0xcb000001 + (net << 8));
	ip->hdr_checksum = 1;
	udp->src_port = rte_cpu_to_be_16((uint16_t)port);
	udp->dst_port = rte_cpu_to_be_16(53);
	udp->dgram_cksum = 1;
}

/* The median of the parts; the last ones find the table as full as it gets. */
static double open_flows(struct flow_worker *w, uint32_t flows)
{
	double parts[PARTS + 1];
	uint64_t cycles = 0;
	uint32_t refused = 0, part = flows >= PARTS ? flows / PARTS : 1;
	unsigned count = 0;

	for (uint32_t n = 0; n < flows; n++) {
		uint64_t start;
		uint8_t role;

		if (n != 0 && n % part == 0 && count < PARTS) {
			parts[count++] = (double)cycles / part;
			cycles = 0;
		}

		write_packet(mbufs[0], n);
		start = rte_rdtsc();
		flow_fast(w, mbufs, 1, &role);
		if (role == FLOW_TO_SLOW)
			role = flow_slow(w, mbufs[0]);
		cycles += rte_rdtsc() - start;
		refused += role != GRAPH_SEND;
	}
	if (refused != 0)
		printf("%u flows refused: %s\n", refused,
			fake_drop_name(packet_of(mbufs[0])->drop));
	if (count == 0)
		return (double)cycles / flows;
	return figures_median(parts, count);
}

static double one_round(struct flow_worker *w, uint32_t flows, uint32_t *next)
{
	uint8_t roles[FLOW_BURST_MAX];
	uint64_t cycles = 0;
	uint32_t done = 0;

	while (done < PACKETS_PER_ROUND) {
		uint64_t start;

		for (unsigned i = 0; i < burst; i++) {
			write_packet(mbufs[i], *next);
			*next = (uint32_t)(((uint64_t)*next + stride) % flows);
		}
		start = rte_rdtsc();
		flow_fast(w, mbufs, burst, roles);
		cycles += rte_rdtsc() - start;
		for (unsigned i = 0; i < burst; i++) {
			if (roles[i] != GRAPH_SEND)
				abort();
		}
		done += burst;
	}
	return (double)cycles / done;
}

/* Collecting counters, as the worker does it twice a second, spread over a round's packets. */
static double collect_round(struct flow_worker *w)
{
	uint64_t start = rte_rdtsc();
	uint32_t slots = w->touched_tail - w->touched_head;

	flow_collect_all(w);
	return slots != 0 ? (double)(rte_rdtsc() - start) / slots : 0;
}

static void measure(uint32_t flows)
{
	double cycles[ROUNDS], collect[ROUNDS];
	struct flow_worker *w;
	uint32_t next = 0;
	static double first_cycles, first_opened;
	double opened, median, before = figures_resident();

	set_up_world(); /* with fresh port blocks */
	w = fake_worker(flows + flows / 4 + 16);
	w->owner_max = UINT32_MAX;
	opened = open_flows(w, flows);
	for (unsigned i = 0; i < ROUNDS; i++) {
		cycles[i] = one_round(w, flows, &next);
		collect[i] = collect_round(w);
	}
	median = figures_median(cycles, ROUNDS);
	printf("%9u flows, bursts of %3u: %6.1f cycles/packet (%.1f .. %.1f), "
	       "%.0f per new flow, %.0f per flow collected, %.0f bytes per flow\n",
		flows, burst, median, cycles[0], cycles[ROUNDS - 1], opened,
		figures_median(collect, ROUNDS), (figures_resident() - before) / flows);
	if (first_cycles == 0) {
		first_cycles = median;
		first_opened = opened;
	} else {
		printf("%9u flows, to the first line: %.2f per packet, %.2f per new flow\n", flows,
			median / first_cycles, opened / first_opened);
	}
}

int main(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "b:s:")) != -1) {
		if (option == 's')
			stride = (uint32_t)strtoul(optarg, NULL, 10);
		else
			burst = option == 'b' ? (unsigned)strtoul(optarg, NULL, 10) : 0;
		if (burst < 1 || burst > FLOW_BURST_MAX) {
			fprintf(stderr, "usage: flow_bench [-b BURST] [-s STRIDE] FLOWS...\n");
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	fake_start();
	for (unsigned i = 0; i < FLOW_BURST_MAX; i++) {
		mbufs[i] = rte_pktmbuf_alloc(packet_pool());
		rte_pktmbuf_append(mbufs[i], 46);
	}
	for (int i = optind; i < argc; i++)
		measure((uint32_t)strtoul(argv[i], NULL, 10));
	return 0;
}
