/* SPDX-License-Identifier: BSD-3-Clause */
/* Starts EAL for a unit test: no hugepages, no devices, one core; any user. */
#pragma once

#include <rte_eal.h>

#include <stdint.h>

static inline int eal_start(void **state)
{
	static const char *const arguments[] = {"test", "--no-huge", "-m", "256", "--no-pci",
		"--no-shconf", "--no-telemetry", "--iova-mode=va", "--lcores=0",
		"--log-level=error"};
	char *argv[sizeof(arguments) / sizeof(arguments[0]) + 1];
	int argc = 0;

	/* EAL may reorder the array but writes no string. */
	for (; argc < (int)(sizeof(arguments) / sizeof(arguments[0])); argc++)
		argv[argc] = (char *)(uintptr_t)arguments[argc];
	argv[argc] = NULL;
	return rte_eal_init(argc, argv) < 0;
}

static inline int eal_stop(void **state)
{
	return rte_eal_cleanup();
}
