/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process with the data plane's real session and the toy features behind it, for tests of the
 * other end. It shows its state in the counters: rows of the ports section.
 */
#pragma once

#include <sys/types.h>

#include "test/unit/dataplane/main/toy.h"

enum {
	TOY_EVENTS_RULE = TOY_RULES - 1, /* its priority: how many events follow the commit */
	TOY_ROW_CREATED = 0, /* rx_packets: ports created so far; tx_packets: destroyed */
	TOY_ROW_KEY = 1,     /* the row's first 32 bytes: the key of interface 1 */
	TOY_ROW_RULES = 2,   /* rx_packets: messages applied, in both passes */
};

/* Starts it and waits until it listens at path. Its pid, to be killed by the caller (it goes with
 * the caller otherwise); or -1. */
pid_t toy_process_start(const char *path);
