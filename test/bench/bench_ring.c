/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the rings and transactions cost: messages per second through one ring between two
 * processes, the round trip of a sleeping pair, and 100,000 peers and 100,000 routes through the
 * session (staged, validated, applied twice by handlers that copy the message, answered).
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/api/table.h"
#include "common/base/log.h"
#include "common/ring/channel.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/session.h"
#include "test/bench/figures.h"

enum {
	CAPACITY = 1 << 20,
	ROUNDS = 7,
	THROUGHPUT_MESSAGES = 4000000,
	ROUND_TRIPS = 20000,
	OBJECTS = 100000,
};

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

/* Without the time in which somebody else had the core. */
static uint64_t cpu_ns(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

static void wait_bell(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	uint64_t count;

	if (poll(&poll_fd, 1, 10000) != 1 || read(fd, &count, sizeof(count)) < 0)
		exit(1);
}

static void consume(struct ring *ring, int bell, unsigned total)
{
	uint8_t message[API_MESSAGE_MAX];

	for (unsigned got = 0; got < total;) {
		int rc = ring_get(ring, message);

		if (rc > 0) {
			if (++got % 32 == 0)
				ring_release(ring);
			continue;
		}
		ring_release(ring);
		if (ring_wait_data(ring)) {
			wait_bell(bell);
			ring_awake(ring, false);
		}
	}
	ring_release(ring);
}

static void produce(struct ring *ring, int bell, uint16_t length, unsigned total)
{
	uint8_t message[API_MESSAGE_MAX];

	api_message_init(message, API_PEER_SET, length);
	for (unsigned put = 0; put < total;) {
		if (ring_put(ring, message) == 0) {
			if (++put % 32 == 0)
				ring_publish(ring);
			continue;
		}
		ring_publish(ring);
		if (ring_wait_space(ring)) {
			wait_bell(bell);
			ring_awake(ring, true);
		}
	}
	ring_publish(ring);
}

struct wires {
	uint8_t *memory; /* two rings */
	int bells[2];
};

static void attach(struct ring *ring, const struct wires *wires, unsigned which, unsigned bell)
{
	ring_attach(ring, wires->memory + which * ring_bytes(CAPACITY), CAPACITY,
		(struct ring_bell){.fd = wires->bells[bell]});
}

static struct wires make_wires(void)
{
	struct wires wires = {.memory = mmap(NULL, 2 * ring_bytes(CAPACITY), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0),
		.bells = {eventfd(0, EFD_NONBLOCK), eventfd(0, EFD_NONBLOCK)}};

	assert(wires.memory != MAP_FAILED);
	return wires;
}

static void free_wires(struct wires *wires)
{
	munmap(wires->memory, 2 * ring_bytes(CAPACITY));
	close(wires->bells[0]);
	close(wires->bells[1]);
}

static void wait_child(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child || status != 0)
		exit(1);
}

static void bench_throughput(uint16_t length)
{
	double rates[ROUNDS];

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct wires wires = make_wires();
		struct ring ring;
		uint64_t from = now_ns();
		pid_t child = fork();

		attach(&ring, &wires, 0, child == 0);
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			consume(&ring, wires.bells[0], THROUGHPUT_MESSAGES);
			_exit(0);
		}
		produce(&ring, wires.bells[1], length, THROUGHPUT_MESSAGES);
		wait_child(child);
		rates[i] = THROUGHPUT_MESSAGES * 1e3 / (double)(now_ns() - from);
		free_wires(&wires);
	}
	printf("one ring, two processes, %3u bytes: %6.1f million messages/s (median of %u)\n",
		length, figures_median(rates, ROUNDS), ROUNDS);
}

static void bench_round_trip(void)
{
	static double times[ROUND_TRIPS];
	struct wires wires = make_wires();
	struct ring in, out;
	pid_t child = fork();
	double middle;

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		attach(&in, &wires, 0, 1);
		attach(&out, &wires, 1, 1);
		for (unsigned i = 0; i < ROUND_TRIPS; i++) {
			consume(&in, wires.bells[0], 1);
			produce(&out, wires.bells[0], 32, 1);
		}
		_exit(0);
	}
	attach(&out, &wires, 0, 0);
	attach(&in, &wires, 1, 0);
	for (unsigned i = 0; i < ROUND_TRIPS; i++) {
		uint64_t from = now_ns();

		produce(&out, wires.bells[1], 32, 1);
		consume(&in, wires.bells[1], 1);
		times[i] = (double)(now_ns() - from) / 1e3;
	}
	wait_child(child);
	middle = figures_median(times, ROUND_TRIPS); /* sorts */
	printf("round trip, both asleep: median %.1f us, p99 %.1f us\n", middle,
		times[ROUND_TRIPS * 99 / 100]);
	free_wires(&wires);
}

/* --- transactions --- */

static struct api_peer_set peers[2][OBJECTS];
static struct api_route_set routes[2][OBJECTS];

static void apply_peer(const void *msg, unsigned copy, enum handler_pass pass)
{
	const struct api_peer_set *set = msg;

	peers[copy][set->peer] = *set;
}

static void apply_route(const void *msg, unsigned copy, enum handler_pass pass)
{
	const struct api_route_set *set = msg;

	routes[copy][set->route_id] = *set;
}

static void put_waiting(struct channel *channel, const void *message)
{
	while (ring_put(&channel->out, message) != 0) {
		struct pollfd fd = {.fd = channel->socket, .events = POLLIN};
		uint8_t byte;

		ring_publish(&channel->out);
		if (!ring_wait_space(&channel->out))
			continue;
		if (poll(&fd, 1, 10000) != 1 || read(channel->socket, &byte, 1) != 1)
			exit(1);
	}
}

static void control(const char *path, int ready)
{
	struct channel channel;
	struct channel_received received;
	struct channel_hello hello;
	struct api_txn_begin begin;
	struct api_txn_commit commit;
	struct api_peer_set peer;
	struct api_route_set route;
	char text[CHANNEL_TEXT_MAX];
	int fd = channel_connect(path);
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	channel_hello_init(&hello);
	if (fd < 0 || channel_send_hello(fd, &hello) != 0 || poll(&poll_fd, 1, 10000) != 1 ||
		channel_receive(fd, &received) != 0 ||
		channel_attach(&channel, fd, &received, text) != 0)
		_exit(1);
	(void)!write(ready, "x", 1);
	api_message_init(&begin, API_TXN_BEGIN, sizeof(begin));
	begin.mode = API_TXN_FULL;
	begin.count = 2 * OBJECTS;
	put_waiting(&channel, &begin);
	api_message_init(&peer, API_PEER_SET, sizeof(peer));
	for (peer.peer = 0; peer.peer < OBJECTS; peer.peer++)
		put_waiting(&channel, &peer);
	api_message_init(&route, API_ROUTE_SET, sizeof(route));
	for (route.route_id = 0; route.route_id < OBJECTS; route.route_id++)
		put_waiting(&channel, &route);
	api_message_init(&commit, API_TXN_COMMIT, sizeof(commit));
	commit.generation = 1;
	put_waiting(&channel, &commit);
	ring_publish(&channel.out);
	while (ring_wait_data(&channel.in))
		poll(&poll_fd, 1, 10);
	_exit(0);
}

static void bench_transaction(void)
{
	static const struct handler handlers[] = {
		{API_PEER_SET, "peer.set", sizeof(struct api_peer_set), NULL, apply_peer},
		{API_ROUTE_SET, "route.set", sizeof(struct api_route_set), NULL, apply_route},
	};
	static const struct handler_group group = {
		.feature = "bench", .handlers = handlers, .count = 2};
	char directory[] = "/tmp/sallyport-bench-XXXXXX", path[64];
	struct session_options options = {.path = path, .uid = geteuid()};
	double times[ROUNDS], longest = 0;
	int error;

	assert(mkdtemp(directory) != NULL);
	snprintf(path, sizeof(path), "%s/s", directory);
	handler_register(&group);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct session *session = session_create(&options, &error);
		uint64_t from = 0;
		pid_t child;
		int ready[2];

		assert(session != NULL && pipe(ready) == 0);
		child = fork();
		if (child == 0)
			control(path, ready[1]);
		while (session_generation(session) == 0) {
			struct pollfd fd = {.fd = session_fd(session), .events = POLLIN};
			uint64_t start = cpu_ns();
			bool more = session_poll(session, now_ns());
			double slice = (double)(cpu_ns() - start) / 1e6;

			longest = slice > longest ? slice : longest;
			if (from == 0 && session_connection() != 0)
				from = now_ns();
			if (!more && session_sleep(session))
				poll(&fd, 1, 1000);
		}
		times[i] = (double)(now_ns() - from) / 1e6;
		wait_child(child);
		session_destroy(&session);
		close(ready[0]);
		close(ready[1]);
	}
	rmdir(directory);
	printf("100,000 peers + 100,000 routes committed: %.1f ms (median of %u), "
	       "longest poll %.2f ms of CPU\n",
		figures_median(times, ROUNDS), ROUNDS, longest);
}

int main(void)
{
	static const uint16_t lengths[] = {32, 120, 224};

	log_set_level(NULL, LOG_LEVEL_ERROR);
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		bench_throughput(lengths[i]);
	bench_round_trip();
	bench_transaction();
	return 0;
}
