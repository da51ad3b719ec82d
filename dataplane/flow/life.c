/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of flows beside their packets: start, expiry, counters, removal of peers' flows. All
 * of it is done by the owning worker in small pieces, one per turn of its loop.
 *
 * Expiry is lazy: a flow stands in the wheel slot of a moment before which it cannot expire;
 * packets only note the time. When the hand comes by, the flow goes, or moves to its next moment.
 *
 * Counters of peers, rules, routes and egress addresses are not written per packet: a flow's
 * packets add up in its action line, and every half second the flows that had any are collected.
 *
 * A removed peer: the main thread raises the peer's epoch and the sweep token. A flow whose epoch
 * differs is dead at its next packet (the judgement's generation rises too); every worker that
 * sees a new token looks once through all its flows.
 */
#include <sys/mman.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_tcp.h>

#include <netinet/in.h>

#include "common/api/egress.h"
#include "common/api/flow.h"
#include "common/api/forward.h"
#include "common/api/port.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/flow/fragment.h"
#include "dataplane/map/map.h"
#include "dataplane/nat/nat.h"
#include "dataplane/route/route.h"

enum {
	EXPIRE_PER_TURN = 256,
	SLOTS_PER_TURN = 256,
	COLLECT_PER_TURN = 512,
	SWEEP_PER_TURN = 256,
	ROUND_MS = 500,
	WHEEL_MASK = FLOW_WHEEL_SLOTS - 1,
	DNS_PORT = 53,
};

static uint32_t *peer_epochs; /* by peer id; written by the main thread, as the next one */
static uint32_t *peer_since;  /* flows judged under an older generation are of one before */
static uint32_t peer_epochs_count;
static uint32_t sweep_token; /* written by the main thread */

uint32_t flow_peer_epoch(uint32_t ident)
{
	if (ident >= peer_epochs_count)
		return 0;
	return __atomic_load_n(&peer_epochs[ident], __ATOMIC_ACQUIRE);
}

void flow_peer_gone(uint32_t peer)
{
	if (peer >= peer_epochs_count)
		return;
	__atomic_add_fetch(&peer_epochs[peer], 1, __ATOMIC_RELEASE);
	__atomic_store_n(&peer_since[peer], judge_generation() + 1, __ATOMIC_RELEASE);
	__atomic_add_fetch(&sweep_token, 1, __ATOMIC_RELEASE);
	judge_generation_bump();
}

int flow_life_init(void)
{
	if (peer_epochs != NULL)
		return 0;
	peer_epochs_count = dp_config()->max_peers;
	peer_epochs = calloc(peer_epochs_count, sizeof(*peer_epochs));
	peer_since = calloc(peer_epochs_count, sizeof(*peer_since));
	return peer_epochs != NULL && peer_since != NULL ? 0 : -ENOMEM;
}

static void wheel_put(struct flow_worker *w, struct flow *flow, uint32_t in_ms)
{
	uint64_t tick = (w->now_ms + in_ms) >> FLOW_TICK_SHIFT;
	uint32_t index = flow_index(&w->table, flow);
	uint32_t slot;

	/* never the slot under the hand, never a whole turn ahead of it */
	tick = RTE_MAX(tick + 1, w->tick + 1);
	tick = RTE_MIN(tick, w->tick + FLOW_WHEEL_SLOTS - 1);
	slot = (uint32_t)tick & WHEEL_MASK;
	flow->cold.slot = (uint16_t)slot;
	flow->cold.prev = FLOW_NONE;
	flow->cold.next = w->wheel[slot];
	if (flow->cold.next != FLOW_NONE)
		w->table.flows[flow->cold.next].cold.prev = index;
	w->wheel[slot] = index;
}

static void wheel_take(struct flow_worker *w, struct flow *flow)
{
	if (flow->cold.prev != FLOW_NONE)
		w->table.flows[flow->cold.prev].cold.next = flow->cold.next;
	else
		w->wheel[flow->cold.slot] = flow->cold.next;
	if (flow->cold.next != FLOW_NONE)
		w->table.flows[flow->cold.next].cold.prev = flow->cold.prev;
}

/* Milliseconds since the last packet of either direction. */
static uint32_t idle_ms(const struct flow_worker *w, const struct flow *flow)
{
	uint32_t now = (uint32_t)w->now_ms;
	uint32_t there = now - flow->dir[0].action.seen_ms;
	uint32_t back = now - flow->dir[1].action.seen_ms;

	return RTE_MIN(there, back);
}

uint32_t flow_idle_ms(const struct flow_worker *w, const struct flow *flow)
{
	return idle_ms(w, flow);
}

void flow_set_timeout(struct flow_worker *w, struct flow *flow, uint32_t timeout_ms)
{
	flow->cold.timeout_ms = timeout_ms;
	if (!flow->cold.live)
		return;
	wheel_take(w, flow);
	wheel_put(w, flow, timeout_ms);
}

static void count_half_open(struct flow_worker *w, uint32_t ident, int change)
{
	if ((ident & API_IDENT_PORT) != 0)
		w->port_half_open[ident & (API_PORT_MAX - 1)] += (uint32_t)change;
	else if (ident < w->peers_max)
		w->peers[ident].half_open += (uint64_t)(int64_t)change;
}

static void count_owner(struct flow_worker *w, const struct flow *flow, int change)
{
	uint32_t ident = flow->dir[0].key.ident;

	if ((ident & API_IDENT_PORT) != 0)
		w->port_owned[ident & (API_PORT_MAX - 1)] += (uint32_t)change;
	else if (ident < w->peers_max)
		w->peers[ident].flows += (uint64_t)(int64_t)change;
	if (flow->cold.half_open)
		count_half_open(w, ident, change);
}

void flow_opened(struct flow_worker *w, struct flow *flow)
{
	if (!flow->cold.half_open)
		return;
	flow->cold.half_open = 0;
	w->half_open--;
	count_half_open(w, flow->dir[0].key.ident, -1);
}

static uint32_t first_timeout(struct flow_worker *w, struct flow *flow, struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of(mbuf);
	uint8_t tcp_flags;

	switch (packet->proto) {
	case IPPROTO_TCP:
		tcp_flags =
			rte_pktmbuf_mtod_offset(mbuf, struct rte_tcp_hdr *, packet->l4)->tcp_flags;
		if ((tcp_flags & RTE_TCP_ACK_FLAG) != 0) {
			flow->cold.tcp_state = FLOW_TCP_ESTABLISHED;
			return flow_timeout(w, FLOW_TIMEOUT_TCP);
		}
		flow->cold.tcp_state = FLOW_TCP_OPENING;
		flow->cold.half_open = 1;
		w->half_open++;
		flow->dir[0].action.flags |= FLOW_WATCH;
		flow->dir[1].action.flags |= FLOW_WATCH;
		return flow_timeout(w, FLOW_TIMEOUT_TCP_OPENING);
	case IPPROTO_UDP:
		return flow_timeout(w,
			flow->dir[0].key.dport == DNS_PORT ? FLOW_TIMEOUT_DNS : FLOW_TIMEOUT_UDP);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return flow_timeout(w, FLOW_TIMEOUT_ICMP);
	default:
		return flow_timeout(w, FLOW_TIMEOUT_OTHER);
	}
}

void flow_start(struct flow_worker *w, struct flow *flow, struct rte_mbuf *mbuf)
{
	struct flow_cold *cold = &flow->cold;

	for (unsigned i = 0; i < 2; i++) {
		flow->dir[i].action.seen_ms = (uint32_t)w->now_ms;
		cold->epoch[i] = flow_peer_epoch(flow->dir[i].key.ident);
	}
	cold->timeout_ms = first_timeout(w, flow, mbuf);
	cold->live = 1;
	wheel_put(w, flow, cold->timeout_ms);
	count_owner(w, flow, 1);
	if (cold->rule < w->rules_max)
		w->rules[cold->rule].flows++;
	if (cold->route_id < w->routes_max)
		w->routes[cold->route_id].flows++;
	if (cold->forward != 0)
		w->forwards[cold->forward].flows++;
}

void flow_move(struct flow_worker *w, struct flow *flow, unsigned dir, uint32_t ident)
{
	flow_collect(w, flow);
	count_owner(w, flow, -1);
	flow->dir[dir].key.ident = ident;
	flow->cold.epoch[dir] = flow_peer_epoch(ident);
	count_owner(w, flow, 1);
	if (dir == 0) { /* another sender may have other rights */
		flow->dir[0].action.generation = w->generation - 1;
		flow->dir[1].action.generation = w->generation - 1;
	}
}

void flow_delete(struct flow_worker *w, struct flow *flow)
{
	flow_collect(w, flow);
	wheel_take(w, flow);
	count_owner(w, flow, -1);
	if (flow->cold.half_open)
		w->half_open--;
	flow_unmap(w, flow);
	for (unsigned i = 0; i < 2; i++) {
		flow_table_remove(&w->table, flow, i);
		flow->dir[i].key.family = ADDR_NONE; /* equals no packet's */
	}
	flow_table_put(&w->table, flow);
}

void flow_touch(struct flow_worker *w, struct flow *flow, unsigned dir)
{
	uint8_t bit = (uint8_t)(1u << dir);

	if ((flow->cold.touched & bit) != 0)
		return;
	flow->cold.touched |= bit;
	w->touched[w->touched_tail++ & w->touched_mask] = flow_index(&w->table, flow) * 2 + dir;
}

/* What one direction of a flow has counted since it was looked at last. */
struct lot {
	unsigned dir;
	uint32_t generation; /* judged under */
	uint64_t packets, bytes;
};

/* Ids may be another's since the flow was judged: what it has counted is of who had them then. */
static bool is_of(const struct lot *lot, uint32_t since)
{
	return (int32_t)(lot->generation - since) >= 0;
}

static void add_pair(
	struct flow_pair_count *counts, enum flow_counted kind, uint32_t id, const struct lot *lot)
{
	if (!is_of(lot, flow_counted_since(kind, id)))
		return;
	counts[id].packets[lot->dir] += lot->packets;
	counts[id].bytes[lot->dir] += lot->bytes;
}

static bool is_of_peer(const struct flow_worker *w, const struct lot *lot, uint32_t peer)
{
	return peer < w->peers_max &&
	       is_of(lot, __atomic_load_n(&peer_since[peer], __ATOMIC_RELAXED));
}

/* The peer for whom a direction's packets are sealed, who need not be the one that sent last: of
 * two routing peers one may answer for the other. */
static uint32_t leads_to(const struct flow *flow, unsigned dir)
{
	const struct flow_action *action = &flow->dir[dir].action;

	return action->role == GRAPH_SEAL ? action->peer : flow->dir[1 - dir].key.ident;
}

uint32_t flow_leads_to(const struct flow *flow)
{
	return leads_to(flow, 0);
}

static void collect(struct flow_worker *w, struct flow *flow, unsigned dir)
{
	struct flow_action *action = &flow->dir[dir].action;
	uint32_t from = flow->dir[dir].key.ident, to = leads_to(flow, dir);
	const struct flow_cold *cold = &flow->cold;
	const struct lot lot = {dir, action->generation, action->packets, action->bytes};

	action->packets = 0;
	action->bytes = 0;
	flow->packets[dir] += lot.packets;
	flow->bytes[dir] += lot.bytes;
	if (is_of_peer(w, &lot, from)) {
		w->peers[from].rx_packets += lot.packets;
		w->peers[from].rx_bytes += lot.bytes;
	}
	if (is_of_peer(w, &lot, to)) {
		w->peers[to].tx_packets += lot.packets;
		w->peers[to].tx_bytes += lot.bytes;
	}
	if (cold->rule < w->rules_max)
		add_pair(w->rules, FLOW_COUNTED_RULES, cold->rule, &lot);
	if (cold->route_id < w->routes_max)
		add_pair(w->routes, FLOW_COUNTED_ROUTES, cold->route_id, &lot);
	if (cold->forward != 0)
		add_pair(w->forwards, FLOW_COUNTED_FORWARDS, cold->forward, &lot);
	if (cold->egress != 0)
		add_pair(w->egress, FLOW_COUNTED_EGRESS, cold->egress, &lot);
}

void flow_collect(struct flow_worker *w, struct flow *flow)
{
	for (unsigned i = 0; i < 2; i++) {
		if (flow->dir[i].action.packets != 0)
			collect(w, flow, i);
	}
}

static bool expire_some(struct flow_worker *w)
{
	uint64_t goal = w->now_ms >> FLOW_TICK_SHIFT;
	unsigned flows = 0;

	if (goal - w->tick > FLOW_WHEEL_SLOTS)
		w->tick = goal - FLOW_WHEEL_SLOTS; /* after a long sleep: each slot once */
	for (unsigned slots = 0; slots < SLOTS_PER_TURN && w->tick < goal; slots++) {
		uint32_t index;

		while ((index = w->wheel[w->tick & WHEEL_MASK]) != FLOW_NONE) {
			struct flow *flow = &w->table.flows[index];
			uint32_t idle = idle_ms(w, flow);

			if (flows++ == EXPIRE_PER_TURN)
				return true;
			if (idle >= flow->cold.timeout_ms) {
				flow_delete(w, flow);
				continue;
			}
			wheel_take(w, flow);
			wheel_put(w, flow, flow->cold.timeout_ms - idle);
		}
		w->tick++;
	}
	return w->tick < goal;
}

static bool collect_some(struct flow_worker *w, unsigned bound)
{
	if (w->touched_head == w->touched_due) {
		if (w->now_ms - w->touched_round_ms < ROUND_MS)
			return false;
		w->touched_round_ms = w->now_ms;
		w->touched_due = w->touched_tail;
	}
	for (unsigned i = 0; i < bound && w->touched_head != w->touched_due; i++) {
		uint32_t slot = w->touched[w->touched_head++ & w->touched_mask];
		struct flow *flow = &w->table.flows[slot >> 1];

		/* a deleted flow's packets are collected already */
		flow->cold.touched &= (uint8_t) ~(1u << (slot & 1));
		collect(w, flow, slot & 1);
	}
	return w->touched_head != w->touched_due;
}

static bool is_orphan(const struct flow *flow)
{
	return flow->cold.epoch[0] != flow_peer_epoch(flow->dir[0].key.ident) ||
	       flow->cold.epoch[1] != flow_peer_epoch(flow->dir[1].key.ident);
}

static bool sweep_some(struct flow_worker *w)
{
	uint32_t end;

	if (w->sweep_next == 0) {
		uint32_t token = __atomic_load_n(&sweep_token, __ATOMIC_ACQUIRE);

		if (token == w->sweep_token)
			return false;
		w->sweep_goal = token;
		w->sweep_next = 1;
	}
	end = RTE_MIN(w->sweep_next + SWEEP_PER_TURN, w->table.capacity + 1);
	for (; w->sweep_next < end; w->sweep_next++) {
		struct flow *flow = &w->table.flows[w->sweep_next];

		if (flow->cold.live && is_orphan(flow))
			flow_delete(w, flow);
	}
	if (w->sweep_next > w->table.capacity) {
		w->sweep_next = 0;
		w->sweep_token = w->sweep_goal;
	}
	return true;
}

bool flow_tend(struct flow_worker *w)
{
	bool more = expire_some(w);

	more |= collect_some(w, COLLECT_PER_TURN);
	more |= sweep_some(w);
	more |= flow_fragments_tend(w);
	more |= nat_tend(w->nat, w->now_ms, flow_limits(w)->rest_ms, flow_limits(w)->resting);
	return more;
}

void flow_collect_all(struct flow_worker *w)
{
	w->touched_due = w->touched_tail;
	while (collect_some(w, w->table.capacity) && w->touched_head != w->touched_due)
		;
}

static void *take_zeroes(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int flow_worker_create(
	struct flow_worker *w, unsigned id, uint32_t capacity, const struct hash_key *key)
{
	const struct dp_config *config = dp_config();
	uint32_t touched = rte_align32pow2(2 * capacity + 2);

	memset(w, 0, sizeof(*w));
	w->id = id;
	w->workers = config->workers;
	w->half_open_max = RTE_MAX(capacity / 4, 1u);
	w->owner_max = RTE_MAX(capacity / 2, 1u);
	w->owner_half_open_max = RTE_MAX(capacity / 16, 1u);
	w->peers_max = config->max_peers;
	w->rules_max = config->max_rules;
	w->routes_max = config->max_routes;
	w->touched_mask = touched - 1;
	/* never freed: workers live as long as the process; the kernel gives pages when touched */
	w->wheel = take_zeroes(FLOW_WHEEL_SLOTS * sizeof(*w->wheel));
	w->touched = take_zeroes(touched * sizeof(*w->touched));
	w->peers = take_zeroes(w->peers_max * sizeof(*w->peers));
	w->peer_sender = take_zeroes(w->peers_max * sizeof(*w->peer_sender));
	w->rules = take_zeroes(w->rules_max * sizeof(*w->rules));
	w->routes = take_zeroes(w->routes_max * sizeof(*w->routes));
	w->egress = take_zeroes(API_EGRESS_ADDR_MAX * sizeof(*w->egress));
	w->forwards = take_zeroes(API_FORWARD_MAX * sizeof(*w->forwards));
	if (w->wheel == NULL || w->touched == NULL || w->peers == NULL || w->peer_sender == NULL ||
		w->rules == NULL || w->routes == NULL || w->egress == NULL || w->forwards == NULL)
		return -ENOMEM;
	if (nat_worker_create(&w->nat, id, capacity) != 0 ||
		flow_fragments_create(&w->fragments) != 0)
		return -ENOMEM;
	return flow_table_create(&w->table, capacity, key);
}

void flow_worker_destroy(struct flow_worker *w)
{
	munmap(w->wheel, FLOW_WHEEL_SLOTS * sizeof(*w->wheel));
	munmap(w->touched, (w->touched_mask + 1) * sizeof(*w->touched));
	munmap(w->peers, w->peers_max * sizeof(*w->peers));
	munmap(w->peer_sender, w->peers_max * sizeof(*w->peer_sender));
	munmap(w->rules, w->rules_max * sizeof(*w->rules));
	munmap(w->routes, w->routes_max * sizeof(*w->routes));
	munmap(w->egress, API_EGRESS_ADDR_MAX * sizeof(*w->egress));
	munmap(w->forwards, API_FORWARD_MAX * sizeof(*w->forwards));
	nat_worker_destroy(&w->nat);
	flow_fragments_destroy(&w->fragments);
	flow_table_destroy(&w->table);
	memset(w, 0, sizeof(*w));
}

void flow_worker_refresh(struct flow_worker *w, unsigned copy, uint64_t now_ms)
{
	w->copy = copy;
	w->now_ms = now_ms;
	w->generation = judge_generation();
	w->mapped = map_any(copy);
	if (unlikely(w->tick == 0))
		w->tick = now_ms >> FLOW_TICK_SHIFT;
}
