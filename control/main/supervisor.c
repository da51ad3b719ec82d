/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/main/supervisor.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/notify.h"

struct supervisor {
	struct event *timer; /* NULL: nobody asked */
};

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	notify_send("WATCHDOG=1");
}

struct supervisor *supervisor_create(struct event_base *base, int *error)
{
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
	/* Twice as often as asked for, so that one late round is no alarm. */
	uint32_t every_ms = notify_watchdog_ms() / 2;
	struct timeval every = {every_ms / 1000, (suseconds_t)(every_ms % 1000) * 1000};

	*error = -ENOMEM;
	if (supervisor == NULL)
		return NULL;
	if (every_ms == 0)
		return supervisor;
	supervisor->timer = event_new(base, -1, EV_PERSIST, on_timer, NULL);
	if (supervisor->timer == NULL || event_add(supervisor->timer, &every) < 0) {
		supervisor_destroy(&supervisor);
		return NULL;
	}
	return supervisor;
}

void supervisor_destroy(struct supervisor **supervisor)
{
	if (*supervisor == NULL)
		return;
	notify_send("STOPPING=1");
	if ((*supervisor)->timer != NULL)
		event_free((*supervisor)->timer);
	free(*supervisor);
	*supervisor = NULL;
}

void supervisor_reloading(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	notify_send("RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		(uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void supervisor_ready(const char *status)
{
	notify_send("READY=1\nSTATUS=%s", status);
}

void supervisor_say(const char *status)
{
	notify_send("STATUS=%s", status);
}
