/* SPDX-License-Identifier: BSD-3-Clause */
/* The choice among candidates whose time is injected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dataplane/trial/trial.h"

enum { CANDIDATES = 3, JOBS = 8 };

/* What a burst costs, and each job in it; absent = cannot run. */
struct candidate {
	unsigned burst_ns, job_ns;
	bool absent;
};

static uint64_t time_ns;

static uint64_t now_ns(void *arg)
{
	return time_ns;
}

static bool may_run(unsigned candidate, void *arg)
{
	return !((const struct candidate *)arg)[candidate].absent;
}

static void run(unsigned candidate, unsigned n, void *arg)
{
	const struct candidate *c = &((const struct candidate *)arg)[candidate];

	assert_false(c->absent);
	for (unsigned i = 0; i + n <= JOBS; i += n)
		time_ns += c->burst_ns + n * c->job_ns;
}

static struct trial_choice choose(struct candidate candidates[CANDIDATES])
{
	return trial_choose(&(struct trial){
		.candidates = CANDIDATES,
		.jobs = JOBS,
		.few_max = 4,
		.rounds = 3,
		.may_run = may_run,
		.run = run,
		.now_ns = now_ns,
		.arg = candidates,
	});
}

static void test_another_for_a_few(void **state)
{
	struct candidate candidates[CANDIDATES] = {
		{.burst_ns = 900, .job_ns = 1}, {.job_ns = 400}, {.absent = true}};
	struct trial_choice choice = choose(candidates);

	assert_int_equal(choice.best, 0);
	assert_int_equal(choice.few_best, 1);
	assert_int_equal(choice.few, 2); /* 800 against 902; three would be 1,200 against 903 */
}

static void test_one_for_all(void **state)
{
	struct candidate candidates[CANDIDATES] = {
		{.absent = true}, {.job_ns = 4000}, {.burst_ns = 100, .job_ns = 100}};
	struct trial_choice choice = choose(candidates);

	assert_int_equal(choice.best, 2);
	assert_int_equal(choice.few_best, 2);
	assert_int_equal(choice.few, 0);
}

static void test_descriptions(void **state)
{
	char text[64];

	trial_describe(
		&(struct trial_choice){.few = 2}, "wide", "plain", "jobs", text, sizeof(text));
	assert_string_equal(text, "wide, up to 2 jobs plain");
	trial_describe(&(struct trial_choice){0}, "wide", "wide", "jobs", text, sizeof(text));
	assert_string_equal(text, "wide");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_another_for_a_few),
		cmocka_unit_test(test_one_for_all),
		cmocka_unit_test(test_descriptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
