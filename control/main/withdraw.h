/* SPDX-License-Identifier: BSD-3-Clause */
/* What a stopped gateway leaves: devices are the kernel's again, with what stood on them before. */
#pragma once

#include <stdbool.h>

/*
 * Only by the process that holds the lock of the state, so that no sallyportd runs beside it. While
 * a data plane listens in `run_dir` nothing is done: -EBUSY, or 0 with if_stopped. 0 or -errno,
 * with its reason in the log.
 */
int withdraw(const char *run_dir, bool if_stopped);
