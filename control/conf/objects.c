/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Objects with a name (ports, groups, peers, routes, exit nodes, pools, forwards): the keys of
 * each kind, what an object is before its keys are read, and what is said of it afterwards.
 */
#include "control/conf/field.h"

enum {
	PORT_NAME_MAX = 12, /* with "sp-" before it still an interface name */
	DEVICE_MAX = 187,   /* common/api/port.h */
};

static const struct conf_field port_fields[] = {
	FIELD("device", text, model_port, device, .required = true, .max = DEVICE_MAX),
	FIELD("addresses", ifaddrs, model_port, addresses),
	FIELD("gateways", addrs, model_port, gateways),
	FIELD("mtu", u16, model_port, mtu, .min = 1280, .max = 9000),
	FIELD("queues", u16, model_port, queues, .min = 1, .max = 128),
	FIELD("give_back", u16, model_port, give_back, .min = 0, .max = 3600),
	END,
};

static const struct conf_field group_fields[] = {
	FIELD("description", text, model_group, description),
	END,
};

static const struct conf_field peer_fields[] = {
	FIELD("description", text, model_peer, description),
	FIELD("enabled", bool, model_peer, enabled),
	FIELD("public_key", key, model_peer, public_key),
	FIELD("public_key_file", key_file, model_peer, public_key_file, .max = CONF_PATH_BYTES_MAX,
		.shape = CONF_SHAPE_FILE),
	FIELD("preshared_key", secret, model_peer, preshared_key_file, .max = CONF_PATH_BYTES_MAX),
	FIELD("preshared_key_file", key_file, model_peer, preshared_key_file,
		.max = CONF_PATH_BYTES_MAX, .shape = CONF_SHAPE_FILE),
	FIELD("addresses", addrs, model_peer, addresses, .required = true),
	FIELD("groups", refs, model_peer, groups, .kind = MODEL_GROUP),
	FIELD("endpoint", text, model_peer, endpoint_text),
	FIELD("persistent_keepalive", u16, model_peer, persistent_keepalive, .min = 0,
		.max = 65535),
	FIELD("mtu", u16, model_peer, mtu, .min = 1280, .max = 8920),
	FIELD("also_from", prefixes, model_peer, also_from),
	FIELD("can_route", bool, model_peer, can_route),
	END,
};

static const struct conf_field via_fields[] = {
	FIELD("peers", refs, model_route, via_peers, .kind = MODEL_PEER),
	FIELD("groups", refs, model_route, via_groups, .kind = MODEL_GROUP),
	FIELD("port", ref, model_route, via_port, .kind = MODEL_PORT),
	FIELD("gateway", addr, model_route, gateway),
	END,
};

static const struct conf_field route_fields[] = {
	FIELD("description", text, model_route, description),
	FIELD("enabled", bool, model_route, enabled),
	FIELD("network", name, model_route, network),
	FIELD("prefixes", prefixes, model_route, prefixes, .required = true),
	FIELD("map", prefixes, model_route, map),
	FIELD("nptv6", bool, model_route, nptv6),
	/* The fields of via lie in the route itself. */
	{.key = "via", .read = conf_read_fields, .fields = via_fields},
	FIELD("masquerade", bool, model_route, masquerade),
	FIELD("metric", u32, model_route, metric, .min = 1, .max = 9999),
	FIELD("distribute_to", refs, model_route, distribute_to, .kind = MODEL_GROUP),
	FIELD("distribute_to_ports", refs, model_route, to_ports, .kind = MODEL_PORT),
	FIELD("acl_groups", refs, model_route, acl_groups, .kind = MODEL_GROUP),
	END,
};

static const struct conf_field exit_node_fields[] = {
	FIELD("description", text, model_exit_node, description),
	FIELD("enabled", bool, model_exit_node, enabled),
	FIELD("offer_to", refs, model_exit_node, offer_to, .kind = MODEL_GROUP, .required = true),
	FIELD("also", prefixes, model_exit_node, also),
	END,
};

static const struct conf_field pool_fields[] = {
	FIELD("description", text, model_pool, description),
	FIELD("addresses", addrs, model_pool, addresses, .required = true),
	END,
};

static const struct conf_word forward_protocol_words[] = {
	{"tcp", MODEL_TCP}, {"udp", MODEL_UDP}, {NULL, 0}};

static const struct conf_field forward_to_fields[] = {
	FIELD("peer", ref, model_forward, to_peer, .kind = MODEL_PEER),
	FIELD("address", addr, model_forward, to_address),
	FIELD("ports", port_range, model_forward, to_ports),
	END,
};

static const struct conf_field forward_source_fields[] = {
	FIELD("prefixes", prefixes, model_source, prefixes),
	END,
};

static const struct conf_field forward_fields[] = {
	FIELD("description", text, model_forward, description),
	FIELD("enabled", bool, model_forward, enabled),
	FIELD("address", addr, model_forward, address, .required = true),
	FIELD("protocol", word, model_forward, protocol, .words = forward_protocol_words,
		.required = true),
	FIELD("ports", port_range, model_forward, ports, .required = true),
	/* The fields of to lie in the forward itself. */
	{.key = "to", .read = conf_read_fields, .fields = forward_to_fields, .required = true},
	FIELD("from", source, model_forward, from, .fields = forward_source_fields,
		.required = true, .shape = CONF_SHAPE_OR_ANY),
	END,
};

static void init_forward(void *object)
{
	((struct model_forward *)object)->enabled = true;
}

static void init_port(void *object)
{
	struct model_port *port = object;

	port->mtu = MODEL_MTU_DEFAULT;
	port->give_back = MODEL_GIVE_BACK_OWN;
}

static void init_peer(void *object)
{
	struct model_peer *peer = object;

	peer->enabled = true;
	peer->can_route = true;
}

static void init_route(void *object)
{
	struct model_route *route = object;

	route->enabled = true;
	route->masquerade = true;
	route->metric = MODEL_METRIC_DEFAULT;
}

static void init_exit_node(void *object)
{
	((struct model_exit_node *)object)->enabled = true;
}

static void finish_peer(struct conf_reader *r, const struct conf_node *node, void *object)
{
	struct model_peer *peer = object;
	bool by_value = conf_tree_get(node, "public_key") != NULL;
	struct key preshared = {0};

	conf_finish_endpoint(r, node, peer);
	if (by_value == (conf_tree_get(node, "public_key_file") != NULL)) {
		diag_add(r->diag, DIAG_ONE_OF, node->key_mark, conf_tree_path(r->pool, node), NULL,
			"exactly one of 'public_key' and 'public_key_file' is needed");
		return;
	}
	if (!by_value)
		conf_take_key_file(r, node, "public_key_file", false, &peer->public_key);
	peer->has_public_key = !key_is_zero(&peer->public_key);
	conf_check_one_secret(r, node, "preshared_key", "preshared_key_file");
	conf_take_key_file(r, node, "preshared_key", true, &preshared);
	conf_take_key_file(r, node, "preshared_key_file", true, &preshared);
	key_wipe(&preshared); /* only looked at: it is read again when it is sent */
}

static void finish_route(struct conf_reader *r, const struct conf_node *node, void *object)
{
	struct model_route *route = object;

	if (route->network == NULL)
		route->network = route->object.name;
}

static const struct object_kind {
	size_t size;
	const struct conf_field *fields;
	size_t name_max;
	void (*init)(void *object);
	void (*finish)(struct conf_reader *r, const struct conf_node *node, void *object);
} object_kinds[MODEL_KINDS] = {
	[MODEL_PORT] = {sizeof(struct model_port), port_fields, PORT_NAME_MAX, init_port, NULL},
	[MODEL_GROUP] = {sizeof(struct model_group), group_fields, MODEL_NAME_MAX, NULL, NULL},
	[MODEL_PEER] = {sizeof(struct model_peer), peer_fields, MODEL_NAME_MAX, init_peer,
		finish_peer},
	[MODEL_ROUTE] = {sizeof(struct model_route), route_fields, MODEL_NAME_MAX, init_route,
		finish_route},
	[MODEL_EXIT_NODE] = {sizeof(struct model_exit_node), exit_node_fields, MODEL_NAME_MAX,
		init_exit_node, NULL},
	[MODEL_POOL] = {sizeof(struct model_pool), pool_fields, MODEL_NAME_MAX, NULL, NULL},
	[MODEL_FORWARD] = {sizeof(struct model_forward), forward_fields, MODEL_NAME_MAX,
		init_forward, NULL},
};

CONF_READER(named)
{
	const struct object_kind *kind = &object_kinds[field->kind];

	if (node->kind != CONF_MAP) {
		conf_report(r, DIAG_WRONG_KIND, node, NULL,
			"a mapping of names to %ss is expected here", model_kind_noun(field->kind));
		return;
	}
	for (size_t i = 0; i < node->n_children; i++) {
		const struct conf_node *child = node->children[i];
		struct model_object *object = pool_alloc(r->pool, kind->size);
		struct conf_node name = {
			.kind = CONF_SCALAR,
			.text = child->key,
			.quoted = child->key_quoted,
			.mark = child->key_mark,
			.key = child->key,
			.parent = child->parent,
		};
		struct conf_field name_field = {.max = (long)kind->name_max};

		conf_read_name(r, &name, &name_field, &object->name);
		if (kind->init != NULL)
			kind->init(object);
		if (!conf_read_map(r, child, kind->fields, object) || object->name == NULL)
			continue;
		if (kind->finish != NULL)
			kind->finish(r, child, object);
		if (model_add(r->model, field->kind, object) < 0)
			continue; /* a duplicate key: the tree has reported it */
	}
}

const struct conf_field *conf_object_fields(enum model_kind kind)
{
	return object_kinds[kind].fields;
}

const void *conf_object_defaults(struct pool *pool, enum model_kind kind)
{
	void *object = pool_alloc(pool, object_kinds[kind].size);

	if (object_kinds[kind].init != NULL)
		object_kinds[kind].init(object);
	return object;
}
