/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/failover/member.h"

enum {
	PROBES = 4, /* in the time after which a silent peer is dead */
	NEWER = 2,  /* the first may have been made before the answer was dealt with */
};

static void enter(struct member *member, enum member_state state, uint64_t now_ms)
{
	member->state = state;
	member->since_ms = now_ms;
	member->steady_ms = 0;
}

void member_begin(
	struct member *member, uint64_t now_ms, const struct member_reading *reading, bool down)
{
	*member = (struct member){.last = *reading, .looked_ms = now_ms, .heard_ms = now_ms};
	enter(member, down ? MEMBER_DOWN : MEMBER_UP, now_ms);
}

/* Of the time since the last look. Looks and publications have no common beat: one look may find
 * nothing new, the next one two publications. */
static uint64_t watched_time(
	const struct member *member, uint64_t now_ms, const struct member_reading *reading)
{
	uint64_t covered = reading->published_ms - member->last.published_ms;
	uint64_t since = now_ms - member->looked_ms;
	uint64_t late = since > MEMBER_LOOK_MS ? since - MEMBER_LOOK_MS : 0;

	if (covered > 2 * MEMBER_LOOK_MS)
		covered = 2 * MEMBER_LOOK_MS;
	return covered > late ? covered - late : 0;
}

static void hear(struct member *member, uint64_t now_ms)
{
	member->heard_ms = now_ms;
	member->silent_ms = 0;
	member->asked = false;
	member->newer = 0;
}

/* True: something was heard. */
static bool take_reading(
	struct member *member, uint64_t now_ms, const struct member_reading *reading)
{
	uint64_t watched = watched_time(member, now_ms, reading);
	bool heard = reading->rx_bytes != member->last.rx_bytes;

	member->steady_ms += watched;
	member->silent_ms += watched;
	if (member->asked && reading->published_ms != member->last.published_ms)
		member->newer++;
	if (heard)
		hear(member, now_ms);
	member->last = *reading;
	member->looked_ms = now_ms;
	return heard;
}

bool member_look(struct member *member, const struct member_limits *limits, uint64_t now_ms,
	const struct member_reading *reading)
{
	bool heard = take_reading(member, now_ms, reading);
	bool silent = member->silent_ms >= limits->dead_after_ms && member->newer >= NEWER;

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
		else if (member->steady_ms >= limits->return_after_ms)
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

void member_asked(struct member *member)
{
	member->asked = true;
}
