/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/ring/counters.h"

static const struct counters_section layout[] = {
	{API_SECTION_PEERS, sizeof(struct api_count_peer), 100},
	{API_SECTION_PORTS, sizeof(struct api_count_port), 4},
};

enum { SECTIONS = sizeof(layout) / sizeof(layout[0]) };

static void *make(size_t *bytes)
{
	void *base;

	*bytes = counters_bytes(layout, SECTIONS);
	base = aligned_alloc(4096, *bytes);
	assert_non_null(base);
	memset(base, 0, *bytes);
	counters_layout(base, layout, SECTIONS);
	return base;
}

static void rows_are_read(void **state)
{
	struct api_count_port ports[2];
	struct counters_view view;
	struct api_section *section;
	size_t bytes;
	void *base = make(&bytes);

	section = counters_section(base, API_SECTION_PORTS);
	counters_write_begin(section);
	((struct api_count_port *)counters_rows(base, section))[3].rx_packets = 77;
	section->used = 4;
	counters_write_end(section);
	assert_int_equal(counters_attach(&view, base, bytes), 0);
	assert_int_equal(counters_used(&view, API_SECTION_PORTS), 4);
	assert_int_equal(counters_used(&view, API_SECTION_DROPS), 0);
	assert_int_equal(counters_read(&view, API_SECTION_PORTS, 2, 2, ports, sizeof(ports[0])), 0);
	assert_int_equal(ports[1].rx_packets, 77);
	/* A caller that knows less, one that knows more. */
	assert_int_equal(counters_read(&view, API_SECTION_PORTS, 3, 1, ports, 8), 0);
	assert_int_equal(ports[0].rx_packets, 77);
	memset(ports, 0xee, sizeof(ports));
	assert_int_equal(counters_read(&view, API_SECTION_PORTS, 3, 1, ports, sizeof(ports)), 0);
	assert_int_equal(ports[0].rx_packets, 77);
	assert_int_equal(ports[1].tx_packets, 0);

	assert_int_equal(
		counters_read(&view, API_SECTION_PORTS, 4, 1, ports, sizeof(ports[0])), -ENOENT);
	assert_int_equal(counters_read(&view, API_SECTION_PORTS, 3, UINT32_MAX, ports, 8), -ENOENT);
	assert_int_equal(counters_read(&view, API_SECTION_DROPS, 0, 1, ports, 8), -ENOENT);
	/* A writer that died in the middle does not hang the reader. */
	counters_write_begin(section);
	assert_int_equal(counters_read(&view, API_SECTION_PORTS, 0, 1, ports, 8), -EAGAIN);
	section->used = 1000; /* more than there is */
	assert_int_equal(counters_used(&view, API_SECTION_PORTS), 4);
	free(base);
}

static void the_header_is_validated_once(void **state)
{
	const struct {
		size_t field; /* 32-bit word in the first section */
		uint32_t value;
	} rows[] = {
		{offsetof(struct api_section, stride), 0},
		{offsetof(struct api_section, stride), 12},
		{offsetof(struct api_section, stride), 0xfffffff8},
		{offsetof(struct api_section, rows), 0xffffffff},
		{offsetof(struct api_section, offset), 0},
		{offsetof(struct api_section, offset), 0x7ffffff8},
		{offsetof(struct api_section, offset), 4097},
		{offsetof(struct api_section, offset) + 4, 0xffffffff},
	};
	struct counters_view view;
	struct api_count_peer peer;
	struct api_counters *header;
	size_t bytes;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *base = make(&bytes);

		header = base;
		memcpy((uint8_t *)&header->section[0] + rows[i].field, &rows[i].value, 4);
		assert_int_equal(counters_attach(&view, base, bytes), -EPROTO);
		free(base);
	}
	header = make(&bytes);
	assert_int_equal(counters_attach(&view, header, 64), -EPROTO);
	header->sections = API_COUNTERS_SECTIONS + 1;
	assert_int_equal(counters_attach(&view, header, bytes), -EPROTO);
	header->sections = SECTIONS;
	header->magic++;
	assert_int_equal(counters_attach(&view, header, bytes), -EPROTO);
	header->magic--;
	assert_int_equal(counters_attach(&view, header, bytes), 0);
	/* Changed afterwards: the private copy counts. */
	header->section[0].offset = UINT64_MAX - 7;
	header->section[0].rows = UINT32_MAX;
	assert_int_equal(counters_read(&view, API_SECTION_PEERS, 99, 1, &peer, sizeof(peer)), 0);
	assert_int_equal(
		counters_read(&view, API_SECTION_PEERS, 100, 1, &peer, sizeof(peer)), -ENOENT);
	free(header);
}

struct writer {
	void *base;
	atomic_bool stop;
};

static void *write_rounds(void *arg)
{
	struct writer *writer = arg;
	struct api_section *section = counters_section(writer->base, API_SECTION_PEERS);
	volatile struct api_count_peer *rows = counters_rows(writer->base, section);

	for (uint64_t round = 1; !atomic_load(&writer->stop); round++) {
		counters_write_begin(section);
		for (unsigned i = 0; i < 100; i++) {
			rows[i].rx_packets = round;
			rows[i].flows = round;
		}
		counters_write_end(section);
		/* A real writer rests for a second. */
		for (volatile unsigned i = 0; i < 2000; i++)
			continue;
	}
	return NULL;
}

static void copies_are_consistent(void **state)
{
	struct api_count_peer peers[100];
	struct counters_view view;
	struct writer writer = {0};
	unsigned good = 0;
	pthread_t thread;
	size_t bytes;

	writer.base = make(&bytes);
	assert_int_equal(counters_attach(&view, writer.base, bytes), 0);
	assert_int_equal(pthread_create(&thread, NULL, write_rounds, &writer), 0);
	for (unsigned i = 0; i < 20000; i++) {
		if (counters_read(&view, API_SECTION_PEERS, 0, 100, peers, sizeof(peers[0])) != 0)
			continue;
		good++;
		for (unsigned p = 0; p < 100; p++) {
			assert_int_equal(peers[p].rx_packets, peers[0].rx_packets);
			assert_int_equal(peers[p].flows, peers[0].rx_packets);
		}
	}
	atomic_store(&writer.stop, true);
	pthread_join(thread, NULL);
	assert_true(good > 0);
	free(writer.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_read),
		cmocka_unit_test(the_header_is_validated_once),
		cmocka_unit_test(copies_are_consistent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
