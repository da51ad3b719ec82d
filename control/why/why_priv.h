/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A list made quick to ask. Lists are sorted by type, prefixes by their bytes (compile/desired.c):
 * so one prefix is found by halving, and the longest one that holds an address by asking for each
 * length that occurs, usually a handful, from the longest on. Policies are sorted by source set
 * and priority.
 */
#pragma once

#include "control/why/why.h"

/* The messages of one type, one after the other in the list. */
struct why_range {
	const struct api_header *const *messages;
	size_t n;
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
	uint32_t lengths[2][5]; /* those that occur, by family (IPv4 first): a bit each */
};

struct why_rule {
	uint32_t set_id, priority, place; /* place in the list: decides between equal priorities */
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
};

struct why_range why_range(const struct desired *list, uint16_t type);

/* The longest length that occurs, is below `below` and can hold the address; -1 = none. */
int why_next_length(const struct why_prefixes *prefixes, const struct addr *addr, int below);

/* The address's prefix of that length: place of the first message that has it, and their number
 * (0 = none). */
size_t why_find(
	const struct why_prefixes *prefixes, const struct addr *addr, int length, size_t *count);

/* Of `count` from `place` on the one of that set; NULL = none. */
const struct api_route_set *why_find_set(
	const struct why_prefixes *routes, size_t place, size_t count, uint32_t set_id);

/* The rules of a source set, by priority; *count: with those of later sets, which follow. */
const struct why_rule *why_rules(const struct why_index *index, uint32_t set_id, size_t *count);
