/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One routing peer, judged by what its tunnel has received: nothing else than authentic packets
 * raises that counter, and as long as somebody asks at the other end (probe.h), a peer that lives
 * raises it. No clock and no I/O in here. Loop's thread.
 *
 * Only watched time counts: neither that in which nobody looked nor that in which the counters were
 * not published. And nobody is down who was not asked, or whose answer cannot have been read yet.
 *
 *   UP --- silent for dead_after ---> DOWN --- heard ---> RETURNING --- return_after ---> UP
 *                                       ^--- silent for dead_after ---'
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum member_state {
	MEMBER_UP,
	MEMBER_DOWN,
	MEMBER_RETURNING, /* heard again, and not used until it has been for return_after */
};

/* Milliseconds between looks, and between publications of the counters. */
enum { MEMBER_LOOK_MS = 1000 };

/* What the counters said. */
struct member_reading {
	uint64_t published_ms; /* by the clock of `now_ms` */
	uint64_t rx_bytes;
};

struct member {
	enum member_state state;
	struct member_reading last;
	uint64_t looked_ms;
	uint64_t heard_ms;  /* when the counter last rose */
	uint64_t since_ms;  /* of the state */
	uint64_t silent_ms; /* watched time since it was heard */
	uint64_t steady_ms; /* watched time since it has had its state */
	bool asked;         /* since it was heard */
	unsigned newer;     /* readings since then that were */
};

struct member_limits {
	uint64_t dead_after_ms;
	uint64_t return_after_ms;
};

/* Before the first look, and whenever the counters are another data plane's: time begins anew. */
void member_begin(
	struct member *member, uint64_t now_ms, const struct member_reading *reading, bool down);

/* Every MEMBER_LOOK_MS, or later. True: it went out of use, or is used again. */
bool member_look(struct member *member, const struct member_limits *limits, uint64_t now_ms,
	const struct member_reading *reading) __attribute__((warn_unused_result));

/* Silent for long enough that it should be asked for a sign of life. */
bool member_wants_probe(
	const struct member *member, const struct member_limits *limits, uint64_t now_ms);

/* It has been, after the last look. */
void member_asked(struct member *member);
