/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/model/model.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "control/model/model_priv.h"

static const struct {
	const char *noun, *key;
} kinds[MODEL_KINDS] = {
	[MODEL_PORT] = {"port", "ports"},
	[MODEL_GROUP] = {"group", "groups"},
	[MODEL_PEER] = {"peer", "peers"},
	[MODEL_ROUTE] = {"route", "routes"},
	[MODEL_EXIT_NODE] = {"exit node", "exit_nodes"},
	[MODEL_POOL] = {"egress pool", "egress.pools"},
	[MODEL_POLICY] = {"policy", "policies"},
	[MODEL_FORWARD] = {"forward", "forwards"},
};

/* udp, dns, tcp_established, tcp_opening, tcp_closing, icmp, other. */
static const uint32_t model_timeout_defaults[MODEL_TIMEOUTS] = {300, 30, 7440, 240, 240, 60, 300};

struct model *model_create(void)
{
	struct pool *pool = pool_create();
	struct model *model = pool_alloc(pool, sizeof(*model));

	model->pool = pool;
	model->refs = 1;
	model->gateway_name = "gateway";
	model->dataplane.idle = MODEL_IDLE_ADAPTIVE;
	model->wireguard.interface = "sp0";
	model->wireguard.private_key_file = "gateway.key";
	model->wireguard.listen_port = 51820;
	model->wireguard.mtu = MODEL_TUNNEL_MTU_DEFAULT;
	model->egress.default_pool.kind = MODEL_POOL;
	model->egress.keep_days = MODEL_KEEP_DAYS_DEFAULT;
	model->routes_without_acl_groups_allow = true;
	memcpy(model->timeouts.seconds, model_timeout_defaults, sizeof(model_timeout_defaults));
	model->limits.icmp_per_s = MODEL_ICMP_ERRORS_DEFAULT;
	model->limits.rest_s = MODEL_PORT_REST_S;
	model->failover.dead_after_s = MODEL_DEAD_AFTER_S;
	model->failover.return_after_s = MODEL_RETURN_AFTER_S;
	return model;
}

void model_destroy(struct model **model)
{
	struct pool *pool;

	struct model *dying = *model;

	*model = NULL;
	if (dying == NULL || --dying->refs > 0)
		return;
	for (size_t i = 0; i < MODEL_KINDS; i++)
		HASH_CLEAR(hh, dying->tables[i].by_name);
	model_claims_clear(dying);
	model_destroy(&dying->base);
	pool = dying->pool; /* the model itself lies in its pool */
	pool_destroy(&pool);
}

int model_add(struct model *model, enum model_kind kind, struct model_object *object)
{
	struct model_table *table = &model->tables[kind];

	if (model_find(model, kind, object->name) != NULL)
		return -EEXIST;
	table->items = pool_grow(model->pool, table->items, table->n, sizeof(void *));
	object->index = (uint32_t)table->n;
	table->items[table->n++] = object;
	HASH_ADD_KEYPTR(hh, table->by_name, object->name, strlen(object->name), object);
	return 0;
}

struct model_object *model_find(const struct model *model, enum model_kind kind, const char *name)
{
	struct model_object *object;

	HASH_FIND(hh, model->tables[kind].by_name, name, strlen(name), object);
	return object;
}

const char *model_kind_noun(enum model_kind kind)
{
	return kinds[kind].noun;
}

const char *model_kind_key(enum model_kind kind)
{
	return kinds[kind].key;
}

struct prefix model_network(const struct model_ifaddr *address)
{
	struct prefix prefix = prefix_of_addr(&address->addr);

	prefix.length = address->length;
	prefix_mask(&prefix);
	return prefix;
}

bool model_in_overlay(const struct model *model, const struct addr *addr)
{
	for (size_t i = 0; i < model->wireguard.addresses.n; i++) {
		struct prefix network = model_network(&model->wireguard.addresses.items[i]);

		if (prefix_contains(&network, addr))
			return true;
	}
	return false;
}

bool model_overlaps_overlay(const struct model *model, const struct prefix *prefix)
{
	for (size_t i = 0; i < model->wireguard.addresses.n; i++) {
		struct prefix network = model_network(&model->wireguard.addresses.items[i]);

		if (prefix_overlaps(&network, prefix))
			return true;
	}
	return false;
}

const struct model_port *model_port_of(const struct model *model, const struct addr *addr)
{
	for (size_t i = 0; i < model->tables[MODEL_PORT].n; i++) {
		const struct model_port *port = model_port_at(model, i);

		for (size_t j = 0; j < port->addresses.n; j++) {
			struct prefix network = model_network(&port->addresses.items[j]);

			if (prefix_contains(&network, addr))
				return port;
		}
	}
	return NULL;
}

bool model_peer_in_groups(const struct model_peer *peer, const struct model_refs *groups)
{
	for (size_t i = 0; i < peer->groups.n; i++) {
		for (size_t j = 0; j < groups->n; j++) {
			if (peer->groups.index[i] == groups->index[j])
				return true;
		}
	}
	return false;
}
