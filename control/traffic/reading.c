/* SPDX-License-Identifier: BSD-3-Clause */
/* The data plane's figures at one moment: copied out of shared memory, which may be gone next. */
#include <stdlib.h>

#include "common/api/counters.h"
#include "control/link/link.h"
#include "control/traffic/traffic_priv.h"

enum { CHUNK_ROWS = 64 }; /* read together: one look at the sequence number for all of them */

struct reading_row {
	bool known;
	struct traffic_counts counts;
};

struct reading {
	uint64_t instance;
	unsigned part, parts;
	uint32_t used[TRAFFIC_KINDS]; /* ids below it */
	struct reading_row *rows[TRAFFIC_KINDS];
};

static const struct {
	uint32_t section;
	size_t size;
} sections[TRAFFIC_KINDS] = {
	[TRAFFIC_PEER] = {API_SECTION_PEERS, sizeof(struct api_count_peer)},
	[TRAFFIC_EXIT_NODE] = {API_SECTION_ROUTES, sizeof(struct api_count_pair)},
	[TRAFFIC_EGRESS] = {API_SECTION_EGRESS, sizeof(struct api_count_egress)},
};

union any_row {
	struct api_count_peer peer;
	struct api_count_pair pair;
	struct api_count_egress egress;
};

static struct traffic_counts counts_of(enum traffic_kind kind, const void *row)
{
	const struct api_count_peer *peer = row;
	const struct api_count_pair *pair = row;
	const struct api_count_egress *egress = row;

	switch (kind) {
	case TRAFFIC_PEER:
		return (struct traffic_counts){
			peer->rx_packets, peer->rx_bytes, peer->tx_packets, peer->tx_bytes};
	case TRAFFIC_EXIT_NODE:
		return (struct traffic_counts){
			pair->packets, pair->bytes, pair->reply_packets, pair->reply_bytes};
	default:
		return (struct traffic_counts){
			egress->tx_packets, egress->tx_bytes, egress->rx_packets, egress->rx_bytes};
	}
}

/* n rows from `first`, one after the other. */
static void read_rows(struct reading *reading, const struct link *link, enum traffic_kind kind,
	uint32_t first, uint32_t n)
{
	union any_row rows[CHUNK_ROWS];
	size_t size = sections[kind].size;

	if (link_counters_read(link, sections[kind].section, first, n, rows, size) < 0)
		return;
	for (uint32_t i = 0; i < n; i++) {
		struct reading_row *row = &reading->rows[kind][(first + i) / reading->parts];

		row->counts = counts_of(kind, (const char *)rows + i * size);
		row->known = true;
	}
}

static bool read_section(struct reading *reading, const struct link *link, enum traffic_kind kind)
{
	uint32_t used = link_counters_used(link, sections[kind].section);
	uint32_t step = reading->parts == 1 ? CHUNK_ROWS : reading->parts;

	reading->used[kind] = used;
	reading->rows[kind] = calloc(used / reading->parts + 1, sizeof(struct reading_row));
	if (reading->rows[kind] == NULL)
		return false;
	for (uint32_t id = reading->part; id < used; id += step) {
		uint32_t n = used - id < CHUNK_ROWS ? used - id : CHUNK_ROWS;

		read_rows(reading, link, kind, id, reading->parts == 1 ? n : 1);
	}
	return true;
}

struct reading *reading_take(const struct link *link, unsigned part, unsigned parts)
{
	struct reading *reading;
	struct api_counters header;

	if (!link_is_connected(link) || link_counters_header(link, &header) < 0 ||
		header.updated_ns == 0)
		return NULL;
	reading = calloc(1, sizeof(*reading));
	if (reading == NULL)
		return NULL;
	reading->instance = link_instance(link);
	reading->part = part;
	reading->parts = parts;
	for (unsigned kind = 0; kind < TRAFFIC_KINDS; kind++) {
		if (!read_section(reading, link, (enum traffic_kind)kind))
			reading_free(&reading);
		if (reading == NULL)
			return NULL;
	}
	return reading;
}

void reading_free(struct reading **reading)
{
	if (*reading == NULL)
		return;
	for (unsigned kind = 0; kind < TRAFFIC_KINDS; kind++)
		free((*reading)->rows[kind]);
	free(*reading);
	*reading = NULL;
}

static bool find_row(enum traffic_kind kind, uint32_t id, struct traffic_counts *counts, void *arg)
{
	const struct reading *reading = arg;
	const struct reading_row *row;

	if (id % reading->parts != reading->part || id >= reading->used[kind])
		return false;
	row = &reading->rows[kind][id / reading->parts];
	*counts = row->counts;
	return row->known;
}

struct tally_source reading_source(struct reading *reading)
{
	return (struct tally_source){reading->instance, find_row, reading};
}
