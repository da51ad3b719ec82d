/* SPDX-License-Identifier: BSD-3-Clause */
/* The feature: handlers of one group over the parts of this folder, and the judge generation. */
#include "dataplane/route/route.h"

#include <rte_common.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/main/config.h"
#include "dataplane/main/feature.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/txn.h"
#include "dataplane/route/hold.h"
#include "dataplane/route/route_priv.h"

enum { CHECKS_AT_ONCE = 4096 }; /* messages in one call of prepare(): tens of microseconds */

/* Written by the main thread, read by workers once per flow lookup. */
static _Atomic uint32_t generation = 1;
static bool learned; /* a neighbour was set in it */
static bool touched; /* the transaction under way had a message of this group, or is full */

uint32_t judge_generation(void)
{
	return atomic_load_explicit(&generation, memory_order_relaxed);
}

void judge_generation_bump(void)
{
	atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}

/* Sets `touched` on the way to the part's own function. */
#define TOUCHING(function)                                                                         \
	static void touch_##function(const void *message, unsigned copy, enum handler_pass pass)   \
	{                                                                                          \
		touched = true;                                                                    \
		function(message, copy, pass);                                                     \
	}

TOUCHING(local_set_apply)
TOUCHING(local_del_apply)
TOUCHING(neigh_del_apply)
TOUCHING(route_set_apply)
TOUCHING(route_del_apply)
TOUCHING(allowed_set_apply)
TOUCHING(allowed_del_apply)

static void learn_neigh_set_apply(const void *message, unsigned copy, enum handler_pass pass)
{
	learned = true;
	neigh_set_apply(message, copy, pass);
}

static const struct handler handlers[] = {
	{API_LOCAL_SET, "local_set", sizeof(struct api_local_set), local_set_validate,
		touch_local_set_apply},
	{API_LOCAL_DEL, "local_del", sizeof(struct api_local_del), local_del_validate,
		touch_local_del_apply},
	/* A new neighbour or MAC changes no judgement: nothing was let through without it. */
	{API_NEIGH_SET, "neigh_set", sizeof(struct api_neigh_set), neigh_set_validate,
		learn_neigh_set_apply},
	{API_NEIGH_DEL, "neigh_del", sizeof(struct api_neigh_del), neigh_del_validate,
		touch_neigh_del_apply},
	{API_ROUTE_SET, "route_set", sizeof(struct api_route_set), route_set_validate,
		touch_route_set_apply},
	{API_ROUTE_DEL, "route_del", sizeof(struct api_route_del), route_del_validate,
		touch_route_del_apply},
	{API_ALLOWED_SET, "allowed_set", sizeof(struct api_allowed_set), allowed_validate,
		touch_allowed_set_apply},
	{API_ALLOWED_DEL, "allowed_del", sizeof(struct api_allowed_del), allowed_validate,
		touch_allowed_del_apply},
};

/* Where prepare() stands in a long transaction: main thread. */
static struct {
	bool started;
	struct txn_cursor cursor;
	uint32_t routes[2], allowed, local, neigh; /* entries that there is still room for */
} check;

static uint32_t *room_for(const struct api_header *header)
{
	if (header->type == API_ROUTE_SET)
		return &check.routes[((const struct api_route_set *)header)->table];
	if (header->type == API_ALLOWED_SET)
		return &check.allowed;
	if (header->type == API_LOCAL_SET)
		return &check.local;
	if (header->type == API_NEIGH_SET && !neigh_known((const struct api_neigh_set *)header))
		return &check.neigh;
	return NULL;
}

static void start_check(bool full)
{
	memset(&check, 0, sizeof(check));
	check.started = true;
	check.routes[0] = routes_room(0, full);
	check.routes[1] = routes_room(1, full);
	check.allowed = allowed_room(full);
	check.local = local_room(full);
	check.neigh = neigh_room();
}

/* Counts a "set" of a route as a new entry: off only for a table that is nearly full. */
static int prepare(const struct txn *txn, uint64_t *index, uint32_t *detail, char text[96])
{
	const struct api_header *header;

	if (!check.started)
		start_check(txn_is_full(txn));
	for (unsigned i = 0; i < CHECKS_AT_ONCE; i++) {
		uint32_t *room;

		header = txn_next_like(txn, &check.cursor, API_ROUTE_SET);
		check.started = header != NULL;
		if (header == NULL)
			return API_OK;
		room = room_for(header);
		if (room == NULL || (*room)-- > 0)
			continue;
		check.started = false;
		*index = check.cursor.index;
		snprintf(text, 96, "table of %s is full: raise --max-routes",
			check.cursor.handler->name);
		return API_E_LIMIT;
	}
	return -EAGAIN;
}

static void begin(unsigned copy, enum handler_pass pass, bool full)
{
	if (!full)
		return;
	touched = true;
	routes_begin(copy);
	allowed_begin(copy);
	local_begin(copy);
	neigh_begin(copy, pass);
}

static void end(unsigned copy, enum handler_pass pass, bool full)
{
	if (pass != HANDLER_CATCH_UP)
		return;
	if (full)
		neigh_sweep();
	/* Only now does every reader use the new copy: a flow that is judged anew under the new
	 * number can no longer be judged by the old tables. */
	if (touched)
		judge_generation_bump();
	touched = false;
	if (learned)
		hold_release();
	learned = false;
}

static const struct handler_group group = {
	.feature = "route",
	.handlers = handlers,
	.count = RTE_DIM(handlers),
	.prepare = prepare,
	.begin = begin,
	.end = end,
};

static int init(void)
{
	const struct dp_config *config = dp_config();
	int rc;

	rc = routes_init(config->max_routes);
	if (rc == 0)
		rc = allowed_init(config->max_routes + config->max_peers);
	if (rc == 0)
		rc = local_init();
	if (rc == 0)
		rc = neigh_init();
	if (rc == 0)
		rc = hold_init();
	if (rc == 0)
		handler_register(&group);
	return rc;
}

static struct feature feature = {
	.name = "route",
	.init = init,
	.housekeep = neigh_housekeep,
};

FEATURE_REGISTER(feature)
