/* SPDX-License-Identifier: BSD-3-Clause */
/* What this process owes the system around it: secrets stay inside, signals end it in order. */
#pragma once

/* No core dumps, no ptrace, no swapping. Before any secret is read. Failure to lock memory is
 * logged: it needs CAP_IPC_LOCK. */
void process_harden(void);

/* After EAL has mapped its memory. */
void process_lock_memory(void);

/* A descriptor that becomes readable on SIGTERM or SIGINT; they are blocked in this thread and in
 * those it starts. Or -errno. */
int process_signal_fd(void);
