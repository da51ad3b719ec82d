/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sections of the file and their keys: what may stand where, and into which field of the
 * model it goes. The keys of objects with a name are in objects.c, those of the items of lists in
 * lists.c. Only what one value says is judged here; what values say about each other is
 * model_check()'s.
 */
#include "common/api/flow.h"
#include "control/conf/field.h"

#include <string.h>

enum {
	VERSION = 1,
	INTERFACE_NAME_MAX = 15, /* IFNAMSIZ less the terminator */
};

static const struct conf_word idle_words[] = {
	{"adaptive", MODEL_IDLE_ADAPTIVE}, {"poll", MODEL_IDLE_POLL}, {NULL, 0}};

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

static const struct conf_field wireguard_fields[] = {
	FIELD("interface", name, model_wireguard, interface, .max = INTERFACE_NAME_MAX),
	FIELD("private_key", secret, model_wireguard, private_key_file, .max = CONF_PATH_BYTES_MAX),
	FIELD("private_key_file", key_file, model_wireguard, private_key_file,
		.max = CONF_PATH_BYTES_MAX, .shape = CONF_SHAPE_FILE),
	FIELD("listen_port", u16, model_wireguard, listen_port, .min = 1, .max = 65535),
	FIELD("also_listen", port_ranges, model_wireguard, also_listen),
	FIELD("mtu", u16, model_wireguard, mtu, .min = 1280, .max = 8920),
	FIELD("addresses", ifaddrs, model_wireguard, addresses, .required = true),
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

/* The file of a private key need not be there yet: then it is made. */
static void conf_read_wireguard(struct conf_reader *r, const struct conf_node *node,
	const struct conf_field *field, void *out)
{
	struct model_wireguard *wireguard = out;
	struct key key = {0};

	conf_read_map(r, node, field->fields, wireguard);
	if (node->kind != CONF_MAP)
		return;
	conf_check_one_secret(r, node, "private_key", "private_key_file");
	conf_take_key_file(r, node, "private_key", true, &key);
	if (r->state_dir != NULL && conf_key_file_exists(r->state_dir, wireguard->private_key_file))
		conf_take_key_file(r, node, "private_key_file", true, &key);
	key_wipe(&key);
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
	FIELD("rules", egress_rules, model_egress, rules, .fields = conf_egress_rule_fields,
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
		.fields = conf_policy_fields,
		.shape = CONF_SHAPE_LIST},
	{.key = "policy", .read = conf_read_fields, .fields = policy_defaults_fields},
	FIELD("tests", tests, model, tests, .fields = conf_test_fields, .shape = CONF_SHAPE_LIST),
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
