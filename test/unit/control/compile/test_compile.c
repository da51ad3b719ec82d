/* SPDX-License-Identifier: BSD-3-Clause */
/* The whole list: what stands in it, what changes it, and how little is sent then. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/control/compile/fixture.h"

static void test_deterministic_and_minimal(void **state)
{
	struct store *store = open_store(), *other = open_store();
	struct fixture a = compile_text(store, fixture_base, fixture_policies);
	struct fixture b = compile_text(store, fixture_base, fixture_policies);
	struct fixture c = compile_text(other, fixture_base, fixture_policies);
	struct pool *pool = pool_create();
	struct compile_steps steps;

	assert_int_equal(a.compiled->desired.n, b.compiled->desired.n);
	assert_memory_equal(
		a.compiled->desired.digest, b.compiled->desired.digest, STORE_DIGEST_SIZE);
	assert_memory_equal(
		a.compiled->desired.digest, c.compiled->desired.digest, STORE_DIGEST_SIZE);
	steps = desired_diff(pool, &a.compiled->desired, &b.compiled->desired, NULL, NULL);
	assert_int_equal(steps.n, 0);
	steps = desired_diff(pool, NULL, &b.compiled->desired, NULL, NULL);
	assert_int_equal(steps.n, b.compiled->desired.n);
	pool_destroy(&pool);
	release(&a);
	release(&b);
	release(&c);
	store_close(&store);
	store_close(&other);
}

/* One more peer of a known combination of groups: the peer, its routes, its owners, nothing else.
 */
static void test_diff_of_a_peer(void **state)
{
	struct store *store = open_store();
	struct fixture a = compile_text(store, fixture_base, fixture_policies), b;
	struct pool *pool = pool_create();
	struct compile_steps steps;
	char *text, *at;

	assert_true(asprintf(&text, "%s", fixture_base) > 0);
	at = strstr(text, "  r1: ");
	assert_true(asprintf(&at,
			    "%.*s  carl: {public_key: "
			    "Yv9BzDTmMMXgjW8gqYGtLUSqxLQpLMu0WUnPZuJw0Fo=, "
			    "addresses: [100.64.0.13], groups: [berlin]}\n%s",
			    (int)(at - text), text, at) > 0);
	b = compile_text(store, at, fixture_policies);
	steps = desired_diff(pool, &a.compiled->desired, &b.compiled->desired, NULL, NULL);
	assert_int_equal(steps.n, 3);
	assert_int_equal(steps.messages[0]->type, API_PEER_SET);
	assert_int_equal(steps.messages[1]->type, API_ROUTE_SET);
	assert_int_equal(steps.messages[2]->type, API_ALLOWED_SET);
	steps = desired_diff(pool, &b.compiled->desired, &a.compiled->desired, NULL, NULL);
	assert_int_equal(steps.n, 3);
	assert_int_equal(steps.deletions, 3);
	assert_int_equal(steps.messages[0]->type, API_ALLOWED_DEL);
	assert_int_equal(steps.messages[2]->type, API_PEER_DEL);
	assert_int_equal(((const struct api_peer_del *)steps.messages[2])->peer, id_of(&b, "carl"));
	pool_destroy(&pool);
	free(text);
	free(at);
	release(&a);
	release(&b);
	store_close(&store);
}

static void test_listen_ports(void **state)
{
	static const char text[] =
		"version: 1\n"
		"wireguard: {addresses: [100.64.0.1/10], also_listen: [443, 4500-4502]}\n";
	static const uint16_t expected[API_WG_ALSO_LISTEN_MAX] = {443, 4500, 4501, 4502};
	struct store *store = open_store();
	struct fixture f = compile_text(store, text, "");
	const struct api_wg_interface_set *set = (const void *)f.compiled->desired.messages[0];

	assert_int_equal(set->header.type, API_WG_INTERFACE_SET);
	assert_int_equal(set->listen_port, 51820);
	assert_memory_equal(set->also_listen, expected, sizeof(expected));
	release(&f);
	store_close(&store);
}

static void test_merge(void **state)
{
	struct store *store = open_store();
	struct fixture f = compile_text(store, fixture_base, fixture_policies);
	struct pool *pool = pool_create();
	struct api_neigh_set *neigh = pool_alloc(pool, sizeof(*neigh));
	const struct api_header *list[] = {&neigh->header};
	struct desired kernel, merged;
	struct compile_steps steps;

	api_message_init(neigh, API_NEIGH_SET, sizeof(*neigh));
	neigh->addr = address("198.51.100.1");
	neigh->port = 1;
	kernel = desired_make(list, 1);
	merged = desired_merge(pool, &f.compiled->desired, &kernel);
	assert_int_equal(merged.n, f.compiled->desired.n + 1);
	steps = desired_diff(pool, &f.compiled->desired, &merged, NULL, NULL);
	assert_int_equal(steps.n, 1);
	assert_ptr_equal(steps.messages[0], &neigh->header);
	pool_destroy(&pool);
	release(&f);
	store_close(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deterministic_and_minimal),
		cmocka_unit_test(test_diff_of_a_peer),
		cmocka_unit_test(test_listen_ports),
		cmocka_unit_test(test_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
