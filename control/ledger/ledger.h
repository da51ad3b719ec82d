/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who had which ports of an egress address, from when to when: a row per block of 64 ports, kept
 * in a database of its own for as long as the configuration says. Filled by events of the data
 * plane, asked by address, port and time. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/api/egress.h"

struct ledger;

/* path NULL: in memory. NULL and *error. */
struct ledger *ledger_open(const char *path, int *error) __attribute__((warn_unused_result));

/* Writes what is not written yet; sets *ledger to NULL. */
void ledger_close(struct ledger **ledger);

/* An event as it came; `who` is the name of its subscriber ("peer anna"), "" where it has none.
 * Written with the next ledger_flush(). 0 or -EIO (logged). */
int ledger_note(struct ledger *ledger, const struct api_event_block *event, const char *who)
	__attribute__((warn_unused_result));

/* Ends the transaction of the notes so far, if there is one. 0 or -EIO. */
int ledger_flush(struct ledger *ledger) __attribute__((warn_unused_result));

struct ledger_row {
	const char *who;
	uint8_t proto; /* IPPROTO_TCP, _UDP, _ICMP */
	uint16_t port_first;
	bool shared;       /* others had ports of the block too */
	uint64_t since_ms; /* Unix time */
	uint64_t until_ms; /* 0 = still */
};

/*
 * Calls `each` with whoever had the port at this time, latest first, at most `max` rows; proto 0 =
 * any. The row is valid during the call. The number of rows or -EIO.
 */
int ledger_ask(struct ledger *ledger, const struct addr *addr, uint16_t port, uint8_t proto,
	uint64_t at_ms, size_t max, void (*each)(const struct ledger_row *row, void *arg),
	void *arg) __attribute__((warn_unused_result));

/* Deletes at most `max` rows that ended before this; how many, or -EIO. */
int ledger_forget(struct ledger *ledger, uint64_t before_ms, size_t max)
	__attribute__((warn_unused_result));
