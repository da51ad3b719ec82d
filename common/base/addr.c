/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/base/addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int af_of(uint8_t family)
{
	return family == ADDR_V4 ? AF_INET : AF_INET6;
}

static bool all_zero(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

/* Mask of the bits of word `i`, as it lies in memory, that lie inside a prefix of `length` bits. */
static uint64_t word_mask(unsigned length, unsigned i)
{
	unsigned first = i * 64;

	if (length >= first + 64)
		return UINT64_MAX;
	return length <= first ? 0 : htobe64(UINT64_MAX << (64 - (length - first)));
}

/* Decimal without sign, blanks or leading zeros, at most `max`. */
static int parse_number(const char *text, unsigned long max, unsigned long *out)
{
	char *end;
	unsigned long value;

	if (text[0] < '0' || text[0] > '9' || (text[0] == '0' && text[1] != '\0'))
		return -EINVAL;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || value > max)
		return -EINVAL;
	*out = value;
	return 0;
}

size_t addr_size(uint8_t family)
{
	return addr_bits(family) / 8;
}

uint8_t addr_bits(uint8_t family)
{
	switch (family) {
	case ADDR_V4:
		return 32;
	case ADDR_V6:
		return 128;
	default:
		return 0;
	}
}

bool addr_is_valid(const struct addr *addr)
{
	size_t size = addr_size(addr->family);

	return size != 0 && all_zero(addr->zero, sizeof(addr->zero)) &&
	       all_zero(addr->bytes + size, sizeof(addr->bytes) - size);
}

bool prefix_is_valid(const struct prefix *prefix)
{
	struct prefix masked = *prefix;

	if (addr_bits(prefix->family) == 0 || prefix->length > addr_bits(prefix->family))
		return false;
	prefix_mask(&masked);
	return all_zero(prefix->zero, sizeof(prefix->zero)) &&
	       memcmp(masked.bytes, prefix->bytes, sizeof(masked.bytes)) == 0;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

int addr_compare(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return sign(memcmp(a->bytes, b->bytes, sizeof(a->bytes)));
}

int prefix_compare(const struct prefix *a, const struct prefix *b)
{
	int order;

	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	order = sign(memcmp(a->bytes, b->bytes, sizeof(a->bytes)));
	return order != 0 ? order : sign((int)a->length - (int)b->length);
}

bool prefix_contains(const struct prefix *prefix, const struct addr *addr)
{
	uint64_t a[2], b[2];

	if (prefix->family != addr->family)
		return false;
	memcpy(a, prefix->bytes, sizeof(a));
	memcpy(b, addr->bytes, sizeof(b));
	return (((a[0] ^ b[0]) & word_mask(prefix->length, 0)) |
		       ((a[1] ^ b[1]) & word_mask(prefix->length, 1))) == 0;
}

bool prefix_covers(const struct prefix *outer, const struct prefix *inner)
{
	struct addr first = prefix_first(inner);

	return inner->length >= outer->length && prefix_contains(outer, &first);
}

bool prefix_overlaps(const struct prefix *a, const struct prefix *b)
{
	return prefix_covers(a, b) || prefix_covers(b, a);
}

struct prefix prefix_of_addr(const struct addr *addr)
{
	struct prefix prefix = {.family = addr->family, .length = addr_bits(addr->family)};

	assert(prefix.length != 0);
	memcpy(prefix.bytes, addr->bytes, sizeof(prefix.bytes));
	return prefix;
}

struct addr prefix_first(const struct prefix *prefix)
{
	struct addr addr = {.family = prefix->family};

	memcpy(addr.bytes, prefix->bytes, sizeof(addr.bytes));
	return addr;
}

void prefix_mask(struct prefix *prefix)
{
	uint64_t words[2];

	memcpy(words, prefix->bytes, sizeof(words));
	words[0] &= word_mask(prefix->length, 0);
	words[1] &= word_mask(prefix->length, 1);
	memcpy(prefix->bytes, words, sizeof(words));
}

int addr_parse(const char *text, struct addr *out)
{
	struct addr addr = {.family = strchr(text, ':') != NULL ? ADDR_V6 : ADDR_V4};

	if (inet_pton(af_of(addr.family), text, addr.bytes) != 1)
		return -EINVAL;
	*out = addr;
	return 0;
}

int prefix_parse(const char *text, struct prefix *out)
{
	char buffer[PREFIX_TEXT_MAX];
	struct prefix prefix;
	struct addr addr;
	unsigned long length;
	char *slash;

	if (strlen(text) >= sizeof(buffer))
		return -EINVAL;
	strcpy(buffer, text);
	slash = strchr(buffer, '/');
	if (slash != NULL)
		*slash = '\0';
	if (addr_parse(buffer, &addr) < 0)
		return -EINVAL;
	prefix = prefix_of_addr(&addr);
	if (slash != NULL) {
		if (parse_number(slash + 1, addr_bits(addr.family), &length) < 0)
			return -EINVAL;
		prefix.length = (uint8_t)length;
	}
	if (!prefix_is_valid(&prefix))
		return -EINVAL;
	*out = prefix;
	return 0;
}

int port_parse(const char *text, uint16_t *out)
{
	unsigned long port;

	if (parse_number(text, UINT16_MAX, &port) < 0 || port == 0)
		return -EINVAL;
	*out = (uint16_t)port;
	return 0;
}

int endpoint_parse(const char *text, struct endpoint *out)
{
	char buffer[ENDPOINT_TEXT_MAX];
	struct endpoint endpoint = {0};
	char *host = buffer;
	char *colon;

	if (strlen(text) >= sizeof(buffer))
		return -EINVAL;
	strcpy(buffer, text);
	colon = strrchr(buffer, ':');
	if (colon == NULL)
		return -EINVAL;
	*colon = '\0';
	if (host[0] == '[') {
		if (colon[-1] != ']')
			return -EINVAL;
		colon[-1] = '\0';
		host++;
	} else if (strchr(host, ':') != NULL) {
		return -EINVAL; /* an IPv6 address needs its brackets */
	}
	if (addr_parse(host, &endpoint.addr) < 0)
		return -EINVAL;
	if ((host != buffer) != (endpoint.addr.family == ADDR_V6))
		return -EINVAL;
	if (port_parse(colon + 1, &endpoint.port) < 0)
		return -EINVAL;
	*out = endpoint;
	return 0;
}

const char *addr_format(const struct addr *addr, char text[ADDR_TEXT_MAX])
{
	if (addr_size(addr->family) == 0 ||
		inet_ntop(af_of(addr->family), addr->bytes, text, ADDR_TEXT_MAX) == NULL)
		strcpy(text, "none");
	return text;
}

const char *prefix_format(const struct prefix *prefix, char text[PREFIX_TEXT_MAX])
{
	struct addr first = prefix_first(prefix);
	char buffer[ADDR_TEXT_MAX];

	snprintf(text, PREFIX_TEXT_MAX, "%s/%u", addr_format(&first, buffer), prefix->length);
	return text;
}

const char *endpoint_format(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_MAX])
{
	const char *shape = endpoint->addr.family == ADDR_V6 ? "[%s]:%u" : "%s:%u";
	char buffer[ADDR_TEXT_MAX];

	snprintf(text, ENDPOINT_TEXT_MAX, shape, addr_format(&endpoint->addr, buffer),
		endpoint->port);
	return text;
}
