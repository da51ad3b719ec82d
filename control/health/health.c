/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/health/health.h"

#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/api/counters.h"
#include "control/program/program.h"

enum {
	WORKERS_MAX = 64,
	DROPS_MAX = 256, /* reasons; there are some hundred */
	LOOK_MS = 500,
};

struct health {
	struct program *program;
	struct event *timer;
	bool started;
	uint64_t instance; /* of the data plane that the figures below are of; 0 = none */
	uint32_t workers;
	uint64_t cycles[WORKERS_MAX];
	uint64_t moved_ms[WORKERS_MAX]; /* when the counter was last seen to have risen */
	uint64_t drops_instance, dropped[DROPS_MAX], dropped_s[DROPS_MAX]; /* packets, Unix time */
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void look_at_workers(struct health *h, const struct link *link)
{
	struct api_count_worker rows[WORKERS_MAX];
	uint64_t instance = link_instance(link);
	uint32_t n = link_counters_used(link, API_SECTION_WORKERS);
	bool fresh = instance != h->instance;

	if (n > WORKERS_MAX)
		n = WORKERS_MAX;
	if (n == 0 || link_counters_read(link, API_SECTION_WORKERS, 0, n, rows, sizeof(*rows)) < 0)
		return;
	h->instance = instance;
	h->workers = n;
	for (uint32_t i = 0; i < n; i++) {
		if (fresh || rows[i].total_cycles != h->cycles[i])
			h->moved_ms[i] = now_ms();
		h->cycles[i] = rows[i].total_cycles;
	}
}

static void look_at_drops(struct health *h, const struct link *link)
{
	static struct api_count_drop rows[DROPS_MAX]; /* too much for a stack */
	uint64_t instance = link_instance(link);
	uint32_t n = link_counters_used(link, API_SECTION_DROPS);
	bool fresh = instance != h->drops_instance;

	if (n > DROPS_MAX)
		n = DROPS_MAX;
	if (n == 0 || link_counters_read(link, API_SECTION_DROPS, 0, n, rows, sizeof(*rows)) < 0)
		return;
	h->drops_instance = instance;
	for (uint32_t i = 0; i < n; i++) {
		if (fresh)
			h->dropped_s[i] = 0;
		else if (rows[i].packets != h->dropped[i])
			h->dropped_s[i] = (uint64_t)time(NULL);
		h->dropped[i] = rows[i].packets;
	}
}

static void look(evutil_socket_t fd, short what, void *arg)
{
	struct health *h = arg;
	const struct link *link = program_link(h->program);
	char reason[HEALTH_TEXT_MAX];

	if (link_is_connected(link)) {
		look_at_workers(h, link);
		look_at_drops(h, link);
	} else {
		h->instance = 0;
	}
	if (!h->started)
		h->started = health_ready(h, reason);
}

struct health *health_create(struct event_base *base, struct program *program, int *error)
{
	static const struct timeval interval = {.tv_usec = LOOK_MS * 1000};
	struct health *h = calloc(1, sizeof(*h));

	*error = -ENOMEM;
	if (h == NULL)
		return NULL;
	h->program = program;
	h->timer = event_new(base, -1, EV_PERSIST, look, h);
	if (h->timer == NULL || event_add(h->timer, &interval) < 0) {
		health_destroy(&h);
		return NULL;
	}
	return h;
}

void health_destroy(struct health **health)
{
	if (*health == NULL)
		return;
	if ((*health)->timer != NULL)
		event_free((*health)->timer);
	free(*health);
	*health = NULL;
}

static bool counters_are_old(const struct link *link, uint64_t now)
{
	struct api_counters header;

	return link_counters_header(link, &header) < 0 ||
	       header.updated_ns / 1000000 + HEALTH_STALL_MS < now;
}

bool health_ready(const struct health *h, char reason[HEALTH_TEXT_MAX])
{
	const struct link *link;
	uint64_t now = now_ms();

	reason[0] = '\0';
	if (h == NULL) {
		snprintf(reason, HEALTH_TEXT_MAX, "starting");
		return false;
	}
	link = program_link(h->program);
	if (!link_is_connected(link))
		snprintf(reason, HEALTH_TEXT_MAX, "no connection to the data plane: %s",
			program_link_reason(h->program));
	else if (link_generation(link) == 0)
		snprintf(reason, HEALTH_TEXT_MAX, "the data plane has no configuration yet");
	else if (h->instance != link_instance(link))
		snprintf(reason, HEALTH_TEXT_MAX, "the data plane has not published counters yet");
	else if (counters_are_old(link, now))
		snprintf(reason, HEALTH_TEXT_MAX, "the data plane's main loop stands still");
	for (uint32_t i = 0; reason[0] == '\0' && i < h->workers; i++) {
		if (h->moved_ms[i] + HEALTH_STALL_MS < now)
			snprintf(reason, HEALTH_TEXT_MAX, "worker %u stands still", i);
	}
	return reason[0] == '\0';
}

bool health_started(const struct health *h)
{
	return h != NULL && h->started;
}

uint64_t health_dropped_s(const struct health *h, uint32_t row)
{
	return h == NULL || row >= DROPS_MAX ? 0 : h->dropped_s[row];
}
