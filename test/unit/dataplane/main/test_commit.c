/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/main/commit.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/txn.h"
#include "test/unit/dataplane/main/toy.h"

#define SLICE_NS 1000000ULL

static struct commit *commit;

static int set_up(void **state)
{
	struct commit_options options = {.bound = 1 << 20,
		.clock_ns = toy_clock,
		.flip = toy_flip,
		.grace_start = toy_grace_start,
		.grace_done = toy_grace_done,
		.committed = toy_committed};

	toy_reset();
	commit = commit_create(&options);
	return commit == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	commit_destroy(&commit);
	handler_clear();
	return 0;
}

static void begin(enum api_txn_mode mode, uint64_t base, uint64_t count)
{
	struct api_txn_begin message = toy_begin(mode, base, count);

	commit_begin(commit, &message);
}

static void stage_port(uint16_t port, uint16_t mtu)
{
	struct api_port_set set = toy_port(port, mtu);

	commit_stage(commit, &set);
}

static void stage_rule(uint32_t rule, uint32_t priority)
{
	struct api_policy_set set = toy_rule(rule, priority);

	commit_stage(commit, &set);
}

static void start(uint64_t generation)
{
	struct api_txn_commit message = toy_commit(generation);

	commit_start(commit, &message);
}

static struct api_reply finish(void)
{
	struct api_reply reply;

	for (unsigned i = 0; i < 100000 && commit_run(commit, toy.now_ns + SLICE_NS); i++)
		continue;
	assert_int_equal(commit_state(commit), COMMIT_DONE);
	commit_finish(commit, &reply);
	assert_int_equal(commit_state(commit), COMMIT_IDLE);
	assert_int_equal(reply.header.type, API_REPLY);
	assert_int_equal(reply.header.length, sizeof(reply));
	return reply;
}

static struct api_reply commit_two_ports(uint64_t generation)
{
	begin(API_TXN_FULL, 0, 2);
	stage_port(1, 1500);
	stage_port(2, 1500);
	start(generation);
	return finish();
}

static void everything_happens_in_order(void **state)
{
	struct api_reply reply;

	toy.logging = true;
	begin(API_TXN_INCREMENT, 0, 4);
	stage_rule(5, 50); /* the groups' order, not that of arrival, counts between groups */
	stage_port(2, 1500);
	stage_rule(3, 30);
	stage_port(1, 1400);
	start(9);
	assert_int_equal(toy.applied, 0);
	reply = finish();
	assert_int_equal(reply.code, API_OK);
	assert_string_equal(toy.log,
		"prepare-port prepare-rule "
		"begin-port.1.shadow begin-rule port2.1 port1.1 rule5.1 rule3.1 end-rule end-port "
		"flip1 grace "
		"begin-port.0.catch-up begin-rule port2.0 port1.0 rule5.0 rule3.0 end-rule "
		"end-port "
		"generation9 ");
	assert_int_equal(commit_generation(commit), 9);
	assert_int_equal(commit_active(commit), 1);
	assert_memory_equal(toy.ports[0], toy.ports[1], sizeof(toy.ports[0]));
	assert_memory_equal(toy.rules[0], toy.rules[1], sizeof(toy.rules[0]));
	assert_int_equal(toy.ports[0][1].mtu, 1400);
	assert_int_equal(toy.rules[0][5], 50);
	/* The next one goes the other way. */
	toy.log[0] = '\0';
	begin(API_TXN_INCREMENT, 9, 1);
	stage_rule(5, 0);
	start(10);
	assert_int_equal(finish().code, API_OK);
	assert_non_null(strstr(toy.log, "rule5.0 end-rule end-port flip0 grace "));
}

static void a_refusal_leaves_nothing(void **state)
{
	struct api_reply reply;
	struct toy before;

	assert_int_equal(commit_two_ports(1).code, API_OK);
	before = toy;
	begin(API_TXN_FULL, 0, 4);
	stage_port(3, 1500);
	stage_rule(1, 1);
	stage_port(4, 1279);
	stage_port(99, 1500); /* only the first failure is told */
	start(2);
	reply = finish();
	assert_int_equal(reply.code, API_E_VALUE);
	assert_int_equal(reply.index, 2);
	assert_int_equal(reply.detail, offsetof(struct api_port_set, mtu));
	assert_non_null(strstr(reply.text, "port.set"));
	assert_memory_equal(&toy, &before, sizeof(toy));
	assert_int_equal(commit_generation(commit), 1);

	begin(API_TXN_FULL, 0, 3);
	stage_port(3, 1500);
	commit_refuse(commit, API_E_UNKNOWN, 0, "unknown message type");
	stage_port(1, 1500);
	start(2);
	reply = finish();
	assert_int_equal(reply.code, API_E_UNKNOWN);
	assert_int_equal(reply.index, 1);
	assert_memory_equal(&toy, &before, sizeof(toy));
	/* And does not poison the next. */
	assert_int_equal(commit_two_ports(2).code, API_OK);
}

static void a_failed_prepare_undoes_the_others(void **state)
{
	struct api_reply reply;

	toy.logging = true;
	toy.prepare_fails = API_E_LIMIT;
	reply = commit_two_ports(1);
	assert_int_equal(reply.code, API_E_LIMIT);
	assert_int_equal(reply.index, 7);
	assert_string_equal(reply.text, "policy"); /* no text: at least who */
	assert_string_equal(toy.log, "prepare-port prepare-rule abort-port ");
	assert_int_equal(toy.applied, 0);
	assert_int_equal(toy.flips, 0);

	toy.log[0] = '\0';
	toy.prepare_fails = 0;
	toy.prepare_again = 3;
	begin(API_TXN_FULL, 0, 3);
	stage_port(1, 1500);
	stage_rule(1, 1);
	stage_port(1, 1400);
	start(1);
	assert_true(commit_run(commit, toy.now_ns + SLICE_NS)); /* one -EAGAIN, one slice */
	assert_string_equal(toy.log, "prepare-port ");
	reply = finish();
	assert_int_equal(reply.code, API_E_CONFLICT);
	assert_int_equal(reply.index, 2);
	assert_string_equal(reply.text, "port 1 twice");
	assert_int_equal(toy.applied, 0);
}

static void what_is_wrong_with_the_bounds_is_told(void **state)
{
	static const struct {
		uint8_t mode;
		uint64_t base, count, generation;
		int code;
	} rows[] = {
		{API_TXN_INCREMENT, 5, 1, 6, API_OK},
		{API_TXN_FULL, 0, 1, 6, API_OK}, /* base means nothing */
		{API_TXN_INCREMENT, 4, 1, 6, API_E_STATE},
		{API_TXN_INCREMENT, 0, 1, 6, API_E_STATE},
		{2, 5, 1, 6, API_E_VALUE},
		{API_TXN_FULL, 0, 1, 0, API_E_VALUE},
		{API_TXN_FULL, 0, 0, 6, API_E_STATE}, /* one more came than announced */
		{API_TXN_FULL, 0, 2, 6, API_E_STATE}, /* one less */
		{API_TXN_FULL, 0, UINT64_MAX, 6, API_E_LIMIT},
		{API_TXN_FULL, 0, 1 << 20, 6, API_E_LIMIT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		tear_down(NULL);
		set_up(NULL);
		assert_int_equal(commit_two_ports(5).code, API_OK);
		begin(rows[i].mode, rows[i].base, rows[i].count);
		stage_port(3, 1500);
		start(rows[i].generation);
		assert_int_equal(finish().code, rows[i].code);
		assert_int_equal(toy.live[3] != 0, rows[i].code == API_OK);
		assert_int_equal(commit_generation(commit), rows[i].code == API_OK ? 6 : 5);
	}
}

static void staging_is_bounded(void **state)
{
	enum { MESSAGES = 8000 };
	struct api_reply reply;

	begin(API_TXN_FULL, 0, MESSAGES); /* each could be 8 bytes long, these are not */
	for (unsigned i = 0; i < MESSAGES; i++)
		stage_port(1, 1500);
	start(1);
	reply = finish();
	assert_int_equal(reply.code, API_E_LIMIT);
	assert_int_equal(reply.index, (1 << 20) / (16 + sizeof(struct api_port_set)));
	assert_int_equal(toy.applied, 0);
	for (unsigned i = 0; commit_trim(commit); i++)
		assert_true(i < 100);
}

/* What workers see is the old or the new state, never anything between. */
static void check_active_copy(unsigned expected)
{
	for (unsigned rule = 1; rule <= 500; rule++)
		assert_int_equal(toy.rules[toy.active][rule], expected);
}

static void work_is_sliced(void **state)
{
	unsigned slices = 0, expected = 0;
	uint32_t share = 0;

	begin(API_TXN_FULL, 0, 500);
	for (unsigned rule = 1; rule <= 500; rule++)
		stage_rule(rule, 1);
	start(1);
	toy.apply_cost_ns = 30000;
	toy.grace_over = false;
	for (bool more = true; more; slices++) {
		uint64_t from = toy.now_ns;

		assert_true(slices < 10000);
		more = commit_run(commit, from + SLICE_NS);
		assert_true(toy.now_ns - from <= SLICE_NS + toy.apply_cost_ns);
		expected = toy.flips;
		check_active_copy(expected);
		if (more) {
			assert_true(commit_permille(commit) >= share);
			share = commit_permille(commit);
			assert_in_range(share, 1, 1000);
			assert_true((share >= 500) == (toy.applied >= 500));
		}
		if (toy.grace_polls == 3)
			toy.grace_over = true;
		else if (toy.flips == 1 && toy.grace_polls < 3)
			assert_int_equal(toy.applied, 500); /* waits for the grace period */
	}
	assert_int_equal(expected, 1);
	assert_true(share > 900);
	assert_int_equal(commit_permille(commit), 0);
	/* 1000 applies of 30 us: at least 30 slices. */
	assert_true(slices >= 30);
	assert_int_equal(finish().code, API_OK);
	check_active_copy(1);
}

static void full_leaves_unchanged_objects_alone(void **state)
{
	begin(API_TXN_FULL, 0, 3);
	stage_port(1, 1500);
	stage_port(2, 1500);
	stage_port(3, 1500);
	start(1);
	assert_int_equal(finish().code, API_OK);
	assert_int_equal(toy.created, 3);

	begin(API_TXN_FULL, 0, 3);
	stage_port(4, 1500);
	stage_port(2, 1400);
	stage_port(1, 1500);
	start(2);
	assert_int_equal(finish().code, API_OK);
	assert_int_equal(toy.created, 4);
	assert_int_equal(toy.changed, 1);
	assert_int_equal(toy.destroyed, 1);
	assert_int_equal(toy.live[1], 1); /* still the first creation */
	assert_int_equal(toy.live[2], 2);
	assert_int_equal(toy.live[3], 0);
	assert_int_equal(toy.live[4], 4);
	for (unsigned copy = 0; copy < 2; copy++) {
		assert_false(toy.ports[copy][3].present);
		assert_int_equal(toy.ports[copy][2].mtu, 1400);
	}

	/* An object is deleted only when nobody can look at it any more. */
	begin(API_TXN_FULL, 0, 0);
	start(3);
	toy.grace_over = false;
	assert_true(commit_run(commit, toy.now_ns + SLICE_NS));
	assert_false(toy.ports[toy.active][1].present);
	assert_int_equal(toy.destroyed, 1);
	toy.grace_over = true;
	assert_int_equal(finish().code, API_OK);
	assert_int_equal(toy.destroyed, 4);
}

static void discarding_stops_before_the_commit_only(void **state)
{
	begin(API_TXN_FULL, 0, 1);
	stage_port(1, 1500);
	commit_discard(commit);
	assert_int_equal(commit_state(commit), COMMIT_IDLE);
	assert_false(commit_run(commit, SLICE_NS));
	assert_int_equal(toy.applied, 0);

	begin(API_TXN_FULL, 0, 1);
	stage_port(1, 1500);
	start(1);
	commit_discard(commit);
	assert_int_equal(commit_state(commit), COMMIT_RUNNING);
	assert_int_equal(finish().code, API_OK);
	assert_int_equal(toy.applied, 2);
}

/* Random transactions against a plain list. */
static void staging_keeps_everything_in_order(void **state)
{
	enum { MAX = 6000 };
	static struct {
		uint32_t value;
		unsigned group;
	} model[MAX];
	struct txn *txn = txn_create(2 << 20);

	srandom(11);
	for (unsigned round = 0; round < 20; round++) {
		struct txn_cursor all = {0};
		unsigned count = (unsigned)random() % MAX, group = 0, at = 0;

		txn_reset(txn, round % 2 == 0);
		assert_int_equal(txn_is_full(txn), round % 2 == 0);
		for (unsigned i = 0; i < count; i++) {
			struct api_policy_set rule = toy_rule(i, (uint32_t)random());
			struct api_port_set port = toy_port(1, (uint16_t)random());
			bool is_rule = random() % 3 > 0;
			const void *message = is_rule ? (const void *)&rule : (const void *)&port;
			const struct handler *handler = handler_find(
				is_rule ? API_POLICY_SET : API_PORT_SET, &model[i].group);

			model[i].value = is_rule ? rule.priority : port.mtu;
			assert_int_equal(txn_stage(txn, message, handler, model[i].group), 0);
		}
		assert_int_equal(txn_count(txn), count);
		for (unsigned i = 0; i < count; i++) {
			const void *message;

			while (group < 2 && at < count && model[at].group != group)
				at++;
			if (at == count) {
				group++;
				for (at = 0; at < count && model[at].group != group; at++)
					continue;
			}
			message = txn_next(txn, &all);
			assert_non_null(message);
			assert_int_equal(all.index, at);
			assert_int_equal(model[at].value,
				group == 1 ? ((const struct api_policy_set *)message)->priority
					   : ((const struct api_port_set *)message)->mtu);
			at++;
		}
		assert_null(txn_next(txn, &all));
		assert_null(txn_next(txn, &all));
		if (round % 3 == 0)
			txn_trim(txn);
	}
	txn_destroy(&txn);
	assert_null(txn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everything_happens_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_refusal_leaves_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_failed_prepare_undoes_the_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_wrong_with_the_bounds_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(staging_is_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(work_is_sliced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			full_leaves_unchanged_objects_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			discarding_stops_before_the_commit_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			staging_keeps_everything_in_order, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
