/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdlib.h>

#include "dataplane/wireguard/index.h"
#include "dataplane/wireguard/wireguard_priv.h"
#include "test/unit/dataplane/eal.h"

enum { PEERS = 2000, EACH = 4, TAKEN = PEERS * EACH, WORKERS = 3 };

static int start(void **state)
{
	return eal_start(state) != 0 || sodium_init() < 0 || index_table_init(PEERS) != 0;
}

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

/* As many as there can be at once: three keypairs and a handshake of each peer. */
static void indexes_are_unique(void **state)
{
	static uint32_t taken[TAKEN], sorted[TAKEN];
	static struct wg_peer peers[2];

	for (unsigned i = 0; i < TAKEN; i++) {
		unsigned owner = i % WORKERS;

		assert_int_equal(index_table_take(&peers[i & 1], owner, &taken[i]), 0);
		assert_int_equal(index_owner(taken[i], index_table_secret()), owner);
		sorted[i] = taken[i];
	}
	qsort(sorted, TAKEN, sizeof(sorted[0]), compare);
	for (unsigned i = 1; i < TAKEN; i++)
		assert_int_not_equal(sorted[i - 1], sorted[i]);
	/* each still leads to who took it, and to nobody once it is given back */
	for (unsigned i = 0; i < TAKEN; i++)
		assert_ptr_equal(index_table_peer(taken[i]), &peers[i & 1]);
	for (unsigned i = 0; i < TAKEN; i++) {
		index_table_give(taken[i]);
		assert_null(index_table_peer(taken[i]));
	}
}

static void a_session_is_found_by_the_whole_index(void **state)
{
	struct wg_peer peer = {0};
	static struct keypair keypair;
	uint32_t index;

	assert_int_equal(index_table_take(&peer, 1, &index), 0);
	assert_null(index_table_find(index)); /* a handshake is no session */
	keypair.local_index = index;
	index_table_set(index, &keypair);
	assert_ptr_equal(index_table_find(index), &keypair);
	for (unsigned bit = 0; bit < 32; bit++)
		assert_null(index_table_find(index ^ UINT32_C(1) << bit));
	index_table_give(index ^ UINT32_C(1)); /* somebody else's */
	assert_ptr_equal(index_table_find(index), &keypair);
	index_table_give(index);
	assert_null(index_table_find(index));
}

/* Anybody can answer to index 0, which looks like a free slot's. */
static void nobody_takes_index_0(void **state)
{
	assert_false(index_table_is_taken(0));
	assert_null(index_table_peer(0));
	index_table_give(0);
	assert_null(index_table_find(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(indexes_are_unique),
		cmocka_unit_test(a_session_is_found_by_the_whole_index),
		cmocka_unit_test(nobody_takes_index_0),
	};

	return cmocka_run_group_tests(tests, start, eal_stop);
}
