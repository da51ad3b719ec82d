/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/e2e/tools/memif_host.h"

#include <rte_arp.h>
#include <rte_eal.h>
#include <rte_ethdev.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	MBUFS = 32768,
	DESCRIPTORS = 4096, /* as log2 below */
	PAUSE_NS = 30 * 1000,
};

#define LOG2_DESCRIPTORS "12"

uint64_t memif_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void memif_die(const char *what, int rc)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
		strerror(rc < 0 ? -rc : rc));
	exit(1);
}

void memif_pause(void)
{
	nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}

static void open_host(struct memif_host *host, const char *name)
{
	struct rte_eth_conf conf = {0};
	int rc = rte_eth_dev_get_port_by_name(name, &host->port);

	if (rc == 0)
		rc = rte_eth_dev_configure(host->port, host->queues, host->queues, &conf);
	for (uint16_t q = 0; rc == 0 && q < host->queues; q++)
		rc = rte_eth_rx_queue_setup(host->port, q, DESCRIPTORS, 0, NULL, host->pool);
	for (uint16_t q = 0; rc == 0 && q < host->queues; q++)
		rc = rte_eth_tx_queue_setup(host->port, q, DESCRIPTORS, 0, NULL);
	if (rc == 0)
		rc = rte_eth_dev_start(host->port);
	if (rc == 0)
		rc = rte_eth_macaddr_get(host->port, &host->mac);
	if (rc != 0)
		memif_die(name, rc);
}

void memif_open_both(struct memif_host *a, struct memif_host *b, uint16_t queues)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"memif", MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);

	if (pool == NULL)
		memif_die("memory", ENOMEM);
	*a = (struct memif_host){.ip = MEMIF_NET(1, 2), .gateway = MEMIF_NET(1, 1)};
	*b = (struct memif_host){.ip = MEMIF_NET(2, 2), .gateway = MEMIF_NET(2, 1)};
	a->pool = b->pool = pool;
	a->queues = b->queues = queues;
	open_host(a, "net_memif0");
	open_host(b, "net_memif1");
}

bool memif_send(const struct memif_host *host, uint16_t queue, const void *data, size_t bytes)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(host->pool);
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

static void send_arp(const struct memif_host *host, uint16_t operation,
	const struct rte_ether_addr *to, uint32_t to_ip)
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
	memif_send(host, 0, &frame, sizeof(frame));
}

void memif_ask_gateway(const struct memif_host *host)
{
	send_arp(host, RTE_ARP_OP_REQUEST, NULL, host->gateway);
}

void memif_take_arp(struct memif_host *host, const struct rte_mbuf *mbuf)
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

void memif_write_headers(struct memif_headers *headers, const struct memif_host *host,
	uint32_t source, uint32_t destination, uint16_t length)
{
	*headers = (struct memif_headers){
		.ether = {.src_addr = host->mac,
			.dst_addr = host->gateway_mac,
			.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4)},
		.ip = {.version_ihl = RTE_IPV4_VHL_DEF,
			.total_length = rte_cpu_to_be_16(length),
			.time_to_live = 64,
			.next_proto_id = IPPROTO_UDP,
			.src_addr = rte_cpu_to_be_32(source),
			.dst_addr = rte_cpu_to_be_32(destination)},
	};
	headers->ip.hdr_checksum = rte_ipv4_cksum(&headers->ip);
}

void memif_start_eal(const char *role, char *const sockets[2])
{
	static char devices[2][256];
	const char *argv[] = {"memif", "--no-huge", "--no-shconf", "-m", "256", "--no-pci",
		"--no-telemetry", "--log-level=warning", "--vdev", devices[0], "--vdev",
		devices[1]};
	cpu_set_t cpus;

	for (unsigned i = 0; i < 2; i++)
		snprintf(devices[i], sizeof(devices[i]),
			"net_memif%u,role=%s,id=0,rsize=" LOG2_DESCRIPTORS
			",socket-abstract=no,socket=%s",
			i, role, sockets[i]);
	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
		memif_die("affinity", errno);
	if (rte_eal_init(RTE_DIM(argv), (char **)argv) < 0)
		memif_die("EAL", EINVAL);
	/* Not on one CPU alone, whoever else wants it. */
	if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0)
		memif_die("affinity", errno);
}
