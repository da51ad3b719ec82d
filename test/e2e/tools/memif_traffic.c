/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The other end of two memif ports of a gateway: a host on each. Sends a sequence-numbered stream
 * of UDP datagrams from the first to the second and tells what became of it.
 *
 *   memif_traffic ROLE SOCKET_A SOCKET_B QUEUES RATE SECONDS
 *
 * Host a is 10.1.0.2 behind the gateway's 10.1.0.1, host b 10.2.0.2 behind 10.2.0.1. Prints
 * "started" when the first datagram came through, and at the end one line of JSON.
 *
 * Packets count as sent when the ring has taken them. At most WINDOW are under way: where this
 * program or the gateway gets no CPU for a while the stream slows down, and no ring runs over, so
 * that what is missing at the end was lost by the gateway.
 */
#include <rte_arp.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	BURST = 32,
	MBUFS = 32768,
	DESCRIPTORS = 4096, /* as log2 below */
	WINDOW = 2048,
	FLOWS = 64,
	PAYLOAD = 100,
	FIRST_PORT = 20000,
	DISCARD_PORT = 9,
	PAUSE_NS = 30 * 1000,
	DRAIN_S = 3,
	START_S = 20,
	PROBE_NS = 100 * 1000 * 1000,
};

#define LOG2_DESCRIPTORS "12"
#define NET(n, host)     RTE_IPV4(10, (n), 0, (host))

struct host {
	uint16_t port;
	uint16_t queues;
	uint32_t ip, gateway;
	struct rte_ether_addr mac, gateway_mac;
	bool resolved;
};

static struct {
	struct rte_mempool *pool;
	struct host a, b;
	uint64_t sent, received, duplicates, strange, full, window;
	uint64_t longest_ns, last_ns;
	uint64_t total;
	uint8_t *seen; /* one bit per sequence number */
} traffic;

struct frame {
	struct rte_ether_hdr ether;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
	uint64_t number;
	uint8_t payload[PAYLOAD];
} __attribute__((packed, aligned(2)));

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void die(const char *what, int rc)
{
	fprintf(stderr, "memif_traffic: %s: %s\n", what, strerror(rc < 0 ? -rc : rc));
	exit(1);
}

static void open_host(struct host *host, const char *name)
{
	struct rte_eth_conf conf = {0};
	int rc = rte_eth_dev_get_port_by_name(name, &host->port);

	if (rc == 0)
		rc = rte_eth_dev_configure(host->port, host->queues, host->queues, &conf);
	for (uint16_t q = 0; rc == 0 && q < host->queues; q++)
		rc = rte_eth_rx_queue_setup(host->port, q, DESCRIPTORS, 0, NULL, traffic.pool);
	for (uint16_t q = 0; rc == 0 && q < host->queues; q++)
		rc = rte_eth_tx_queue_setup(host->port, q, DESCRIPTORS, 0, NULL);
	if (rc == 0)
		rc = rte_eth_dev_start(host->port);
	if (rc == 0)
		rc = rte_eth_macaddr_get(host->port, &host->mac);
	if (rc != 0)
		die(name, rc);
}

static bool send_one(const struct host *host, uint16_t queue, const void *data, size_t bytes)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(traffic.pool);
	void *at;

	if (mbuf == NULL)
		return false;
	at = rte_pktmbuf_append(mbuf, (uint16_t)bytes);
	if (at != NULL)
		memcpy(at, data, bytes);
	if (at != NULL && rte_eth_tx_burst(host->port, queue, &mbuf, 1) == 1)
		return true;
	rte_pktmbuf_free(mbuf);
	return false;
}

/* ARP: who has the gateway, and answers to those who ask for us. */

static void send_arp(const struct host *host, uint16_t operation, const struct rte_ether_addr *to,
	uint32_t to_ip)
{
	static const struct rte_ether_addr nobody;
	struct {
		struct rte_ether_hdr ether;
		struct rte_arp_hdr arp;
	} __attribute__((packed, aligned(2))) frame = {
		.ether.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP),
		.arp =
			{
				.arp_hardware = rte_cpu_to_be_16(RTE_ARP_HRD_ETHER),
				.arp_protocol = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4),
				.arp_hlen = RTE_ETHER_ADDR_LEN,
				.arp_plen = sizeof(uint32_t),
				.arp_opcode = rte_cpu_to_be_16(operation),
			},
	};

	memset(&frame.ether.dst_addr, 0xff, sizeof(frame.ether.dst_addr));
	if (to != NULL)
		frame.ether.dst_addr = *to;
	frame.ether.src_addr = host->mac;
	frame.arp.arp_data.arp_sha = host->mac;
	frame.arp.arp_data.arp_sip = rte_cpu_to_be_32(host->ip);
	frame.arp.arp_data.arp_tha = to != NULL ? *to : nobody;
	frame.arp.arp_data.arp_tip = rte_cpu_to_be_32(to_ip);
	send_one(host, 0, &frame, sizeof(frame));
}

static void receive_arp(struct host *host, const struct rte_mbuf *mbuf)
{
	const struct rte_arp_hdr *arp = rte_pktmbuf_mtod_offset(
		mbuf, const struct rte_arp_hdr *, sizeof(struct rte_ether_hdr));
	uint32_t from = rte_be_to_cpu_32(arp->arp_data.arp_sip);

	if (rte_pktmbuf_data_len(mbuf) < sizeof(struct rte_ether_hdr) + sizeof(*arp))
		return;
	if (from == host->gateway) {
		host->gateway_mac = arp->arp_data.arp_sha;
		host->resolved = true;
	}
	if (arp->arp_opcode == rte_cpu_to_be_16(RTE_ARP_OP_REQUEST) &&
		arp->arp_data.arp_tip == rte_cpu_to_be_32(host->ip))
		send_arp(host, RTE_ARP_OP_REPLY, &arp->arp_data.arp_sha, from);
}

/* The stream. */

static void build_frame(struct frame *frame, uint64_t number)
{
	const struct host *a = &traffic.a;

	memset(frame, 0, sizeof(*frame));
	frame->ether.src_addr = a->mac;
	frame->ether.dst_addr = a->gateway_mac;
	frame->ether.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	frame->ip.version_ihl = RTE_IPV4_VHL_DEF;
	frame->ip.total_length = rte_cpu_to_be_16(sizeof(*frame) - sizeof(frame->ether));
	frame->ip.time_to_live = 64;
	frame->ip.next_proto_id = IPPROTO_UDP;
	frame->ip.src_addr = rte_cpu_to_be_32(a->ip);
	frame->ip.dst_addr = rte_cpu_to_be_32(traffic.b.ip);
	frame->ip.hdr_checksum = rte_ipv4_cksum(&frame->ip);
	frame->udp.src_port = rte_cpu_to_be_16((uint16_t)(FIRST_PORT + number % FLOWS));
	frame->udp.dst_port = rte_cpu_to_be_16(DISCARD_PORT);
	frame->udp.dgram_len = rte_cpu_to_be_16(
		sizeof(frame->udp) + sizeof(frame->number) + sizeof(frame->payload));
	frame->number = number;
}

static void receive_datagram(const struct rte_mbuf *mbuf)
{
	const struct frame *frame = rte_pktmbuf_mtod(mbuf, const struct frame *);
	uint64_t number, now = now_ns();

	if (rte_pktmbuf_data_len(mbuf) != sizeof(*frame) ||
		frame->udp.dst_port != rte_cpu_to_be_16(DISCARD_PORT)) {
		traffic.strange++;
		return;
	}
	number = frame->number;
	if (number >= traffic.total)
		return; /* a probe */
	if (traffic.last_ns != 0 && now - traffic.last_ns > traffic.longest_ns)
		traffic.longest_ns = now - traffic.last_ns;
	traffic.last_ns = now;
	if ((traffic.seen[number / 8] >> number % 8 & 1) != 0)
		traffic.duplicates++;
	else
		traffic.received++;
	traffic.seen[number / 8] |= (uint8_t)(1 << number % 8);
}

/* Returns how many datagrams came, probes included. */
static unsigned poll_host(struct host *host)
{
	struct rte_mbuf *mbufs[BURST];
	unsigned datagrams = 0;

	for (uint16_t q = 0; q < host->queues; q++) {
		uint16_t n = rte_eth_rx_burst(host->port, q, mbufs, BURST);

		for (uint16_t i = 0; i < n; i++) {
			uint16_t type =
				rte_pktmbuf_mtod(mbufs[i], struct rte_ether_hdr *)->ether_type;

			if (type == rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP)) {
				receive_arp(host, mbufs[i]);
			} else if (host == &traffic.b &&
				   type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4)) {
				receive_datagram(mbufs[i]);
				datagrams++;
			}
			rte_pktmbuf_free(mbufs[i]);
		}
	}
	return datagrams;
}

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

/* Until one datagram of each flow went through, so that neighbours are known and flows exist. */
static void start_up(void)
{
	uint64_t end = now_ns() + (uint64_t)START_S * 1000000000, next = 0;
	struct frame frame;
	unsigned through = 0;

	while (through < FLOWS) {
		uint64_t now = now_ns();

		if (now > end)
			die("nothing comes through the gateway", ETIMEDOUT);
		if (now >= next) {
			next = now + PROBE_NS;
			through = 0;
			for (unsigned i = 0; traffic.a.resolved && i < FLOWS; i++) {
				build_frame(&frame, UINT64_MAX - i);
				send_one(&traffic.a, (uint16_t)(i % traffic.a.queues), &frame,
					sizeof(frame));
			}
			if (!traffic.a.resolved)
				send_arp(&traffic.a, RTE_ARP_OP_REQUEST, NULL, traffic.a.gateway);
		}
		poll_host(&traffic.a);
		through += poll_host(&traffic.b);
		pause_a_little();
	}
	puts("started");
	fflush(stdout);
}

/* As many as are due, as far as the window and the ring allow. */
static void send_due(uint64_t start, uint64_t rate)
{
	uint64_t due = (now_ns() - start) * rate / 1000000000;
	struct frame frame;

	if (due > traffic.total)
		due = traffic.total;
	while (traffic.sent < due) {
		if (traffic.sent - traffic.received >= WINDOW) {
			traffic.window++;
			return;
		}
		build_frame(&frame, traffic.sent);
		if (!send_one(&traffic.a, (uint16_t)(traffic.sent % FLOWS % traffic.a.queues),
			    &frame, sizeof(frame))) {
			traffic.full++;
			return;
		}
		traffic.sent++;
	}
}

static void run(uint64_t rate, uint64_t seconds)
{
	uint64_t start = now_ns(), end = start + seconds * 1000000000, done = 0;

	while (now_ns() < end) {
		send_due(start, rate);
		poll_host(&traffic.a);
		if (poll_host(&traffic.b) == 0)
			pause_a_little();
	}
	done = now_ns() - start;
	end = now_ns() + (uint64_t)DRAIN_S * 1000000000;
	while (traffic.received < traffic.sent && now_ns() < end) {
		poll_host(&traffic.a);
		if (poll_host(&traffic.b) == 0)
			pause_a_little();
	}
	/* A second copy would still be on its way. */
	for (unsigned i = 0; i < 1000; i++) {
		poll_host(&traffic.b);
		pause_a_little();
	}
	printf("{\"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"duplicates\": %" PRIu64
	       ", \"strange\": %" PRIu64 ", \"ring_full\": %" PRIu64 ", \"window_full\": %" PRIu64
	       ", \"rate\": %" PRIu64 ", \"longest_gap_ms\": %.3f}\n",
		traffic.sent, traffic.received, traffic.duplicates, traffic.strange, traffic.full,
		traffic.window, traffic.sent * 1000000000 / done, (double)traffic.longest_ns / 1e6);
}

static void start_eal(const char *role, char *const sockets[2])
{
	static char devices[2][256];
	const char *argv[] = {"memif_traffic", "--no-huge", "--no-shconf", "-m", "256", "--no-pci",
		"--no-telemetry", "--log-level=warning", "--vdev", devices[0], "--vdev",
		devices[1]};
	cpu_set_t cpus;

	for (unsigned i = 0; i < 2; i++)
		snprintf(devices[i], sizeof(devices[i]),
			"net_memif%u,role=%s,id=0,rsize=" LOG2_DESCRIPTORS
			",socket-abstract=no,socket=%s",
			i, role, sockets[i]);
	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
		die("affinity", errno);
	if (rte_eal_init(RTE_DIM(argv), (char **)argv) < 0)
		die("EAL", EINVAL);
	/* Not on one CPU alone, whoever else wants it. */
	if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0)
		die("affinity", errno);
}

int main(int argc, char **argv)
{
	uint64_t rate, seconds;

	if (argc != 7) {
		fputs("usage: memif_traffic ROLE SOCKET_A SOCKET_B QUEUES RATE SECONDS\n", stderr);
		return 2;
	}
	rate = strtoull(argv[5], NULL, 10);
	seconds = strtoull(argv[6], NULL, 10);
	traffic.total = rate * seconds;
	traffic.seen = calloc(1, traffic.total / 8 + 1);
	start_eal(argv[1], &argv[2]);
	traffic.pool = rte_pktmbuf_pool_create(
		"traffic", MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (traffic.seen == NULL || traffic.pool == NULL)
		die("memory", ENOMEM);
	traffic.a = (struct host){.ip = NET(1, 2), .gateway = NET(1, 1)};
	traffic.b = (struct host){.ip = NET(2, 2), .gateway = NET(2, 1)};
	traffic.a.queues = traffic.b.queues = (uint16_t)strtoul(argv[4], NULL, 10);
	open_host(&traffic.a, "net_memif0");
	open_host(&traffic.b, "net_memif1");
	start_up();
	run(rate, seconds);
	rte_eal_cleanup();
	return 0;
}
