/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the supervisor is told, by sd_notify(3)'s protocol: datagrams to the socket that it named
 * in the environment. Without a supervisor nothing happens. Any thread; blocks for a datagram at
 * most, so never on a worker.
 */
#pragma once

#include <stdint.h>

/* One datagram of lines such as "READY=1\nSTATUS=forwarding", at most NOTIFY_TEXT_MAX bytes. */
void notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum { NOTIFY_TEXT_MAX = 512 };

/* How often the supervisor expects "WATCHDOG=1" from this process, in milliseconds; 0: never. */
uint32_t notify_watchdog_ms(void);
