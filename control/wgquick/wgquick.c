/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/wgquick/wgquick.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sodium.h>

#include "control/progress/progress.h"

enum {
	LINE_MAX_BYTES = 4096,
	PORT_DEFAULT = 51820,
	SECRETS_MAX = 1 << 17,
	KEY_LIKE = 40, /* characters of base64 in a row: a key, perhaps with a slip in it */
	KEY_NAME_MAX = 24,
};

enum section { SECTION_NONE, SECTION_INTERFACE, SECTION_PEER };

struct reader {
	struct wgquick *file;
	struct diag *diag;
	uint32_t line;
	uint32_t value_column; /* of the value being read, from 1 */
	enum section section;
	struct model_peer *peer; /* the section's */
	uint32_t peer_line;
	const char *comment; /* the last one, for the name of the next peer */
	bool fresh;          /* the peer has no key yet: a comment may still name it */
};

static bool is_base64(char c)
{
	return isalnum((unsigned char)c) || c == '+' || c == '/';
}

/* What looks like a key, wherever it stands. */
static void mask_keys(char *line, const char *stop)
{
	while (line < stop) {
		char *begin = line;

		while (line < stop && is_base64(*line))
			line++;
		if (line - begin >= KEY_LIKE)
			memset(begin, '*', (size_t)(line - begin));
		line += line < stop;
	}
}

static void report(struct reader *r, enum diag_code code, uint32_t column, size_t length,
	const char *hint, const char *format, ...) __attribute__((format(printf, 6, 7)));

static void report(struct reader *r, enum diag_code code, uint32_t column, size_t length,
	const char *hint, const char *format, ...)
{
	struct diag_mark mark = {.line = r->line, .column = column, .length = (uint32_t)length};
	va_list args;
	char *text;

	va_start(args, format);
	text = pool_vprintf(r->file->pool, format, args);
	va_end(args);
	mask_keys(text, text + strlen(text));
	diag_add(r->diag, code, mark, NULL, hint, "%s", text);
}

static bool is_taken(const struct wgquick *file, const char *name)
{
	for (size_t i = 0; i < file->n_peers; i++) {
		if (file->peers[i]->object.name != NULL &&
			strcmp(file->peers[i]->object.name, name) == 0)
			return true;
	}
	return false;
}

/* "# Name = Anna's phone", "### Client anna", "# anna": the words that make a name. */
static const char *peer_name(struct reader *r, const char *comment)
{
	struct pool *pool = r->file->pool;
	char name[MODEL_NAME_MAX + 1];
	size_t n = 0;

	comment = comment == NULL ? "" : comment;
	comment += strspn(comment, "# \t");
	for (const char *word = "Client "; word != NULL;
		word = word[0] == 'C' ? "BEGIN_PEER " : NULL) {
		if (strncasecmp(comment, word, strlen(word)) == 0)
			comment += strlen(word);
	}
	if (strncasecmp(comment, "name", 4) == 0 && strchr(comment, '=') != NULL)
		comment = strchr(comment, '=') + 1;
	comment += strspn(comment, " \t");
	for (; *comment != '\0' && n < MODEL_NAME_MAX - 8; comment++) {
		if (isalnum((unsigned char)*comment) || (n > 0 && strchr("-_", *comment) != NULL))
			name[n++] = (char)tolower((unsigned char)*comment);
		else if (n > 0 && name[n - 1] != '-')
			name[n++] = '-';
	}
	while (n > 0 && name[n - 1] == '-')
		n--;
	name[n] = '\0';
	if (n > 0 && !is_taken(r->file, name))
		return pool_strdup(pool, name);
	return pool_printf(pool, "%s-%zu", n > 0 ? name : "peer", r->file->n_peers);
}

static void begin_peer(struct reader *r)
{
	struct wgquick *file = r->file;
	struct model_peer *peer = pool_alloc(file->pool, sizeof(*peer));

	file->peers = pool_grow(file->pool, file->peers, file->n_peers, sizeof(*file->peers));
	file->peers[file->n_peers++] = peer;
	r->fresh = r->comment == NULL;
	peer->object.name = peer_name(r, r->comment);
	r->comment = NULL;
	r->peer = peer;
	r->peer_line = r->line;
}

static void end_section(struct reader *r)
{
	uint32_t line = r->line;

	if (r->section != SECTION_PEER)
		return;
	r->line = r->peer_line;
	if (!r->peer->has_public_key)
		report(r, DIAG_WGQUICK_MISSING, 1, 6, NULL, "this peer has no PublicKey");
	if (r->peer->addresses.n == 0)
		report(r, DIAG_WGQUICK_MISSING, 1, 6,
			"AllowedIPs = 10.8.0.2/32; a client's own file, with 0.0.0.0/0 there, is "
			"not what is imported",
			"this peer has no address of its own in AllowedIPs");
	r->line = line;
}

static void begin_section(struct reader *r, const char *text)
{
	end_section(r);
	if (strcasecmp(text, "[Interface]") == 0) {
		r->section = SECTION_INTERFACE;
		r->comment = NULL;
	} else if (strcasecmp(text, "[Peer]") == 0) {
		r->section = SECTION_PEER;
		begin_peer(r);
	} else {
		r->section = SECTION_NONE;
		report(r, DIAG_WGQUICK_LINE, 1, strlen(text), "[Interface] or [Peer]",
			"'%.40s' is no section of a wg-quick file", text);
	}
}

static bool read_number(struct reader *r, const char *value, long min, long max, uint16_t *out)
{
	char *end;
	long number = strtol(value, &end, 10);

	if (end != value && *end == '\0' && number >= min && number <= max) {
		*out = (uint16_t)number;
		return true;
	}
	report(r, DIAG_WGQUICK_VALUE, r->value_column, strlen(value), NULL,
		"'%.40s' is not a number from %ld to %ld", value, min, max);
	return false;
}

static bool read_key(struct reader *r, const char *value, struct key *key)
{
	if (key_parse(value, key) == 0)
		return true;
	/* The value may be a secret with a slip in it: it is not repeated. */
	report(r, DIAG_WGQUICK_VALUE, r->value_column, strlen(value), NULL,
		"not a WireGuard key: 44 characters of base64 that end in '='");
	return false;
}

static void add_secret(struct reader *r, const char *name, const char *value)
{
	struct wgquick *file = r->file;
	struct key key;

	if (!read_key(r, value, &key) || file->n_secrets >= SECRETS_MAX)
		return;
	/* Grown by hand, so that what is left behind can be wiped. */
	if ((file->n_secrets & (file->n_secrets - 1)) == 0) {
		size_t size = file->n_secrets * sizeof(*file->secrets);
		struct wgquick_secret *grown =
			sodium_malloc((size == 0 ? 1 : 2 * file->n_secrets) * sizeof(*grown));

		if (grown == NULL)
			abort();
		if (size > 0)
			memcpy(grown, file->secrets, size);
		sodium_free(file->secrets);
		file->secrets = grown;
	}
	file->secrets[file->n_secrets++] = (struct wgquick_secret){name, key};
	key_wipe(&key);
}

/* Calls `take` with each word of a list, and where it begins. */
static void each_item(struct reader *r, char *value,
	void (*take)(struct reader *r, const char *word, uint32_t column))
{
	const char *begin = value;

	while (*value != '\0') {
		size_t length;
		char *word, after;

		value += strspn(value, ", \t");
		word = value;
		length = strcspn(value, ", \t");
		if (length == 0)
			break;
		after = word[length];
		word[length] = '\0';
		take(r, word, r->value_column + (uint32_t)(word - begin));
		word[length] = after;
		value += length;
	}
}

static void take_address(struct reader *r, const char *word, uint32_t column)
{
	struct model_ifaddrs *list = &r->file->wireguard.addresses;
	const char *slash = strchr(word, '/');
	char host[ADDR_TEXT_MAX];
	struct model_ifaddr item = {0};
	char *end = NULL;
	long length;

	snprintf(host, sizeof(host), "%.*s",
		slash == NULL ? (int)strlen(word) : (int)(slash - word), word);
	if (addr_parse(host, &item.addr) < 0) {
		report(r, DIAG_WGQUICK_VALUE, column, strlen(word), NULL,
			"'%.60s' is not an address", word);
		return;
	}
	length = slash == NULL ? addr_bits(item.addr.family) : strtol(slash + 1, &end, 10);
	if (slash != NULL && (*end != '\0' || end == slash + 1 || length < 1 ||
				     length > addr_bits(item.addr.family))) {
		report(r, DIAG_WGQUICK_VALUE, column, strlen(word), NULL,
			"'%.60s': the length is 1 to %u", word, addr_bits(item.addr.family));
		return;
	}
	item.length = (uint8_t)length;
	list->items = pool_grow(r->file->pool, list->items, list->n, sizeof(*list->items));
	list->items[list->n++] = item;
}

static void take_allowed(struct reader *r, const char *word, uint32_t column)
{
	struct pool *pool = r->file->pool;
	struct prefix prefix;
	struct addr addr;

	if (addr_parse(word, &addr) == 0) {
		prefix = prefix_of_addr(&addr);
	} else if (prefix_parse(word, &prefix) < 0) {
		report(r, DIAG_WGQUICK_VALUE, column, strlen(word), NULL,
			"'%.60s' is not a prefix, or has bits beyond its length", word);
		return;
	}
	if (prefix.length == addr_bits(prefix.family)) {
		struct model_addrs *list = &r->peer->addresses;

		list->items = pool_grow(pool, list->items, list->n, sizeof(*list->items));
		list->items[list->n++] = prefix_first(&prefix);
	} else {
		struct model_prefixes *list = &r->peer->also_from;

		list->items = pool_grow(pool, list->items, list->n, sizeof(*list->items));
		list->items[list->n++] = prefix;
	}
}

static void add_note(struct reader *r, const char *key, const char *value)
{
	struct wgquick *file = r->file;

	file->notes = pool_grow(file->pool, file->notes, file->n_notes, sizeof(*file->notes));
	file->notes[file->n_notes++] = pool_printf(file->pool, "%u: %s = %s", r->line, key, value);
}

static const char *const interface_keys[] = {"Address", "ListenPort", "MTU", "PrivateKey", "DNS",
	"Table", "FwMark", "SaveConfig", "PreUp", "PostUp", "PreDown", "PostDown"};
static const char *const peer_keys[] = {
	"PublicKey", "PresharedKey", "AllowedIPs", "Endpoint", "PersistentKeepalive"};

static const char *list_keys(struct reader *r, const char *const *keys, size_t n)
{
	const char *list = "its keys are ";

	for (size_t i = 0; i < n; i++)
		list = pool_printf(r->file->pool, "%s%s%s", list, i == 0 ? "" : ", ", keys[i]);
	return list;
}

static void refuse_key(
	struct reader *r, const char *key, uint32_t column, const char *const *keys, size_t n)
{
	const char *near = diag_suggest(key, keys, n), *hint;
	int word = (int)strcspn(key, " \t");

	if (near != NULL)
		hint = pool_printf(r->file->pool, "did you mean '%s'?", near);
	else if (word <= KEY_NAME_MAX && key[word] != '\0')
		hint = pool_printf(r->file->pool, "write %.*s = VALUE", word, key);
	else
		hint = list_keys(r, keys, n);
	/* One that is longer than any may be a secret that has lost its line. */
	if (word > KEY_NAME_MAX)
		report(r, DIAG_WGQUICK_LINE, column, strlen(key), hint,
			"this is no key of this section");
	else
		report(r, DIAG_WGQUICK_LINE, column, strlen(key), hint,
			"'%.*s' is no key of this section", word, key);
}

static void read_interface(struct reader *r, const char *key, char *value, uint32_t column)
{
	struct model_wireguard *wg = &r->file->wireguard;

	if (strcasecmp(key, "Address") == 0)
		each_item(r, value, take_address);
	else if (strcasecmp(key, "ListenPort") == 0)
		read_number(r, value, 1, 65535, &wg->listen_port);
	else if (strcasecmp(key, "MTU") == 0)
		read_number(r, value, 1280, 9000, &wg->mtu);
	else if (strcasecmp(key, "PrivateKey") == 0)
		add_secret(r, "gateway.key", value);
	else {
		for (size_t i = 4; i < sizeof(interface_keys) / sizeof(interface_keys[0]); i++) {
			if (strcasecmp(key, interface_keys[i]) == 0) {
				add_note(r, interface_keys[i], value);
				return;
			}
		}
		refuse_key(r, key, column, interface_keys,
			sizeof(interface_keys) / sizeof(interface_keys[0]));
	}
}

static void read_peer(struct reader *r, const char *key, char *value, uint32_t column)
{
	struct model_peer *peer = r->peer;

	if (strcasecmp(key, "PublicKey") == 0) {
		peer->has_public_key = true; /* or it has been reported */
		if (!read_key(r, value, &peer->public_key))
			return;
	} else if (strcasecmp(key, "PresharedKey") == 0) {
		peer->preshared_key_file = pool_printf(r->file->pool, "%s.psk", peer->object.name);
		add_secret(r, peer->preshared_key_file, value);
	} else if (strcasecmp(key, "AllowedIPs") == 0) {
		each_item(r, value, take_allowed);
	} else if (strcasecmp(key, "PersistentKeepalive") == 0) {
		if (strcasecmp(value, "off") != 0)
			read_number(r, value, 0, 65535, &peer->persistent_keepalive);
	} else if (strcasecmp(key, "Endpoint") == 0) {
		if (endpoint_parse(value, &peer->endpoint) < 0) {
			memset(&peer->endpoint, 0, sizeof(peer->endpoint));
			if (strrchr(value, ':') == NULL)
				report(r, DIAG_WGQUICK_VALUE, r->value_column, strlen(value), NULL,
					"'%.60s' is not HOST:PORT", value);
			else
				add_note(r, "Endpoint", value); /* a name */
		}
	} else {
		refuse_key(r, key, column, peer_keys, sizeof(peer_keys) / sizeof(peer_keys[0]));
	}
}

/* Cuts space from both ends. */
static char *trim(char *text)
{
	size_t n;

	text += strspn(text, " \t\r");
	n = strlen(text);
	while (n > 0 && strchr(" \t\r", text[n - 1]) != NULL)
		text[--n] = '\0';
	return text;
}

static void read_line(struct reader *r, char *line)
{
	char *begin = line, *equals, *key, *value;

	line = trim(line);
	if (line[0] == '#') {
		if (r->section == SECTION_PEER && r->fresh)
			r->peer->object.name = peer_name(r, line);
		else
			r->comment = pool_strdup(r->file->pool, line);
		r->fresh = false;
		return;
	}
	line[strcspn(line, "#")] = '\0';
	line = trim(line);
	if (line[0] == '\0')
		return;
	if (line[0] == '[') {
		begin_section(r, line);
		return;
	}
	equals = strchr(line, '=');
	if (equals == NULL || r->section == SECTION_NONE) {
		report(r, DIAG_WGQUICK_LINE, (uint32_t)(line - begin) + 1, strlen(line), NULL,
			equals == NULL ? "neither a section nor KEY = VALUE"
				       : "a value before the first section");
		return;
	}
	*equals = '\0';
	value = equals + 1 + strspn(equals + 1, " \t");
	r->value_column = (uint32_t)(value - begin) + 1;
	key = trim(line);
	if (r->section == SECTION_INTERFACE)
		read_interface(r, key, value, (uint32_t)(key - begin) + 1);
	else
		read_peer(r, key, value, (uint32_t)(key - begin) + 1);
	r->comment = NULL;
	r->fresh = false;
}

static bool begins_with(const char *line, const char *stop, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(stop - line) >= n && strncasecmp(line, word, n) == 0;
}

void wgquick_redact(char *text, size_t size)
{
	char *end = text + size;

	while (text < end) {
		char *line = text, *stop = memchr(text, '\n', (size_t)(end - text));
		size_t secret = 0;

		text = stop == NULL ? end : stop + 1;
		stop = stop == NULL ? end : stop;
		while (line < stop && strchr("# \t", *line) != NULL)
			line++;
		if (begins_with(line, stop, "PrivateKey"))
			secret = strlen("PrivateKey");
		else if (begins_with(line, stop, "PresharedKey"))
			secret = strlen("PresharedKey");
		else if (!begins_with(line, stop, "PublicKey"))
			mask_keys(line, stop);
		if (secret == 0)
			continue;
		/* Also where the '=' between them is missing. */
		line += secret;
		while (line < stop && strchr("= \t", *line) != NULL)
			line++;
		memset(line, '*', (size_t)(stop - line));
	}
}

struct wgquick *wgquick_parse(const char *text, size_t size, struct diag *diag)
{
	struct pool *pool = pool_create();
	struct wgquick *file = pool_alloc(pool, sizeof(*file));
	struct reader r = {.file = file, .diag = diag};
	const size_t all = size;
	char line[LINE_MAX_BYTES];

	if (sodium_init() < 0)
		abort();
	file->pool = pool;
	file->wireguard.listen_port = PORT_DEFAULT;
	while (size > 0) {
		const char *end = memchr(text, '\n', size);
		size_t length = end == NULL ? size : (size_t)(end - text);

		r.line++;
		progress_step("reading", PROGRESS_BYTES, all - size, all);
		if (length >= sizeof(line) || memchr(text, '\0', length) != NULL) {
			report(&r, DIAG_WGQUICK_LINE, 1, 1, NULL,
				"a line of %zu bytes, or with a NUL in it", length);
		} else {
			memcpy(line, text, length);
			line[length] = '\0';
			read_line(&r, line);
		}
		text += length + (end != NULL);
		size -= length + (end != NULL);
	}
	progress_end();
	end_section(&r);
	explicit_bzero(line, sizeof(line)); /* keys were in it */
	if (file->wireguard.addresses.n == 0 && diag_errors(diag) == 0)
		report(&r, DIAG_WGQUICK_MISSING, 1, 1, "Address = 10.8.0.1/24",
			"[Interface] has no Address, so there is no network for the peers");
	if (diag_errors(diag) > 0)
		wgquick_destroy(&file);
	return file;
}

void wgquick_destroy(struct wgquick **file)
{
	struct pool *pool = *file == NULL ? NULL : (*file)->pool;

	if (*file != NULL)
		sodium_free((*file)->secrets); /* wipes */
	pool_destroy(&pool);
	*file = NULL;
}
