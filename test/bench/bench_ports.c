/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cycles per new mapping of one egress address, by how many of its 64,512 UDP ports are in use:
 *
 *	bench_ports [SUBSCRIBERS...]
 *
 * Subscribers ask in turn, so that of more than 1,008 most find every block claimed by others and
 * get a port of these. TSC cycles; medians of the rounds.
 */
#include <netinet/in.h>
#include <string.h>

#include <rte_cycles.h>

#include "dataplane/nat/nat.h"
#include "test/bench/figures.h"
#include "test/unit/dataplane/flow/fakes.h"

enum {
	ROUNDS = 11,
	PARTS = 8, /* of the ports, for figures by how full the address is */
	PORTS_MAX = 64512,
};

static double cycles[PARTS][ROUNDS];

static struct nat_address *fresh_address(void)
{
	static const uint16_t ids[] = {1};
	struct nat_asked asked = {.set_id = 1, .subscriber = 1};
	uint16_t options;

	fake_reset();
	fake_egress(1, "198.51.100.1", 1024, 65535);
	fake_pool(1, ids, 1);
	fake_egress_rule(1, 0, 1, "203.0.113.0/24");
	if (addr_parse("10.0.0.1", &asked.src) != 0 || addr_parse("203.0.113.9", &asked.dst) != 0)
		exit(EXIT_FAILURE);
	return nat_select(fake_copy, &asked, &options);
}

static void fill(uint32_t subscribers, unsigned round)
{
	struct nat_wanted wanted = {.address = fresh_address(), .proto = IPPROTO_UDP};
	struct nat_worker *nat;
	uint32_t taken = 0, part = PORTS_MAX / PARTS;
	uint16_t port;

	if (wanted.address == NULL || nat_worker_create(&nat, 0, PORTS_MAX) != 0 ||
		addr_parse("10.0.0.1", &wanted.inside) != 0)
		exit(EXIT_FAILURE);
	for (unsigned i = 0; i < PARTS; i++) {
		uint64_t start = rte_rdtsc();

		for (uint32_t n = 0; n < part; n++, taken++) {
			wanted.subscriber = 1 + taken % subscribers;
			wanted.port = (uint16_t)(1024 + taken);
			if (nat_map(nat, &wanted, &port) == 0)
				exit(EXIT_FAILURE);
		}
		cycles[i][round] = (double)(rte_rdtsc() - start) / part;
	}
	nat_worker_destroy(&nat);
}

static void measure(uint32_t subscribers)
{
	for (unsigned round = 0; round < ROUNDS; round++)
		fill(subscribers, round);
	printf("%8u", subscribers);
	for (unsigned i = 0; i < PARTS; i++)
		printf(" %7.0f", figures_median(cycles[i], ROUNDS));
	printf("\n");
}

int main(int argc, char **argv)
{
	fake_start();
	printf("subscribers: cycles per mapping while the address fills, by eighths\n");
	if (argc == 1) {
		measure(500);
		measure(100000);
	}
	for (int i = 1; i < argc; i++) {
		if (strtoul(argv[i], NULL, 10) == 0) {
			fprintf(stderr, "usage: bench_ports [SUBSCRIBERS...]\n");
			return 2;
		}
		measure((uint32_t)strtoul(argv[i], NULL, 10));
	}
	return 0;
}
