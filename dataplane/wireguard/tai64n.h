/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TAI64N timestamps, as the initiation message carries them: eight bytes of seconds and four of
 * nanoseconds, big endian, so that byte order is time order. Nanoseconds are rounded down to 2^24
 * (16.8 ms): enough to tell 50 initiations a second apart, too coarse to leak timing.
 *
 * Plain values; any thread. Source: WireGuard paper, section 5.4.2; https://cr.yp.to/libtai.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum {
	TAI64N_SIZE = 12,
	TAI64N_TEXT_MAX = 32, /* "@", 24 hexadecimal digits */
	TAI64N_GRAIN_NS = 1 << 24,
};

struct tai64n {
	uint8_t bytes[TAI64N_SIZE]; /* all zero: before any timestamp */
};

/* Of a wall-clock (CLOCK_REALTIME) time, rounded down. */
struct tai64n tai64n_from_time(const struct timespec *wall);

/* Now, by CLOCK_REALTIME. */
struct tai64n tai64n_now(void);

/* The timestamp for an initiation at `now` by a sender that has already used `last`: `now` if that
 * is later, else the smallest step beyond `last`, so that a clock set back locks no peer out. */
struct tai64n tai64n_next(const struct tai64n *now, const struct tai64n *last);

/* -1, 0, 1. */
int tai64n_compare(const struct tai64n *a, const struct tai64n *b);

bool tai64n_is_zero(const struct tai64n *stamp);

/* As libtai prints it: "@400000006553f10a00000000". Returns `text`. */
const char *tai64n_format(const struct tai64n *stamp, char text[TAI64N_TEXT_MAX]);
