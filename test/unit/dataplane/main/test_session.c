/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ring/channel.h"
#include "common/ring/counters.h"
#include "common/ring/secret.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/session.h"
#include "test/unit/dataplane/main/toy.h"

/* A message as it comes out of a ring. */
union message {
	struct api_header header;
	struct api_reply reply;
	struct api_event_resync resync;
	struct api_event_neigh neigh;
	struct api_event_peer peer;
	struct api_flow_entry flow;
	uint8_t bytes[API_MESSAGE_MAX];
};

static char directory[] = "/tmp/sallyport-session-XXXXXX";
static char path[64];
static struct session *session;
static struct channel control; /* the controller's end, in the same thread */

static int make_directory(void **state)
{
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/s", directory);
	return 0;
}

static int remove_directory(void **state)
{
	return rmdir(directory);
}

static void poll_session(void)
{
	for (unsigned i = 0; i < 1000 && session_poll(session, toy.now_ns); i++)
		continue;
}

static int say_hello(const struct channel_hello *hello)
{
	int fd = channel_connect(path);

	assert_true(fd >= 0);
	assert_int_equal(channel_send_hello(fd, hello), 0);
	poll_session();
	return fd;
}

static void attach(int fd)
{
	struct channel_received received;
	char text[CHANNEL_TEXT_MAX];

	assert_int_equal(channel_receive(fd, &received), 0);
	assert_int_equal(received.kind, CHANNEL_HELLO);
	assert_int_equal(channel_attach(&control, fd, &received, text), 0);
}

static void connect_control(void)
{
	struct channel_hello hello;

	channel_hello_init(&hello);
	attach(say_hello(&hello));
}

static int set_up_with(uint32_t reply_bytes)
{
	struct session_options options = {.path = path,
		.uid = geteuid(),
		.request_bytes = 1 << 16,
		.reply_bytes = reply_bytes,
		.staging_bytes = 1 << 20,
		.clock_ns = toy_clock,
		.flip = toy_flip,
		.grace_start = toy_grace_start,
		.grace_done = toy_grace_done,
		.committed = toy_committed};
	int error;

	toy_reset();
	session = session_create(&options, &error);
	if (session == NULL)
		return -1;
	connect_control();
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(1 << 16);
}

static int set_up_small(void **state)
{
	return set_up_with(4096);
}

static int tear_down(void **state)
{
	if (control.peer_sizes != NULL)
		channel_close(&control);
	session_destroy(&session);
	handler_clear();
	return access(path, F_OK) == 0 ? -1 : 0;
}

static void put(const void *message)
{
	assert_int_equal(ring_put(&control.out, message), 0);
	ring_publish(&control.out);
}

static void put_begin(enum api_txn_mode mode, uint64_t base, uint64_t count)
{
	struct api_txn_begin begin = toy_begin(mode, base, count);

	put(&begin);
}

static void put_port(uint16_t port, uint16_t mtu)
{
	struct api_port_set set = toy_port(port, mtu);

	put(&set);
}

static void put_commit(uint64_t generation)
{
	struct api_txn_commit commit = toy_commit(generation);

	commit.header.cookie = (uint32_t)generation + 1000;
	put(&commit);
}

static int get(union message *message)
{
	int rc = ring_get(&control.in, message);

	ring_release(&control.in);
	return rc;
}

static void expect_reply(uint32_t cookie, int code)
{
	union message message;

	poll_session();
	assert_int_equal(get(&message), sizeof(struct api_reply));
	assert_int_equal(message.header.type, API_REPLY);
	if (message.reply.code != code)
		print_error("reply: %s\n", message.reply.text);
	assert_int_equal(message.reply.code, code);
	assert_int_equal(message.header.cookie, cookie);
}

static void expect_nothing(void)
{
	union message message;

	poll_session();
	assert_int_equal(get(&message), 0);
}

static void commit_port(uint16_t port, uint64_t generation)
{
	put_begin(API_TXN_FULL, 0, 1);
	put_port(port, 1500);
	put_commit(generation);
	expect_reply((uint32_t)generation + 1000, API_OK);
}

static void disconnect_control(void)
{
	channel_close(&control);
	poll_session();
	assert_int_equal(session_connection(), 0);
}

static bool woken(int ms)
{
	struct pollfd fd = {.fd = session_fd(session), .events = POLLIN};

	return poll(&fd, 1, ms) == 1;
}

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
	silent = channel_connect(path);
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

static void send_keys(uint64_t token, const struct key *keys, uint32_t n)
{
	int fd = secret_seal(keys, n);

	assert_true(fd >= 0);
	assert_int_equal(channel_send_secret(control.socket, token, fd), 0);
	close(fd);
}

static void put_interface(uint16_t id, uint64_t token, uint32_t index)
{
	struct api_wg_interface_set set;

	api_message_init(&set, API_WG_INTERFACE_SET, sizeof(set));
	set.interface = id;
	set.private_key = (struct api_secret){.token = token, .index = index};
	put(&set);
}

static void keys_are_used_once(void **state)
{
	static const struct key keys[2] = {{{1, 2}}, {{3, 4}}};
	uint8_t out[KEY_SIZE];

	send_keys(77, keys, 2);
	put_begin(API_TXN_FULL, 0, 1);
	put_interface(1, 77, 1);
	put_commit(1);
	expect_reply(1001, API_OK);
	assert_memory_equal(&toy.keys[1], &keys[1], sizeof(keys[1]));
	/* The other one went with its transaction. */
	assert_false(session_secret_present(77, 0));
	assert_int_equal(session_secret(77, 0, out), -ENOENT);
	put_begin(API_TXN_FULL, 0, 1);
	put_interface(1, 77, 1);
	put_commit(2);
	expect_reply(1002, API_E_SECRET);

	/* Two transactions' keys; the first fails and takes only its own along. */
	send_keys(78, keys, 2);
	put_begin(API_TXN_FULL, 0, 2);
	put_interface(1, 78, 0);
	put_port(1, 1);
	put_commit(3);
	expect_reply(1003, API_E_VALUE);
	assert_false(session_secret_present(78, 0));
	send_keys(79, keys, 2);
	put_begin(API_TXN_FULL, 0, 1);
	put_interface(1, 79, 2); /* beyond the end */
	put_commit(4);
	expect_reply(1004, API_E_SECRET);
	send_keys(80, keys, 1);
	poll_session();
	assert_true(session_secret_present(80, 0));
	disconnect_control();
	assert_false(session_secret_present(80, 0));
}

static void keys_are_bounded(void **state)
{
	static const struct key key = {{5}};

	send_keys(0, &key, 1); /* no token */
	for (unsigned i = 1; i <= SESSION_SECRETS_MAX + 3; i++) {
		send_keys(i, &key, 1);
		poll_session();
	}
	send_keys(3, &key, 1); /* a token again */
	poll_session();
	assert_false(session_secret_present(0, 0));
	assert_true(session_secret_present(SESSION_SECRETS_MAX, 0));
	assert_false(session_secret_present(SESSION_SECRETS_MAX + 1, 0));
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
	struct session_options options = {.path = path,
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
		cmocka_unit_test_setup_teardown(a_transaction_goes_through, set_up, tear_down),
		cmocka_unit_test_setup_teardown(misplaced_requests_are_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_minor_versions_work, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_disconnect_discards_the_staging, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_applied_is_applied_to_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_controller_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			resync_follows_a_full_ring, set_up_small, tear_down),
		cmocka_unit_test_setup_teardown(keys_are_used_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keys_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			streams_flow_as_the_ring_has_room, set_up_small, tear_down),
		cmocka_unit_test_setup_teardown(
			a_broken_ring_ends_the_connection_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sleep_and_wake, set_up, tear_down),
		cmocka_unit_test_teardown(counters_come_with_the_connection, tear_down),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
