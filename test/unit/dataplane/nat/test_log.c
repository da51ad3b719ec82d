/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log of port blocks against a reader that is slow, goes away and comes back: whatever it
 * missed, in the end every port in use is one of a block that the reader thinks its user has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <cmocka.h>

#include "common/api/egress.h"
#include "dataplane/main/session.h"
#include "dataplane/nat/nat_priv.h"
#include "test/unit/dataplane/flow/fakes.h"

enum { BLOCKS = NAT_BLOCKS, USERS = 64, MAPPINGS = 4096 };

/* --- the reader: what the controller does with events --- */

static uint64_t connection = 1;
static unsigned room;            /* events that fit now */
static bool held[BLOCKS][USERS]; /* is open */
static bool seen[BLOCKS][USERS]; /* since SYNC_BEGIN */
static unsigned received, syncs;

uint64_t session_connection(void)
{
	return connection;
}

bool session_event_ready(void)
{
	return connection != 0 && room > 0;
}

int session_event(const void *message)
{
	const struct api_event_block *event = message;
	unsigned block = event->port_first / API_BLOCK_PORTS;

	assert_true(session_event_ready());
	assert_int_equal(event->header.type, API_EVENT_BLOCK);
	room--;
	received++;
	switch (event->kind) {
	case API_BLOCK_TAKEN:
		memset(held[block], 0, sizeof(held[block]));
		/* fall through */
	case API_BLOCK_SHARED:
	case API_BLOCK_HELD:
		assert_int_equal(event->proto, IPPROTO_UDP);
		held[block][event->subscriber] = true;
		seen[block][event->subscriber] = true;
		break;
	case API_BLOCK_RELEASED:
		memset(held[block], 0, sizeof(held[block]));
		break;
	case API_BLOCK_SYNC_BEGIN:
		memset(seen, 0, sizeof(seen));
		break;
	default:
		assert_int_equal(event->kind, API_BLOCK_SYNC_END);
		for (unsigned i = 0; i < BLOCKS; i++) {
			for (unsigned k = 0; k < USERS; k++)
				held[i][k] = held[i][k] && seen[i][k];
		}
		syncs++;
	}
	return 0;
}

/* --- ports of users --- */

static struct nat_worker *nat;
static struct nat_wanted wanted;
static uint32_t mapping[MAPPINGS];
static uint16_t port_of[MAPPINGS];

static unsigned user_of(unsigned n)
{
	return 1 + n % (USERS - 1);
}

static void map(unsigned n)
{
	wanted.port = (uint16_t)(n + 1);
	wanted.subscriber = user_of(n);
	mapping[n] = nat_map(nat, &wanted, &port_of[n]);
}

static void unmap(unsigned n)
{
	nat_unmap(nat, mapping[n]);
	mapping[n] = 0;
}

static void settle(void)
{
	/* an address without blocks in use takes a round without an event */
	for (unsigned i = 0, quiet = 0; i < 2000; i++) {
		unsigned before = received;

		room = 100;
		nat_log_housekeep();
		quiet = received == before ? quiet + 1 : 0;
		if (quiet == 20)
			return;
	}
	fail_msg("it does not come to an end");
}

static void expect_truth(void)
{
	unsigned in_use[BLOCKS] = {0};

	for (unsigned n = 0; n < MAPPINGS; n++) {
		unsigned block = port_of[n] / API_BLOCK_PORTS;

		if (mapping[n] == 0)
			continue;
		in_use[block]++;
		assert_true(held[block][user_of(n)]);
	}
	for (unsigned block = 0; block < BLOCKS; block++) {
		for (unsigned user = 0; user < USERS; user++)
			assert_true(!held[block][user] || in_use[block] > 0);
	}
}

static int set_up(void **state)
{
	uint16_t options;
	struct nat_asked asked = {.set_id = 1, .subscriber = 1};

	fake_exit_node();
	assert_int_equal(nat_worker_create(&nat, 0, MAPPINGS), 0);
	assert_int_equal(addr_parse("100.64.0.1", &asked.src), 0);
	assert_int_equal(addr_parse("203.0.113.9", &asked.dst), 0);
	wanted = (struct nat_wanted){.proto = IPPROTO_UDP,
		.inside = asked.src,
		.address = nat_select(fake_copy, &asked, &options)};
	memset(mapping, 0, sizeof(mapping));
	memset(held, 0, sizeof(held));
	connection++;
	return 0;
}

static int tear_down(void **state)
{
	for (unsigned n = 0; n < MAPPINGS; n++) {
		if (mapping[n] != 0)
			unmap(n);
	}
	connection++;
	settle();
	nat_worker_destroy(&nat);
	return 0;
}

static void test_every_change_is_told(void **state)
{
	unsigned before;

	settle();
	before = received;
	map(0);
	map(USERS - 1); /* the same user: the same block */
	settle();
	assert_int_equal(received, before + 1);
	assert_true(held[port_of[0] / API_BLOCK_PORTS][user_of(0)]);
	unmap(0);
	settle();
	assert_int_equal(received, before + 1);
	unmap(USERS - 1);
	settle();
	assert_int_equal(received, before + 2);
	expect_truth();
}

/* A reader that comes while ports are in use is told which. */
static void test_a_new_reader(void **state)
{
	for (unsigned n = 0; n < 500; n++)
		map(n);
	settle();
	expect_truth();
	connection++; /* and what was sent last was not read */
	memset(held, 1, sizeof(held));
	syncs = 0;
	settle();
	assert_int_equal(syncs, 1);
	expect_truth();
}

static void test_random(void **state)
{
	srand(6302);
	for (unsigned i = 0; i < 60000; i++) {
		unsigned n = (unsigned)rand() % MAPPINGS;

		if (mapping[n] == 0)
			map(n);
		else
			unmap(n);
		if (rand() % 50 == 0) {
			room = (unsigned)rand() % 20;
			nat_log_housekeep();
		}
		if (rand() % 5000 == 0)
			connection = connection == 0 ? (uint64_t)i + 1000 : 0;
		if (rand() % 10000 == 0)
			memset(held[rand() % BLOCKS], rand() % 2, sizeof(held[0]));
	}
	connection = 1 << 20;
	settle();
	expect_truth();
}

/* Nobody reads for longer than the rings hold: all is told anew. */
static void test_overflow(void **state)
{
	settle();
	for (unsigned i = 0; i < 20000; i++) {
		map(0);
		unmap(0);
	}
	map(0);
	syncs = 0;
	settle();
	assert_int_equal(syncs, 1);
	expect_truth();
}

/* No block is free any more: ports of others' blocks, and the log says so. */
static void test_shared_blocks(void **state)
{
	unsigned shared = 0;

	settle();
	/* 3 blocks, 4 users */
	fake_egress(1, "198.51.100.1", 1024, 1024 + 3 * API_BLOCK_PORTS - 1);
	for (unsigned n = 0; n < 4; n++)
		map(n);
	settle();
	expect_truth();
	for (unsigned block = 0; block < BLOCKS; block++) {
		unsigned users = 0;

		for (unsigned user = 0; user < USERS; user++)
			users += held[block][user];
		shared += users > 1;
	}
	assert_int_equal(shared, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_change_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_new_reader, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_random, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_overflow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shared_blocks, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
