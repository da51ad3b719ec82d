/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Port forwards: two copies of a table by id, each with the ids sorted by outside address,
 * protocol and port, for a binary search. Asked for first packets only. A commit also tells every
 * egress address which of its ports are not the NAT's; a mapping that has one of them is not valid
 * any more, so its flows end at their next packet.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <rte_common.h>

#include "common/api/forward.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/worker.h"
#include "dataplane/nat/nat_priv.h"
#include "dataplane/route/route.h"

struct table {
	struct nat_forward forward[API_FORWARD_MAX]; /* by id; protocol 0 = none */
	uint16_t order[API_FORWARD_MAX];
	uint32_t count;
	bool changed; /* in the transaction under way */
};

static struct table *tables[2];
static const struct table *sorting; /* for compare_order; main thread */

/* By address, protocol, first port: what a search compares. */
static int compare(const struct nat_forward *forward, const struct addr *addr, uint8_t proto)
{
	int order = addr_compare(&forward->outside, addr);

	return order != 0 ? order : (forward->proto > proto) - (forward->proto < proto);
}

const struct nat_forward *nat_forward_find(
	unsigned copy, const struct addr *addr, uint8_t proto, uint16_t port)
{
	const struct table *table = tables[copy];
	uint32_t low = 0, high = table->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;
		const struct nat_forward *forward = &table->forward[table->order[middle]];
		int order = compare(forward, addr, proto);

		if (order < 0 || (order == 0 && forward->port_last < port))
			low = middle + 1;
		else if (order > 0 || forward->port_first > port)
			high = middle;
		else
			return forward;
	}
	return NULL;
}

bool nat_forward_admits(const struct nat_forward *forward, const struct addr *src)
{
	for (unsigned i = 0; i < forward->from_count; i++) {
		if (prefix_contains(&forward->from[i], src))
			return true;
	}
	return forward->from_count == 0;
}

static int refuse(uint32_t *detail, size_t offset)
{
	*detail = (uint32_t)offset;
	return API_E_VALUE;
}

static int validate_set(const void *message, uint32_t *detail)
{
	const struct api_forward_set *set = message;

	if (set->forward == 0 || set->forward >= API_FORWARD_MAX)
		return refuse(detail, offsetof(struct api_forward_set, forward));
	if (!addr_is_valid(&set->outside))
		return refuse(detail, offsetof(struct api_forward_set, outside));
	if (!addr_is_valid(&set->inside) || set->inside.family != set->outside.family)
		return refuse(detail, offsetof(struct api_forward_set, inside));
	if (set->port_first == 0 || set->port_first > set->port_last)
		return refuse(detail, offsetof(struct api_forward_set, port_first));
	if (set->inside_first == 0 ||
		set->inside_first + (set->port_last - set->port_first) > UINT16_MAX)
		return refuse(detail, offsetof(struct api_forward_set, inside_first));
	if (set->proto != IPPROTO_TCP && set->proto != IPPROTO_UDP)
		return refuse(detail, offsetof(struct api_forward_set, proto));
	if (set->from_count > API_FORWARD_FROM)
		return refuse(detail, offsetof(struct api_forward_set, from_count));
	for (unsigned i = 0; i < set->from_count; i++) {
		if (!prefix_is_valid(&set->from[i]))
			return refuse(detail, offsetof(struct api_forward_set, from));
	}
	return 0;
}

static int validate_del(const void *message, uint32_t *detail)
{
	const struct api_forward_del *del = message;

	if (del->forward == 0 || del->forward >= API_FORWARD_MAX)
		return refuse(detail, offsetof(struct api_forward_del, forward));
	return 0;
}

static void apply_set(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_forward_set *set = message;
	struct nat_forward *forward = &tables[copy]->forward[set->forward];

	(void)pass;
	*forward = (struct nat_forward){
		.id = set->forward,
		.outside = set->outside,
		.inside = set->inside,
		.port_first = set->port_first,
		.port_last = set->port_last,
		.inside_first = set->inside_first,
		.proto = set->proto,
		.from_count = set->from_count,
	};
	memcpy(forward->from, set->from, sizeof(forward->from));
	tables[copy]->changed = true;
}

static void apply_del(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_forward_del *del = message;

	(void)pass;
	tables[copy]->forward[del->forward].proto = 0;
	tables[copy]->changed = true;
}

static int compare_order(const void *left, const void *right)
{
	const struct nat_forward *a = &sorting->forward[*(const uint16_t *)left];
	const struct nat_forward *b = &sorting->forward[*(const uint16_t *)right];
	int order = compare(a, &b->outside, b->proto);

	return order != 0 ? order
			  : (a->port_first > b->port_first) - (a->port_first < b->port_first);
}

static void sort(struct table *table)
{
	table->count = 0;
	for (unsigned id = 1; id < API_FORWARD_MAX; id++) {
		if (table->forward[id].proto != 0)
			table->order[table->count++] = (uint16_t)id;
	}
	sorting = table;
	qsort(table->order, table->count, sizeof(*table->order), compare_order);
}

static void begin(unsigned copy, enum handler_pass pass, bool full)
{
	struct table *table = tables[copy];

	(void)pass;
	if (!full)
		return;
	for (unsigned id = 1; id < API_FORWARD_MAX; id++)
		table->forward[id].proto = 0;
	table->changed = true;
}

static void reserve(struct nat_address *address, const struct table *table)
{
	uint64_t words[NAT_FORWARD_CLASSES][NAT_BLOCKS] = {0};
	bool any = false;

	for (uint32_t i = 0; i < table->count; i++) {
		const struct nat_forward *forward = &table->forward[table->order[i]];
		int class = nat_class(forward->proto);

		if (!addr_equal(&forward->outside, &address->addr))
			continue;
		any = true;
		for (uint32_t port = forward->port_first; port <= forward->port_last; port++)
			words[class][port / NAT_BLOCK_PORTS] |= 1ull << port % NAT_BLOCK_PORTS;
	}
	if (!any && !address->has_reserved)
		return;
	address->has_reserved = any;
	for (unsigned class = 0; class < NAT_FORWARD_CLASSES; class ++) {
		for (unsigned i = 0; i < NAT_BLOCKS; i++)
			__atomic_store_n(
				&address->reserved[class][i], words[class][i], __ATOMIC_RELAXED);
	}
}

void nat_forward_reserve(unsigned copy)
{
	for (struct nat_address *address = nat_address_list(); address != NULL;
		address = address->next)
		reserve(address, tables[copy]);
}

static void end(unsigned copy, enum handler_pass pass, bool full)
{
	bool changed = tables[copy]->changed;

	(void)full;
	if (!changed)
		return;
	tables[copy]->changed = false;
	sort(tables[copy]);
	if (pass == HANDLER_SHADOW)
		return;
	nat_forward_reserve(copy);
	judge_generation_bump(); /* only now does every worker read the new copy */
}

static const struct handler handlers[] = {
	{API_FORWARD_SET, "forward_set", sizeof(struct api_forward_set), validate_set, apply_set},
	{API_FORWARD_DEL, "forward_del", sizeof(struct api_forward_del), validate_del, apply_del},
};

static const struct handler_group group = {
	.feature = "nat",
	.handlers = handlers,
	.count = RTE_DIM(handlers),
	.begin = begin,
	.end = end,
};

int nat_forward_init(void)
{
	for (unsigned copy = 0; copy < 2; copy++) {
		tables[copy] = calloc(1, sizeof(*tables[copy]));
		if (tables[copy] == NULL)
			return -ENOMEM;
	}
	handler_register(&group);
	return 0;
}
