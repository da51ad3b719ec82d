/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/main/door.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "control/api/api.h"

LOG_TYPE(metrics);

struct door {
	struct event_base *base;
	struct event *timer;
	struct api *api;
	struct http_server *server;
	struct endpoint at; /* what the server listens on; ADDR_NONE = there is none */
	int error;          /* of the last attempt: told once */
};

static void open_at(struct door *door, const struct endpoint *wanted)
{
	char text[ENDPOINT_TEXT_MAX];
	int error;

	door->server = http_create_inet(door->base, wanted, api_probe_routes, door->api, &error);
	if (door->server != NULL) {
		door->at = *wanted;
		door->error = 0;
		log_info(metrics, "listening on %s", endpoint_format(wanted, text));
		return;
	}
	if (error != door->error)
		log_warn(metrics, "%s: %s; trying again each second", endpoint_format(wanted, text),
			strerror(-error));
	door->error = error;
}

static void look(evutil_socket_t fd, short what, void *arg)
{
	static const struct endpoint nowhere;
	struct door *door = arg;
	const struct compiled *c = program_compiled(door->api->program);
	const struct endpoint *wanted = c == NULL ? &nowhere : &c->model->management.metrics;

	if (endpoint_equal(wanted, &door->at))
		return;
	http_destroy(&door->server);
	door->at = nowhere;
	if (wanted->addr.family != ADDR_NONE)
		open_at(door, wanted);
}

struct door *door_create(struct event_base *base, struct api *api, int *error)
{
	static const struct timeval second = {.tv_sec = 1};
	struct door *door = calloc(1, sizeof(*door));

	*error = -ENOMEM;
	if (door == NULL)
		return NULL;
	door->base = base;
	door->api = api;
	door->timer = event_new(base, -1, EV_PERSIST, look, door);
	if (door->timer == NULL || event_add(door->timer, &second) < 0) {
		door_destroy(&door);
		return NULL;
	}
	look(-1, 0, door);
	return door;
}

void door_destroy(struct door **door)
{
	if (*door == NULL)
		return;
	http_destroy(&(*door)->server);
	if ((*door)->timer != NULL)
		event_free((*door)->timer);
	free(*door);
	*door = NULL;
}
