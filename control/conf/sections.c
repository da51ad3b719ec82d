/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keys of the file, section by section: what may stand where, and into which field of the
 * model it goes. Only what one value says is judged here; what values say about each other is
 * model_check()'s.
 */
#include "common/api/flow.h"
#include "control/conf/conf_priv.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	VERSION = 1,
	INTERFACE_NAME_MAX = 15, /* IFNAMSIZ less the terminator */
	PORT_NAME_MAX = 12,      /* with "sp-" before it still an interface name */
	DEVICE_MAX = 187,        /* common/api/port.h */
	PATH_BYTES_MAX = 4095,
	HOST_NAME_MAX_BYTES = 253,
};

#define FIELD(name, reader, type, member, ...)                                                     \
	{                                                                                          \
		.key = name, .read = conf_read_##reader, .offset = offsetof(struct type, member),  \
		__VA_ARGS__                                                                        \
	}
#define END                                                                                        \
	{                                                                                          \
		.key = NULL                                                                        \
	}

static const struct conf_word idle_words[] = {
	{"adaptive", MODEL_IDLE_ADAPTIVE}, {"poll", MODEL_IDLE_POLL}, {NULL, 0}};
static const struct conf_word protocol_words[] = {{"any", MODEL_ANY}, {"tcp", MODEL_TCP},
	{"udp", MODEL_UDP}, {"icmp", MODEL_ICMP}, {NULL, 0}};

static const struct conf_word test_protocol_words[] = {
	{"tcp", MODEL_TCP}, {"udp", MODEL_UDP}, {"icmp", MODEL_ICMP}, {NULL, 0}};

/* Whatever is said of it must not repeat it. */
static bool is_key_itself(const struct conf_node *node)
{
	struct key key;
	bool is_key = node->kind == CONF_SCALAR && key_parse(node->text, &key) == 0;

	key_wipe(&key);
	return is_key;
}

/* The name of a key's file. */
static void conf_read_key_file(struct conf_reader *r, const struct conf_node *node,
	const struct conf_field *field, void *out)
{
	if (is_key_itself(node))
		conf_report(r, DIAG_BAD_SECRET, node, NULL,
			"this is a key: write it into a file, and the name of the file here");
	else
		conf_read_text(r, node, field, out);
}

static const struct conf_field gateway_fields[] = {
	FIELD("name", name, model, gateway_name, .required = true),
	FIELD("name_servers", addrs, model, name_servers),
	END,
};

static const struct conf_field dataplane_fields[] = {
	FIELD("workers", u32, model_dataplane, workers, .min = 1, .max = 32),
	FIELD("memory_mib", u32, model_dataplane, memory_mib, .min = 64, .max = 1 << 20),
	FIELD("cores", text, model_dataplane, cores, .max = 127),
	FIELD("idle", word, model_dataplane, idle, .words = idle_words),
	END,
};

static const struct conf_field management_fields[] = {
	FIELD("metrics", endpoint, model_management, metrics),
	END,
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

static const struct conf_field wireguard_fields[] = {
	FIELD("interface", name, model_wireguard, interface, .max = INTERFACE_NAME_MAX),
	FIELD("private_key", secret, model_wireguard, private_key_file, .max = PATH_BYTES_MAX),
	FIELD("private_key_file", key_file, model_wireguard, private_key_file,
		.max = PATH_BYTES_MAX, .shape = CONF_SHAPE_FILE),
	FIELD("listen_port", u16, model_wireguard, listen_port, .min = 1, .max = 65535),
	FIELD("also_listen", port_ranges, model_wireguard, also_listen),
	FIELD("mtu", u16, model_wireguard, mtu, .min = 1280, .max = 8920),
	FIELD("addresses", ifaddrs, model_wireguard, addresses, .required = true),
	END,
};

static const struct conf_word forward_protocol_words[] = {
	{"tcp", MODEL_TCP}, {"udp", MODEL_UDP}, {NULL, 0}};

static const struct conf_field group_fields[] = {
	FIELD("description", text, model_group, description),
	END,
};

static const struct conf_field peer_fields[] = {
	FIELD("description", text, model_peer, description),
	FIELD("enabled", bool, model_peer, enabled),
	FIELD("public_key", key, model_peer, public_key),
	FIELD("public_key_file", key_file, model_peer, public_key_file, .max = PATH_BYTES_MAX,
		.shape = CONF_SHAPE_FILE),
	FIELD("preshared_key", secret, model_peer, preshared_key_file, .max = PATH_BYTES_MAX),
	FIELD("preshared_key_file", key_file, model_peer, preshared_key_file, .max = PATH_BYTES_MAX,
		.shape = CONF_SHAPE_FILE),
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

static const struct conf_field source_fields[] = {
	FIELD("groups", refs, model_source, groups, .kind = MODEL_GROUP),
	FIELD("peers", refs, model_source, peers, .kind = MODEL_PEER),
	FIELD("port", ref, model_source, port, .kind = MODEL_PORT),
	FIELD("prefixes", prefixes, model_source, prefixes),
	END,
};

static const struct conf_field egress_source_fields[] = {
	FIELD("groups", refs, model_source, groups, .kind = MODEL_GROUP),
	FIELD("peers", refs, model_source, peers, .kind = MODEL_PEER),
	END,
};

static const struct conf_field target_fields[] = {
	FIELD("host", bool, model_target, host),
	FIELD("groups", refs, model_target, groups, .kind = MODEL_GROUP),
	FIELD("peers", refs, model_target, peers, .kind = MODEL_PEER),
	FIELD("routes", refs, model_target, routes, .kind = MODEL_ROUTE),
	FIELD("exit_nodes", refs, model_target, exit_nodes, .kind = MODEL_EXIT_NODE),
	FIELD("forwards", refs, model_target, forwards, .kind = MODEL_FORWARD),
	FIELD("prefixes", prefixes, model_target, prefixes),
	END,
};

/* A mapping with groups, peers ..., or the word any. */
static void conf_read_source(struct conf_reader *r, const struct conf_node *node,
	const struct conf_field *field, void *out)
{
	struct model_source *source = out;

	if (node->kind == CONF_SCALAR && strcmp(node->text, "any") == 0)
		source->any = true;
	else
		conf_read_map(r, node, field->fields, source);
}

static const struct conf_field policy_fields[] = {
	FIELD("name", name, model_policy, object.name, .required = true),
	FIELD("description", text, model_policy, description),
	FIELD("enabled", bool, model_policy, enabled),
	FIELD("from", source, model_policy, from, .fields = source_fields,
		.shape = CONF_SHAPE_OR_ANY),
	FIELD("to", fields, model_policy, to, .fields = target_fields),
	FIELD("protocol", word, model_policy, protocol, .words = protocol_words),
	FIELD("ports", port_ranges, model_policy, ports),
	FIELD("action", allow, model_policy, allow, .required = true),
	END,
};

static const struct conf_word mapping_words[] = {
	{"endpoint-independent", MODEL_MAPPING_INDEPENDENT},
	{"endpoint-dependent", MODEL_MAPPING_DEPENDENT}, {NULL, 0}};
static const struct conf_word filtering_words[] = {{"address-port", MODEL_FILTER_ADDRESS_PORT},
	{"address", MODEL_FILTER_ADDRESS}, {"endpoint-independent", MODEL_FILTER_NONE}, {NULL, 0}};

/* true keeps it: the default */
static void conf_read_parity(struct conf_reader *r, const struct conf_node *node,
	const struct conf_field *field, void *out)
{
	bool keep = true;

	conf_read_bool(r, node, field, &keep);
	*(bool *)out = !keep;
}

static const struct conf_field egress_rule_fields[] = {
	FIELD("from", source, model_egress_rule, from, .fields = egress_source_fields,
		.required = true, .shape = CONF_SHAPE_OR_ANY),
	FIELD("exit_nodes", refs, model_egress_rule, exit_nodes, .kind = MODEL_EXIT_NODE),
	FIELD("to", prefixes, model_egress_rule, to),
	FIELD("use", ref_or_deny, model_egress_rule, use, .kind = MODEL_POOL, .required = true),
	FIELD("mapping", word, model_egress_rule, mapping, .words = mapping_words),
	FIELD("filtering", word, model_egress_rule, filtering, .words = filtering_words),
	FIELD("keep_parity", parity, model_egress_rule, any_parity, .shape = CONF_SHAPE_BOOL),
	END,
};

enum { TIMEOUT_MAX_S = 864000 };

#define TIMEOUT(name, number)                                                                      \
	FIELD(name, u32, model_timeouts, seconds[number], .min = 1, .max = TIMEOUT_MAX_S)

static const struct conf_field timeouts_fields[] = {
	TIMEOUT("udp", API_TIMEOUT_UDP),
	TIMEOUT("dns", API_TIMEOUT_DNS),
	TIMEOUT("tcp_established", API_TIMEOUT_TCP_ESTABLISHED),
	TIMEOUT("tcp_opening", API_TIMEOUT_TCP_OPENING),
	TIMEOUT("tcp_closing", API_TIMEOUT_TCP_CLOSING),
	TIMEOUT("icmp", API_TIMEOUT_ICMP),
	TIMEOUT("other", API_TIMEOUT_OTHER),
	FIELD("below_rfc", bool, model_timeouts, below_rfc),
	END,
};

static void conf_read_timeouts(struct conf_reader *r, const struct conf_node *node,
	const struct conf_field *field, void *out)
{
	struct model_timeouts *timeouts = out;

	timeouts->given = conf_read_map(r, node, timeouts_fields, timeouts);
}

static const struct conf_field limits_fields[] = {
	FIELD("flows_per_peer", u32, model_limits, flows, .min = 1, .max = UINT32_MAX),
	FIELD("half_open_per_peer", u32, model_limits, half_open, .min = 1, .max = UINT32_MAX),
	FIELD("new_flows_per_second", u32, model_limits, new_per_s, .min = 1,
		.max = API_LIMIT_RATE_MAX),
	FIELD("icmp_errors_per_second", u32, model_limits, icmp_per_s, .min = 1,
		.max = API_LIMIT_RATE_MAX),
	FIELD("port_rest_s", u32, model_limits, rest_s, .min = 0, .max = API_LIMIT_REST_MAX),
	FIELD("resting_ports", u32, model_limits, resting, .min = 1, .max = UINT32_MAX),
	END,
};

static void conf_read_limits(struct conf_reader *r, const struct conf_node *node,
	const struct conf_field *field, void *out)
{
	struct model_limits *limits = out;

	limits->given = conf_read_map(r, node, limits_fields, limits);
}

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

static void read_key_file(struct conf_reader *r, const struct conf_node *node, const char *key,
	bool secret, struct key *out)
{
	const struct conf_node *child = conf_tree_get(node, key);
	char path[PATH_MAX];
	int rc;

	if (child == NULL || child->kind != CONF_SCALAR || r->state_dir == NULL ||
		is_key_itself(child))
		return;
	/* Refused by its reader: what it says may be the secret. */
	if (strstr(key, "_file") == NULL && !conf_is_secret_ref(child->text))
		return;
	rc = conf_key_file_read(r->state_dir, child->text, secret, out);
	if (rc == -EACCES && secret && conf_key_file_path(r->state_dir, child->text, path) == 0 &&
		access(path, R_OK) == 0)
		conf_report(r, DIAG_KEY_FILE_MODE, child,
			pool_printf(r->pool, "type: chmod 0600 %s", path),
			"secret key file '%s' must be readable by its owner only", child->text);
	else if (rc == -ENOKEY)
		conf_report(r, DIAG_KEY_FILE, child, "systemd sets it for LoadCredential=",
			"'%s': CREDENTIALS_DIRECTORY is not set", child->text);
	else if (rc == -EINVAL)
		conf_report(
			r, DIAG_KEY_FILE, child, NULL, "'%s' does not hold one key", child->text);
	else if (rc < 0)
		conf_report(r, DIAG_KEY_FILE, child, NULL, "key file '%s': %s", child->text,
			strerror(-rc));
}

/* A host's name, which is not to be taken for an address that is wrong. */
static bool is_host_name(const char *text, size_t length)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
	bool letter = false;

	if (length == 0 || length > HOST_NAME_MAX_BYTES || text[0] == '.' || text[0] == '-' ||
		strspn(text, allowed) < length)
		return false;
	for (size_t i = 0; i < length; i++) {
		letter |= isalpha((unsigned char)text[i]) != 0;
		if (text[i] == '.' && text[i + 1] == '.')
			return false;
	}
	return letter;
}

/* 192.0.2.1:51820, [2001:db8::1]:51820 or office.example:51820. */
static void finish_endpoint(
	struct conf_reader *r, const struct conf_node *node, struct model_peer *peer)
{
	const char *text = peer->endpoint_text, *colon;

	if (text == NULL || endpoint_parse(text, &peer->endpoint) == 0)
		return;
	colon = strrchr(text, ':');
	if (colon == NULL || port_parse(colon + 1, &peer->endpoint_port) < 0 ||
		!is_host_name(text, (size_t)(colon - text))) {
		conf_report(r, DIAG_BAD_ENDPOINT, conf_tree_get(node, "endpoint"), NULL,
			"'%s' is not an endpoint such as 192.0.2.1:51820, [2001:db8::1]:51820 or "
			"office.example:51820",
			text);
		return;
	}
	peer->endpoint_name = pool_printf(r->pool, "%.*s", (int)(colon - text), text);
}

static void check_one_secret(
	struct conf_reader *r, const struct conf_node *node, const char *key, const char *key_file)
{
	const struct conf_node *second = conf_tree_get(node, key_file);

	if (second != NULL && conf_tree_get(node, key) != NULL)
		diag_add(r->diag, DIAG_ONE_OF, second->key_mark, conf_tree_path(r->pool, second),
			NULL, "only one of '%s' and '%s' can be given", key, key_file);
}

/* The file of a private key need not be there yet: then it is made. */
static void conf_read_wireguard(struct conf_reader *r, const struct conf_node *node,
	const struct conf_field *field, void *out)
{
	struct model_wireguard *wireguard = out;
	struct key key = {0};

	conf_read_map(r, node, field->fields, wireguard);
	if (node->kind != CONF_MAP)
		return;
	check_one_secret(r, node, "private_key", "private_key_file");
	read_key_file(r, node, "private_key", true, &key);
	if (r->state_dir != NULL && conf_key_file_exists(r->state_dir, wireguard->private_key_file))
		read_key_file(r, node, "private_key_file", true, &key);
	key_wipe(&key);
}

static void finish_peer(struct conf_reader *r, const struct conf_node *node, void *object)
{
	struct model_peer *peer = object;
	bool by_value = conf_tree_get(node, "public_key") != NULL;
	struct key preshared = {0};

	finish_endpoint(r, node, peer);
	if (by_value == (conf_tree_get(node, "public_key_file") != NULL)) {
		diag_add(r->diag, DIAG_ONE_OF, node->key_mark, conf_tree_path(r->pool, node), NULL,
			"exactly one of 'public_key' and 'public_key_file' is needed");
		return;
	}
	if (!by_value)
		read_key_file(r, node, "public_key_file", false, &peer->public_key);
	peer->has_public_key = !key_is_zero(&peer->public_key);
	check_one_secret(r, node, "preshared_key", "preshared_key_file");
	read_key_file(r, node, "preshared_key", true, &preshared);
	read_key_file(r, node, "preshared_key_file", true, &preshared);
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

/* A mapping from names to objects of field->kind. */
static void conf_read_named(struct conf_reader *r, const struct conf_node *node,
	const struct conf_field *field, void *out)
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

static void conf_read_policies(struct conf_reader *r, const struct conf_node *node,
	const struct conf_field *field, void *out)
{
	if (!conf_is_list(r, node, "policies"))
		return;
	for (size_t i = 0; i < node->n_children; i++) {
		const struct conf_node *child = node->children[i];
		struct model_policy *policy = pool_alloc(r->pool, sizeof(*policy));
		const char *name;

		policy->enabled = true;
		policy->file = pool_strdup(r->pool, diag_source_name(r->diag, child->mark.source));
		policy->line = child->mark.line;
		conf_read_map(r, child, policy_fields, policy);
		name = policy->object.name;
		/* Kept under another name, so that indices count as the file does. */
		if (name == NULL || model_find(r->model, MODEL_POLICY, name) != NULL) {
			if (name != NULL)
				conf_report(r, DIAG_DUPLICATE_KEY, conf_tree_get(child, "name"),
					NULL, "another policy has the name '%s' already", name);
			policy->object.name = pool_printf(r->pool, "policies[%zu]", i);
		}
		if (model_add(r->model, MODEL_POLICY, &policy->object) < 0)
			return;
	}
}

static void conf_read_egress_rules(struct conf_reader *r, const struct conf_node *node,
	const struct conf_field *field, void *out)
{
	struct model_egress_rules *rules = out;

	if (!conf_is_list(r, node, "egress rules"))
		return;
	for (size_t i = 0; i < node->n_children; i++) {
		rules->items = pool_grow(r->pool, rules->items, rules->n, sizeof(*rules->items));
		memset(&rules->items[rules->n], 0, sizeof(*rules->items));
		conf_read_map(r, node->children[i], egress_rule_fields, &rules->items[rules->n++]);
	}
}

static const struct conf_field test_fields[] = {
	FIELD("from", text, model_test, from, .required = true, .max = MODEL_NAME_MAX),
	FIELD("as", ref, model_test, as, .kind = MODEL_PEER),
	FIELD("to", flow_end, model_test, to, .required = true),
	FIELD("protocol", word, model_test, protocol, .words = test_protocol_words),
	FIELD("expect", allow, model_test, allow, .required = true),
	FIELD("egress", text, model_test, egress, .max = MODEL_NAME_MAX),
	END,
};

static void conf_read_tests(struct conf_reader *r, const struct conf_node *node,
	const struct conf_field *field, void *out)
{
	struct model_tests *tests = out;

	if (!conf_is_list(r, node, "tests"))
		return;
	for (size_t i = 0; i < node->n_children; i++) {
		const struct conf_node *child = node->children[i];
		struct model_test *test;
		bool ports;

		tests->items = pool_grow(r->pool, tests->items, tests->n, sizeof(*tests->items));
		test = &tests->items[tests->n++];
		memset(test, 0, sizeof(*test));
		test->as.kind = MODEL_PEER;
		test->mark = child->mark;
		if (!conf_read_map(r, child, test_fields, test))
			continue;
		ports = test->protocol == MODEL_TCP || test->protocol == MODEL_UDP;
		if (test->to.addr.family != ADDR_NONE && test->protocol != MODEL_ANY &&
			ports != (test->to.port != 0))
			conf_report(r, DIAG_NO_PORTS_HERE, child, NULL,
				"tcp and udp need a port behind the address, icmp has none");
		if (test->protocol == MODEL_ANY)
			test->protocol = test->to.port == 0 ? MODEL_ICMP : MODEL_TCP;
		if (test->egress != NULL && !test->allow)
			conf_report(r, DIAG_NO_EGRESS_EXPECTED, child, NULL,
				"what is denied has no egress address");
	}
}

static void conf_read_version(struct conf_reader *r, const struct conf_node *node,
	const struct conf_field *field, void *out)
{
	if (node->kind != CONF_SCALAR || node->quoted || strcmp(node->text, "1") != 0)
		conf_report(r, DIAG_BAD_VERSION, node, "write 1", "this program reads version %d",
			VERSION);
}

static const struct conf_field egress_fields[] = {
	{.key = "pools", .read = conf_read_named, .kind = MODEL_POOL, .shape = CONF_SHAPE_NAMED},
	FIELD("rules", egress_rules, model_egress, rules, .fields = egress_rule_fields,
		.shape = CONF_SHAPE_LIST),
	FIELD("default", ref_or_deny, model_egress, default_pool, .kind = MODEL_POOL),
	FIELD("keep_days", u32, model_egress, keep_days, .min = 1, .max = 3650),
	END,
};

static const struct conf_field policy_defaults_fields[] = {
	FIELD("routes_without_acl_groups", allow, model, routes_without_acl_groups_allow),
	END,
};

static const struct conf_field failover_fields[] = {
	FIELD("dead_after_s", u32, model_failover, dead_after_s, .min = 2, .max = 3600),
	FIELD("return_after_s", u32, model_failover, return_after_s, .min = 0, .max = 86400),
	END,
};

static const struct conf_field root_fields[] = {
	{.key = "version",
		.read = conf_read_version,
		.required = true,
		.shape = CONF_SHAPE_VERSION},
	{.key = "gateway", .read = conf_read_fields, .fields = gateway_fields},
	FIELD("dataplane", fields, model, dataplane, .fields = dataplane_fields),
	FIELD("management", fields, model, management, .fields = management_fields),
	{.key = "ports", .read = conf_read_named, .kind = MODEL_PORT, .shape = CONF_SHAPE_NAMED},
	FIELD("wireguard", wireguard, model, wireguard, .fields = wireguard_fields,
		.required = true),
	{.key = "groups", .read = conf_read_named, .kind = MODEL_GROUP, .shape = CONF_SHAPE_NAMED},
	{.key = "peers", .read = conf_read_named, .kind = MODEL_PEER, .shape = CONF_SHAPE_NAMED},
	{.key = "routes", .read = conf_read_named, .kind = MODEL_ROUTE, .shape = CONF_SHAPE_NAMED},
	FIELD("failover", fields, model, failover, .fields = failover_fields),
	{.key = "exit_nodes",
		.read = conf_read_named,
		.kind = MODEL_EXIT_NODE,
		.shape = CONF_SHAPE_NAMED},
	FIELD("egress", fields, model, egress, .fields = egress_fields),
	FIELD("timeouts", timeouts, model, timeouts, .fields = timeouts_fields,
		.shape = CONF_SHAPE_FIELDS),
	FIELD("limits", limits, model, limits, .fields = limits_fields, .shape = CONF_SHAPE_FIELDS),
	{.key = "forwards",
		.read = conf_read_named,
		.kind = MODEL_FORWARD,
		.shape = CONF_SHAPE_NAMED},
	{.key = "policies",
		.read = conf_read_policies,
		.fields = policy_fields,
		.shape = CONF_SHAPE_LIST},
	{.key = "policy", .read = conf_read_fields, .fields = policy_defaults_fields},
	FIELD("tests", tests, model, tests, .fields = test_fields, .shape = CONF_SHAPE_LIST),
	END,
};

void conf_read_root(struct conf_reader *r, const struct conf_node *root)
{
	conf_read_map(r, root, root_fields, r->model);
}

const struct conf_field *conf_root_fields(void)
{
	return root_fields;
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

const void *conf_item_defaults(struct pool *pool, const struct conf_field *field)
{
	struct model_policy *policy;

	if (field->fields == egress_rule_fields)
		return pool_alloc(pool, sizeof(struct model_egress_rule));
	if (field->fields == test_fields)
		return pool_alloc(pool, sizeof(struct model_test));
	policy = pool_alloc(pool, sizeof(*policy));
	policy->enabled = true; /* as conf_read_policies() begins */
	return policy;
}
