/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/api/table.h"

#include <string.h>

#define X(message_type, message_struct, message_kind, message_feature, message_name)               \
	{.type = message_type,                                                                     \
		.size = sizeof(struct message_struct),                                             \
		.kind = message_kind,                                                              \
		.feature = message_feature,                                                        \
		.name = message_name},
const struct api_message api_messages[] = {API_MESSAGES(X)};
#undef X

#define X(message_type, message_struct, message_kind, message_feature, message_name)               \
	_Static_assert(sizeof(struct message_struct) % API_ALIGN == 0 &&                           \
			       sizeof(struct message_struct) <= API_MESSAGE_MAX,                   \
		"the size of struct " #message_struct " does not suit the rings");
API_MESSAGES(X)
#undef X

const unsigned api_message_count = sizeof(api_messages) / sizeof(api_messages[0]);

const struct api_message *api_message_find(uint16_t type)
{
	/* The types of a feature are dense and the table is small; a switch costs no memory and
	 * the compiler reports a type that occurs twice. */
	enum {
#define X(message_type, ...) INDEX_##message_type,
		API_MESSAGES(X)
#undef X
	};
	switch (type) {
#define X(message_type, ...)                                                                       \
	case message_type:                                                                         \
		return &api_messages[INDEX_##message_type];
		API_MESSAGES(X)
#undef X
	default:
		return NULL;
	}
}

const char *api_message_name(uint16_t type)
{
	const struct api_message *message = api_message_find(type);

	return message == NULL ? "unknown" : message->name;
}

bool api_message_is_request(const struct api_message *message)
{
	return message->kind == API_KIND_TXN || message->kind == API_KIND_OBJECT ||
	       message->kind == API_KIND_REQUEST;
}

int api_message_fit(void *message, uint16_t length, uint16_t size)
{
	uint8_t *bytes = message;

	if (length < sizeof(struct api_header) || length > API_MESSAGE_MAX)
		return API_E_SIZE;
	/* A surplus that says something would be ignored silently: refuse it. */
	for (unsigned i = size; i < length; i++) {
		if (bytes[i] != 0)
			return API_E_SIZE;
	}
	if (length < size)
		memset(bytes + length, 0, size - length);
	((struct api_header *)message)->length = size;
	return 0;
}

void api_message_init(void *message, uint16_t type, uint16_t size)
{
	struct api_header *header = message;

	memset(message, 0, size);
	header->type = type;
	header->length = size;
}
