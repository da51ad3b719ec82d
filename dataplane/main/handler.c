/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/main/handler.h"

#include <assert.h>
#include <stddef.h>

static const struct handler_group *groups[HANDLER_GROUP_MAX];
static unsigned group_count;
static const struct handler_stream *streams[HANDLER_STREAM_MAX];
static unsigned stream_count;

void handler_register(const struct handler_group *group)
{
	unsigned other;

	assert(group_count < HANDLER_GROUP_MAX);
	for (unsigned i = 0; i < group->count; i++) {
		assert(handler_find(group->handlers[i].type, &other) == NULL);
		assert(group->handlers[i].apply != NULL);
	}
	groups[group_count++] = group;
}

void handler_register_stream(const struct handler_stream *stream)
{
	assert(stream_count < HANDLER_STREAM_MAX);
	assert(handler_find_stream(stream->type) == NULL);
	streams[stream_count++] = stream;
}

unsigned handler_group_count(void)
{
	return group_count;
}

const struct handler_group *handler_group_at(unsigned group)
{
	return groups[group];
}

const struct handler *handler_find(uint16_t type, unsigned *group)
{
	/* Some dozens of types in all: a message costs less here than its checks do. */
	for (unsigned g = 0; g < group_count; g++) {
		for (unsigned i = 0; i < groups[g]->count; i++) {
			if (groups[g]->handlers[i].type == type) {
				*group = g;
				return &groups[g]->handlers[i];
			}
		}
	}
	return NULL;
}

const struct handler_stream *handler_find_stream(uint16_t type)
{
	for (unsigned i = 0; i < stream_count; i++) {
		if (streams[i]->type == type)
			return streams[i];
	}
	return NULL;
}

void handler_clear(void)
{
	group_count = 0;
	stream_count = 0;
}
