/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "control/plan/plan.h"

/* Mappings from names to objects. */
static const struct {
	const char *section, *key, *kind;
} named[] = {
	{NULL, "ports", "port"},
	{NULL, "groups", "group"},
	{NULL, "peers", "peer"},
	{NULL, "routes", "route"},
	{NULL, "exit_nodes", "exit node"},
	{NULL, "forwards", "forward"},
	{"egress", "pools", "egress pool"},
};

static void add_change(
	json_t *changes, const char *change, const char *kind, const char *name, json_t *fields)
{
	json_array_append_new(
		changes, json_pack("{s:s, s:s, s:s, s:o}", "change", change, "kind", kind, "name",
				 name, "fields", fields == NULL ? json_array() : fields));
}

static json_t *or_null(const json_t *value)
{
	return value == NULL ? json_null() : json_incref((json_t *)value);
}

static void add_field(json_t *fields, const char *key, const json_t *from, const json_t *to)
{
	if (from == to || (from != NULL && to != NULL && json_equal(from, to)))
		return;
	json_array_append_new(fields,
		json_pack("{s:s, s:o, s:o}", "key", key, "from", or_null(from), "to", or_null(to)));
}

/* Keys of both, those of `from` first. */
static json_t *different_fields(const json_t *from, const json_t *to)
{
	json_t *fields = json_array();
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)from, key, value)
	{
		add_field(fields, key, value, json_object_get(to, key));
	}
	json_object_foreach((json_t *)to, key, value)
	{
		if (json_object_get(from, key) == NULL)
			add_field(fields, key, NULL, value);
	}
	return fields;
}

static void compare_objects(
	json_t *changes, const char *kind, const char *name, const json_t *from, const json_t *to)
{
	json_t *fields;

	if (from == NULL) {
		add_change(changes, "added", kind, name, NULL);
	} else if (to == NULL) {
		add_change(changes, "removed", kind, name, NULL);
	} else if (!json_equal(from, to)) {
		fields = different_fields(from, to);
		add_change(changes, "changed", kind, name, fields);
	}
}

static void compare_named(json_t *changes, const char *kind, const json_t *from, const json_t *to)
{
	const char *name;
	json_t *object;

	json_object_foreach((json_t *)from, name, object)
	{
		compare_objects(changes, kind, name, object, json_object_get(to, name));
	}
	json_object_foreach((json_t *)to, name, object)
	{
		if (json_object_get(from, name) == NULL)
			compare_objects(changes, kind, name, NULL, object);
	}
}

/* Policies are a list with names in it. */
static json_t *by_name(const json_t *list)
{
	json_t *object = json_object(), *item;
	size_t i;

	json_array_foreach((json_t *)list, i, item)
	{
		json_object_set(object, json_string_value(json_object_get(item, "name")), item);
	}
	return object;
}

static json_t *common_names(const json_t *object, const json_t *other)
{
	json_t *names = json_array(), *value;
	const char *name;

	json_object_foreach((json_t *)object, name, value)
	{
		if (json_object_get(other, name) != NULL)
			json_array_append_new(names, json_string(name));
	}
	return names;
}

/* The first policy that matches decides, so another order is another meaning. */
static void compare_policies(json_t *changes, const json_t *from, const json_t *to)
{
	json_t *old = by_name(from), *new = by_name(to);
	json_t *old_order = common_names(old, new), *new_order = common_names(new, old);
	json_t *fields = json_array();

	compare_named(changes, "policy", old, new);
	add_field(fields, "order", old_order, new_order);
	if (json_array_size(fields) > 0)
		add_change(changes, "changed", "policies", "order", json_incref(fields));
	json_decref(fields);
	json_decref(old_order);
	json_decref(new_order);
	json_decref(old);
	json_decref(new);
}

/* Items without names go by their places. */
static void compare_list(json_t *changes, const char *kind, const json_t *from, const json_t *to)
{
	size_t n_from = json_array_size(from), n_to = json_array_size(to);
	char name[24];

	for (size_t i = 0; i < n_from || i < n_to; i++) {
		snprintf(name, sizeof(name), "%zu", i + 1);
		compare_objects(
			changes, kind, name, json_array_get(from, i), json_array_get(to, i));
	}
}

/* A section of settings: those that are no objects. */
static void compare_settings(
	json_t *changes, const char *name, const json_t *from, const json_t *to)
{
	json_t *fields = different_fields(from, to);

	for (size_t i = json_array_size(fields); i > 0; i--) {
		const char *key =
			json_string_value(json_object_get(json_array_get(fields, i - 1), "key"));

		if (strcmp(name, "egress") == 0 && strcmp(key, "default") != 0)
			json_array_remove(fields, i - 1);
	}
	if (json_array_size(fields) > 0)
		add_change(changes, "changed", "section", name, json_incref(fields));
	json_decref(fields);
}

json_t *plan_difference(const json_t *from, const json_t *to)
{
	static const char *const sections[] = {
		"gateway", "dataplane", "wireguard", "egress", "policy"};
	const json_t *old_egress = json_object_get(from, "egress");
	const json_t *new_egress = json_object_get(to, "egress");
	json_t *changes = json_array();

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		compare_settings(changes, sections[i], json_object_get(from, sections[i]),
			json_object_get(to, sections[i]));
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		bool egress = named[i].section != NULL;

		compare_named(changes, named[i].kind,
			json_object_get(egress ? old_egress : from, named[i].key),
			json_object_get(egress ? new_egress : to, named[i].key));
	}
	compare_list(changes, "egress rule", json_object_get(old_egress, "rules"),
		json_object_get(new_egress, "rules"));
	compare_policies(
		changes, json_object_get(from, "policies"), json_object_get(to, "policies"));
	compare_list(changes, "test", json_object_get(from, "tests"), json_object_get(to, "tests"));
	return changes;
}
