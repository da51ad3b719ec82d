/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose the figures of rules, routes, egress addresses and forwards are. Workers only ever add, by
 * id; an id that goes to another object begins anew by a base that the main thread subtracts.
 *
 * A flow's packets add up in its action line and are collected up to half a second later, when the
 * id may be another's already. They are told apart by the generation under which the flow was
 * judged: flows of the new owner have one that is not older than the end of the one before. All of
 * it is done before the new tables are seen, so nothing of the new owner is missed either.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include <rte_common.h>

#include "common/api/counters.h"
#include "common/api/egress.h"
#include "common/api/flow.h"
#include "common/api/forward.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/stats.h"
#include "dataplane/route/route.h"

/* Main thread. */
struct counted {
	uint64_t owner;              /* 0 = nobody */
	uint32_t ended;              /* flows of the one before are of an older generation */
	bool named;                  /* by the full transaction under way */
	struct flow_pair_count base; /* what the ones before have counted */
};

static struct counted *tables[FLOW_COUNTED];
static uint32_t *since[FLOW_COUNTED]; /* main thread writes, workers read */
static uint32_t sizes[FLOW_COUNTED];
static uint32_t bounds[FLOW_COUNTED]; /* ids from here on have never been named */
static bool naming = true;            /* by the control process, which may be an older one */
static bool changed;                  /* in the transaction under way */
static bool names;                    /* likewise, a full one */

uint32_t flow_counted_since(enum flow_counted kind, uint32_t id)
{
	return __atomic_load_n(&since[kind][id], __ATOMIC_RELAXED);
}

uint32_t flow_counted_rows(enum flow_counted kind)
{
	return naming ? bounds[kind] : sizes[kind];
}

static const struct flow_pair_count *pairs_of(const struct flow_worker *w, enum flow_counted kind)
{
	switch (kind) {
	case FLOW_COUNTED_RULES:
		return w->rules;
	case FLOW_COUNTED_ROUTES:
		return w->routes;
	case FLOW_COUNTED_EGRESS:
		return w->egress;
	default:
		return w->forwards;
	}
}

/* 64-bit words are read whole, while workers write them. */
static struct flow_pair_count sum_pairs(enum flow_counted kind, uint32_t id)
{
	struct flow_pair_count sum = {0};

	for (unsigned worker = 0; worker < dp_config()->workers; worker++) {
		const uint64_t *from =
			(const uint64_t *)&pairs_of(flow_worker_get(worker), kind)[id];
		uint64_t *to = (uint64_t *)&sum;

		for (size_t i = 0; i < sizeof(sum) / sizeof(*to); i++)
			to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	}
	return sum;
}

struct flow_pair_count flow_counted_sum(enum flow_counted kind, uint32_t id)
{
	struct flow_pair_count sum = sum_pairs(kind, id);
	const struct flow_pair_count *base = &tables[kind][id].base;

	for (unsigned i = 0; i < 2; i++) {
		sum.packets[i] -= base->packets[i];
		sum.bytes[i] -= base->bytes[i];
	}
	sum.flows -= base->flows;
	return sum;
}

static bool find_kind(uint32_t section, enum flow_counted *kind)
{
	static const uint32_t sections[FLOW_COUNTED] = {
		[FLOW_COUNTED_RULES] = API_SECTION_RULES,
		[FLOW_COUNTED_ROUTES] = API_SECTION_ROUTES,
		[FLOW_COUNTED_EGRESS] = API_SECTION_EGRESS,
		[FLOW_COUNTED_FORWARDS] = API_SECTION_FORWARDS,
	};

	for (unsigned i = 0; i < FLOW_COUNTED; i++) {
		*kind = (enum flow_counted)i;
		if (sections[i] == section)
			return true;
	}
	return false;
}

static int validate_set(const void *message, uint32_t *detail)
{
	const struct api_counted_set *set = message;
	enum flow_counted kind;

	*detail = offsetof(struct api_counted_set, section);
	if (!find_kind(set->section, &kind))
		return API_E_VALUE;
	*detail = offsetof(struct api_counted_set, owner);
	return set->owner != 0 ? 0 : API_E_VALUE;
}

static int validate_del(const void *message, uint32_t *detail)
{
	const struct api_counted_del *del = message;
	enum flow_counted kind;

	*detail = offsetof(struct api_counted_del, section);
	return find_kind(del->section, &kind) ? 0 : API_E_VALUE;
}

/* NULL for a row that nobody has here. */
static struct counted *find_row(uint32_t section, uint32_t id, enum flow_counted *kind)
{
	return find_kind(section, kind) && id < sizes[*kind] ? &tables[*kind][id] : NULL;
}

static void end_owner(struct counted *row)
{
	if (row->owner == 0)
		return;
	row->owner = 0;
	row->ended = judge_generation() + 1; /* end() raises it */
	changed = true;
}

static void apply_set(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_counted_set *set = message;
	enum flow_counted kind;
	struct counted *row = find_row(set->section, set->id, &kind);

	(void)copy;
	if (row == NULL || pass != HANDLER_SHADOW)
		return;
	row->named = true;
	naming = names = true;
	bounds[kind] = RTE_MAX(bounds[kind], set->id + 1);
	if (row->owner == set->owner)
		return;
	end_owner(row);
	row->owner = set->owner;
	__atomic_store_n(&since[kind][set->id], row->ended, __ATOMIC_RELEASE);
	row->base = sum_pairs(kind, set->id);
	changed = true;
}

static void apply_del(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_counted_del *del = message;
	enum flow_counted kind;
	struct counted *row = find_row(del->section, del->id, &kind);

	(void)copy;
	if (row != NULL && pass == HANDLER_SHADOW)
		end_owner(row);
}

static void begin(unsigned copy, enum handler_pass pass, bool full)
{
	(void)copy;
	if (!full || pass != HANDLER_SHADOW)
		return;
	names = false;
	for (unsigned kind = 0; kind < FLOW_COUNTED; kind++) {
		for (uint32_t id = 0; id < bounds[kind]; id++)
			tables[kind][id].named = false;
	}
}

/* Whom a full transaction did not name is gone. */
static void end_unnamed(void)
{
	naming = names;
	for (unsigned kind = 0; kind < FLOW_COUNTED; kind++) {
		for (uint32_t id = 0; id < bounds[kind]; id++) {
			if (!tables[kind][id].named)
				end_owner(&tables[kind][id]);
		}
	}
}

static void end(unsigned copy, enum handler_pass pass, bool full)
{
	(void)copy;
	if (pass == HANDLER_SHADOW) {
		if (full)
			end_unnamed();
		return;
	}
	if (!changed)
		return;
	changed = false;
	judge_generation_bump();
	stats_expire();
}

static const struct handler handlers[] = {
	{API_COUNTED_SET, "counted_set", sizeof(struct api_counted_set), validate_set, apply_set},
	{API_COUNTED_DEL, "counted_del", sizeof(struct api_counted_del), validate_del, apply_del},
};

static const struct handler_group group = {
	.feature = "flow",
	.handlers = handlers,
	.count = RTE_DIM(handlers),
	.begin = begin,
	.end = end,
};

int flow_counted_init(void)
{
	const struct dp_config *config = dp_config();

	sizes[FLOW_COUNTED_RULES] = config->max_rules;
	sizes[FLOW_COUNTED_ROUTES] = config->max_routes;
	sizes[FLOW_COUNTED_EGRESS] = API_EGRESS_ADDR_MAX;
	sizes[FLOW_COUNTED_FORWARDS] = API_FORWARD_MAX;
	for (unsigned kind = 0; kind < FLOW_COUNTED; kind++) {
		tables[kind] = calloc(sizes[kind], sizeof(*tables[kind]));
		since[kind] = calloc(sizes[kind], sizeof(*since[kind]));
		if (tables[kind] == NULL || since[kind] == NULL)
			return -ENOMEM;
	}
	handler_register(&group);
	return 0;
}
