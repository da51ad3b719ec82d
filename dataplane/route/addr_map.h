/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bounded map from (address, port) to a small number, over rte_hash: for the gateway's own
 * addresses and its neighbours. One thread writes; readers use the other copy meanwhile.
 */
#pragma once

#include <rte_hash.h>

#include <stdbool.h>
#include <stdint.h>

#include "common/base/addr.h"

struct rte_hash *addr_map_create(const char *name, uint32_t max, int *error);

/* Creates or replaces; the caller has made sure that there is room. */
void addr_map_set(struct rte_hash *map, const struct addr *addr, uint16_t port, uint32_t value);

bool addr_map_remove(struct rte_hash *map, const struct addr *addr, uint16_t port);

bool addr_map_get(
	const struct rte_hash *map, const struct addr *addr, uint16_t port, uint32_t *value);
