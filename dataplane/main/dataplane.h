/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of the data plane; main() and tests call it. */
#pragma once

#include "dataplane/main/args.h"

/*
 * Starts everything on the calling thread, which becomes the main thread: EAL, tables, features,
 * graphs, the session, workers. 0 or -errno, with what is needed logged; then dataplane_stop()
 * still is to be called.
 */
int dataplane_start(const struct args *args) __attribute__((warn_unused_result));

/* Runs until stop_fd becomes readable. 0 or -errno. */
int dataplane_run(int stop_fd) __attribute__((warn_unused_result));

/* One round of the main loop without waiting: for tests. */
void dataplane_poll(void);

/* Stops workers and features, closes ports; the process ends after this. */
void dataplane_stop(void);
