/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The prefix table against an array that is searched from end to end: alone, as two copies that
 * readers use while a writer changes them in turn, and where the trie has not memory enough.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/route/prefix_table.h"
#include "dataplane/route/prefix_trie.h"

enum { MAX = 400, HOLDERS = 4, ROUNDS = 20000 };

struct model {
	struct {
		struct prefix prefix;
		uint32_t holder, peer;
		bool used;
	} row[MAX];
};

static unsigned model_count(const struct model *model)
{
	unsigned count = 0;

	for (unsigned i = 0; i < MAX; i++)
		count += model->row[i].used;
	return count;
}

static int model_find(const struct model *model, const struct prefix *prefix, uint32_t holder)
{
	for (int i = 0; i < MAX; i++) {
		if (model->row[i].used && model->row[i].holder == holder &&
			prefix_equal(&model->row[i].prefix, prefix))
			return i;
	}
	return -1;
}

/* All lengths, in few networks: they lie in each other and side by side, in every step. */
static struct prefix crowded_prefix(uint8_t family, unsigned *seed)
{
	static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff};
	struct prefix prefix = {.family = family,
		.length = (uint8_t)((unsigned)rand_r(seed) % (addr_bits(family) + 1U))};

	for (unsigned i = 0; i < addr_size(family); i++)
		prefix.bytes[i] = i < 2 || i % 4 != 3 ? bytes[rand_r(seed) % 3 == 0 ? 3 : 0]
						      : bytes[(unsigned)rand_r(seed) % 5];
	if (rand_r(seed) % 4 == 0)
		prefix.bytes[(unsigned)rand_r(seed) % addr_size(family)] = (uint8_t)rand_r(seed);
	prefix_mask(&prefix);
	return prefix;
}

static struct prefix random_prefix(unsigned *seed)
{
	uint8_t family = rand_r(seed) % 2 ? ADDR_V4 : ADDR_V6;
	struct prefix prefix = {.family = family, .length = (uint8_t)(rand_r(seed) % 13)};

	if (rand_r(seed) % 2 == 0)
		return crowded_prefix(family, seed);
	if (rand_r(seed) % 4 == 0)
		prefix.length = addr_bits(family);
	prefix.bytes[0] = (uint8_t)rand_r(seed);
	prefix.bytes[1] = (uint8_t)(rand_r(seed) & 0xf0);
	if (family == ADDR_V6 && rand_r(seed) % 2) { /* some part on either side of the 64th bit */
		prefix.length = (uint8_t)(58 + rand_r(seed) % 13);
		memset(prefix.bytes, 0x20, 7);
		prefix.bytes[7] = (uint8_t)rand_r(seed);
		prefix.bytes[8] = (uint8_t)rand_r(seed);
	}
	prefix_mask(&prefix);
	return prefix;
}

/* Near a prefix of the kind above. */
static struct addr random_addr(unsigned *seed)
{
	struct prefix prefix = random_prefix(seed);
	struct addr addr = prefix_first(&prefix);

	if (rand_r(seed) % 2 == 0)
		addr.bytes[(unsigned)rand_r(seed) % addr_size(addr.family)] ^=
			(uint8_t)(1 << rand_r(seed) % 8);
	return addr;
}

/* Longest first: the length of the longest prefix (any holder) that covers addr; -1 past the last.
 */
static int model_covering_length(
	const struct model *model, const struct addr *addr, int longer_than_excluded)
{
	int best = -1;

	for (int i = 0; i < MAX; i++) {
		const struct prefix *prefix = &model->row[i].prefix;

		if (model->row[i].used && prefix->length < longer_than_excluded &&
			prefix->length > best && prefix_contains(prefix, addr))
			best = prefix->length;
	}
	return best;
}

/* Entries of a match: those of the model, each once and in order. */
static bool entries_agree(
	const struct model *model, const struct prefix_match *match, const struct addr *addr)
{
	const struct prefix_entry *entry = prefix_match_first(match);
	struct prefix prefix = prefix_of_addr(addr);
	uint32_t last_holder = 0;
	unsigned entries = 0, expected = 0;
	int i;

	prefix.length = entry->hop.length;
	prefix_mask(&prefix);
	for (; entry != NULL; entry = prefix_match_next(match, entry), entries++) {
		i = model_find(model, &prefix, entry->holder);
		if (i < 0 || model->row[i].peer != entry->hop.peer ||
			entry->hop.length != prefix.length ||
			(entries != 0 && entry->holder <= last_holder))
			return false;
		last_holder = entry->holder;
	}
	for (uint32_t holder = 0; holder < HOLDERS; holder++)
		expected += model_find(model, &prefix, holder) >= 0;
	return entries == expected;
}

/* Two steps for each 8 bits behind the first 16, and the first and last one. */
static bool looking_ahead_ends(const struct prefix_table *table, const struct addr *addr)
{
	struct prefix_trie_walk walk;
	unsigned steps = 1;

	prefix_table_start(table, addr, &walk);
	while (prefix_trie_step(&walk))
		steps++;
	return steps <= 2 * (128 - 16) / 8 + 2;
}

/* The longest match and every shorter one. */
static bool lookups_agree(
	const struct model *model, const struct prefix_table *table, const struct addr *addr)
{
	struct prefix_match match;
	bool more = prefix_table_longest(table, addr, &match);
	int expected = model_covering_length(model, addr, 1000);

	for (; more; more = prefix_match_shorter(&match)) {
		if (prefix_match_first(&match)->hop.length != expected ||
			!entries_agree(model, &match, addr))
			return false;
		expected = model_covering_length(model, addr, expected);
	}
	return expected == -1 && looking_ahead_ends(table, addr);
}

/* What a change does, to any copy. */
struct change {
	struct prefix prefix;
	uint32_t holder, peer;
	bool set;
};

static struct change random_change(unsigned *seed)
{
	return (struct change){
		.prefix = random_prefix(seed),
		.holder = (uint32_t)(rand_r(seed) % HOLDERS),
		.peer = (uint32_t)rand_r(seed),
		.set = rand_r(seed) % 3 != 0,
	};
}

/* False if the table said something else than the model about what was there. */
static bool apply(struct prefix_table *table, struct model *model, const struct change *change)
{
	int i = model_find(model, &change->prefix, change->holder);
	struct route_hop hop = {.peer = change->peer};

	if (!change->set) {
		if (i >= 0)
			model->row[i].used = false;
		return prefix_table_remove(table, &change->prefix, change->holder) == (i >= 0);
	}
	for (unsigned k = 0; i < 0 && k < MAX; k++)
		i = model->row[k].used ? -1 : (int)k;
	if (i < 0)
		return true; /* full */
	prefix_table_set(table, &change->prefix, change->holder, &hop);
	model->row[i].prefix = change->prefix;
	model->row[i].holder = change->holder;
	model->row[i].peer = change->peer;
	model->row[i].used = true;
	return true;
}

static void agrees_with_the_model(void **state)
{
	static struct model model;
	unsigned seed = 2;
	int error = 0;
	struct prefix_table *table = prefix_table_create(MAX, &error);

	assert_non_null(table);
	for (int round = 0; round < ROUNDS; round++) {
		struct change change = random_change(&seed);
		struct addr addr = prefix_first(&change.prefix);

		assert_true(apply(table, &model, &change));
		assert_int_equal(prefix_table_count(table), model_count(&model));
		assert_true(lookups_agree(&model, table, &addr));
		addr = random_addr(&seed);
		assert_true(lookups_agree(&model, table, &addr));
		if (round == ROUNDS / 2) {
			prefix_table_clear(table);
			memset(&model, 0, sizeof(model));
			assert_true(lookups_agree(&model, table, &addr));
		}
	}
	for (int i = 0; i < MAX; i++) { /* down to none */
		if (!model.row[i].used)
			continue;
		assert_true(prefix_table_remove(table, &model.row[i].prefix, model.row[i].holder));
		model.row[i].used = false;
		for (unsigned k = 0; k < 10; k++) {
			struct addr addr = random_addr(&seed);

			assert_true(lookups_agree(&model, table, &addr));
		}
	}
	prefix_table_destroy(&table);
	assert_null(table);
}

/* Prefixes in each other need the most nodes: a table of so few has not memory for all of them. It
 * stays so until the table is cleared. */
static void the_tree_answers_where_the_trie_cannot(void **state)
{
	enum { DEEP = 16 };
	static struct model model;
	unsigned seed = 3;
	int error = 0;
	struct prefix_table *table = prefix_table_create(DEEP, &error);

	assert_non_null(table);
	for (unsigned round = 0; round < 4 * DEEP; round++) {
		unsigned step = round < 2 * DEEP ? round % DEEP : DEEP - 1 - round % DEEP;
		struct change change = {
			.prefix = {.family = ADDR_V6, .length = (uint8_t)(8 * step + 4)},
			.peer = round,
			.set = round / DEEP % 2 == 0};

		if (round == 2 * DEEP) /* now the longest first */
			prefix_table_clear(table);
		assert_true(apply(table, &model, &change));
		for (unsigned i = 0; i < 1000; i++) {
			struct addr addr = {.family = ADDR_V6};

			addr.bytes[(unsigned)rand_r(&seed) % 16] = (uint8_t)rand_r(&seed);
			assert_true(lookups_agree(&model, table, &addr));
		}
	}
	assert_int_equal(prefix_table_count(table), 0);
	prefix_table_destroy(&table);
}

/* Two copies as the data plane has them: what is written is never what is read. */
enum { READERS = 3, COMMITS = 100, CHANGES = 40 };

static struct {
	struct prefix_table *table[2];
	struct model model[2];
	_Atomic unsigned active;
	_Atomic uint64_t epoch;          /* rises with each flip */
	_Atomic uint64_t seen[READERS];  /* epoch of which a reader knows */
	_Atomic uint64_t asked[READERS]; /* lookups so far */
	_Atomic bool stop, wrong;
} pair;

static void *read_pair(void *argument)
{
	unsigned reader = (unsigned)(uintptr_t)argument, seed = 100 + reader;

	while (!pair.stop) {
		uint64_t epoch = pair.epoch;
		unsigned copy = pair.active;

		for (unsigned i = 0; i < 20; i++) {
			struct addr addr = random_addr(&seed);

			if (!lookups_agree(&pair.model[copy], pair.table[copy], &addr))
				pair.wrong = true;
			pair.asked[reader]++;
		}
		pair.seen[reader] = epoch;
	}
	return NULL;
}

/* Until no reader uses the copy that was read before the last flip. */
static void wait_for_readers(void)
{
	for (unsigned reader = 0; reader < READERS; reader++) {
		while (pair.seen[reader] < pair.epoch)
			sched_yield();
	}
}

static void readers_see_one_copy_whole(void **state)
{
	struct change changes[CHANGES];
	pthread_t threads[READERS];
	unsigned seed = 4;
	int error = 0;

	for (unsigned copy = 0; copy < 2; copy++) {
		pair.table[copy] = prefix_table_create(MAX, &error);
		assert_non_null(pair.table[copy]);
	}
	for (uintptr_t i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_pair, (void *)i), 0);
	for (unsigned commit = 0; commit < COMMITS; commit++) {
		for (unsigned i = 0; i < CHANGES; i++)
			changes[i] = random_change(&seed);
		for (unsigned pass = 0; pass < 2; pass++) {
			unsigned idle = 1 - pair.active;

			for (unsigned i = 0; i < CHANGES; i++)
				assert_true(
					apply(pair.table[idle], &pair.model[idle], &changes[i]));
			if (pass == 1)
				break;
			pair.active = idle;
			pair.epoch++;
			wait_for_readers();
		}
	}
	pair.stop = true;
	for (unsigned i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_true(pair.asked[i] >= COMMITS);
	}
	assert_false(pair.wrong);
	prefix_table_destroy(&pair.table[0]);
	prefix_table_destroy(&pair.table[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_model),
		cmocka_unit_test(the_tree_answers_where_the_trie_cannot),
		cmocka_unit_test(readers_see_one_copy_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
