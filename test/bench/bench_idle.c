/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What idling costs and how long the first packet waits: bench_idle [WORKERS [QUEUES [PACKETS]]],
 * as root. Two af_packet ports on veth pairs in a network namespace of its own, which goes with
 * the process. Prints CPU time of all workers while nothing happens, then the time from send() on
 * one veth to the kernel's receive stamp on the other, one packet at a time, everybody asleep in
 * between; with several workers one hop between them is in it for most packets.
 */
#include <rte_ethdev.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/main/idle.h"
#include "dataplane/main/worker.h"
#include "dataplane/port/port.h"
#include "test/unit/dataplane/port/core.h"

enum { QUIET_S = 5, PACKETS = 500, PAUSE_US = 5000, PACKETS_MAX = 100000 };

static uint64_t read_clock(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int run(const char *const *argv)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execvp(argv[0], (char **)argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static int make_pair(const char *outer, const char *inner)
{
	const char *const add[] = {
		"ip", "link", "add", outer, "type", "veth", "peer", "name", inner, NULL};
	const char *const up[] = {"ip", "link", "set", outer, "up", NULL};
	const char *const up_too[] = {"ip", "link", "set", inner, "up", NULL};

	return run(add) != 0 || run(up) != 0 || run(up_too) != 0 ? -1 : 0;
}

/* A raw socket on an interface that stamps what it receives. */
static int open_raw(const char *name)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), on = 1;

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0)
		return -1;
	return fd;
}

/* The kernel's receive stamp of our packet, 0 after a second without. */
static uint64_t receive(int fd, uint32_t sequence)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	while (poll(&ready, 1, 1000) == 1) {
		uint8_t frame[2048], control[128];
		struct iovec iov = {frame, sizeof(frame)};
		struct msghdr msg = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(fd, &msg, 0);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		struct timespec stamp;

		if (n < 46 || memcmp(frame + 42, &sequence, sizeof(sequence)) != 0 || cmsg == NULL)
			continue;
		memcpy(&stamp, CMSG_DATA(cmsg), sizeof(stamp));
		return (uint64_t)stamp.tv_sec * 1000000000 + (uint64_t)stamp.tv_nsec;
	}
	return 0;
}

static uint64_t send_one(int out, int in, uint32_t sequence)
{
	struct rte_mbuf *mbuf =
		core_frame(port_get(1)->mac.addr_bytes, (uint16_t)sequence, sequence);
	uint64_t sent = read_clock(CLOCK_REALTIME), seen;

	if (send(out, rte_pktmbuf_mtod(mbuf, void *), rte_pktmbuf_pkt_len(mbuf), 0) < 0)
		return 0;
	seen = receive(in, sequence);
	rte_pktmbuf_free(mbuf);
	return seen == 0 ? 0 : seen - sent;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void measure_latency(int out, int in, unsigned packets)
{
	static uint64_t delays[PACKETS_MAX];
	unsigned n = 0;

	for (uint32_t sequence = 1; sequence <= packets; sequence++) {
		usleep(PAUSE_US);
		delays[n] = send_one(out, in, sequence);
		n += delays[n] != 0;
	}
	if (n == 0) {
		puts("no packet came through");
		return;
	}
	qsort(delays, n, sizeof(delays[0]), compare);
	printf("first packet: %u of %u, median %.1f us, p99 %.1f us, worst %.1f us\n", n, packets,
		(double)delays[n / 2] / 1e3, (double)delays[n * 99 / 100] / 1e3,
		(double)delays[n - 1] / 1e3);
}

static void measure_idle(unsigned workers)
{
	uint64_t cpu, wall, sleeps = 0;

	for (unsigned w = 0; w < workers; w++)
		sleeps -= idle_sleeps(w);
	cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	wall = read_clock(CLOCK_MONOTONIC);
	sleep(QUIET_S);
	cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = read_clock(CLOCK_MONOTONIC) - wall;
	for (unsigned w = 0; w < workers; w++)
		sleeps += idle_sleeps(w);
	printf("idle: %u workers take %.3f %% of a core together, %.0f wake-ups a second\n",
		workers, 100.0 * (double)cpu / (double)wall, (double)sleeps * 1e9 / (double)wall);
}

int main(int argc, char **argv)
{
	unsigned workers = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	unsigned queues = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
	unsigned packets = argc > 3 ? (unsigned)atoi(argv[3]) : PACKETS;
	struct api_port_set one = core_port_set(1, "net_af_packet1,iface=a1");
	struct api_port_set two = core_port_set(2, "net_af_packet2,iface=b1");
	const void *messages[] = {&one, &two};
	int a, b, rc;

	if (packets > PACKETS_MAX || unshare(CLONE_NEWNET) != 0 || make_pair("a0", "a1") != 0 ||
		make_pair("b0", "b1") != 0) {
		perror("cannot make a network namespace with two veth pairs");
		return geteuid() == 0 ? EXIT_FAILURE : 77;
	}
	one.rx_queues = two.rx_queues = (uint16_t)queues;
	a = open_raw("a0");
	b = open_raw("b0");
	rc = core_start(workers, DP_IDLE_ADAPTIVE);
	if (rc == 0)
		rc = core_commit(true, messages, 2);
	if (rc == 0)
		rc = core_launch();
	if (rc != 0 || a < 0 || b < 0) {
		fprintf(stderr, "cannot start: %s\n", strerror(-rc));
		return EXIT_FAILURE;
	}
	sleep(1);
	measure_idle(workers);
	measure_latency(a, b, packets);
	core_stop();
	return EXIT_SUCCESS;
}
