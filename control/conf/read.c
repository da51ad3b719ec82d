/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/conf/conf_priv.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void conf_report(struct conf_reader *r, enum diag_code code, const struct conf_node *node,
	const char *hint, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	diag_add(r->diag, code, node->mark, conf_tree_path(r->pool, node), hint, "%s",
		pool_vprintf(r->pool, format, args));
	va_end(args);
}

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (strcasecmp(text, *words) == 0)
			return true;
	}
	return false;
}

/* Two or more groups of digits with colons, of which YAML 1.1 makes a number to base 60. */
static bool is_sexagesimal(const char *text)
{
	size_t colons = 0;

	if (*text == '-' || *text == '+')
		text++;
	if (!isdigit((unsigned char)*text))
		return false;
	for (; *text != '\0'; text++) {
		if (*text == ':' && isdigit((unsigned char)text[1]) &&
			(!isdigit((unsigned char)text[2]) || !isdigit((unsigned char)text[3])))
			colons++;
		else if (!isdigit((unsigned char)*text))
			return false;
	}
	return colons > 0;
}

/* Integers that are not plain decimals: 010, 0x1f, 0b1, 0o7, 1_000. */
static bool is_odd_number(const char *text)
{
	const char *digits = text + (*text == '-' || *text == '+');
	size_t length = strlen(digits);

	if (!isdigit((unsigned char)digits[0]))
		return false;
	if (digits[0] == '0' && length > 1 && strspn(digits + 1, "01234567_") == length - 1)
		return true;
	if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'b' || digits[1] == 'o') &&
		length > 2)
		return strspn(digits + 2, "0123456789abcdefABCDEF_") == length - 2;
	return strchr(digits, '_') != NULL && strspn(digits, "0123456789_") == length;
}

/* Why a plain scalar means different things to different readers, or NULL. */
static const char *trap_of(const char *text)
{
	static const char *const booleans[] = {"yes", "no", "on", "off", "y", "n", NULL};
	static const char *const nulls[] = {"null", "~", NULL};

	if (is_one_of(text, booleans))
		return "a boolean to YAML 1.1 readers, text to others";
	if (is_one_of(text, nulls))
		return "nothing to YAML readers, not text";
	if (is_sexagesimal(text))
		return "a number to base 60 to YAML 1.1 readers";
	if (is_odd_number(text))
		return "a number that YAML readers understand differently";
	return NULL;
}

const char *conf_scalar(struct conf_reader *r, const struct conf_node *node, const char *wanted)
{
	const char *trap;

	if (node->kind != CONF_SCALAR) {
		conf_report(r, DIAG_WRONG_KIND, node, NULL, "%s is expected here, not a %s", wanted,
			node->kind == CONF_MAP ? "mapping" : "list");
		return NULL;
	}
	if (node->quoted)
		return node->text;
	if (node->text[0] == '\0') {
		conf_report(r, DIAG_EMPTY, node, NULL, "%s is missing", wanted);
		return NULL;
	}
	trap = trap_of(node->text);
	if (trap != NULL) {
		conf_report(r, DIAG_YAML_TRAP, node, "put it in quotes if it is meant as text",
			"'%s' is %s", node->text, trap);
		return NULL;
	}
	return node->text;
}

bool conf_is_list(struct conf_reader *r, const struct conf_node *node, const char *wanted)
{
	if (node->kind == CONF_LIST)
		return true;
	if (node->kind == CONF_SCALAR && node->text[0] != '\0')
		conf_report(r, DIAG_WRONG_KIND, node,
			pool_printf(r->pool, "write [%s]", node->text),
			"a list of %s is expected here", wanted);
	else
		conf_report(
			r, DIAG_WRONG_KIND, node, NULL, "a list of %s is expected here", wanted);
	return false;
}

bool conf_is_name(const char *text, size_t max)
{
	size_t length = strlen(text);

	if (length == 0 || length > max || !isalnum((unsigned char)text[0]))
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)text[i]) && text[i] != '-' && text[i] != '_')
			return false;
	}
	return true;
}

static void report_unknown_key(
	struct conf_reader *r, const struct conf_node *node, const struct conf_field *fields)
{
	const char *names[32] = {NULL}, *near, *hint = NULL;
	size_t n = 0;

	for (; fields[n].key != NULL && n < 32; n++)
		names[n] = fields[n].key;
	near = diag_suggest(node->key, names, n);
	if (near != NULL) {
		hint = pool_printf(r->pool, "did you mean '%s'?", near);
	} else {
		hint = "allowed:";
		for (size_t i = 0; i < n; i++)
			hint = pool_printf(r->pool, "%s %s", hint, names[i]);
	}
	diag_add(r->diag, DIAG_UNKNOWN_KEY, node->key_mark, conf_tree_path(r->pool, node), hint,
		"unknown key '%s'", node->key);
}

static const struct conf_field *find_field(const struct conf_field *fields, const char *key)
{
	for (; fields->key != NULL; fields++) {
		if (strcmp(fields->key, key) == 0)
			return fields;
	}
	return NULL;
}

bool conf_read_map(struct conf_reader *r, const struct conf_node *node,
	const struct conf_field *fields, void *object)
{
	if (node->kind == CONF_SCALAR && !node->quoted && node->text[0] == '\0') {
		conf_report(r, DIAG_EMPTY, node, "write {} if it is meant to be empty",
			"a mapping is missing");
		return false;
	}
	if (node->kind != CONF_MAP) {
		conf_report(r, DIAG_WRONG_KIND, node, NULL, "a mapping is expected here, not a %s",
			node->kind == CONF_LIST ? "list" : "single value");
		return false;
	}
	for (size_t i = 0; i < node->n_children; i++) {
		const struct conf_node *child = node->children[i];
		const struct conf_field *field = find_field(fields, child->key);

		if (field == NULL)
			report_unknown_key(r, child, fields);
		else
			field->read(r, child, field, (char *)object + field->offset);
	}
	for (; fields->key != NULL; fields++) {
		if (fields->required && conf_tree_get(node, fields->key) == NULL)
			diag_add(r->diag, DIAG_MISSING_KEY,
				node->key == NULL ? node->mark : node->key_mark,
				conf_tree_path(r->pool, node), NULL, "'%s' is required here",
				fields->key);
	}
	return true;
}

CONF_READER(fields)
{
	conf_read_map(r, node, field->fields, out);
}

CONF_READER(source)
{
	struct model_source *source = out;

	if (node->kind == CONF_SCALAR && strcmp(node->text, "any") == 0)
		source->any = true;
	else
		conf_read_map(r, node, field->fields, source);
}

CONF_READER(text)
{
	const char *text = conf_scalar(r, node, "text");
	long max = field->max == 0 ? MODEL_TEXT_MAX : field->max;

	if (text == NULL)
		return;
	for (const char *c = text; *c != '\0'; c++) {
		if (iscntrl((unsigned char)*c)) {
			conf_report(r, DIAG_BAD_TEXT, node, NULL,
				"one line without control characters is expected");
			return;
		}
	}
	if (strlen(text) > (size_t)max)
		conf_report(r, DIAG_BAD_TEXT, node, NULL, "longer than %ld bytes", max);
	else
		*(const char **)out = pool_strdup(r->pool, text);
}

CONF_READER(name)
{
	const char *text = conf_scalar(r, node, "a name");
	size_t max = field->max == 0 ? MODEL_NAME_MAX : (size_t)field->max;

	if (text == NULL)
		return;
	if (!conf_is_name(text, max))
		conf_report(r, DIAG_BAD_NAME, node, NULL,
			"'%s' is not a name of 1 to %zu letters, digits, '-', '_'", text, max);
	else
		*(const char **)out = pool_strdup(r->pool, text);
}

CONF_READER(bool)
{
	static const char *const trues[] = {"yes", "on", "y", NULL};
	static const char *const falses[] = {"no", "off", "n", NULL};

	if (node->kind == CONF_SCALAR && !node->quoted &&
		(is_one_of(node->text, trues) || is_one_of(node->text, falses))) {
		conf_report(r, DIAG_YAML_TRAP, node,
			is_one_of(node->text, trues) ? "write true" : "write false",
			"'%s' is a boolean to YAML 1.1 readers only", node->text);
	} else if (node->kind == CONF_SCALAR && !node->quoted && strcmp(node->text, "true") == 0) {
		*(bool *)out = true;
	} else if (node->kind == CONF_SCALAR && !node->quoted && strcmp(node->text, "false") == 0) {
		*(bool *)out = false;
	} else if (node->kind == CONF_SCALAR) {
		conf_report(r, DIAG_BAD_WORD, node, NULL, "true or false is expected, not '%s'",
			node->text);
	} else {
		conf_report(r, DIAG_WRONG_KIND, node, NULL, "true or false is expected here");
	}
}

/* Decimal without sign or leading zeros. */
static bool parse_decimal(const char *text, unsigned long *out)
{
	char *end;

	if (!isdigit((unsigned char)text[0]) || (text[0] == '0' && text[1] != '\0'))
		return false;
	errno = 0;
	*out = strtoul(text, &end, 10);
	return errno == 0 && *end == '\0';
}

static bool read_number(struct conf_reader *r, const struct conf_node *node,
	const struct conf_field *field, unsigned long *out)
{
	const char *text;

	if (node->kind == CONF_SCALAR && !node->quoted && is_odd_number(node->text)) {
		conf_report(r, DIAG_YAML_TRAP, node, "write a plain decimal number",
			"'%s' is a number that YAML readers understand differently", node->text);
		return false;
	}
	text = conf_scalar(r, node, "a number");
	if (text == NULL)
		return false;
	if (node->quoted || !parse_decimal(text, out) || *out < (unsigned long)field->min ||
		*out > (unsigned long)field->max) {
		conf_report(r, DIAG_BAD_NUMBER, node, NULL,
			"a number from %ld to %ld is expected, not '%s'", field->min, field->max,
			text);
		return false;
	}
	return true;
}

CONF_READER(u16)
{
	unsigned long value;

	if (read_number(r, node, field, &value))
		*(uint16_t *)out = (uint16_t)value;
}

CONF_READER(u32)
{
	unsigned long value;

	if (read_number(r, node, field, &value))
		*(uint32_t *)out = (uint32_t)value;
}

CONF_READER(word)
{
	const char *text = conf_scalar(r, node, "a word");
	const char *names[16] = {NULL}, *near, *allowed = "";
	size_t n = 0;

	if (text == NULL)
		return;
	for (const struct conf_word *word = field->words; word->word != NULL; word++) {
		if (strcmp(word->word, text) == 0) {
			*(int *)out = word->value;
			return;
		}
		names[n++] = word->word;
		allowed = pool_printf(r->pool, "%s%s%s", allowed, n == 1 ? "" : ", ", word->word);
	}
	near = diag_suggest(text, names, n);
	conf_report(r, DIAG_BAD_WORD, node,
		near == NULL ? NULL : pool_printf(r->pool, "did you mean '%s'?", near),
		"'%s' is not one of: %s", text, allowed);
}

CONF_READER(allow)
{
	static const struct conf_word words[] = {{"allow", true}, {"deny", false}, {NULL, 0}};
	struct conf_field by_word = {.words = words};
	int value = *(bool *)out;

	conf_read_word(r, node, &by_word, &value);
	*(bool *)out = value != 0;
}

CONF_READER(addr)
{
	const char *text = conf_scalar(r, node, "an address");

	if (text != NULL && addr_parse(text, out) < 0)
		conf_report(r, DIAG_BAD_ADDRESS, node,
			strchr(text, '/') != NULL ? "write it without the length" : NULL,
			"'%s' is not an IPv4 or IPv6 address", text);
}

CONF_READER(addrs)
{
	struct model_addrs *addrs = out;

	if (!conf_is_list(r, node, "addresses"))
		return;
	for (size_t i = 0; i < node->n_children; i++) {
		struct addr addr = {0};

		conf_read_addr(r, node->children[i], field, &addr);
		/* Also after an error: paths count as the file does. */
		addrs->items = pool_grow(r->pool, addrs->items, addrs->n, sizeof(addr));
		addrs->items[addrs->n++] = addr;
	}
}

/* What the prefix would be with its host bits cleared, for the hint. */
static const char *masked_hint(struct conf_reader *r, const char *text)
{
	const char *slash = strchr(text, '/');
	char buffer[PREFIX_TEXT_MAX];
	unsigned long length;
	struct prefix prefix;
	struct addr addr;

	if (slash == NULL || !parse_decimal(slash + 1, &length) ||
		addr_parse(pool_strndup(r->pool, text, (size_t)(slash - text)), &addr) < 0 ||
		length > addr_bits(addr.family))
		return NULL;
	prefix = prefix_of_addr(&addr);
	prefix.length = (uint8_t)length;
	prefix_mask(&prefix);
	return pool_printf(r->pool, "did you mean '%s'?", prefix_format(&prefix, buffer));
}

CONF_READER(prefixes)
{
	struct model_prefixes *prefixes = out;

	if (!conf_is_list(r, node, "prefixes"))
		return;
	for (size_t i = 0; i < node->n_children; i++) {
		const struct conf_node *child = node->children[i];
		const char *text = conf_scalar(r, child, "a prefix");
		struct prefix prefix = {.length = 128}; /* stands for none after an error */

		if (text != NULL && prefix_parse(text, &prefix) < 0)
			conf_report(r, DIAG_BAD_PREFIX, child, masked_hint(r, text),
				"'%s' is not a prefix", text);
		prefixes->items = pool_grow(r->pool, prefixes->items, prefixes->n, sizeof(prefix));
		prefixes->items[prefixes->n++] = prefix;
	}
}

static bool parse_ifaddr(struct conf_reader *r, const char *text, struct model_ifaddr *out)
{
	const char *slash = strchr(text, '/');
	unsigned long length;

	if (slash == NULL || !parse_decimal(slash + 1, &length) ||
		addr_parse(pool_strndup(r->pool, text, (size_t)(slash - text)), &out->addr) < 0)
		return false;
	out->length = (uint8_t)length;
	return length > 0 && length <= addr_bits(out->addr.family);
}

CONF_READER(ifaddrs)
{
	struct model_ifaddrs *addresses = out;

	if (!conf_is_list(r, node, "addresses with lengths"))
		return;
	for (size_t i = 0; i < node->n_children; i++) {
		const struct conf_node *child = node->children[i];
		const char *text = conf_scalar(r, child, "an address with its length");
		struct model_ifaddr address = {.addr.family = ADDR_V4, .length = 32};

		if (text != NULL && !parse_ifaddr(r, text, &address)) {
			conf_report(r, DIAG_BAD_INTERFACE_ADDRESS, child,
				strchr(text, '/') == NULL
					? pool_printf(r->pool,
						  "add the length of the network: %s/%s", text,
						  strchr(text, ':') ? "64" : "24")
					: NULL,
				"'%s' is not an address with the length of its network", text);
			continue;
		}
		if (text == NULL)
			continue;
		addresses->items =
			pool_grow(r->pool, addresses->items, addresses->n, sizeof(address));
		addresses->items[addresses->n++] = address;
	}
}

void conf_add_ref(struct conf_reader *r, struct model_refs *refs, const char *name)
{
	refs->names = pool_grow(r->pool, refs->names, refs->n, sizeof(*refs->names));
	refs->names[refs->n++] = pool_strdup(r->pool, name);
}

CONF_READER(refs)
{
	struct model_refs *refs = out;

	refs->kind = field->kind;
	if (!conf_is_list(r, node, "names"))
		return;
	for (size_t i = 0; i < node->n_children; i++) {
		const char *text = conf_scalar(r, node->children[i], "a name");

		if (text != NULL)
			conf_add_ref(r, refs, text);
	}
}

CONF_READER(ref)
{
	struct model_refs *refs = out;
	const char *text = conf_scalar(r, node, "a name");

	refs->kind = field->kind;
	if (text != NULL)
		conf_add_ref(r, refs, text);
}

CONF_READER(ref_or_deny)
{
	struct model_refs *refs = out;

	refs->kind = field->kind;
	if (node->kind == CONF_SCALAR && strcmp(node->text, "deny") == 0)
		return;
	conf_read_ref(r, node, field, out);
}

static bool parse_port_range(struct conf_reader *r, const char *text, struct model_port_range *out)
{
	const char *dash = strchr(text, '-');
	unsigned long first, last;

	if (dash == NULL) {
		if (!parse_decimal(text, &first))
			return false;
		last = first;
	} else if (!parse_decimal(pool_strndup(r->pool, text, (size_t)(dash - text)), &first) ||
		   !parse_decimal(dash + 1, &last)) {
		return false;
	}
	out->first = (uint16_t)first;
	out->last = (uint16_t)last;
	return first >= 1 && first <= last && last <= UINT16_MAX;
}

CONF_READER(port_range)
{
	const char *text = conf_scalar(r, node, "a port");

	if (text != NULL && !parse_port_range(r, text, out))
		conf_report(r, DIAG_BAD_PORTS, node, NULL,
			"'%s' is not a port (1-65535) or a range such as 8000-8999", text);
}

CONF_READER(port_ranges)
{
	struct model_port_ranges *ranges = out;

	if (!conf_is_list(r, node, "ports"))
		return;
	for (size_t i = 0; i < node->n_children; i++) {
		const char *text = conf_scalar(r, node->children[i], "a port");
		struct model_port_range range;

		if (text == NULL)
			continue;
		if (!parse_port_range(r, text, &range)) {
			conf_report(r, DIAG_BAD_PORTS, node->children[i], NULL,
				"'%s' is not a port (1-65535) or a range such as 8000-8999", text);
			continue;
		}
		ranges->items = pool_grow(r->pool, ranges->items, ranges->n, sizeof(range));
		ranges->items[ranges->n++] = range;
	}
}
