/* SPDX-License-Identifier: BSD-3-Clause */
/* The connection: versions, one controller at a time, rings full and broken, sleep, counters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ring/counters.h"
#include "test/unit/dataplane/main/controller.h"

/* Changes one size of a hello; 0 = the type is not known there. */
static void set_size(struct channel_hello *hello, uint16_t type, uint16_t size)
{
	for (unsigned i = 0; i < hello->count; i++) {
		if (hello->sizes[i].type != type)
			continue;
		if (size != 0)
			hello->sizes[i].size = size;
		else
			hello->sizes[i] = hello->sizes[--hello->count];
		return;
	}
	hello->sizes[hello->count++] = (struct channel_size){.type = type, .size = size};
}

static void other_minor_versions_work(void **state)
{
	union {
		struct api_port_set set;
		uint8_t bytes[sizeof(struct api_port_set) + 16];
	} port = {.bytes = {0}};
	struct api_event_neigh neigh;
	struct api_event_peer peer;
	struct channel_hello hello;
	union message message;

	/* An older controller: shorter structs, and an event that it does not know. */
	disconnect_control();
	channel_hello_init(&hello);
	set_size(&hello, API_PORT_SET, 16);
	set_size(&hello, API_EVENT_NEIGH, 24);
	set_size(&hello, API_EVENT_PEER, 0);
	attach(say_hello(&hello));
	put_begin(API_TXN_FULL, 0, 1);
	port.set = toy_port(1, 1500);
	port.set.header.length = 16;
	put(&port);
	put_commit(1);
	expect_reply(1001, API_OK);
	assert_int_equal(toy.live[1], 1);
	api_message_init(&neigh, API_EVENT_NEIGH, sizeof(neigh));
	neigh.port = 9;
	api_message_init(&peer, API_EVENT_PEER, sizeof(peer));
	assert_int_equal(session_event(&peer), 0);
	assert_int_equal(session_event(&neigh), 0);
	poll_session();
	assert_int_equal(get(&message), 24);
	assert_int_equal(message.header.type, API_EVENT_NEIGH);
	expect_nothing();
	/* It must send what it has announced. */
	put_begin(API_TXN_FULL, 0, 1);
	port.set.header.length = sizeof(port.set);
	put(&port);
	put_commit(2);
	expect_reply(1002, API_E_SIZE);

	/* A newer one: longer structs and unknown types; what says nothing new is cut. */
	disconnect_control();
	channel_hello_init(&hello);
	hello.minor = API_MINOR + 5;
	set_size(&hello, API_PORT_SET, sizeof(port));
	set_size(&hello, 0x0999, 64);
	attach(say_hello(&hello));
	port.set.header.length = sizeof(port);
	put_begin(API_TXN_FULL, 0, 1);
	put(&port);
	put_commit(3);
	expect_reply(1003, API_OK);
	put_begin(API_TXN_FULL, 0, 1);
	port.bytes[sizeof(port) - 1] = 1;
	put(&port);
	put_commit(4);
	expect_reply(1004, API_E_SIZE);
	put_begin(API_TXN_FULL, 0, 1);
	port.set.header.type = 0x0999;
	port.set.header.length = 64;
	put(&port);
	put_commit(5);
	expect_reply(1005, API_E_UNKNOWN);
	assert_int_equal(session_generation(session), 3);
}

static void one_controller_at_a_time(void **state)
{
	struct channel_received received;
	struct channel_hello hello;
	int silent, fd;

	channel_hello_init(&hello);
	fd = say_hello(&hello);
	assert_int_equal(channel_receive(fd, &received), 0);
	assert_int_equal(received.kind, CHANNEL_REFUSED);
	assert_string_equal(received.refused.text, "another controller is connected");
	close(fd);
	commit_port(1, 1); /* the first does not notice */

	/* Killed and started again: no second one, even if both arrive in one poll. */
	channel_close(&control);
	connect_control();
	commit_port(1, 2);

	/* One that says nothing keeps nobody out for long. */
	disconnect_control();
	silent = channel_connect(session_path);
	poll_session();
	fd = say_hello(&hello);
	assert_int_equal(channel_receive(fd, &received), 0);
	assert_int_equal(received.kind, CHANNEL_REFUSED);
	close(fd);
	toy.now_ns += 1000000000;
	attach(say_hello(&hello));
	assert_int_equal(channel_receive(silent, &received), 0);
	assert_int_equal(received.kind, CHANNEL_REFUSED);
	close(silent);
	commit_port(1, 3);
}

static void resync_follows_a_full_ring(void **state)
{
	struct api_event_neigh neigh;
	union message message;
	unsigned sent = 0;

	api_message_init(&neigh, API_EVENT_NEIGH, sizeof(neigh));
	assert_true(session_event_ready());
	while (session_event(&neigh) == 0)
		neigh.port = (uint16_t)++sent;
	assert_true(sent > 50);
	assert_false(session_event_ready());
	assert_int_equal(session_event(&neigh), -ENOBUFS);
	poll_session();
	/* A commit is still answered: its room was kept free. */
	put_begin(API_TXN_FULL, 0, 1);
	put_port(1, 1500);
	put_commit(1);
	poll_session();
	assert_int_equal(session_generation(session), 1);
	for (unsigned i = 0; i < sent; i++) {
		assert_int_equal(ring_get(&control.in, &message), sizeof(neigh));
		assert_int_equal(message.neigh.port, i);
	}
	assert_int_equal(get(&message), sizeof(struct api_reply));
	assert_int_equal(message.header.cookie, 1001);
	poll_session();
	assert_int_equal(get(&message), sizeof(struct api_event_resync));
	assert_int_equal(message.header.type, API_EVENT_RESYNC);
	assert_int_equal(message.resync.lost, 2);
	assert_true(session_event_ready());
	assert_int_equal(session_event(&neigh), 0);
	poll_session();
	assert_int_equal(get(&message), sizeof(neigh));
	expect_nothing();

	/* While nobody is there events are lost, too. */
	disconnect_control();
	assert_false(session_event_ready());
	assert_int_equal(session_event(&neigh), -ENOBUFS);
	connect_control();
	poll_session();
	assert_int_equal(get(&message), sizeof(struct api_event_resync));
	assert_int_equal(message.resync.lost, 1);
	expect_nothing();
}

static void a_broken_ring_ends_the_connection_only(void **state)
{
	struct channel_received received;
	uint64_t at; /* of the port's message */

	commit_port(1, 1);
	for (unsigned i = 0; i < 4; i++) {
		at = control.out.tail + sizeof(struct api_txn_begin);
		put_begin(API_TXN_FULL, 0, 2);
		put_port(2, 1500);
		switch (i) {
		case 0:
			atomic_store(&control.out.shared->tail, 1ULL << 40);
			break;
		case 1:
			((struct api_header *)(void *)(control.out.shared->data + at))->length = 4;
			break;
		case 2:
			atomic_store(&control.in.shared->head, 12345678);
			break;
		default:
			assert_int_equal(send(control.socket, "xyz", 3, 0), 3);
		}
		poll_session();
		assert_int_equal(session_connection(), 0);
		assert_int_equal(channel_receive(control.socket, &received), -ENOTCONN);
		channel_close(&control);
		assert_int_equal(toy.live[1], 1);
		assert_int_equal(toy.live[2], 0);
		connect_control();
		commit_port(1, 2 + i);
	}
	assert_int_equal(toy.created, 1);
}

static void sleep_and_wake(void **state)
{
	struct api_event_neigh neigh;
	struct pollfd client = {.fd = control.socket, .events = POLLIN};
	uint64_t count;
	int flags;

	poll_session();
	assert_true(session_sleep(session));
	assert_false(woken(0));
	put_begin(API_TXN_FULL, 0, 1);
	assert_true(woken(30000));
	assert_int_equal(control.out.bells, 1);
	poll_session();
	put_port(1, 1500); /* awake: no bell */
	assert_int_equal(control.out.bells, 1);
	assert_false(session_sleep(session)); /* looks again before it sleeps */
	poll_session();

	/* A controller that fiddles with the common eventfd hangs nobody. */
	flags = fcntl(control.eventfd, F_GETFL);
	assert_int_equal(fcntl(control.eventfd, F_SETFL, flags & ~O_NONBLOCK), 0);
	alarm(60);
	assert_true(session_sleep(session));
	put_commit(1);
	assert_int_equal(read(control.eventfd, &count, sizeof(count)), sizeof(count));
	poll_session();
	alarm(0);
	assert_int_equal(session_generation(session), 1);

	/* The other way round: an event between polls wakes a controller that sleeps. */
	assert_int_equal(get(&(union message){{0}}), sizeof(struct api_reply));
	while (recv(control.socket, &count, sizeof(count), MSG_DONTWAIT) > 0)
		continue;
	assert_true(ring_wait_data(&control.in));
	assert_int_equal(poll(&client, 1, 0), 0);
	api_message_init(&neigh, API_EVENT_NEIGH, sizeof(neigh));
	assert_int_equal(session_event(&neigh), 0);
	assert_true(session_sleep(session));
	assert_int_equal(poll(&client, 1, 30000), 1);

	/* After a disconnect the old eventfd, still held there, wakes nobody. */
	flags = dup(control.eventfd);
	disconnect_control();
	assert_true(session_sleep(session));
	assert_int_equal(write(flags, &(uint64_t){1}, 8), 8);
	assert_false(woken(0));
	close(flags);
}

static size_t opened;
static unsigned closed;

static void open_counters(void *base, size_t bytes, void *arg)
{
	static const struct counters_section section = {
		API_SECTION_PORTS, sizeof(struct api_count_port), 4};

	opened = bytes;
	counters_layout(base, &section, 1);
	counters_section(base, API_SECTION_PORTS)->used = 2;
}

static void close_counters(void *arg)
{
	closed++;
}

static void counters_come_with_the_connection(void **state)
{
	struct session_options options = {.path = session_path,
		.uid = geteuid(),
		.counters_bytes = 20000,
		.clock_ns = toy_clock,
		.counters_open = open_counters,
		.counters_close = close_counters};
	struct counters_view view;
	int error;

	toy_reset();
	session = session_create(&options, &error);
	assert_non_null(session);
	connect_control();
	assert_true(opened >= 20000);
	assert_int_equal(counters_attach(&view, control.counters, control.counters_bytes), 0);
	assert_int_equal(counters_used(&view, API_SECTION_PORTS), 2);
	assert_int_equal(closed, 0);
	disconnect_control();
	assert_int_equal(closed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(other_minor_versions_work, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_controller_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			resync_follows_a_full_ring, set_up_small, tear_down),
		cmocka_unit_test_setup_teardown(
			a_broken_ring_ends_the_connection_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sleep_and_wake, set_up, tear_down),
		cmocka_unit_test_teardown(counters_come_with_the_connection, tear_down),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
