/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng), little-endian, gathered in memory. Times are
 * nanoseconds. Any thread, one at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	PCAPNG_ETHERNET = 1, /* link types */
	PCAPNG_RAW_IP = 101,
};

enum pcapng_direction {
	PCAPNG_UNKNOWN = 0,
	PCAPNG_IN = 1,
	PCAPNG_OUT = 2,
};

struct pcapng {
	uint8_t *bytes; /* whole blocks */
	size_t n;
	size_t room;
};

struct pcapng_packet {
	uint32_t interface;
	uint64_t time_ns; /* Unix time */
	const void *data;
	uint32_t captured;
	uint32_t wire;
	enum pcapng_direction direction;
	const char *comment; /* UTF-8, or NULL */
};

/* Out of memory leaves the block out. */
void pcapng_section(struct pcapng *out, const char *application);
void pcapng_interface(struct pcapng *out, uint16_t link_type, uint32_t snap, const char *name,
	const char *description);
void pcapng_packet(struct pcapng *out, const struct pcapng_packet *packet);

/* How many packets found no room so far. */
void pcapng_lost(struct pcapng *out, uint32_t interface, uint64_t time_ns, uint64_t lost);

/* Forgets what was gathered, and frees. */
void pcapng_clear(struct pcapng *out);
void pcapng_free(struct pcapng *out);
