/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lists of objects. What makes two messages the same object is in one table: the fields of the
 * set message that are its key, and where they lie in the deletion.
 */
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/table.h"
#include "control/compile/compile.h"

enum { KEY_FIELDS = 3 };

struct key_field {
	uint16_t in_set, in_del, size;
};

#define KEY(name, member)                                                                          \
	{                                                                                          \
		offsetof(struct api_##name##_set, member),                                         \
			offsetof(struct api_##name##_del, member),                                 \
			sizeof(((struct api_##name##_set *)0)->member)                             \
	}

/* In the order in which objects may refer to one another. */
static const struct object_type {
	uint16_t set, del;
	struct key_field keys[KEY_FIELDS];
} object_types[] = {
	{API_PORT_SET, API_PORT_DEL, {KEY(port, port)}},
	{API_WG_INTERFACE_SET, API_WG_INTERFACE_DEL, {KEY(wg_interface, interface)}},
	{API_PEER_SET, API_PEER_DEL, {KEY(peer, peer)}},
	{API_LOCAL_SET, API_LOCAL_DEL, {KEY(local, addr)}},
	{API_NEIGH_SET, API_NEIGH_DEL, {KEY(neigh, addr), KEY(neigh, port)}},
	{API_ROUTE_SET, API_ROUTE_DEL, {KEY(route, table), KEY(route, prefix), KEY(route, set_id)}},
	{API_ALLOWED_SET, API_ALLOWED_DEL, {KEY(allowed, prefix), KEY(allowed, peer)}},
	{API_MAP_SET, API_MAP_DEL, {KEY(map, peer), KEY(map, seen)}},
	{API_EGRESS_ADDR_SET, API_EGRESS_ADDR_DEL, {KEY(egress_addr, egress)}},
	{API_EGRESS_POOL_SET, API_EGRESS_POOL_DEL, {KEY(egress_pool, pool)}},
	{API_EGRESS_RULE_SET, API_EGRESS_RULE_DEL, {KEY(egress_rule, rule)}},
	{API_FORWARD_SET, API_FORWARD_DEL, {KEY(forward, forward)}},
	{API_FLOW_TIMEOUTS_SET, API_FLOW_TIMEOUTS_DEL, {KEY(flow_timeouts, id)}},
	{API_COUNTED_SET, API_COUNTED_DEL, {KEY(counted, section), KEY(counted, id)}},
	{API_FLOW_LIMITS_SET, API_FLOW_LIMITS_DEL, {KEY(flow_limits, id)}},
	{API_POLICY_SET, API_POLICY_DEL, {KEY(policy, rule)}},
};

enum { N_TYPES = sizeof(object_types) / sizeof(object_types[0]) };

static const struct object_type *type_of(const struct api_header *message)
{
	for (size_t i = 0; i < N_TYPES; i++) {
		if (object_types[i].set == message->type)
			return &object_types[i];
	}
	return NULL;
}

int desired_compare(const struct api_header *a, const struct api_header *b)
{
	const struct object_type *type = type_of(a), *other = type_of(b);

	if (type != other)
		return type < other ? -1 : 1;
	for (size_t i = 0; i < KEY_FIELDS && type->keys[i].size != 0; i++) {
		const struct key_field *field = &type->keys[i];
		int order = memcmp((const char *)a + field->in_set, (const char *)b + field->in_set,
			field->size);

		if (order != 0)
			return order < 0 ? -1 : 1;
	}
	return 0;
}

size_t desired_first(const struct desired *list, uint16_t type)
{
	const struct api_header wanted = {.type = type};
	const struct object_type *kind = type_of(&wanted);
	size_t low = 0, high = list->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (type_of(list->messages[middle]) < kind)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct api_header *desired_copy(struct pool *pool, const struct api_header *message)
{
	return memcpy(pool_alloc(pool, message->length), message, message->length);
}

struct api_header *desired_deletion(struct pool *pool, const struct api_header *message)
{
	const struct object_type *type = type_of(message);
	const struct api_message *shape = api_message_find(type->del);
	char *deletion = pool_alloc(pool, shape->size);

	api_message_init(deletion, type->del, shape->size);
	for (size_t i = 0; i < KEY_FIELDS && type->keys[i].size != 0; i++) {
		const struct key_field *field = &type->keys[i];

		memcpy(deletion + field->in_del, (const char *)message + field->in_set,
			field->size);
	}
	return (struct api_header *)deletion;
}

/* The digest is a sum of one per object, so that a change costs one object's worth. */
static void add(uint8_t sum[STORE_DIGEST_SIZE], const uint8_t one[STORE_DIGEST_SIZE])
{
	sodium_add(sum, one, STORE_DIGEST_SIZE);
}

static void digest_of(uint8_t one[STORE_DIGEST_SIZE], const struct api_header *message)
{
	crypto_generichash(
		one, STORE_DIGEST_SIZE, (const unsigned char *)message, message->length, NULL, 0);
}

static void add_digest(uint8_t sum[STORE_DIGEST_SIZE], const struct api_header *message)
{
	uint8_t one[STORE_DIGEST_SIZE];

	digest_of(one, message);
	add(sum, one);
}

static void subtract_digest(uint8_t sum[STORE_DIGEST_SIZE], const struct api_header *message)
{
	uint8_t one[STORE_DIGEST_SIZE];

	digest_of(one, message);
	sodium_sub(sum, one, STORE_DIGEST_SIZE);
}

struct placed {
	const struct api_header *message;
	size_t place;
};

static int compare_placed(const void *left, const void *right)
{
	const struct placed *a = left, *b = right;
	int order = desired_compare(a->message, b->message);

	return order != 0 ? order : (a->place > b->place) - (a->place < b->place);
}

struct desired desired_make(const struct api_header **messages, size_t n)
{
	struct desired desired = {.messages = messages};
	struct placed *placed = calloc(n + 1, sizeof(*placed));

	if (placed == NULL)
		abort();
	for (size_t i = 0; i < n; i++)
		placed[i] = (struct placed){messages[i], i};
	qsort(placed, n, sizeof(*placed), compare_placed);
	for (size_t i = 0; i < n; i++) {
		if (desired.n > 0 &&
			desired_compare(messages[desired.n - 1], placed[i].message) == 0)
			continue;
		messages[desired.n++] = placed[i].message;
		add_digest(desired.digest, placed[i].message);
	}
	free(placed);
	return desired;
}

/* Which of two sorted lists goes on: <0 the first, >0 the second, 0 both. */
static int next_of(const struct desired *a, size_t i, const struct desired *b, size_t j)
{
	if (i == a->n)
		return 1;
	return j == b->n ? -1 : desired_compare(a->messages[i], b->messages[j]);
}

struct desired desired_merge(
	struct pool *pool, const struct desired *first, const struct desired *second)
{
	struct desired merged = {
		.messages = pool_alloc(pool, (first->n + second->n + 1) * sizeof(void *)),
	};
	size_t i = 0, j = 0;

	add(merged.digest, first->digest);
	add(merged.digest, second->digest);
	while (i < first->n || j < second->n) {
		int order = next_of(first, i, second, j);

		merged.messages[merged.n++] = order <= 0 ? first->messages[i] : second->messages[j];
		if (order == 0)
			subtract_digest(merged.digest, second->messages[j]);
		i += order <= 0;
		j += order >= 0;
	}
	return merged;
}

static bool same(const struct api_header *a, const struct api_header *b)
{
	return a == b || (a->length == b->length && memcmp(a, b, a->length) == 0);
}

struct compile_steps desired_diff(struct pool *pool, const struct desired *from,
	const struct desired *to, bool (*force)(const struct api_header *message, void *arg),
	void *arg)
{
	static const struct desired nothing;
	struct compile_steps steps = {0};
	const struct api_header **gone;
	size_t i = 0, j = 0, n_gone = 0;

	if (from == NULL)
		from = &nothing;
	steps.messages = pool_alloc(pool, (from->n + to->n + 1) * sizeof(void *));
	gone = pool_alloc(pool, (from->n + 1) * sizeof(void *));
	while (i < from->n || j < to->n) {
		int order = next_of(from, i, to, j);

		if (order < 0)
			gone[n_gone++] = from->messages[i];
		else if (order > 0 || !same(from->messages[i], to->messages[j]) ||
			 (force != NULL && force(to->messages[j], arg)))
			steps.messages[steps.n++] = to->messages[j];
		i += order <= 0;
		j += order >= 0;
	}
	steps.sets = steps.n;
	steps.deletions = n_gone;
	while (n_gone > 0)
		steps.messages[steps.n++] = desired_deletion(pool, gone[--n_gone]);
	return steps;
}
