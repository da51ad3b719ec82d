/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs the data plane without a control process, for benchmarks: one transaction of one
 * message, through the same handlers, passes and flip as a session's. One thread, which is also
 * the only worker, so there is no grace period to wait for. A message that is refused ends the
 * process with a line on stderr.
 */
#pragma once

struct worker;

/* message: a complete ring message; worker: the one that reads the tables afterwards. */
void direct_commit(struct worker *worker, const void *message);

#define DIRECT_COMMIT(worker_, type_, name_, ...)                                                  \
	do {                                                                                       \
		struct name_ message_ = {                                                          \
			.header = {.type = type_, .length = sizeof(message_)}, __VA_ARGS__};       \
		direct_commit(worker_, &message_);                                                 \
	} while (0)
