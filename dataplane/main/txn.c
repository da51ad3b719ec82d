/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/main/txn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/api.h"
#include "dataplane/main/handler.h"

enum {
	CHUNK_BYTES = 64 * 1024,
	TRIM_CHUNKS = 16, /* per call of txn_trim(): tens of microseconds */
};

struct record {
	uint64_t index;
	const struct handler *handler;
	uint8_t message[];
};

/* Chunks instead of one growing array: nothing is ever copied, and memory goes piecemeal. */
struct chunk {
	struct chunk *next;
	size_t used;
	uint8_t data[CHUNK_BYTES];
};

struct chunks {
	struct chunk *first;
	struct chunk *last;
};

struct txn {
	struct chunks groups[HANDLER_GROUP_MAX];
	struct chunks spent; /* of earlier transactions: used again, or freed by and by */
	size_t bound;
	size_t bytes;
	uint64_t count;
	bool full;
};

static void append(struct chunks *list, struct chunk *chunk)
{
	chunk->next = NULL;
	if (list->last == NULL)
		list->first = chunk;
	else
		list->last->next = chunk;
	list->last = chunk;
}

static struct chunk *pop(struct chunks *list)
{
	struct chunk *chunk = list->first;

	if (chunk != NULL) {
		list->first = chunk->next;
		if (list->first == NULL)
			list->last = NULL;
	}
	return chunk;
}

/* Room for `bytes` at the end of a group, NULL if out of memory. */
static void *room(struct txn *txn, unsigned group, size_t bytes)
{
	struct chunk *chunk = txn->groups[group].last;
	void *at;

	if (chunk == NULL || CHUNK_BYTES - chunk->used < bytes) {
		chunk = pop(&txn->spent);
		if (chunk == NULL)
			chunk = malloc(sizeof(*chunk));
		if (chunk == NULL)
			return NULL;
		chunk->used = 0;
		append(&txn->groups[group], chunk);
	}
	at = chunk->data + chunk->used;
	chunk->used += bytes;
	return at;
}

struct txn *txn_create(size_t bound)
{
	struct txn *txn = calloc(1, sizeof(*txn));

	if (txn != NULL)
		txn->bound = bound;
	return txn;
}

void txn_destroy(struct txn **txn)
{
	if (*txn == NULL)
		return;
	txn_reset(*txn, false);
	while (txn_trim(*txn))
		continue;
	free(*txn);
	*txn = NULL;
}

void txn_reset(struct txn *txn, bool full)
{
	for (unsigned g = 0; g < HANDLER_GROUP_MAX; g++) {
		struct chunks *from = &txn->groups[g];

		if (from->first == NULL)
			continue;
		if (txn->spent.last == NULL)
			txn->spent.first = from->first;
		else
			txn->spent.last->next = from->first;
		txn->spent.last = from->last;
		*from = (struct chunks){0};
	}
	txn->bytes = 0;
	txn->count = 0;
	txn->full = full;
}

int txn_stage(struct txn *txn, const void *message, const struct handler *handler, unsigned group)
{
	size_t bytes = sizeof(struct record) + handler->size;
	struct record *record;

	if (bytes > txn->bound - txn->bytes)
		return -ENOSPC;
	record = room(txn, group, bytes);
	if (record == NULL)
		return -ENOMEM;
	record->index = txn->count++;
	record->handler = handler;
	memcpy(record->message, message, handler->size);
	txn->bytes += bytes;
	return 0;
}

bool txn_could_hold(const struct txn *txn, uint64_t count)
{
	return count <= txn->bound / (sizeof(struct record) + sizeof(struct api_header));
}

bool txn_trim(struct txn *txn)
{
	for (unsigned i = 0; i < TRIM_CHUNKS; i++) {
		struct chunk *chunk = pop(&txn->spent);

		if (chunk == NULL)
			return false;
		free(chunk);
	}
	return txn->spent.first != NULL;
}

bool txn_is_full(const struct txn *txn)
{
	return txn->full;
}

uint64_t txn_count(const struct txn *txn)
{
	return txn->count;
}

const void *txn_next_in_group(const struct txn *txn, struct txn_cursor *cursor, unsigned group)
{
	const struct chunk *chunk = cursor->chunk;
	const struct record *record;

	assert(group < HANDLER_GROUP_MAX);
	if (!cursor->started) {
		cursor->started = true;
		cursor->offset = 0;
		chunk = txn->groups[group].first;
	}
	while (chunk != NULL && cursor->offset >= chunk->used) {
		chunk = chunk->next;
		cursor->offset = 0;
	}
	cursor->chunk = chunk;
	if (chunk == NULL)
		return NULL;
	record = (const void *)(chunk->data + cursor->offset);
	cursor->offset += sizeof(*record) + record->handler->size;
	cursor->index = record->index;
	cursor->handler = record->handler;
	return record->message;
}

const void *txn_next_like(const struct txn *txn, struct txn_cursor *cursor, uint16_t type)
{
	unsigned group;

	if (handler_find(type, &group) == NULL)
		return NULL;
	return txn_next_in_group(txn, cursor, group);
}

const void *txn_next(const struct txn *txn, struct txn_cursor *cursor)
{
	while (cursor->group < HANDLER_GROUP_MAX) {
		const void *message = txn_next_in_group(txn, cursor, cursor->group);

		if (message != NULL)
			return message;
		cursor->group++;
		cursor->started = false;
	}
	return NULL;
}
