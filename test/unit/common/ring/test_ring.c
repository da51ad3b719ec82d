/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/api/api.h"
#include "common/ring/ring.h"

enum { CAPACITY = 4096, PATIENCE_MS = 60000 };

struct message {
	struct api_header header;
	uint64_t sequence;
	uint8_t fill[API_MESSAGE_MAX - 16];
};

_Static_assert(sizeof(struct message) == API_MESSAGE_MAX, "the largest message");

/* Both ends of one ring, in memory that a child shares. */
struct pair {
	void *memory;
	size_t bytes;
	struct ring producer;
	struct ring consumer;
};

static void pair_open(struct pair *pair, struct ring_bell to_consumer, struct ring_bell to_producer)
{
	pair->bytes = ring_bytes(CAPACITY);
	pair->memory =
		mmap(NULL, pair->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(pair->memory != MAP_FAILED);
	ring_attach(&pair->producer, pair->memory, CAPACITY, to_consumer);
	ring_attach(&pair->consumer, pair->memory, CAPACITY, to_producer);
}

static void pair_close(struct pair *pair)
{
	munmap(pair->memory, pair->bytes);
}

static const struct ring_bell no_bell = {.fd = -1};

static void make(struct message *message, uint64_t sequence, uint16_t length)
{
	message->header = (struct api_header){.type = 1, .length = length};
	message->sequence = sequence;
	memset(message->fill, (int)(sequence & 0xff), sizeof(message->fill));
}

/* Any length that has room for the sequence number. */
static uint16_t length_of(uint64_t sequence)
{
	return (uint16_t)(16 + sequence * 2654435761U % 63 * 8);
}

static void check(const struct message *message, uint64_t sequence)
{
	unsigned fill = message->header.length - 16U;

	assert_int_equal(message->header.length, length_of(sequence));
	assert_int_equal(message->sequence, sequence);
	for (unsigned i = 0; i < fill; i++)
		assert_int_equal(message->fill[i], sequence & 0xff);
}

/* Against a model: random puts, publishes, gets and releases; counts and order are known. */
static void behaves_like_a_queue(void **state)
{
	uint64_t put = 0, published = 0, got = 0, used = 0, unreleased = 0;
	struct message message;
	struct pair pair;

	pair_open(&pair, no_bell, no_bell);
	srandom(7);
	for (unsigned i = 0; i < 200000; i++) {
		int rc;

		switch (random() % 4) {
		case 0:
			make(&message, put, length_of(put));
			rc = ring_put(&pair.producer, &message);
			if (used + length_of(put) <= CAPACITY) {
				assert_int_equal(rc, 0);
				used += length_of(put++);
			} else {
				assert_int_equal(rc, -EAGAIN);
			}
			break;
		case 1:
			ring_publish(&pair.producer);
			published = put;
			assert_int_equal(ring_space(&pair.producer), CAPACITY - used);
			break;
		case 2:
			rc = ring_get(&pair.consumer, &message);
			if (got == published) {
				assert_int_equal(rc, 0);
				break;
			}
			assert_int_equal(rc, length_of(got));
			check(&message, got++);
			unreleased += (uint64_t)rc;
			break;
		default:
			ring_release(&pair.consumer);
			used -= unreleased;
			unreleased = 0;
		}
	}
	assert_true(got > 10000);
	pair_close(&pair);
}

static void hostile_indices_end_it(void **state)
{
	static const struct {
		uint64_t head, tail;
		int consumer; /* result of a get by a consumer that stands at 0 */
		int producer; /* result of a put by a producer that stands at 16 */
	} rows[] = {
		{0, 16, 16, 0},
		{0, 0, 0, 0},
		{0, CAPACITY, 16, 0},
		{0, CAPACITY + 8, -EPROTO, 0},
		{0, 12, -EPROTO, 0}, /* not a multiple of 8 */
		{0, 8, -EPROTO, 0},  /* the message reaches beyond the tail */
		{0, UINT64_MAX - 7, -EPROTO, 0},
		{0, 1ULL << 63, -EPROTO, 0},
		{24, 16, 16, -EPROTO}, /* consumed what was never put */
		{UINT64_MAX - 7, 16, 16, 0},
		{UINT64_MAX - CAPACITY + 1, 16, 16, -EPROTO},
		{4, 16, 16, -EPROTO},
		{1ULL << 63, 16, 16, -EPROTO},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct message message;
		struct pair pair;

		pair_open(&pair, no_bell, no_bell);
		make(&message, 0, 16);
		assert_int_equal(ring_put(&pair.producer, &message), 0);
		ring_publish(&pair.producer);
		pair.producer.shared->head = rows[i].head;
		pair.producer.shared->tail = rows[i].tail;
		assert_int_equal(ring_get(&pair.consumer, &message), rows[i].consumer);
		/* For good, even if the index is mended afterwards. */
		pair.producer.shared->tail = 16;
		if (rows[i].consumer == -EPROTO)
			assert_int_equal(ring_get(&pair.consumer, &message), -EPROTO);
		if (rows[i].producer == -EPROTO) {
			assert_int_equal(ring_space(&pair.producer), -EPROTO);
			assert_int_equal(ring_put(&pair.producer, &message), -EPROTO);
			assert_false(ring_wait_space(&pair.producer));
		} else {
			assert_true(ring_space(&pair.producer) >= 0);
		}
		pair_close(&pair);
	}
}

static void hostile_lengths_end_it(void **state)
{
	static const uint16_t rows[] = {0, 4, 7, 12, 24, API_MESSAGE_MAX + 8, 0xfff8, 0xffff};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct message message;
		struct pair pair;

		pair_open(&pair, no_bell, no_bell);
		make(&message, 0, 16);
		assert_int_equal(ring_put(&pair.producer, &message), 0);
		((struct api_header *)(void *)pair.producer.shared->data)->length = rows[i];
		ring_publish(&pair.producer);
		assert_int_equal(ring_get(&pair.consumer, &message), -EPROTO);
		assert_false(ring_wait_data(&pair.consumer));
		pair_close(&pair);
	}
}

static bool readable(int fd, int ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, ms) == 1;
}

static void bells_ring_only_for_sleepers(void **state)
{
	int data = eventfd(0, EFD_NONBLOCK), space = eventfd(0, EFD_NONBLOCK);
	struct message message;
	struct pair pair;

	pair_open(&pair, (struct ring_bell){.fd = data}, (struct ring_bell){.fd = space});
	make(&message, 0, 256);
	assert_int_equal(ring_put(&pair.producer, &message), 0);
	ring_publish(&pair.producer);
	assert_false(readable(data, 0)); /* awake: no system call */
	assert_false(ring_wait_data(&pair.consumer));
	assert_int_equal(ring_get(&pair.consumer, &message), 256);
	ring_release(&pair.consumer);

	assert_true(ring_wait_data(&pair.consumer));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ring_put(&pair.producer, &message), 0);
		ring_publish(&pair.producer);
	}
	assert_true(readable(data, 0));
	assert_int_equal(pair.producer.bells, 1); /* one for two */

	assert_false(ring_wait_space(&pair.producer)); /* less than half full */
	while (ring_put(&pair.producer, &message) == 0)
		continue;
	ring_publish(&pair.producer);
	assert_true(ring_wait_space(&pair.producer));
	assert_int_equal(ring_get(&pair.consumer, &message), 256);
	ring_release(&pair.consumer);
	assert_false(readable(space, 0)); /* not for every message */
	while (ring_get(&pair.consumer, &message) > 0)
		continue;
	ring_release(&pair.consumer);
	assert_true(readable(space, 0));
	assert_int_equal(pair.consumer.bells, 1);

	/* Awake again: the flag is taken down. */
	assert_true(ring_wait_data(&pair.consumer));
	ring_awake(&pair.consumer, false);
	assert_int_equal(ring_put(&pair.producer, &message), 0);
	ring_publish(&pair.producer);
	assert_int_equal(pair.producer.bells, 1);
	close(data);
	close(space);
	pair_close(&pair);
}

/* The data plane's bell: a full socket of a controller that does not listen must not block it. */
static void a_socket_bell_never_blocks(void **state)
{
	struct ring_bell bell = {.is_socket = true};
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	bell.fd = sockets[0];
	alarm(PATIENCE_MS / 1000);
	for (int i = 0; i < 100000; i++)
		ring_bell_ring(&bell);
	assert_true(readable(sockets[1], 0));
	close(sockets[1]);
	ring_bell_ring(&bell); /* nor kill it */
	alarm(0);
	close(sockets[0]);
}

/* Consumer in another process: waits for its bell, checks everything, leaves 0. */
static int consume(struct pair *pair, int bell, uint64_t total)
{
	struct message message;

	for (uint64_t got = 0; got < total;) {
		int rc = ring_get(&pair->consumer, &message);

		if (rc < 0)
			return 1;
		if (rc > 0) {
			if (message.sequence != got || message.header.length != length_of(got) ||
				(rc > 16 && message.fill[rc - 17] != (got & 0xff)))
				return 2;
			got++;
			continue;
		}
		ring_release(&pair->consumer);
		if (ring_wait_data(&pair->consumer)) {
			uint64_t count;

			if (!readable(bell, PATIENCE_MS) || read(bell, &count, sizeof(count)) < 0)
				return 3; /* a bell was lost */
			ring_awake(&pair->consumer, false);
		}
	}
	ring_release(&pair->consumer);
	return 0;
}

static void two_processes_exchange(void **state)
{
	enum { TOTAL = 300000 };
	int data = eventfd(0, EFD_NONBLOCK), space = eventfd(0, EFD_NONBLOCK);
	struct message message;
	struct pair pair;
	uint64_t count;
	int status;
	pid_t child;

	pair_open(&pair, (struct ring_bell){.fd = data}, (struct ring_bell){.fd = space});
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(consume(&pair, data, TOTAL));
	for (uint64_t put = 0; put < TOTAL;) {
		make(&message, put, length_of(put));
		if (ring_put(&pair.producer, &message) == 0) {
			/* Now and then at once, so that the consumer sleeps often, too. */
			if (++put % 97 == 0)
				ring_publish(&pair.producer);
			continue;
		}
		ring_publish(&pair.producer);
		if (ring_wait_space(&pair.producer)) {
			if (!readable(space, PATIENCE_MS))
				break;
			assert_int_equal(read(space, &count, sizeof(count)), sizeof(count));
			ring_awake(&pair.producer, true);
		}
	}
	ring_publish(&pair.producer);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(pair.producer.bells > 0);
	close(data);
	close(space);
	pair_close(&pair);
}

struct vandal {
	struct ring_shared *shared;
	atomic_bool stop;
};

/* Writes whatever it likes into everything that is shared. */
static void *vandalise(void *arg)
{
	struct vandal *vandal = arg;
	unsigned seed = 3;

	while (!atomic_load_explicit(&vandal->stop, memory_order_relaxed)) {
		volatile uint64_t *words = (volatile uint64_t *)(void *)vandal->shared;
		unsigned r = (unsigned)rand_r(&seed);
		uint64_t value = (uint64_t)(unsigned)rand_r(&seed) << (r % 5 * 8);

		if (r % 2 == 0)
			words[sizeof(struct ring_shared) / 8 + r % (CAPACITY / 8)] = value;
		else if (r % 16 == 1)
			vandal->shared->tail = value;
		else
			vandal->shared->tail = r % (CAPACITY / 8) * 8;
		vandal->shared->consumer_sleeps = r;
	}
	return NULL;
}

static void concurrent_vandalism_is_survived(void **state)
{
	unsigned broken = 0, messages = 0;
	struct vandal vandal;
	struct pair pair;
	pthread_t thread;

	pair_open(&pair, no_bell, no_bell);
	vandal.shared = pair.memory;
	vandal.stop = false;
	assert_int_equal(pthread_create(&thread, NULL, vandalise, &vandal), 0);
	/* The other thread may have to wait for a core. */
	alarm(PATIENCE_MS / 1000);
	while (broken < 2000 || messages < 100) {
		struct message message;
		int rc = ring_get(&pair.consumer, &message);

		if (rc > 0) {
			/* What was checked is what was handed over. */
			assert_int_equal(message.header.length, rc);
			assert_true(rc >= 8 && rc <= API_MESSAGE_MAX && rc % 8 == 0);
			messages++;
			ring_release(&pair.consumer);
		} else if (rc < 0) {
			assert_int_equal(rc, -EPROTO);
			broken++;
			ring_attach(&pair.consumer, pair.memory, CAPACITY, no_bell);
		} else {
			sched_yield();
		}
	}
	alarm(0);
	atomic_store(&vandal.stop, true);
	pthread_join(thread, NULL);
	pair_close(&pair);
}

static void capacities(void **state)
{
	static const struct {
		uint64_t capacity;
		bool valid;
	} rows[] = {{0, false}, {2048, false}, {4096, true}, {4104, false}, {1 << 20, true},
		{1 << 28, true}, {1 << 29, false}, {1ULL << 32, false}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(ring_capacity_is_valid(rows[i].capacity), rows[i].valid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(behaves_like_a_queue),
		cmocka_unit_test(hostile_indices_end_it),
		cmocka_unit_test(hostile_lengths_end_it),
		cmocka_unit_test(bells_ring_only_for_sleepers),
		cmocka_unit_test(a_socket_bell_never_blocks),
		cmocka_unit_test(two_processes_exchange),
		cmocka_unit_test(concurrent_vandalism_is_survived),
		cmocka_unit_test(capacities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
