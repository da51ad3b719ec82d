/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the longest match for one address costs, and a route in memory, in a small table and in one
 * of the internet's size and more:
 *
 *	route_bench [V4 V6 [SMALL_V4 SMALL_V6]]    (1000000 200000 1000 200)
 *
 * Lengths are spread as in the internet's tables. Addresses asked for lie in random routes, so that
 * the tree's nodes come from memory. Rounds alternate between the tables; TSC cycles.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_memory.h>

#include "dataplane/route/prefix_table.h"

enum {
	ROUNDS = 21,
	ASKED = 1 << 16, /* addresses, of each family; asked for once per round */
	HOLDER = 1,
	MEMORY_MB = 512,
};

struct table {
	struct prefix_table *routes;
	uint32_t v4, v6;
	double bytes;  /* per route, all told */
	double insert; /* cycles per route */
	struct addr *asked[2];
	double cycles[2][ROUNDS];
};

static uint64_t seed = 0x9e3779b97f4a7c15;

/* xorshift64*: the same routes every time. */
static uint64_t draw(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545f4914f6cdd1d;
}

static void start_eal(void)
{
	static char memory[16];
	static const char *const arguments[] = {"route_bench", "--no-huge", "-m", memory,
		"--no-pci", "--no-shconf", "--no-telemetry", "--iova-mode=va", "--lcores=0",
		"--log-level=error"};
	char *argv[sizeof(arguments) / sizeof(arguments[0]) + 1];
	int argc = 0;

	snprintf(memory, sizeof(memory), "%d", MEMORY_MB);
	for (; argc < (int)(sizeof(arguments) / sizeof(arguments[0])); argc++)
		argv[argc] = (char *)(uintptr_t)arguments[argc];
	argv[argc] = NULL;
	if (rte_eal_init(argc, argv) < 0)
		exit(EXIT_FAILURE);
}

/* Per cent of routes, roughly as in 2026's tables of the internet. */
static uint8_t draw_length(uint8_t family)
{
	static const struct {
		uint8_t percent, length;
	} v4[] = {{59, 24}, {10, 23}, {12, 22}, {5, 21}, {5, 20}, {3, 19}, {2, 18}, {1, 17},
		{2, 16}, {1, 32}},
	  v6[] = {{45, 48}, {12, 32}, {10, 44}, {10, 40}, {8, 36}, {5, 46}, {5, 29}, {3, 64},
		  {2, 128}};
	unsigned at = (unsigned)(draw() % 100);

	for (unsigned i = 0;; i++) {
		unsigned percent = family == ADDR_V4 ? v4[i].percent : v6[i].percent;

		if (at < percent)
			return family == ADDR_V4 ? v4[i].length : v6[i].length;
		at -= percent;
	}
}

static struct prefix draw_prefix(uint8_t family)
{
	struct prefix prefix = {.family = family, .length = draw_length(family)};
	uint64_t bits[2] = {draw(), draw()};

	memcpy(prefix.bytes, bits, family == ADDR_V4 ? 4 : 16);
	if (family == ADDR_V4)
		prefix.bytes[0] = (uint8_t)(1 + prefix.bytes[0] % 223);
	else
		prefix.bytes[0] = (uint8_t)(0x20 | (prefix.bytes[0] & 0x1f));
	prefix_mask(&prefix);
	return prefix;
}

/* An address behind a prefix. */
static struct addr draw_behind(const struct prefix *prefix)
{
	struct addr addr = {.family = prefix->family};
	uint64_t bits[2] = {draw(), draw()};

	memcpy(addr.bytes, bits, prefix->family == ADDR_V4 ? 4 : 16);
	for (unsigned bit = 0; bit < prefix->length; bit++) {
		uint8_t mask = (uint8_t)(0x80 >> bit % 8);

		addr.bytes[bit / 8] =
			(uint8_t)((addr.bytes[bit / 8] & ~mask) | (prefix->bytes[bit / 8] & mask));
	}
	return addr;
}

static void add_routes(struct table *table, uint8_t family, uint32_t count)
{
	struct addr *asked = calloc(ASKED, sizeof(*asked));
	uint32_t before = prefix_table_count(table->routes), n = 0;
	struct route_hop hop = {.next = 1};
	uint64_t cycles = 0;

	if (asked == NULL)
		exit(EXIT_FAILURE);
	table->asked[family == ADDR_V6] = asked;
	while (prefix_table_count(table->routes) - before < count) {
		struct prefix prefix = draw_prefix(family);
		uint64_t start = rte_rdtsc();

		prefix_table_set(table->routes, &prefix, HOLDER, &hop);
		cycles += rte_rdtsc() - start;
		/* of more routes than are asked for, each has the same chance */
		if (n < ASKED)
			asked[n] = draw_behind(&prefix);
		else if (draw() % n < ASKED)
			asked[draw() % ASKED] = draw_behind(&prefix);
		n++;
	}
	for (uint32_t i = n; i < ASKED; i++)
		asked[i] = asked[draw() % n];
	table->insert += (double)cycles / (table->v4 + table->v6);
}

static size_t heap_bytes(void)
{
	struct rte_malloc_socket_stats stats;

	if (rte_malloc_get_socket_stats((int)rte_socket_id(), &stats) != 0)
		return 0;
	return stats.heap_allocsz_bytes;
}

static void fill(struct table *table)
{
	size_t before = heap_bytes();
	int error = 0;

	table->routes = prefix_table_create(table->v4 + table->v6, &error);
	if (table->routes == NULL) {
		fprintf(stderr, "route_bench: %s\n", strerror(-error));
		exit(EXIT_FAILURE);
	}
	add_routes(table, ADDR_V4, table->v4);
	add_routes(table, ADDR_V6, table->v6);
	table->bytes = (double)(heap_bytes() - before) / (table->v4 + table->v6);
}

static double ask(const struct table *table, unsigned family)
{
	const struct addr *asked = table->asked[family];
	struct prefix_match match;
	uint32_t missed = 0;
	uint64_t start = rte_rdtsc();

	for (uint32_t i = 0; i < ASKED; i++)
		missed += !prefix_table_longest(table->routes, &asked[i], &match);
	start = rte_rdtsc() - start;
	if (missed != 0)
		abort();
	return (double)start / ASKED;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(struct table *table)
{
	printf("%8u + %7u routes: %.0f bytes and %.0f cycles to enter per route", table->v4,
		table->v6, table->bytes, table->insert);
	for (unsigned family = 0; family < 2; family++) {
		double *cycles = table->cycles[family];

		qsort(cycles, ROUNDS, sizeof(*cycles), compare);
		printf("; IPv%u %.0f (%.0f .. %.0f)", family == 0 ? 4 : 6, cycles[ROUNDS / 2],
			cycles[0], cycles[ROUNDS - 1]);
	}
	puts(" cycles per match");
}

int main(int argc, char **argv)
{
	uint32_t counts[4] = {1000000, 200000, 1000, 200};
	struct table large = {0}, small = {0};

	for (int i = 1; i < argc && i <= 4; i++)
		counts[i - 1] = (uint32_t)strtoul(argv[i], NULL, 10);
	if (counts[0] == 0 || counts[1] == 0 || counts[2] == 0 || counts[3] == 0 || argc > 5) {
		fprintf(stderr, "usage: route_bench [V4 V6 [SMALL_V4 SMALL_V6]]\n");
		return 2;
	}
	start_eal();
	large.v4 = counts[0];
	large.v6 = counts[1];
	small.v4 = counts[2];
	small.v6 = counts[3];
	fill(&small);
	fill(&large);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned family = 0; family < 2; family++) {
			small.cycles[family][round] = ask(&small, family);
			large.cycles[family][round] = ask(&large, family);
		}
	}
	print(&small);
	print(&large);
	printf("large to small: IPv4 %.2f, IPv6 %.2f\n",
		large.cycles[0][ROUNDS / 2] / small.cycles[0][ROUNDS / 2],
		large.cycles[1][ROUNDS / 2] / small.cycles[1][ROUNDS / 2]);
	return EXIT_SUCCESS;
}
