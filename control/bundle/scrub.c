/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A text is read word by word; at each place the alphabets of addresses and of names are tried. A
 * key is whatever is 32 bytes in base64 or hexadecimal, also in the middle of a word: better one
 * digest too many taken out than one key left in.
 */
#include "control/bundle/scrub.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/base/addr.h"
#include "common/base/key.h"

#define LETTERS    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define HEX_DIGITS "0123456789abcdefABCDEF"

enum {
	WORD_MAX = 256,
	HEX_KEY = 2 * KEY_SIZE,
};

struct substitute {
	UT_hash_handle hh;
	char *by;
	char word[];
};

struct count {
	UT_hash_handle hh;
	unsigned n;
	char kind[];
};

struct scrub {
	enum bundle_anonymity anonymity;
	struct substitute *words; /* keys, addresses and names as they are written */
	struct count *counts;
};

static void *check(void *memory)
{
	if (memory == NULL) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return memory;
}

struct scrub *scrub_create(enum bundle_anonymity anonymity)
{
	struct scrub *scrub = check(calloc(1, sizeof(*scrub)));

	scrub->anonymity = anonymity;
	return scrub;
}

void scrub_destroy(struct scrub **scrub)
{
	struct substitute *word, *next;
	struct count *count, *after;

	if (*scrub == NULL)
		return;
	HASH_ITER (hh, (*scrub)->words, word, next) {
		HASH_DEL((*scrub)->words, word);
		free(word->by);
		free(word);
	}
	HASH_ITER (hh, (*scrub)->counts, count, after) {
		HASH_DEL((*scrub)->counts, count);
		free(count);
	}
	free(*scrub);
	*scrub = NULL;
}

static unsigned next_number(struct scrub *scrub, const char *kind)
{
	struct count *count;

	HASH_FIND_STR(scrub->counts, kind, count);
	if (count == NULL) {
		count = check(calloc(1, sizeof(*count) + strlen(kind) + 1));
		strcpy(count->kind, kind);
		HASH_ADD_STR(scrub->counts, kind, count);
	}
	return ++count->n;
}

static const struct substitute *find(const struct scrub *scrub, const char *word)
{
	struct substitute *found;

	HASH_FIND_STR(scrub->words, word, found);
	return found;
}

/* What the n-th of a kind is called. Addresses stay addresses, of ranges that are nobody's. */
static char *make_word(const char *kind, unsigned n)
{
	char *word = NULL;
	int rc;

	if (strcmp(kind, "ipv4") == 0)
		rc = asprintf(&word, "198.%u.%u.%u", 18 + (n >> 16 & 1), n >> 8 & 255, n & 255);
	else if (strcmp(kind, "ipv6") == 0)
		rc = asprintf(&word, "2001:2::%x", n);
	else if (strcmp(kind, "key") == 0 || strcmp(kind, "mac") == 0)
		rc = asprintf(&word, "<%s %u>", kind, n);
	else
		rc = asprintf(&word, "%s-%u", kind, n);
	return rc < 0 ? NULL : word;
}

static const struct substitute *substitute(struct scrub *scrub, const char *word, const char *kind)
{
	const struct substitute *found = find(scrub, word);
	struct substitute *fresh;

	if (found != NULL)
		return found;
	fresh = check(calloc(1, sizeof(*fresh) + strlen(word) + 1));
	strcpy(fresh->word, word);
	fresh->by = check(make_word(kind, next_number(scrub, kind)));
	HASH_ADD_STR(scrub->words, word, fresh);
	return fresh;
}

void scrub_hide(struct scrub *scrub, const char *kind, const char *name, bool personal)
{
	if (name[0] == '\0' || scrub->anonymity == BUNDLE_NAMED ||
		(scrub->anonymity == BUNDLE_DEFAULT && !personal))
		return;
	substitute(scrub, name, kind);
}

/* Networks whose addresses say nothing about whom they belong to. */
static bool is_private(const struct addr *addr)
{
	static const char *const networks[] = {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10",
		"127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3",
		"::/127", "fc00::/7", "fe80::/10", "ff00::/8"};

	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
		struct prefix prefix;

		if (prefix_parse(networks[i], &prefix) == 0 && prefix_contains(&prefix, addr))
			return true;
	}
	return false;
}

static const struct substitute left_alone; /* judged, and left as it is */

/* 0.0.0.0, ::, loopback and the halves of everything are in every configuration. */
static bool says_nothing(const char *word)
{
	static const char *const words[] = {
		"0.0.0.0", "128.0.0.0", "::", "8000::", "127.0.0.1", "::1"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i]) == 0)
			return true;
	}
	return false;
}

static const struct substitute *judge_address(struct scrub *scrub, const char *word)
{
	char canonical[ADDR_TEXT_MAX];
	struct addr addr;

	if (scrub->anonymity == BUNDLE_NAMED || strpbrk(word, ".:") == NULL ||
		addr_parse(word, &addr) < 0)
		return NULL;
	addr_format(&addr, canonical);
	if (says_nothing(canonical) || (scrub->anonymity == BUNDLE_DEFAULT && is_private(&addr)))
		return &left_alone;
	return substitute(scrub, canonical, addr.family == ADDR_V4 ? "ipv4" : "ipv6");
}

/* "52:54:00:12:34:56": tells the maker, and which machine it is. */
static const struct substitute *judge_mac(struct scrub *scrub, const char *word)
{
	if (scrub->anonymity == BUNDLE_NAMED || strlen(word) != 17)
		return NULL;
	for (size_t i = 0; i < 17; i++) {
		if (i % 3 == 2 ? word[i] != ':' : !isxdigit((unsigned char)word[i]))
			return NULL;
	}
	return strcmp(word, "00:00:00:00:00:00") == 0 ? NULL : substitute(scrub, word, "mac");
}

/* The length of a key that begins here, whatever comes before and after it; else 0. */
static size_t key_length(const char *text)
{
	size_t hex = strspn(text, HEX_DIGITS);
	char word[KEY_TEXT_MAX];
	struct key key;
	bool found;

	if (hex >= HEX_KEY)
		return hex < WORD_MAX ? hex : WORD_MAX - 1;
	if (strnlen(text, KEY_TEXT_MAX - 1) < KEY_TEXT_MAX - 1 || text[KEY_TEXT_MAX - 2] != '=')
		return 0;
	memcpy(word, text, KEY_TEXT_MAX - 1);
	word[KEY_TEXT_MAX - 1] = '\0';
	found = key_parse(word, &key) == 0;
	key_wipe(&key);
	return found ? KEY_TEXT_MAX - 1 : 0;
}

static const struct substitute *judge_name(struct scrub *scrub, const char *word)
{
	return find(scrub, word);
}

static const struct {
	const char *alphabet;
	const struct substitute *(*judge)(struct scrub *scrub, const char *word);
} kinds[] = {
	{HEX_DIGITS ":", judge_mac}, {HEX_DIGITS ":.", judge_address},
	{"0123456789.", judge_address}, /* 192.0.2.1:51820 */
	{LETTERS "0123456789_.-", judge_name},
	{LETTERS "0123456789_-", judge_name}, /* "anna." ends a sentence */
};

static const char word_alphabet[] = LETTERS "0123456789_";

/* What stands for the word that begins here, and how long that is; or NULL. */
static const struct substitute *look(struct scrub *scrub, const char *text, size_t *length)
{
	char word[WORD_MAX];

	*length = key_length(text);
	if (*length > 0) {
		snprintf(word, sizeof(word), "%.*s", (int)*length, text);
		return substitute(scrub, word, "key");
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct substitute *found;

		*length = strspn(text, kinds[i].alphabet);
		if (*length == 0 || *length >= sizeof(word))
			continue;
		memcpy(word, text, *length);
		word[*length] = '\0';
		found = kinds[i].judge(scrub, word);
		/* "192.0.2.1." and "fe80::1:" end a sentence, or come before one. */
		if (found == NULL && *length > 1 && strchr(".:", word[*length - 1]) != NULL) {
			word[--*length] = '\0';
			found = kinds[i].judge(scrub, word);
		}
		if (found != NULL)
			return found == &left_alone ? NULL : found;
	}
	*length = strspn(text, word_alphabet);
	for (size_t i = 1; i < *length; i++) {
		if (key_length(text + i) > 0)
			*length = i;
	}
	return NULL;
}

char *scrub_text(struct scrub *scrub, const char *text)
{
	char *out = NULL;
	size_t size, length;
	FILE *file = open_memstream(&out, &size);

	if (file == NULL)
		return NULL;
	while (*text != '\0') {
		const struct substitute *found = look(scrub, text, &length);

		if (found != NULL) {
			fputs(found->by, file);
		} else {
			/* A word that is none of these is left as a whole. */
			length = length == 0 ? 1 : length;
			fwrite(text, 1, length, file);
		}
		text += length;
	}
	fclose(file);
	return out;
}

/* The rest of a line that says something to people: from a comment or a description on. */
static size_t said(const char *line, size_t length)
{
	const char *words = "description:";
	size_t indent = strspn(line, " -\t");
	char quote = '\0';

	if (length > indent + strlen(words) && strncmp(line + indent, words, strlen(words)) == 0)
		return indent + strlen(words);
	for (size_t i = 0; i < length; i++) {
		if (quote != '\0')
			quote = line[i] == quote ? '\0' : quote;
		else if (line[i] == '"' || line[i] == '\'')
			quote = line[i];
		else if (line[i] == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t'))
			return i;
	}
	return length;
}

char *scrub_remarks(struct scrub *scrub, const char *yaml)
{
	char *out = NULL;
	size_t size;
	FILE *file;

	if (scrub->anonymity == BUNDLE_NAMED)
		return strdup(yaml);
	file = open_memstream(&out, &size);
	if (file == NULL)
		return NULL;
	while (*yaml != '\0') {
		size_t length = strcspn(yaml, "\n"), kept = said(yaml, length);

		fwrite(yaml, 1, kept, file);
		if (kept < length)
			fputs(yaml[kept] == '#' ? "# ..." : " \"...\"", file);
		yaml += length;
		if (*yaml == '\n')
			fputc(*yaml++, file);
	}
	fclose(file);
	return out;
}

json_t *scrub_json(struct scrub *scrub, const json_t *json)
{
	json_t *out, *item;
	const char *key;
	char *text;
	size_t i;

	if (json_is_string(json)) {
		text = scrub_text(scrub, json_string_value(json));
		out = json_string(text);
		free(text);
		return out;
	}
	if (json_is_array(json)) {
		out = json_array();
		json_array_foreach((json_t *)json, i, item)
			json_array_append_new(out, scrub_json(scrub, item));
		return out;
	}
	if (json_is_object(json)) {
		bool hide = scrub->anonymity != BUNDLE_NAMED;

		out = json_object();
		json_object_foreach((json_t *)json, key, item)
		{
			bool said_by_people = strcmp(key, "description") == 0 ||
					      strcmp(key, "who") == 0 ||
					      strcmp(key, "message") == 0;

			if (hide && said_by_people && json_is_string(item))
				json_object_set_new(out, key, json_string("..."));
			else
				json_object_set_new(out, key, scrub_json(scrub, item));
		}
		return out;
	}
	return json_deep_copy(json);
}
