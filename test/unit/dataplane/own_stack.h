/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a function on a stack of the test's own, filled alike before each run: what it leaves there
 * can be looked at, and holds no register of the caller. x86-64; not for sanitizers, which lay out
 * frames of their own.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <ucontext.h>

enum { OWN_STACK_BYTES = 256 << 10 };

static inline void own_stack_run(uint8_t stack[OWN_STACK_BYTES], void (*function)(void))
{
	static const int saved[] = {REG_RBX, REG_RBP, REG_R12, REG_R13, REG_R14, REG_R15};
	ucontext_t test, other;

	memset(stack, 0x5a, OWN_STACK_BYTES);
	assert_int_equal(getcontext(&other), 0);
	for (unsigned i = 0; i < sizeof(saved) / sizeof(saved[0]); i++)
		other.uc_mcontext.gregs[saved[i]] = 0;
	other.uc_stack.ss_sp = stack;
	other.uc_stack.ss_size = OWN_STACK_BYTES;
	other.uc_link = &test;
	makecontext(&other, function, 0);
	assert_int_equal(swapcontext(&test, &other), 0);
}
