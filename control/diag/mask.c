/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A configuration names its secrets, it does not hold them: a key in it is refused. But somebody
 * may have written one into the file all the same, and what shows the file must not spread it.
 */
#include <ctype.h>
#include <string.h>

#include "control/diag/diag.h"

static const char *const secret_keys[] = {"private_key", "preshared_key"};

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

/* A reference, such as ${file:/path}, is no secret. Nor is what stands behind the value. */
static void mask_value(char *value)
{
	size_t size;

	value += strspn(value, " \t");
	/* A block, or a value on the next line. */
	if (value[0] == '|' || value[0] == '>')
		value += strcspn(value, "\n");
	if (value[0] == '\n') {
		value += strspn(value, " \t\n");
		size = strcspn(value, ",}\"'#\n:");
		if (value[size] == ':')
			return; /* another key: there is no value */
	}
	size = scalar_size(&value);
	if (strncmp(value, "${", 2) != 0)
		memset(value, '*', size);
}

void diag_mask(char *text)
{
	const char *start = text;

	for (; *text != '\0'; text++) {
		for (size_t i = 0; i < sizeof(secret_keys) / sizeof(secret_keys[0]); i++) {
			char *value = past_key(text, start, secret_keys[i]);

			if (value != NULL)
				mask_value(value);
		}
	}
}
