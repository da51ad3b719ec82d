/* SPDX-License-Identifier: BSD-3-Clause */
/* The gateway's own addresses, as its kernel has them on the ports' twins and the overlay. */
#include <errno.h>
#include <rte_common.h>
#include <stddef.h>
#include <string.h>

#include "common/api/port.h"
#include "dataplane/route/addr_map.h"
#include "dataplane/route/route.h"
#include "dataplane/route/route_priv.h"

enum { COPIES = 2, FAMILIES = 2 };

struct local_copy {
	struct rte_hash *map; /* (addr, 0) -> port */
	uint32_t count;
	struct addr source[API_PORT_MAX][FAMILIES]; /* one address of each port to speak from */
};

static struct local_copy copies[COPIES];

static unsigned family_index(uint8_t family)
{
	return family == ADDR_V4 ? 0 : 1;
}

int local_init(void)
{
	int error = 0;

	copies[0].map = addr_map_create("local_a", LOCAL_MAX, &error);
	copies[1].map = addr_map_create("local_b", LOCAL_MAX, &error);
	return copies[0].map != NULL && copies[1].map != NULL ? 0 : error;
}

void local_begin(unsigned copy)
{
	rte_hash_reset(copies[copy].map);
	copies[copy].count = 0;
	memset(copies[copy].source, 0, sizeof(copies[copy].source));
}

uint32_t local_room(bool full)
{
	return LOCAL_MAX - (full ? 0 : RTE_MAX(copies[0].count, copies[1].count));
}

int local_set_validate(const void *message, uint32_t *detail)
{
	const struct api_local_set *set = message;

	if (!addr_is_valid(&set->addr)) {
		*detail = offsetof(struct api_local_set, addr);
		return API_E_VALUE;
	}
	if (set->port >= API_PORT_MAX) {
		*detail = offsetof(struct api_local_set, port);
		return API_E_VALUE;
	}
	return API_OK;
}

int local_del_validate(const void *message, uint32_t *detail)
{
	const struct api_local_del *del = message;

	if (!addr_is_valid(&del->addr)) {
		*detail = offsetof(struct api_local_del, addr);
		return API_E_VALUE;
	}
	return API_OK;
}

static bool is_link_local(const struct addr *addr)
{
	return addr->family == ADDR_V6 && addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
}

void local_set_apply(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_local_set *set = message;
	struct local_copy *local = &copies[copy];
	struct addr *source = &local->source[set->port][family_index(set->addr.family)];
	uint32_t port;

	if (!addr_map_get(local->map, &set->addr, 0, &port))
		local->count++;
	addr_map_set(local->map, &set->addr, 0, set->port);
	/* The first address stays; a link-local one speaks only where there is no other. */
	if (source->family == ADDR_NONE || (is_link_local(source) && !is_link_local(&set->addr)))
		*source = set->addr;
}

/* Any remaining address of the port and family; a change of addresses is rare. */
static void source_choose(struct local_copy *local, uint16_t port, uint8_t family)
{
	struct addr *source = &local->source[port][family_index(family)];
	uint32_t position = 0;
	const void *key;
	void *data;

	memset(source, 0, sizeof(*source));
	while (rte_hash_iterate(local->map, &key, &data, &position) >= 0) {
		const struct addr *addr = key; /* the key starts with the address */

		if ((uintptr_t)data != port || addr->family != family)
			continue;
		if (source->family == ADDR_NONE || is_link_local(source))
			*source = *addr;
	}
}

void local_del_apply(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_local_del *del = message;
	struct local_copy *local = &copies[copy];
	uint32_t port;

	if (!addr_map_get(local->map, &del->addr, 0, &port))
		return;
	addr_map_remove(local->map, &del->addr, 0);
	local->count--;
	if (addr_equal(&local->source[port][family_index(del->addr.family)], &del->addr))
		source_choose(local, (uint16_t)port, del->addr.family);
}

bool local_has(unsigned copy, const struct addr *addr, uint16_t *port)
{
	uint32_t value;

	if (!addr_map_get(copies[copy].map, addr, 0, &value))
		return false;
	*port = (uint16_t)value;
	return true;
}

bool local_source(unsigned copy, uint16_t port, uint8_t family, struct addr *out)
{
	*out = copies[copy].source[port][family_index(family)];
	return out->family != ADDR_NONE;
}
