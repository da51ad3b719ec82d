/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/base/pool.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHUNK_BYTES = 16384,
	ALIGN_BYTES = 16,
};

struct chunk {
	struct chunk *next;
	size_t used;
	size_t size;
	_Alignas(ALIGN_BYTES) uint8_t bytes[];
};

struct pool {
	struct chunk *chunks; /* the first one is the one being filled */
};

static void *check(void *memory)
{
	if (memory == NULL) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return memory;
}

struct pool *pool_create(void)
{
	return check(calloc(1, sizeof(struct pool)));
}

void pool_destroy(struct pool **pool)
{
	struct chunk *next;

	if (*pool == NULL)
		return;
	for (struct chunk *chunk = (*pool)->chunks; chunk != NULL; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(*pool);
	*pool = NULL;
}

static struct chunk *add_chunk(struct pool *pool, size_t size)
{
	struct chunk *chunk = check(calloc(1, sizeof(*chunk) + size));

	chunk->size = size;
	/* A large allocation goes behind the chunk that still has room for small ones. */
	if (size > CHUNK_BYTES && pool->chunks != NULL) {
		chunk->next = pool->chunks->next;
		pool->chunks->next = chunk;
	} else {
		chunk->next = pool->chunks;
		pool->chunks = chunk;
	}
	return chunk;
}

void *pool_alloc(struct pool *pool, size_t size)
{
	struct chunk *chunk = pool->chunks;
	void *memory;

	if (size > SIZE_MAX / 2)
		check(NULL);
	size = (size + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
	if (chunk == NULL || chunk->size - chunk->used < size)
		chunk = add_chunk(pool, size > CHUNK_BYTES ? size : CHUNK_BYTES);
	memory = chunk->bytes + chunk->used;
	chunk->used += size;
	return memory;
}

char *pool_strndup(struct pool *pool, const char *text, size_t size)
{
	char *copy = pool_alloc(pool, size + 1);

	memcpy(copy, text, size);
	return copy;
}

char *pool_strdup(struct pool *pool, const char *text)
{
	return pool_strndup(pool, text, strlen(text));
}

char *pool_vprintf(struct pool *pool, const char *format, va_list args)
{
	va_list again;
	char *text;
	int size;

	va_copy(again, args);
	size = vsnprintf(NULL, 0, format, again);
	va_end(again);
	text = pool_alloc(pool, (size_t)(size < 0 ? 0 : size) + 1);
	if (size > 0)
		vsnprintf(text, (size_t)size + 1, format, args);
	return text;
}

char *pool_printf(struct pool *pool, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = pool_vprintf(pool, format, args);
	va_end(args);
	return text;
}

void *pool_grow(struct pool *pool, void *array, size_t n, size_t element_size)
{
	void *larger;

	if (n != 0 && (n & (n - 1)) != 0)
		return array; /* not at a power of two: there is room */
	larger = pool_alloc(pool, (n == 0 ? 1 : 2 * n) * element_size);
	if (n != 0)
		memcpy(larger, array, n * element_size);
	return larger;
}
