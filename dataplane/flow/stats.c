/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sections of the counters memory that come from flows: sums over the workers' own counters,
 * read while they run. 64-bit words are read whole, so a sum is at most one collection old.
 */
#include <errno.h>
#include <rte_common.h>
#include <stdlib.h>

#include "common/api/counters.h"
#include "common/api/egress.h"
#include "common/api/forward.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/main/stats.h"
#include "dataplane/nat/nat.h"
#include "dataplane/wireguard/peer.h"

static uint64_t read_word(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* Adds words, not structs: all counters are made of them. */
static void add_words(void *sum, const void *counters, size_t bytes)
{
	const uint64_t *from = counters;
	uint64_t *to = sum;

	for (size_t i = 0; i < bytes / sizeof(*to); i++)
		to[i] += read_word(&from[i]);
}

/* What was counted under a peer's id before the peer came that has it now. Main thread. */
static struct flow_peer_count *peer_bases;

static struct flow_peer_count sum_peer(uint32_t peer)
{
	struct flow_peer_count sum = {0};

	for (unsigned id = 0; id < dp_config()->workers; id++)
		add_words(&sum, &flow_worker_get(id)->peers[peer], sizeof(sum));
	return sum;
}

void flow_peer_made(uint32_t peer)
{
	if (peer < dp_config()->max_peers)
		peer_bases[peer] = sum_peer(peer);
	stats_expire();
}

/* Of a peer's row the fields that flows know; the tunnel writes the others. */
static uint32_t fill_peers(void *rows, uint32_t max)
{
	struct api_count_peer *row = rows;
	uint32_t n = RTE_MIN(max, dp_config()->max_peers);

	n = RTE_MIN(n, peer_bound());
	for (uint32_t i = 0; i < n; i++) {
		const struct flow_peer_count sum = sum_peer(i), *base = &peer_bases[i];

		row[i].rx_packets = sum.rx_packets - base->rx_packets;
		row[i].rx_bytes = sum.rx_bytes - base->rx_bytes;
		row[i].tx_packets = sum.tx_packets - base->tx_packets;
		row[i].tx_bytes = sum.tx_bytes - base->tx_bytes;
		row[i].flows = sum.flows;
	}
	return n;
}

static uint32_t fill_pairs(enum flow_counted kind, struct api_count_pair *rows, uint32_t max)
{
	uint32_t n = RTE_MIN(max, flow_counted_rows(kind));

	for (uint32_t i = 0; i < n; i++) {
		const struct flow_pair_count sum = flow_counted_sum(kind, i);

		rows[i] = (struct api_count_pair){
			.packets = sum.packets[0],
			.bytes = sum.bytes[0],
			.reply_packets = sum.packets[1],
			.reply_bytes = sum.bytes[1],
			.flows = sum.flows,
		};
	}
	return n;
}

static uint32_t fill_rules(void *rows, uint32_t max)
{
	return fill_pairs(FLOW_COUNTED_RULES, rows, max);
}

static uint32_t fill_routes(void *rows, uint32_t max)
{
	return fill_pairs(FLOW_COUNTED_ROUTES, rows, max);
}

static uint32_t fill_forwards(void *rows, uint32_t max)
{
	return fill_pairs(FLOW_COUNTED_FORWARDS, rows, max);
}

static uint32_t fill_egress(void *rows, uint32_t max)
{
	struct api_count_egress *row = rows;
	uint32_t n = RTE_MIN(max, (uint32_t)API_EGRESS_ADDR_MAX), used = 0;

	for (uint32_t i = 1; i < n; i++) {
		struct flow_pair_count sum;
		struct nat_figures figures;

		if (!nat_figures((uint16_t)i, &figures))
			continue;
		sum = flow_counted_sum(FLOW_COUNTED_EGRESS, i);
		row[i] = (struct api_count_egress){
			.tx_packets = sum.packets[0],
			.tx_bytes = sum.bytes[0],
			.rx_packets = sum.packets[1],
			.rx_bytes = sum.bytes[1],
			.mappings = figures.mappings,
			.blocks_used = figures.blocks_used,
			.blocks_total = figures.blocks_total,
			.refused = figures.refused,
		};
		used = i + 1;
	}
	return used;
}

int flow_stats_init(void)
{
	const struct dp_config *config = dp_config();

	if (peer_bases == NULL)
		peer_bases = calloc(config->max_peers, sizeof(*peer_bases));
	if (peer_bases == NULL)
		return -ENOMEM;
	peer_on_create(flow_peer_made);
	stats_section(
		API_SECTION_PEERS, sizeof(struct api_count_peer), config->max_peers, fill_peers);
	stats_section(
		API_SECTION_RULES, sizeof(struct api_count_pair), config->max_rules, fill_rules);
	stats_section(
		API_SECTION_ROUTES, sizeof(struct api_count_pair), config->max_routes, fill_routes);
	stats_section(API_SECTION_EGRESS, sizeof(struct api_count_egress), API_EGRESS_ADDR_MAX,
		fill_egress);
	stats_section(API_SECTION_FORWARDS, sizeof(struct api_count_pair), API_FORWARD_MAX,
		fill_forwards);
	return 0;
}
