/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/route/addr_map.h"

#include <assert.h>
#include <rte_errno.h>
#include <rte_jhash.h>
#include <rte_memory.h>
#include <rte_random.h>
#include <string.h>

struct addr_key {
	struct addr addr;
	uint32_t port;
};

static struct addr_key key_of(const struct addr *addr, uint16_t port)
{
	return (struct addr_key){.addr = *addr, .port = port};
}

struct rte_hash *addr_map_create(const char *name, uint32_t max, int *error)
{
	/* Extra room and chained buckets: an insert within the bound always succeeds. */
	struct rte_hash_parameters parameters = {
		.name = name,
		.entries = max + max / 4,
		.key_len = sizeof(struct addr_key),
		.hash_func = rte_jhash,
		.hash_func_init_val = (uint32_t)rte_rand(),
		.socket_id = SOCKET_ID_ANY,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};
	struct rte_hash *map = rte_hash_create(&parameters);

	if (map == NULL)
		*error = -rte_errno;
	return map;
}

void addr_map_set(struct rte_hash *map, const struct addr *addr, uint16_t port, uint32_t value)
{
	struct addr_key key = key_of(addr, port);
	int rc = rte_hash_add_key_data(map, &key, (void *)(uintptr_t)value);

	assert(rc == 0);
}

bool addr_map_remove(struct rte_hash *map, const struct addr *addr, uint16_t port)
{
	struct addr_key key = key_of(addr, port);

	return rte_hash_del_key(map, &key) >= 0;
}

bool addr_map_get(
	const struct rte_hash *map, const struct addr *addr, uint16_t port, uint32_t *value)
{
	struct addr_key key = key_of(addr, port);
	void *data;

	if (rte_hash_lookup_data(map, &key, &data) < 0)
		return false;
	*value = (uint32_t)(uintptr_t)data;
	return true;
}
