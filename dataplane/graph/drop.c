/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end of every packet that is not sent: counts its reason and frees it. Counters are private
 * to the thread that drops; the main thread sums them up for the counters memory.
 */
#include "dataplane/graph/drop.h"

#include <rte_graph.h>
#include <rte_graph_worker.h>
#include <rte_mbuf.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/api/counters.h"
#include "dataplane/graph/follow.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/graph/tap.h"
#include "dataplane/main/worker.h"

struct drop_counts {
	uint64_t packets[DROP_REASONS_MAX];
} __rte_cache_aligned;

static struct drop_counts counts[HANDOFF_PRODUCERS];
static const struct drop_reason *reasons[DROP_REASONS_MAX];
static const char *features[DROP_REASONS_MAX];
static uint16_t reason_count = 1;

static const struct drop_reason reason_none = {
	"unknown", "a node gave no reason: a defect of the program"};

int drop_register(struct drop_group *group)
{
	if (group->base != 0)
		return 0;
	if (reason_count + group->count > DROP_REASONS_MAX)
		return -ENOSPC;
	group->base = reason_count;
	for (uint16_t i = 0; i < group->count; i++) {
		reasons[reason_count] = &group->reasons[i];
		features[reason_count++] = group->feature;
	}
	return 0;
}

void drop_count(unsigned thread, uint16_t reason, unsigned n)
{
	uint64_t *count;

	assert(thread < HANDOFF_PRODUCERS);
	if (reason >= reason_count)
		reason = DROP_NONE;
	/* Only this thread writes; the atomic store keeps the reader from seeing half a number. */
	count = &counts[thread].packets[reason];
	__atomic_store_n(count, *count + n, __ATOMIC_RELAXED);
}

void drop_free(unsigned thread, uint16_t reason, struct rte_mbuf **mbufs, unsigned n)
{
	if (n == 0)
		return;
	for (unsigned i = 0; tap_wants(API_CAPTURE_DROP) && i < n; i++)
		tap_drop(thread, reason, mbufs[i]);
	if (follow_wanted())
		follow_end(mbufs, n, API_TRACE_DROPPED, reason);
	drop_count(thread, reason, n);
	rte_pktmbuf_free_bulk(mbufs, n);
}

uint64_t drop_total(uint16_t reason)
{
	uint64_t total = 0;

	for (unsigned thread = 0; thread < HANDOFF_PRODUCERS; thread++)
		total += __atomic_load_n(&counts[thread].packets[reason], __ATOMIC_RELAXED);
	return total;
}

uint32_t drop_fill(void *rows, uint32_t max)
{
	struct api_count_drop *row = rows;
	uint32_t n = reason_count < max ? reason_count : max;

	for (uint32_t i = 0; i < n; i++) {
		const struct drop_reason *reason = i == DROP_NONE ? &reason_none : reasons[i];

		snprintf(row[i].name, sizeof(row[i].name), "%s.%s",
			i == DROP_NONE ? "drop" : features[i], reason->name);
		snprintf(row[i].text, sizeof(row[i].text), "%s", reason->text);
		row[i].packets = drop_total((uint16_t)i);
	}
	return n;
}

static uint16_t drop_process(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	unsigned thread = worker_self()->id;

	for (uint16_t i = 0; tap_wants(API_CAPTURE_DROP) && i < n; i++)
		tap_drop(thread, packet_of(objs[i])->drop, objs[i]);
	for (uint16_t i = 0; i < n; i++)
		drop_count(thread, packet_of(objs[i])->drop, 1);
	rte_pktmbuf_free_bulk((struct rte_mbuf **)objs, n);
	return n;
}

static struct rte_node_register drop_node = {
	.name = "drop",
	.process = drop_process,
};
RTE_NODE_REGISTER(drop_node);
