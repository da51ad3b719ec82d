/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/main/watchdog.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/base/log.h"
#include "common/base/notify.h"

LOG_TYPE(watchdog);

struct watched {
	char name[24];
	const uint64_t *beat;
	uint64_t seen, moved_ms; /* its last value, and when that was new */
	bool hangs;
};

static struct {
	struct watched threads[WATCHDOG_THREADS_MAX];
	unsigned n;
	uint32_t every_ms; /* 0: nobody wants to know */
	uint64_t due_ms;
} watchdog;

void watchdog_watch(const uint64_t *beat, const char *format, ...)
{
	struct watched thread = {.beat = beat};
	va_list args;

	va_start(args, format);
	/* The analyzer inlines this and loses the line above. */
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	vsnprintf(thread.name, sizeof(thread.name), format, args);
	va_end(args);
	if (watchdog.n == WATCHDOG_THREADS_MAX)
		log_error(watchdog, "too many threads: %s is not watched", thread.name);
	else
		watchdog.threads[watchdog.n++] = thread;
}

void watchdog_forget(void)
{
	watchdog.n = 0;
}

void watchdog_start(uint64_t now_ms)
{
	/* Twice as often as asked for, so that one late round is no alarm. */
	watchdog.every_ms = notify_watchdog_ms() / 2;
	watchdog.due_ms = now_ms;
	for (unsigned i = 0; i < watchdog.n; i++)
		watchdog.threads[i].moved_ms = now_ms;
}

static bool is_moving(struct watched *thread, uint64_t now_ms)
{
	uint64_t beat = __atomic_load_n(thread->beat, __ATOMIC_RELAXED);
	bool hung = thread->hangs;

	if (beat != thread->seen) {
		thread->seen = beat;
		thread->moved_ms = now_ms;
	}
	thread->hangs = now_ms - thread->moved_ms > WATCHDOG_PATIENCE_MS;
	if (thread->hangs && !hung)
		log_error(watchdog, "%s hangs: it has not moved for %" PRIu64 " ms", thread->name,
			now_ms - thread->moved_ms);
	if (!thread->hangs && hung)
		log_warn(watchdog, "%s moves again", thread->name);
	return !thread->hangs;
}

void watchdog_run(uint64_t now_ms)
{
	bool moving = true;

	for (unsigned i = 0; i < watchdog.n; i++)
		moving &= is_moving(&watchdog.threads[i], now_ms);
	if (watchdog.every_ms == 0 || now_ms < watchdog.due_ms || !moving)
		return;
	watchdog.due_ms = now_ms + watchdog.every_ms;
	notify_send("WATCHDOG=1");
}
