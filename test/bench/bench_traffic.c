/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long the control process's loop stands still while the traffic of many busy peers is booked:
 * bench_traffic [PEERS] [ROUNDS]. Each round books every peer twice, once on the loop itself and
 * once by the clerk, while a timer of 1 ms measures the longest pause between two of its calls.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/traffic/clerk.h"
#include "control/traffic/tally.h"

enum { NOON = 1700000000 / 86400 * 86400 + 12 * 3600 };

static uint64_t bytes; /* of every peer */
static uint64_t last_ns, longest_ns;
static uint64_t now_s = NOON;
static unsigned n_peers = 65000;
static struct tally_object *objects;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool read_row(enum traffic_kind kind, uint32_t id, struct traffic_counts *counts, void *arg)
{
	*counts = (struct traffic_counts){bytes / 1000, bytes, bytes / 1000, bytes};
	return true;
}

static const struct tally_source source = {.instance = 1, .read = read_row};

static int book(struct tally *tally, struct errand *errand)
{
	return tally_book(tally, &source, now_s);
}

static int assign(struct tally *tally, struct errand *errand)
{
	return tally_assign(tally, &source, objects, n_peers, now_s);
}

static void make_objects(void)
{
	char(*names)[16] = calloc(n_peers, sizeof(*names));

	objects = calloc(n_peers, sizeof(*objects));
	if (objects == NULL || names == NULL)
		exit(1);
	for (unsigned i = 0; i < n_peers; i++) {
		snprintf(names[i], sizeof(names[i]), "peer%u", i);
		objects[i] = (struct tally_object){TRAFFIC_PEER, names[i], names[i], i + 1};
	}
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
	uint64_t now = now_ns();

	if (now - last_ns > longest_ns)
		longest_ns = now - last_ns;
	last_ns = now;
}

static void give(struct clerk *clerk, int (*run)(struct tally *tally, struct errand *errand))
{
	struct errand *errand = calloc(1, sizeof(*errand));

	if (errand == NULL)
		exit(1);
	errand->run = run;
	clerk_give(clerk, errand);
}

/* Milliseconds of the loop's longest pause. */
static double pause_by_clerk(struct event_base *base, struct clerk *clerk,
	int (*run)(struct tally *tally, struct errand *errand), double *whole_ms)
{
	uint64_t start = now_ns();

	last_ns = start;
	longest_ns = 0;
	give(clerk, run);
	while (clerk_pending(clerk) > 0)
		event_base_loop(base, EVLOOP_ONCE);
	*whole_ms = (double)(now_ns() - start) / 1e6;
	return (double)longest_ns / 1e6;
}

static double pause_on_loop(
	struct tally *tally, int (*run)(struct tally *tally, struct errand *errand))
{
	uint64_t start = now_ns();

	if (run(tally, NULL) < 0)
		exit(1);
	return (double)(now_ns() - start) / 1e6;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5;
	char dir[] = "/tmp/sp-bench-XXXXXX", direct[64], by_clerk[64], command[96];
	struct event_base *base = event_base_new();
	const struct timeval every = {.tv_usec = 1000};
	struct event *timer = base == NULL ? NULL : event_new(base, -1, EV_PERSIST, tick, NULL);
	struct tally *tally, *other;
	struct clerk *clerk;
	int error;

	if (argc > 1)
		n_peers = (unsigned)strtoul(argv[1], NULL, 10);
	if (timer == NULL || n_peers == 0 || mkdtemp(dir) == NULL)
		return 1;
	make_objects();
	snprintf(direct, sizeof(direct), "%s/direct.db", dir);
	snprintf(by_clerk, sizeof(by_clerk), "%s/clerk.db", dir);
	tally = tally_open(direct, TALLY_SERIES_MAX, &error);
	other = tally_open(by_clerk, TALLY_SERIES_MAX, &error);
	clerk = other == NULL ? NULL : clerk_create(base, other, &error);
	if (tally == NULL || clerk == NULL)
		return 1;
	event_add(timer, &every);
	printf("%u peers; longest pause of the loop in ms\n", n_peers);
	for (unsigned i = 0; i <= rounds; i++) {
		double whole, on_loop = pause_on_loop(tally, i == 0 ? assign : book);
		double pause = pause_by_clerk(base, clerk, i == 0 ? assign : book, &whole);

		printf("%-8s on the loop %7.1f  by the clerk %5.1f (done after %.1f)\n",
			i == 0 ? "assign" : "book", on_loop, pause, whole);
		bytes += 1500;
		now_s += 60;
	}
	tally_close(&tally);
	clerk_destroy(&clerk);
	event_free(timer);
	event_base_free(base);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) == 0 ? 0 : 1;
}
