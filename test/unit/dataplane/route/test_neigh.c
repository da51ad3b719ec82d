/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours through whole transactions: ids stay, MACs follow, ids are freed when nobody holds
 * them; what is wanted is asked for once a second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "dataplane/main/session.h"
#include "dataplane/main/worker.h"
#include "dataplane/route/route.h"
#include "dataplane/route/route_priv.h"
#include "test/unit/dataplane/eal.h"

static unsigned active; /* what readers see */
static unsigned events;
static struct api_event_neigh last_event;

/* Stand-ins for the session and the workers. */
unsigned tables_active(void)
{
	return active;
}

int session_event(const void *message)
{
	events++;
	last_event = *(const struct api_event_neigh *)message;
	return 0;
}

static struct addr address(uint8_t last)
{
	return (struct addr){.family = ADDR_V4, .bytes = {192, 0, 2, last}};
}

static void set(uint8_t last, uint8_t mac, unsigned copy, enum handler_pass pass)
{
	struct api_neigh_set set = {.addr = address(last), .port = 1, .mac = {2, 0, 0, 0, 0, mac}};

	neigh_set_apply(&set, copy, pass);
}

static void del(uint8_t last, unsigned copy, enum handler_pass pass)
{
	struct api_neigh_del del = {.addr = address(last), .port = 1};

	neigh_del_apply(&del, copy, pass);
}

static uint32_t find(unsigned copy, uint8_t last)
{
	struct addr addr = address(last);

	return neigh_find(copy, 1, &addr);
}

static int mac_of(uint32_t id)
{
	struct rte_ether_addr mac;

	return neigh_mac(id, &mac) ? mac.addr_bytes[5] : -1;
}

/* Both passes of a transaction that sets one neighbour. */
static void commit_set(uint8_t last, uint8_t mac)
{
	set(last, mac, !active, HANDLER_SHADOW);
	active = !active;
	set(last, mac, !active, HANDLER_CATCH_UP);
}

static void commit_del(uint8_t last)
{
	del(last, !active, HANDLER_SHADOW);
	active = !active;
	del(last, !active, HANDLER_CATCH_UP);
}

static void ids_stay_and_macs_follow(void **state)
{
	uint32_t id;

	commit_set(1, 10);
	id = find(active, 1);
	assert_int_not_equal(id, 0);
	assert_int_equal(find(!active, 1), id);
	assert_int_equal(mac_of(id), 10);
	commit_set(1, 11);
	assert_int_equal(find(active, 1), id);
	assert_int_equal(mac_of(id), 11);
	commit_del(1);
	assert_int_equal(find(active, 1), 0);
	assert_int_equal(mac_of(id), -1);
}

/* Make before break: until the flip and the grace period readers of the old copy lose nothing. */
static void readers_of_the_old_copy_keep_the_neighbour(void **state)
{
	uint32_t id;

	commit_set(2, 20);
	id = find(active, 2);
	del(2, !active, HANDLER_SHADOW);
	assert_int_equal(find(active, 2), id);
	assert_int_equal(mac_of(id), 20);
	active = !active;
	assert_int_equal(mac_of(id), 20); /* a worker may still hold the id */
	del(2, !active, HANDLER_CATCH_UP);
	assert_int_equal(mac_of(id), -1);
}

static void full_replay_keeps_ids_and_forgets_the_rest(void **state)
{
	uint32_t id;

	commit_set(3, 30);
	commit_set(4, 40);
	id = find(active, 3);
	neigh_begin(!active, HANDLER_SHADOW);
	set(3, 31, !active, HANDLER_SHADOW);
	active = !active;
	neigh_begin(!active, HANDLER_CATCH_UP);
	set(3, 31, !active, HANDLER_CATCH_UP);
	neigh_sweep();
	assert_int_equal(find(active, 3), id);
	assert_int_equal(mac_of(id), 31);
	assert_int_equal(find(active, 4), 0);
	commit_del(3);
}

static void wanted_neighbours_are_asked_for_once_a_second(void **state)
{
	neigh_housekeep(1000); /* drains what the tests above wanted */
	events = 0;
	for (int i = 0; i < 100; i++)
		assert_int_equal(find(active, 99), 0);
	neigh_housekeep(5000);
	assert_int_equal(events, 1);
	assert_int_equal(last_event.addr.bytes[3], 99);
	assert_int_equal(last_event.port, 1);
	find(active, 99);
	neigh_housekeep(5500);
	assert_int_equal(events, 1);
	find(active, 99);
	neigh_housekeep(6001);
	assert_int_equal(events, 2);
}

static int start(void **state)
{
	return eal_start(state) != 0 || neigh_init() != 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_stay_and_macs_follow),
		cmocka_unit_test(readers_of_the_old_copy_keep_the_neighbour),
		cmocka_unit_test(full_replay_keeps_ids_and_forgets_the_rest),
		cmocka_unit_test(wanted_neighbours_are_asked_for_once_a_second),
	};

	return cmocka_run_group_tests(tests, start, eal_stop);
}
