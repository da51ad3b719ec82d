/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What goes into the counters memory: each feature provides its sections in its init, the main
 * loop fills them once a second while a controller is connected. Main thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/api/counters.h"

/* Brings rows up to date and returns how many are in use, at most max. Rows keep their contents
 * between calls; fresh ones are zero. */
typedef uint32_t (*stats_fill_fn)(void *rows, uint32_t max);

/* id: enum api_section_id; stride: bytes per row; rows: capacity. Before the session is made. A
 * second feature may fill other fields of the same rows: same id, stride and rows. */
void stats_section(uint32_t id, uint32_t stride, uint32_t rows, stats_fill_fn fill);

/* Rows changed hands: they are filled before the transaction under way is answered. */
void stats_expire(void);

/* For dataplane/main. */

/* session_options.committed: fills what a transaction has left without meaning. */
void stats_committed(uint64_t generation, void *arg);

size_t stats_bytes(void);
void stats_open(void *base, size_t bytes, void *arg); /* session_options.counters_open */
void stats_close(void *arg);
void stats_publish(uint64_t generation);

/* More often than the figures: how far a transaction is (struct api_counters). */
void stats_note_applied(uint32_t permille);
