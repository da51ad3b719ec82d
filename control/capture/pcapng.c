/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/capture/pcapng.h"

#include <endian.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	SECTION_BLOCK = 0x0a0d0d0a,
	INTERFACE_BLOCK = 1,
	STATISTICS_BLOCK = 5,
	PACKET_BLOCK = 6,
	BYTE_ORDER_MARK = 0x1a2b3c4d,

	OPTION_COMMENT = 1,
	OPTION_SECTION_APPLICATION = 4,
	OPTION_INTERFACE_NAME = 2,
	OPTION_INTERFACE_DESCRIPTION = 3,
	OPTION_INTERFACE_RESOLUTION = 9,
	OPTION_PACKET_FLAGS = 2,
	OPTION_STATISTICS_DROPPED = 5,

	TEXT_MAX = 1024,
};

static bool reserve(struct pcapng *out, size_t bytes)
{
	size_t room = out->room == 0 ? 4096 : out->room;
	uint8_t *grown;

	if (out->n + bytes <= out->room)
		return true;
	while (out->n + bytes > room)
		room *= 2;
	grown = realloc(out->bytes, room);
	if (grown == NULL)
		return false;
	out->bytes = grown;
	out->room = room;
	return true;
}

/* The caller has reserved. */
static void put(struct pcapng *out, const void *data, size_t bytes)
{
	memcpy(out->bytes + out->n, data, bytes);
	out->n += bytes;
}

static void put32(struct pcapng *out, uint32_t value)
{
	value = htole32(value);
	put(out, &value, sizeof(value));
}

static void put16(struct pcapng *out, uint16_t value)
{
	value = htole16(value);
	put(out, &value, sizeof(value));
}

static void put_padded(struct pcapng *out, const void *data, size_t bytes)
{
	static const uint8_t zero[4];

	put(out, data, bytes);
	put(out, zero, (4 - bytes % 4) % 4);
}

static void option(struct pcapng *out, uint16_t code, const void *value, size_t bytes)
{
	put16(out, code);
	put16(out, (uint16_t)bytes);
	put_padded(out, value, bytes);
}

static void text_option(struct pcapng *out, uint16_t code, const char *text)
{
	if (text != NULL && text[0] != '\0')
		option(out, code, text, strnlen(text, TEXT_MAX));
}

static size_t block_begin(struct pcapng *out, uint32_t type)
{
	size_t at = out->n;

	put32(out, type);
	put32(out, 0); /* the length comes with the end */
	return at;
}

static void block_end(struct pcapng *out, size_t at)
{
	uint32_t length, total;

	put32(out, 0); /* end of options */
	length = (uint32_t)(out->n - at + sizeof(length));
	total = htole32(length);
	put32(out, length);
	memcpy(out->bytes + at + 4, &total, sizeof(total));
}

void pcapng_section(struct pcapng *out, const char *application)
{
	static const uint8_t unknown_length[8] = {255, 255, 255, 255, 255, 255, 255, 255};
	size_t at;

	if (!reserve(out, 256 + TEXT_MAX))
		return;
	at = block_begin(out, SECTION_BLOCK);
	put32(out, BYTE_ORDER_MARK);
	put16(out, 1); /* version 1.0 */
	put16(out, 0);
	put(out, unknown_length, sizeof(unknown_length));
	text_option(out, OPTION_SECTION_APPLICATION, application);
	block_end(out, at);
}

void pcapng_interface(struct pcapng *out, uint16_t link_type, uint32_t snap, const char *name,
	const char *description)
{
	static const uint8_t nanoseconds = 9;
	size_t at;

	if (!reserve(out, 256 + 2 * TEXT_MAX))
		return;
	at = block_begin(out, INTERFACE_BLOCK);
	put16(out, link_type);
	put16(out, 0);
	put32(out, snap);
	text_option(out, OPTION_INTERFACE_NAME, name);
	text_option(out, OPTION_INTERFACE_DESCRIPTION, description);
	option(out, OPTION_INTERFACE_RESOLUTION, &nanoseconds, sizeof(nanoseconds));
	block_end(out, at);
}

void pcapng_packet(struct pcapng *out, const struct pcapng_packet *packet)
{
	uint32_t flags = htole32((uint32_t)packet->direction);
	size_t at;

	if (!reserve(out, 256 + TEXT_MAX + packet->captured))
		return;
	at = block_begin(out, PACKET_BLOCK);
	put32(out, packet->interface);
	put32(out, (uint32_t)(packet->time_ns >> 32));
	put32(out, (uint32_t)packet->time_ns);
	put32(out, packet->captured);
	put32(out, packet->wire);
	put_padded(out, packet->data, packet->captured);
	text_option(out, OPTION_COMMENT, packet->comment);
	option(out, OPTION_PACKET_FLAGS, &flags, sizeof(flags));
	block_end(out, at);
}

void pcapng_lost(struct pcapng *out, uint32_t interface, uint64_t time_ns, uint64_t lost)
{
	uint64_t value = htole64(lost);
	size_t at;

	if (!reserve(out, 256))
		return;
	at = block_begin(out, STATISTICS_BLOCK);
	put32(out, interface);
	put32(out, (uint32_t)(time_ns >> 32));
	put32(out, (uint32_t)time_ns);
	option(out, OPTION_STATISTICS_DROPPED, &value, sizeof(value));
	block_end(out, at);
}

void pcapng_clear(struct pcapng *out)
{
	out->n = 0;
}

void pcapng_free(struct pcapng *out)
{
	free(out->bytes);
	*out = (struct pcapng){0};
}
