/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

static struct log_type *types;

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

void log_register(struct log_type *type)
{
	type->next = types;
	types = type;
}

int log_set_level(const char *feature, enum log_level level)
{
	int rc = feature == NULL ? 0 : -ENOENT;

	for (struct log_type *type = types; type != NULL; type = type->next) {
		if (feature == NULL || strcmp(type->feature, feature) == 0) {
			type->level = level;
			rc = 0;
		}
	}
	return rc;
}

void log_print(const struct log_type *type, enum log_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	struct timespec now;
	struct tm utc;
	size_t used;
	va_list args;

	if (level > type->level)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	used = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &utc);
	used += (size_t)snprintf(line + used, sizeof(line) - used,
		".%03ldZ %s %s: ", now.tv_nsec / 1000000, level_names[level], type->feature);
	va_start(args, format);
	vsnprintf(line + used, sizeof(line) - used - 1, format, args);
	va_end(args);
	used = strlen(line);
	/* One line per event, whatever the text was made of. */
	for (char *c = line; c < line + used; c++) {
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	}
	line[used++] = '\n';
	if (write(STDERR_FILENO, line, used) < 0) {
		/* Nowhere left to say it. */
	}
}
