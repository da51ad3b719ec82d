/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hashed timer wheel: one due time per entry, rounded up to a tick. Entries further away than
 * the wheel is long stay in their slot for several turns. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
	WHEEL_TICK_MS = 32,
	WHEEL_SLOTS = 1024, /* a power of two: 32.8 s a turn */
};

struct wheel_entry {
	TAILQ_ENTRY(wheel_entry) link;
	uint64_t due_ms; /* 0 = not in the wheel */
};

TAILQ_HEAD(wheel_list, wheel_entry);

struct wheel {
	struct wheel_list slots[WHEEL_SLOTS];
	uint64_t tick; /* the last one that has been run */
};

void wheel_init(struct wheel *wheel, uint64_t now_ms);

/* Enters or moves the entry; due_ms in the past means the next tick. */
void wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint64_t due_ms);

void wheel_remove(struct wheel *wheel, struct wheel_entry *entry);

/* Takes one entry that is due; NULL when there is none until the clock moves. */
struct wheel_entry *wheel_next(struct wheel *wheel, uint64_t now_ms);

/* How long until something may be due: at most max_ms. */
uint32_t wheel_wait_ms(const struct wheel *wheel, uint64_t now_ms, uint32_t max_ms);
