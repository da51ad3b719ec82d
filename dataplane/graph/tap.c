/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/graph/tap.h"

#include <rte_cycles.h>
#include <rte_ring.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/flow.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/worker.h"

enum {
	WORKER_SLOTS = 1024, /* a power of two */
	OTHER_SLOTS = 64,    /* of threads that only drop */
	FRAME_EXTRA = 64,    /* layer-2 headers beyond the MTU */
};

/* One per thread. */
struct tap {
	struct rte_ring *free; /* to the thread */
	struct rte_ring *full; /* to the main thread */
	uint8_t *memory;
	struct tap_slot *head; /* taken from `full`, next to be handed out: the main thread's */
	uint64_t lost;         /* written by the thread only */
	uint64_t lost_before;  /* the capture: the main thread's */
} __rte_cache_aligned;

uint32_t tap_points __rte_cache_aligned;

static struct tap_setup setup;
static struct tap taps[HANDOFF_PRODUCERS];
static uint64_t grace = GRACE_NONE;
static uint16_t room; /* bytes of data in a slot */

/* --- threads that capture --- */

/* bpf_filter() is a loop over forward jumps only: no longer than the program. */
static bool matches(uint8_t link, const uint8_t *data, uint32_t wire, uint32_t length)
{
	return setup.length[link] == 0 || bpf_filter(setup.code[link], data, wire, length) != 0;
}

static struct tap_slot *get_slot(unsigned thread)
{
	struct tap *tap = &taps[thread];
	void *slot;

	if (tap->free == NULL || rte_ring_sc_dequeue(tap->free, &slot) != 0) {
		__atomic_store_n(&tap->lost, tap->lost + 1, __ATOMIC_RELAXED);
		return NULL;
	}
	return slot;
}

static void copy(unsigned thread, struct tap_slot *fields, const struct rte_mbuf *mbuf)
{
	const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint32_t length = rte_pktmbuf_data_len(mbuf);
	struct tap_slot *slot;

	fields->wire = rte_pktmbuf_pkt_len(mbuf);
	if (length == 0 || !matches(fields->link, data, fields->wire, length))
		return;
	slot = get_slot(thread);
	if (slot == NULL)
		return;
	fields->tsc = rte_rdtsc();
	fields->captured = RTE_MIN(length, (uint32_t)setup.snap);
	fields->thread = (uint8_t)thread;
	*slot = *fields;
	memcpy(slot->data, data, slot->captured);
	/* The ring has as many places as there are slots. */
	(void)rte_ring_sp_enqueue(taps[thread].full, slot);
}

void tap_frames(
	unsigned thread, uint32_t point, uint16_t port, struct rte_mbuf *const *mbufs, unsigned n)
{
	/* Pairs with tap_start(): the set-up is there before the flag. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (setup.port != 0 && setup.port != port)
		return;
	for (unsigned i = 0; i < n; i++) {
		struct tap_slot fields = {
			.point = (uint16_t)point, .port = port, .link = API_CAPTURE_ETHERNET};

		copy(thread, &fields, mbufs[i]);
	}
}

static bool is_of_peer(const struct packet *packet)
{
	return setup.peer == 0 || packet->ingress == setup.peer || packet->peer == setup.peer;
}

void tap_packet(unsigned thread, uint32_t point, const struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of((struct rte_mbuf *)(uintptr_t)mbuf);
	struct tap_slot fields = {.point = (uint16_t)point,
		.link = API_CAPTURE_IP,
		.ingress = packet->ingress,
		.peer = packet->peer};

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (setup.peer != 0 &&
		setup.peer != (point == API_CAPTURE_TUNNEL_IN ? packet->ingress : packet->peer))
		return;
	copy(thread, &fields, mbuf);
}

void tap_drop(unsigned thread, uint16_t reason, const struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of((struct rte_mbuf *)(uintptr_t)mbuf);
	/* port_rx strips the Ethernet header last; until then nothing else is filled in. */
	bool frame = packet->l2_len == 0 && packet->family == 0 &&
		     (packet->ingress & API_IDENT_PORT) != 0;
	struct tap_slot fields = {.point = API_CAPTURE_DROP,
		.link = frame ? API_CAPTURE_ETHERNET : API_CAPTURE_IP,
		.reason = reason,
		.port = packet->port_in,
		.ingress = packet->ingress,
		.peer = packet->peer};

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if ((setup.port != 0 && setup.port != packet->port_in) || !is_of_peer(packet))
		return;
	copy(thread, &fields, mbuf);
}

/* --- the main thread --- */

static struct rte_ring *make_ring(unsigned thread, const char *what, unsigned slots)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "tap_%s%u", what, thread);
	return rte_ring_create(
		name, slots, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
}

static void destroy_one(struct tap *tap)
{
	rte_ring_free(tap->free);
	rte_ring_free(tap->full);
	free(tap->memory);
	memset(tap, 0, sizeof(*tap));
}

static int create_one(unsigned thread, unsigned slots)
{
	struct tap *tap = &taps[thread];
	size_t size = RTE_ALIGN_CEIL(sizeof(struct tap_slot) + room, RTE_CACHE_LINE_SIZE);
	uint64_t lost = tap->lost;

	if (tap->memory != NULL)
		return 0;
	tap->memory = aligned_alloc(RTE_CACHE_LINE_SIZE, size * slots);
	tap->full = make_ring(thread, "full", slots);
	tap->free = make_ring(thread, "free", slots);
	if (tap->memory == NULL || tap->full == NULL || tap->free == NULL) {
		destroy_one(tap);
		tap->lost = lost;
		return -ENOMEM;
	}
	for (unsigned i = 0; i < slots; i++)
		(void)rte_ring_sp_enqueue(tap->free, tap->memory + i * size);
	return 0;
}

static int create_all(void)
{
	int rc = 0;

	room = (uint16_t)RTE_MIN(dp_config()->mtu_max + FRAME_EXTRA, (int)API_CAPTURE_SNAP_MAX);
	for (unsigned thread = 0; rc == 0 && thread < HANDOFF_PRODUCERS; thread++) {
		if (thread < dp_config()->workers)
			rc = create_one(thread, WORKER_SLOTS);
		else if (thread >= DP_WORKERS_MAX)
			rc = create_one(thread, OTHER_SLOTS);
	}
	return rc;
}

bool tap_is_idle(void)
{
	if ((tap_points & API_CAPTURE_POINTS) != 0)
		return false;
	if (grace != GRACE_NONE && grace_over(grace))
		grace = GRACE_NONE;
	return grace == GRACE_NONE;
}

int tap_start(const struct tap_setup *wanted)
{
	struct tap_slot *left;
	int rc;

	if (!tap_is_idle())
		return -EBUSY;
	/* Rings are made here, while no thread looks at them, and stay for the next capture. */
	rc = create_all();
	if (rc != 0)
		return rc;
	while ((left = tap_take()) != NULL)
		tap_give(left);
	for (unsigned thread = 0; thread < HANDOFF_PRODUCERS; thread++)
		taps[thread].lost_before = taps[thread].lost;
	setup = *wanted;
	setup.snap = RTE_MIN(setup.snap, room);
	__atomic_store_n(&tap_points, (tap_points & TAP_FOLLOW) | wanted->points, __ATOMIC_RELEASE);
	return 0;
}

void tap_stop(void)
{
	if ((tap_points & API_CAPTURE_POINTS) == 0)
		return;
	__atomic_store_n(&tap_points, tap_points & TAP_FOLLOW, __ATOMIC_RELEASE);
	grace = grace_start();
}

void tap_follow(bool on)
{
	__atomic_store_n(&tap_points, (tap_points & API_CAPTURE_POINTS) | (on ? TAP_FOLLOW : 0),
		__ATOMIC_RELEASE);
}

struct tap_slot *tap_take(void)
{
	struct tap *oldest = NULL;
	struct tap_slot *slot;

	for (unsigned thread = 0; thread < HANDOFF_PRODUCERS; thread++) {
		struct tap *tap = &taps[thread];
		void *next;

		if (tap->full == NULL)
			continue;
		if (tap->head == NULL && rte_ring_sc_dequeue(tap->full, &next) == 0)
			tap->head = next;
		if (tap->head != NULL && (oldest == NULL || tap->head->tsc < oldest->head->tsc))
			oldest = tap;
	}
	if (oldest == NULL)
		return NULL;
	slot = oldest->head;
	oldest->head = NULL;
	return slot;
}

void tap_give(struct tap_slot *slot)
{
	(void)rte_ring_sp_enqueue(taps[slot->thread].free, slot);
}

uint64_t tap_lost(void)
{
	uint64_t lost = 0;

	for (unsigned thread = 0; thread < HANDOFF_PRODUCERS; thread++)
		lost += __atomic_load_n(&taps[thread].lost, __ATOMIC_RELAXED) -
			taps[thread].lost_before;
	return lost;
}

void tap_destroy(void)
{
	tap_points = 0;
	grace = GRACE_NONE;
	for (unsigned thread = 0; thread < HANDOFF_PRODUCERS; thread++)
		destroy_one(&taps[thread]);
}
