/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/ring/counters.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

enum {
	PAGE_BYTES = 4096,
	READ_TRIES = 1000, /* a few milliseconds at most: a reader must not hang on a dead writer */
};

static size_t round_up(size_t bytes)
{
	return (bytes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
}

static size_t section_bytes(const struct counters_section *section)
{
	return round_up((size_t)section->stride * section->rows);
}

static _Atomic uint32_t *sequence_of(const struct api_section *section)
{
	/* The memory is shared: a plain field in the contract, accessed atomically by both ends. */
	return (_Atomic uint32_t *)(uintptr_t)&section->sequence;
}

size_t counters_bytes(const struct counters_section *sections, unsigned n)
{
	size_t bytes = round_up(sizeof(struct api_counters));

	for (unsigned i = 0; i < n; i++)
		bytes += section_bytes(&sections[i]);
	return bytes;
}

void counters_layout(void *base, const struct counters_section *sections, unsigned n)
{
	struct api_counters *header = base;
	size_t offset = round_up(sizeof(*header));

	assert(n <= API_COUNTERS_SECTIONS);
	header->magic = API_COUNTERS_MAGIC;
	header->sections = n;
	for (unsigned i = 0; i < n; i++) {
		header->section[i] = (struct api_section){
			.id = sections[i].id,
			.stride = sections[i].stride,
			.rows = sections[i].rows,
			.offset = offset,
		};
		offset += section_bytes(&sections[i]);
	}
}

struct api_section *counters_section(void *base, uint32_t id)
{
	struct api_counters *header = base;

	for (unsigned i = 0; i < header->sections; i++) {
		if (header->section[i].id == id)
			return &header->section[i];
	}
	return NULL;
}

void *counters_rows(void *base, struct api_section *section)
{
	return (uint8_t *)base + section->offset;
}

void counters_write_begin(struct api_section *section)
{
	_Atomic uint32_t *sequence = sequence_of(section);

	atomic_store_explicit(sequence, atomic_load_explicit(sequence, memory_order_relaxed) + 1,
		memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

void counters_write_end(struct api_section *section)
{
	_Atomic uint32_t *sequence = sequence_of(section);

	atomic_store_explicit(sequence, atomic_load_explicit(sequence, memory_order_relaxed) + 1,
		memory_order_release);
}

static bool lies_within(const struct api_section *section, size_t bytes)
{
	uint64_t size = (uint64_t)section->stride * section->rows;

	return section->stride > 0 && section->stride % 8 == 0 && section->offset % 8 == 0 &&
	       section->offset >= sizeof(struct api_counters) && section->offset <= bytes &&
	       size <= bytes - section->offset;
}

int counters_attach(struct counters_view *view, const void *base, size_t bytes)
{
	struct api_counters header;

	*view = (struct counters_view){.base = base, .bytes = bytes};
	if (bytes < sizeof(header))
		return -EPROTO;
	memcpy(&header, base, sizeof(header));
	atomic_signal_fence(memory_order_seq_cst);
	if (header.magic != API_COUNTERS_MAGIC || header.sections > API_COUNTERS_SECTIONS)
		return -EPROTO;
	for (unsigned i = 0; i < header.sections; i++) {
		if (!lies_within(&header.section[i], bytes))
			return -EPROTO;
		view->section[i] = header.section[i];
	}
	view->sections = header.sections;
	return 0;
}

void counters_header(const struct counters_view *view, struct api_counters *header)
{
	memcpy(header, view->base, sizeof(*header));
	header->sections = view->sections;
	memcpy(header->section, view->section, sizeof(header->section));
	header->aead[sizeof(header->aead) - 1] = '\0';
	header->x25519[sizeof(header->x25519) - 1] = '\0';
}

static const struct api_section *find(
	const struct counters_view *view, uint32_t id, const struct api_section **shared)
{
	const struct api_counters *header = (const void *)view->base;

	for (unsigned i = 0; i < view->sections; i++) {
		if (view->section[i].id == id) {
			*shared = &header->section[i];
			return &view->section[i];
		}
	}
	return NULL;
}

uint32_t counters_used(const struct counters_view *view, uint32_t id)
{
	const struct api_section *shared, *section = find(view, id, &shared);
	uint32_t used;

	if (section == NULL)
		return 0;
	used = atomic_load_explicit(
		(_Atomic uint32_t *)(uintptr_t)&shared->used, memory_order_relaxed);
	return used < section->rows ? used : section->rows;
}

static void copy_rows(uint8_t *to, const uint8_t *from, uint32_t stride, uint32_t n, size_t size)
{
	size_t known = stride < size ? stride : size;

	for (uint32_t i = 0; i < n; i++) {
		memcpy(to, from, known);
		memset(to + known, 0, size - known);
		to += size;
		from += stride;
	}
}

int counters_read(const struct counters_view *view, uint32_t id, uint32_t first, uint32_t n,
	void *rows, size_t row_size)
{
	const struct api_section *shared, *section = find(view, id, &shared);
	_Atomic uint32_t *sequence;

	if (section == NULL || first > section->rows || n > section->rows - first)
		return -ENOENT;
	sequence = sequence_of(shared);
	for (unsigned i = 0; i < READ_TRIES; i++) {
		uint32_t before = atomic_load_explicit(sequence, memory_order_acquire);

		if (before % 2 != 0)
			continue;
		copy_rows(rows, view->base + section->offset + (uint64_t)first * section->stride,
			section->stride, n, row_size);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(sequence, memory_order_relaxed) == before)
			return 0;
	}
	return -EAGAIN;
}
