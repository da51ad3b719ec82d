/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A pool of small allocations that are freed together: syntax trees, models, reports. Memory is
 * zeroed. Running out of memory ends the process (a control process that cannot hold its
 * configuration has nothing left to do; the data plane forwards on). Not for secrets: nothing is
 * wiped. One thread at a time.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

struct pool;

/* Never NULL. */
struct pool *pool_create(void);

/* Frees everything that came from the pool; sets *pool to NULL. NULL pools are ignored. */
void pool_destroy(struct pool **pool);

/* Zeroed, aligned for any type; valid until pool_destroy(). */
void *pool_alloc(struct pool *pool, size_t size);

char *pool_strdup(struct pool *pool, const char *text);
char *pool_strndup(struct pool *pool, const char *text, size_t size);
char *pool_printf(struct pool *pool, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *pool_vprintf(struct pool *pool, const char *format, va_list args);

/*
 * Room for one more element in an array of n, whose capacity is the power of two at or above n
 * (the one rule that spares every array its capacity field). Returns the array, moved if need be;
 * the old one stays in the pool.
 */
void *pool_grow(struct pool *pool, void *array, size_t n, size_t element_size);
