/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where nothing is masqueraded, the network behind must know the way back: which routes to
 * configure there, and which flows look as if nobody had.
 */
#include "control/api/api_priv.h"

#include <string.h>

#include "common/api/flow.h"

enum { ASKED_PACKETS = 2 }; /* one may still be on its way */

static bool has_family(const struct model_route *route, uint8_t family)
{
	for (size_t i = 0; i < route->prefixes.n; i++) {
		if (route->prefixes.items[i].family == family)
			return true;
	}
	return false;
}

/* The gateway as a port's neighbours know it; null where a routing peer stands in front. */
static json_t *via_json(const struct model *m, const struct model_route *route, uint8_t family)
{
	const struct model_port *port;

	if (route->via_port.n == 0)
		return json_null();
	port = model_port_at(m, route->via_port.index[0]);
	for (size_t i = 0; i < port->addresses.n; i++) {
		if (port->addresses.items[i].addr.family == family)
			return api_json_addr(&port->addresses.items[i].addr);
	}
	return json_null();
}

static void add_networks(json_t *list, const struct model *m, const struct model_route *route,
	const struct model_ifaddrs *addresses)
{
	for (size_t i = 0; i < addresses->n; i++) {
		struct prefix network = model_network(&addresses->items[i]);

		if (has_family(route, network.family))
			json_array_append_new(
				list, json_pack("{s:o, s:o}", "to", api_json_prefix(&network),
					      "via", via_json(m, route, network.family)));
	}
}

json_t *api_return_routes(const struct model *m, const struct model_route *route)
{
	json_t *list = json_array();

	if (route->masquerade || !route->enabled)
		return list;
	if (route->distribute_to.n > 0)
		add_networks(list, m, route, &m->wireguard.addresses);
	for (size_t i = 0; i < route->to_ports.n; i++)
		add_networks(
			list, m, route, &model_port_at(m, route->to_ports.index[i])->addresses);
	return list;
}

json_t *api_flow_hint(const struct compiled *c, const struct api_flow_entry *entry)
{
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];

	if (entry->packets[1] != 0 || entry->packets[0] < ASKED_PACKETS || entry->route_id == 0 ||
		entry->nat_addr.family != ADDR_NONE)
		return json_null();
	for (size_t i = 0; c != NULL && i < c->model->tables[MODEL_ROUTE].n; i++) {
		const struct model_route *route = model_route_at(c->model, i);

		if (c->route_ids[i] == entry->route_id && !route->masquerade)
			return json_sprintf("route %s: no answer; does the network of %s have a "
					    "route back to %s?",
				route->object.name, addr_format(&entry->dst, dst),
				addr_format(&entry->src, src));
	}
	return json_null();
}
