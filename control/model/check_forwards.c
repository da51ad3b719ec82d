/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Port forwards: whose address and ports they take, and that they lead to somebody. Names are
 * resolved already.
 */
#include <stdio.h>
#include <string.h>

#include "control/model/model_priv.h"

enum {
	FORWARDS_MAX = 4095,
	FROM_MAX = 16, /* prefixes of one forward */
	SSH_PORT = 22,
	/* of an address that is the gateway's own: Linux's net.ipv4.ip_local_port_range */
	EPHEMERAL_FIRST = 32768,
	EPHEMERAL_LAST = 60999,
};

struct checker {
	const struct model *model;
	const struct model_reporter *reporter;
	bool ok;
};

static const char *path_of(
	const struct checker *c, const struct model_forward *forward, const char *key)
{
	return pool_printf(c->model->pool, "forwards.%s%s%s", forward->object.name,
		key == NULL ? "" : ".", key == NULL ? "" : key);
}

static void report(struct checker *c, enum diag_code code, const char *path, const char *hint,
	const char *message)
{
	c->reporter->report(c->reporter->context, code, path, message, hint, NULL);
	if (code < 500) /* 05xx are warnings */
		c->ok = false;
}

static bool holds(const struct model_ifaddrs *addresses, const struct addr *addr)
{
	for (size_t i = 0; i < addresses->n; i++) {
		if (addr_equal(&addresses->items[i].addr, addr))
			return true;
	}
	return false;
}

static bool is_port_address(const struct model *m, const struct addr *addr)
{
	for (size_t i = 0; i < m->tables[MODEL_PORT].n; i++) {
		if (holds(&model_port_at(m, i)->addresses, addr))
			return true;
	}
	return false;
}

static bool is_pool_address(const struct model *m, const struct addr *addr)
{
	for (size_t i = 0; i < m->tables[MODEL_POOL].n; i++) {
		const struct model_pool *pool = model_pool_at(m, i);

		for (size_t k = 0; k < pool->addresses.n; k++) {
			if (addr_equal(&pool->addresses.items[k], addr))
				return true;
		}
	}
	return false;
}

static bool overlap(const struct model_port_range *a, uint16_t first, uint16_t last)
{
	return a->first <= last && first <= a->last;
}

/* Ports of the gateway's own address that are its kernel's or WireGuard's. */
static void check_own_ports(struct checker *c, const struct model_forward *forward)
{
	const struct model *m = c->model;
	const char *path = path_of(c, forward, "ports");
	uint16_t listen = m->wireguard.listen_port;
	bool taken = overlap(&forward->ports, listen, listen);

	for (size_t i = 0; i < m->wireguard.also_listen.n && !taken; i++) {
		listen = m->wireguard.also_listen.items[i].first;
		taken = overlap(&forward->ports, listen, m->wireguard.also_listen.items[i].last);
	}
	if (forward->protocol == MODEL_UDP && taken)
		report(c, DIAG_PORTS_TAKEN, path, NULL,
			pool_printf(m->pool, "WireGuard listens on UDP port %u of this address",
				listen));
	if (overlap(&forward->ports, EPHEMERAL_FIRST, EPHEMERAL_LAST))
		report(c, DIAG_PORTS_TAKEN, path,
			"use ports below 32768, or an egress address that is no port's",
			pool_printf(m->pool,
				"ports %d-%d of the gateway's own address are for its own "
				"connections",
				EPHEMERAL_FIRST, EPHEMERAL_LAST));
	if (forward->protocol == MODEL_TCP && overlap(&forward->ports, SSH_PORT, SSH_PORT))
		report(c, DIAG_HOST_PORT_TAKEN, path, NULL,
			"the gateway itself is not reachable by ssh at this address any more");
}

static void check_outside(struct checker *c, const struct model_forward *forward)
{
	const struct model *m = c->model;
	char text[ADDR_TEXT_MAX];
	bool own;

	if (forward->address.family == ADDR_NONE || forward->ports.first == 0)
		return; /* reported as not an address, or missing */
	own = is_port_address(m, &forward->address);
	if (!own && !is_pool_address(m, &forward->address))
		report(c, DIAG_FORWARD_ADDRESS, path_of(c, forward, "address"), NULL,
			pool_printf(m->pool, "%s is no port's and no egress pool's address",
				addr_format(&forward->address, text)));
	if (own && forward->enabled)
		check_own_ports(c, forward);
	for (size_t i = 0; forward->enabled && i < forward->object.index; i++) {
		const struct model_forward *other = model_forward_at(m, i);

		if (other->enabled && other->protocol == forward->protocol &&
			addr_equal(&other->address, &forward->address) &&
			overlap(&forward->ports, other->ports.first, other->ports.last))
			report(c, DIAG_PORTS_TAKEN, path_of(c, forward, "ports"), NULL,
				pool_printf(m->pool,
					"forward '%s' has ports %u-%u of this address already",
					other->object.name, other->ports.first, other->ports.last));
	}
}

static void check_inside(struct checker *c, const struct model_forward *forward)
{
	const struct model *m = c->model;
	const char *path = path_of(c, forward, "to");
	struct model_port_range to = model_forward_to_ports(forward);
	struct addr inside;

	if ((forward->to_peer.n == 0) == (forward->to_address.family == ADDR_NONE)) {
		report(c, DIAG_ONE_OF, path, NULL, "exactly one of 'peer' and 'address' is needed");
		return;
	}
	if (to.last - to.first != forward->ports.last - forward->ports.first)
		report(c, DIAG_FORWARD_TARGET, path_of(c, forward, "to.ports"), NULL,
			pool_printf(m->pool, "%u ports outside, but %u inside",
				forward->ports.last - forward->ports.first + 1u,
				to.last - to.first + 1u));
	if (!model_forward_inside(m, forward, &inside))
		report(c, DIAG_FORWARD_TARGET, path, NULL,
			pool_printf(m->pool, "peer '%s' has no address of the family of `address`",
				forward->to_peer.names[0]));
	else if (inside.family != forward->address.family && forward->address.family != ADDR_NONE)
		report(c, DIAG_FORWARD_TARGET, path, NULL,
			"the address inside is not of the family of the one outside");
	else if (is_port_address(m, &inside) || holds(&m->wireguard.addresses, &inside))
		report(c, DIAG_FORWARD_TARGET, path, "allow it by a policy to the host instead",
			"the address inside is the gateway's own");
}

static bool allows(const struct model *m, const struct model_policy *policy,
	const struct model_forward *forward)
{
	const struct model_target *to = &policy->to;
	const struct model_peer *peer =
		forward->to_peer.n == 0 ? NULL : model_peer_at(m, forward->to_peer.index[0]);
	struct addr inside;

	if (!policy->enabled || !policy->allow)
		return false;
	for (size_t i = 0; i < to->forwards.n; i++) {
		if (to->forwards.index[i] == forward->object.index)
			return true;
	}
	if (peer != NULL && model_peer_in_groups(peer, &to->groups))
		return true;
	for (size_t i = 0; peer != NULL && i < to->peers.n; i++) {
		if (to->peers.index[i] == peer->object.index)
			return true;
	}
	for (size_t i = 0; i < to->prefixes.n; i++) {
		if (model_forward_inside(m, forward, &inside) &&
			prefix_contains(&to->prefixes.items[i], &inside))
			return true;
	}
	return to->routes.n > 0;
}

/* The policy would keep everyone out. */
static void check_use(struct checker *c, const struct model_forward *forward)
{
	const struct model *m = c->model;

	for (size_t i = 0; i < m->tables[MODEL_POLICY].n; i++) {
		if (allows(m, model_policy_at(m, i), forward))
			return;
	}
	report(c, DIAG_NO_EFFECT, path_of(c, forward, NULL),
		"add a policy from: {port: ...} to: {forwards: [...]}",
		pool_printf(m->pool, "no policy allows anyone to use forward '%s'",
			forward->object.name));
}

static void check_policy(struct checker *c, const struct model_policy *policy)
{
	if (policy->to.forwards.n > 0 && (policy->protocol != MODEL_ANY || policy->ports.n > 0))
		report(c, DIAG_NO_PORTS_HERE,
			pool_printf(
				c->model->pool, "policies[%u].to.forwards", policy->object.index),
			"leave `protocol` and `ports` out, or write a second policy",
			"a policy to forwards has their protocols and ports");
}

bool model_check_forwards(const struct model *m, const struct model_reporter *reporter)
{
	struct checker c = {.model = m, .reporter = reporter, .ok = true};

	if (m->tables[MODEL_FORWARD].n > FORWARDS_MAX)
		report(&c, DIAG_TOO_MANY, "forwards", NULL,
			pool_printf(m->pool, "more than %d forwards", FORWARDS_MAX));
	for (size_t i = 0; i < m->tables[MODEL_FORWARD].n; i++) {
		const struct model_forward *forward = model_forward_at(m, i);

		if (forward->from.prefixes.n > FROM_MAX)
			report(&c, DIAG_TOO_MANY, path_of(&c, forward, "from.prefixes"), NULL,
				pool_printf(m->pool, "more than %d prefixes", FROM_MAX));
		if (!forward->from.any && forward->from.prefixes.n == 0)
			report(&c, DIAG_ONE_OF, path_of(&c, forward, "from"), NULL,
				"'any' or 'prefixes' is needed");
		check_outside(&c, forward);
		check_inside(&c, forward);
	}
	if (!c.ok)
		return false;
	for (size_t i = 0; i < m->tables[MODEL_FORWARD].n; i++) {
		if (model_forward_at(m, i)->enabled)
			check_use(&c, model_forward_at(m, i));
	}
	for (size_t i = 0; i < m->tables[MODEL_POLICY].n; i++)
		check_policy(&c, model_policy_at(m, i));
	return c.ok;
}

struct model_port_range model_forward_to_ports(const struct model_forward *forward)
{
	return forward->to_ports.first != 0 ? forward->to_ports : forward->ports;
}

bool model_forward_inside(
	const struct model *m, const struct model_forward *forward, struct addr *inside)
{
	const struct model_peer *peer;

	if (forward->to_peer.n == 0) {
		*inside = forward->to_address;
		return true;
	}
	peer = model_peer_at(m, forward->to_peer.index[0]);
	for (size_t i = 0; i < peer->addresses.n; i++) {
		if (peer->addresses.items[i].family == forward->address.family) {
			*inside = peer->addresses.items[i];
			return true;
		}
	}
	return false;
}
