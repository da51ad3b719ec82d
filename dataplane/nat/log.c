/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log of port blocks: who had which 64 ports of an egress address, from when to when. Workers
 * put an entry per block, not per flow, into a ring each; the main thread sends them on as events,
 * and keeps them in the rings while no controller is there. A new controller, or one that lost
 * entries, is told all that holds: first what is in the rings, then every block in use. What it
 * is told twice it recognises by the block and its user.
 *
 * A ring holds RING_ENTRIES; beyond that entries are lost, counted, and made good by telling all.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <netinet/in.h>

#include <rte_common.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "common/api/egress.h"
#include "common/api/table.h"
#include "dataplane/main/session.h"
#include "dataplane/main/worker.h"
#include "dataplane/nat/nat_priv.h"

enum {
	RING_ENTRIES = 16384, /* a power of two */
	EVENTS_MAX = 512,     /* of one round */
};

struct nat_log_entry {
	struct addr addr;
	uint8_t kind, class;
	uint16_t number;
	uint32_t subscriber;
	uint32_t zero;
	uint64_t at_ms; /* monotonic */
};

_Static_assert(sizeof(struct nat_log_entry) % 4 == 0, "as rings want it");

static struct rte_ring *rings[DP_WORKERS_MAX];
static _Atomic uint64_t lost; /* by workers; read by the main thread */

/* The main thread's: how far a controller has been told all that holds. */
static struct {
	uint64_t connection; /* told, or being told; 0 = none */
	uint64_t lost;       /* when telling began */
	bool telling;
	uint32_t serial; /* of the address being told; 0 = not begun */
	uint32_t next;   /* block of it, over all classes */
} told;

int nat_log_create(struct nat_ports *ports)
{
	ssize_t size = rte_ring_get_memsize_elem(sizeof(struct nat_log_entry), RING_ENTRIES);

	ports->log = size < 0 ? NULL
			      : aligned_alloc(RTE_CACHE_LINE_SIZE,
					RTE_ALIGN_CEIL((size_t)size, RTE_CACHE_LINE_SIZE));
	if (ports->log == NULL || rte_ring_init(ports->log, "nat_log", RING_ENTRIES,
					  RING_F_SP_ENQ | RING_F_SC_DEQ) != 0)
		return -ENOMEM;
	rings[ports->worker] = ports->log;
	return 0;
}

void nat_log_destroy(struct nat_ports *ports)
{
	if (rings[ports->worker] == ports->log)
		rings[ports->worker] = NULL;
	free(ports->log);
	ports->log = NULL;
}

void nat_log_put(struct nat_ports *ports, const struct nat_address *address, int class,
	uint32_t number, unsigned kind, uint32_t subscriber)
{
	const struct worker *worker = worker_self();
	struct nat_log_entry entry = {
		.addr = address->addr,
		.kind = (uint8_t)kind,
		.class = (uint8_t) class,
		.number = (uint16_t)number,
		.subscriber = subscriber,
		.at_ms = worker == NULL ? 0 : worker->now_ms,
	};

	if (kind == API_BLOCK_TAKEN) {
		struct nat_block *block = (struct nat_block *)&address->block[class][number];

		__atomic_store_n(&block->subscriber, subscriber, __ATOMIC_RELAXED);
		__atomic_store_n(&block->taken_s, (uint32_t)(entry.at_ms / 1000), __ATOMIC_RELAXED);
	}
	if (rte_ring_sp_enqueue_elem(ports->log, &entry, sizeof(entry)) != 0)
		lost++; /* rare, and then all is told anew */
}

static uint64_t unix_ms(uint64_t at_ms)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 - (clock_ms() - at_ms);
}

static void tell(const struct nat_log_entry *entry)
{
	static const uint8_t protocols[NAT_CLASSES] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
	struct api_event_block event;

	api_message_init(&event, API_EVENT_BLOCK, sizeof(event));
	event.addr = entry->addr;
	event.port_first = (uint16_t)(entry->number * NAT_BLOCK_PORTS);
	event.kind = entry->kind;
	event.proto = protocols[entry->class];
	event.subscriber = entry->subscriber;
	event.at_ms = unix_ms(entry->at_ms);
	(void)!session_event(&event); /* it is ready: the caller has asked */
}

static void send_mark(unsigned kind)
{
	struct api_event_block event;

	api_message_init(&event, API_EVENT_BLOCK, sizeof(event));
	event.kind = (uint8_t)kind;
	event.at_ms = unix_ms(clock_ms());
	(void)!session_event(&event);
}

/* What workers have put; false if there may be more. */
static bool send_entries(unsigned *left)
{
	struct nat_log_entry entry;

	for (unsigned i = 0; i < DP_WORKERS_MAX; i++) {
		while (rings[i] != NULL && rte_ring_count(rings[i]) > 0) {
			if (*left == 0 || !session_event_ready())
				return false;
			if (rte_ring_sc_dequeue_elem(rings[i], &entry, sizeof(entry)) != 0)
				break;
			tell(&entry);
			(*left)--;
		}
	}
	return true;
}

/* Blocks in use of the address being told; false if there is no room for more. */
static bool send_held(const struct nat_address *address, unsigned *left)
{
	for (; told.next < NAT_CLASSES * NAT_BLOCKS; told.next++) {
		unsigned class = told.next / NAT_BLOCKS, number = told.next % NAT_BLOCKS;
		const struct nat_block *block = &address->block[class][number];
		struct nat_log_entry entry = {
			.addr = address->addr,
			.kind = API_BLOCK_HELD,
			.class = (uint8_t) class,
			.number = (uint16_t)number,
		};

		if (__atomic_load_n(&address->owner[class][number], __ATOMIC_ACQUIRE) == 0)
			continue;
		if (*left == 0 || !session_event_ready())
			return false;
		entry.subscriber = __atomic_load_n(&block->subscriber, __ATOMIC_RELAXED);
		entry.at_ms = (uint64_t)__atomic_load_n(&block->taken_s, __ATOMIC_RELAXED) * 1000;
		tell(&entry);
		(*left)--;
	}
	return true;
}

static void send_all(unsigned *left)
{
	const struct nat_address *address;

	if (told.serial == 0) {
		if (!session_event_ready())
			return;
		send_mark(API_BLOCK_SYNC_BEGIN);
		address = nat_address_after(0);
	} else {
		address = nat_address_after(told.serial - 1);
	}
	if (address != NULL) {
		if (told.serial != address->serial)
			told.next = 0; /* the one before is gone */
		told.serial = address->serial;
		if (!send_held(address, left))
			return;
		told.next = 0;
		told.serial++;
		if (nat_address_after(told.serial - 1) != NULL)
			return; /* one address a round */
	}
	if (!session_event_ready())
		return;
	send_mark(API_BLOCK_SYNC_END);
	told.telling = false;
}

void nat_log_housekeep(void)
{
	unsigned left = EVENTS_MAX;
	uint64_t connection = session_connection();

	if (connection == 0)
		return;
	if (connection != told.connection || (!told.telling && lost != told.lost)) {
		told.connection = connection;
		told.lost = lost;
		told.telling = true;
		told.serial = 0;
	}
	if (send_entries(&left) && told.telling)
		send_all(&left);
}
