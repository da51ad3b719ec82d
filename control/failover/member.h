/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One routing peer, judged by what its tunnel has received: nothing else than authentic packets
 * raises that counter, and as long as somebody asks at the other end (probe.h), a peer that lives
 * raises it. No clock and no I/O in here. Loop's thread.
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

struct member {
	enum member_state state;
	uint64_t rx_bytes; /* as last read */
	uint64_t heard_ms; /* when that last rose */
	uint64_t since_ms; /* of the state */
};

struct member_limits {
	uint64_t dead_after_ms;
	uint64_t return_after_ms;
};

/* Before the first look, and whenever the counters are another data plane's: time begins anew. */
void member_begin(struct member *member, uint64_t now_ms, uint64_t rx_bytes, bool down);

/* True: it went out of use, or is used again. */
bool member_look(struct member *member, const struct member_limits *limits, uint64_t now_ms,
	uint64_t rx_bytes) __attribute__((warn_unused_result));

/* Silent for long enough that it should be asked for a sign of life. */
bool member_wants_probe(
	const struct member *member, const struct member_limits *limits, uint64_t now_ms);
