/* SPDX-License-Identifier: BSD-3-Clause */
/* The table against a trivial model, under random operations with a fixed seed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_common.h>

#include "dataplane/flow/flow_priv.h"
#include "test/unit/dataplane/flow/collide.h"

enum { CAPACITY = 512, OPERATIONS = 200000, TUPLES = 3000 };

static const struct hash_key key_of_test = {{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9,
	0x94d049bb133111eb, 0x2545f4914f6cdd1d, 0xd6e8feb86659fd93, 0xff51afd7ed558ccd}};

static void make_key(const struct flow_table *table, struct flow_key *key, unsigned tuple)
{
	memset(key, 0, sizeof(*key));
	key->family = tuple % 2 == 0 ? ADDR_V4 : ADDR_V6;
	memcpy(key->src, &tuple, sizeof(tuple));
	key->dst[15] = key->family == ADDR_V6 ? 9 : 0;
	key->dst[0] = 10;
	key->sport = (uint16_t)(tuple * 7);
	key->dport = 443;
	key->proto = 17;
	key->hash = flow_hash(table, key);
}

struct model {
	struct flow *flow; /* that has this tuple, or NULL */
	unsigned dir;
};

static void add(struct flow_table *table, struct model *model, struct flow **stack, unsigned *n)
{
	unsigned first = (unsigned)rand() % TUPLES, second = (unsigned)rand() % TUPLES;
	struct flow *flow = flow_table_get(table);
	int rc;

	if (flow == NULL) {
		assert_int_equal(table->live, CAPACITY);
		return;
	}
	make_key(table, &flow->dir[0].key, first);
	make_key(table, &flow->dir[1].key, second);
	rc = flow_table_insert(table, flow, 0);
	if (model[first].flow != NULL) {
		assert_int_equal(rc, -EEXIST);
		flow_table_put(table, flow);
		return;
	}
	assert_int_equal(rc, 0);
	rc = flow_table_insert(table, flow, 1);
	if (model[second].flow != NULL || first == second) {
		assert_int_equal(rc, -EEXIST);
		flow_table_remove(table, flow, 0);
		flow_table_put(table, flow);
		return;
	}
	assert_int_equal(rc, 0);
	model[first] = (struct model){flow, 0};
	model[second] = (struct model){flow, 1};
	stack[(*n)++] = flow;
}

static void take(struct flow_table *table, struct model *model, struct flow **stack, unsigned *n)
{
	unsigned pick = *n > 0 ? (unsigned)rand() % *n : 0;
	struct flow *flow = stack[pick];

	if (*n == 0)
		return;
	stack[pick] = stack[--*n];
	for (unsigned i = 0; i < TUPLES; i++) {
		if (model[i].flow == flow)
			model[i].flow = NULL;
	}
	flow_table_remove(table, flow, 0);
	flow_table_remove(table, flow, 1);
	flow_table_put(table, flow);
}

static void look(const struct flow_table *table, const struct model *model)
{
	unsigned tuple = (unsigned)rand() % TUPLES;
	struct flow_key key;
	uint32_t slot;

	make_key(table, &key, tuple);
	slot = flow_table_find(table, &key);
	if (model[tuple].flow == NULL)
		assert_int_equal(slot, 0);
	else
		assert_int_equal(slot, flow_index(table, model[tuple].flow) * 2 + model[tuple].dir);
}

static void table_is_the_model(void **state)
{
	static struct model model[TUPLES];
	static struct flow *stack[CAPACITY];
	struct flow_table table;
	unsigned n = 0;

	srand(4787);
	assert_int_equal(flow_table_create(&table, CAPACITY, &key_of_test), 0);
	for (unsigned i = 0; i < OPERATIONS; i++) {
		int what = rand() % 4;

		if (what == 0)
			add(&table, model, stack, &n);
		else if (what == 1 && (n > CAPACITY / 2 || rand() % 8 == 0))
			take(&table, model, stack, &n);
		else
			look(&table, model);
		assert_int_equal(table.live, n);
	}
	while (n > 0)
		take(&table, model, stack, &n);
	for (uint32_t i = 0; i <= table.mask; i++) {
		assert_int_equal(table.buckets[i].spilled, 0);
		for (unsigned way = 0; way < FLOW_BUCKET_WAYS; way++)
			assert_int_equal(table.buckets[i].tag[way], 0);
	}
	flow_table_destroy(&table);
}

/* All the flows that it was made for fit, every time: no bucket pair runs over. */
static void table_holds_its_capacity(void **state)
{
	struct flow_table table;
	struct flow *flow;
	unsigned tuple = 0;

	assert_int_equal(flow_table_create(&table, 65536, &key_of_test), 0);
	while ((flow = flow_table_get(&table)) != NULL) {
		make_key(&table, &flow->dir[0].key, tuple++);
		make_key(&table, &flow->dir[1].key, tuple++);
		assert_int_equal(flow_table_insert(&table, flow, 0), 0);
		assert_int_equal(flow_table_insert(&table, flow, 1), 0);
	}
	assert_int_equal(tuple, 2 * 65536);
	flow_table_destroy(&table);
}

/* 100,000 keys of one peer that have one and the same CRC32C. */
enum { ATTACK = 100000 };

static void attack_key(const struct flow_table *table, struct flow_key *key, unsigned n)
{
	uint8_t bytes[COLLIDE_BYTES];

	collide_tuple(bytes, n);
	memset(key, 0, sizeof(*key));
	memcpy(key, bytes, sizeof(bytes));
	key->hash = flow_hash(table, key);
}

struct spread {
	uint32_t spilled; /* entries that are not in the bucket where they are looked for first */
	uint32_t fullest; /* entries of one bucket */
	uint32_t alike;   /* most entries of one bucket with one tag: keys compared at a lookup */
};

static struct spread look_at(const struct flow_table *table)
{
	struct spread spread = {0};

	for (uint32_t i = 0; i <= table->mask; i++) {
		const struct flow_bucket *bucket = &table->buckets[i];
		uint32_t used = 0;

		spread.spilled += bucket->spilled;
		for (unsigned way = 0; way < FLOW_BUCKET_WAYS; way++) {
			uint32_t same = flow_match_tags(bucket, bucket->tag[way]);

			if (bucket->tag[way] == 0)
				continue;
			used++;
			spread.alike = RTE_MAX(spread.alike, (uint32_t)__builtin_popcount(same));
		}
		spread.fullest = RTE_MAX(spread.fullest, used);
	}
	return spread;
}

static struct spread fill_with(const struct hash_key *hash_key, bool colliding)
{
	struct flow_table table;
	struct spread spread;
	uint8_t first[COLLIDE_BYTES];

	collide_tuple(first, 0);

	assert_int_equal(flow_table_create(&table, ATTACK, hash_key), 0);
	for (unsigned n = 0; n < ATTACK; n++) {
		struct flow *flow = flow_table_get(&table);

		assert_non_null(flow);
		if (colliding) {
			attack_key(&table, &flow->dir[0].key, n);
			assert_int_equal(collide_crc((const uint8_t *)&flow->dir[0].key),
				collide_crc(first));
		} else {
			make_key(&table, &flow->dir[0].key, n);
		}
		assert_int_equal(flow_table_insert(&table, flow, 0), 0);
		assert_int_equal(
			flow_table_find(&table, &flow->dir[0].key), flow_index(&table, flow) * 2);
	}
	spread = look_at(&table);
	flow_table_destroy(&table);
	return spread;
}

/* All of them fit, and they lie as widely spread as any others. */
static void crc_collisions_are_harmless(void **state)
{
	struct spread attack, others;
	struct hash_key random;

	others = fill_with(&key_of_test, false);
	for (unsigned i = 0; i < 3; i++) {
		hash_key_random(&random);
		attack = fill_with(i == 0 ? &key_of_test : &random, true);
		print_message("spilled %u (others %u), fullest %u (%u), alike %u (%u)\n",
			attack.spilled, others.spilled, attack.fullest, others.fullest,
			attack.alike, others.alike);
		assert_true(attack.spilled <= others.spilled + ATTACK / 100);
		assert_true(attack.alike <= 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_the_model),
		cmocka_unit_test(table_holds_its_capacity),
		cmocka_unit_test(crc_collisions_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
