/* SPDX-License-Identifier: BSD-3-Clause */
/* Routes, owners and local addresses from the world's small tables. Apart from the other fakes: a
 * program that brings the real ones is not linked with these. */
#include "test/unit/dataplane/flow/fakes.h"

#include <rte_common.h>

enum route_status route_overlay(
	unsigned copy, uint32_t set, const struct addr *dst, struct route_hop *hop)
{
	int best = -1, named = -1;

	for (unsigned i = 0; i < world.overlays; i++) {
		const struct fake_route *route = &world.overlay[i];

		if (!prefix_contains(&route->prefix, dst))
			continue;
		if ((int)route->prefix.length > named)
			named = route->prefix.length;
		if (route->hop.next != API_NEXT_CLOSED && (route->set == 0 || route->set == set) &&
			(best < 0 || route->prefix.length > world.overlay[best].prefix.length))
			best = (int)i;
	}
	if (best < 0)
		return ROUTE_NONE;
	*hop = world.overlay[best].hop;
	if ((hop->flags & API_ROUTE_EXIT) != 0 && named > (int)world.overlay[best].prefix.length)
		return ROUTE_CLOSED;
	return ROUTE_FOUND;
}

bool route_underlay(unsigned copy, const struct addr *dst, struct route_hop *hop)
{
	int best = -1;

	for (unsigned i = 0; i < world.underlays; i++) {
		if (prefix_contains(&world.underlay[i].prefix, dst) &&
			(best < 0 || world.underlay[i].prefix.length >
					     world.underlay[best].prefix.length))
			best = (int)i;
	}
	if (best >= 0)
		*hop = world.underlay[best].hop;
	return best >= 0;
}

static uint8_t longest_allowed(const struct addr *addr, uint8_t least)
{
	uint8_t length = 0;

	for (unsigned i = 0; i < world.alloweds; i++) {
		const struct prefix *prefix = &world.allowed[i].prefix;

		if (prefix_contains(prefix, addr) && prefix->length >= least)
			length = RTE_MAX(length, prefix->length);
	}
	return length;
}

bool allowed_has(unsigned copy, uint32_t peer, const struct addr *src)
{
	uint8_t length = longest_allowed(src, 0);

	for (unsigned i = 0; i < world.alloweds; i++) {
		if (world.allowed[i].peer == peer && world.allowed[i].prefix.length == length &&
			prefix_contains(&world.allowed[i].prefix, src))
			return true;
	}
	return false;
}

bool route_is_masked(unsigned copy, const struct addr *addr)
{
	for (unsigned i = 0; i < world.overlays; i++) {
		const struct route_hop *hop = &world.overlay[i].hop;

		if (prefix_contains(&world.overlay[i].prefix, addr) && hop->next == API_NEXT_PEER &&
			(hop->flags & API_ROUTE_MASQUERADE) != 0 &&
			allowed_has(copy, hop->peer, addr))
			return true;
	}
	return false;
}

bool route_is_overlay(unsigned copy, const struct addr *addr)
{
	return false;
}

uint32_t allowed_owner(unsigned copy, const struct addr *addr)
{
	uint8_t length = longest_allowed(addr, 2);
	uint32_t owner = 0;

	for (unsigned i = 0; i < world.alloweds && length > 1; i++) {
		const struct fake_owner *allowed = &world.allowed[i];

		if (allowed->prefix.length == length && prefix_contains(&allowed->prefix, addr) &&
			(owner == 0 || allowed->peer < owner))
			owner = allowed->peer;
	}
	return owner;
}

bool local_has(unsigned copy, const struct addr *addr, uint16_t *port)
{
	for (unsigned i = 0; i < world.locals; i++) {
		if (addr_equal(&world.local[i], addr)) {
			*port = 0;
			return true;
		}
	}
	return false;
}

bool local_source(unsigned copy, uint16_t port, uint8_t family, struct addr *out)
{
	return addr_parse(family == ADDR_V4 ? "100.64.0.254" : "fd00::fe", out) == 0;
}
