/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x25519-bench: what one multiplication costs by each implementation, in bursts of several sizes,
 * in one run.
 *
 * The implementations take turns, burst by burst, so that a busy machine or a change of clock
 * disturbs all of them alike. Time is the thread's CPU time; ratios within one run compare
 * machines, microseconds do not.
 */
#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/x25519/x25519.h"

enum {
	IMPLEMENTATIONS_MAX = 8,
	BURST_MAX = 32,
	ROUNDS = 101,
	ROUNDS_MAX = 10001,
};

struct options {
	unsigned rounds;
	bool json;
};

/* Bursts of one size, of points or of the base point. */
struct measure {
	unsigned burst;
	bool is_base;
	const char *name;
	double *us; /* of a burst, in order of time */
};

static const char *names[IMPLEMENTATIONS_MAX];
static unsigned n_names;
static struct key scalars[BURST_MAX], points[BURST_MAX], products[BURST_MAX];
static struct x25519_job jobs[BURST_MAX];

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void select_or_die(const char *name)
{
	if (x25519_select(name) != 0) {
		fprintf(stderr, "x25519-bench: %s cannot run any more\n", name);
		exit(1);
	}
}

static void print_result(const struct options *o, const struct measure *m)
{
	static double reference;
	static bool is_first = true;
	unsigned last = o->rounds - 1;
	double median = m->us[last / 2] / m->burst, least = m->us[0] / m->burst;
	double p10 = m->us[last / 10] / m->burst, p90 = m->us[last - last / 10] / m->burst;

	if (m->name == names[0])
		reference = p10;
	if (o->json)
		printf("%s\n{\"impl\":\"%s\",\"op\":\"%s\",\"burst\":%u,\"us\":%.3f,\"p10\":%.3f,"
		       "\"p90\":%.3f,\"least\":%.3f,\"rounds\":%u}",
			is_first ? "" : ",", m->name, m->is_base ? "base" : "point", m->burst,
			median, p10, p90, least, o->rounds);
	else
		printf("%-10s %-6s %5u %9.2f %9.2f %9.2f %9.2f %9.0f %8.3f\n", m->name,
			m->is_base ? "base" : "point", m->burst, least, p10, median, p90, 1e6 / p10,
			p10 / reference);
	is_first = false;
}

static void run_case(const struct options *o, unsigned burst, bool is_base, double *us)
{
	for (unsigned i = 0; i < burst; i++)
		jobs[i] = (struct x25519_job){.scalar = &scalars[i],
			.point = is_base ? NULL : &points[i],
			.product = &products[i]};
	/* The first round warms caches and clocks and is overwritten. */
	for (unsigned round = 0; round <= o->rounds; round++) {
		for (unsigned i = 0; i < n_names; i++) {
			double start;

			select_or_die(names[i]);
			start = now_us();
			x25519_burst(jobs, burst);
			us[i * o->rounds + (round > 0 ? round - 1 : 0)] = now_us() - start;
		}
	}
	for (unsigned i = 0; i < n_names; i++) {
		struct measure m = {
			.burst = burst,
			.is_base = is_base,
			.name = names[i],
			.us = us + i * o->rounds,
		};

		qsort(m.us, o->rounds, sizeof(m.us[0]), compare);
		print_result(o, &m);
	}
}

static int run_all(const struct options *o)
{
	static const unsigned bursts[] = {1, 2, 4, 8, 16, 32};
	double *us = calloc((size_t)IMPLEMENTATIONS_MAX * o->rounds, sizeof(*us));

	if (us == NULL)
		return -ENOMEM;
	if (o->json)
		printf("{\"unit\":\"microseconds per multiplication\",\"results\":[");
	else
		printf("%-10s %-6s %5s %9s %9s %9s %9s %9s %8s\n", "impl", "of", "burst", "least",
			"p10", "median", "p90", "/s", "/first");
	for (unsigned is_base = 0; is_base < 2; is_base++) {
		for (unsigned b = 0; b < sizeof(bursts) / sizeof(bursts[0]); b++)
			run_case(o, bursts[b], is_base, us);
	}
	if (o->json)
		printf("\n]}\n");
	free(us);
	return 0;
}

static void print_usage(void)
{
	puts("usage: x25519-bench [options]\n"
	     "  --rounds=N  bursts for each figure, 11..10001 (101)\n"
	     "  --json      one JSON object instead of a table\n"
	     "Figures are microseconds of CPU time per multiplication; /s and the ratio to the "
	     "first\n"
	     "implementation listed are of the 10th percentile.");
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option rows[] = {
		{"rounds", required_argument, NULL, 'r'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", rows, NULL)) != -1) {
		if (option == 'r')
			o->rounds = (unsigned)strtoul(optarg, NULL, 10);
		else if (option == 'j')
			o->json = true;
		else
			return -1;
	}
	return o->rounds < 11 || o->rounds > ROUNDS_MAX ? -1 : 0;
}

/* OpenSSL goes first: it is what the others are compared with. */
static void find_implementations(void)
{
	const char *name;

	if (x25519_select("openssl") == 0)
		names[n_names++] = "openssl";
	for (unsigned i = 0; (name = x25519_name_at(i)) != NULL; i++) {
		if (strcmp(name, "openssl") != 0 && x25519_select(name) == 0)
			names[n_names++] = name;
	}
}

int main(int argc, char **argv)
{
	struct options options = {.rounds = ROUNDS};

	if (parse_options(argc, argv, &options) != 0) {
		print_usage();
		return 2;
	}
	if (sodium_init() < 0)
		return 1;
	for (unsigned i = 0; i < BURST_MAX; i++) {
		key_generate(&scalars[i]);
		key_generate(&points[i]);
	}
	find_implementations();
	return run_all(&options) == 0 ? 0 : 1;
}
