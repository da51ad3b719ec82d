/* SPDX-License-Identifier: BSD-3-Clause */
/* How each way's end is told, that a record is of one passage of one packet, and that nobody takes
 * or uses one again while somebody writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <rte_cycles.h>
#include <rte_ring.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "common/api/flow.h"
#include "dataplane/graph/follow.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/args.h"
#include "test/unit/dataplane/eal.h"

enum {
	WORKERS = 2,
	RECORDS = 512, /* of one worker */
	PEER = 7,
	OTHER = 8,
	PORT = 3,
	REASON = 44,
	ENTRY_ROW = 1,
	NODE_ROW = 2,
	CYCLES = 321,
	PACKETS = 2000, /* between two threads */
	TURNS_MAX = 100000000,
};

static struct rte_mempool *pool;

static int start(void **state)
{
	const struct dp_config config = {.workers = WORKERS, .mtu_max = 1500};

	if (eal_start(state) != 0)
		return -1;
	args_set_config(&config);
	pool = rte_pktmbuf_pool_create("packets", 1023, 0, PACKET_PRIVATE_SIZE, 256, 0);
	return pool == NULL;
}

static int stop(void **state)
{
	follow_destroy();
	return eal_stop(state);
}

static int begin(void **state)
{
	return follow_start(PEER, API_TRACE_COUNT_MAX);
}

static int end(void **state)
{
	follow_stop();
	return 0;
}

static struct follow_call call_of(uint16_t worker, uint8_t row)
{
	return (struct follow_call){.begin = rte_rdtsc(), .worker = worker, .burst = 1, .row = row};
}

/* A packet from a peer that has come in by worker 0. */
static struct rte_mbuf *arrive(uint32_t from)
{
	const struct follow_call call = call_of(0, ENTRY_ROW);
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);

	assert_non_null(mbuf);
	*packet_of(mbuf) = (struct packet){.ingress = from};
	follow_begin(mbuf, &call, CYCLES);
	return mbuf;
}

static bool pass(struct rte_mbuf *mbuf)
{
	const struct follow_call call = call_of(1, NODE_ROW);
	struct follow_mark mark;

	if (!follow_enter(mbuf, &call, &mark))
		return false;
	follow_leave(&mark, CYCLES);
	return true;
}

static unsigned take_all(struct api_trace_entry *last)
{
	unsigned n = 0;

	while (follow_take(last))
		n++;
	return n;
}

static void every_end_is_told(void **state)
{
	static const struct {
		enum api_trace_end end;
		uint16_t detail, reason, port;
	} cases[] = {
		{API_TRACE_DROPPED, REASON, REASON, 0},
		{API_TRACE_HOST, PORT, 0, PORT},
		{API_TRACE_HANDSHAKE, 0, 0, 0},
		{API_TRACE_KEEPALIVE, 0, 0, 0},
		{API_TRACE_JOINED, 0, 0, 0},
	};
	struct api_trace_entry entry;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rte_mbuf *mbuf = arrive(PEER);

		assert_true(pass(mbuf));
		assert_int_equal(take_all(&entry), 0); /* it is underway */
		follow_end(&mbuf, 1, cases[i].end, cases[i].detail);
		rte_pktmbuf_free(mbuf);
		assert_true(follow_take(&entry));
		assert_int_equal(entry.end, cases[i].end);
		assert_int_equal(entry.reason, cases[i].reason);
		assert_int_equal(entry.port, cases[i].port);
		assert_int_equal(entry.ingress, PEER);
		assert_int_equal(entry.stages, 2);
		assert_int_equal(entry.stage[0].node, ENTRY_ROW);
		assert_int_equal(entry.stage[1].node, NODE_ROW);
		assert_int_equal(entry.stage[1].worker, 1);
		assert_int_equal(entry.stage[1].cycles, CYCLES);
		assert_int_equal(take_all(&entry), 0);
	}
}

static void dropped_outside_a_node(void **state)
{
	struct rte_mbuf *mbuf = arrive(PEER);
	struct api_trace_entry entry;

	assert_true(pass(mbuf));
	drop_free(0, REASON, &mbuf, 1);
	assert_int_equal(take_all(&entry), 1);
	assert_int_equal(entry.end, API_TRACE_DROPPED);
	assert_int_equal(entry.reason, REASON);
}

/* Matched only by where it ends: drop_free() in the very node that finds the peer. */
static void peer_shows_at_the_end(void **state)
{
	struct rte_mbuf *mbuf = arrive(API_IDENT_PORT | PORT);
	struct api_trace_entry entry;

	assert_true(pass(mbuf));
	packet_of(mbuf)->peer = PEER;
	follow_end(&mbuf, 1, API_TRACE_DROPPED, REASON);
	rte_pktmbuf_free(mbuf);
	assert_int_equal(take_all(&entry), 1);
	assert_int_equal(entry.peer, PEER);
}

static void device_takes_some(void **state)
{
	struct follow_record *records[4];
	struct rte_mbuf *mbufs[4] = {arrive(PEER), arrive(PEER), arrive(OTHER), arrive(PEER)};
	struct api_trace_entry entry;
	unsigned sent = 0, dropped = 0;

	for (unsigned i = 0; i < 4; i++)
		pass(mbufs[i]);
	follow_sending(mbufs, 4, records);
	assert_int_equal(take_all(&entry), 0); /* what the device says is still to come */
	rte_pktmbuf_free_bulk(mbufs, 1);       /* ... and it may free at once */
	follow_sent(records, 4, 1, PORT, REASON);
	follow_end(mbufs + 1, 3, API_TRACE_DROPPED, REASON + 1); /* told already */
	rte_pktmbuf_free_bulk(mbufs + 1, 3);
	while (follow_take(&entry)) {
		sent += entry.end == API_TRACE_SENT && entry.port == PORT && entry.reason == 0;
		dropped += entry.end == API_TRACE_DROPPED && entry.reason == REASON;
	}
	assert_int_equal(sent, 1);
	assert_int_equal(dropped, 2);
}

/* A buffer carries its last packet's tag until another is put in; nobody is asked to clear it. */
static void buffer_is_used_again(void **state)
{
	struct rte_mbuf *mbuf = arrive(PEER);
	struct api_trace_entry entry;

	assert_true(pass(mbuf));
	follow_end(&mbuf, 1, API_TRACE_KEEPALIVE, 0);
	assert_false(follow_is(mbuf));
	assert_false(pass(mbuf)); /* a packet of our own in the same buffer */
	assert_int_equal(take_all(&entry), 1);
	assert_int_equal(entry.stages, 2);
	follow_begin(mbuf, &(struct follow_call){.begin = rte_rdtsc(), .row = ENTRY_ROW}, 0);
	assert_true(follow_is(mbuf));
	follow_end(&mbuf, 1, API_TRACE_KEEPALIVE, 0);
	rte_pktmbuf_free(mbuf);
	assert_int_equal(take_all(&entry), 1);
	assert_int_equal(entry.stages, 1);
}

static void next_trace_begins_anew(void **state)
{
	struct rte_mbuf *before = arrive(PEER), *after;
	struct api_trace_entry entry;

	assert_true(pass(before));
	follow_stop();
	assert_int_equal(follow_start(PEER, 1), 0);
	after = arrive(PEER); /* the first record again */
	assert_false(pass(before));
	follow_end(&before, 1, API_TRACE_DROPPED, REASON);
	assert_int_equal(take_all(&entry), 0);
	assert_true(pass(after));
	follow_end(&after, 1, API_TRACE_HOST, 0);
	assert_int_equal(take_all(&entry), 1);
	assert_int_equal(entry.end, API_TRACE_HOST);
	rte_pktmbuf_free(before);
	rte_pktmbuf_free(after);
}

/* The node that the packet ended in has yet to say how long it took. */
static void nobody_takes_what_is_written(void **state)
{
	const struct follow_call call = call_of(0, NODE_ROW);
	struct rte_mbuf *mbuf = arrive(PEER);
	struct api_trace_entry entry;
	struct follow_mark mark;

	assert_true(follow_enter(mbuf, &call, &mark));
	follow_end(&mbuf, 1, API_TRACE_DROPPED, REASON);
	rte_pktmbuf_free(mbuf);
	assert_int_equal(take_all(&entry), 0);
	follow_leave(&mark, CYCLES);
	assert_int_equal(take_all(&entry), 1);
	assert_int_equal(entry.stage[1].cycles, CYCLES);
}

static void waiting_is_told_once(void **state)
{
	const uint64_t wait = rte_get_tsc_hz() / 1000 * (API_TRACE_WAIT_MS + 1000);
	const struct follow_call long_ago = {.begin = rte_rdtsc() - wait, .row = ENTRY_ROW};
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
	struct follow_call call = long_ago;
	struct api_trace_entry entry;
	struct follow_mark mark;

	*packet_of(mbuf) = (struct packet){.ingress = PEER};
	follow_begin(mbuf, &call, 0);
	assert_true(follow_enter(mbuf, &call, &mark));
	assert_int_equal(take_all(&entry), 0); /* the node has it */
	follow_leave(&mark, 0);
	assert_false(pass(mbuf)); /* from here on the record is the main thread's */
	assert_int_equal(take_all(&entry), 1);
	assert_int_equal(entry.end, API_TRACE_WAITS);
	assert_int_equal(entry.stages, 2);
	follow_end(&mbuf, 1, API_TRACE_DROPPED, REASON);
	rte_pktmbuf_free(mbuf);
	assert_int_equal(take_all(&entry), 0);
}

static void long_waits_are_told_in_full(void **state)
{
	const uint64_t hz = rte_get_tsc_hz();
	struct follow_call call = {.begin = rte_rdtsc() - 60 * hz, .row = ENTRY_ROW};
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
	struct api_trace_entry entry;

	*packet_of(mbuf) = (struct packet){.ingress = PEER};
	follow_begin(mbuf, &call, 0);
	for (unsigned s = 2; s <= 60; s += 58) {
		struct follow_mark mark;

		call.begin = rte_rdtsc() - (60 - s) * hz;
		assert_true(follow_enter(mbuf, &call, &mark));
		follow_leave(&mark, 0);
	}
	follow_end(&mbuf, 1, API_TRACE_HOST, 0);
	rte_pktmbuf_free(mbuf);
	assert_int_equal(take_all(&entry), 1);
	assert_in_range(entry.stage[1].at_ns, 1900000000, 2100000000);
	assert_int_equal(entry.stage[2].at_ns, UINT32_MAX); /* as long as can be told */
}

static void records_are_found_again(void **state)
{
	struct rte_mbuf *mbufs[RECORDS + 1];
	struct api_trace_entry entry;
	unsigned followed = 0;

	for (unsigned i = 0; i <= RECORDS; i++) {
		mbufs[i] = arrive(API_IDENT_PORT | PORT);
		followed += follow_is(mbufs[i]);
	}
	assert_int_equal(followed, RECORDS);
	/* To somebody else: not followed any longer, wherever they wait. */
	for (unsigned i = 0; i < RECORDS; i++) {
		packet_of(mbufs[i])->peer = OTHER;
		pass(mbufs[i]);
		assert_false(follow_is(mbufs[i]));
	}
	rte_pktmbuf_free_bulk(mbufs, RECORDS + 1);
	mbufs[0] = arrive(PEER);
	assert_true(pass(mbufs[0]));
	follow_end(&mbufs[0], 1, API_TRACE_HOST, 0);
	rte_pktmbuf_free(mbufs[0]);
	assert_int_equal(take_all(&entry), 1);
}

static void no_more_than_asked_for(void **state)
{
	struct api_trace_entry entry;

	follow_stop();
	assert_int_equal(follow_start(0, 2), 0);
	for (unsigned i = 0; i < 5; i++) {
		struct rte_mbuf *mbuf = arrive(OTHER + i);

		assert_int_equal(pass(mbuf), i < 2);
		follow_end(&mbuf, 1, API_TRACE_HOST, 0);
		rte_pktmbuf_free(mbuf);
	}
	assert_int_equal(take_all(&entry), 2);
}

/* --- Two threads and the main one ------------------------------------------------------------ */

static struct rte_ring *ring;
static _Atomic bool finished;

/* Worker 0: packets come in, one node, and on to the other. */
static void *receive(void *arg)
{
	for (unsigned i = 1; i <= PACKETS; i++) {
		const struct follow_call call = call_of(0, ENTRY_ROW);
		struct rte_mbuf *mbuf;
		struct follow_mark mark;
		bool followed;

		while ((mbuf = rte_pktmbuf_alloc(pool)) == NULL)
			sched_yield();
		*packet_of(mbuf) = (struct packet){.ingress = PEER, .sport = (uint16_t)i};
		follow_begin(mbuf, &call, i);
		followed = follow_enter(mbuf, &call, &mark);
		while (rte_ring_enqueue(ring, mbuf) != 0)
			sched_yield();
		if (followed)
			follow_leave(&mark, i);
	}
	return NULL;
}

/* Worker 1: another node, where the way ends. */
static void *drop(void *arg)
{
	for (unsigned i = 1; i <= PACKETS; i++) {
		const struct follow_call call = call_of(1, NODE_ROW);
		struct follow_mark mark;
		struct rte_mbuf *mbuf;
		bool followed;
		void *object;

		while (rte_ring_dequeue(ring, &object) != 0)
			sched_yield();
		mbuf = object;
		followed = follow_enter(mbuf, &call, &mark);
		follow_end(&mbuf, 1, API_TRACE_DROPPED, (uint16_t)i);
		rte_pktmbuf_free(mbuf);
		if (followed)
			follow_leave(&mark, i);
	}
	atomic_store(&finished, true);
	return NULL;
}

static void check_whole(const struct api_trace_entry *entry)
{
	unsigned i = entry->sport;

	assert_int_equal(entry->end, API_TRACE_DROPPED);
	assert_int_equal(entry->reason, i);
	assert_int_equal(entry->stages, 3);
	for (unsigned stage = 0; stage < 3; stage++) {
		assert_int_equal(entry->stage[stage].worker, stage == 2);
		assert_int_equal(entry->stage[stage].cycles, i);
	}
}

static void records_are_whole_between_threads(void **state)
{
	struct api_trace_entry entry;
	pthread_t receiver, dropper;
	unsigned taken = 0;

	ring = rte_ring_create("between", 256, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	assert_non_null(ring);
	assert_int_equal(pthread_create(&receiver, NULL, receive, NULL), 0);
	assert_int_equal(pthread_create(&dropper, NULL, drop, NULL), 0);
	for (uint64_t turn = 0; turn < TURNS_MAX && !atomic_load(&finished); turn++) {
		if (!follow_take(&entry)) {
			sched_yield();
			continue;
		}
		check_whole(&entry);
		taken++;
	}
	assert_int_equal(pthread_join(receiver, NULL), 0);
	assert_int_equal(pthread_join(dropper, NULL), 0);
	for (; follow_take(&entry); taken++)
		check_whole(&entry);
	assert_in_range(taken, 1, API_TRACE_COUNT_MAX);
	rte_ring_free(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_end_is_told, begin, end),
		cmocka_unit_test_setup_teardown(dropped_outside_a_node, begin, end),
		cmocka_unit_test_setup_teardown(peer_shows_at_the_end, begin, end),
		cmocka_unit_test_setup_teardown(device_takes_some, begin, end),
		cmocka_unit_test_setup_teardown(buffer_is_used_again, begin, end),
		cmocka_unit_test_setup_teardown(next_trace_begins_anew, begin, end),
		cmocka_unit_test_setup_teardown(nobody_takes_what_is_written, begin, end),
		cmocka_unit_test_setup_teardown(waiting_is_told_once, begin, end),
		cmocka_unit_test_setup_teardown(long_waits_are_told_in_full, begin, end),
		cmocka_unit_test_setup_teardown(records_are_found_again, begin, end),
		cmocka_unit_test_setup_teardown(no_more_than_asked_for, begin, end),
		cmocka_unit_test_setup_teardown(records_are_whole_between_threads, begin, end),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
