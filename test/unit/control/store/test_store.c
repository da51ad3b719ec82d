/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/api/port.h"
#include "control/store/store.h"

static char dir[] = "/tmp/sp-store-XXXXXX", path[64];

static struct store *open_file(void)
{
	int error;
	struct store *store = store_open(path, &error);

	assert_non_null(store);
	return store;
}

static void test_ids(void **state)
{
	struct store *store = open_file();

	assert_int_equal(store_id(store, STORE_PEER, "a"), 1);
	assert_int_equal(store_id(store, STORE_PEER, "b"), 2);
	assert_int_equal(store_id(store, STORE_SET, "b"), 1);
	assert_int_equal(store_id(store, STORE_PEER, "a"), 1);
	assert_int_equal(store_save(store), 0);
	store_close(&store);

	store = open_file(); /* the same after a restart, in whatever order asked */
	assert_int_equal(store_id(store, STORE_PEER, "c"), 3);
	assert_int_equal(store_id(store, STORE_PEER, "b"), 2);
	store_ids_begin(store);
	assert_int_equal(store_id(store, STORE_PEER, "c"), 3);
	store_ids_sweep(store);
	assert_int_equal(store_id(store, STORE_PEER, "d"), 1); /* the lowest free one */
	assert_int_equal(store_id(store, STORE_PEER, "e"), 2);
	assert_int_equal(store_save(store), 0);
	store_close(&store);

	store = open_file();
	assert_int_equal(store_id(store, STORE_PEER, "e"), 2);
	assert_int_equal(store_id(store, STORE_PEER, "a"), 4);
	store_close(&store);
}

static void test_limit(void **state)
{
	struct store *store;
	char name[16];
	int error;

	store = store_open(NULL, &error);
	assert_non_null(store);
	for (unsigned i = 1; i < API_PORT_MAX; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		assert_int_equal(store_id(store, STORE_PORT, name), i);
	}
	assert_int_equal(store_id(store, STORE_PORT, "one too many"), 0);
	assert_int_equal(store_id(store, STORE_PORT, "p5"), 5);
	store_close(&store);
}

static void test_commit_and_marks(void **state)
{
	struct store_commit commit = {.instance = UINT64_MAX - 1, .generation = 7}, read = {0};
	struct store_marks marks = {.last_handshake_s = 5, .tai64n_sent = {1, 2, 3}}, marks_read;
	struct store *store = open_file();

	assert_false(store_commit_get(store, &read));
	memset(commit.digest, 0xa5, sizeof(commit.digest));
	assert_int_equal(store_commit_set(store, &commit), 0);
	assert_false(store_marks_get(store, "k", &marks_read));
	assert_int_equal(endpoint_parse("[2001:db8::1]:7", &marks.endpoint), 0);
	assert_int_equal(store_marks_set(store, "k", &marks), 0);
	store_close(&store);

	store = open_file();
	assert_true(store_commit_get(store, &read));
	assert_memory_equal(&read, &commit, sizeof(read));
	assert_true(store_marks_get(store, "k", &marks_read));
	assert_memory_equal(&marks_read, &marks, sizeof(marks));
	store_close(&store);
}

static void expect_peer(const struct store_peer *peer, void *arg)
{
	unsigned *n = arg;

	assert_string_equal(peer->public_key, *n == 0 ? "A=" : "B=");
	assert_string_equal(peer->name, *n == 0 ? "a" : "b");
	assert_string_equal(peer->addresses, *n == 0 ? "100.64.0.5,fd64::5" : "");
	assert_string_equal(peer->endpoint, *n == 0 ? "192.0.2.1:7" : "");
	assert_int_equal(peer->persistent_keepalive, *n == 0 ? 25 : 0);
	if (*n == 0)
		assert_string_equal(peer->preshared_key_file, "a.psk");
	else
		assert_null(peer->preshared_key_file);
	++*n;
}

static void test_peers_are_kept(void **state)
{
	static const struct store_peer peers[] = {
		{"B=", "b", "", "", NULL, 0},
		{"A=", "a", "100.64.0.5,fd64::5", "192.0.2.1:7", "a.psk", 25},
	};
	static const struct store_peer doubled[] = {
		{"C=", "c", "", "", NULL, 0},
		{"C=", "d", "", "", NULL, 0},
	};
	struct store *store = open_file();
	unsigned n = 0;

	assert_int_equal(store_peers_set(store, peers, 2), 0);
	store_close(&store);
	store = open_file();
	/* What cannot be written whole is not written at all. */
	assert_int_equal(store_peers_set(store, doubled, 2), -EIO);
	assert_int_equal(store_peers_each(store, expect_peer, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(store_peers_set(store, NULL, 0), 0);
	assert_int_equal(store_peers_each(store, expect_peer, &n), 0);
	assert_int_equal(n, 2);
	store_close(&store);
}

static int set_up(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/state.db", dir);
	return 0;
}

static int tear_down(void **state)
{
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_commit_and_marks),
		cmocka_unit_test(test_peers_are_kept),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
