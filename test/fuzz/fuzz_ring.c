/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile controller against the data plane's session: the input is a program of small steps
 * that write messages, indices, lengths and socket packets, while a second thread keeps changing
 * the shared memory. Whatever happens, only the connection may end: afterwards an honest
 * controller connects and commits.
 *
 * An odd first byte turns the concurrent writer off, so that those inputs are deterministic.
 */
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/ring/channel.h"
#include "common/ring/secret.h"
#include "dataplane/main/session.h"
#include "test/unit/dataplane/main/toy.h"

enum { RING_BYTES = 4096, STEPS_MAX = 400 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t left;
};

static char path[64];
static struct session *session;
static struct channel control;
static bool connected;

/* The second writer and what it may touch; the main thread changes this only while it rests. */
static struct {
	pthread_mutex_t lock;
	struct channel *target;
	uint64_t seed;
	atomic_uint rounds;
} vandal = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t take(struct input *in, size_t bytes)
{
	uint64_t value = 0;

	bytes = bytes < in->left ? bytes : in->left;
	memcpy(&value, in->data, bytes);
	in->data += bytes;
	in->left -= bytes;
	return value;
}

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void scribble(struct ring *ring, uint64_t r)
{
	volatile uint16_t *halves = (volatile uint16_t *)(void *)ring->shared->data;

	switch (r % 8) {
	case 0:
		ring->shared->tail = r >> (r >> 8) % 64;
		break;
	case 1:
		ring->shared->head = (r >> 32) % RING_BYTES & ~7ULL;
		break;
	case 2:
		ring->shared->producer_sleeps = (uint32_t)(r >> 32);
		ring->shared->consumer_sleeps = (uint32_t)(r >> 16);
		break;
	default:
		halves[(r >> 8) % (RING_BYTES / 2)] = (uint16_t)(r >> 40);
	}
}

static void *vandalise(void *arg)
{
	for (;;) {
		pthread_mutex_lock(&vandal.lock);
		for (unsigned i = 0; vandal.target != NULL && i < 64; i++) {
			uint64_t r = next_random(&vandal.seed);

			scribble(r & 1 ? &vandal.target->out : &vandal.target->in, r >> 1);
		}
		atomic_fetch_add(&vandal.rounds, 1);
		pthread_mutex_unlock(&vandal.lock);
		sched_yield();
	}
	return NULL;
}

static void set_vandal(struct channel *target, uint64_t seed)
{
	pthread_mutex_lock(&vandal.lock);
	vandal.target = target;
	vandal.seed = seed | 1;
	pthread_mutex_unlock(&vandal.lock);
}

static void poll_session(void)
{
	for (unsigned i = 0; i < 100 && session_poll(session, toy.now_ns); i++)
		toy.now_ns += 1000;
	toy.now_ns += 1000000;
}

static void connect_control(void)
{
	struct channel_received received;
	struct channel_hello hello;
	char text[CHANNEL_TEXT_MAX];
	int rc, fd = channel_connect(path);

	assert(fd >= 0);
	channel_hello_init(&hello);
	rc = channel_send_hello(fd, &hello);
	assert(rc == 0);
	for (unsigned i = 0; i < 4; i++)
		poll_session();
	rc = channel_receive(fd, &received);
	assert(rc == 0 && received.kind == CHANNEL_HELLO);
	rc = channel_attach(&control, fd, &received, text);
	assert(rc == 0);
	connected = true;
}

static void disconnect_control(void)
{
	set_vandal(NULL, 0);
	if (connected)
		channel_close(&control);
	connected = false;
	poll_session();
	assert(session_connection() == 0);
}

static char directory[] = "/tmp/sallyport-fuzz-XXXXXX";

static void clean_up(void)
{
	unlink(path);
	rmdir(directory);
}

static void initialize(void)
{
	struct session_options options = {.path = path,
		.uid = geteuid(),
		.request_bytes = RING_BYTES,
		.reply_bytes = RING_BYTES,
		.staging_bytes = 1 << 16,
		.clock_ns = toy_clock,
		.flip = toy_flip,
		.grace_done = toy_grace_done,
		.committed = toy_committed};
	pthread_t thread;
	int error;

	if (mkdtemp(directory) == NULL)
		abort();
	snprintf(path, sizeof(path), "%s/s", directory);
	log_set_level(NULL, LOG_LEVEL_ERROR);
	toy_reset();
	session = session_create(&options, &error);
	if (session == NULL || pthread_create(&thread, NULL, vandalise, NULL) != 0)
		abort();
	atexit(clean_up);
}

/* A message with a plausible header and the input's bytes behind it. */
static void put_message(struct input *in)
{
	uint8_t message[API_MESSAGE_MAX] = {0};
	const struct api_message *known = &api_messages[take(in, 1) % api_message_count];
	uint8_t twist = (uint8_t)take(in, 1) % 8;
	size_t body = take(in, 1);
	uint64_t at;

	api_message_init(message, known->type, known->size);
	if (twist == 1)
		((struct api_header *)message)->type = (uint16_t)take(in, 2);
	if (twist == 2)
		((struct api_header *)message)->length = (uint16_t)(take(in, 1) % 64 * 8 + 8);
	for (size_t i = 8; i < 8 + body && i < known->size && in->left > 0; i++)
		message[i] = (uint8_t)take(in, 1);
	if (known->type == API_TXN_BEGIN && twist == 0) {
		/* Half of them right, or nothing would ever be applied. */
		((struct api_txn_begin *)message)->mode = API_TXN_FULL;
		((struct api_txn_begin *)message)->count %= 8;
	}
	at = control.out.tail % RING_BYTES;
	if (ring_put(&control.out, message) != 0)
		return;
	if (twist == 3)
		((struct api_header *)(void *)(control.out.shared->data + at))->length =
			(uint16_t)take(in, 2);
	if (twist < 3)
		ring_publish(&control.out);
}

static void put_transaction(struct input *in)
{
	unsigned n = (unsigned)take(in, 1) % 8;
	struct api_txn_begin begin = toy_begin(API_TXN_FULL, 0, n);
	struct api_txn_commit commit = toy_commit(take(in, 1));

	if (ring_put(&control.out, &begin) != 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		struct api_port_set port = toy_port((uint16_t)(i + 1), (uint16_t)take(in, 2));

		if (ring_put(&control.out, &port) != 0)
			return;
	}
	if (ring_put(&control.out, &commit) == 0)
		ring_publish(&control.out);
}

static void send_packet(struct input *in)
{
	static const struct key keys[3] = {{{1}}};
	uint8_t bytes[64];
	size_t n = take(in, 1) % sizeof(bytes);
	int fd;

	if (n < 32) {
		fd = secret_seal(keys, 3);
		if (fd >= 0) {
			(void)!channel_send_secret(control.socket, take(in, 1), fd);
			close(fd);
		}
		return;
	}
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)take(in, 1);
	send(control.socket, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void drain_replies(void)
{
	uint8_t message[API_MESSAGE_MAX];

	/* This end is attacked by the second thread, too. */
	for (unsigned i = 0; i < 64; i++) {
		int rc = ring_get(&control.in, message);

		if (rc <= 0)
			break;
		assert(rc == ((struct api_header *)message)->length);
	}
	ring_release(&control.in);
}

/* True: let the session look now. */
static bool step(struct input *in)
{
	uint8_t which = (uint8_t)take(in, 1);
	struct ring *ring = which % 2 == 0 ? &control.out : &control.in;
	struct api_event_neigh neigh;

	switch (take(in, 1) % 12) {
	case 0:
		ring->shared->tail = take(in, 8);
		break;
	case 1:
		ring->shared->tail = ring->tail + take(in, 2) % 1024 * 8;
		break;
	case 2:
		ring->shared->head = take(in, 8);
		break;
	case 3:
		ring->shared->data[take(in, 2) % RING_BYTES] = (uint8_t)take(in, 1);
		break;
	case 4:
		send_packet(in);
		break;
	case 5:
		toy.grace_over = !toy.grace_over;
		break;
	case 6:
		api_message_init(&neigh, API_EVENT_NEIGH, sizeof(neigh));
		(void)session_event(&neigh);
		break;
	case 7:
		(void)session_sleep(session);
		break;
	case 8:
		drain_replies();
		break;
	case 9:
		put_transaction(in);
		break;
	default:
		put_message(in);
	}
	return which % 8 != 2;
}

/* After all that: somebody honest is served, completely. */
static void check_service(void)
{
	static uint64_t generation;
	struct api_txn_begin begin = toy_begin(API_TXN_FULL, 0, 1);
	struct api_port_set port = toy_port(1, 1500);
	struct api_txn_commit commit;
	union {
		struct api_reply reply;
		uint8_t bytes[API_MESSAGE_MAX];
	} message;
	int rc;

	toy.grace_over = true;
	disconnect_control();
	connect_control();
	commit = toy_commit(1000 + generation++);
	rc = ring_put(&control.out, &begin);
	assert(rc == 0);
	rc = ring_put(&control.out, &port);
	assert(rc == 0);
	rc = ring_put(&control.out, &commit);
	assert(rc == 0);
	ring_publish(&control.out);
	poll_session();
	do
		rc = ring_get(&control.in, &message);
	while (rc == sizeof(struct api_event_resync)); /* events of before */
	assert(rc == sizeof(struct api_reply) && message.reply.code == API_OK);
	assert(session_generation(session) == commit.generation);
	assert(toy.live[1] != 0 && toy.ports[0][1].mtu == 1500 && toy.ports[1][1].mtu == 1500);
	disconnect_control();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {.data = data, .left = size};
	bool concurrent;

	if (session == NULL)
		initialize();
	concurrent = take(&in, 1) % 2 == 0;
	toy.entries = 50;
	connect_control();
	set_vandal(concurrent ? &control : NULL, take(&in, 4));
	for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++) {
		unsigned rounds = atomic_load(&vandal.rounds);

		bool look = step(&in);

		/* Now and then wait until the other thread has had its turn. */
		while (concurrent && i % 16 == 0 && atomic_load(&vandal.rounds) == rounds)
			sched_yield();
		if (look)
			poll_session();
		if (session_connection() == 0) {
			set_vandal(NULL, 0);
			break;
		}
	}
	check_service();
	return 0;
}
