/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The other end of two memif ports of a gateway: a host on each. Sends a sequence-numbered stream
 * of UDP datagrams from the first to the second and tells what became of it.
 *
 *   memif_traffic ROLE SOCKET_A SOCKET_B QUEUES RATE SECONDS
 *
 * Host a is 10.1.0.2 behind the gateway's 10.1.0.1, host b 10.2.0.2 behind 10.2.0.1. Prints
 * "started" when the first datagram came through, and at the end, or when it is terminated before,
 * one line of JSON.
 *
 * Packets count as sent when the ring has taken them. At most WINDOW are under way: where this
 * program or the gateway gets no CPU for a while the stream slows down, and no ring runs over, so
 * that what is missing at the end was lost by the gateway. It ends when all RATE * SECONDS are
 * sent, which may then be later, by LATE_S at most.
 */
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/e2e/tools/memif_host.h"

enum {
	WINDOW = 1000, /* fits a hand-off ring, so that a worker may be late */
	FLOWS = 64,
	PAYLOAD = 100,
	FIRST_PORT = 20000,
	DISCARD_PORT = 9,
	DRAIN_S = 30,
	LATE_S = 30,
	START_S = 60,
	PROBE_NS = 100 * 1000 * 1000,
};

static struct {
	struct memif_host a, b;
	uint64_t sent, received, duplicates, strange, full, window;
	uint64_t longest_ns, last_ns;
	uint64_t total;
	uint8_t *seen; /* one bit per sequence number */
} traffic;

static volatile sig_atomic_t enough;

struct frame {
	struct memif_headers headers;
	struct rte_udp_hdr udp;
	uint64_t number;
	uint8_t payload[PAYLOAD];
} __attribute__((packed, aligned(2)));

static void build_frame(struct frame *frame, uint64_t number)
{
	const struct memif_host *a = &traffic.a;

	memset(frame, 0, sizeof(*frame));
	memif_write_headers(&frame->headers, a, a->ip, traffic.b.ip,
		sizeof(*frame) - sizeof(frame->headers.ether));
	frame->udp.src_port = rte_cpu_to_be_16((uint16_t)(FIRST_PORT + number % FLOWS));
	frame->udp.dst_port = rte_cpu_to_be_16(DISCARD_PORT);
	frame->udp.dgram_len = rte_cpu_to_be_16(
		sizeof(frame->udp) + sizeof(frame->number) + sizeof(frame->payload));
	frame->number = number;
}

static void receive_datagram(const struct rte_mbuf *mbuf)
{
	const struct frame *frame = rte_pktmbuf_mtod(mbuf, const struct frame *);
	uint64_t number, now = memif_now_ns();

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
static unsigned poll_host(struct memif_host *host)
{
	struct rte_mbuf *mbufs[MEMIF_BURST];
	unsigned datagrams = 0;

	for (uint16_t q = 0; q < host->queues; q++) {
		uint16_t n = rte_eth_rx_burst(host->port, q, mbufs, MEMIF_BURST);

		for (uint16_t i = 0; i < n; i++) {
			uint16_t type =
				rte_pktmbuf_mtod(mbufs[i], struct rte_ether_hdr *)->ether_type;

			if (type == rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP)) {
				memif_take_arp(host, mbufs[i]);
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

/* Until one datagram of each flow went through, so that neighbours are known and flows exist. */
static void start_up(void)
{
	uint64_t end = memif_now_ns() + (uint64_t)START_S * 1000000000, next = 0;
	struct frame frame;
	unsigned through = 0;

	while (through < FLOWS) {
		uint64_t now = memif_now_ns();

		if (now > end)
			memif_die("nothing comes through the gateway", ETIMEDOUT);
		if (now >= next) {
			next = now + PROBE_NS;
			through = 0;
			for (unsigned i = 0; traffic.a.resolved && i < FLOWS; i++) {
				build_frame(&frame, UINT64_MAX - i);
				memif_send(&traffic.a, (uint16_t)(i % traffic.a.queues), &frame,
					sizeof(frame));
			}
			if (!traffic.a.resolved)
				memif_ask_gateway(&traffic.a);
		}
		poll_host(&traffic.a);
		through += poll_host(&traffic.b);
		memif_pause();
	}
	puts("started");
	fflush(stdout);
}

/* As many as are due, as far as the window and the ring allow. */
static void send_due(uint64_t start, uint64_t rate)
{
	uint64_t due = (memif_now_ns() - start) * rate / 1000000000;
	struct frame frame;

	if (due > traffic.total)
		due = traffic.total;
	while (traffic.sent < due) {
		if (traffic.sent - traffic.received >= WINDOW) {
			traffic.window++;
			return;
		}
		build_frame(&frame, traffic.sent);
		if (!memif_send(&traffic.a, (uint16_t)(traffic.sent % FLOWS % traffic.a.queues),
			    &frame, sizeof(frame))) {
			traffic.full++;
			return;
		}
		traffic.sent++;
	}
}

static void stop_early(int number)
{
	enough = 1;
}

static void run(uint64_t rate, uint64_t seconds)
{
	uint64_t start = memif_now_ns(), end = start + (seconds + LATE_S) * 1000000000, done = 0;

	while (!enough && traffic.sent < traffic.total && memif_now_ns() < end) {
		send_due(start, rate);
		poll_host(&traffic.a);
		if (poll_host(&traffic.b) == 0)
			memif_pause();
	}
	done = memif_now_ns() - start;
	end = memif_now_ns() + (uint64_t)DRAIN_S * 1000000000;
	while (traffic.received < traffic.sent && memif_now_ns() < end) {
		poll_host(&traffic.a);
		if (poll_host(&traffic.b) == 0)
			memif_pause();
	}
	/* A second copy would still be on its way. */
	for (unsigned i = 0; i < 1000; i++) {
		poll_host(&traffic.b);
		memif_pause();
	}
	printf("{\"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"duplicates\": %" PRIu64
	       ", \"strange\": %" PRIu64 ", \"ring_full\": %" PRIu64 ", \"window_full\": %" PRIu64
	       ", \"rate\": %" PRIu64 ", \"longest_gap_ms\": %.3f}\n",
		traffic.sent, traffic.received, traffic.duplicates, traffic.strange, traffic.full,
		traffic.window, traffic.sent * 1000000000 / done, (double)traffic.longest_ns / 1e6);
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
	memif_start_eal(argv[1], &argv[2]);
	if (traffic.seen == NULL)
		memif_die("memory", ENOMEM);
	memif_open_both(&traffic.a, &traffic.b, (uint16_t)strtoul(argv[4], NULL, 10));
	start_up();
	signal(SIGTERM, stop_early);
	run(rate, seconds);
	rte_eal_cleanup();
	return 0;
}
