/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/ports/ports.h"

#include <stdlib.h>
#include <string.h>

enum row_port { PORT_NONE = -2, PORT_ANY = -1 };

struct row {
	const char *direction, *protocol, *remote, *why;
	int port; /* or enum row_port */
	int last; /* of a range; 0 = one port */
	const struct addr *addr;
	bool optional;
};

static void add(json_t *rows, const struct row *row)
{
	char text[ADDR_TEXT_MAX];

	json_array_append_new(rows,
		json_pack("{s:s, s:i, s:s, s:o, s:s, s:s, s:s, s:b}", "direction", row->direction,
			"family", (int)row->addr->family, "protocol", row->protocol, "port",
			row->port == PORT_NONE  ? json_null()
			: row->port == PORT_ANY ? json_string("any")
			: row->last > row->port ? json_sprintf("%d-%d", row->port, row->last)
						: json_integer(row->port),
			"address", addr_format(row->addr, text), "remote", row->remote, "why",
			row->why, "needed", !row->optional));
}

static void add_also_listen(json_t *rows, const struct model *m, const struct addr *addr)
{
	for (size_t i = 0; i < m->wireguard.also_listen.n; i++) {
		const struct model_port_range *range = &m->wireguard.also_listen.items[i];

		for (unsigned port = range->first; port <= range->last; port++)
			add(rows, &(struct row){"in", "udp", "any",
					  "tunnels of peers whose network blocks the usual port",
					  (int)port, 0, addr, true});
	}
}

/* Tunnels end on every address of the ports; peers may come to any of them. */
static void add_tunnels(json_t *rows, const struct model *m, const struct addr *addr)
{
	const char *icmp = addr->family == 4 ? "icmp" : "icmpv6";

	add(rows, &(struct row){"in", "udp", "any", "tunnels of peers", m->wireguard.listen_port, 0,
			  addr, false});
	add_also_listen(rows, m, addr);
	add(rows, &(struct row){"in", icmp, "any",
			  addr->family == 4 ? "packet too big (fragmentation needed), unreachable"
					    : "packet too big, unreachable, neighbours",
			  PORT_NONE, 0, addr, false});
	add(rows, &(struct row){
			  "in", icmp, "any", "echo, to look for faults", PORT_NONE, 0, addr, true});
	add(rows,
		&(struct row){"out", "udp", "any", "answers to peers, which may be behind any NAT",
			PORT_ANY, 0, addr, false});
	add(rows, &(struct row){"out", icmp, "any", "errors and echo", PORT_NONE, 0, addr, false});
}

/* Peers with an endpoint of their own: the gateway opens the tunnel. */
static void add_endpoints(json_t *rows, const struct model *m, const struct addr *addr)
{
	for (size_t i = 0; i < m->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(m, i);
		char remote[ADDR_TEXT_MAX], why[MODEL_NAME_MAX + 32];

		if (!peer->enabled || peer->endpoint.addr.family != addr->family)
			continue;
		snprintf(why, sizeof(why), "tunnel to peer %s", peer->object.name);
		add(rows, &(struct row){"out", "udp", addr_format(&peer->endpoint.addr, remote),
				  why, peer->endpoint.port, 0, addr, false});
	}
}

static void add_egress(json_t *rows, const struct addr *addr)
{
	static const char why[] = "what peers ask of the internet";
	static const char *const protocols[] = {"tcp", "udp"};
	const char *icmp = addr->family == 4 ? "icmp" : "icmpv6";

	for (size_t i = 0; i < 2; i++)
		add(rows, &(struct row){"out", protocols[i], "any", why, PORT_ANY, 0, addr, false});
	add(rows, &(struct row){"out", icmp, "any", why, PORT_NONE, 0, addr, false});
	add(rows, &(struct row){"in", icmp, "any", "errors about that traffic", PORT_NONE, 0, addr,
			  false});
}

static void add_forwards(json_t *rows, const struct model *m)
{
	for (size_t i = 0; i < m->tables[MODEL_FORWARD].n; i++) {
		const struct model_forward *forward = model_forward_at(m, i);
		char why[MODEL_NAME_MAX + 32];

		if (!forward->enabled)
			continue;
		snprintf(why, sizeof(why), "forward %s", forward->object.name);
		add(rows, &(struct row){"in", forward->protocol == MODEL_TCP ? "tcp" : "udp", "any",
				  why, forward->ports.first, forward->ports.last, &forward->address,
				  false});
	}
}

static bool leads_to_peers(const struct model *m, const struct model_port *port)
{
	/* Every address of every port takes tunnels, unless the port is a private network's and
	 * another one has a public address or a gateway. */
	if (port->gateways.n > 0)
		return true;
	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++) {
		const struct model_route *route = model_route_at(m, i);

		if (route->via_port.n > 0 &&
			strcmp(route->via_port.names[0], port->object.name) == 0)
			return false;
	}
	return true;
}

json_t *ports_rows(const struct model *m)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < m->tables[MODEL_PORT].n; i++) {
		const struct model_port *port = model_port_at(m, i);

		for (size_t k = 0; leads_to_peers(m, port) && k < port->addresses.n; k++) {
			add_tunnels(rows, m, &port->addresses.items[k].addr);
			add_endpoints(rows, m, &port->addresses.items[k].addr);
		}
	}
	if (m->management.metrics.addr.family != ADDR_NONE)
		add(rows,
			&(struct row){"in", "tcp", "any", "metrics and health, for monitoring",
				m->management.metrics.port, 0, &m->management.metrics.addr, true});
	for (size_t i = 0; i < m->tables[MODEL_POOL].n; i++) {
		const struct model_addrs *addresses = &model_pool_at(m, i)->addresses;

		for (size_t k = 0; k < addresses->n; k++)
			add_egress(rows, &addresses->items[k]);
	}
	add_forwards(rows, m);
	return rows;
}

static const char *member(const json_t *row, const char *key)
{
	return json_string_value(json_object_get(row, key));
}

static void write_rule(FILE *out, const json_t *row)
{
	bool in = strcmp(member(row, "direction"), "in") == 0, any;
	int family = (int)json_integer_value(json_object_get(row, "family"));
	const json_t *port = json_object_get(row, "port");

	any = strcmp(member(row, "remote"), "any") == 0;
	fprintf(out, "\t\t%s %s %s ", family == 4 ? "ip" : "ip6", in ? "daddr" : "saddr",
		member(row, "address"));
	if (!any)
		fprintf(out, "%s %s %s ", family == 4 ? "ip" : "ip6", in ? "saddr" : "daddr",
			member(row, "remote"));
	if (json_is_string(port) && strcmp(json_string_value(port), "any") != 0)
		fprintf(out, "%s dport %s ", member(row, "protocol"), json_string_value(port));
	else if (json_is_integer(port))
		fprintf(out, "%s dport %lld ", member(row, "protocol"),
			(long long)json_integer_value(port));
	else
		fprintf(out, "meta l4proto %s ",
			strcmp(member(row, "protocol"), "icmpv6") == 0 ? "ipv6-icmp"
								       : member(row, "protocol"));
	fprintf(out, "accept comment \"%s\"\n", member(row, "why"));
}

static void write_chain(FILE *out, const char *name, const char *direction, const json_t *rows)
{
	const json_t *row;
	size_t i;

	fprintf(out, "\tchain %s {\n\t\tct state established,related accept\n", name);
	json_array_foreach((json_t *)rows, i, row)
	{
		if (strcmp(member(row, "direction"), direction) == 0)
			write_rule(out, row);
	}
	fputs("\t}\n", out);
}

void ports_write_nft(FILE *out, const json_t *rows)
{
	fputs("# For a firewall in front of the gateway: its forward chain jumps to these two.\n"
	      "# The gateway's own data plane needs no rules.\n"
	      "table inet sallyport_ports {\n",
		out);
	write_chain(out, "to_gateway", "in", rows);
	write_chain(out, "from_gateway", "out", rows);
	fputs("}\n", out);
}
