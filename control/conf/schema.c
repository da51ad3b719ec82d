/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The schema says what editors can check as one types: keys, kinds, words, ranges. What values
 * say about each other only `sallyport check` knows.
 */
#include "control/conf/conf_priv.h"

#include <string.h>

#define NAME_PATTERN "^[A-Za-z0-9][A-Za-z0-9_-]*$"
#define DENY_WORD    "deny"

static json_t *object_schema(const struct conf_field *fields);

static json_t *list_of(json_t *items)
{
	return json_pack("{s:s, s:o}", "type", "array", "items", items);
}

static json_t *text(void)
{
	return json_pack("{s:s}", "type", "string");
}

static json_t *number(const struct conf_field *field)
{
	return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)field->min,
		"maximum", (json_int_t)field->max);
}

static json_t *words(const struct conf_word *word)
{
	json_t *list = json_array();

	for (; word->word != NULL; word++)
		json_array_append_new(list, json_string(word->word));
	return json_pack("{s:o}", "enum", list);
}

static json_t *name(const struct conf_field *field)
{
	return json_pack("{s:s, s:s, s:i}", "type", "string", "pattern", NAME_PATTERN, "maxLength",
		field->max == 0 ? MODEL_NAME_MAX : (int)field->max);
}

/* Ports are numbers or ranges. */
static json_t *port_range(void)
{
	return json_pack("{s:[{s:s, s:i, s:i}, {s:s, s:s}]}", "anyOf", "type", "integer", "minimum",
		1, "maximum", 65535, "type", "string", "pattern", "^[0-9]+(-[0-9]+)?$");
}

static json_t *value_schema(const struct conf_field *field)
{
	if (field->read == conf_read_secret)
		return json_pack("{s:s, s:s}", "type", "string", "pattern",
			"^\\$\\{(file:/[^}]+|credential:[^./}][^/}]*)\\}$");
	if (field->fields != NULL)
		return object_schema(field->fields);
	if (field->read == conf_read_bool)
		return json_pack("{s:s}", "type", "boolean");
	if (field->read == conf_read_u16 || field->read == conf_read_u32)
		return number(field);
	if (field->read == conf_read_word)
		return words(field->words);
	if (field->read == conf_read_allow)
		return json_pack("{s:[s, s]}", "enum", "allow", DENY_WORD);
	if (field->read == conf_read_name)
		return name(field);
	if (field->read == conf_read_key)
		return json_pack("{s:s, s:s}", "type", "string", "pattern", "^[A-Za-z0-9+/]{43}=$");
	if (field->read == conf_read_addrs || field->read == conf_read_prefixes ||
		field->read == conf_read_ifaddrs || field->read == conf_read_refs)
		return list_of(text());
	if (field->read == conf_read_port_ranges)
		return list_of(port_range());
	if (field->read == conf_read_port_range)
		return port_range();
	return text();
}

static json_t *field_schema(const struct conf_field *field)
{
	switch (field->shape) {
	case CONF_SHAPE_NAMED:
		return json_pack("{s:s, s:{s:s}, s:o}", "type", "object", "propertyNames",
			"pattern", NAME_PATTERN, "additionalProperties",
			object_schema(conf_object_fields(field->kind)));
	case CONF_SHAPE_LIST:
		return list_of(object_schema(field->fields));
	case CONF_SHAPE_OR_ANY:
		return json_pack(
			"{s:[o, {s:s}]}", "anyOf", object_schema(field->fields), "const", "any");
	case CONF_SHAPE_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case CONF_SHAPE_FIELDS:
		return object_schema(field->fields);
	case CONF_SHAPE_VERSION:
		return json_pack("{s:i}", "const", 1);
	default:
		return value_schema(field);
	}
}

static json_t *object_schema(const struct conf_field *fields)
{
	json_t *properties = json_object(), *required = json_array();
	json_t *schema = json_pack("{s:s, s:b}", "type", "object", "additionalProperties", 0);

	for (; fields->key != NULL; fields++) {
		json_object_set_new(properties, fields->key, field_schema(fields));
		if (fields->required)
			json_array_append_new(required, json_string(fields->key));
	}
	json_object_set_new(schema, "properties", properties);
	if (json_array_size(required) > 0)
		json_object_set(schema, "required", required);
	json_decref(required);
	return schema;
}

json_t *conf_schema(void)
{
	json_t *schema =
		json_pack("{s:s, s:s}", "$schema", "https://json-schema.org/draft/2020-12/schema",
			"title", "Configuration of a Sallyport gateway");
	json_t *root = object_schema(conf_root_fields());

	json_object_update(schema, root);
	json_decref(root);
	return schema;
}
