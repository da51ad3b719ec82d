/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Neighbours. A neighbour's id (its adjacency) is the same in both copies of the map and is what
 * flows and tunnels keep; its MAC address is one atomic word, so that a change of the MAC needs no
 * new judgement. Ids are given here on the main thread and freed one grace period after the
 * neighbour has left the map.
 *
 * Wanted neighbours: readers put (port, address) into a bounded ring, the main thread thins them
 * out and tells the control process, which has the kernel resolve them.
 */
#include <assert.h>
#include <errno.h>
#include <rte_common.h>
#include <rte_errno.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "common/api/port.h"
#include "dataplane/main/session.h"
#include "dataplane/main/worker.h"
#include "dataplane/route/addr_map.h"
#include "dataplane/route/route.h"
#include "dataplane/route/route_priv.h"

enum {
	COPIES = 2,
	WANTED_RING = 256,
	WANTED_RECENT = 64,     /* addresses remembered so as not to ask again at once */
	WANTED_AGAIN_MS = 1000, /* after which an address may be asked for again */
};

#define MAC_VALID (UINT64_C(1) << 63)

struct neigh_slot {
	struct addr addr; /* family ADDR_NONE = slot is free */
	uint16_t port;
	bool seen; /* mentioned in the full transaction under way */
	uint32_t next_free;
};

struct wanted {
	struct addr addr;
	uint32_t port;
};

static struct rte_hash *maps[COPIES]; /* (addr, port) -> id */
static struct neigh_slot slots[NEIGH_MAX + 1];
static uint32_t slots_high;
static uint32_t slots_free;
static uint32_t slots_used;

/* MAC_VALID and six bytes; written by the main thread, read by all. */
static _Atomic uint64_t macs[NEIGH_MAX + 1];

static struct rte_ring *wanted_ring;
static struct {
	struct wanted wanted;
	uint64_t asked_ms;
} recent[WANTED_RECENT];

int neigh_init(void)
{
	int error = 0;

	maps[0] = addr_map_create("neigh_a", NEIGH_MAX, &error);
	maps[1] = addr_map_create("neigh_b", NEIGH_MAX, &error);
	if (maps[0] == NULL || maps[1] == NULL)
		return error;
	wanted_ring = rte_ring_create_elem(
		"neigh_wanted", sizeof(struct wanted), WANTED_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
	return wanted_ring != NULL ? 0 : -rte_errno;
}

void neigh_begin(unsigned copy, enum handler_pass pass)
{
	rte_hash_reset(maps[copy]);
	if (pass == HANDLER_SHADOW) {
		for (uint32_t id = 1; id <= slots_high; id++)
			slots[id].seen = false;
	}
}

uint32_t neigh_room(void)
{
	/* Ids of neighbours that a full transaction drops are freed only after it. */
	return NEIGH_MAX - slots_used;
}

bool neigh_known(const struct api_neigh_set *set)
{
	uint32_t id;

	return addr_map_get(maps[tables_active()], &set->addr, set->port, &id);
}

static int key_validate(const struct addr *addr, uint16_t port, uint32_t *detail)
{
	_Static_assert(
		offsetof(struct api_neigh_set, addr) == offsetof(struct api_neigh_del, addr), "");
	_Static_assert(
		offsetof(struct api_neigh_set, port) == offsetof(struct api_neigh_del, port), "");
	if (!addr_is_valid(addr)) {
		*detail = offsetof(struct api_neigh_set, addr);
		return API_E_VALUE;
	}
	if (port == 0 || port >= API_PORT_MAX) {
		*detail = offsetof(struct api_neigh_set, port);
		return API_E_VALUE;
	}
	return API_OK;
}

int neigh_set_validate(const void *message, uint32_t *detail)
{
	const struct api_neigh_set *set = message;

	return key_validate(&set->addr, set->port, detail);
}

int neigh_del_validate(const void *message, uint32_t *detail)
{
	const struct api_neigh_del *del = message;

	return key_validate(&del->addr, del->port, detail);
}

static uint32_t slot_take(const struct addr *addr, uint16_t port)
{
	uint32_t id = slots_free;

	if (id != 0)
		slots_free = slots[id].next_free;
	else
		id = ++slots_high;
	assert(id <= NEIGH_MAX); /* the transaction reserved room */
	slots[id] = (struct neigh_slot){.addr = *addr, .port = port};
	slots_used++;
	return id;
}

static void slot_give(uint32_t id)
{
	atomic_store_explicit(&macs[id], 0, memory_order_relaxed);
	slots[id] = (struct neigh_slot){.next_free = slots_free};
	slots_free = id;
	slots_used--;
}

void neigh_set_apply(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_neigh_set *set = message;
	uint64_t mac = MAC_VALID;
	uint32_t id;

	if (!addr_map_get(maps[copy], &set->addr, set->port, &id) &&
		!addr_map_get(maps[!copy], &set->addr, set->port, &id))
		id = slot_take(&set->addr, set->port);
	addr_map_set(maps[copy], &set->addr, set->port, id);
	slots[id].seen = true;
	memcpy(&mac, set->mac,
		sizeof(set->mac)); /* little endian: the flag stays in the top byte */
	atomic_store_explicit(&macs[id], mac, memory_order_relaxed);
}

void neigh_del_apply(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_neigh_del *del = message;
	uint32_t id;

	if (!addr_map_get(maps[copy], &del->addr, del->port, &id))
		return;
	addr_map_remove(maps[copy], &del->addr, del->port);
	/* In the last pass nobody can find the id any more, unless the transaction set it anew. */
	if (pass == HANDLER_CATCH_UP && !addr_map_get(maps[!copy], &del->addr, del->port, &id))
		slot_give(id);
}

void neigh_sweep(void)
{
	for (uint32_t id = 1; id <= slots_high; id++) {
		if (slots[id].addr.family != ADDR_NONE && !slots[id].seen)
			slot_give(id);
	}
}

uint32_t neigh_find(unsigned copy, uint16_t port, const struct addr *addr)
{
	struct wanted wanted = {.addr = *addr, .port = port};
	uint32_t id;

	if (addr_map_get(maps[copy], addr, port, &id))
		return id;
	/* Full means that enough are being asked for already. */
	rte_ring_mp_enqueue_elem(wanted_ring, &wanted, sizeof(wanted));
	return 0;
}

bool neigh_mac(uint32_t adjacency, struct rte_ether_addr *mac)
{
	uint64_t value = atomic_load_explicit(&macs[adjacency], memory_order_relaxed);

	memcpy(mac->addr_bytes, &value, sizeof(mac->addr_bytes));
	return (value & MAC_VALID) != 0;
}

static bool asked_lately(const struct wanted *wanted, uint64_t now_ms)
{
	unsigned oldest = 0;

	for (unsigned i = 0; i < WANTED_RECENT; i++) {
		if (memcmp(&recent[i].wanted, wanted, sizeof(*wanted)) == 0 &&
			now_ms < recent[i].asked_ms + WANTED_AGAIN_MS)
			return true;
		if (recent[i].asked_ms < recent[oldest].asked_ms)
			oldest = i;
	}
	recent[oldest].wanted = *wanted;
	recent[oldest].asked_ms = now_ms;
	return false;
}

void neigh_housekeep(uint64_t now_ms)
{
	struct wanted wanted;

	for (unsigned i = 0; i < WANTED_RING; i++) {
		if (rte_ring_sc_dequeue_elem(wanted_ring, &wanted, sizeof(wanted)) != 0)
			return;
		if (asked_lately(&wanted, now_ms))
			continue;
		struct api_event_neigh event = {
			.header = {.type = API_EVENT_NEIGH, .length = sizeof(event)},
			.addr = wanted.addr,
			.port = (uint16_t)wanted.port,
		};

		/* Lost without a controller; the next packet asks again. */
		(void)!session_event(&event);
	}
}
