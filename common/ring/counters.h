/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writer's and reader's end of the counters memory (common/api/counters.h). The writer owns the
 * layout; the reader trusts nothing but the private copy that counters_attach() has validated
 * against the size of its mapping.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/api/counters.h"

struct counters_section {
	uint32_t id; /* enum api_section_id */
	uint32_t stride;
	uint32_t rows;
};

/* Bytes of memory for these sections, each aligned to a page. */
size_t counters_bytes(const struct counters_section *sections, unsigned n);

/* Writer: fills the header in zeroed memory of counters_bytes(). n <= API_COUNTERS_SECTIONS. */
void counters_layout(void *base, const struct counters_section *sections, unsigned n);

/* Writer: a section's header, NULL if it has none; and its rows. */
struct api_section *counters_section(void *base, uint32_t id);
void *counters_rows(void *base, struct api_section *section);

/* Writer: around every change of a section's rows or its `used`. */
void counters_write_begin(struct api_section *section);
void counters_write_end(struct api_section *section);

/* Reader. Thread: the one that attached. */
struct counters_view {
	const uint8_t *base;
	size_t bytes;
	unsigned sections;
	struct api_section section[API_COUNTERS_SECTIONS]; /* validated, private */
};

/* 0, or -EPROTO if a section does not lie within the mapping or the magic is another. */
int counters_attach(struct counters_view *view, const void *base, size_t bytes)
	__attribute__((warn_unused_result));

/* Reads the header's moving part: time of the last round, generation, workers, AEAD. */
void counters_header(const struct counters_view *view, struct api_counters *header);

/* Rows in use now, at most the capacity; 0 if the section does not exist. */
uint32_t counters_used(const struct counters_view *view, uint32_t id);

/*
 * A consistent copy of n rows from `first`. A row shorter than row_size is filled with zeros, a
 * longer one is cut. 0, -ENOENT (no such section or row), -EAGAIN (the writer is at it: later).
 */
int counters_read(const struct counters_view *view, uint32_t id, uint32_t first, uint32_t n,
	void *rows, size_t row_size) __attribute__((warn_unused_result));
