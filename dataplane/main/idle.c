/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Adaptive idling.
 *
 * A loop that took packets in resets the count of empty ones. After enough empty loops the worker
 * arms: it raises its sleeping flag (dataplane/graph/handoff.c) and enables the receive
 * interrupts of its queues. It then polls everything once more; only if that finds nothing as
 * well does it block, offline for RCU. What arrives after arming makes a descriptor readable.
 *
 * Descriptors are edge-triggered, so nothing is read from them: an event that belongs to packets
 * already taken costs one spurious wake-up at most, and the error state of an af_packet socket
 * whose interface went down does not keep waking the worker.
 */
#include "dataplane/main/idle.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_packet.h>

#include <rte_common.h>

#include "dataplane/graph/handoff.h"
#include "dataplane/main/worker.h"
#include "dataplane/port/rx_queues.h"

enum {
	EMPTY_SHARED = 16,      /* loops before arming where other threads want the core */
	EMPTY_DEDICATED = 2048, /* and where none does */
	EVENTS_MAX = 16,
	SLEEP_MAX_NS = 90 * 1000 * 1000, /* ticks of features come each 100 ms */
	NAP_MIN_NS = 50 * 1000,
	NAP_MAX_NS = 500 * 1000,
};

struct idle {
	/* The worker's. */
	uint32_t empty; /* loops without a packet */
	bool armed;
	long nap_ns;
	uint64_t sleeps; /* read by the main thread */
	/* Written by the main thread, read by the worker. */
	int epoll;
	uint32_t blind;
} __rte_cache_aligned;

static struct idle idles[DP_WORKERS_MAX];

int idle_create(unsigned worker)
{
	struct idle *idle = &idles[worker];

	memset(idle, 0, sizeof(*idle));
	idle->nap_ns = NAP_MIN_NS;
	idle->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (idle->epoll < 0)
		return -errno;
	return idle_add_fd(worker, handoff_bell_fd(worker));
}

void idle_destroy(unsigned worker)
{
	close(idles[worker].epoll);
	idles[worker].epoll = -1;
}

int idle_add_fd(unsigned worker, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = fd};

	if (epoll_ctl(idles[worker].epoll, EPOLL_CTL_ADD, fd, &event) != 0 && errno != EEXIST)
		return -errno;
	return 0;
}

void idle_remove_fd(unsigned worker, int fd)
{
	epoll_ctl(idles[worker].epoll, EPOLL_CTL_DEL, fd, NULL);
}

void idle_add_blind(unsigned worker)
{
	__atomic_fetch_add(&idles[worker].blind, 1, __ATOMIC_RELAXED);
	handoff_wake(worker);
}

void idle_remove_blind(unsigned worker)
{
	__atomic_fetch_sub(&idles[worker].blind, 1, __ATOMIC_RELAXED);
}

uint64_t idle_sleeps(unsigned worker)
{
	return __atomic_load_n(&idles[worker].sleeps, __ATOMIC_RELAXED);
}

static void arm(struct idle *idle, unsigned worker)
{
	handoff_arm(worker);
	rx_queues_interrupts(worker, true);
	idle->armed = true;
}

static void disarm(struct idle *idle, unsigned worker)
{
	rx_queues_interrupts(worker, false);
	handoff_disarm(worker);
	idle->armed = false;
	idle->empty = 0;
}

static void block(struct idle *idle, unsigned worker)
{
	bool blind = __atomic_load_n(&idle->blind, __ATOMIC_RELAXED) != 0;
	struct timespec timeout = {.tv_nsec = blind ? idle->nap_ns : SLEEP_MAX_NS};
	struct epoll_event events[EVENTS_MAX];

	reader_offline(worker);
	epoll_pwait2(idle->epoll, events, EVENTS_MAX, &timeout, NULL);
	reader_online(worker);
	__atomic_store_n(&idle->sleeps, idle->sleeps + 1, __ATOMIC_RELAXED);
	idle->nap_ns = RTE_MIN(idle->nap_ns * 2, (long)NAP_MAX_NS);
}

void idle_loop(unsigned worker, bool found)
{
	struct idle *idle = &idles[worker];

	if (found) {
		idle->nap_ns = NAP_MIN_NS;
		idle->empty = 0;
		if (idle->armed)
			disarm(idle, worker);
		return;
	}
	if (idle->armed) {
		block(idle, worker);
		disarm(idle, worker);
		return;
	}
	if (++idle->empty >= (dp_config()->cores_shared ? EMPTY_SHARED : EMPTY_DEDICATED))
		arm(idle, worker);
}

static bool is_packet_socket(int fd, unsigned ifindex)
{
	struct sockaddr_ll address;
	socklen_t length = sizeof(address);
	int domain;
	socklen_t domain_length = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_length) != 0 ||
		domain != AF_PACKET)
		return false;
	if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
		return false;
	return (unsigned)address.sll_ifindex == ifindex;
}

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

unsigned idle_packet_sockets(unsigned ifindex, int *fds, unsigned max)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	unsigned n = 0;

	if (dir == NULL)
		return 0;
	while (n < max && (entry = readdir(dir)) != NULL) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && is_packet_socket(fd, ifindex))
			fds[n++] = fd;
	}
	closedir(dir);
	/* The kernel gives out the lowest free number, so later sockets have higher ones. */
	qsort(fds, n, sizeof(*fds), compare_fds);
	return n;
}
