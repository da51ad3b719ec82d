/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/progress/progress.h"

#include <stddef.h>
#include <time.h>

const char progress_applying[] = "the data plane applies it";

enum { TELL_EVERY_MS = 50 };

static struct progress current; /* what NULL: nothing */
static uint64_t told_ms;
static void (*listener)(const struct progress *now, void *arg);
static void *listener_arg;

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void progress_step(const char *what, enum progress_unit unit, uint64_t done, uint64_t total)
{
	bool is_first = current.what != what, is_last = total != 0 && done == total;
	uint64_t now;

	current = (struct progress){what, unit, done, total};
	if (listener == NULL)
		return;
	now = now_ms();
	if (!is_first && !is_last && now < told_ms + TELL_EVERY_MS)
		return;
	told_ms = now;
	listener(&current, listener_arg);
}

void progress_end(void)
{
	if (current.what == NULL)
		return;
	current.what = NULL;
	if (listener != NULL)
		listener(NULL, listener_arg);
}

bool progress_look(struct progress *now)
{
	*now = current;
	return current.what != NULL;
}

void progress_listen(void (*fn)(const struct progress *now, void *arg), void *arg)
{
	listener = fn;
	listener_arg = arg;
}
