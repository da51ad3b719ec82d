/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order of a compilation: ids and source sets first, then what stands by itself (ports, the
 * overlay, peers, addresses), then what refers to it (routes, allowed-IPs, egress, policy), and
 * at last the sorted list.
 */
#include "control/compile/compile_priv.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/counters.h"
#include "common/api/table.h"
#include "control/conf/conf.h"

void *compile_emit(struct builder *b, uint16_t type)
{
	const struct api_message *shape = api_message_find(type);
	void *message = pool_alloc(b->pool, shape->size);

	api_message_init(message, type, shape->size);
	b->messages = pool_grow(b->pool, b->messages, b->n, sizeof(*b->messages));
	b->messages[b->n++] = message;
	return message;
}

void compile_fail(struct builder *b, int error, const char *what)
{
	if (b->error != 0)
		return;
	b->error = error;
	b->what = pool_strdup(b->model->pool, what);
}

/* The data plane counts by id, and ids are used again: it is told whose the figures are. */
static void emit_owner(struct builder *b, uint32_t section, uint32_t id, const char *name)
{
	struct api_counted_set *set = compile_emit(b, API_COUNTED_SET);

	set->section = section;
	set->id = id;
	crypto_shorthash((unsigned char *)&set->owner, (const unsigned char *)name, strlen(name),
		(const unsigned char[crypto_shorthash_KEYBYTES]){0});
	set->owner |= 1; /* 0 is nobody */
}

uint32_t compile_id(struct builder *b, enum store_kind kind, const char *name)
{
	static const uint32_t sections[STORE_KINDS] = {
		[STORE_ROUTE] = API_SECTION_ROUTES,
		[STORE_EGRESS_ADDR] = API_SECTION_EGRESS,
		[STORE_POLICY_RULE] = API_SECTION_RULES,
		[STORE_FORWARD] = API_SECTION_FORWARDS,
	};
	uint32_t id = store_id(b->input->store, kind, name);

	if (id == 0)
		compile_fail(b, -ENOSPC, name);
	else if (sections[kind] != 0)
		emit_owner(b, sections[kind], id, name);
	return id;
}

static void index_peers(struct builder *b)
{
	struct compiled *c = b->c;
	size_t n = b->model->tables[MODEL_PEER].n;

	for (size_t i = 0; i < n; i++) {
		if (c->peer_ids[i] >= c->n_peer_places)
			c->n_peer_places = c->peer_ids[i] + 1;
	}
	c->peer_places = pool_alloc(b->pool, (c->n_peer_places + 1) * sizeof(uint32_t));
	for (size_t i = 0; i < n; i++) {
		if (c->peer_ids[i] != 0)
			c->peer_places[c->peer_ids[i]] = (uint32_t)i + 1;
	}
}

static void assign_ids(struct builder *b)
{
	const struct model *m = b->model;
	struct compiled *c = b->c;
	char text[KEY_TEXT_MAX];

	c->peer_ids = pool_alloc(b->pool, (m->tables[MODEL_PEER].n + 1) * sizeof(uint32_t));
	for (size_t i = 0; i < m->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(m, i);

		if (peer->enabled)
			c->peer_ids[i] =
				compile_id(b, STORE_PEER, key_format(&peer->public_key, text));
	}
	index_peers(b);
	c->route_ids = pool_alloc(b->pool, (m->tables[MODEL_ROUTE].n + 1) * sizeof(uint32_t));
	for (size_t i = 0; i < m->tables[MODEL_ROUTE].n; i++)
		c->route_ids[i] = compile_id(b, STORE_ROUTE,
			pool_printf(b->pool, "route:%s", model_route_at(m, i)->object.name));
	c->exit_node_ids =
		pool_alloc(b->pool, (m->tables[MODEL_EXIT_NODE].n + 1) * sizeof(uint32_t));
	for (size_t i = 0; i < m->tables[MODEL_EXIT_NODE].n; i++)
		c->exit_node_ids[i] = compile_id(b, STORE_ROUTE,
			pool_printf(b->pool, "exit:%s", model_exit_node_at(m, i)->object.name));
}

static uint16_t port_id(struct builder *b, const struct model_port *port)
{
	return (uint16_t)compile_id(b, STORE_PORT, port->object.name);
}

static void emit_local(struct builder *b, const struct addr *addr, uint16_t port)
{
	struct api_local_set *local = compile_emit(b, API_LOCAL_SET);

	local->addr = *addr;
	local->port = port;
}

static void emit_underlay(
	struct builder *b, struct prefix prefix, uint16_t port, const struct addr *gateway)
{
	struct api_route_set *route = compile_emit(b, API_ROUTE_SET);

	route->prefix = prefix;
	route->table = API_TABLE_UNDERLAY;
	route->next = API_NEXT_PORT;
	route->port = port;
	if (gateway != NULL)
		route->gateway = *gateway;
}

static void emit_port(struct builder *b, const struct model_port *port)
{
	struct api_port_set *set = compile_emit(b, API_PORT_SET);
	uint16_t id = port_id(b, port);

	set->port = id;
	set->mtu = port->mtu;
	set->rx_queues = port->queues;
	set->tx_queues = port->queues;
	for (size_t i = 0; i < b->c->n_sets; i++) {
		if (b->c->sets[i]->port == port)
			set->set_id = b->c->sets[i]->id;
	}
	snprintf(set->name, sizeof(set->name), "%s", port->object.name);
	snprintf(set->device, sizeof(set->device), "%s", port->device);
	if (!b->input->underlay)
		return;
	for (size_t i = 0; i < port->addresses.n; i++) {
		emit_local(b, &port->addresses.items[i].addr, id);
		emit_underlay(b, model_network(&port->addresses.items[i]), id, NULL);
	}
	for (size_t i = 0; i < port->gateways.n; i++) {
		struct prefix all = {.family = port->gateways.items[i].family};

		emit_underlay(b, all, id, &port->gateways.items[i]);
	}
}

static void add_secret(struct builder *b, uint16_t type, uint32_t id, const struct key *key)
{
	struct compile_secret *secret = &b->c->secrets[b->c->n_secrets++];

	*secret = (struct compile_secret){.type = type, .id = id, .key = *key};
}

/* model_check() saw that there is room. */
static void add_ports(struct api_wg_interface_set *set, const struct model_wireguard *wireguard)
{
	size_t n = 0;

	for (size_t i = 0; i < wireguard->also_listen.n; i++) {
		const struct model_port_range *range = &wireguard->also_listen.items[i];

		for (uint32_t port = range->first; port <= range->last; port++)
			set->also_listen[n++] = (uint16_t)port;
	}
}

static void emit_overlay(struct builder *b)
{
	const struct model_wireguard *wireguard = &b->model->wireguard;
	struct api_wg_interface_set *set = compile_emit(b, API_WG_INTERFACE_SET);

	set->interface = COMPILE_INTERFACE;
	set->listen_port = wireguard->listen_port;
	set->mtu = wireguard->mtu;
	add_ports(set, wireguard);
	if (b->input->private_key != NULL)
		add_secret(b, API_WG_INTERFACE_SET, COMPILE_INTERFACE, b->input->private_key);
	for (size_t i = 0; b->input->underlay && i < wireguard->addresses.n; i++)
		emit_local(b, &wireguard->addresses.items[i].addr, 0);
}

static void emit_peer(struct builder *b, const struct model_peer *peer)
{
	struct api_peer_set *set = compile_emit(b, API_PEER_SET);
	struct key preshared;
	int rc;

	set->peer = b->c->peer_ids[peer->object.index];
	set->interface = COMPILE_INTERFACE;
	set->persistent_keepalive = peer->persistent_keepalive;
	set->set_id = b->c->set_of_peer[peer->object.index]->id;
	set->mtu = peer->mtu;
	set->public_key = peer->public_key;
	set->endpoint = peer->endpoint;
	if (peer->endpoint.addr.family != ADDR_NONE)
		set->flags |= API_PEER_INITIATE;
	if (peer->endpoint_name != NULL)
		set->flags |= API_PEER_RETURN;
	if (peer->preshared_key_file == NULL)
		return;
	set->flags |= API_PEER_HAS_PSK;
	if (b->input->state_dir == NULL)
		return;
	rc = conf_key_file_read(b->input->state_dir, peer->preshared_key_file, true, &preshared);
	if (rc < 0)
		compile_fail(b, rc, peer->preshared_key_file);
	else
		add_secret(b, API_PEER_SET, set->peer, &preshared);
	key_wipe(&preshared);
}

/* Room for every secret there can be, in memory that is not swapped and not dumped. */
static void make_room_for_secrets(struct builder *b)
{
	size_t n = 1;

	for (size_t i = 0; i < b->model->tables[MODEL_PEER].n; i++)
		n += model_peer_at(b->model, i)->preshared_key_file != NULL;
	b->c->secrets = sodium_allocarray(n, sizeof(*b->c->secrets));
	if (b->c->secrets == NULL)
		compile_fail(b, -ENOMEM, "secrets");
}

static void check_keys(struct builder *b)
{
	for (size_t i = 0; i < b->model->tables[MODEL_PEER].n; i++) {
		const struct model_peer *peer = model_peer_at(b->model, i);

		if (peer->enabled && !peer->has_public_key)
			compile_fail(b, -ENOKEY, peer->object.name);
	}
}

/* A secret is part of what is desired, though not of any message. */
static void digest_secrets(struct compiled *c)
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, STORE_DIGEST_SIZE);
	for (size_t i = 0; i < c->n_secrets; i++) {
		const struct compile_secret *secret = &c->secrets[i];

		crypto_generichash_update(
			&state, (const unsigned char *)&secret->id, sizeof(secret->id));
		crypto_generichash_update(&state, secret->key.bytes, KEY_SIZE);
	}
	crypto_generichash_final(&state, c->secrets_digest, STORE_DIGEST_SIZE);
	sodium_memzero(&state, sizeof(state));
}

static void order_secrets(struct compiled *c);

struct compiled *compile_model(const struct compile_input *input, int *error, const char **what)
{
	struct pool *pool = pool_create();
	struct compiled *c = pool_alloc(pool, sizeof(*c));
	struct builder b = {.c = c, .input = input, .model = input->model, .pool = pool};
	const struct model *m = input->model;

	c->pool = pool;
	c->model = m;
	if (sodium_init() < 0)
		compile_fail(&b, -ENOSYS, "libsodium");
	check_keys(&b);
	if (b.error == 0)
		make_room_for_secrets(&b);
	if (b.error != 0)
		goto err;
	assign_ids(&b);
	compile_sets(&b);
	compile_members(&b);
	for (size_t i = 0; i < m->tables[MODEL_PORT].n; i++)
		emit_port(&b, model_port_at(m, i));
	emit_overlay(&b);
	for (size_t i = 0; i < m->tables[MODEL_PEER].n; i++) {
		if (model_peer_at(m, i)->enabled)
			emit_peer(&b, model_peer_at(m, i));
	}
	compile_reach(&b);
	compile_egress(&b);
	compile_forwards(&b);
	compile_timeouts(&b);
	compile_limits(&b);
	compile_policies(&b);
	if (b.error != 0)
		goto err;
	c->desired = desired_make(b.messages, b.n);
	digest_secrets(c);
	order_secrets(c);
	return c;
err:
	*error = b.error;
	*what = b.what;
	compile_destroy(&c);
	return NULL;
}

void compile_destroy(struct compiled **compiled)
{
	struct pool *pool;

	if (*compiled == NULL)
		return;
	sodium_free((*compiled)->secrets); /* wipes */
	pool = (*compiled)->pool;
	pool_destroy(&pool);
	*compiled = NULL;
}

/* In the order of compilation peers come by their place in the model, not by id. */
static const struct compiled *sorting;

static int compare_secrets(const struct compile_secret *a, const struct compile_secret *b)
{
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return (a->id > b->id) - (a->id < b->id);
}

static int compare_order(const void *left, const void *right)
{
	return compare_secrets(&sorting->secrets[*(const uint32_t *)left],
		&sorting->secrets[*(const uint32_t *)right]);
}

/* Places are sorted, not the secrets: sorting would leave copies of them behind. */
static void order_secrets(struct compiled *c)
{
	c->secret_order = pool_alloc(c->pool, (c->n_secrets + 1) * sizeof(*c->secret_order));
	for (size_t i = 0; i < c->n_secrets; i++)
		c->secret_order[i] = (uint32_t)i;
	sorting = c;
	qsort(c->secret_order, c->n_secrets, sizeof(*c->secret_order), compare_order);
}

const struct model_peer *compile_peer_of_id(const struct compiled *c, uint32_t id)
{
	return id < c->n_peer_places && c->peer_places[id] != 0
		       ? model_peer_at(c->model, c->peer_places[id] - 1)
		       : NULL;
}

const struct compile_secret *compile_find_secret(
	const struct compiled *compiled, uint16_t type, uint32_t id)
{
	const struct compile_secret wanted = {.type = type, .id = id};
	size_t low = 0, high = compiled->n_secrets;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct compile_secret *secret =
			&compiled->secrets[compiled->secret_order[middle]];
		int order = compare_secrets(&wanted, secret);

		if (order == 0)
			return secret;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
