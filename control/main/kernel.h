/* SPDX-License-Identifier: BSD-3-Clause */
/* Joins the kernel's mirror (control/host) and the program: configuration one way, what the
 * kernel has the other. Loop's thread. */
#pragma once

#include "control/program/program.h"

struct event_base;
struct kernel;

/* Fills *seam for program_create(). NULL and *error. */
struct kernel *kernel_create(struct event_base *base, struct program_kernel *seam, int *error)
	__attribute__((warn_unused_result));

/* Where the kernel's state goes from now on; NULL = nowhere. */
void kernel_attach(struct kernel *kernel, struct program *program);

/* Leaves the kernel as it is; sets *kernel to NULL. */
void kernel_destroy(struct kernel **kernel);
