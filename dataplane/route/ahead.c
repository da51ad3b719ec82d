/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looking ahead: where many routes are, a lookup waits for memory three to six times, and each time
 * for what the one before has brought. All lookups of a burst step together, so that they wait at
 * the same time.
 */
#include <rte_common.h>

#include "dataplane/route/prefix_table.h"
#include "dataplane/route/prefix_trie.h"
#include "dataplane/route/route_priv.h"

enum { TABLES = 3 };

bool route_is_large(unsigned copy)
{
	return prefix_table_is_large(routes_table(copy, API_TABLE_OVERLAY)) ||
	       prefix_table_is_large(routes_table(copy, API_TABLE_UNDERLAY)) ||
	       prefix_table_is_large(allowed_table(copy));
}

void route_look_ahead(unsigned copy, const struct route_ahead *ends, unsigned n)
{
	struct prefix_trie_walk walks[TABLES * ROUTE_AHEAD_MAX];
	unsigned left = 0;

	for (unsigned i = 0; i < RTE_MIN(n, (unsigned)ROUTE_AHEAD_MAX); i++) {
		/* a peer's packets ask where they go, others how answers would come back */
		const struct addr *under = ends[i].from_peer ? &ends[i].dst : &ends[i].src;

		prefix_table_start(allowed_table(copy), &ends[i].src, &walks[left++]);
		prefix_table_start(
			routes_table(copy, API_TABLE_OVERLAY), &ends[i].dst, &walks[left++]);
		prefix_table_start(routes_table(copy, API_TABLE_UNDERLAY), under, &walks[left++]);
	}
	while (left != 0) {
		unsigned kept = 0;

		for (unsigned i = 0; i < left; i++) {
			if (!prefix_trie_step(&walks[i]))
				continue;
			if (kept != i)
				walks[kept] = walks[i];
			kept++;
		}
		left = kept;
	}
}
