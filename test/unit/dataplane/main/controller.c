/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/dataplane/main/controller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/main/handler.h"

char session_path[64];
struct session *session;
struct channel control;

static char directory[] = "/tmp/sallyport-session-XXXXXX";

int make_directory(void **state)
{
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(session_path, sizeof(session_path), "%s/s", directory);
	return 0;
}

int remove_directory(void **state)
{
	return rmdir(directory);
}

void poll_session(void)
{
	for (unsigned i = 0; i < 1000 && session_poll(session, toy.now_ns); i++)
		continue;
}

int say_hello(const struct channel_hello *hello)
{
	int fd = channel_connect(session_path);

	assert_true(fd >= 0);
	assert_int_equal(channel_send_hello(fd, hello), 0);
	poll_session();
	return fd;
}

void attach(int fd)
{
	struct channel_received received;
	char text[CHANNEL_TEXT_MAX];

	assert_int_equal(channel_receive(fd, &received), 0);
	assert_int_equal(received.kind, CHANNEL_HELLO);
	assert_int_equal(channel_attach(&control, fd, &received, text), 0);
}

void connect_control(void)
{
	struct channel_hello hello;

	channel_hello_init(&hello);
	attach(say_hello(&hello));
}

static int set_up_with(uint32_t reply_bytes)
{
	struct session_options options = {.path = session_path,
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

int set_up(void **state)
{
	return set_up_with(1 << 16);
}

int set_up_small(void **state)
{
	return set_up_with(4096);
}

int tear_down(void **state)
{
	if (control.peer_sizes != NULL)
		channel_close(&control);
	session_destroy(&session);
	handler_clear();
	return access(session_path, F_OK) == 0 ? -1 : 0;
}

void put(const void *message)
{
	assert_int_equal(ring_put(&control.out, message), 0);
	ring_publish(&control.out);
}

void put_begin(enum api_txn_mode mode, uint64_t base, uint64_t count)
{
	struct api_txn_begin begin = toy_begin(mode, base, count);

	put(&begin);
}

void put_port(uint16_t port, uint16_t mtu)
{
	struct api_port_set set = toy_port(port, mtu);

	put(&set);
}

void put_commit(uint64_t generation)
{
	struct api_txn_commit commit = toy_commit(generation);

	commit.header.cookie = (uint32_t)generation + 1000;
	put(&commit);
}

int get(union message *message)
{
	int rc = ring_get(&control.in, message);

	ring_release(&control.in);
	return rc;
}

void expect_reply(uint32_t cookie, int code)
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

void expect_nothing(void)
{
	union message message;

	poll_session();
	assert_int_equal(get(&message), 0);
}

void commit_port(uint16_t port, uint64_t generation)
{
	put_begin(API_TXN_FULL, 0, 1);
	put_port(port, 1500);
	put_commit(generation);
	expect_reply((uint32_t)generation + 1000, API_OK);
}

void disconnect_control(void)
{
	channel_close(&control);
	poll_session();
	assert_int_equal(session_connection(), 0);
}

bool woken(int ms)
{
	struct pollfd fd = {.fd = session_fd(session), .events = POLLIN};

	return poll(&fd, 1, ms) == 1;
}
