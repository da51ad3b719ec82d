/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where nothing is masqueraded, the network behind must know the way back: the routes to configure
 * there.
 */
#include <stdlib.h>

#include "control/plan/plan.h"

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
	char text[ADDR_TEXT_MAX];

	if (route->via_port.n == 0)
		return json_null();
	port = model_port_at(m, route->via_port.index[0]);
	for (size_t i = 0; i < port->addresses.n; i++) {
		if (port->addresses.items[i].addr.family == family)
			return json_string(addr_format(&port->addresses.items[i].addr, text));
	}
	return json_null();
}

static void add_networks(json_t *list, const struct model *m, const struct model_route *route,
	const struct model_ifaddrs *addresses)
{
	for (size_t i = 0; i < addresses->n; i++) {
		struct prefix network = model_network(&addresses->items[i]);
		char text[PREFIX_TEXT_MAX];

		if (has_family(route, network.family))
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:o}", "route", route->object.name,
					      "to", prefix_format(&network, text), "via",
					      via_json(m, route, network.family)));
	}
}

json_t *plan_return_routes_of(const struct model *m, const struct model_route *route)
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

json_t *plan_return_routes(const struct model *m)
{
	json_t *all = json_array();

	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		json_t *list = plan_return_routes_of(m, model_route_at(m, i));

		json_array_extend(all, list);
		json_decref(list);
	}
	return all;
}

json_t *plan_new_items(const json_t *from, const json_t *to)
{
	json_t *known = json_object(), *list = json_array(), *item;
	char *text;
	size_t i;

	json_array_foreach((json_t *)from, i, item)
	{
		text = json_dumps(item, JSON_COMPACT);
		json_object_set_new(known, text, json_true());
		free(text);
	}
	json_array_foreach((json_t *)to, i, item)
	{
		text = json_dumps(item, JSON_COMPACT);
		if (json_object_get(known, text) == NULL)
			json_array_append(list, item);
		free(text);
	}
	json_decref(known);
	return list;
}
