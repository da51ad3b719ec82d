/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of "key=value", an empty one at the end. Strict: every key must be known and stand where
 * it may, every value be of its kind and range; nothing is skipped.
 */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "control/uapi/uapi_priv.h"

struct parser {
	struct uapi_request *request;
	struct uapi_change *change; /* NULL before the first public_key */
	size_t room;                /* for changes */
};

static int parse_key(const char *value, struct key *key)
{
	size_t n;

	if (strlen(value) != 2 * KEY_SIZE ||
		sodium_hex2bin(key->bytes, KEY_SIZE, value, 2 * KEY_SIZE, NULL, &n, NULL) < 0 ||
		n != KEY_SIZE)
		return -EINVAL;
	return 0;
}

static int parse_number(const char *value, uint32_t max, uint32_t *number)
{
	uint64_t sum = 0;

	if (value[0] == '\0' || strlen(value) > 10 || (value[0] == '0' && value[1] != '\0'))
		return -EINVAL;
	for (; *value != '\0'; value++) {
		if (*value < '0' || *value > '9')
			return -EINVAL;
		sum = sum * 10 + (uint64_t)(*value - '0');
	}
	if (sum > max)
		return -EINVAL;
	*number = (uint32_t)sum;
	return 0;
}

static int parse_true(const char *value, bool *flag)
{
	if (strcmp(value, "true") != 0)
		return -EINVAL;
	*flag = true;
	return 0;
}

static int read_private_key(struct parser *p, const char *value)
{
	p->request->has_private_key = true;
	return parse_key(value, &p->request->private_key);
}

static int read_listen_port(struct parser *p, const char *value)
{
	uint32_t number = 0;
	int rc = parse_number(value, UINT16_MAX, &number);

	p->request->has_listen_port = true;
	p->request->listen_port = (uint16_t)number;
	return rc;
}

/* An empty value takes the mark away. */
static int read_fwmark(struct parser *p, const char *value)
{
	p->request->has_fwmark = true;
	return value[0] == '\0' ? 0 : parse_number(value, UINT32_MAX, &p->request->fwmark);
}

static int read_replace_peers(struct parser *p, const char *value)
{
	return parse_true(value, &p->request->replace_peers);
}

static int read_public_key(struct parser *p, const char *value)
{
	if (p->request->n_changes == p->room)
		return -EINVAL;
	p->change = &p->request->changes[p->request->n_changes++];
	return parse_key(value, &p->change->public_key);
}

static int read_remove(struct parser *p, const char *value)
{
	return parse_true(value, &p->change->remove);
}

static int read_update_only(struct parser *p, const char *value)
{
	return parse_true(value, &p->change->update_only);
}

static int read_replace_allowed(struct parser *p, const char *value)
{
	p->change->n_allowed = 0;
	return parse_true(value, &p->change->replace_allowed);
}

static int read_preshared_key(struct parser *p, const char *value)
{
	p->change->has_preshared_key = true;
	return parse_key(value, &p->change->preshared_key);
}

static int read_endpoint(struct parser *p, const char *value)
{
	p->change->has_endpoint = true;
	if (endpoint_parse(value, &p->change->endpoint) < 0 || p->change->endpoint.port == 0)
		return -EINVAL;
	return 0;
}

static int read_keepalive(struct parser *p, const char *value)
{
	uint32_t number = 0;
	int rc = parse_number(value, UINT16_MAX, &number);

	p->change->has_keepalive = true;
	p->change->keepalive = (uint16_t)number;
	return rc;
}

/* As in the kernel, bits of the host are cleared; the length is required. */
static int read_allowed_ip(struct parser *p, const char *value)
{
	struct uapi_change *change = p->change;
	const char *slash = strchr(value, '/');
	char text[ADDR_TEXT_MAX];
	struct prefix prefix;
	struct addr addr;
	uint32_t length;

	if (slash == NULL || (size_t)(slash - value) >= sizeof(text))
		return -EINVAL;
	memcpy(text, value, (size_t)(slash - value));
	text[slash - value] = '\0';
	if (addr_parse(text, &addr) < 0 ||
		parse_number(slash + 1, addr_bits(addr.family), &length) < 0)
		return -EINVAL;
	prefix = prefix_of_addr(&addr);
	prefix.length = (uint8_t)length;
	prefix_mask(&prefix);
	change->allowed = pool_grow(
		p->request->pool, change->allowed, change->n_allowed, sizeof(*change->allowed));
	change->allowed[change->n_allowed++] = prefix;
	return 0;
}

static int read_protocol_version(struct parser *p, const char *value)
{
	return strcmp(value, "1") == 0 ? 0 : -EINVAL;
}

enum scope {
	OF_DEVICE, /* before the first public_key */
	OF_PEER,   /* after it */
	OF_BOTH,
};

static const struct {
	const char *name;
	enum scope scope;
	int (*read)(struct parser *p, const char *value);
} keys[] = {
	{"private_key", OF_DEVICE, read_private_key},
	{"listen_port", OF_DEVICE, read_listen_port},
	{"fwmark", OF_DEVICE, read_fwmark},
	{"replace_peers", OF_DEVICE, read_replace_peers},
	{"public_key", OF_BOTH, read_public_key},
	{"remove", OF_PEER, read_remove},
	{"update_only", OF_PEER, read_update_only},
	{"preshared_key", OF_PEER, read_preshared_key},
	{"endpoint", OF_PEER, read_endpoint},
	{"persistent_keepalive_interval", OF_PEER, read_keepalive},
	{"replace_allowed_ips", OF_PEER, read_replace_allowed},
	{"allowed_ip", OF_PEER, read_allowed_ip},
	{"protocol_version", OF_PEER, read_protocol_version},
};

static int read_line(struct parser *p, char *line, const char **why)
{
	char *value = strchr(line, '=');

	*why = "a line without '='";
	if (value == NULL)
		return -EINVAL;
	*value++ = '\0';
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(keys[i].name, line) != 0)
			continue;
		*why = "a key in the wrong place";
		if (keys[i].scope != OF_BOTH && (keys[i].scope == OF_PEER) != (p->change != NULL))
			return -EINVAL;
		*why = keys[i].name;
		return keys[i].read(p, value);
	}
	*why = "an unknown key";
	return -EINVAL;
}

static size_t count_peers(const char *text, const char *end)
{
	static const char mark[] = "\npublic_key=";
	size_t n = 0;

	while ((text = memmem(text, (size_t)(end - text), mark, sizeof(mark) - 1)) != NULL) {
		n++;
		text++;
	}
	return n;
}

bool uapi_find_end(const char *text, size_t n, size_t *from, size_t *size)
{
	const char *end = n > *from ? memmem(text + *from, n - *from, "\n\n", 2) : NULL;

	if (end == NULL) {
		*from = n > 0 ? n - 1 : 0;
		return false;
	}
	*size = (size_t)(end - text) + 2;
	return true;
}

/* The text begins after "set=1", with that line's end. */
static int parse_set(
	struct uapi_request *request, const char *text, const char *end, const char **why)
{
	struct parser p = {.request = request, .room = count_peers(text, end)};
	char line[UAPI_LINE_MAX + 1];
	int rc = 0;

	/* In memory that is not swapped, and without copies of keys left behind by growing. */
	*why = "out of memory";
	request->changes = sodium_allocarray(p.room + 1, sizeof(*request->changes));
	if (request->changes == NULL)
		return -ENOMEM;
	memset(request->changes, 0, (p.room + 1) * sizeof(*request->changes));
	for (text++; rc == 0 && *text != '\n';) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)(stop - text);

		*why = "a line that is too long";
		if (n > UAPI_LINE_MAX) {
			rc = -EINVAL;
			break;
		}
		memcpy(line, text, n);
		line[n] = '\0';
		rc = read_line(&p, line, why);
		text = stop + 1;
	}
	sodium_memzero(line, sizeof(line));
	return rc;
}

int uapi_parse(const char *text, size_t size, struct uapi_request *request, const char **why)
{
	static const char get[] = "get=1\n", set[] = "set=1\n";

	*request = (struct uapi_request){.pool = pool_create()};
	*why = "neither get=1 nor set=1";
	if (size < sizeof(get) || text[size - 1] != '\n' || text[size - 2] != '\n')
		return -EPROTO;
	if (memcmp(text, set, sizeof(set) - 1) != 0) {
		if (memcmp(text, get, sizeof(get) - 1) != 0)
			return -EPROTO;
		*why = "something after get=1";
		request->get = true;
		return size == sizeof(get) ? 0 : -EINVAL;
	}
	*why = "a zero byte";
	if (memchr(text, '\0', size) != NULL)
		return -EINVAL;
	return parse_set(request, text + sizeof(set) - 2, text + size, why);
}

void uapi_request_wipe(struct uapi_request *request)
{
	key_wipe(&request->private_key);
	sodium_free(request->changes); /* wipes */
	request->changes = NULL;
	request->n_changes = 0;
	pool_destroy(&request->pool);
}
