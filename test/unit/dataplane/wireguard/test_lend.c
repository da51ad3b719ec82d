/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lending with real threads as helpers. The cipher is the test's: it notes who worked on what, and
 * stalls where the test wants a helper to lose its core.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "dataplane/graph/handoff.h"
#include "dataplane/main/reader.h"
#include "dataplane/wireguard/lend.h"
#include "dataplane/wireguard/nonces.h"
#include "test/unit/dataplane/eal.h"

enum {
	WORKERS = 3,
	OWNER = 0,
	PEER_WINDOW = 1024, /* the smallest in the field */
	TURNS_MAX = 100000000,
};

static struct dp_config config;
static struct worker workers[WORKERS];
static _Atomic uint64_t send_counter;
static _Atomic unsigned bells;
static _Atomic bool stopping;

/* A helper that gets to its cipher while this is set stays there. */
static _Atomic bool stall;
static _Atomic bool stalled;

/* --- What lend.c is linked with ------------------------------------------------------------- */

const struct dp_config *dp_config(void)
{
	return &config;
}

void handoff_ring_later(unsigned worker, unsigned consumer)
{
	atomic_fetch_add(&bells, 1);
}

struct aead {
	unsigned worker;
};

static struct aead aeads[WORKERS] = {{0}, {1}, {2}};

/* "Sealed": the worker's number in the length, once. */
void aead_seal(struct aead *aead, struct aead_packet *packets, unsigned count)
{
	if (aead->worker != OWNER && atomic_load(&stall)) {
		atomic_store(&stalled, true);
		while (atomic_load(&stall))
			sched_yield();
	}
	for (unsigned i = 0; i < count; i++)
		packets[i].length += 100 + aead->worker;
}

unsigned aead_open(struct aead *aead, struct aead_packet *packets, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		packets[i].ok = true;
	return count;
}

/* --- Owner and helpers ---------------------------------------------------------------------- */

struct burst {
	struct aead_packet aead[LEND_BURST];
};

static void *help(void *arg)
{
	struct worker *worker = arg;

	while (!atomic_load(&stopping)) {
		lend_help(worker);
		sched_yield();
	}
	return NULL;
}

static pthread_t threads[WORKERS];

static void start_helpers(unsigned helpers)
{
	atomic_store(&stopping, false);
	for (unsigned i = 1; i <= helpers; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, help, &workers[i]), 0);
}

static void stop_helpers(unsigned helpers)
{
	atomic_store(&stopping, true);
	for (unsigned i = 1; i <= helpers; i++)
		pthread_join(threads[i], NULL);
}

/* False: there was no room. As the seal node does: room first, then counters. */
static bool put(unsigned n)
{
	struct lend_job *job = lend_begin(OWNER);
	struct burst *burst;
	uint64_t first = 0;

	if (job == NULL)
		return false;
	burst = (struct burst *)job->room;
	assert_true(nonces_reserve(&send_counter, n, &first));
	for (unsigned i = 0; i < n; i++)
		burst->aead[i] = (struct aead_packet){.counter = first + i};
	job->seal = true;
	job->count = (uint16_t)n;
	job->aead = burst->aead;
	lend_end(&workers[OWNER], job);
	return true;
}

/* The far peer, who takes a counter once and only within its window. */
static struct {
	uint64_t newest, taken, refused;
	uint8_t seen[PEER_WINDOW];
	unsigned by[WORKERS];
} peer;

static void receive(uint64_t counter)
{
	if (counter + PEER_WINDOW <= peer.newest) {
		peer.refused++;
		return;
	}
	for (; peer.newest <= counter; peer.newest++)
		peer.seen[peer.newest % PEER_WINDOW] = 0;
	peer.refused += peer.seen[counter % PEER_WINDOW];
	peer.taken += !peer.seen[counter % PEER_WINDOW];
	peer.seen[counter % PEER_WINDOW] = 1;
}

/* Sends what is done; counters must rise without a gap. Returns how many jobs. */
static unsigned retire(uint64_t *expected)
{
	struct lend_job *job;
	unsigned jobs = 0;

	while ((job = lend_retire(&workers[OWNER])) != NULL) {
		for (unsigned i = 0; i < job->count; i++) {
			assert_in_range(job->aead[i].length, 100, 100 + WORKERS - 1);
			peer.by[job->aead[i].length - 100]++;
			assert_int_equal(job->aead[i].counter, (*expected)++);
			receive(job->aead[i].counter);
		}
		lend_release(&workers[OWNER]);
		jobs++;
	}
	return jobs;
}

static int setup(void **state)
{
	memset(&peer, 0, sizeof(peer));
	memset(workers, 0, sizeof(workers));
	for (unsigned i = 0; i < WORKERS; i++)
		workers[i] = (struct worker){.id = (uint16_t)i, .aead = &aeads[i], .token = 1};
	config = (struct dp_config){.workers = WORKERS, .lend = DP_LEND_ALWAYS};
	atomic_store(&send_counter, 0);
	atomic_store(&stall, false);
	atomic_store(&stalled, false);
	assert_int_equal(lend_init(WORKERS), 0);
	return 0;
}

static int teardown(void **state)
{
	lend_destroy();
	return 0;
}

/* --- Tests ---------------------------------------------------------------------------------- */

static void order_is_that_of_one_worker(void **state)
{
	enum { JOBS = 20000, JOBS_MAX = 100 * JOBS, HELPED = 1000 };
	uint64_t expected = 0;
	unsigned put_so_far = 0, retired = 0;

	start_helpers(WORKERS - 1);
	while (retired < JOBS || (peer.by[1] + peer.by[2] < HELPED && retired < JOBS_MAX)) {
		for (unsigned i = 0; i < 8; i++)
			put_so_far += put(1 + put_so_far % LEND_BURST);
		sched_yield(); /* helpers get ahead of the owner, or not */
		retired += retire(&expected);
	}
	while (retired < put_so_far)
		retired += retire(&expected);
	stop_helpers(WORKERS - 1);
	assert_int_equal(peer.taken, atomic_load(&send_counter));
	assert_int_equal(peer.refused, 0);
	assert_true(peer.by[1] + peer.by[2] >= HELPED);
	assert_true(atomic_load(&bells) > 0);
	assert_int_equal(workers[OWNER].held, 0);
}

/* The helper has the next job in hand and loses its core. */
static void await_stall(uint64_t *expected)
{
	for (unsigned turns = 0; !atomic_load(&stalled) && turns < TURNS_MAX; turns++) {
		if (!put(LEND_BURST))
			retire(expected);
		sched_yield();
	}
	assert_true(atomic_load(&stalled));
}

/* One of two sealing workers stalls with counters in hand, the other would go on for thousands of
 * packets. At a peer with the smallest window nothing is late. */
static void stalled_helper_costs_no_replay_drop(void **state)
{
	uint64_t expected = 0;
	unsigned refused = 0, rounds;

	start_helpers(1);
	atomic_store(&stall, true);
	await_stall(&expected);
	for (rounds = 0; rounds < 1000; rounds++) {
		refused += !put(LEND_BURST);
		retire(&expected);
	}
	/* What was behind the stalled job waits; what finds no room has taken no counter. */
	assert_true(refused > 0);
	assert_true(atomic_load(&send_counter) - expected <= LEND_JOBS * LEND_BURST);
	atomic_store(&stall, false);
	for (unsigned turns = 0; expected < atomic_load(&send_counter) && turns < TURNS_MAX;
		turns++) {
		retire(&expected);
		sched_yield();
	}
	assert_true(put(LEND_BURST));
	while (expected < atomic_load(&send_counter))
		retire(&expected);
	stop_helpers(1);
	assert_int_equal(peer.refused, 0);
	assert_int_equal(peer.taken, atomic_load(&send_counter));
	assert_int_equal(peer.by[1] % LEND_BURST, 0);
	assert_true(peer.by[1] > 0);
}

/* Without anybody to help, the owner does everything, in order. */
static void owner_alone_does_it_all(void **state)
{
	uint64_t expected = 0;

	for (unsigned i = 0; i < LEND_JOBS; i++)
		assert_true(put(3));
	assert_false(put(3));
	assert_int_equal(retire(&expected), LEND_JOBS);
	assert_int_equal(peer.by[OWNER], 3 * LEND_JOBS);
	assert_null(lend_retire(&workers[OWNER]));
	assert_true(put(1));
	assert_int_equal(retire(&expected), 1);
}

/* What a job refers to outlives it: no grace period that began after it ends before it. */
static void jobs_hold_up_grace_periods(void **state)
{
	struct worker *owner = &workers[OWNER];
	uint64_t expected = 0, grace;

	assert_int_equal(reader_create(), 0);
	reader_register(OWNER);
	owner->token = reader_token();
	assert_true(put(1));
	grace = grace_start();
	reader_quiescent_since(OWNER, owner->held);
	assert_false(grace_over(grace));
	/* A younger job does not make the older one's references safe to free. */
	owner->token = reader_token();
	assert_true(put(1));
	reader_quiescent_since(OWNER, owner->held);
	assert_false(grace_over(grace));
	assert_non_null(lend_retire(owner));
	lend_release(owner);
	reader_quiescent_since(OWNER, owner->held);
	assert_true(grace_over(grace));
	grace = grace_start();
	reader_quiescent_since(OWNER, owner->held);
	assert_false(grace_over(grace));
	assert_non_null(lend_retire(owner));
	lend_release(owner);
	assert_int_equal(owner->held, 0);
	reader_quiescent(OWNER);
	assert_true(grace_over(grace));
	(void)expected;
	reader_unregister(OWNER);
	reader_destroy();
}

/* By itself a worker lends when it gets full bursts all the time and somebody has time. */
static void lends_under_load_only(void **state)
{
	uint64_t expected = 0;

	config.lend = DP_LEND_AUTO;
	for (unsigned i = 0; i < 10 * LEND_HOT; i++)
		assert_false(lend_wanted(OWNER, LEND_FULL_BURST - 1));
	for (unsigned i = 0; i < 10 * LEND_HOT; i++)
		assert_false(lend_wanted(OWNER, LEND_BURST)); /* hot, but nobody has time */
	for (unsigned i = 0; i <= LEND_QUIET_LOOPS; i++)
		lend_help(&workers[1]);
	assert_true(lend_wanted(OWNER, LEND_BURST));
	assert_true(put(1));
	/* While a job is under way nothing may overtake it. */
	for (unsigned i = 0; i < 10 * LEND_HOT; i++)
		assert_true(lend_wanted(OWNER, 1));
	retire(&expected);
	assert_false(lend_wanted(OWNER, 1));
	for (unsigned i = 0; i < LEND_HOT; i++)
		lend_wanted(OWNER, LEND_BURST);
	assert_true(lend_wanted(OWNER, LEND_BURST));
	/* A helper that has got packets of its own is none. */
	workers[1].work += 5;
	lend_help(&workers[1]);
	assert_false(lend_wanted(OWNER, LEND_BURST));
}

static void nothing_is_lent_where_it_would_not_help(void **state)
{
	static const struct {
		unsigned workers;
		enum dp_lend lend;
		bool cores_shared, expected;
	} rows[] = {
		{1, DP_LEND_ALWAYS, false, false},
		{3, DP_LEND_OFF, false, false},
		{3, DP_LEND_AUTO, true, false},
		{3, DP_LEND_ALWAYS, true, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		lend_destroy();
		config.lend = rows[i].lend;
		config.cores_shared = rows[i].cores_shared;
		assert_int_equal(lend_init(rows[i].workers), 0);
		assert_int_equal(lend_wanted(OWNER, LEND_BURST), rows[i].expected);
		assert_null(lend_retire(&workers[OWNER]));
		lend_help(&workers[OWNER]);
	}
}

static void counters_end_at_the_reject_limit(void **state)
{
	static const struct {
		uint64_t next;
		unsigned n;
		bool expected;
	} rows[] = {
		{0, 1, true},
		{WG_REJECT_AFTER_MESSAGES - 32, 32, true},
		{WG_REJECT_AFTER_MESSAGES - 32, 33, false},
		{WG_REJECT_AFTER_MESSAGES - 1, 1, true},
		{WG_REJECT_AFTER_MESSAGES - 1, 2, false},
		{WG_REJECT_AFTER_MESSAGES, 1, false},
		{UINT64_MAX, 256, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_Atomic uint64_t next = rows[i].next;
		uint64_t first = 7;

		assert_int_equal(nonces_reserve(&next, rows[i].n, &first), rows[i].expected);
		assert_int_equal(first, rows[i].expected ? rows[i].next : 7);
		/* A block that does not fit ends the session: nothing smaller is sent after it. */
		assert_int_equal(next,
			rows[i].expected ? rows[i].next + rows[i].n : WG_REJECT_AFTER_MESSAGES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(order_is_that_of_one_worker, setup, teardown),
		cmocka_unit_test_setup_teardown(
			stalled_helper_costs_no_replay_drop, setup, teardown),
		cmocka_unit_test_setup_teardown(owner_alone_does_it_all, setup, teardown),
		cmocka_unit_test_setup_teardown(jobs_hold_up_grace_periods, setup, teardown),
		cmocka_unit_test_setup_teardown(lends_under_load_only, setup, teardown),
		cmocka_unit_test_setup_teardown(
			nothing_is_lent_where_it_would_not_help, setup, teardown),
		cmocka_unit_test(counters_end_at_the_reject_limit),
	};

	return cmocka_run_group_tests(tests, eal_start, eal_stop);
}
