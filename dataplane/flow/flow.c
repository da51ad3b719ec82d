/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The feature: creates every worker's table, and ties flows to the core.
 *
 * A packet's way: fast.c (known flows), else slow.c (home.c: whose is it? judge.c: may it, and
 * where to? dataplane/nat: with which address?); icmp_translate.c (errors about flows);
 * icmp_error.c (errors of our own); life.c (expiry, counters, removal of peers).
 */
#include <errno.h>
#include <stdlib.h>

#include "dataplane/flow/flow_node.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/main/feature.h"
#include "dataplane/main/worker.h"
#include "dataplane/wireguard/peer.h"

DROP_GROUP_DEFINE(flow, FLOW_DROPS);

static struct flow_worker workers[DP_WORKERS_MAX];
static struct hash_key table_key; /* one for all: workers must agree on where a flow lives */

struct flow_worker *flow_worker_get(unsigned id)
{
	return &workers[id];
}

static int init(void)
{
	int error = drop_register(&drop_group_flow);

	if (error == 0)
		error = flow_life_init();
	if (error == 0)
		error = flow_counted_init();
	if (error == 0)
		error = flow_stats_init();
	if (error != 0)
		return error;
	hash_key_random(&table_key);
	flow_node_init();
	flow_dump_init();
	flow_timeouts_init();
	flow_limits_init();
	peer_on_delete(flow_peer_gone);
	return 0;
}

static int init_worker(struct worker *w)
{
	uint32_t share = dp_config()->max_flows / dp_config()->workers;

	return flow_worker_create(&workers[w->id], w->id, share > 0 ? share : 1, &table_key);
}

/* Expiry and counters: a little each millisecond, without sleep while there is more. */
static void tick(struct worker *worker)
{
	struct flow_worker *w = &workers[worker->id];

	flow_worker_refresh(w, worker->copy, worker->now_ms);
	if (flow_tend(w))
		worker->work++;
	worker->flows = w->table.live;
}

static struct feature feature = {
	.name = "flow",
	.after = {"route", "policy", "nat"},
	.init = init,
	.worker_init = init_worker,
	.tick = tick,
};
FEATURE_REGISTER(feature)
