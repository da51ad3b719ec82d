/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Start, main loop and end.
 *
 * The main thread is the only writer of shared tables. It waits on the session's descriptor and
 * the stop descriptor, at most a tick long; each tick features keep house, and once a second the
 * counters memory is brought up to date. Slices of a transaction come between ticks, so timers
 * never starve.
 */
#include "dataplane/main/dataplane.h"

#include <rte_eal.h>

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/api/port.h"
#include "common/base/notify.h"
#include "dataplane/aead/aead.h"
#include "dataplane/graph/drop.h"
#include "dataplane/graph/graph.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/main/eal.h"
#include "dataplane/main/feature.h"
#include "dataplane/main/reader.h"
#include "dataplane/main/session.h"
#include "dataplane/main/stats.h"
#include "dataplane/main/watchdog.h"
#include "dataplane/main/worker.h"
#include "dataplane/port/port.h"
#include "dataplane/x25519/x25519.h"

LOG_TYPE(main);

enum {
	TICK_MS = 100,
	STATS_MS = 1000,
	NODE_ROWS = 64,
};

static struct session *session;
static uint64_t grace;
static uint64_t tick_ms, stats_ms;

static void flip(unsigned active, void *arg)
{
	tables_flip(active);
}

static void start_grace(void *arg)
{
	grace = grace_start();
}

static bool grace_done(void *arg)
{
	return grace_over(grace);
}

static int open_session(const struct args *args)
{
	struct session_options options = {
		.path = args->config.socket_path,
		.uid = args->uid,
		.counters_bytes = stats_bytes(),
		.flip = flip,
		.grace_start = start_grace,
		.grace_done = grace_done,
		.committed = stats_committed,
		.counters_open = stats_open,
		.counters_close = stats_close,
	};
	int rc = 0;

	session = session_create(&options, &rc);
	if (session == NULL)
		log_error(main, "%s: cannot listen: %s", options.path, strerror(-rc));
	return rc;
}

static void provide_stats(void)
{
	stats_section(
		API_SECTION_DROPS, sizeof(struct api_count_drop), DROP_REASONS_MAX, drop_fill);
	stats_section(API_SECTION_PORTS, sizeof(struct api_count_port), API_PORT_MAX, port_fill);
	stats_section(API_SECTION_NODES, sizeof(struct api_count_node), NODE_ROWS, graph_fill);
	stats_section(
		API_SECTION_WORKERS, sizeof(struct api_count_worker), DP_WORKERS_MAX, worker_fill);
}

static int failed(const char *what, int rc)
{
	log_error(main, "%s: %s", what, strerror(-rc));
	return rc;
}

/* What features build on. */
static int set_up_core(const struct args *args)
{
	int rc = reader_create();

	if (rc != 0)
		return failed("grace periods", rc);
	rc = packet_pool_create();
	if (rc != 0)
		return failed("packet buffers", rc);
	rc = handoff_create_all(args->config.workers);
	if (rc != 0)
		return failed("hand-off rings", rc);
	rc = aead_select(args->config.aead);
	if (rc != 0)
		return failed("cipher", rc);
	rc = x25519_select(args->config.x25519);
	if (rc != 0)
		return failed("X25519", rc);
	provide_stats();
	return 0;
}

static int set_up(const struct args *args)
{
	unsigned workers = args->config.workers;
	int rc = set_up_core(args);

	if (rc == 0)
		rc = feature_init_all();
	if (rc != 0)
		return rc;
	rc = worker_create_all();
	if (rc != 0)
		return failed("workers", rc);
	rc = graph_create_all(workers);
	for (unsigned id = 0; rc == 0 && id < workers; id++)
		rc = feature_worker_init_all(worker_get(id));
	return rc;
}

int dataplane_start(const struct args *args)
{
	int rc = eal_start(args);

	if (rc == 0)
		rc = set_up(args);
	if (rc == 0)
		rc = open_session(args);
	for (unsigned id = 0; rc == 0 && id < args->config.workers; id++)
		rc = worker_launch(id);
	if (rc == 0)
		rc = feature_start_all();
	if (rc != 0) {
		log_error(main, "cannot start: %s", strerror(-rc));
		return rc;
	}
	log_info(main, "%u workers, %s, cipher %s, X25519 %s, listening on %s",
		args->config.workers,
		args->config.idle == DP_IDLE_POLL ? "polling" : "adaptive idling", aead_name(),
		x25519_name(), args->config.socket_path);
	return 0;
}

static void keep_house(void)
{
	uint64_t now = clock_ms();

	if (now - tick_ms >= TICK_MS) {
		tick_ms = now;
		feature_housekeep_all(now);
		watchdog_run(now);
	}
	if (now - stats_ms >= STATS_MS) {
		stats_ms = now;
		stats_publish(session_generation(session));
	}
}

/* Milliseconds until the next tick. */
static int wait_ms(void)
{
	uint64_t passed = clock_ms() - tick_ms;

	return passed >= TICK_MS ? 0 : (int)(TICK_MS - passed);
}

static bool poll_once(void)
{
	struct timespec now;
	bool more;

	clock_gettime(CLOCK_MONOTONIC, &now);
	more = session_poll(session, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	stats_note_applied(session_applied_permille(session));
	keep_house();
	return more;
}

void dataplane_poll(void)
{
	poll_once();
}

static int add_fd(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static void loop(int epoll, int stop_fd)
{
	for (;;) {
		bool more = poll_once();
		struct epoll_event event;
		int timeout = 0, n;

		if (!more && session_sleep(session))
			timeout = wait_ms();
		n = epoll_wait(epoll, &event, 1, timeout);
		if (n == 1 && event.data.fd == stop_fd)
			return;
		/* A grace period waits for threads that may want this very core. */
		if (more)
			sched_yield();
	}
}

int dataplane_run(int stop_fd)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int rc;

	if (epoll < 0)
		return -errno;
	rc = add_fd(epoll, session_fd(session));
	if (rc == 0)
		rc = add_fd(epoll, stop_fd);
	if (rc == 0) {
		watchdog_start(clock_ms());
		notify_send("READY=1\nSTATUS=%u workers, cipher %s, X25519 %s",
			dp_config()->workers, aead_description(), x25519_description());
		loop(epoll, stop_fd);
		notify_send("STOPPING=1");
		/* What came since the last time: the control process reads it once more. */
		stats_publish(session_generation(session));
	}
	close(epoll);
	return rc;
}

void dataplane_stop(void)
{
	session_destroy(&session);
	worker_stop_all();
	feature_stop_all();
	watchdog_forget();
	graph_destroy_all();
	worker_destroy_all();
	rte_eal_cleanup();
}
