/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <rte_mbuf.h>

#include "common/api/egress.h"
#include "common/api/flow.h"
#include "common/api/forward.h"
#include "common/api/map.h"
#include "common/api/policy.h"
#include "dataplane/graph/follow.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/stats.h"
#include "dataplane/main/txn.h"
#include "dataplane/main/worker.h"
#include "dataplane/map/map.h"
#include "dataplane/policy/policy.h"
#include "dataplane/port/port.h"
#include "dataplane/wireguard/peer.h"
#include "dataplane/nat/nat.h"
#include "dataplane/main/feature.h"
#include "test/unit/dataplane/eal.h"
#include "test/unit/dataplane/flow/fakes.h"

DROP_GROUP_DEFINE(flow, FLOW_DROPS);

struct world world;
unsigned fake_copy;

static struct rte_mempool *pool;
static struct txn *txn;
RTE_DEFINE_PER_LCORE(struct worker *, worker);
static struct flow_worker workers[4];
static struct port ports[FAKE_PORTS];
static struct dp_config config = {
	.workers = 1,
	.max_peers = FAKE_PEERS,
	.max_flows = 1024,
	.max_routes = 64,
	.max_rules = 4096,
};

const struct dp_config *dp_config(void)
{
	config.workers = world.workers != 0 ? world.workers : 1;
	return &config;
}

struct flow_worker *flow_worker_get(unsigned id)
{
	return &workers[id];
}

uint64_t clock_ms(void)
{
	return workers[0].now_ms;
}

unsigned tables_active(void)
{
	return fake_copy;
}

unsigned fake_expiries;

void stats_expire(void)
{
	fake_expiries++;
}

void feature_register(struct feature *feature)
{
	feature->next = NULL;
}

unsigned fake_drops[256]; /* by reason, of what never reaches the drop node */

void drop_free(unsigned thread, uint16_t reason, struct rte_mbuf **mbufs, unsigned n)
{
	fake_drops[reason] += n;
	for (unsigned i = 0; i < n; i++)
		rte_pktmbuf_free(mbufs[i]);
}

uint32_t tap_points;

void follow_end(struct rte_mbuf *const *mbufs, unsigned n, enum api_trace_end end, uint16_t detail)
{
}

struct rte_mempool *packet_pool(void)
{
	return pool;
}

const struct port *port_get(uint16_t id)
{
	if (id == 0 || id >= FAKE_PORTS)
		return NULL;
	ports[id].id = id;
	ports[id].mtu = 1500;
	ports[id].set_id[0] = ports[id].set_id[1] = world.port_set[id];
	return &ports[id];
}

bool peer_look(unsigned copy, uint32_t peer, struct peer_view *view)
{
	if (peer >= FAKE_PEERS || !world.peer[peer].there)
		return false;
	view->set_id = world.peer[peer].set;
	view->mtu = world.peer[peer].mtu;
	view->home = world.peer[peer].home;
	return true;
}

uint8_t graph_udp_roles[65536] = {[0 ... 65535] = GRAPH_FORWARD};

uint32_t neigh_find(unsigned copy, uint16_t port, const struct addr *addr)
{
	return world.neigh_unknown || port == world.neigh_unknown_on ? 0 : port * 100u + HOP_MAC;
}

uint32_t judge_generation(void)
{
	return world.generation;
}

void judge_generation_bump(void)
{
	world.generation++;
}

void fake_start(void)
{
	static bool started;

	if (started)
		return;
	started = true;
	if (eal_start(NULL) != 0)
		abort();
	pool = rte_pktmbuf_pool_create("packets", 4095, 0, PACKET_PRIVATE_SIZE, 2048 + 128, 0);
	txn = txn_create(8 << 20);
	drop_group_flow.base = 1;
	flow_dump_init();
	flow_timeouts_init();
	flow_limits_init();
	if (pool == NULL || txn == NULL || flow_life_init() != 0 || flow_counted_init() != 0 ||
		nat_init() != 0 || policy_init() != 0 || map_init() != 0)
		abort();
}

/* One pass of one group over the staged messages. */
static void run_pass(
	const struct handler_group *group, unsigned number, unsigned copy, enum handler_pass pass)
{
	struct txn_cursor cursor = {0};
	const void *message;

	if (group->begin != NULL)
		group->begin(copy, pass, txn_is_full(txn));
	while ((message = txn_next_in_group(txn, &cursor, number)) != NULL)
		cursor.handler->apply(message, copy, pass);
	if (group->end != NULL)
		group->end(copy, pass, txn_is_full(txn));
}

static int commit(void)
{
	uint64_t index;
	uint32_t detail;
	char text[96];

	for (unsigned i = 0; i < handler_group_count(); i++) {
		const struct handler_group *group = handler_group_at(i);
		int code = group->prepare == NULL ? 0 : group->prepare(txn, &index, &detail, text);

		if (code != 0)
			return code;
	}
	for (unsigned i = 0; i < handler_group_count(); i++)
		run_pass(handler_group_at(i), i, !fake_copy, HANDLER_SHADOW);
	fake_copy = !fake_copy;
	for (unsigned i = 0; i < handler_group_count(); i++)
		run_pass(handler_group_at(i), i, !fake_copy, HANDLER_CATCH_UP);
	return 0;
}

static int stage(const void *message)
{
	const struct api_header *header = message;
	const struct handler *handler;
	unsigned group;
	uint32_t detail;
	int code = 0;

	handler = handler_find(header->type, &group);
	if (handler->validate != NULL)
		code = handler->validate(message, &detail);
	if (code == 0 && txn_stage(txn, message, handler, group) != 0)
		abort();
	return code;
}

int fake_apply(const void *message)
{
	int code;

	txn_reset(txn, false);
	code = stage(message);
	return code != 0 ? code : commit();
}

int fake_apply_all(const struct api_header *const *messages, size_t n)
{
	unsigned group;
	int code = 0;

	txn_reset(txn, true);
	for (size_t i = 0; i < n && code == 0; i++) {
		if (handler_find(messages[i]->type, &group) != NULL)
			code = stage(messages[i]);
	}
	return code != 0 ? code : commit();
}

void fake_clear(void)
{
	txn_reset(txn, true);
	if (commit() != 0)
		abort();
}

static struct prefix parse_prefix(const char *text)
{
	struct prefix prefix = {0};

	if (text != NULL && prefix_parse(text, &prefix) != 0)
		abort();
	return prefix;
}

struct addr fake_addr(const char *text)
{
	struct addr addr = {0};

	if (text != NULL && addr_parse(text, &addr) != 0)
		abort();
	return addr;
}

void fake_reset(void)
{
	uint32_t generation = world.generation;

	fake_start();
	fake_clear();
	memset(&world, 0, sizeof(world));
	world.generation = generation + 1;
	world.workers = 1;
}

void fake_peer(uint32_t id, uint32_t set, const char *v4, const char *v6)
{
	world.peer[id] = (struct fake_peer){.there = true, .set = set, .mtu = 1420};
	if (v4 != NULL) {
		fake_allow(id, v4);
		fake_route(0, v4, API_NEXT_PEER, 0)->peer = id;
	}
	if (v6 != NULL) {
		fake_allow(id, v6);
		fake_route(0, v6, API_NEXT_PEER, 0)->peer = id;
	}
}

void fake_allow(uint32_t peer, const char *prefix)
{
	world.allowed[world.alloweds++] =
		(struct fake_owner){.prefix = parse_prefix(prefix), .peer = peer};
}

void fake_map(uint32_t peer, const char *seen, const char *real)
{
	struct api_map_set message = {
		.header = {.type = API_MAP_SET, .length = sizeof(message)},
		.seen = parse_prefix(seen),
		.peer = peer,
		.real = parse_prefix(real),
	};

	if (fake_apply(&message) != 0)
		abort();
}

struct route_hop *fake_route(uint32_t set, const char *prefix, uint8_t next, uint16_t flags)
{
	struct fake_route *route = &world.overlay[world.overlays++];

	route->prefix = parse_prefix(prefix);
	route->set = set;
	route->hop =
		(struct route_hop){.next = next, .flags = flags, .length = route->prefix.length};
	return &route->hop;
}

struct route_hop *fake_underlay(const char *prefix, uint16_t port, const char *gateway)
{
	struct fake_route *route = &world.underlay[world.underlays++];

	route->prefix = parse_prefix(prefix);
	route->hop = (struct route_hop){
		.next = API_NEXT_PORT, .port = port, .gateway = fake_addr(gateway)};
	return &route->hop;
}

void fake_local(const char *addr)
{
	world.local[world.locals++] = fake_addr(addr);
}

void fake_policy(uint32_t rule, uint32_t priority, uint32_t set, const char *dst, uint8_t proto,
	uint16_t flags, uint8_t verdict)
{
	struct api_policy_set message = {
		.header = {.type = API_POLICY_SET, .length = sizeof(message)},
		.rule = rule,
		.priority = priority,
		.src_set = set,
		.proto = proto,
		.verdict = verdict,
		.flags = flags,
		.dst = parse_prefix(dst),
		.port_last = UINT16_MAX,
	};

	if (fake_apply(&message) != 0)
		abort();
}

void fake_egress(uint16_t id, const char *addr, uint16_t first, uint16_t last)
{
	struct api_egress_addr_set message = {
		.header = {.type = API_EGRESS_ADDR_SET, .length = sizeof(message)},
		.addr = fake_addr(addr),
		.egress = id,
		.port_first = first,
		.port_last = last,
	};

	if (fake_apply(&message) != 0)
		abort();
}

void fake_pool(uint16_t id, const uint16_t *ids, uint16_t n)
{
	struct api_egress_pool_set message = {
		.header = {.type = API_EGRESS_POOL_SET, .length = sizeof(message)},
		.pool = id,
		.count = n,
	};

	memcpy(message.egress, ids, n * sizeof(*ids));
	if (fake_apply(&message) != 0)
		abort();
}

int fake_egress_flags(
	uint32_t rule, uint32_t set, uint16_t pool_id, const char *dst, uint16_t flags)
{
	struct api_egress_rule_set message = {
		.header = {.type = API_EGRESS_RULE_SET, .length = sizeof(message)},
		.rule = rule,
		.priority = rule,
		.src_set = set,
		.pool = pool_id,
		.flags = flags,
		.dst = parse_prefix(dst),
	};

	return fake_apply(&message);
}

void fake_egress_rule(uint32_t rule, uint32_t set, uint16_t pool_id, const char *dst)
{
	if (fake_egress_flags(rule, set, pool_id, dst, 0) != 0)
		abort();
}

int fake_forward_set(uint32_t id, uint8_t proto, const char *outside, uint16_t first, uint16_t last,
	const char *inside, uint16_t inside_first, const char *from)
{
	struct api_forward_set message = {
		.header = {.type = API_FORWARD_SET, .length = sizeof(message)},
		.forward = id,
		.outside = fake_addr(outside),
		.inside = fake_addr(inside),
		.port_first = first,
		.port_last = last,
		.inside_first = inside_first,
		.proto = proto,
		.from_count = from != NULL,
		.from = {parse_prefix(from)},
	};

	return fake_apply(&message);
}

void fake_exit_node(void)
{
	static const uint16_t ids[] = {1, 2};
	static const char *const halves[] = {"0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"};

	fake_reset();
	fake_peer(1, 1, "100.64.0.1/32", "fd00::1/128");
	fake_peer(2, 1, "100.64.0.2/32", "fd00::2/128");
	for (unsigned i = 0; i < 4; i++)
		fake_route(1, halves[i], API_NEXT_UNDERLAY, API_ROUTE_EXIT | API_ROUTE_MASQUERADE)
			->route_id = 3;
	fake_route(0, "192.168.0.0/16", API_NEXT_CLOSED, 0);
	fake_underlay("0.0.0.0/0", PORT_WAN, "192.0.2.1");
	fake_underlay("::/0", PORT_WAN, "2001:db8:ffff::1");
	fake_underlay("192.168.7.0/24", PORT_LAN, NULL);
	fake_egress(1, "198.51.100.1", 1024, 65535);
	fake_egress(2, "2001:db8::1", 1024, 65535);
	fake_pool(1, ids, 2);
	fake_egress_rule(1, 0, 1, NULL);
	fake_policy(5, 10, 0, NULL, API_PROTO_ANY, API_POLICY_TO_EXIT, API_ALLOW);
}

uint8_t fake_forward(struct flow_worker *w, struct rte_mbuf *mbuf)
{
	uint8_t role;

	flow_worker_refresh(w, fake_copy, w->now_ms);
	flow_fast(w, &mbuf, 1, &role);
	return role == FLOW_TO_SLOW ? flow_slow(w, mbuf) : role;
}

unsigned fake_handed;

uint8_t fake_deliver(unsigned worker, struct rte_mbuf *mbuf, unsigned *at)
{
	for (unsigned hops = 0; hops < 8; hops++) {
		uint8_t role = fake_forward(&workers[worker], mbuf);

		*at = worker;
		if (role == GRAPH_HANDOFF) {
			worker = packet_of(mbuf)->to;
			fake_handed++;
		} else if (role != GRAPH_HAIRPIN) {
			return role;
		} else if (flow_hairpin_turn(&workers[worker], mbuf) != DROP_NONE) {
			abort();
		}
	}
	abort(); /* goes round and round */
}

struct flow_worker *fake_worker(uint32_t capacity)
{
	static unsigned created;
	struct hash_key key = {{1, 2, 3, 4, 5, 6}};
	struct flow_worker *w = &workers[0];

	for (unsigned i = 0; i < RTE_DIM(key.word); i++)
		key.word[i] = key.word[i] * 0x9e3779b97f4a7c15ull | 1;
	if (created > 0)
		for (unsigned i = 0; i < created; i++)
			flow_worker_destroy(&workers[i]);
	created = dp_config()->workers;
	for (unsigned i = 0; i < created; i++) {
		if (flow_worker_create(&workers[i], i, capacity, &key) != 0)
			abort();
		flow_worker_refresh(&workers[i], fake_copy, 1000000);
	}
	return w;
}

const char *fake_drop_name(uint16_t reason)
{
	if (reason < 1 || reason > drop_group_flow.count)
		return "?";
	return drop_group_flow.reasons[reason - 1].name;
}
