/* SPDX-License-Identifier: BSD-3-Clause */
/* Which route a source takes: by source set, exit routes closed to what others name, owners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "dataplane/route/route_priv.h"
#include "dataplane/route/route.h"
#include "test/unit/dataplane/eal.h"

enum { BERLIN = 1, LONDON = 2, STAFF = 3, COPY = 0 };

static struct addr address(const char *text)
{
	struct addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

static struct api_route_set route(
	const char *prefix, uint32_t set_id, enum api_next next, uint16_t flags, uint32_t peer)
{
	struct api_route_set set = {.set_id = set_id, .next = next, .flags = flags, .peer = peer};
	uint32_t detail;

	assert_int_equal(prefix_parse(prefix, &set.prefix), 0);
	if (next == API_NEXT_PORT)
		set.port = 1;
	assert_int_equal(route_set_validate(&set, &detail), API_OK);
	return set;
}

static void apply(struct api_route_set set)
{
	route_set_apply(&set, COPY, HANDLER_SHADOW);
}

static enum route_status look(uint32_t set, const char *dst, uint32_t *peer)
{
	struct addr addr = address(dst);
	struct route_hop hop;
	enum route_status status = route_overlay(COPY, set, &addr, &hop);

	*peer = status == ROUTE_FOUND ? hop.peer : 0;
	return status;
}

static int fresh(void **state)
{
	routes_begin(COPY);
	allowed_begin(COPY);
	local_begin(COPY);
	return 0;
}

/* Features.md R4: the same range for two source groups through two routing peers. */
static void one_range_leads_two_sets_to_two_peers(void **state)
{
	uint32_t peer;

	apply(route("10.0.0.0/16", BERLIN, API_NEXT_PEER, 0, 11));
	apply(route("10.0.0.0/16", LONDON, API_NEXT_PEER, 0, 22));
	assert_int_equal(look(BERLIN, "10.0.1.2", &peer), ROUTE_FOUND);
	assert_int_equal(peer, 11);
	assert_int_equal(look(LONDON, "10.0.1.2", &peer), ROUTE_FOUND);
	assert_int_equal(peer, 22);
	assert_int_equal(look(STAFF, "10.0.1.2", &peer), ROUTE_NONE);
}

static void longest_prefix_that_the_set_holds_wins(void **state)
{
	uint32_t peer;

	apply(route("10.0.0.0/8", 0, API_NEXT_PEER, 0, 1));
	apply(route("10.1.0.0/16", BERLIN, API_NEXT_PEER, 0, 2));
	apply(route("10.1.1.0/24", LONDON, API_NEXT_PEER, 0, 3));
	assert_int_equal(look(BERLIN, "10.1.1.1", &peer), ROUTE_FOUND);
	assert_int_equal(peer, 2);
	assert_int_equal(look(LONDON, "10.1.1.1", &peer), ROUTE_FOUND);
	assert_int_equal(peer, 3);
	assert_int_equal(look(STAFF, "10.1.1.1", &peer), ROUTE_FOUND);
	assert_int_equal(peer, 1);
}

/* X9: exit halves lead to the internet only. */
static void exit_is_closed_to_what_others_name(void **state)
{
	static const struct {
		const char *dst;
		enum route_status status;
	} rows[] = {
		{"203.0.113.9", ROUTE_FOUND},
		{"10.20.0.5", ROUTE_CLOSED},   /* somebody's route */
		{"192.168.1.1", ROUTE_CLOSED}, /* named closed */
		{"172.16.5.1", ROUTE_FOUND},   /* opened to this set by its own entry */
		{"2001:db8::1", ROUTE_FOUND},
		{"fd00::1", ROUTE_CLOSED},
	};
	uint32_t peer;

	apply(route("0.0.0.0/1", STAFF, API_NEXT_UNDERLAY, API_ROUTE_EXIT, 0));
	apply(route("128.0.0.0/1", STAFF, API_NEXT_UNDERLAY, API_ROUTE_EXIT, 0));
	apply(route("::/1", STAFF, API_NEXT_UNDERLAY, API_ROUTE_EXIT, 0));
	apply(route("8000::/1", STAFF, API_NEXT_UNDERLAY, API_ROUTE_EXIT, 0));
	apply(route("10.20.0.0/16", BERLIN, API_NEXT_PEER, 0, 7));
	apply(route("192.168.0.0/16", 0, API_NEXT_CLOSED, 0, 0));
	apply(route("172.16.0.0/12", 0, API_NEXT_CLOSED, 0, 0));
	apply(route("172.16.0.0/12", STAFF, API_NEXT_UNDERLAY, API_ROUTE_EXIT, 0));
	apply(route("fc00::/7", 0, API_NEXT_CLOSED, 0, 0));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(look(STAFF, rows[i].dst, &peer), rows[i].status);
	/* A source that holds the longer prefix goes there. */
	assert_int_equal(look(BERLIN, "10.20.0.5", &peer), ROUTE_FOUND);
	assert_int_equal(look(LONDON, "203.0.113.9", &peer), ROUTE_NONE);
}

/* A plain packet must not claim an overlay address, given to a peer or not. */
static void the_overlay_is_known_through_longer_prefixes(void **state)
{
	struct addr given = address("100.64.0.11"), spare = address("100.64.0.99");
	struct addr other = address("100.128.0.1"), internet = address("203.0.113.9");

	apply(route("100.64.0.0/10", 0, API_NEXT_CLOSED, API_ROUTE_OVERLAY, 0));
	apply(route("100.64.0.11/32", 0, API_NEXT_PEER, 0, 11));
	apply(route("0.0.0.0/1", STAFF, API_NEXT_UNDERLAY, API_ROUTE_EXIT, 0));
	assert_true(route_is_overlay(COPY, &given));
	assert_true(route_is_overlay(COPY, &spare));
	assert_false(route_is_overlay(COPY, &other));
	assert_false(route_is_overlay(COPY, &internet));
}

static void allow(const char *prefix, uint32_t peer)
{
	struct api_allowed_set set = {.peer = peer};

	assert_int_equal(prefix_parse(prefix, &set.prefix), 0);
	allowed_set_apply(&set, COPY, HANDLER_SHADOW);
}

/* WireGuard's cryptokey routing across peers, with several owners of one range. */
static void longest_allowed_prefix_decides_across_peers(void **state)
{
	struct addr lan = address("10.0.1.1"), host = address("10.0.0.5"), far = address("9.9.9.9");
	struct api_allowed_del del = {.peer = 5};

	allow("10.0.0.0/16", 9);
	allow("10.0.0.0/16", 5);
	allow("10.0.0.5/32", 3);
	allow("0.0.0.0/0", 7);
	assert_true(allowed_has(COPY, 5, &lan));
	assert_true(allowed_has(COPY, 9, &lan));
	assert_false(allowed_has(COPY, 3, &lan));
	assert_false(allowed_has(COPY, 7, &lan)); /* a longer prefix is another's */
	assert_true(allowed_has(COPY, 3, &host));
	assert_false(allowed_has(COPY, 5, &host));
	assert_true(allowed_has(COPY, 7, &far));
	assert_int_equal(allowed_owner(COPY, &lan), 5);
	assert_int_equal(allowed_owner(COPY, &host), 3);
	assert_int_equal(allowed_owner(COPY, &far), 0); /* an exit owns no flow's home */
	assert_int_equal(prefix_parse("10.0.0.0/16", &del.prefix), 0);
	allowed_del_apply(&del, COPY, HANDLER_SHADOW);
	assert_false(allowed_has(COPY, 5, &lan));
	assert_int_equal(allowed_owner(COPY, &lan), 9);
}

/* Where answers to what was masqueraded may come from. */
static void masked_is_what_lies_behind_a_masquerading_route(void **state)
{
	static const struct {
		const char *addr;
		bool masked;
	} rows[] = {
		{"10.40.0.5", true}, {"10.50.0.5", false}, /* not masqueraded */
		{"10.20.0.5", false},                      /* ... on its way to no peer */
		{"10.40.1.5", false},  /* behind somebody else, to whom the route does not lead */
		{"100.64.0.3", false}, /* another peer, though the exit's route covers him */
		{"9.9.9.9", true},     /* behind an exit that is a peer */
	};

	apply(route("10.40.0.0/16", BERLIN, API_NEXT_PEER, 0, 8));
	apply(route("10.40.0.0/16", LONDON, API_NEXT_PEER, API_ROUTE_MASQUERADE, 5));
	apply(route("10.50.0.0/16", 0, API_NEXT_PEER, 0, 5));
	apply(route("10.20.0.0/16", 0, API_NEXT_PORT, API_ROUTE_MASQUERADE, 0));
	apply(route("0.0.0.0/1", STAFF, API_NEXT_PEER, API_ROUTE_MASQUERADE | API_ROUTE_EXIT, 7));
	allow("10.40.0.0/16", 5);
	allow("10.40.0.0/16", 8);
	allow("10.50.0.0/16", 5);
	allow("10.40.1.0/24", 3);
	allow("100.64.0.3/32", 3);
	allow("9.0.0.0/8", 7);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr addr = address(rows[i].addr);

		assert_int_equal(route_is_masked(COPY, &addr), rows[i].masked);
	}
}

static void local_add(const char *text, uint16_t port)
{
	struct api_local_set set = {.addr = address(text), .port = port};

	local_set_apply(&set, COPY, HANDLER_SHADOW);
}

static void own_addresses_and_which_to_speak_from(void **state)
{
	struct addr first = address("192.0.2.1"), linklocal = address("fe80::1"), out;
	struct api_local_del del = {.addr = first};
	uint16_t port;

	local_add("192.0.2.1", 1);
	local_add("192.0.2.2", 1);
	local_add("fe80::1", 1);
	assert_true(local_has(COPY, &first, &port));
	assert_int_equal(port, 1);
	assert_true(local_source(COPY, 1, ADDR_V4, &out));
	assert_true(addr_equal(&out, &first));
	assert_true(local_source(COPY, 1, ADDR_V6, &out));
	assert_true(addr_equal(&out, &linklocal));
	local_add("2001:db8::1", 1);
	assert_true(local_source(COPY, 1, ADDR_V6, &out));
	assert_false(addr_equal(&out, &linklocal));
	local_del_apply(&del, COPY, HANDLER_SHADOW);
	assert_false(local_has(COPY, &first, &port));
	assert_true(local_source(COPY, 1, ADDR_V4, &out));
	assert_int_equal(out.bytes[3], 2);
	assert_false(local_source(COPY, 2, ADDR_V4, &out));
}

static void bad_routes_are_refused(void **state)
{
	struct api_route_set good = route("10.0.0.0/8", 1, API_NEXT_PEER, 0, 1);
	struct api_route_set bad;
	uint32_t detail;

	bad = good, bad.prefix.bytes[3] = 1;
	assert_int_equal(route_set_validate(&bad, &detail), API_E_VALUE);
	assert_int_equal(detail, offsetof(struct api_route_set, prefix));
	bad = good, bad.table = 2;
	assert_int_equal(route_set_validate(&bad, &detail), API_E_VALUE);
	bad = good, bad.next = API_NEXT_HOST + 1;
	assert_int_equal(route_set_validate(&bad, &detail), API_E_VALUE);
	bad = good, bad.peer = 0;
	assert_int_equal(route_set_validate(&bad, &detail), API_E_VALUE);
	assert_int_equal(detail, offsetof(struct api_route_set, peer));
	bad = good, bad.table = API_TABLE_UNDERLAY;
	assert_int_equal(route_set_validate(&bad, &detail), API_E_VALUE);
	bad = good, bad.flags = 0x80;
	assert_int_equal(route_set_validate(&bad, &detail), API_E_VALUE);
	bad = good, bad.gateway = address("2001:db8::1");
	assert_int_equal(route_set_validate(&bad, &detail), API_E_VALUE);
	assert_int_equal(detail, offsetof(struct api_route_set, gateway));
}

static int start(void **state)
{
	return eal_start(state) != 0 || routes_init(64) != 0 || allowed_init(64) != 0 ||
	       local_init() != 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_range_leads_two_sets_to_two_peers, fresh),
		cmocka_unit_test_setup(longest_prefix_that_the_set_holds_wins, fresh),
		cmocka_unit_test_setup(exit_is_closed_to_what_others_name, fresh),
		cmocka_unit_test_setup(the_overlay_is_known_through_longer_prefixes, fresh),
		cmocka_unit_test_setup(longest_allowed_prefix_decides_across_peers, fresh),
		cmocka_unit_test_setup(masked_is_what_lies_behind_a_masquerading_route, fresh),
		cmocka_unit_test_setup(own_addresses_and_which_to_speak_from, fresh),
		cmocka_unit_test_setup(bad_routes_are_refused, fresh),
	};

	return cmocka_run_group_tests(tests, start, eal_stop);
}
