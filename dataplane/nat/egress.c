/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Egress addresses, pools and rules: left-right tables, written by the main thread in a commit.
 *
 * An address is one object in both copies; its id, address and port blocks stay while messages
 * name it again. Deleted, it stays as long as a mapping uses it, which flows give up when they are
 * judged anew or expire; then it is freed in housekeeping.
 *
 * A rule names a pool; of the pool's addresses of the right family the subscriber's is the one with
 * the greatest hash of both (rendezvous hashing): the same for ever while the pool is the same, and
 * when an address comes or goes only its own subscribers move.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "common/api/egress.h"
#include "common/api/flow.h"
#include "common/api/wireguard.h"
#include "dataplane/main/feature.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/txn.h"
#include "dataplane/main/worker.h"
#include "dataplane/nat/nat_priv.h"
#include "dataplane/route/route.h"

enum { SLOTS = 2 * API_EGRESS_ADDR_MAX, RULES_MAX = 16384 };

struct pool {
	uint16_t count;
	uint16_t egress[API_EGRESS_POOL_ADDRS];
};

struct rule {
	uint32_t id;
	uint32_t priority;
	uint32_t src_set;
	uint16_t pool;
	uint16_t flags;
	bool deleted;
	struct prefix dst;
	uint32_t order; /* of arrival, until sorted */
};

struct table {
	struct nat_address *by_id[API_EGRESS_ADDR_MAX];
	struct nat_address *by_addr[SLOTS]; /* open addressing */
	struct pool pool[API_EGRESS_POOL_MAX];
	struct rule rules[RULES_MAX]; /* by priority, then id, from end() on */
	uint32_t rule_count;
	bool unsorted;
	bool changed; /* in the transaction under way */
};

static struct table *tables[2];
static struct nat_address *addresses; /* all, also retired ones */
static uint32_t serial;

/* Fixed: which address a subscriber has must not change with a restart. */
static uint64_t mix(uint64_t word)
{
	word ^= word >> 31;
	word *= 0x7fb5d329728ea185ull;
	word ^= word >> 27;
	word *= 0x81dadef4bc2dd44dull;
	return word ^ word >> 33;
}

static uint64_t digest(const struct addr *addr)
{
	uint64_t half[2];

	memcpy(half, addr->bytes, sizeof(half));
	return mix(mix(half[0] + addr->family) ^ half[1]);
}

static struct nat_address *find(const struct table *table, const struct addr *addr)
{
	uint32_t slot = (uint32_t)digest(addr) & (SLOTS - 1);

	for (; table->by_addr[slot] != NULL; slot = (slot + 1) & (SLOTS - 1)) {
		if (addr_equal(&table->by_addr[slot]->addr, addr))
			return table->by_addr[slot];
	}
	return NULL;
}

const struct nat_address *nat_address_find(unsigned copy, const struct addr *addr)
{
	return find(tables[copy], addr);
}

uint16_t nat_address_id(const struct nat_address *address)
{
	return address->id;
}

const struct addr *nat_address_addr(const struct nat_address *address)
{
	return &address->addr;
}

struct nat_address *nat_address_list(void)
{
	return addresses;
}

static struct nat_address *choose(
	const struct table *table, const struct pool *pool, const struct nat_asked *asked)
{
	struct nat_address *best = NULL;
	uint64_t best_weight = 0, who;

	if (pool->count == 1) { /* nothing to weigh */
		best = table->by_id[pool->egress[0]];
		return best != NULL && best->addr.family == asked->src.family ? best : NULL;
	}
	/* whoever stands behind a plain port is known by address only */
	who = (asked->subscriber & API_IDENT_PORT) != 0 ? digest(&asked->src)
							: mix(asked->subscriber);
	for (uint16_t i = 0; i < pool->count; i++) {
		struct nat_address *address = table->by_id[pool->egress[i]];
		uint64_t weight;

		if (address == NULL || address->addr.family != asked->src.family)
			continue;
		weight = mix(who ^ digest(&address->addr));
		if (best == NULL || weight > best_weight) {
			best = address;
			best_weight = weight;
		}
	}
	return best;
}

struct nat_address *nat_select(unsigned copy, const struct nat_asked *asked, uint16_t *options)
{
	const struct table *table = tables[copy];

	*options = 0;
	if ((asked->subscriber & API_IDENT_HOST) != 0)
		return find(table, &asked->src);
	for (uint32_t i = 0; i < table->rule_count; i++) {
		const struct rule *rule = &table->rules[i];

		if ((rule->src_set != 0 && rule->src_set != asked->set_id) ||
			(rule->dst.family != ADDR_NONE &&
				!prefix_contains(&rule->dst, &asked->dst)))
			continue;
		*options = rule->flags;
		/* pool 0 has no addresses: deny */
		return choose(table, &table->pool[rule->pool], asked);
	}
	return NULL;
}

static int refuse(uint32_t *detail, size_t offset)
{
	*detail = (uint32_t)offset;
	return API_E_VALUE;
}

static int validate_addr_set(const void *message, uint32_t *detail)
{
	const struct api_egress_addr_set *set = message;

	if (!addr_is_valid(&set->addr))
		return refuse(detail, offsetof(struct api_egress_addr_set, addr));
	if (set->egress == 0 || set->egress >= API_EGRESS_ADDR_MAX)
		return refuse(detail, offsetof(struct api_egress_addr_set, egress));
	if (set->port_first == 0 || set->port_first > set->port_last)
		return refuse(detail, offsetof(struct api_egress_addr_set, port_first));
	return 0;
}

static int validate_addr_del(const void *message, uint32_t *detail)
{
	const struct api_egress_addr_del *del = message;

	if (del->egress == 0 || del->egress >= API_EGRESS_ADDR_MAX)
		return refuse(detail, offsetof(struct api_egress_addr_del, egress));
	return 0;
}

static int validate_pool_set(const void *message, uint32_t *detail)
{
	const struct api_egress_pool_set *set = message;

	if (set->pool == 0 || set->pool >= API_EGRESS_POOL_MAX)
		return refuse(detail, offsetof(struct api_egress_pool_set, pool));
	if (set->count > API_EGRESS_POOL_ADDRS)
		return refuse(detail, offsetof(struct api_egress_pool_set, count));
	for (uint16_t i = 0; i < set->count; i++) {
		if (set->egress[i] == 0 || set->egress[i] >= API_EGRESS_ADDR_MAX)
			return refuse(detail, offsetof(struct api_egress_pool_set, egress));
	}
	return 0;
}

static int validate_pool_del(const void *message, uint32_t *detail)
{
	const struct api_egress_pool_del *del = message;

	if (del->pool == 0 || del->pool >= API_EGRESS_POOL_MAX)
		return refuse(detail, offsetof(struct api_egress_pool_del, pool));
	return 0;
}

/* One way of filtering; and a shared port has no one inside who could be open. */
static bool is_coherent(uint16_t flags)
{
	uint16_t filter = flags & (API_EGRESS_OPEN | API_EGRESS_BY_ADDR);

	return filter != (API_EGRESS_OPEN | API_EGRESS_BY_ADDR) &&
	       (filter == 0 || (flags & API_EGRESS_SHARED) == 0);
}

static int validate_rule_set(const void *message, uint32_t *detail)
{
	const struct api_egress_rule_set *set = message;

	if (set->rule == 0)
		return refuse(detail, offsetof(struct api_egress_rule_set, rule));
	if (set->src_set >= API_SET_MAX)
		return refuse(detail, offsetof(struct api_egress_rule_set, src_set));
	if (set->pool >= API_EGRESS_POOL_MAX)
		return refuse(detail, offsetof(struct api_egress_rule_set, pool));
	if ((set->flags & ~API_EGRESS_FLAGS) != 0 || !is_coherent(set->flags))
		return refuse(detail, offsetof(struct api_egress_rule_set, flags));
	if (set->dst.family != ADDR_NONE && !prefix_is_valid(&set->dst))
		return refuse(detail, offsetof(struct api_egress_rule_set, dst));
	return 0;
}

static struct nat_address *find_object(const struct addr *addr, uint16_t id)
{
	struct nat_address *address = addresses;

	while (address != NULL &&
		(address->retired || address->id != id || !addr_equal(&address->addr, addr)))
		address = address->next;
	return address;
}

/* Objects that no table names any more wait for their last mapping. */
static void release_unused(void)
{
	for (struct nat_address *address = addresses; address != NULL; address = address->next)
		address->retired = tables[0]->by_id[address->id] != address &&
				   tables[1]->by_id[address->id] != address;
}

/* Objects are made in prepare, where memory may still be refused. */
static int make_object(const struct api_egress_addr_set *set)
{
	struct nat_address *address = find_object(&set->addr, set->egress);

	if (address != NULL)
		return 0;
	address = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*address), 64));
	if (address == NULL)
		return -ENOMEM;
	memset(address, 0, sizeof(*address));
	address->addr = set->addr;
	address->id = set->egress;
	address->port_first = set->port_first;
	address->port_last = set->port_last;
	address->serial = ++serial;
	address->next = addresses;
	addresses = address;
	return 0;
}

static int prepare(const struct txn *txn, uint64_t *index, uint32_t *detail, char text[96])
{
	struct txn_cursor cursor = {0};
	const struct api_header *header;
	uint32_t rules = 0;

	*detail = 0;
	while ((header = txn_next_like(txn, &cursor, API_EGRESS_ADDR_SET)) != NULL) {
		*index = cursor.index;
		if (header->type == API_EGRESS_ADDR_SET &&
			make_object((const struct api_egress_addr_set *)header) != 0) {
			snprintf(text, 96, "egress: out of memory");
			release_unused();
			return API_E_LIMIT;
		}
		/* a replaced rule stands twice until end() has sorted */
		if (header->type == API_EGRESS_RULE_SET || header->type == API_EGRESS_RULE_DEL)
			rules++;
	}
	if (rules > RULES_MAX || (!txn_is_full(txn) && rules + tables[0]->rule_count > RULES_MAX)) {
		snprintf(text, 96, "egress: more than %d rules", RULES_MAX);
		release_unused();
		return API_E_LIMIT;
	}
	return 0;
}

static struct table *table_to_change(unsigned copy)
{
	tables[copy]->changed = true;
	return tables[copy];
}

static void apply_addr_set(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_egress_addr_set *set = message;
	struct nat_address *address = find_object(&set->addr, set->egress);

	(void)pass;
	address->port_first = set->port_first;
	address->port_last = set->port_last;
	table_to_change(copy)->by_id[set->egress] = address;
}

static void apply_addr_del(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_egress_addr_del *del = message;

	(void)pass;
	table_to_change(copy)->by_id[del->egress] = NULL;
}

static void apply_pool_set(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_egress_pool_set *set = message;
	struct pool *pool = &table_to_change(copy)->pool[set->pool];

	(void)pass;
	pool->count = set->count;
	memcpy(pool->egress, set->egress, sizeof(pool->egress));
}

static void apply_pool_del(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_egress_pool_del *del = message;

	(void)pass;
	table_to_change(copy)->pool[del->pool].count = 0;
}

static void append_rule(struct table *table, const struct rule *rule)
{
	table->rules[table->rule_count] = *rule;
	table->rules[table->rule_count].order = table->rule_count;
	table->rule_count++;
	table->unsorted = true;
}

static void apply_rule_set(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_egress_rule_set *set = message;
	struct rule rule = {
		.id = set->rule,
		.priority = set->priority,
		.src_set = set->src_set,
		.pool = set->pool,
		.flags = set->flags,
		.dst = set->dst,
	};

	(void)pass;
	append_rule(table_to_change(copy), &rule);
}

static void apply_rule_del(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_egress_rule_del *del = message;
	struct rule rule = {.id = del->rule, .deleted = true};

	(void)pass;
	append_rule(table_to_change(copy), &rule);
}

static int compare_ids(const void *left, const void *right)
{
	const struct rule *a = left, *b = right;

	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return a->order < b->order ? 1 : -1; /* the latest first */
}

static int compare_priorities(const void *left, const void *right)
{
	const struct rule *a = left, *b = right;

	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

/* Of each id the latest message counts. */
static void sort_rules(struct table *table)
{
	uint32_t kept = 0, last_id = 0;

	if (!table->unsorted)
		return;
	qsort(table->rules, table->rule_count, sizeof(*table->rules), compare_ids);
	for (uint32_t i = 0; i < table->rule_count; i++) {
		struct rule rule = table->rules[i];

		if (rule.id == last_id)
			continue;
		last_id = rule.id;
		if (!rule.deleted)
			table->rules[kept++] = rule;
	}
	table->rule_count = kept;
	qsort(table->rules, kept, sizeof(*table->rules), compare_priorities);
	for (uint32_t i = 0; i < kept; i++)
		table->rules[i].order = 0;
	table->unsorted = false;
}

static void index_addresses(struct table *table)
{
	memset(table->by_addr, 0, sizeof(table->by_addr));
	for (unsigned id = 1; id < API_EGRESS_ADDR_MAX; id++) {
		struct nat_address *address = table->by_id[id];
		uint32_t slot;

		if (address == NULL)
			continue;
		slot = (uint32_t)digest(&address->addr) & (SLOTS - 1);
		while (table->by_addr[slot] != NULL)
			slot = (slot + 1) & (SLOTS - 1);
		table->by_addr[slot] = address;
	}
}

static void begin(unsigned copy, enum handler_pass pass, bool full)
{
	struct table *table = tables[copy];

	(void)pass;
	if (!full)
		return;
	table->changed = true;
	memset(table->by_id, 0, sizeof(table->by_id));
	memset(table->pool, 0, sizeof(table->pool));
	table->rule_count = 0;
}

static void end(unsigned copy, enum handler_pass pass, bool full)
{
	bool changed = tables[copy]->changed;

	(void)full;
	/* A transaction about neighbours alone must not have every flow judged anew. */
	if (!changed)
		return;
	tables[copy]->changed = false;
	sort_rules(tables[copy]);
	index_addresses(tables[copy]);
	if (pass == HANDLER_SHADOW)
		return;
	release_unused();
	nat_forward_reserve(copy);
	judge_generation_bump(); /* only now does every worker read the new copy */
}

static const struct handler handlers[] = {
	{API_EGRESS_ADDR_SET, "egress_addr_set", sizeof(struct api_egress_addr_set),
		validate_addr_set, apply_addr_set},
	{API_EGRESS_ADDR_DEL, "egress_addr_del", sizeof(struct api_egress_addr_del),
		validate_addr_del, apply_addr_del},
	{API_EGRESS_POOL_SET, "egress_pool_set", sizeof(struct api_egress_pool_set),
		validate_pool_set, apply_pool_set},
	{API_EGRESS_POOL_DEL, "egress_pool_del", sizeof(struct api_egress_pool_del),
		validate_pool_del, apply_pool_del},
	{API_EGRESS_RULE_SET, "egress_rule_set", sizeof(struct api_egress_rule_set),
		validate_rule_set, apply_rule_set},
	{API_EGRESS_RULE_DEL, "egress_rule_del", sizeof(struct api_egress_rule_del), NULL,
		apply_rule_del},
};

static const struct handler_group group = {
	.feature = "nat",
	.handlers = handlers,
	.count = RTE_DIM(handlers),
	.prepare = prepare,
	.begin = begin,
	.end = end,
	.abort = release_unused,
};

int nat_init(void)
{
	for (unsigned copy = 0; copy < 2; copy++) {
		tables[copy] = calloc(1, sizeof(*tables[copy]));
		if (tables[copy] == NULL)
			return -ENOMEM;
	}
	handler_register(&group);
	return nat_forward_init();
}

void nat_housekeep(void)
{
	struct nat_address **link = &addresses;

	while (*link != NULL) {
		struct nat_address *address = *link;

		if (address->retired &&
			__atomic_load_n(&address->mappings, __ATOMIC_ACQUIRE) == 0) {
			*link = address->next;
			free(address);
		} else {
			link = &address->next;
		}
	}
}

const struct nat_address *nat_address_after(uint32_t after)
{
	const struct nat_address *found = NULL;

	for (const struct nat_address *a = addresses; a != NULL; a = a->next) {
		if (a->serial > after && (found == NULL || a->serial < found->serial))
			found = a;
	}
	return found;
}

bool nat_figures(uint16_t id, struct nat_figures *figures)
{
	const struct nat_address *address = tables[tables_active()]->by_id[id];

	memset(figures, 0, sizeof(*figures));
	if (address == NULL)
		return false;
	figures->mappings = __atomic_load_n(&address->mappings, __ATOMIC_RELAXED);
	figures->refused = __atomic_load_n(&address->refused, __ATOMIC_RELAXED);
	figures->blocks_total =
		(uint64_t)NAT_CLASSES *
		(address->port_last / NAT_BLOCK_PORTS - address->port_first / NAT_BLOCK_PORTS + 1);
	for (unsigned class = 0; class < NAT_CLASSES; class ++) {
		for (unsigned i = 0; i < NAT_BLOCKS; i++)
			figures->blocks_used += address->owner[class][i] != 0;
	}
	return true;
}

static void housekeep(uint64_t now_ms)
{
	(void)now_ms;
	nat_housekeep();
	nat_log_housekeep();
}

static struct feature feature = {
	.name = "nat",
	.after = {"route"},
	.init = nat_init,
	.housekeep = housekeep,
};
FEATURE_REGISTER(feature)
