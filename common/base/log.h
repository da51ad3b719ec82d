/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Log lines of both processes: one line per event on standard error, "time level feature: text".
 * Never per packet and never from a worker; secrets never. The level of each feature can change
 * at run time. Safe from any thread but workers (one write(2) per line).
 */
#pragma once

#include <stdarg.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

struct log_type {
	const char *feature;
	enum log_level level; /* written by the main thread, read by any */
	struct log_type *next;
};

/* One per feature: LOG_TYPE(conf); then log_info(conf, "peer %s: added", name). */
#define LOG_TYPE(name)                                                                             \
	static struct log_type log_##name = {.feature = #name, .level = LOG_LEVEL_INFO};           \
	__attribute__((constructor)) static void log_register_##name(void)                         \
	{                                                                                          \
		log_register(&log_##name);                                                         \
	}                                                                                          \
	struct log_type /* the declaration that takes the caller's semicolon */

#define log_error(name, ...) log_print(&log_##name, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(name, ...)  log_print(&log_##name, LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(name, ...)  log_print(&log_##name, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(name, ...) log_print(&log_##name, LOG_LEVEL_DEBUG, __VA_ARGS__)

void log_register(struct log_type *type);

/* feature NULL = all. 0, or -ENOENT if no feature has that name. */
int log_set_level(const char *feature, enum log_level level);

void log_print(const struct log_type *type, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
