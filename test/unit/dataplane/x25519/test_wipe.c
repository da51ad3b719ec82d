/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nothing of a secret stays on the stack: the kernel runs on a stack of the test's own, with one
 * set of keys and then with another, and leaves the same bytes behind both times.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/x25519/x25519.h"
#include "test/unit/dataplane/own_stack.h"

enum { JOBS = 33 };

static struct key scalars[JOBS], points[JOBS], products[JOBS];
static struct x25519_job jobs[JOBS];
static unsigned n_jobs;

static void multiply(void)
{
	x25519_burst(jobs, n_jobs);
}

static void run_on(uint8_t *stack, uint8_t pattern)
{
	for (unsigned i = 0; i < n_jobs; i++) {
		memset(&scalars[i], pattern + (int)i, KEY_SIZE);
		memset(&points[i], pattern ^ (int)i, KEY_SIZE);
		jobs[i] = (struct x25519_job){
			.scalar = &scalars[i], .point = &points[i], .product = &products[i]};
	}
	own_stack_run(stack, multiply);
}

static void stack_keeps_no_secret(void **state)
{
	static const unsigned counts[] = {1, 8, 32, JOBS};
	uint8_t *stack = aligned_alloc(4096, OWN_STACK_BYTES), *copy = malloc(OWN_STACK_BYTES);

	assert_non_null(stack);
	assert_non_null(copy);
	if (x25519_select("avx512") != 0)
		skip();
	/* The first time the dynamic linker saves the registers, with what is in them. */
	n_jobs = 1;
	run_on(stack, 0);
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct key first;

		n_jobs = counts[i];
		run_on(stack, 0x11);
		memcpy(copy, stack, OWN_STACK_BYTES);
		first = products[0];
		run_on(stack, 0x83);
		assert_memory_not_equal(&first, &products[0], KEY_SIZE);
		assert_memory_equal(stack, copy, OWN_STACK_BYTES);
	}
	free(copy);
	free(stack);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stack_keeps_no_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
