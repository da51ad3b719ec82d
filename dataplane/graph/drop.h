/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Drop reasons. A feature lists its own as one X-macro and registers the group in its init:
 *
 *	#define FLOW_DROPS(X) \
 *		X(NO_ROUTE, "no_route", "no route to the destination for this source")
 *	DROP_GROUP_DECLARE(flow, FLOW_DROPS);  in the feature's header
 *	DROP_GROUP_DEFINE(flow, FLOW_DROPS);   in one source; then drop_register(&drop_group_flow)
 *	packet->drop = DROP(flow, NO_ROUTE);   on a worker; the packet then goes to node "drop"
 *
 * The drop node counts per worker and reason and frees the packet.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	DROP_NONE = 0,
	DROP_REASONS_MAX = 512,
};

struct drop_reason {
	const char *name; /* "no_route": shown as "flow.no_route" */
	const char *text; /* for people */
};

struct drop_group {
	const char *feature;
	const struct drop_reason *reasons;
	uint16_t count;
	uint16_t base; /* set by drop_register; constant while workers run */
};

/* The list is expanded with the feature's name in front, so that enumerators never collide. */
#define DROP_REASON_ENTRY(id, name, text) {name, text},
#define DROP_INDEX_ENTRY(id, name, text)  uint8_t id;

/* A struct of one byte per reason: offsetof() turns a name into its index at compile time. */
#define DROP_GROUP_DECLARE(feature, LIST)                                                          \
	struct drop_index_##feature {                                                              \
		LIST(DROP_INDEX_ENTRY)                                                             \
	};                                                                                         \
	extern struct drop_group drop_group_##feature

#define DROP_GROUP_DEFINE(name_, LIST)                                                             \
	static const struct drop_reason drop_reasons_##name_[] = {LIST(DROP_REASON_ENTRY)};        \
	struct drop_group drop_group_##name_ = {                                                   \
		.feature = #name_,                                                                 \
		.reasons = drop_reasons_##name_,                                                   \
		.count = sizeof(drop_reasons_##name_) / sizeof(drop_reasons_##name_[0]),           \
	}

#define DROP(feature, id)                                                                          \
	((uint16_t)(drop_group_##feature.base + offsetof(struct drop_index_##feature, id)))

/* Main thread, in a feature's init. 0, or -ENOSPC. */
int drop_register(struct drop_group *group) __attribute__((warn_unused_result));

struct rte_mbuf;

/* Counts n packets that never reach the drop node. thread: the calling worker's id, or one of enum
 * handoff_producer. */
void drop_count(unsigned thread, uint16_t reason, unsigned n);

/* The same, and frees them. */
void drop_free(unsigned thread, uint16_t reason, struct rte_mbuf **mbufs, unsigned n);

/* Over all threads, since the start. Main thread. */
uint64_t drop_total(uint16_t reason);

/* Fills rows of struct api_count_drop, one per registered reason; returns how many. */
uint32_t drop_fill(void *rows, uint32_t max);
