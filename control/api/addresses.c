/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses for a peer that asks for none. */
#include <string.h>

#include "control/api/api_priv.h"

enum { TRIES_MAX = 1 << 20 };

static bool is_taken(const struct model *m, const struct addr *addr)
{
	for (size_t i = 0; i < m->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(m, i);

		for (size_t k = 0; k < peer->addresses.n; k++) {
			if (addr_equal(&peer->addresses.items[k], addr))
				return true;
		}
	}
	return false;
}

static bool is_own(const struct model *m, const struct addr *addr)
{
	for (size_t i = 0; i < m->wireguard.addresses.n; i++) {
		if (addr_equal(&m->wireguard.addresses.items[i].addr, addr))
			return true;
	}
	return false;
}

static void step(struct addr *addr)
{
	for (size_t i = addr_size(addr->family); i > 0 && ++addr->bytes[i - 1] == 0; i--)
		;
}

/* The last one of an IPv4 network is its broadcast address: a kernel at the other end would not
 * take it for its own. */
static bool is_last(const struct prefix *network, const struct addr *addr)
{
	struct addr next = *addr;

	step(&next);
	return !prefix_contains(network, &next);
}

/* The address after the highest one in use, so that one that was given back rests; from the
 * beginning once the end is reached. */
static bool find_free(const struct model *m, const struct model_ifaddr *own, struct addr *out)
{
	struct prefix network = model_network(own);
	struct addr first = prefix_first(&network), highest = own->addr;

	for (size_t i = 0; i < m->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(m, i);

		for (size_t k = 0; k < peer->addresses.n; k++) {
			const struct addr *addr = &peer->addresses.items[k];

			if (prefix_contains(&network, addr) && addr_compare(addr, &highest) > 0 &&
				!is_last(&network, addr))
				highest = *addr;
		}
	}
	*out = highest;
	for (unsigned i = 0; i < TRIES_MAX; i++) {
		step(out);
		if (!prefix_contains(&network, out) || is_last(&network, out)) {
			if (addr_equal(&first, &highest))
				return false;
			*out = highest = first;
			continue;
		}
		if (!is_taken(m, out) && !is_own(m, out))
			return true;
	}
	return false;
}

json_t *api_free_addresses(const struct model *m)
{
	json_t *list = json_array();

	for (size_t i = 0; i < m->wireguard.addresses.n; i++) {
		char text[ADDR_TEXT_MAX];
		struct addr addr;

		if (find_free(m, &m->wireguard.addresses.items[i], &addr))
			json_array_append_new(list, json_string(addr_format(&addr, text)));
	}
	return list;
}
