/* SPDX-License-Identifier: BSD-3-Clause */
/* The rings of handshake messages, in a whole data plane of which nobody else uses them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "dataplane/wireguard/inbox.h"
#include "test/unit/dataplane/wireguard/gateway.h"

enum { BATCH = 128 };

/* A message is known by its number, which stands where the buffer does. */
static bool put(enum inbox_rank rank, uint32_t source, uintptr_t number)
{
	struct inbox_message message = {.mbuf = (struct rte_mbuf *)number};

	message.source.remote.addr.family = ADDR_V4;
	memcpy(message.source.remote.addr.bytes, &source, sizeof(source));
	return inbox_put(0, rank, &message);
}

static uintptr_t number_of(const struct inbox_message *message)
{
	return (uintptr_t)message->mbuf;
}

static int drain(void **state)
{
	struct inbox_message messages[BATCH];

	while (inbox_queued(0) != 0)
		inbox_take(0, messages, BATCH);
	return 0;
}

static void order_is_kept(void **state)
{
	struct inbox_message messages[BATCH];

	for (uintptr_t i = 1; i <= 10; i++)
		assert_true(put(INBOX_PLAIN, 1, i));
	assert_int_equal(inbox_queued(0), 10);
	assert_int_equal(inbox_take(0, messages, 4), 4);
	assert_int_equal(number_of(&messages[0]), 1);
	assert_int_equal(inbox_take(0, messages, BATCH), 6);
	assert_int_equal(number_of(&messages[5]), 10);
	assert_int_equal(inbox_take(0, messages, BATCH), 0);
}

/* A second step does not wait behind first steps, and these are not starved by second ones. */
static void the_known_come_first(void **state)
{
	struct inbox_message messages[BATCH];

	for (uintptr_t i = 0; i < 500; i++)
		assert_true(put(INBOX_PLAIN, 1, 1000 + i));
	for (uintptr_t i = 0; i < 200; i++)
		assert_true(put(INBOX_KNOWN, 1, 1 + i));
	assert_int_equal(inbox_take(0, messages, BATCH), BATCH);
	for (unsigned i = 0; i < BATCH; i++)
		assert_int_equal(number_of(&messages[i]),
			i < BATCH * 3 / 4 ? 1 + i : 1000 + i - BATCH * 3 / 4);
}

/* Many sources at full rate, and a reader that takes some now and then: a source that sends one
 * message finds room for it each time, and it is not long before it is read. */
static void a_flood_leaves_room(void **state)
{
	enum { SOURCES = 300, VISITS = 100, QUIET = 1000000 };
	struct inbox_message messages[BATCH];
	unsigned refused = 0, quiet_read = 0;

	for (uint32_t visit = 0; visit < VISITS; visit++) {
		for (enum inbox_rank rank = 0; rank < INBOX_RANKS; rank++) {
			for (uint32_t i = 0; i < 20 * SOURCES; i++)
				refused += !put(rank, i % SOURCES, 1);
			assert_true(put(rank, QUIET + visit, QUIET));
		}
		/* As much as there was at first, and no more. */
		for (unsigned left = inbox_queued(0); left > 0;) {
			unsigned n = inbox_take(0, messages, BATCH);

			assert_in_range(n, 1, left);
			left -= n;
			for (unsigned i = 0; i < n; i++)
				quiet_read += number_of(&messages[i]) == QUIET;
		}
	}
	assert_int_equal(quiet_read, 2 * VISITS);
	assert_in_range(refused, VISITS * SOURCES * 30, VISITS * SOURCES * 40);
}

/* Nobody reads: whatever is put in, memory is bounded. */
static void it_is_bounded(void **state)
{
	for (uint32_t i = 0; i < 100000; i++) {
		put(INBOX_PLAIN, i, 1);
		put(INBOX_KNOWN, i, 1);
	}
	assert_in_range(inbox_queued(0), INBOX_MAX / 2, INBOX_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(order_is_kept, drain),
		cmocka_unit_test_teardown(the_known_come_first, drain),
		cmocka_unit_test_teardown(a_flood_leaves_room, drain),
		cmocka_unit_test_teardown(it_is_bounded, drain),
	};

	return cmocka_run_group_tests(tests, gateway_setup, NULL);
}
