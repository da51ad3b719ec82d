/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/dataplane/main/toy_process.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/ring/counters.h"
#include "dataplane/main/session.h"
#include "test/unit/dataplane/main/toy.h"

static void *counters;

static void open_counters(void *memory, size_t bytes, void *arg)
{
	static const struct counters_section section = {
		API_SECTION_PORTS, sizeof(struct api_count_port), 4};

	counters_layout(memory, &section, 1);
	counters = memory;
}

static void close_counters(void *arg)
{
	counters = NULL;
}

static void show(void)
{
	struct api_section *section;
	struct api_count_port *rows;

	if (counters == NULL)
		return;
	section = counters_section(counters, API_SECTION_PORTS);
	rows = counters_rows(counters, section);
	counters_write_begin(section);
	rows[TOY_ROW_CREATED].rx_packets = toy.created;
	rows[TOY_ROW_CREATED].tx_packets = toy.destroyed;
	memcpy(&rows[TOY_ROW_KEY], &toy.keys[1], sizeof(toy.keys[1]));
	rows[TOY_ROW_RULES].rx_packets = toy.applied;
	section->used = 4;
	((struct api_counters *)counters)->generation = toy.committed;
	counters_write_end(section);
}

static uint64_t clock_ns(void *arg)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void on_commit(uint64_t generation, void *arg)
{
	toy_committed(generation, arg);
	show();
}

static void send_events(void)
{
	static uint64_t told;
	struct api_event_neigh neigh;

	if (toy.committed == told)
		return;
	told = toy.committed;
	api_message_init(&neigh, API_EVENT_NEIGH, sizeof(neigh));
	for (uint32_t i = 0; i < toy.rules[toy.active][TOY_EVENTS_RULE]; i++) {
		neigh.port = (uint16_t)i;
		(void)session_event(&neigh);
	}
}

static void run(const char *path, int ready)
{
	struct session_options options = {.path = path,
		.uid = geteuid(),
		.request_bytes = 1 << 16,
		.reply_bytes = 1 << 14,
		.counters_bytes = 16384,
		.clock_ns = clock_ns,
		.flip = toy_flip,
		.committed = on_commit,
		.counters_open = open_counters,
		.counters_close = close_counters};
	struct session *session;
	int error;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	log_set_level(NULL, LOG_LEVEL_ERROR);
	toy_reset();
	toy.entries = 20000;
	session = session_create(&options, &error);
	if (session == NULL || write(ready, "r", 1) != 1)
		_exit(1);
	for (;;) {
		struct pollfd fd = {.fd = session_fd(session), .events = POLLIN};
		bool more = session_poll(session, clock_ns(NULL));

		show();
		send_events();
		if (!more && session_sleep(session))
			poll(&fd, 1, 1000);
	}
}

pid_t toy_process_start(const char *path)
{
	int ready[2];
	pid_t child;
	char byte;
	bool is_ready;

	if (pipe(ready) != 0)
		return -1;
	child = fork();
	if (child == 0)
		run(path, ready[1]);
	close(ready[1]);
	is_ready = child > 0 && read(ready[0], &byte, 1) == 1;
	close(ready[0]);
	return is_ready ? child : -1;
}
