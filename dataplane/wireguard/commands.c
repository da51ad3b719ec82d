/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the main thread and the handshake thread: commands one way, events the other. Locks are
 * fine here: neither thread carries packets.
 */
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include "dataplane/wireguard/wireguard_priv.h"

STAILQ_HEAD(command_list, wg_command);

struct peer_event {
	STAILQ_ENTRY(peer_event) link;
	struct api_event_peer event;
};

STAILQ_HEAD(event_list, peer_event);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct command_list commands = STAILQ_HEAD_INITIALIZER(commands);
static struct event_list events = STAILQ_HEAD_INITIALIZER(events);

struct wg_command *command_create(enum wg_command_kind kind)
{
	struct wg_command *command = calloc(1, sizeof(*command));

	if (command == NULL)
		abort(); /* a few hundred bytes: nothing sensible is left to do */
	command->kind = kind;
	return command;
}

void command_put(struct wg_command *command)
{
	pthread_mutex_lock(&lock);
	STAILQ_INSERT_TAIL(&commands, command, link);
	pthread_mutex_unlock(&lock);
	events_wake();
}

bool command_pending(void)
{
	bool pending;

	pthread_mutex_lock(&lock);
	pending = !STAILQ_EMPTY(&commands);
	pthread_mutex_unlock(&lock);
	return pending;
}

struct wg_command *command_take(void)
{
	struct wg_command *command;

	pthread_mutex_lock(&lock);
	command = STAILQ_FIRST(&commands);
	if (command != NULL)
		STAILQ_REMOVE_HEAD(&commands, link);
	pthread_mutex_unlock(&lock);
	return command;
}

void command_destroy(struct wg_command **command)
{
	sodium_memzero(*command, sizeof(**command));
	free(*command);
	*command = NULL;
}

void peer_event_put(const struct api_event_peer *event)
{
	struct peer_event *entry = malloc(sizeof(*entry));

	if (entry == NULL)
		return; /* the next change of the peer says it all again */
	entry->event = *event;
	pthread_mutex_lock(&lock);
	STAILQ_INSERT_TAIL(&events, entry, link);
	pthread_mutex_unlock(&lock);
}

bool peer_event_take(struct api_event_peer *event)
{
	struct peer_event *entry;

	pthread_mutex_lock(&lock);
	entry = STAILQ_FIRST(&events);
	if (entry != NULL)
		STAILQ_REMOVE_HEAD(&events, link);
	pthread_mutex_unlock(&lock);
	if (entry == NULL)
		return false;
	*event = entry->event;
	free(entry);
	return true;
}
