/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/why/why_priv.h"

#include <stdlib.h>
#include <string.h>

struct why_range why_range(const struct desired *list, uint16_t type)
{
	struct why_range range;
	size_t first = desired_first(list, type);

	range.messages = list->messages + first;
	for (range.n = 0; first + range.n < list->n && range.messages[range.n]->type == type;)
		range.n++;
	return range;
}

static const struct prefix *prefix_of(const struct api_header *message)
{
	return message->type == API_ROUTE_SET ? &((const struct api_route_set *)message)->prefix
					      : &((const struct api_allowed_set *)message)->prefix;
}

static void note_length(struct why_lengths *lengths, const struct prefix *prefix)
{
	lengths->bits[prefix->family != ADDR_V4][prefix->length / 32] |= 1u << prefix->length % 32;
}

static void index_prefixes(struct pool *pool, struct why_prefixes *prefixes)
{
	prefixes->items = pool_alloc(pool, (prefixes->range.n + 1) * sizeof(*prefixes->items));
	for (size_t i = 0; i < prefixes->range.n; i++) {
		const struct api_header *message = prefixes->range.messages[i];
		struct why_prefix *item = &prefixes->items[i];

		item->prefix = *prefix_of(message);
		if (message->type == API_ROUTE_SET)
			item->set_id = ((const struct api_route_set *)message)->set_id;
		note_length(&prefixes->lengths, &item->prefix);
	}
}

/* Routes of the first table, then those of the second one: the table is first in their key. */
static void split_routes(struct why_index *index, const struct why_range *routes)
{
	size_t n = 0;

	while (n < routes->n &&
		((const struct api_route_set *)routes->messages[n])->table == API_TABLE_OVERLAY)
		n++;
	index->overlay.range = (struct why_range){routes->messages, n};
	index->underlay.range = (struct why_range){routes->messages + n, routes->n - n};
}

static int compare_places(uint32_t set_id, const struct prefix *dst, const struct why_rule *rule)
{
	if (set_id != rule->set_id)
		return set_id < rule->set_id ? -1 : 1;
	return memcmp(dst, &rule->dst, sizeof(*dst));
}

bool why_outranks(const struct why_rule *rule, const struct why_rule *other)
{
	return other == NULL || rule->priority < other->priority ||
	       (rule->priority == other->priority && rule->place < other->place);
}

static int compare_rules(const void *left, const void *right)
{
	const struct why_rule *a = left, *b = right;
	int order = compare_places(a->set_id, &a->dst, b);

	return order != 0 ? order : why_outranks(a, b) ? -1 : 1;
}

static void index_rules(struct why_index *index)
{
	struct why_range range = why_range(index->list, API_POLICY_SET);

	index->rules = pool_alloc(index->pool, (range.n + 1) * sizeof(*index->rules));
	index->n_rules = range.n;
	for (size_t i = 0; i < range.n; i++) {
		const struct api_policy_set *rule = (const void *)range.messages[i];

		index->rules[i] = (struct why_rule){.set_id = rule->src_set,
			.dst = rule->dst,
			.priority = rule->priority,
			.place = (uint32_t)i,
			.message = rule};
		if (rule->dst.family != ADDR_NONE)
			note_length(&index->rule_lengths, &rule->dst);
	}
	qsort(index->rules, range.n, sizeof(*index->rules), compare_rules);
}

struct why_index *why_index_create(const struct compiled *compiled, const struct desired *list)
{
	struct pool *pool = pool_create();
	struct why_index *index = pool_alloc(pool, sizeof(*index));
	struct why_range routes = why_range(list, API_ROUTE_SET);

	index->pool = pool;
	index->compiled = compiled;
	index->list = list;
	index->allowed.range = why_range(list, API_ALLOWED_SET);
	split_routes(index, &routes);
	index_prefixes(pool, &index->allowed);
	index_prefixes(pool, &index->overlay);
	index_prefixes(pool, &index->underlay);
	index_rules(index);
	return index;
}

void why_index_destroy(struct why_index **index)
{
	struct pool *pool;

	if (*index == NULL)
		return;
	pool = (*index)->pool;
	pool_destroy(&pool);
	*index = NULL;
}

int why_next_length(const struct why_lengths *lengths, const struct addr *addr, int below)
{
	const uint32_t *bits = lengths->bits[addr->family != ADDR_V4];
	int length = addr_bits(addr->family);

	for (length = below - 1 < length ? below - 1 : length; length >= 0; length--) {
		if ((bits[length / 32] & 1u << length % 32) != 0)
			return length;
	}
	return -1;
}

struct prefix why_prefix_of(const struct addr *addr, int length)
{
	struct prefix prefix = prefix_of_addr(addr);

	prefix.length = (uint8_t)length;
	prefix_mask(&prefix);
	return prefix;
}

/* The first item that is not before the prefix. */
static size_t lower_bound(const struct why_prefixes *prefixes, const struct prefix *prefix)
{
	size_t low = 0, high = prefixes->range.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(&prefixes->items[middle].prefix, prefix, sizeof(*prefix)) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The first item past those of the prefix; `low` is the first one of it. */
static size_t upper_bound(
	const struct why_prefixes *prefixes, const struct prefix *prefix, size_t low)
{
	size_t high = prefixes->range.n;

	if (low + 1 >= high || !prefix_equal(&prefixes->items[low + 1].prefix, prefix))
		return low + 1; /* nearly always */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(&prefixes->items[middle].prefix, prefix, sizeof(*prefix)) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t why_find(
	const struct why_prefixes *prefixes, const struct addr *addr, int length, size_t *count)
{
	struct prefix prefix = why_prefix_of(addr, length);
	size_t place = lower_bound(prefixes, &prefix);

	*count = 0;
	if (place < prefixes->range.n && prefix_equal(&prefixes->items[place].prefix, &prefix))
		*count = upper_bound(prefixes, &prefix, place) - place;
	return place;
}

const struct api_route_set *why_find_set(
	const struct why_prefixes *routes, size_t place, size_t count, uint32_t set_id)
{
	size_t end = place + count;

	while (place < end) {
		size_t middle = place + (end - place) / 2;
		/* As they are sorted: by the bytes. */
		int order = memcmp(&routes->items[middle].set_id, &set_id, sizeof(set_id));

		if (order == 0)
			return (const void *)routes->range.messages[middle];
		if (order < 0)
			place = middle + 1;
		else
			end = middle;
	}
	return NULL;
}

const struct why_rule *why_find_rule(const struct why_index *index, uint32_t set_id,
	const struct prefix *dst, bool (*matches)(const struct why_rule *rule, const void *arg),
	const void *arg)
{
	size_t low = 0, high = index->n_rules;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_places(set_id, dst, &index->rules[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < index->n_rules && compare_places(set_id, dst, &index->rules[low]) == 0;
		low++) {
		if (matches(&index->rules[low], arg))
			return &index->rules[low];
	}
	return NULL;
}
