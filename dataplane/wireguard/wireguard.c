/* SPDX-License-Identifier: BSD-3-Clause */
/* The feature: its drop reasons, per-worker counters and start. */
#include <errno.h>
#include <rte_malloc.h>

#include "dataplane/main/feature.h"
#include "dataplane/wireguard/inbox.h"
#include "dataplane/wireguard/lend.h"
#include "dataplane/wireguard/nodes.h"
#include "dataplane/wireguard/wireguard_priv.h"

DROP_GROUP_DEFINE(wireguard, WG_DROPS);

/* Each worker's own line. */
static struct {
	struct wg_count *counts; /* by peer id */
	uint16_t ipv4_id;
} __rte_cache_aligned per_worker[DP_WORKERS_MAX];

int counts_init(unsigned workers, uint32_t max_peers)
{
	for (unsigned i = 0; i < workers; i++) {
		per_worker[i].counts = rte_zmalloc(
			"wg_counts", max_peers * sizeof(struct wg_count), RTE_CACHE_LINE_SIZE);
		if (per_worker[i].counts == NULL)
			return -ENOMEM;
	}
	return 0;
}

struct wg_count *counts_of(unsigned worker)
{
	return per_worker[worker].counts;
}

uint16_t *wg_ipv4_id(unsigned worker)
{
	return &per_worker[worker].ipv4_id;
}

void activity_tell_now(struct wg_peer *peer)
{
	struct wg_event event = {.kind = WG_EVENT_ACTIVITY, .peer = peer->id};

	if (!atomic_exchange_explicit(&peer->watched, true, memory_order_seq_cst) &&
		!events_put(&event))
		atomic_store_explicit(&peer->watched, false, memory_order_relaxed);
}

static int init(void)
{
	const struct dp_config *config = dp_config();
	int rc;

	rc = drop_register(&drop_group_wireguard);
	if (rc == 0)
		rc = index_table_init(config->max_peers);
	if (rc == 0)
		rc = events_init(config->workers);
	if (rc == 0)
		rc = inbox_init(config->workers);
	if (rc == 0)
		rc = counts_init(config->workers, config->max_peers);
	if (rc == 0)
		rc = peers_init(config->max_peers);
	if (rc == 0)
		rc = lend_init(config->workers);
	if (rc < 0)
		return rc;
	seal_node_init();
	open_node_init();
	lend_node_init();
	return 0;
}

static struct feature feature = {
	.name = "wireguard",
	.after = {"route", "capture", "trace"}, /* whose memory its thread writes */
	.init = init,
	.start = thread_start,
	.housekeep = peers_housekeep,
	.stop = thread_stop,
};

FEATURE_REGISTER(feature)
