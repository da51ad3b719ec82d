/* SPDX-License-Identifier: BSD-3-Clause */
/* Set-up of the readers that worker.h describes; the rest of their interface is there. */
#pragma once

/* Main thread, before any reader. 0 or -errno. */
int reader_create(void) __attribute__((warn_unused_result));
void reader_destroy(void);

/* By a reader that ends. */
void reader_unregister(unsigned reader);
