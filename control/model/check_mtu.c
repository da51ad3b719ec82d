/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the ports take what tunnels send: what is around a packet is cut by nobody, so that an
 * MTU which is too large shows as connections that begin and then hang.
 */
#include "control/model/model_priv.h"

enum {
	AROUND_V4 = 60, /* IPv4 20, UDP 8, header 16, tag 16 */
	AROUND_V6 = 80, /* IPv6 40 */
	TUNNEL_MTU_MIN = 1280,
};

static bool has_v6(const struct model_port *port)
{
	for (size_t i = 0; i < port->addresses.n; i++) {
		if (port->addresses.items[i].addr.family == ADDR_V6)
			return true;
	}
	return false;
}

/* The greatest tunnel MTU whose packets the port takes. */
static unsigned room(const struct model_port *port)
{
	return port->mtu - (has_v6(port) ? AROUND_V6 : AROUND_V4);
}

/* Of the ports that lead further on the narrowest, since peers may be there; which of the others
 * leads to peers cannot be told, so that only what no port takes is wrong. NULL: there is none. */
static const struct model_port *find_narrowest(const struct model *m)
{
	const struct model_port *narrowest = NULL, *widest = NULL;

	for (size_t i = 0; i < m->tables[MODEL_PORT].n; i++) {
		const struct model_port *port = model_port_at(m, i);

		if (widest == NULL || room(port) > room(widest))
			widest = port;
		if (port->gateways.n != 0 && (narrowest == NULL || room(port) < room(narrowest)))
			narrowest = port;
	}
	return narrowest != NULL ? narrowest : widest;
}

static void check_one(const struct model *m, const struct model_port *port, uint16_t mtu,
	const char *path, const struct model_reporter *reporter)
{
	unsigned most = room(port);

	if (mtu <= most)
		return;
	reporter->report(reporter->context, DIAG_TUNNEL_TOO_WIDE, path,
		pool_printf(m->pool,
			"packets of %u bytes are %u with what is around them, and port '%s' takes "
			"%u",
			mtu, mtu + (port->mtu - most), port->object.name, port->mtu),
		most >= TUNNEL_MTU_MIN ? pool_printf(m->pool, "at most `mtu: %u`", most) : NULL,
		NULL);
}

void model_check_mtus(const struct model *m, const struct model_reporter *reporter)
{
	const struct model_port *port = find_narrowest(m);

	if (port == NULL)
		return;
	check_one(m, port, m->wireguard.mtu, "wireguard.mtu", reporter);
	for (size_t i = 0; i < m->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(m, i);

		if (peer->mtu > room(port))
			check_one(m, port, peer->mtu,
				pool_printf(m->pool, "peers.%s.mtu", peer->object.name), reporter);
	}
}
