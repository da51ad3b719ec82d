/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/main/blocks.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/api/flow.h"
#include "common/base/log.h"
#include "control/program/program.h"

LOG_TYPE(blocks);

enum {
	FLUSH_S = 1,
	FORGET_S = 60,
	FORGET_ROWS = 5000, /* at a time: the loop is held up for milliseconds only */
	WHO_MAX = 96,
};

struct blocks {
	struct ledger *ledger;
	const struct program *program;
	struct event *flush, *forget;
	/* Names by a peer's id, copies, of the configuration with this address and digest; learnt
	 * anew each minute for the sake of peers that were merely renamed. */
	const struct compiled *known;
	uint8_t digest[STORE_DIGEST_SIZE];
	struct pool *pool;
	const char **names;
	uint32_t n_names;
};

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct blocks *b = arg;

	if (ledger_flush(b->ledger) < 0)
		log_error(blocks, "port blocks of the last second are not written");
}

static void on_forget(evutil_socket_t fd, short what, void *arg)
{
	struct blocks *b = arg;
	const struct compiled *c = b->program == NULL ? NULL : program_compiled(b->program);
	uint64_t keep_s;

	b->known = NULL;
	if (c == NULL)
		return;
	keep_s = (uint64_t)c->model->egress.keep_days * 86400;
	if (ledger_forget(b->ledger, ((uint64_t)time(NULL) - keep_s) * 1000, FORGET_ROWS) < 0)
		log_error(blocks, "old port blocks are not deleted");
}

struct blocks *blocks_create(struct event_base *base, const char *path, int *error)
{
	struct blocks *b = calloc(1, sizeof(*b));
	const struct timeval forget = {.tv_sec = FORGET_S};

	*error = -ENOMEM;
	if (b == NULL)
		return NULL;
	b->ledger = ledger_open(path, error);
	if (b->ledger == NULL)
		goto err;
	b->flush = evtimer_new(base, on_flush, b);
	b->forget = event_new(base, -1, EV_PERSIST, on_forget, b);
	if (b->flush == NULL || b->forget == NULL || event_add(b->forget, &forget) < 0) {
		*error = -ENOMEM;
		goto err;
	}
	return b;
err:
	blocks_destroy(&b);
	return NULL;
}

void blocks_attach(struct blocks *b, const struct program *program)
{
	if (b != NULL)
		b->program = program;
}

/* Peers by id; made anew when another configuration is in force. */
static void learn_names(struct blocks *b, const struct compiled *c)
{
	size_t n = c->model->tables[MODEL_PEER].n;
	uint32_t max = 0;

	pool_destroy(&b->pool);
	b->pool = pool_create();
	b->known = c;
	memcpy(b->digest, c->desired.digest, sizeof(b->digest));
	for (size_t i = 0; i < n; i++)
		max = c->peer_ids[i] > max ? c->peer_ids[i] : max;
	b->names = pool_alloc(b->pool, ((size_t)max + 1) * sizeof(*b->names));
	b->n_names = max + 1;
	for (size_t i = 0; i < n; i++)
		b->names[c->peer_ids[i]] =
			pool_strdup(b->pool, model_peer_at(c->model, i)->object.name);
}

static const char *port_name(const struct compiled *c, uint32_t id)
{
	for (size_t i = 0; i < c->desired.n; i++) {
		const struct api_port_set *set = (const void *)c->desired.messages[i];

		if (set->header.type != API_PORT_SET)
			break; /* ports come first in the list */
		if (set->port == id)
			return set->name;
	}
	return "?";
}

static void name_user(struct blocks *b, uint32_t subscriber, char who[WHO_MAX])
{
	const struct compiled *c = b->program == NULL ? NULL : program_compiled(b->program);
	uint32_t id = subscriber & ~(uint32_t)API_IDENT_PORT;

	if (subscriber == API_BLOCK_OF_ALL)
		snprintf(who, WHO_MAX, "all who share ports");
	else if (subscriber & API_IDENT_HOST)
		snprintf(who, WHO_MAX, "the gateway itself");
	else if (c == NULL)
		snprintf(who, WHO_MAX, "%s number %u",
			(subscriber & API_IDENT_PORT) != 0 ? "port" : "peer", id);
	else if (subscriber & API_IDENT_PORT)
		snprintf(who, WHO_MAX, "port %.60s", port_name(c, id));
	else {
		if (b->known != c || memcmp(b->digest, c->desired.digest, sizeof(b->digest)) != 0)
			learn_names(b, c);
		if (subscriber < b->n_names && b->names[subscriber] != NULL)
			snprintf(who, WHO_MAX, "peer %.80s", b->names[subscriber]);
		else
			snprintf(who, WHO_MAX, "peer number %u", subscriber);
	}
}

void blocks_take(const struct api_event_block *event, void *arg)
{
	struct blocks *b = arg;
	char who[WHO_MAX] = "";

	if (event->kind != API_BLOCK_RELEASED && event->kind != API_BLOCK_SYNC_BEGIN &&
		event->kind != API_BLOCK_SYNC_END)
		name_user(b, event->subscriber, who);
	if (ledger_note(b->ledger, event, who) < 0)
		log_error(blocks, "a port block is not written");
	if (!evtimer_pending(b->flush, NULL))
		evtimer_add(b->flush, &(struct timeval){.tv_sec = FLUSH_S});
}

struct ledger *blocks_ledger(struct blocks *b)
{
	return b->ledger;
}

void blocks_destroy(struct blocks **blocks)
{
	struct blocks *b = *blocks;

	if (b == NULL)
		return;
	if (b->flush != NULL)
		event_free(b->flush);
	if (b->forget != NULL)
		event_free(b->forget);
	ledger_close(&b->ledger);
	pool_destroy(&b->pool);
	free(b);
	*blocks = NULL;
}
