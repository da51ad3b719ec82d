/* SPDX-License-Identifier: BSD-3-Clause */
/* The prefix table against an array that is searched from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/route/prefix_table.h"
#include "test/unit/dataplane/eal.h"

enum { MAX = 400, HOLDERS = 4, ROUNDS = 30000 };

static struct {
	struct prefix prefix;
	uint32_t holder, peer;
	bool used;
} model[MAX];

static unsigned model_count(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < MAX; i++)
		count += model[i].used;
	return count;
}

static int model_find(const struct prefix *prefix, uint32_t holder)
{
	for (int i = 0; i < MAX; i++) {
		if (model[i].used && model[i].holder == holder &&
			prefix_equal(&model[i].prefix, prefix))
			return i;
	}
	return -1;
}

static struct prefix random_prefix(void)
{
	uint8_t family = rand() % 2 ? ADDR_V4 : ADDR_V6;
	struct prefix prefix = {.family = family, .length = (uint8_t)(rand() % 13)};

	if (rand() % 4 == 0)
		prefix.length = addr_bits(family);
	prefix.bytes[0] = (uint8_t)rand();
	prefix.bytes[1] = (uint8_t)(rand() & 0xf0);
	if (family == ADDR_V6 && rand() % 2) { /* some part on either side of the 64th bit */
		prefix.length = (uint8_t)(58 + rand() % 13);
		memset(prefix.bytes, 0x20, 7);
		prefix.bytes[7] = (uint8_t)rand();
		prefix.bytes[8] = (uint8_t)rand();
	}
	prefix_mask(&prefix);
	return prefix;
}

/* Longest first: the k-th prefix (any holder) that covers addr; -1 past the last. */
static int model_covering_length(const struct addr *addr, int longer_than_excluded)
{
	int best = -1;

	for (int i = 0; i < MAX; i++) {
		if (model[i].used && prefix_contains(&model[i].prefix, addr) &&
			model[i].prefix.length < longer_than_excluded &&
			model[i].prefix.length > best)
			best = model[i].prefix.length;
	}
	return best;
}

static void compare_lookups(const struct prefix_table *table, const struct addr *addr)
{
	struct prefix_match match;
	bool more = prefix_table_longest(table, addr, &match);
	int expected = model_covering_length(addr, 1000);

	while (more) {
		const struct prefix_entry *entry = prefix_match_first(&match);
		uint32_t last_holder = 0;
		unsigned entries = 0;

		assert_int_equal(entry->prefix.length, expected);
		for (; entry != NULL; entry = prefix_match_next(&match, entry), entries++) {
			int i = model_find(&entry->prefix, entry->holder);

			assert_true(i >= 0);
			assert_int_equal(model[i].peer, entry->hop.peer);
			assert_true(entries == 0 || entry->holder > last_holder);
			last_holder = entry->holder;
		}
		expected = model_covering_length(addr, expected);
		more = prefix_match_shorter(&match);
	}
	assert_int_equal(expected, -1);
}

static void agrees_with_the_model(void **state)
{
	int error = 0;
	struct prefix_table *table = prefix_table_create(MAX, &error);

	assert_non_null(table);
	srand(2);
	for (int round = 0; round < ROUNDS; round++) {
		struct prefix prefix = random_prefix();
		struct addr addr = prefix_first(&prefix);
		uint32_t holder = (uint32_t)(rand() % HOLDERS);
		int i = model_find(&prefix, holder);

		if (rand() % 3 != 0) {
			struct route_hop hop = {.peer = (uint32_t)rand()};

			for (unsigned k = 0; i < 0 && k < MAX; k++)
				i = model[k].used ? -1 : (int)k;
			if (i < 0)
				continue; /* full */
			prefix_table_set(table, &prefix, holder, &hop);
			model[i].prefix = prefix;
			model[i].holder = holder;
			model[i].peer = hop.peer;
			model[i].used = true;
		} else {
			assert_int_equal(prefix_table_remove(table, &prefix, holder), i >= 0);
			if (i >= 0)
				model[i].used = false;
		}
		assert_int_equal(prefix_table_count(table), model_count());
		addr.bytes[1] |= (uint8_t)(rand() & 0x0f);
		compare_lookups(table, &addr);
		if (round == ROUNDS / 2) {
			prefix_table_clear(table);
			memset(model, 0, sizeof(model));
			compare_lookups(table, &addr);
		}
	}
	prefix_table_destroy(&table);
	assert_null(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_model),
	};

	return cmocka_run_group_tests(tests, eal_start, eal_stop);
}
