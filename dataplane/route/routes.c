/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The overlay and the underlay route tables, two copies of each.
 *
 * X9, exit routes lead to the internet only: a lookup that reaches an exit route after passing a
 * longer prefix that the source does not hold is closed. So every prefix that some route, some
 * resource or API_NEXT_CLOSED names is closed to exit traffic, and one lookup decides it.
 */
#include <errno.h>
#include <rte_common.h>
#include <stddef.h>
#include <string.h>

#include "common/api/port.h"
#include "common/api/wireguard.h"
#include "dataplane/route/prefix_table.h"
#include "dataplane/route/route_priv.h"

enum { COPIES = 2, TABLES = 2 };

static struct prefix_table *tables[TABLES][COPIES];

int routes_init(uint32_t max_routes)
{
	int error = 0;

	for (unsigned table = 0; table < TABLES; table++) {
		for (unsigned copy = 0; copy < COPIES; copy++) {
			tables[table][copy] = prefix_table_create(max_routes, &error);
			if (tables[table][copy] == NULL)
				return error;
		}
	}
	return 0;
}

void routes_begin(unsigned copy)
{
	for (unsigned table = 0; table < TABLES; table++)
		prefix_table_clear(tables[table][copy]);
}

uint32_t routes_room(unsigned table, bool full)
{
	uint32_t max = prefix_table_max(tables[table][0]);
	uint32_t used =
		RTE_MAX(prefix_table_count(tables[table][0]), prefix_table_count(tables[table][1]));

	return full ? max : max - used;
}

static int bad_value(uint32_t *detail, size_t offset)
{
	*detail = (uint32_t)offset;
	return API_E_VALUE;
}

int route_set_validate(const void *message, uint32_t *detail)
{
	const struct api_route_set *set = message;
	bool underlay = set->table == API_TABLE_UNDERLAY;

	if (!prefix_is_valid(&set->prefix))
		return bad_value(detail, offsetof(struct api_route_set, prefix));
	if (set->table > API_TABLE_UNDERLAY)
		return bad_value(detail, offsetof(struct api_route_set, table));
	if (set->next > API_NEXT_HOST ||
		(underlay && set->next != API_NEXT_PORT && set->next != API_NEXT_HOST))
		return bad_value(detail, offsetof(struct api_route_set, next));
	if (set->set_id >= API_SET_MAX || (underlay && set->set_id != 0))
		return bad_value(detail, offsetof(struct api_route_set, set_id));
	if (set->next == API_NEXT_PORT && (set->port == 0 || set->port >= API_PORT_MAX))
		return bad_value(detail, offsetof(struct api_route_set, port));
	if (set->next == API_NEXT_PEER && (set->peer == 0 || set->peer >= API_PEER_MAX))
		return bad_value(detail, offsetof(struct api_route_set, peer));
	if (set->gateway.family != ADDR_NONE &&
		(!addr_is_valid(&set->gateway) || set->gateway.family != set->prefix.family))
		return bad_value(detail, offsetof(struct api_route_set, gateway));
	if ((set->flags & ~(API_ROUTE_MASQUERADE | API_ROUTE_EXIT | API_ROUTE_OVERLAY)) != 0)
		return bad_value(detail, offsetof(struct api_route_set, flags));
	return API_OK;
}

int route_del_validate(const void *message, uint32_t *detail)
{
	const struct api_route_del *del = message;

	if (!prefix_is_valid(&del->prefix))
		return bad_value(detail, offsetof(struct api_route_del, prefix));
	if (del->table > API_TABLE_UNDERLAY)
		return bad_value(detail, offsetof(struct api_route_del, table));
	return API_OK;
}

void route_set_apply(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_route_set *set = message;
	struct route_hop hop = {
		.next = set->next,
		.flags = set->flags,
		.port = set->port,
		.peer = set->peer,
		.route_id = set->route_id,
		.gateway = set->gateway,
	};

	prefix_table_set(tables[set->table][copy], &set->prefix, set->set_id, &hop);
}

void route_del_apply(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_route_del *del = message;

	prefix_table_remove(tables[del->table][copy], &del->prefix, del->set_id);
}

const struct prefix_table *routes_table(unsigned copy, unsigned table)
{
	return tables[table][copy];
}

/* The entry of this set, else that of set 0, which holds for everyone and sorts first. */
static const struct prefix_entry *entry_of(const struct prefix_match *match, uint32_t set)
{
	const struct prefix_entry *entry = prefix_match_first(match);
	const struct prefix_entry *any = entry->holder == 0 ? entry : NULL;

	while (entry != NULL && entry->holder < set)
		entry = prefix_match_next(match, entry);
	return entry != NULL && entry->holder == set ? entry : any;
}

enum route_status route_overlay(
	unsigned copy, uint32_t set, const struct addr *dst, struct route_hop *hop)
{
	struct prefix_match match;
	bool passed_longer = false;

	if (!prefix_table_longest(tables[API_TABLE_OVERLAY][copy], dst, &match))
		return ROUTE_NONE;
	do {
		const struct prefix_entry *entry = entry_of(&match, set);

		if (entry == NULL || entry->hop.next == API_NEXT_CLOSED) {
			passed_longer = true;
			continue;
		}
		if (passed_longer && (entry->hop.flags & API_ROUTE_EXIT) != 0)
			return ROUTE_CLOSED;
		*hop = entry->hop;
		return ROUTE_FOUND;
	} while (prefix_match_shorter(&match));
	return ROUTE_NONE;
}

bool route_is_overlay(unsigned copy, const struct addr *addr)
{
	struct prefix_match match;
	bool more = prefix_table_longest(tables[API_TABLE_OVERLAY][copy], addr, &match);

	for (; more; more = prefix_match_shorter(&match)) {
		const struct prefix_entry *entry = entry_of(&match, 0);

		if (entry != NULL && (entry->hop.flags & API_ROUTE_OVERLAY) != 0)
			return true;
	}
	return false;
}

/* Entries of one prefix mostly lead to one peer, which is asked about once. */
static bool masks(unsigned copy, const struct prefix_match *match, const struct addr *addr)
{
	uint32_t asked = 0;

	for (const struct prefix_entry *entry = prefix_match_first(match); entry != NULL;
		entry = prefix_match_next(match, entry)) {
		const struct route_hop *hop = &entry->hop;

		if (hop->next != API_NEXT_PEER || (hop->flags & API_ROUTE_MASQUERADE) == 0 ||
			hop->peer == asked)
			continue;
		if (allowed_has(copy, hop->peer, addr))
			return true;
		asked = hop->peer;
	}
	return false;
}

bool route_is_masked(unsigned copy, const struct addr *addr)
{
	struct prefix_match match;
	bool more = prefix_table_longest(tables[API_TABLE_OVERLAY][copy], addr, &match);

	for (; more; more = prefix_match_shorter(&match)) {
		if (masks(copy, &match, addr))
			return true;
	}
	return false;
}

bool route_underlay(unsigned copy, const struct addr *dst, struct route_hop *hop)
{
	struct prefix_match match;

	if (!prefix_table_longest(tables[API_TABLE_UNDERLAY][copy], dst, &match))
		return false;
	*hop = prefix_match_first(&match)->hop;
	return true;
}
