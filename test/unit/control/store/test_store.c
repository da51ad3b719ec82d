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

struct listed {
	uint64_t newest, oldest;
	size_t n;
};

static void list_version(const struct store_version *version, void *arg)
{
	struct listed *listed = arg;

	if (listed->n++ == 0)
		listed->newest = version->id;
	listed->oldest = version->id;
}

static void join_texts(const struct store_text *text, void *arg)
{
	char *all = arg;

	sprintf(all + strlen(all), "%s=%.*s;", text->name, (int)text->size, text->text);
}

static void test_versions(void **state)
{
	struct store *store = open_file();
	struct store_version version = {.time_s = 7, .who = "a", .what = "apply", .message = ""};
	struct store_text texts[] = {{"main.yaml", "1", 1}, {"conf.d/a.yaml", "", 0}};
	struct store_intent intent = {.version = 2, .deadline_s = 9}, found;
	struct listed listed = {0};
	char all[128] = "", digest[STORE_TEXT_DIGEST_MAX], number[8];

	assert_int_equal(store_version_add(store, &version, texts, 2), 0);
	assert_int_equal(version.id, 1);
	store_texts_digest(texts, 2, digest);
	assert_string_equal(version.digest, digest);
	texts[1].name = "conf.d/b.yaml";
	store_texts_digest(texts, 2, digest);
	assert_string_not_equal(version.digest, digest); /* a name counts as well */
	store_close(&store);

	store = open_file();
	assert_int_equal(store_version_texts(store, 1, join_texts, all), 0);
	assert_string_equal(all, "main.yaml=1;conf.d/a.yaml=;");
	assert_int_equal(store_version_texts(store, 2, join_texts, all), -ENOENT);
	for (int i = 2; i <= STORE_VERSIONS_MAX + 5; i++) {
		texts[0].text = number;
		texts[0].size = (size_t)sprintf(number, "%d", i);
		assert_int_equal(store_version_add(store, &version, texts, 2), 0);
		/* what is to come back stays, and what is newer with it */
		if (i == 3)
			assert_int_equal(store_intent_set(store, &intent), 0);
	}
	assert_int_equal(store_versions_each(store, list_version, &listed), 0);
	assert_int_equal(listed.newest, STORE_VERSIONS_MAX + 5);
	assert_int_equal(listed.oldest, 2);
	assert_true(store_intent_get(store, &found));
	assert_int_equal(found.deadline_s, 9);
	assert_int_equal(store_intent_set(store, NULL), 0);
	assert_false(store_intent_get(store, &found));
	assert_int_equal(store_version_add(store, &version, texts, 2), 0);
	memset(&listed, 0, sizeof(listed));
	assert_int_equal(store_versions_each(store, list_version, &listed), 0);
	assert_int_equal(listed.n, STORE_VERSIONS_MAX);
	texts[0].text = "1";
	texts[0].size = 1;
	assert_false(store_has_text(store, &texts[0])); /* dropped with its version */
	texts[0].text = "100";
	texts[0].size = 3;
	assert_true(store_has_text(store, &texts[0]));
	texts[0].name = "other.yaml";
	assert_false(store_has_text(store, &texts[0]));
	store_close(&store);
}

/* The same objects get the same ids, and nothing of it reaches the store. */
static void test_copy_of_ids(void **state)
{
	struct store *store = open_file(), *copy;
	uint32_t id = store_id(store, STORE_ROUTE, "here");
	int error;

	copy = store_copy_ids(store, &error);
	assert_non_null(copy);
	assert_int_equal(store_id(copy, STORE_ROUTE, "here"), id);
	assert_int_equal(store_id(copy, STORE_ROUTE, "there"), id + 1);
	assert_int_equal(store_id(store, STORE_ROUTE, "elsewhere"), id + 1);
	store_close(&copy);
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
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_copy_of_ids),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
