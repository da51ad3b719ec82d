/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cycles per new port of one egress address, by how many of its 64,512 UDP ports are in use:
 *
 *	bench_ports [SUBSCRIBERS...]
 *
 * Subscribers ask in turn, so that of more than 1,008 most find every block claimed by others and
 * get a port of these. TSC cycles; medians of the rounds.
 */
#include <netinet/in.h>
#include <string.h>

#include <rte_cycles.h>

#include "dataplane/nat/nat_priv.h"
#include "test/bench/figures.h"
#include "test/unit/dataplane/flow/fakes.h"

enum {
	ROUNDS = 11,
	PARTS = 8, /* of the ports, for figures by how full the address is */
	PORTS_MAX = 64512,
};

static double cycles[PARTS][ROUNDS];

static void fill(uint32_t subscribers, unsigned round)
{
	struct nat_address *address = calloc(1, sizeof(*address));
	struct nat_ports ports;
	uint32_t taken = 0, part = PORTS_MAX / PARTS;

	if (address == NULL || nat_ports_create(&ports, 0, PORTS_MAX) != 0)
		exit(EXIT_FAILURE);
	address->port_first = 1024;
	address->port_last = UINT16_MAX;
	for (unsigned i = 0; i < PARTS; i++) {
		uint64_t start = rte_rdtsc();

		for (uint32_t n = 0; n < part; n++, taken++) {
			uint32_t subscriber = 1 + taken % subscribers;

			if (nat_port_take(&ports, address, nat_class(IPPROTO_UDP), subscriber,
				    NAT_ANY_PARITY | 4000) == 0)
				exit(EXIT_FAILURE);
		}
		cycles[i][round] = (double)(rte_rdtsc() - start) / part;
	}
	nat_ports_destroy(&ports);
	free(address);
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
	printf("subscribers: cycles per port while the address fills, by eighths\n");
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
