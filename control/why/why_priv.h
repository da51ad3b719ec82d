/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A list made quick to ask. Lists are sorted by type, prefixes by their bytes (compile/desired.c):
 * so one prefix is found by halving, and the longest one that holds an address by asking for each
 * length that occurs, usually a handful, from the longest on. Rules are sorted by source set and
 * destination: a policy to a group is a rule for each address of its members.
 */
#pragma once

#include "control/why/why.h"

/* The messages of one type, one after the other in the list. */
struct why_range {
	const struct api_header *const *messages;
	size_t n;
};

/* Those that occur, by family (IPv4 first): a bit each. */
struct why_lengths {
	uint32_t bits[2][5];
};

/* Prefixes side by side, for the processor's cache. */
struct why_prefix {
	struct prefix prefix;
	uint32_t set_id; /* of routes */
};

/* A range sorted by prefix. */
struct why_prefixes {
	struct why_range range;
	struct why_prefix *items;
	struct why_lengths lengths;
};

struct why_rule {
	uint32_t set_id;
	struct prefix dst;        /* zeros = any */
	uint32_t priority, place; /* place in the list: decides between equal priorities */
	const struct api_policy_set *message;
};

struct why_index {
	struct pool *pool; /* it lies in it itself */
	const struct compiled *compiled;
	const struct desired *list;
	struct why_prefixes allowed;
	struct why_prefixes overlay, underlay; /* routes */
	struct why_rule *rules;
	size_t n_rules;
	struct why_lengths rule_lengths; /* of destinations */
};

struct why_range why_range(const struct desired *list, uint16_t type);

/* The longest length that occurs, is below `below` and can hold the address; -1 = none. */
int why_next_length(const struct why_lengths *lengths, const struct addr *addr, int below);

struct prefix why_prefix_of(const struct addr *addr, int length);

/* The address's prefix of that length: place of the first message that has it, and their number
 * (0 = none). */
size_t why_find(
	const struct why_prefixes *prefixes, const struct addr *addr, int length, size_t *count);

/* Of `count` from `place` on the one of that set; NULL = none. */
const struct api_route_set *why_find_set(
	const struct why_prefixes *routes, size_t place, size_t count, uint32_t set_id);

/* The first rule of a source set to this destination that `matches`, by priority; NULL = none. */
const struct why_rule *why_find_rule(const struct why_index *index, uint32_t set_id,
	const struct prefix *dst, bool (*matches)(const struct why_rule *rule, const void *arg),
	const void *arg);

/* Whether a rule goes before another one, NULL = none. */
bool why_outranks(const struct why_rule *rule, const struct why_rule *other);
