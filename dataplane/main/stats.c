/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/main/stats.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/ring/counters.h"
#include "dataplane/aead/aead.h"
#include "dataplane/main/config.h"
#include "dataplane/x25519/x25519.h"

enum { FILLS_MAX = 4 }; /* features that write to one section */

static struct counters_section sections[API_COUNTERS_SECTIONS];
static stats_fill_fn fills[API_COUNTERS_SECTIONS][FILLS_MAX];
static unsigned section_count;
static void *memory; /* NULL while no controller is connected */
static bool expired;

void stats_section(uint32_t id, uint32_t stride, uint32_t rows, stats_fill_fn fill)
{
	unsigned i = 0, n = 0;

	while (i < section_count && sections[i].id != id)
		i++;
	assert(i < API_COUNTERS_SECTIONS);
	if (i == section_count)
		sections[section_count++] = (struct counters_section){id, stride, rows};
	assert(sections[i].stride == stride && sections[i].rows == rows);
	while (n < FILLS_MAX && fills[i][n] != NULL)
		n++;
	assert(n < FILLS_MAX);
	fills[i][n] = fill;
}

size_t stats_bytes(void)
{
	return counters_bytes(sections, section_count);
}

/* The Unix time at which this process started, from the first call on. */
static uint64_t started(void)
{
	static uint64_t at;

	if (at == 0)
		at = (uint64_t)time(NULL);
	return at;
}

void stats_open(void *base, size_t bytes, void *arg)
{
	struct api_counters *header = base;

	if (bytes < stats_bytes())
		return;
	counters_layout(base, sections, section_count);
	memory = base;
	header->started_s = started();
	header->workers = dp_config()->workers;
	snprintf(header->aead, sizeof(header->aead), "%s", aead_name());
	snprintf(header->x25519, sizeof(header->x25519), "%s", x25519_name());
}

void stats_close(void *arg)
{
	memory = NULL;
}

static uint32_t fill_section(unsigned i, void *rows)
{
	uint32_t used = 0;

	for (unsigned n = 0; n < FILLS_MAX && fills[i][n] != NULL; n++) {
		uint32_t filled = fills[i][n](rows, sections[i].rows);

		used = filled > used ? filled : used;
	}
	return used;
}

void stats_publish(uint64_t generation)
{
	struct api_counters *header = memory;
	struct timespec now;

	started();
	if (memory == NULL)
		return;
	for (unsigned i = 0; i < section_count; i++) {
		struct api_section *section = counters_section(memory, sections[i].id);

		counters_write_begin(section);
		section->used = fill_section(i, counters_rows(memory, section));
		counters_write_end(section);
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	__atomic_store_n(&header->generation, generation, __ATOMIC_RELAXED);
	__atomic_store_n(&header->updated_ns,
		(uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec, __ATOMIC_RELEASE);
}

void stats_expire(void)
{
	expired = true;
}

void stats_committed(uint64_t generation, void *arg)
{
	(void)arg;
	if (expired)
		stats_publish(generation);
	expired = false;
}

void stats_note_applied(uint32_t permille)
{
	struct api_counters *header = memory;

	if (header != NULL)
		__atomic_store_n(&header->applied_permille, permille, __ATOMIC_RELAXED);
}
