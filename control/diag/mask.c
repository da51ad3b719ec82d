/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A configuration names its secrets, it does not hold them: a key in it is refused. But somebody
 * may have written one into the file all the same, and what shows the file must not spread it.
 */
#include <ctype.h>
#include <string.h>

#include "common/base/key.h"
#include "control/diag/diag.h"

static const struct {
	const char *key;
	bool is_file; /* its value is a secret only if it is a key itself */
} secrets[] = {
	{"private_key", false}, {"preshared_key", false}, {"private_key_file", true},
	{"preshared_key_file", true},
	{"public_key_file", true}, /* nobody knows which one somebody wrote there */
};

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Past `key:` if the text goes on with it as a key of its own, in quotes or not; else NULL. */
static char *past_key(char *text, const char *start, const char *key)
{
	size_t length = strlen(key);
	char *end = text + length;

	if (strncmp(text, key, length) != 0 || (text > start && is_word(text[-1])))
		return NULL;
	end += *end == '"' || *end == '\'';
	end += strspn(end, " \t");
	return *end == ':' ? end + 1 : NULL;
}

/* How much belongs to a scalar, in quotes (then without them) or not. */
static size_t scalar_size(char **value)
{
	char ends[3] = {(*value)[0], '\n', '\0'};

	if (ends[0] != '"' && ends[0] != '\'')
		return strcspn(*value, ",}#\n");
	(*value)++;
	return strcspn(*value, ends);
}

static bool is_key(const char *value, size_t size)
{
	char text[KEY_TEXT_MAX];
	struct key key;
	bool is_key;

	while (size > 0 && isspace((unsigned char)value[size - 1]))
		size--;
	if (size >= sizeof(text))
		return false;
	memcpy(text, value, size);
	text[size] = '\0';
	is_key = key_parse(text, &key) == 0;
	key_wipe(&key);
	explicit_bzero(text, sizeof(text));
	return is_key;
}

/* A reference, such as ${file:/path}, is no secret. Nor is what stands behind the value. */
static void mask_value(char *value, bool is_file)
{
	size_t size;

	value += strspn(value, " \t");
	/* A block, or a value on the next line. */
	if (value[0] == '|' || value[0] == '>' || value[0] == '#')
		value += strcspn(value, "\n");
	if (value[0] == '\n') {
		value += strspn(value, " \t\n");
		size = strcspn(value, ",}\"'#\n:");
		if (value[size] == ':')
			return; /* another key: there is no value */
	}
	size = scalar_size(&value);
	if (is_file ? is_key(value, size) : strncmp(value, "${", 2) != 0)
		memset(value, '*', size);
}

void diag_mask(char *text)
{
	const char *start = text;

	for (; *text != '\0'; text++) {
		for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
			char *value = past_key(text, start, secrets[i].key);

			if (value != NULL)
				mask_value(value, secrets[i].is_file);
		}
	}
}
