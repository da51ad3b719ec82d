/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Allowed-IPs: one table for all peers, so that the longest prefix decides across peers as in
 * WireGuard's cryptokey routing; a prefix may have several owners (routing peers of one range).
 */
#include <rte_common.h>
#include <stddef.h>

#include "common/api/wireguard.h"
#include "dataplane/route/prefix_table.h"
#include "dataplane/route/route_priv.h"

enum {
	COPIES = 2,
	HALF_INTERNET = 1, /* prefixes of up to this length name no owner of a flow */
};

static struct prefix_table *tables[COPIES];

int allowed_init(uint32_t max)
{
	int error = 0;

	tables[0] = prefix_table_create(max, &error);
	tables[1] = prefix_table_create(max, &error);
	return tables[0] != NULL && tables[1] != NULL ? 0 : error;
}

void allowed_begin(unsigned copy)
{
	prefix_table_clear(tables[copy]);
}

uint32_t allowed_room(bool full)
{
	uint32_t used = RTE_MAX(prefix_table_count(tables[0]), prefix_table_count(tables[1]));

	return prefix_table_max(tables[0]) - (full ? 0 : used);
}

int allowed_validate(const void *message, uint32_t *detail)
{
	/* API_ALLOWED_SET and API_ALLOWED_DEL have the same fields. */
	const struct api_allowed_set *set = message;

	_Static_assert(sizeof(struct api_allowed_set) == sizeof(struct api_allowed_del), "");
	if (!prefix_is_valid(&set->prefix)) {
		*detail = offsetof(struct api_allowed_set, prefix);
		return API_E_VALUE;
	}
	if (set->peer == 0 || set->peer >= API_PEER_MAX) {
		*detail = offsetof(struct api_allowed_set, peer);
		return API_E_VALUE;
	}
	return API_OK;
}

void allowed_set_apply(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_allowed_set *set = message;
	struct route_hop hop = {.next = API_NEXT_PEER, .peer = set->peer};

	prefix_table_set(tables[copy], &set->prefix, set->peer, &hop);
}

void allowed_del_apply(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_allowed_del *del = message;

	prefix_table_remove(tables[copy], &del->prefix, del->peer);
}

const struct prefix_table *allowed_table(unsigned copy)
{
	return tables[copy];
}

bool allowed_has(unsigned copy, uint32_t peer, const struct addr *src)
{
	struct prefix_match match;

	if (!prefix_table_longest(tables[copy], src, &match))
		return false;
	for (const struct prefix_entry *entry = prefix_match_first(&match); entry != NULL;
		entry = prefix_match_next(&match, entry)) {
		if (entry->holder == peer)
			return true;
	}
	return false;
}

uint32_t allowed_owner(unsigned copy, const struct addr *addr)
{
	struct prefix_match match;

	if (!prefix_table_longest(tables[copy], addr, &match))
		return 0;
	if (prefix_match_first(&match)->hop.length <= HALF_INTERNET)
		return 0;
	return prefix_match_first(&match)->holder;
}
