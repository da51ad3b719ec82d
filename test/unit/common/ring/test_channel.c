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
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ring/channel.h"
#include "common/ring/counters.h"

static char directory[] = "/tmp/sallyport-channel-XXXXXX";
static char path[64];

static const struct channel_offer offer = {.request_bytes = 4096,
	.reply_bytes = 8192,
	.counters_bytes = 5000,
	.instance = 11,
	.generation = 22};

static int make_directory(void **state)
{
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/s", directory);
	return 0;
}

static int remove_directory(void **state)
{
	unlink(path);
	return rmdir(directory);
}

static void set_up_counters(void *counters, size_t bytes, void *arg)
{
	*(size_t *)arg = bytes;
	counters_layout(counters, NULL, 0);
}

/* Both ends up to the point where the data plane has the controller's hello. */
static void meet(int *listener, int *client, int *server, const struct channel_hello *hello,
	struct channel_received *received)
{
	*listener = channel_listen(path, geteuid());
	assert_true(*listener >= 0);
	*client = channel_connect(path);
	assert_true(*client >= 0);
	*server = channel_accept(*listener, geteuid());
	assert_true(*server >= 0);
	assert_int_equal(channel_send_hello(*client, hello), 0);
	assert_int_equal(channel_receive(*server, received), 0);
	assert_int_equal(received->kind, CHANNEL_HELLO);
}

static void both_ends_share_sealed_memory(void **state)
{
	struct channel dp, control;
	struct channel_received received;
	struct channel_hello hello;
	int listener, client, server, memory[2];
	struct api_txn_abort message;
	uint8_t copy[API_MESSAGE_MAX];
	char text[CHANNEL_TEXT_MAX];
	size_t bytes = 0;

	channel_hello_init(&hello);
	meet(&listener, &client, &server, &hello, &received);
	assert_int_equal(channel_serve(&dp, server, &received, &offer, set_up_counters, &bytes), 0);
	assert_int_equal(bytes, 8192); /* whole pages */
	assert_int_equal(channel_receive(client, &received), 0);
	assert_int_equal(received.fd_count, CHANNEL_FDS);
	memory[0] = dup(received.fds[0]);
	memory[1] = dup(received.fds[1]);
	assert_int_equal(channel_attach(&control, client, &received, text), 0);
	assert_int_equal(control.instance, 11);
	assert_int_equal(control.generation, 22);

	for (unsigned i = 0; i < api_message_count; i++)
		assert_int_equal(
			channel_peer_size(&control, &api_messages[i]), api_messages[i].size);
	api_message_init(&message, API_TXN_ABORT, sizeof(message));
	assert_int_equal(ring_put(&control.out, &message), 0);
	ring_publish(&control.out);
	assert_int_equal(ring_get(&dp.in, copy), sizeof(message));
	assert_int_equal(ring_put(&dp.out, &message), 0);
	ring_publish(&dp.out);
	assert_int_equal(ring_get(&control.in, copy), sizeof(message));

	/* Nobody can make the other fault, and the controller cannot write counters. */
	for (int i = 0; i < 2; i++) {
		assert_int_not_equal(ftruncate(memory[i], 4096), 0);
		assert_int_not_equal(ftruncate(memory[i], 1 << 20), 0);
		assert_int_not_equal(fcntl(memory[i], F_ADD_SEALS, F_SEAL_WRITE), 0);
	}
	assert_true(
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory[1], 0) == MAP_FAILED);
	assert_int_equal(pwrite(memory[1], "x", 1, 0), -1);
	assert_int_not_equal(
		fallocate(memory[1], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
	assert_int_not_equal(mprotect(control.counters, 4096, PROT_READ | PROT_WRITE), 0);
	/* While the data plane's own mapping is written on. */
	((struct api_counters *)dp.counters)->generation = 5;
	assert_int_equal(((const struct api_counters *)control.counters)->generation, 5);

	close(memory[0]);
	close(memory[1]);
	channel_close(&control);
	assert_int_equal(channel_receive(dp.socket, &received), -ENOTCONN);
	channel_close(&dp);
	close(listener);
}

static void another_major_is_refused_in_one_line(void **state)
{
	struct channel channel;
	struct channel_received received;
	struct channel_hello hello;
	int listener, client, server;
	char text[CHANNEL_TEXT_MAX];

	channel_hello_init(&hello);
	hello.packet.major = API_MAJOR + 1;
	meet(&listener, &client, &server, &hello, &received);
	assert_int_equal(
		channel_serve(&channel, server, &received, &offer, NULL, NULL), -EPROTONOSUPPORT);
	close(server);
	assert_int_equal(channel_receive(client, &received), 0);
	assert_int_equal(received.kind, CHANNEL_REFUSED);
	assert_string_equal(
		received.refused.text, "the data plane speaks API 1, the controller API 2");
	/* And what a controller makes of a data plane of another major. */
	received.hello = hello;
	received.fd_count = 0;
	assert_int_equal(channel_attach(&channel, client, &received, text), -EPROTONOSUPPORT);
	assert_string_equal(text, "the data plane speaks API 2, this process API 1");
	close(client);
	close(listener);
}

static void nonsense_is_refused(void **state)
{
	struct channel_hello hello;
	struct channel_received received;
	struct channel channel;
	int sockets[2], fd;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sockets), 0);
	channel_hello_init(&hello);
	assert_int_equal(channel_receive(sockets[1], &received), -EAGAIN);

	hello.packet.magic++;
	assert_int_equal(channel_send_hello(sockets[0], &hello), 0);
	assert_int_equal(channel_receive(sockets[1], &received), -EPROTO);
	hello.packet.magic--;

	/* Announces more sizes than it sends. */
	hello.count = 100;
	assert_int_equal(send(sockets[0], &hello, 200, 0), 200);
	assert_int_equal(channel_receive(sockets[1], &received), -EPROTO);
	hello.count = CHANNEL_SIZES_MAX + 1;
	assert_int_equal(send(sockets[0], &hello, sizeof(hello), 0), sizeof(hello));
	assert_int_equal(channel_receive(sockets[1], &received), -EPROTO);
	hello.count = (uint16_t)api_message_count;

	/* Keys without a descriptor. */
	hello.packet.kind = CHANNEL_SECRET;
	assert_int_equal(send(sockets[0], &hello, sizeof(struct channel_secret), 0),
		sizeof(struct channel_secret));
	assert_int_equal(channel_receive(sockets[1], &received), -EPROTO);
	hello.packet.kind = CHANNEL_HELLO;

	/* A size that no message can have. */
	hello.sizes[3].size = 12;
	assert_int_equal(channel_send_hello(sockets[0], &hello), 0);
	assert_int_equal(channel_receive(sockets[1], &received), 0);
	assert_int_equal(
		channel_serve(&channel, sockets[1], &received, &offer, NULL, NULL), -EPROTO);

	/* A secret arrives with its descriptor, and descriptors of refused packets are closed. */
	fd = open("/dev/null", O_RDONLY);
	assert_int_equal(channel_send_secret(sockets[0], 9, fd), 0);
	while (received.kind != CHANNEL_SECRET || received.fd_count != 1)
		assert_int_equal(channel_receive(sockets[1], &received), 0);
	assert_int_equal(received.secret.token, 9);
	assert_int_not_equal(received.fds[0], fd);
	channel_received_close(&received);
	close(fd);
	close(sockets[0]);
	close(sockets[1]);
}

static void memory_without_seals_is_refused(void **state)
{
	struct channel_received received = {.kind = CHANNEL_HELLO, .fd_count = CHANNEL_FDS};
	struct channel channel;
	char text[CHANNEL_TEXT_MAX];

	channel_hello_init(&received.hello);
	received.hello.request_bytes = received.hello.reply_bytes = 4096;
	received.hello.counters_bytes = 4096;
	for (int i = 0; i < CHANNEL_FDS; i++) {
		received.fds[i] = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		assert_int_equal(ftruncate(received.fds[i], i == 0 ? 12288 : 4096), 0);
	}
	assert_int_equal(channel_attach(&channel, -1, &received, text), -EPROTO);
	assert_int_equal(received.fd_count, 0);
}

static void a_dead_socket_is_replaced_a_living_one_is_not(void **state)
{
	int again, listener = channel_listen(path, geteuid());
	struct stat st;
	FILE *file;

	assert_true(listener >= 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(channel_listen(path, geteuid()), -EADDRINUSE);
	close(listener); /* as if killed: the file stays */
	again = channel_listen(path, geteuid());
	assert_true(again >= 0);
	close(again);
	unlink(path);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(channel_listen(path, geteuid()), -EEXIST);
	unlink(path);
	assert_int_equal(channel_connect(path), -ENOENT);
}

static int be_somebody_else(const int done[2])
{
	struct channel_received received;
	struct channel_hello hello;
	struct pollfd answer;

	if (setresuid(65534, 65534, 65534) != 0)
		return 1;
	answer = (struct pollfd){.fd = channel_connect(path), .events = POLLIN};
	channel_hello_init(&hello);
	if (answer.fd < 0 || channel_send_hello(answer.fd, &hello) != 0 ||
		write(done[1], "x", 1) != 1)
		return 2;
	/* The reason arrives although the hello was never read. */
	if (poll(&answer, 1, 30000) != 1 || channel_receive(answer.fd, &received) != 0 ||
		received.kind != CHANNEL_REFUSED)
		return 3;
	return strncmp(received.refused.text, "user 65534 ", 11) == 0 ? 0 : 4;
}

/* As root: a child gives its uid up. Else there is no second user to be. */
static void another_user_is_refused(void **state)
{
	int listener, status, done[2];
	pid_t child;
	char byte;

	if (geteuid() != 0)
		skip();
	listener = channel_listen(path, geteuid());
	/* So that only the check of the peer's uid stands between. */
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(chmod(directory, 0711), 0);
	assert_int_equal(pipe(done), 0);
	child = fork();
	if (child == 0)
		_exit(be_somebody_else(done));
	assert_int_equal(read(done[0], &byte, 1), 1); /* hello was sent */
	assert_int_equal(channel_accept(listener, 0), -EPERM);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(done[0]);
	close(done[1]);
	close(listener);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends_share_sealed_memory),
		cmocka_unit_test(another_major_is_refused_in_one_line),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(memory_without_seals_is_refused),
		cmocka_unit_test(a_dead_socket_is_replaced_a_living_one_is_not),
		cmocka_unit_test(another_user_is_refused),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
