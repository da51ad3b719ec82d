/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Internet addresses, prefixes and endpoints of either family, as both planes and the rings
 * between them carry them. Plain values: no ownership, no threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum addr_family {
	ADDR_NONE = 0, /* "no address": every other byte is zero */
	ADDR_V4 = 4,
	ADDR_V6 = 6,
};

enum {
	ADDR_TEXT_MAX = 46,     /* INET6_ADDRSTRLEN */
	PREFIX_TEXT_MAX = 50,   /* address, '/', three digits */
	ENDPOINT_TEXT_MAX = 56, /* '[', address, ']', ':', five digits */
};

/* 20 bytes, no padding; bytes are in network order, an IPv4 address uses the first four. */
struct addr {
	uint8_t family; /* enum addr_family */
	uint8_t zero[3];
	uint8_t bytes[16];
};

/* 20 bytes. Host bits are zero in every valid prefix. */
struct prefix {
	uint8_t family;
	uint8_t length; /* 0..32 or 0..128 */
	uint8_t zero[2];
	uint8_t bytes[16];
};

/* A UDP or TCP endpoint; port in host order, 0 = none. */
struct endpoint {
	struct addr addr;
	uint16_t port;
	uint16_t zero;
};

_Static_assert(sizeof(struct addr) == 20, "struct addr is part of the ring contract");
_Static_assert(sizeof(struct prefix) == 20, "struct prefix is part of the ring contract");
_Static_assert(sizeof(struct endpoint) == 24, "struct endpoint is part of the ring contract");

/* Bytes of an address of this family: 4, 16, or 0 for anything else. */
size_t addr_size(uint8_t family);

/* Longest prefix of this family: 32, 128, or 0. */
uint8_t addr_bits(uint8_t family);

/* True for a known family whose unused bytes are zero. Call before using one from outside. */
bool addr_is_valid(const struct addr *addr);

/* True for a known family, length in range, host bits and unused bytes zero. */
bool prefix_is_valid(const struct prefix *prefix);

bool addr_equal(const struct addr *a, const struct addr *b);
bool prefix_equal(const struct prefix *a, const struct prefix *b);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

/* -1, 0, 1: by family, then bytes (then length). A total order for sorting. */
int addr_compare(const struct addr *a, const struct addr *b);
int prefix_compare(const struct prefix *a, const struct prefix *b);

/* True if the prefix covers the address / the (equal or longer) prefix of the same family. */
bool prefix_contains(const struct prefix *prefix, const struct addr *addr);
bool prefix_covers(const struct prefix *outer, const struct prefix *inner);

/* True if one covers the other: there is no other way for two to have an address in common. */
bool prefix_overlaps(const struct prefix *a, const struct prefix *b);

/* The host prefix (/32, /128) of an address; the address must be valid. */
struct prefix prefix_of_addr(const struct addr *addr);

/* The first address of a prefix. */
struct addr prefix_first(const struct prefix *prefix);

/* Clears the bits beyond the prefix length. */
void prefix_mask(struct prefix *prefix);

/*
 * Text to value. Return 0, or -EINVAL and leave *out untouched. "192.0.2.1", "2001:db8::1" (no
 * zone); "192.0.2.0/24" (a bare address is a host prefix; host bits set are refused);
 * "51820" (1..65535, no leading zeros); "192.0.2.1:51820", "[2001:db8::1]:51820".
 */
int addr_parse(const char *text, struct addr *out) __attribute__((warn_unused_result));
int prefix_parse(const char *text, struct prefix *out) __attribute__((warn_unused_result));
int port_parse(const char *text, uint16_t *out) __attribute__((warn_unused_result));
int endpoint_parse(const char *text, struct endpoint *out) __attribute__((warn_unused_result));

/* Value to text; the buffer has the size of the constant. Return `text` for use in a call. */
const char *addr_format(const struct addr *addr, char text[ADDR_TEXT_MAX]);
const char *prefix_format(const struct prefix *prefix, char text[PREFIX_TEXT_MAX]);
const char *endpoint_format(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_MAX]);
