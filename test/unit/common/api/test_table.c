/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/api/table.h"

/*
 * Frozen: what API 1.3 looks like on the rings. A struct may only grow at its end (raise its size
 * here and API_MINOR); anything else is another major version.
 */
static const struct {
	uint16_t type;
	uint16_t size;
	const char *name;
} frozen[] = {
	{0x0001, 32, "txn.begin"},
	{0x0002, 16, "txn.commit"},
	{0x0003, 8, "txn.abort"},
	{0x0010, 120, "reply"},
	{0x0011, 16, "event.resync"},
	{0x0100, 224, "port.set"},
	{0x0101, 16, "port.del"},
	{0x0110, 24, "event.port"},
	{0x0200, 48, "wg_interface.set"},
	{0x0201, 16, "wg_interface.del"},
	{0x0202, 120, "peer.set"},
	{0x0203, 16, "peer.del"},
	{0x0210, 72, "event.peer"},
	{0x0300, 32, "local.set"},
	{0x0301, 32, "local.del"},
	{0x0302, 40, "neigh.set"},
	{0x0303, 32, "neigh.del"},
	{0x0304, 72, "route.set"},
	{0x0305, 40, "route.del"},
	{0x0306, 32, "allowed.set"},
	{0x0307, 32, "allowed.del"},
	{0x0310, 32, "event.neigh"},
	{0x0400, 72, "policy.set"},
	{0x0401, 16, "policy.del"},
	{0x0500, 40, "egress_addr.set"},
	{0x0501, 16, "egress_addr.del"},
	{0x0502, 144, "egress_pool.set"},
	{0x0503, 16, "egress_pool.del"},
	{0x0504, 48, "egress_rule.set"},
	{0x0505, 16, "egress_rule.del"},
	{0x0506, 384, "forward.set"},
	{0x0507, 16, "forward.del"},
	{0x0700, 56, "map.set"},
	{0x0701, 32, "map.del"},
	{0x0510, 48, "event.block"},
	{0x0600, 16, "flow.dump"},
	{0x0601, 136, "flow.entry"},
	{0x0602, 40, "flow_timeouts.set"},
	{0x0603, 16, "flow_timeouts.del"},
	{0x0604, 24, "counted.set"},
	{0x0605, 16, "counted.del"},
	{0x0606, 40, "flow_limits.set"},
	{0x0607, 16, "flow_limits.del"},
	{0x0a00, 496, "capture.code"},
	{0x0a01, 24, "capture.start"},
	{0x0a02, 16, "capture.read"},
	{0x0a03, 504, "capture.part"},
	{0x0a04, 8, "capture.stop"},
	{0x0b00, 16, "trace.start"},
	{0x0b01, 8, "trace.read"},
	{0x0b02, 280, "trace.entry"},
};

static void sizes_are_the_frozen_ones(void **state)
{
	assert_int_equal(api_message_count, sizeof(frozen) / sizeof(frozen[0]));
	for (unsigned i = 0; i < api_message_count; i++) {
		const struct api_message *message = api_message_find(frozen[i].type);

		if (message == NULL || message->size != frozen[i].size)
			print_error("%s is now %u bytes\n", frozen[i].name,
				message == NULL ? 0 : message->size);
		assert_non_null(message);
		assert_int_equal(message->type, frozen[i].type);
		assert_int_equal(message->size, frozen[i].size);
		assert_string_equal(message->name, frozen[i].name);
		assert_string_equal(api_message_name(frozen[i].type), frozen[i].name);
	}
	assert_null(api_message_find(0x7fff));
	assert_string_equal(api_message_name(0x7fff), "unknown");
}

static void only_requests_flow_to_the_data_plane(void **state)
{
	static const struct {
		uint16_t type;
		bool request;
	} rows[] = {
		{API_TXN_BEGIN, true},
		{API_PEER_SET, true},
		{API_FLOW_DUMP, true},
		{API_REPLY, false},
		{API_EVENT_PEER, false},
		{API_FLOW_ENTRY, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
			api_message_is_request(api_message_find(rows[i].type)), rows[i].request);
}

static void messages_are_fitted(void **state)
{
	static const struct {
		uint16_t length; /* received */
		uint16_t size;   /* known */
		int dirty;       /* byte that is not zero, -1 = none */
		int code;
	} rows[] = {
		{32, 32, 31, API_OK},
		{40, 32, 31, API_OK},     /* newer sender, nothing new said */
		{40, 32, 32, API_E_SIZE}, /* newer sender, first surplus byte says something */
		{40, 32, 39, API_E_SIZE}, /* the last one */
		{16, 32, 15, API_OK},     /* older sender */
		{8, 32, 7, API_OK},
		{0, 32, -1, API_E_SIZE},
		{520, 32, -1, API_E_SIZE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t message[528] = {0};
		uint8_t before[528];
		uint16_t known = rows[i].length < rows[i].size ? rows[i].length : rows[i].size;

		/* What lies behind a short message must not be taken for a part of it. */
		memset(message + rows[i].length, 0xee, sizeof(message) - rows[i].length);
		if (rows[i].dirty >= 8)
			message[rows[i].dirty] = 0x77;
		memcpy(before, message, sizeof(before));
		assert_int_equal(
			api_message_fit(message, rows[i].length, rows[i].size), rows[i].code);
		if (rows[i].code != API_OK)
			continue;
		assert_int_equal(((struct api_header *)message)->length, rows[i].size);
		assert_memory_equal(message + 8, before + 8, known - 8);
		for (unsigned b = known; b < rows[i].size; b++)
			assert_int_equal(message[b], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_the_frozen_ones),
		cmocka_unit_test(only_requests_flow_to_the_data_plane),
		cmocka_unit_test(messages_are_fitted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
