/* SPDX-License-Identifier: BSD-3-Clause */
/* Joins the kernel's mirror (control/host) and the program: configuration one way, what the
 * kernel has the other. Loop's thread. */
#pragma once

#include "control/program/program.h"

struct event_base;
struct kernel;

/* Fills *seam for program_create(). `folder`: see host_set_folder(). NULL and *error. */
struct kernel *kernel_create(struct event_base *base, const char *folder,
	struct program_kernel *seam, int *error) __attribute__((warn_unused_result));

/* Where the kernel's state goes from now on; NULL = nowhere. */
void kernel_attach(struct kernel *kernel, struct program *program);

/* Takes back all that was put into the kernel; only without a data plane. 0 or -errno. */
int kernel_withdraw(struct kernel *kernel) __attribute__((warn_unused_result));

/* Leaves the kernel as it is; sets *kernel to NULL. */
void kernel_destroy(struct kernel **kernel);
