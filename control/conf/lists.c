/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of mappings, whose order counts: policies, egress rules, tests. */
#include "control/conf/field.h"

#include <string.h>

static const struct conf_word protocol_words[] = {{"any", MODEL_ANY}, {"tcp", MODEL_TCP},
	{"udp", MODEL_UDP}, {"icmp", MODEL_ICMP}, {NULL, 0}};

static const struct conf_word test_protocol_words[] = {
	{"tcp", MODEL_TCP}, {"udp", MODEL_UDP}, {"icmp", MODEL_ICMP}, {NULL, 0}};

static const struct conf_field source_fields[] = {
	FIELD("groups", refs, model_source, groups, .kind = MODEL_GROUP),
	FIELD("peers", refs, model_source, peers, .kind = MODEL_PEER),
	FIELD("port", ref, model_source, port, .kind = MODEL_PORT),
	FIELD("prefixes", prefixes, model_source, prefixes),
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

const struct conf_field conf_policy_fields[] = {
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

static const struct conf_field egress_source_fields[] = {
	FIELD("groups", refs, model_source, groups, .kind = MODEL_GROUP),
	FIELD("peers", refs, model_source, peers, .kind = MODEL_PEER),
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

const struct conf_field conf_egress_rule_fields[] = {
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

const struct conf_field conf_test_fields[] = {
	FIELD("from", text, model_test, from, .required = true, .max = MODEL_NAME_MAX),
	FIELD("as", ref, model_test, as, .kind = MODEL_PEER),
	FIELD("to", flow_end, model_test, to, .required = true),
	FIELD("protocol", word, model_test, protocol, .words = test_protocol_words),
	FIELD("expect", allow, model_test, allow, .required = true),
	FIELD("egress", text, model_test, egress, .max = MODEL_NAME_MAX),
	END,
};

CONF_READER(policies)
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
		conf_read_map(r, child, conf_policy_fields, policy);
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

CONF_READER(egress_rules)
{
	struct model_egress_rules *rules = out;

	if (!conf_is_list(r, node, "egress rules"))
		return;
	for (size_t i = 0; i < node->n_children; i++) {
		rules->items = pool_grow(r->pool, rules->items, rules->n, sizeof(*rules->items));
		memset(&rules->items[rules->n], 0, sizeof(*rules->items));
		conf_read_map(
			r, node->children[i], conf_egress_rule_fields, &rules->items[rules->n++]);
	}
}

CONF_READER(tests)
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
		if (!conf_read_map(r, child, conf_test_fields, test))
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

const void *conf_item_defaults(struct pool *pool, const struct conf_field *field)
{
	struct model_policy *policy;

	if (field->fields == conf_egress_rule_fields)
		return pool_alloc(pool, sizeof(struct model_egress_rule));
	if (field->fields == conf_test_fields)
		return pool_alloc(pool, sizeof(struct model_test));
	policy = pool_alloc(pool, sizeof(*policy));
	policy->enabled = true; /* as conf_read_policies() begins */
	return policy;
}
