/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of peers on the handshake thread, whose part is done here, when they come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/api/wireguard.h"
#include "dataplane/bench/direct.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/worker.h"
#include "dataplane/wireguard/peer.h"
#include "dataplane/wireguard/thread_priv.h"
#include "test/unit/dataplane/wireguard/gateway.h"

static int setup(void **state)
{
	int rc = gateway_setup(state);

	turns_init();
	thread_run_commands();
	return rc;
}

/* Peers lie in EAL's memory, where nobody looks for what they point to: the leak checker would take
 * the index of those that are listed for lost. */
static int teardown(void **state)
{
	for (uint32_t id = 1; id < peer_bound(); id++)
		DIRECT_COMMIT(gateway.worker, API_PEER_DEL, api_peer_del, .peer = id);
	thread_run_commands();
	return 0;
}

static struct wg_peer *peer_of_key(const struct wg_interface *interface, const struct key *key)
{
	struct wg_peer *peer;

	HASH_FIND(thread.by_key, interface->peers, key, KEY_SIZE, peer);
	return peer;
}

/* A packet whose worker still saw that the peer is watched, just before it no longer was, is found
 * by one more look. */
static void what_came_as_the_watch_ended_is_seen(void **state)
{
	struct wg_peer *peer = gateway_peer();

	peer->activity.last_any_ms = 5;
	turns_run_one(peer);
	assert_true(atomic_load(&peer->watched));
	turns_run_one(peer);
	assert_false(atomic_load(&peer->watched));
	assert_int_not_equal(peer->thread.timer.due_ms, 0);
	peer->activity.last_any_ms = 6;
	turns_run_one(peer);
	assert_true(atomic_load(&peer->watched));
	turns_run_one(peer);
	turns_run_one(peer);
	assert_false(atomic_load(&peer->watched));
	assert_int_equal(peer->thread.timer.due_ms, 0);
}

/* As a controller does that has lost its numbers: the key is set under a new one first. */
static void a_key_moves_to_another_number(void **state)
{
	const struct key key = gateway_peer()->main.configured.public_key;
	const struct wg_interface *interface = gateway_peer()->interface;
	uint32_t old = gateway_peer()->id, session = gateway.sessions[0].local_index;

	assert_ptr_equal(peer_of_key(interface, &key), gateway_peer());
	assert_non_null(index_table_find(session));
	DIRECT_COMMIT(gateway.worker, API_PEER_SET, api_peer_set, .peer = old + 1, .interface = 1,
		.public_key = key);
	thread_run_commands();
	assert_ptr_equal(peer_of_key(interface, &key), wg_peer_get(old + 1));
	assert_false(gateway_peer()->thread.listed);
	assert_null(atomic_load(&gateway_peer()->current));
	assert_null(atomic_load(&gateway_peer()->path));
	assert_false(index_table_is_taken(session));
	DIRECT_COMMIT(gateway.worker, API_PEER_DEL, api_peer_del, .peer = old);
	thread_run_commands();
	assert_null(wg_peer_get(old));
	assert_ptr_equal(peer_of_key(interface, &key), wg_peer_get(old + 1));
	assert_true(wg_peer_get(old + 1)->thread.listed);
}

static uint32_t set_of(unsigned copy)
{
	struct peer_view view;

	assert_true(peer_look(copy, gateway_peer()->id, &view));
	return view.set_id;
}

/* While a transaction is under way workers judge by the set that the tables in force know. */
static void a_set_comes_into_force_with_its_routes(void **state)
{
	unsigned group, shadow = !tables_active();
	const struct handler *handler = handler_find(API_PEER_SET, &group);
	struct api_peer_set set = gateway_peer()->main.configured;
	uint32_t old = set.set_id;

	set.set_id = old + 1;
	handler->apply(&set, shadow, HANDLER_SHADOW);
	assert_int_equal(set_of(!shadow), old);
	assert_int_equal(set_of(shadow), old + 1);
	handler->apply(&set, !shadow, HANDLER_CATCH_UP);
	assert_int_equal(set_of(!shadow), old + 1);
	DIRECT_COMMIT(gateway.worker, API_PEER_SET, api_peer_set, .peer = set.peer,
		.interface = set.interface, .public_key = set.public_key, .set_id = old);
	assert_int_equal(set_of(0), old);
	assert_int_equal(set_of(1), old);
	thread_run_commands();
}

static void set_private_key(struct wg_interface *interface, uint8_t byte)
{
	struct wg_command *command = command_create(WG_COMMAND_INTERFACE);

	command->interface = interface;
	command->has_key = true;
	memset(&command->key, byte, sizeof(command->key));
	command_put(command);
	thread_run_commands();
}

/* The kernel removes such a peer. */
static void our_own_key_is_no_peers(void **state)
{
	struct wg_interface *interface = wg_interface_get(1);
	struct key private_key, own;

	memset(&private_key, 5, sizeof(private_key));
	assert_int_equal(key_public(&private_key, &own), 0);
	DIRECT_COMMIT(gateway.worker, API_PEER_SET, api_peer_set, .peer = 4, .interface = 1,
		.public_key = own);
	DIRECT_COMMIT(gateway.worker, API_PEER_SET, api_peer_set, .peer = 5, .interface = 1,
		.public_key = {{9}});
	set_private_key(interface, 6);
	assert_true(wg_peer_get(4)->thread.listed);
	set_private_key(interface, 5);
	assert_false(wg_peer_get(4)->thread.listed);
	assert_null(peer_of_key(interface, &own));
	assert_true(wg_peer_get(5)->thread.listed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_came_as_the_watch_ended_is_seen),
		cmocka_unit_test(a_set_comes_into_force_with_its_routes),
		/* the last of those about the first peer, which goes */
		cmocka_unit_test(a_key_moves_to_another_number),
		cmocka_unit_test(our_own_key_is_no_peers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
