/* SPDX-License-Identifier: BSD-3-Clause */
/* What a controller asks for: transactions, also across connections, and streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "test/unit/dataplane/main/controller.h"

static void a_transaction_goes_through(void **state)
{
	assert_int_equal(session_generation(session), 0);
	assert_int_equal(control.generation, 0);
	assert_int_equal(control.instance, session_instance(session));
	assert_int_not_equal(control.instance, 0);
	commit_port(1, 7);
	expect_nothing();
	assert_int_equal(toy.live[1], 1);
	assert_int_equal(toy.committed, 7);
	assert_int_equal(session_generation(session), 7);
	assert_int_equal(session_active(session), toy.active);
	/* Resume: the same instance and generation. */
	disconnect_control();
	connect_control();
	assert_int_equal(control.generation, 7);
	assert_int_equal(control.instance, session_instance(session));
	assert_int_equal(session_connection(), 2);
	assert_int_equal(toy.live[1], 1);
}

static void misplaced_requests_are_answered(void **state)
{
	struct api_port_set port = toy_port(1, 1500);
	struct api_txn_commit commit = toy_commit(1);
	struct api_txn_abort abort_message;
	struct api_reply reply;
	struct api_flow_dump dump;

	port.header.cookie = 1;
	put(&port);
	expect_reply(1, API_E_STATE);
	commit.header.cookie = 2;
	put(&commit);
	expect_reply(2, API_E_STATE);
	api_message_init(&reply, API_REPLY, sizeof(reply));
	reply.header.cookie = 3;
	put(&reply); /* known, but not from there */
	expect_reply(3, API_E_UNKNOWN);
	reply.header.type = 0x7777;
	put(&reply);
	expect_reply(3, API_E_UNKNOWN);
	put_begin(API_TXN_FULL, 0, 1);
	put_begin(API_TXN_FULL, 0, 1);
	expect_reply(0, API_E_STATE);
	expect_nothing();
	api_message_init(&abort_message, API_TXN_ABORT, sizeof(abort_message));
	abort_message.header.cookie = 4;
	put_begin(API_TXN_FULL, 0, 1);
	put_port(1, 1500);
	put(&abort_message);
	expect_reply(4, API_OK);

	put_begin(API_TXN_FULL, 0, 2);
	put_port(1, 1500);
	api_message_init(&dump, API_FLOW_DUMP, sizeof(dump));
	put(&dump);
	put_commit(5);
	expect_reply(1005, API_E_STATE);
	assert_int_equal(toy.applied, 0);
	assert_int_equal(session_generation(session), 0);
}

static void a_disconnect_discards_the_staging(void **state)
{
	put_begin(API_TXN_FULL, 0, 2);
	put_port(1, 1500);
	poll_session();
	disconnect_control();
	connect_control();
	assert_int_equal(control.generation, 0);
	put_port(2, 1500); /* not the second message of anything */
	expect_reply(0, API_E_STATE);
	assert_int_equal(toy.applied, 0);
	commit_port(3, 1);
	assert_int_equal(toy.live[1], 0);
	assert_int_equal(toy.live[3], 1);
}

static void what_is_applied_is_applied_to_the_end(void **state)
{
	struct channel_received received;
	struct channel_hello hello;
	int fd;

	toy.grace_over = false;
	put_begin(API_TXN_FULL, 0, 1);
	put_port(1, 1500);
	put_commit(5);
	assert_true(session_poll(session, toy.now_ns));
	assert_false(session_sleep(session));
	assert_int_equal(toy.applied, 1);
	channel_close(&control);
	/* A new controller must not be told a generation that is about to change. */
	channel_hello_init(&hello);
	fd = say_hello(&hello);
	assert_int_equal(channel_receive(fd, &received), -EAGAIN);
	toy.now_ns += 10000000000; /* however long it takes */
	poll_session();
	assert_int_equal(channel_receive(fd, &received), -EAGAIN);
	toy.grace_over = true;
	poll_session();
	assert_true(woken(0)); /* the hello lies there yet */
	poll_session();
	attach(fd);
	assert_int_equal(control.generation, 5);
	assert_int_equal(toy.applied, 2);
	expect_nothing(); /* the reply was for the other one */
}

static void streams_flow_as_the_ring_has_room(void **state)
{
	enum { ENTRIES = 5000 };
	struct api_flow_dump dump;
	union message message;
	unsigned got = 0;

	api_message_init(&dump, API_FLOW_DUMP, sizeof(dump));
	dump.header.cookie = 31;
	dump.max = ENTRIES;
	toy.entries = 100000;
	put(&dump);
	poll_session();
	assert_int_equal(toy.streams_open, 1);
	assert_true(toy.streamed < 4096 / sizeof(struct api_flow_entry));
	/* Blocked by the controller only: sleeps until there is room. */
	assert_true(session_sleep(session));
	for (bool done = false; !done;) {
		int rc = get(&message);

		poll_session();
		if (rc == 0)
			continue;
		assert_int_equal(message.header.cookie, 31);
		if (message.header.type == API_REPLY) {
			assert_int_equal(message.reply.code, API_OK);
			done = true;
			continue;
		}
		assert_int_equal(message.flow.route_id, got++);
		if (got == 100) { /* another one in between, and a commit */
			dump.header.cookie = 32;
			toy.stream_paused = true;
			put(&dump);
			while (get(&message) > 0 && message.header.type == API_FLOW_ENTRY)
				assert_int_equal(message.flow.route_id, got++);
			if (message.header.type != API_REPLY) {
				poll_session();
				assert_int_equal(get(&message), sizeof(struct api_reply));
			}
			assert_int_equal(message.header.cookie, 32);
			assert_int_equal(message.reply.code, API_E_STATE);
			commit_port(1, 1);
			toy.stream_paused = false;
		}
	}
	assert_int_equal(got, ENTRIES);
	assert_int_equal(toy.streams_open, 0);
	dump.peer = 999;
	dump.header.cookie = 33;
	put(&dump);
	expect_reply(33, API_E_MISSING);
	/* Ended by a disconnect. */
	dump.peer = 0;
	toy.entries = 100000;
	put(&dump);
	poll_session();
	assert_int_equal(toy.streams_open, 1);
	disconnect_control();
	assert_int_equal(toy.streams_open, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_transaction_goes_through, set_up, tear_down),
		cmocka_unit_test_setup_teardown(misplaced_requests_are_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_disconnect_discards_the_staging, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_applied_is_applied_to_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			streams_flow_as_the_ring_has_room, set_up_small, tear_down),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
