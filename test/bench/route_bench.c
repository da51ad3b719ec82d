/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the longest match for one address costs, a change of one route, and a route in memory, in a
 * small table and in one of the internet's size and more:
 *
 *	route_bench [V4 V6 [SMALL_V4 SMALL_V6]]    (1000000 200000 1000 200)
 *
 * Lengths are spread as in the internet's tables; IPv4 prefixes lie anywhere, IPv6 ones in some
 * blocks of 12 to 16 bits, and the longer ones share networks of 32. Addresses asked for lie in
 * random routes, so that what is read comes from memory; the entry found is read, too. Rounds
 * alternate between the tables; TSC cycles. Memory is what the process has more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_cycles.h>

#include "dataplane/route/prefix_table.h"
#include "test/bench/figures.h"

enum {
	ROUNDS = 21,
	ASKED = 1 << 16, /* addresses, of each family; asked for once per round */
	HOLDER = 1,
	CHANGED = 4096,        /* routes taken out and entered again */
	NETWORKS_V6 = 1 << 15, /* of 32 bits, that have longer prefixes */
};

struct table {
	struct prefix_table *routes;
	uint32_t v4, v6;
	double bytes;                /* per route, all told */
	struct prefix *routes_of[2]; /* some of them, ASKED per family */
	struct addr *asked[2];
	double cycles[2][ROUNDS];
	double remove[2], set[2]; /* one route, when all are there */
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

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * 0x9e3779b97f4a7c15;
	return x ^ x >> 29;
}

/* The first 32 bits of an IPv6 prefix. */
static void draw_network(uint8_t bytes[4], bool shared)
{
	static const uint8_t blocks[] = {0x24, 0x26, 0x28, 0x2a}; /* 12 bits each */
	uint64_t bits = mix(shared ? draw() % NETWORKS_V6 : draw());

	memcpy(bytes, &bits, 4);
	bytes[1] &= 0x0f;
	bytes[0] = blocks[bits >> 62];
}

static struct prefix draw_prefix(uint8_t family)
{
	struct prefix prefix = {.family = family, .length = draw_length(family)};
	uint64_t bits[2] = {draw(), draw()};

	memcpy(prefix.bytes, bits, family == ADDR_V4 ? 4 : 16);
	if (family == ADDR_V4)
		prefix.bytes[0] = (uint8_t)(1 + prefix.bytes[0] % 223);
	else
		draw_network(prefix.bytes, prefix.length > 32);
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

static void *take(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (memory == NULL)
		exit(EXIT_FAILURE);
	memset(memory, 0xff, count * size); /* so that it is there before anything is measured */
	return memory;
}

static void add_routes(struct table *table, uint8_t family, uint32_t count)
{
	struct prefix *some = table->routes_of[family == ADDR_V6];
	uint32_t before = prefix_table_count(table->routes), n = 0;
	struct route_hop hop = {.next = 1};

	while (prefix_table_count(table->routes) - before < count) {
		struct prefix prefix = draw_prefix(family);

		prefix_table_set(table->routes, &prefix, HOLDER, &hop);
		/* of more routes than are kept, each has the same chance */
		if (n < ASKED)
			some[n] = prefix;
		else if (draw() % n < ASKED)
			some[draw() % ASKED] = prefix;
		n++;
	}
	for (uint32_t i = n; i < ASKED; i++)
		some[i] = some[draw() % n];
	for (uint32_t i = 0; i < ASKED; i++)
		table->asked[family == ADDR_V6][i] = draw_behind(&some[i]);
}

static void fill(struct table *table)
{
	double before;
	int error = 0;

	for (unsigned family = 0; family < 2; family++) {
		table->asked[family] = take(ASKED, sizeof(struct addr));
		table->routes_of[family] = take(ASKED, sizeof(struct prefix));
	}
	before = figures_resident();
	table->routes = prefix_table_create(table->v4 + table->v6, &error);
	if (table->routes == NULL) {
		fprintf(stderr, "route_bench: %s\n", strerror(-error));
		exit(EXIT_FAILURE);
	}
	add_routes(table, ADDR_V4, table->v4);
	add_routes(table, ADDR_V6, table->v6);
	table->bytes = (figures_resident() - before) / (table->v4 + table->v6);
}

static double ask(const struct table *table, unsigned family)
{
	const struct addr *asked = table->asked[family];
	struct prefix_match match;
	uint32_t missed = 0;
	uint64_t start = rte_rdtsc();

	for (uint32_t i = 0; i < ASKED; i++)
		missed += !prefix_table_longest(table->routes, &asked[i], &match) ||
			  prefix_match_first(&match)->hop.next == 0;
	start = rte_rdtsc() - start;
	if (missed != 0)
		abort();
	return (double)start / ASKED;
}

/* Takes routes out one by one and enters them again. */
static void change(struct table *table, unsigned family)
{
	static double removed[CHANGED], set[CHANGED];
	struct route_hop hop = {.next = 1};

	for (unsigned i = 0; i < CHANGED; i++) {
		const struct prefix *prefix = &table->routes_of[family][i];
		uint64_t start = rte_rdtsc();

		prefix_table_remove(table->routes, prefix, HOLDER);
		removed[i] = (double)(rte_rdtsc() - start);
		start = rte_rdtsc();
		prefix_table_set(table->routes, prefix, HOLDER, &hop);
		set[i] = (double)(rte_rdtsc() - start);
	}
	table->remove[family] = figures_median(removed, CHANGED);
	table->set[family] = figures_median(set, CHANGED);
}

static void print(struct table *table)
{
	printf("%8u + %7u routes, %.0f bytes each", table->v4, table->v6, table->bytes);
	for (unsigned family = 0; family < 2; family++) {
		double *cycles = table->cycles[family];
		double median = figures_median(cycles, ROUNDS);

		printf("; IPv%u: %.0f (%.0f .. %.0f) cycles per match, %.0f to take one out, %.0f "
		       "to enter it",
			family == 0 ? 4 : 6, median, cycles[0], cycles[ROUNDS - 1],
			table->remove[family], table->set[family]);
	}
	puts("");
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
	for (unsigned family = 0; family < 2; family++) {
		change(&small, family);
		change(&large, family);
	}
	print(&small);
	print(&large);
	printf("large to small: IPv4 %.2f, IPv6 %.2f\n",
		large.cycles[0][ROUNDS / 2] / small.cycles[0][ROUNDS / 2],
		large.cycles[1][ROUNDS / 2] / small.cycles[1][ROUNDS / 2]);
	return EXIT_SUCCESS;
}
