/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside punt: what the graph node, the policers, the twins and the punt thread share.
 *
 * Up:   worker -> node "punt" -> policer -> the worker's ring -> punt thread -> TAP or TUN
 * Down: TAP or TUN -> punt thread -> hand-off ring of a worker -> GRAPH_FORWARD or GRAPH_SEND
 */
#pragma once

#include <netinet/in.h>
#include <pthread.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/api/port.h"
#include "dataplane/graph/drop.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/config.h"

#define PUNT_DROPS(X)                                                                              \
	X(RATE_ARP, "rate_arp", "more ARP than the gateway's kernel is given per second")          \
	X(RATE_ND, "rate_nd", "more neighbour discovery than the kernel is given per second")      \
	X(RATE_DHCP, "rate_dhcp", "more DHCP than the kernel is given per second")                 \
	X(RATE_MULTICAST, "rate_multicast", "more multicast than the kernel is given per second")  \
	X(RATE_HOST, "rate_host", "more traffic to the gateway than its kernel is given")          \
	X(RING_FULL, "ring_full", "the punt thread does not keep up")                              \
	X(NO_DEVICE, "no_device", "the port has no twin in the kernel")                            \
	X(NO_L2, "no_l2", "the layer-2 header is no longer there")                                 \
	X(WRITE, "write", "the kernel refused the packet: is the twin up?")                        \
	X(FROM_HOST_SHORT, "from_host_short", "a frame of the kernel's is too short")              \
	X(FROM_HOST_LONG, "from_host_long",                                                        \
		"a frame of the kernel's is longer than the port's "                               \
		"MTU")                                                                             \
	X(FROM_HOST_OVERLAY, "from_host_overlay", "the kernel sent multicast to the overlay")      \
	X(FROM_HOST_DOWN, "from_host_down", "the port of this twin is gone")

DROP_GROUP_DECLARE(punt, PUNT_DROPS);

enum {
	PUNT_BURST = 32,          /* packets passed on at a time */
	PUNT_RING_SIZE = 1024,    /* packets from one worker that wait for the punt thread */
	PUNT_BELL = API_PORT_MAX, /* epoll's data for the bell; twins have their port's id */
	PUNT_ND_FIRST = 133,      /* router solicitation ... */
	PUNT_ND_LAST = 137,       /* ... to redirect (RFC 4861, section 4) */
};

enum punt_class {
	PUNT_ARP,
	PUNT_ND,
	PUNT_DHCP,
	PUNT_MULTICAST, /* and broadcast, and whatever is not IP */
	PUNT_HOST,      /* to an address of the gateway */
	PUNT_CLASSES,
};

/* Token buckets of one worker. */
struct punt_policer {
	uint64_t last_ms;
	uint32_t tokens[PUNT_CLASSES]; /* thousandths of a packet */
} __rte_cache_aligned;

static inline bool punt_is_nd(const struct packet *packet)
{
	return packet->proto == IPPROTO_ICMPV6 && packet->icmp_type >= PUNT_ND_FIRST &&
	       packet->icmp_type <= PUNT_ND_LAST;
}

/* Reads packet's parsed fields and, if it is not IP, its layer-2 header. */
enum punt_class punt_classify(const struct rte_mbuf *mbuf);

void punt_policer_init(struct punt_policer *policer, uint64_t now_ms);

/* False: over the class's rate, drop for punt_police_reason(class). now_ms never goes back. */
bool punt_admit(struct punt_policer *policer, enum punt_class class, uint64_t now_ms);
uint16_t punt_police_reason(enum punt_class class);

/*
 * A TAP (mac given) or TUN (mac NULL) of this name, down, non-blocking, without a virtio header:
 * the kernel finishes checksums and segments before it gives us a frame. Returns the descriptor,
 * whose end is the device's, or -errno. Main thread.
 */
int punt_device_open(const char *name, const struct rte_ether_addr *mac, unsigned mtu);
int punt_device_carrier(int fd, bool up);

/* The descriptor of a twin, -1 if there is none. */
struct punt_twin {
	int fd;
	uint16_t dpdk; /* main thread: whose link it follows; unused for the overlay */
	bool carrier;
};

struct punt {
	struct rte_ring *rings[DP_WORKERS_MAX]; /* single producer, single consumer */
	int epoll;
	int bell; /* eventfd */
	/* The punt thread sets it before it blocks; whoever fills a ring clears it and rings. */
	uint64_t beat; /* loops of the punt thread, for the watchdog */
	_Alignas(64) _Atomic bool sleeping;
	_Alignas(64) _Atomic bool stopping;
	/*
	 * Held by the punt thread while it works through a batch of twins, and by the main thread
	 * while it opens or closes one: a descriptor is never closed under a read or write.
	 */
	pthread_mutex_t lock;
	struct punt_twin twins[API_PORT_MAX]; /* by port id; 0 = the overlay interface */
};

extern struct punt punt;

/* Wakes the punt thread if it sleeps; after filling a ring. Any thread. */
void punt_ring_bell(void);

/* Body of the punt thread; arg unused. */
void *punt_thread(void *arg);

/* Writes packets to their twins, frees them. Data is at the frame, or IP for the overlay. */
void punt_to_kernel(struct rte_mbuf **mbufs, unsigned n);

/* Reads up to PUNT_BURST frames that the kernel sent on a twin and passes them on; the number. */
unsigned punt_from_kernel(unsigned id);
