/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/wireguard/replay.h"

enum { LIMIT = REPLAY_WINDOW + 1 };

struct step {
	uint64_t counter;
	bool accepted;
};

static void run_steps(const struct step *steps, size_t n)
{
	struct replay_window window = {0};

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(replay_may_accept(&window, steps[i].counter), steps[i].accepted);
		assert_int_equal(replay_accept(&window, steps[i].counter), steps[i].accepted);
		if (steps[i].accepted)
			assert_false(replay_may_accept(&window, steps[i].counter));
	}
}

#define RUN(...)                                                                                   \
	run_steps((const struct step[]){__VA_ARGS__},                                              \
		sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step))

static void single_counters(void **state)
{
	RUN({0, true}, {1, true}, {1, false}, {9, true}, {8, true}, {7, true}, {7, false},
		{LIMIT, true}, {LIMIT - 1, true}, {LIMIT - 1, false}, {LIMIT - 2, true}, {2, true},
		{2, false}, {LIMIT + 16, true}, {3, false}, {LIMIT + 16, false}, {LIMIT * 4, true},
		{LIMIT * 4 - (LIMIT - 1), true}, {10, false}, {LIMIT * 4 - LIMIT, false},
		{LIMIT * 4 - (LIMIT + 1), false}, {LIMIT * 4 - (LIMIT - 2), true},
		{LIMIT * 4 + 1 - LIMIT, false}, {0, false}, {WG_REJECT_AFTER_MESSAGES, false},
		{WG_REJECT_AFTER_MESSAGES - 1, true}, {WG_REJECT_AFTER_MESSAGES, false},
		{WG_REJECT_AFTER_MESSAGES - 1, false}, {WG_REJECT_AFTER_MESSAGES - 2, true},
		{WG_REJECT_AFTER_MESSAGES + 1, false}, {WG_REJECT_AFTER_MESSAGES + 2, false},
		{UINT64_MAX, false}, {WG_REJECT_AFTER_MESSAGES - 2, false},
		{WG_REJECT_AFTER_MESSAGES - 3, true}, {0, false});
}

static void forward_sweep(void **state)
{
	struct replay_window window = {0};

	for (uint64_t i = 1; i <= REPLAY_WINDOW; i++)
		assert_true(replay_accept(&window, i));
	assert_true(replay_accept(&window, 0));
	assert_false(replay_accept(&window, 0));
}

static void forward_sweep_one_further(void **state)
{
	struct replay_window window = {0};

	for (uint64_t i = 2; i <= REPLAY_WINDOW + 1; i++)
		assert_true(replay_accept(&window, i));
	assert_true(replay_accept(&window, 1));
	assert_false(replay_accept(&window, 0));
}

static void backward_sweep(void **state)
{
	struct replay_window window = {0};

	for (uint64_t i = REPLAY_WINDOW + 1; i-- > 0;)
		assert_true(replay_accept(&window, i));
	for (uint64_t i = REPLAY_WINDOW + 1; i-- > 0;)
		assert_false(replay_accept(&window, i));
}

static void jump_forgets_everything_behind(void **state)
{
	struct replay_window window = {0};
	uint64_t far = (uint64_t)REPLAY_BITS * 1000 + 17;

	for (uint64_t i = 0; i < REPLAY_BITS; i++)
		assert_true(replay_accept(&window, i));
	assert_true(replay_accept(&window, far));
	for (uint64_t i = 1; i <= REPLAY_WINDOW; i++)
		assert_true(replay_accept(&window, far - i));
	assert_false(replay_accept(&window, far - REPLAY_WINDOW - 1));
}

/* The slow model: every counter accepted so far, and the greatest. */
enum { MODEL_SPAN = 400000 };

struct model {
	uint8_t seen[MODEL_SPAN];
	uint64_t greatest;
	bool any;
};

static bool model_accept(struct model *model, uint64_t counter)
{
	if (model->any && counter + REPLAY_WINDOW < model->greatest)
		return false;
	if (model->seen[counter])
		return false;
	model->seen[counter] = 1;
	if (!model->any || counter > model->greatest)
		model->greatest = counter;
	model->any = true;
	return true;
}

static void random_walk_equals_the_model(void **state)
{
	struct model *model = calloc(1, sizeof(*model));
	struct replay_window window = {0};
	int accepted = 0, refused = 0;

	assert_non_null(model);
	srand(7);
	for (int i = 0; i < 300000; i++) {
		uint64_t at = model->greatest;
		uint64_t counter;
		bool expected;

		switch (rand() % 8) {
		case 0: /* a jump, now and then past the whole window */
			counter = at + (uint64_t)(rand() % (rand() % 64 == 0 ? 10000 : 40));
			break;
		case 1: /* near the far edge */
			counter = at < REPLAY_WINDOW + 80
					  ? 0
					  : at - REPLAY_WINDOW + (uint64_t)(rand() % 160) - 80;
			break;
		case 2:
			counter = at < REPLAY_BITS ? 0 : at - (uint64_t)(rand() % REPLAY_BITS);
			break;
		default:
			counter = at + 2 < 5 ? 1 : at + 2 - (uint64_t)(rand() % 5);
			break;
		}
		if (counter >= MODEL_SPAN)
			break;
		expected = model_accept(model, counter);
		assert_int_equal(replay_may_accept(&window, counter), expected);
		assert_int_equal(replay_accept(&window, counter), expected);
		accepted += expected;
		refused += !expected;
	}
	/* The walk must have met both, often. */
	assert_true(accepted > 10000 && refused > 10000);
	free(model);
}

/* In figures: peers rely on it, and others shipped an eighth of it. */
static void window_is_the_kernels(void **state)
{
	struct replay_window window = {0};

	assert_true(replay_accept(&window, 20000));
	assert_true(replay_accept(&window, 20000 - 8128));
	assert_false(replay_accept(&window, 20000 - 8129));
	for (uint64_t counter = 20000 - 8127; counter < 20000; counter++)
		assert_true(replay_accept(&window, counter));
}

/* Others counted in words of the machine. */
static void counters_beyond_32_bits(void **state)
{
	static const uint64_t edges[] = {UINT64_C(1) << 31, UINT64_C(1) << 32, UINT64_C(1) << 63};

	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		struct replay_window window = {0};

		for (uint64_t counter = edges[i] - 200; counter < edges[i] + 200; counter++)
			assert_true(replay_accept(&window, counter));
		for (uint64_t counter = edges[i] - 200; counter < edges[i] + 200; counter++) {
			assert_false(replay_may_accept(&window, counter));
			assert_false(replay_accept(&window, counter));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_counters),
		cmocka_unit_test(window_is_the_kernels),
		cmocka_unit_test(counters_beyond_32_bits),
		cmocka_unit_test(forward_sweep),
		cmocka_unit_test(forward_sweep_one_further),
		cmocka_unit_test(backward_sweep),
		cmocka_unit_test(jump_forgets_everything_behind),
		cmocka_unit_test(random_walk_equals_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
