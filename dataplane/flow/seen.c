/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which bytes of a packet were seen in its fragments: ranges in order, none touching the next. A
 * byte that comes twice is refused, so that a header that was judged is not replaced, and so are
 * more holes at a time than there is room for.
 */
#include <string.h>

#include "dataplane/flow/flow_priv.h"
#include "dataplane/flow/fragment_priv.h"

uint16_t fragment_seen_note(struct fragment_seen *seen, const struct fragment_piece *piece)
{
	struct fragment_range *range = seen->range;
	unsigned n = seen->ranges, i = 0, after;
	bool left, right;

	if ((seen->end != 0 && piece->to > seen->end) ||
		(!piece->more && n > 0 && range[n - 1].to > piece->to))
		return DROP(flow, FRAGMENT_OVERLAP);
	while (i < n && range[i].to < piece->from)
		i++;
	left = i < n && range[i].to == piece->from;
	after = left ? i + 1 : i;
	if (after < n && range[after].from < piece->to)
		return DROP(flow, FRAGMENT_OVERLAP);
	right = after < n && range[after].from == piece->to;
	if (!left && !right && n == FRAGMENT_RANGES)
		return DROP(flow, FRAGMENT_FULL);
	if (left && right) {
		range[i].to = range[after].to;
		memmove(&range[after], &range[after + 1], (n - after - 1) * sizeof(*range));
		seen->ranges--;
	} else if (left) {
		range[i].to = (uint16_t)piece->to;
	} else if (right) {
		range[after].from = (uint16_t)piece->from;
	} else {
		memmove(&range[after + 1], &range[after], (n - after) * sizeof(*range));
		range[after] = (struct fragment_range){(uint16_t)piece->from, (uint16_t)piece->to};
		seen->ranges++;
	}
	if (!piece->more)
		seen->end = piece->to;
	return 0;
}

bool fragment_seen_all(const struct fragment_seen *seen)
{
	return seen->ranges == 1 && seen->range[0].from == 0 && seen->end != 0 &&
	       seen->range[0].to == seen->end;
}
