/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/failover/member.h"

enum { PROBES = 4 }; /* in the time after which a silent peer is dead */

static void enter(struct member *member, enum member_state state, uint64_t now_ms)
{
	member->state = state;
	member->since_ms = now_ms;
}

void member_begin(struct member *member, uint64_t now_ms, uint64_t rx_bytes, bool down)
{
	*member = (struct member){.rx_bytes = rx_bytes, .heard_ms = now_ms};
	enter(member, down ? MEMBER_DOWN : MEMBER_UP, now_ms);
}

bool member_look(struct member *member, const struct member_limits *limits, uint64_t now_ms,
	uint64_t rx_bytes)
{
	bool heard = rx_bytes != member->rx_bytes;
	bool silent;

	member->rx_bytes = rx_bytes;
	if (heard)
		member->heard_ms = now_ms;
	silent = now_ms - member->heard_ms >= limits->dead_after_ms;
	switch (member->state) {
	case MEMBER_UP:
		if (silent)
			enter(member, MEMBER_DOWN, now_ms);
		return silent;
	case MEMBER_DOWN:
		if (heard)
			enter(member, MEMBER_RETURNING, now_ms);
		return false;
	case MEMBER_RETURNING:
		if (silent)
			enter(member, MEMBER_DOWN, now_ms);
		else if (now_ms - member->since_ms >= limits->return_after_ms)
			enter(member, MEMBER_UP, now_ms);
		return member->state == MEMBER_UP;
	}
	return false;
}

bool member_wants_probe(
	const struct member *member, const struct member_limits *limits, uint64_t now_ms)
{
	return now_ms - member->heard_ms >= limits->dead_after_ms / PROBES;
}
