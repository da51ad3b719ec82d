/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hosts at the other ends of memif ports of a gateway: devices, ARP, clock. For programs of one
 * thread; what fails ends the program with a line on standard error.
 */
#pragma once

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include <stdbool.h>
#include <stdint.h>

enum { MEMIF_BURST = 32 };

struct memif_host {
	uint16_t port;
	uint16_t queues;
	uint32_t ip, gateway; /* host order */
	struct rte_ether_addr mac, gateway_mac;
	bool resolved; /* gateway_mac is known */
	struct rte_mempool *pool;
};

/* Host `host` of 10.<n>.0.0/24. */
#define MEMIF_NET(n, host) RTE_IPV4(10, (n), 0, (host))

/* EAL with a device for each of the two sockets, net_memif0 and net_memif1; `role` is ours. */
void memif_start_eal(const char *role, char *const sockets[2]);

/* Host a is 10.1.0.2 behind the gateway's 10.1.0.1, host b 10.2.0.2 behind 10.2.0.1; each has a
 * socket. */
void memif_open_both(struct memif_host *a, struct memif_host *b, uint16_t queues);

/* A copy of a whole frame into the ring; false if that has no room. */
bool memif_send(const struct memif_host *host, uint16_t queue, const void *data, size_t bytes);

void memif_ask_gateway(const struct memif_host *host);
/* An ARP frame: learns the gateway's address, answers for our own. */
void memif_take_arp(struct memif_host *host, const struct rte_mbuf *mbuf);

/* Ethernet and IPv4 headers towards the gateway; `length` is that of the IP packet. */
struct memif_headers {
	struct rte_ether_hdr ether;
	struct rte_ipv4_hdr ip;
} __attribute__((packed, aligned(2)));
void memif_write_headers(struct memif_headers *headers, const struct memif_host *host,
	uint32_t source, uint32_t destination, uint16_t length);

uint64_t memif_now_ns(void);
void memif_pause(void);
void memif_die(const char *what, int rc) __attribute__((noreturn));
