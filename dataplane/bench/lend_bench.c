/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lend-bench: what one tunnel gains when another worker helps to seal and open (wireguard/lend.h).
 * The rig of path-bench, with one worker, and beside it a thread that does nothing but help, in
 * every other window, and does not in the others. Both directions; TSC cycles of the worker per
 * packet, from the first packet of a window taken in to the last one sent, with and without help,
 * and their ratio. Needs two cores to itself.
 */
#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "dataplane/aead/aead.h"
#include "dataplane/bench/rig.h"
#include "dataplane/bench/traffic.h"
#include "dataplane/main/args.h"
#include "dataplane/main/worker.h"
#include "dataplane/wireguard/lend.h"

enum {
	BURST = 32,
	BURSTS = 24, /* of one window: less than a ring and the jobs hold */
	WINDOWS = 400,
	FLOWS = 1000,
	SIZE = 1420,
};

static _Atomic bool helping, stopping;

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0)
		rig_die("two CPUs are needed: 0 and 1", -EINVAL);
}

static void *help(void *arg)
{
	struct worker *worker = arg;

	stay_on(1);

	while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
		if (!atomic_load_explicit(&helping, memory_order_relaxed))
			worker->work++; /* busy with something of its own */
		lend_help(worker);
	}
	return NULL;
}

/* Cycles per packet of a window. */
static double run_window(struct rig *rig, struct traffic *traffic, bool open, unsigned *flow)
{
	struct wire *in = open ? &rig->wan : &rig->inet, *out = open ? &rig->inet : &rig->wan;
	unsigned left = BURSTS * BURST, turns = 0;
	struct rte_mbuf *mbufs[BURST];
	uint64_t cycles = 0;

	for (unsigned i = 0; i < BURSTS; i++, *flow += BURST) {
		(open ? traffic_make_up : traffic_make_down)(rig, traffic, mbufs, *flow);
		rte_ring_enqueue_bulk(in->to_port, (void **)mbufs, BURST, NULL);
	}
	while (left != 0 && turns++ < 1000000) {
		cycles += rig_walk(rig);
		left -= traffic_collect(out, NULL, 0);
	}
	if (left != 0) {
		fprintf(stderr, "lend-bench: %u packets were lost on the way\n", left);
		exit(EXIT_FAILURE);
	}
	return (double)cycles / (BURSTS * BURST);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void learn(struct rig *rig, struct traffic *traffic)
{
	for (unsigned first = 0; first < FLOWS; first += BURST) {
		struct rte_mbuf *mbufs[BURST];
		unsigned left = BURST;

		traffic_make_up(rig, traffic, mbufs, first);
		rte_ring_enqueue_bulk(rig->wan.to_port, (void **)mbufs, BURST, NULL);
		while (left != 0) {
			rig_walk(rig);
			left -= traffic_collect(&rig->inet, traffic, first);
		}
	}
}

static void measure(struct rig *rig, struct traffic *traffic, bool open)
{
	static double with[WINDOWS], without[WINDOWS];
	unsigned flow = 0;

	traffic_collect(&rig->wan, NULL, 0); /* the keepalive that begins a session */

	for (unsigned i = 0; i < WINDOWS; i++) {
		atomic_store(&helping, true);
		rte_delay_us(20); /* it notices */
		with[i] = run_window(rig, traffic, open, &flow);
		atomic_store(&helping, false);
		rte_delay_us(20);
		without[i] = run_window(rig, traffic, open, &flow);
	}
	qsort(with, WINDOWS, sizeof(with[0]), compare);
	qsort(without, WINDOWS, sizeof(without[0]), compare);
	printf("%s: alone %.0f, helped %.0f cycles per packet: %.2f times as fast (medians)\n",
		open ? "open" : "seal", without[WINDOWS / 2], with[WINDOWS / 2],
		without[WINDOWS / 2] / with[WINDOWS / 2]);
}

int main(void)
{
	char name[] = "lend-bench", workers[] = "--workers=1", socket[] = "--socket=/dev/null",
	     lend[] = "--lend=always";
	char *argv[] = {name, workers, socket, lend, NULL};
	static uint16_t ports[FLOWS];
	struct traffic traffic = {
		.burst = BURST, .flows = FLOWS, .peers = 1, .size = SIZE, .nat_ports = ports};
	static struct worker helper = {.id = 1};
	static struct rig rig;
	struct args args;
	pthread_t thread;
	int rc = 0;

	if (args_parse(4, argv, &args) != ARGS_RUN)
		return 2;
	log_set_level(NULL, LOG_LEVEL_WARN);
	rig_start(&rig, &args, NULL, 1);
	helper.aead = aead_create(&rc);
	if (helper.aead != NULL)
		rc = lend_init(2);
	if (rc == 0)
		rc = -pthread_create(&thread, NULL, help, &helper);
	if (rc != 0)
		rig_die("cannot start the helper", rc);
	stay_on(0);
	learn(&rig, &traffic);
	measure(&rig, &traffic, true);
	measure(&rig, &traffic, false);
	atomic_store(&stopping, true);
	pthread_join(thread, NULL);
	return EXIT_SUCCESS;
}
