/* SPDX-License-Identifier: BSD-3-Clause */
/* Errands go to the thread and come back in their order, and what is due is done at the end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/traffic/clerk.h"
#include "control/traffic/tally.h"

enum { IDS = 8, NOON = 1700000000 / 86400 * 86400 + 12 * 3600 };

static struct event_base *base;
static struct clerk *clerk;
static pthread_t loop_thread;
static int returned[16];
static unsigned n_returned, n_released, n_run;
static int gate[2]; /* an errand may wait for a byte, so that others queue up behind it */

struct test_errand {
	struct errand errand;
	int number;
	bool waits;
};

static int run_errand(struct tally *tally, struct errand *errand)
{
	const struct test_errand *mine = (struct test_errand *)errand;
	char byte;

	/* cmocka's assertions are for its own thread */
	if (tally == NULL || pthread_equal(pthread_self(), loop_thread))
		return -EINVAL;
	if (mine->waits && read(gate[0], &byte, 1) != 1)
		return -EIO;
	__atomic_fetch_add(&n_run, 1, __ATOMIC_RELAXED);
	return mine->number;
}

static void end_errand(struct errand *errand)
{
	assert_true(pthread_equal(pthread_self(), loop_thread));
	assert_true(n_returned < 16);
	returned[n_returned++] = errand->rc;
}

static void release_errand(struct errand *errand)
{
	n_released++;
}

static void give(int number, bool is_due, bool waits)
{
	struct test_errand *mine = calloc(1, sizeof(*mine));

	assert_non_null(mine);
	mine->errand = (struct errand){
		.is_due = is_due, .run = run_errand, .done = end_errand, .release = release_errand};
	mine->number = number;
	mine->waits = waits;
	clerk_give(clerk, &mine->errand);
}

static void open_gate(void)
{
	assert_int_equal(write(gate[1], "x", 1), 1);
}

static void test_order(void **state)
{
	give(1, true, true);
	for (int i = 2; i <= 10; i++)
		give(i, i % 2 == 0, false);
	assert_int_equal(clerk_pending(clerk), 10);
	/* The first one cannot have ended: the loop has nothing to do, and does not wait. */
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(n_returned, 0);
	open_gate();
	while (clerk_pending(clerk) > 0)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(n_returned, 10);
	for (int i = 0; i < 10; i++)
		assert_int_equal(returned[i], i + 1);
	assert_int_equal(n_released, 10);
}

/* At the end: what is due is done, what is not is left undone, nobody is told, all is freed. */
static void test_end(void **state)
{
	give(1, true, true);
	give(2, true, false);
	give(3, false, false);
	give(4, true, false);
	open_gate();
	clerk_destroy(&clerk);
	assert_null(clerk);
	assert_int_equal(n_returned, 0);
	assert_int_equal(n_released, 4);
	assert_true(n_run >= 3); /* the third one, if it was quicker than the end */
}

static int set_up(void **state)
{
	int error;
	struct tally *tally = tally_open(NULL, IDS, &error);

	base = event_base_new();
	loop_thread = pthread_self();
	n_returned = n_released = n_run = 0;
	if (base == NULL || tally == NULL || pipe(gate) < 0)
		return -1;
	clerk = clerk_create(base, tally, &error);
	return clerk == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	clerk_destroy(&clerk);
	event_base_free(base);
	close(gate[0]);
	close(gate[1]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_end, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
