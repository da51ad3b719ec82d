/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's environment: memory, threads and buses, from our own few options. */
#pragma once

#include "dataplane/main/args.h"

enum {
	EAL_ARGS_MAX = 24,
	EAL_TEXT_MAX = 512,
};

struct eal_args {
	int argc;
	const char *argv[EAL_ARGS_MAX + 1]; /* EAL reorders but does not write them */
	char memory[16];
	char lcores[EAL_TEXT_MAX];
};

/* Megabytes that the limits need, with room to spare. */
unsigned eal_memory_mb(const struct args *args);

/* Fills eal; huge: pages of 2 MiB or more are there. 0 or -errno. */
int eal_build_args(const struct args *args, bool huge, struct eal_args *eal)
	__attribute__((warn_unused_result));

/* Main thread, once; it becomes the main lcore. 0 or -errno. */
int eal_start(const struct args *args) __attribute__((warn_unused_result));
