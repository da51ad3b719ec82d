/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of sallyport-dataplane: what dp_config() returns, and what only EAL needs. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/log.h"
#include "dataplane/main/config.h"

enum args_hugepages {
	ARGS_HUGEPAGES_AUTO, /* if enough are free */
	ARGS_HUGEPAGES_ON,
	ARGS_HUGEPAGES_OFF,
};

struct args {
	struct dp_config config;
	unsigned memory_mb; /* 0 = computed from the limits */
	enum args_hugepages hugepages;
	const char *lcores; /* EAL's map, or NULL */
	bool allow_pci;
	uid_t uid; /* who may connect besides our own uid */
	enum log_level log;
};

enum args_result {
	ARGS_RUN,
	ARGS_DONE,  /* --help or --version was printed */
	ARGS_WRONG, /* a line on standard error says what */
};

/* Fills args, and what dp_config() returns from now on. Strings stay argv's. */
enum args_result args_parse(int argc, char **argv, struct args *args);

/* Sets what dp_config() returns: for tests. */
void args_set_config(const struct dp_config *config);
