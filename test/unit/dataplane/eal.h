/* SPDX-License-Identifier: BSD-3-Clause */
/* Starts EAL for a unit test: no hugepages, no devices, one core; any user. */
#pragma once

#include <rte_eal.h>

static inline int eal_start(void **state)
{
	static char *arguments[] = {"test", "--no-huge", "-m", "256", "--no-pci", "--no-shconf",
		"--no-telemetry", "--iova-mode=va", "--lcores=0", "--log-level=error", NULL};

	return rte_eal_init(sizeof(arguments) / sizeof(arguments[0]) - 1, arguments) < 0;
}

static inline int eal_stop(void **state)
{
	return rte_eal_cleanup();
}
