/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/program/program_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The deletion of an object names it and nothing else. */
static void key_of_set(uint8_t key[MIRROR_KEY_MAX], const struct api_header *message)
{
	struct pool *pool = pool_create();
	const struct api_header *deletion = desired_deletion(pool, message);

	assert(deletion->length <= MIRROR_KEY_MAX);
	memset(key, 0, MIRROR_KEY_MAX);
	memcpy(key, deletion, deletion->length);
	pool_destroy(&pool);
}

void mirror_set(struct mirror *mirror, uint16_t type, const void *body)
{
	const struct api_message *shape = api_message_find(type);
	struct api_header *message = check(malloc(shape->size));
	struct mirror_object *object;
	_Alignas(8) uint8_t key[MIRROR_KEY_MAX];

	api_message_init(message, type, shape->size);
	memcpy(message + 1, (const struct api_header *)body + 1, shape->size - sizeof(*message));
	key_of_set(key, message);
	HASH_FIND(hh, mirror->objects, key, MIRROR_KEY_MAX, object);
	if (object == NULL) {
		object = check(calloc(1, sizeof(*object)));
		memcpy(object->key, key, MIRROR_KEY_MAX);
		HASH_ADD(hh, mirror->objects, key, MIRROR_KEY_MAX, object);
	}
	free(object->message);
	object->message = message;
}

static void drop(struct mirror *mirror, struct mirror_object *object)
{
	HASH_DEL(mirror->objects, object);
	free(object->message);
	free(object);
}

void mirror_del(struct mirror *mirror, uint16_t set_type, const void *deletion)
{
	/* Each deletion type follows its set. */
	const struct api_message *shape = api_message_find((uint16_t)(set_type + 1));
	struct mirror_object *object;
	_Alignas(8) uint8_t key[MIRROR_KEY_MAX] = {0};

	assert(shape != NULL && shape->size <= MIRROR_KEY_MAX);
	api_message_init(key, shape->type, shape->size);
	memcpy(key + sizeof(struct api_header), (const struct api_header *)deletion + 1,
		shape->size - sizeof(struct api_header));
	HASH_FIND(hh, mirror->objects, key, MIRROR_KEY_MAX, object);
	if (object != NULL)
		drop(mirror, object);
}

void mirror_clear(struct mirror *mirror)
{
	struct mirror_object *object, *next;

	HASH_ITER (hh, mirror->objects, object, next)
		drop(mirror, object);
}

struct desired mirror_list(const struct mirror *mirror, struct pool *pool)
{
	size_t count = HASH_COUNT(mirror->objects), n = 0;
	const struct api_header **messages = pool_alloc(pool, (count + 1) * sizeof(*messages));
	struct mirror_object *object, *next;

	HASH_ITER (hh, mirror->objects, object, next)
		messages[n++] = desired_copy(pool, object->message);
	return desired_make(messages, n);
}
