/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A record is free, or of a packet whose peer has not shown yet (all packets get one, and most are
 * somebody else's), or of one of those that were asked for; these last until the main thread has
 * taken them.
 */
#include "dataplane/graph/follow.h"

#include <rte_cycles.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/addr.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/worker.h"

enum {
	RECORDS = 512, /* of a worker */
	RECORD_BITS = 9,
	PLACE_BITS = 16, /* of a tag: worker and record; above them the passage */
	TRIES = 16,      /* records looked at for a free one */
};

_Static_assert(DP_WORKERS_MAX << RECORD_BITS <= 1 << PLACE_BITS, "a place fits");
_Static_assert(sizeof(struct packet) + sizeof(uint64_t) <= PACKET_PRIVATE_SIZE, "room for a tag");

enum state {
	CANDIDATE, /* free, or whose packet it is has not shown */
	MATCHED,
	TELLING, /* its packet waits: the main thread takes it once those have done who write */
	TAKEN,   /* the main thread has had it */
};

struct follow_record {
	_Atomic uint64_t tag; /* of the packet that it is about; 0 = its way has ended */
	_Atomic uint32_t pins;
	_Atomic uint8_t state; /* enum state */
	uint8_t end;           /* enum api_trace_end */
	uint8_t stages;
	uint8_t proto;
	uint16_t reason, port;
	uint16_t sport, dport;
	uint32_t ingress, peer;
	uint64_t first_tsc;
	_Atomic uint64_t last_tsc; /* of the last stage; read by the main thread at any time */
	struct addr src, dst;
	struct api_trace_stage stage[API_TRACE_STAGES];
};

/* Of one worker; written by it. */
static struct shelf {
	struct follow_record *records;
	uint64_t passage; /* of the last packet that came in; goes on from trace to trace */
	unsigned next;
} __rte_cache_aligned shelves[DP_WORKERS_MAX];

static uint32_t wanted, wanted_peer;
static _Atomic uint32_t followed; /* of `wanted` */
static uint64_t wait_cycles;
static double ns_per_cycle;
static unsigned looked_at; /* the record that the main thread looks at next */

/* Behind struct packet, so that clearing that leaves it alone. */
static uint64_t *tag_of(struct rte_mbuf *mbuf)
{
	return (uint64_t *)(void *)((uint8_t *)rte_mbuf_to_priv(mbuf) + PACKET_PRIVATE_SIZE -
				    sizeof(uint64_t));
}

static struct follow_record *record_of(struct rte_mbuf *mbuf)
{
	uint64_t tag = *tag_of(mbuf), place = tag & ((1U << PLACE_BITS) - 1);
	struct follow_record *record;

	if (tag == 0 || place >= DP_WORKERS_MAX << RECORD_BITS ||
		shelves[place >> RECORD_BITS].records == NULL)
		return NULL;
	record = &shelves[place >> RECORD_BITS].records[place & (RECORDS - 1)];
	return atomic_load_explicit(&record->tag, memory_order_acquire) == tag ? record : NULL;
}

static uint8_t state_of(const struct follow_record *record)
{
	return atomic_load_explicit(&record->state, memory_order_acquire);
}

/* The record stays until it is unpinned. False: it is the main thread's. */
static bool pin(struct follow_record *record)
{
	/* Pairs with take(): that sees the pin, or what it has set is seen here. */
	atomic_fetch_add_explicit(&record->pins, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&record->state, memory_order_seq_cst) < TELLING)
		return true;
	atomic_fetch_sub_explicit(&record->pins, 1, memory_order_release);
	return false;
}

static void unpin(struct follow_record *record)
{
	atomic_fetch_sub_explicit(&record->pins, 1, memory_order_release);
}

static void forget_tag(struct follow_record *record)
{
	atomic_store_explicit(&record->tag, 0, memory_order_release);
}

static bool is_free(const struct follow_record *record)
{
	return atomic_load_explicit(&record->tag, memory_order_acquire) == 0 &&
	       atomic_load_explicit(&record->pins, memory_order_acquire) == 0 &&
	       (state_of(record) == CANDIDATE || state_of(record) == TAKEN);
}

static struct follow_record *free_record(struct shelf *shelf, unsigned *slot)
{
	for (unsigned i = 0; i < TRIES; i++) {
		*slot = shelf->next++ & (RECORDS - 1);
		if (is_free(&shelf->records[*slot]))
			return &shelf->records[*slot];
	}
	return NULL;
}

static uint8_t add_stage(struct follow_record *record, const struct follow_call *call)
{
	double at_ns = (double)(call->begin - record->first_tsc) * ns_per_cycle;

	atomic_store_explicit(&record->last_tsc, call->begin, memory_order_relaxed);
	if (record->stages == API_TRACE_STAGES)
		return API_TRACE_STAGES;
	record->stage[record->stages] = (struct api_trace_stage){.node = call->row,
		.worker = (uint8_t)call->worker,
		.burst = call->burst,
		.at_ns = at_ns < UINT32_MAX ? (uint32_t)at_ns : UINT32_MAX};
	return record->stages++;
}

void follow_begin(struct rte_mbuf *mbuf, const struct follow_call *call, uint32_t cycles)
{
	struct shelf *shelf = &shelves[call->worker];
	struct follow_record *record;
	unsigned slot;

	*tag_of(mbuf) = 0;
	if (atomic_load_explicit(&followed, memory_order_relaxed) >= wanted)
		return;
	record = free_record(shelf, &slot);
	if (record == NULL)
		return;
	record->stages = 0;
	record->end = API_TRACE_UNTOLD;
	record->reason = record->port = 0;
	record->ingress = record->peer = 0;
	record->first_tsc = call->begin;
	record->stage[add_stage(record, call)].cycles = cycles;
	atomic_store_explicit(&record->state, CANDIDATE, memory_order_relaxed);
	*tag_of(mbuf) = ++shelf->passage << PLACE_BITS | call->worker << RECORD_BITS | slot;
	atomic_store_explicit(&record->tag, *tag_of(mbuf), memory_order_release);
}

static void describe(struct follow_record *record, struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of(mbuf);
	const uint8_t *ip = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint32_t length = rte_pktmbuf_data_len(mbuf);

	memset(&record->src, 0, sizeof(record->src));
	memset(&record->dst, 0, sizeof(record->dst));
	record->proto = packet->proto;
	record->sport = packet->sport;
	record->dport = packet->dport;
	if (packet->family == ADDR_V4 && length >= 20) {
		record->src.family = record->dst.family = ADDR_V4;
		memcpy(record->src.bytes, ip + 12, 4);
		memcpy(record->dst.bytes, ip + 16, 4);
	} else if (packet->family == ADDR_V6 && length >= 40) {
		record->src.family = record->dst.family = ADDR_V6;
		memcpy(record->src.bytes, ip + 8, 16);
		memcpy(record->dst.bytes, ip + 24, 16);
	}
}

/* Whether the packet is one of those asked for. One that is on its way to somebody else need not be
 * followed any longer: packets may wait long, and records are few. */
static void match(struct follow_record *record, struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of(mbuf);

	if (wanted_peer != 0 && packet->ingress != wanted_peer && packet->peer != wanted_peer) {
		if (packet->peer != 0)
			forget_tag(record);
		return;
	}
	if (atomic_fetch_add_explicit(&followed, 1, memory_order_relaxed) >= wanted) {
		atomic_fetch_sub_explicit(&followed, 1, memory_order_relaxed);
		forget_tag(record);
		return;
	}
	describe(record, mbuf);
	atomic_store_explicit(&record->state, MATCHED, memory_order_release);
}

static void look_at(struct follow_record *record, struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of(mbuf);

	record->ingress = packet->ingress;
	if (packet->peer != 0)
		record->peer = packet->peer;
	if (state_of(record) == CANDIDATE)
		match(record, mbuf);
}

bool follow_is(struct rte_mbuf *mbuf)
{
	return record_of(mbuf) != NULL;
}

bool follow_enter(struct rte_mbuf *mbuf, const struct follow_call *call, struct follow_mark *mark)
{
	struct follow_record *record = record_of(mbuf);

	if (record == NULL || !pin(record))
		return false;
	look_at(record, mbuf);
	mark->record = record;
	mark->stage = add_stage(record, call);
	return true;
}

void follow_leave(const struct follow_mark *mark, uint32_t cycles)
{
	if (mark->stage < API_TRACE_STAGES)
		mark->record->stage[mark->stage].cycles = cycles;
	unpin(mark->record);
}

void follow_end(struct rte_mbuf *const *mbufs, unsigned n, enum api_trace_end end, uint16_t detail)
{
	for (unsigned i = 0; i < n; i++) {
		struct follow_record *record = record_of(mbufs[i]);

		bool pinned = record != NULL && pin(record);

		if (record == NULL)
			continue;
		if (pinned) {
			look_at(record, mbufs[i]);
			record->end = (uint8_t)end;
			*(end == API_TRACE_DROPPED ? &record->reason : &record->port) = detail;
		}
		forget_tag(record);
		if (pinned)
			unpin(record);
	}
}

void follow_sending(struct rte_mbuf *const *mbufs, unsigned n, struct follow_record *records[])
{
	for (unsigned i = 0; i < n; i++) {
		struct follow_record *record = record_of(mbufs[i]);

		records[i] = record != NULL && pin(record) ? record : NULL;
		if (record != NULL)
			forget_tag(record);
	}
}

void follow_sent(
	struct follow_record *records[], unsigned n, unsigned sent, uint16_t port, uint16_t reason)
{
	for (unsigned i = 0; i < n; i++) {
		if (records[i] == NULL)
			continue;
		records[i]->port = port;
		records[i]->reason = i < sent ? 0 : reason;
		records[i]->end = i < sent ? API_TRACE_SENT : API_TRACE_DROPPED;
		unpin(records[i]);
	}
}

/* --- the main thread --- */

int follow_start(uint32_t peer, uint32_t count)
{
	for (unsigned worker = 0; worker < dp_config()->workers; worker++) {
		free(shelves[worker].records);
		shelves[worker].records = calloc(RECORDS, sizeof(struct follow_record));
		if (shelves[worker].records == NULL)
			return -ENOMEM;
	}
	ns_per_cycle = 1e9 / (double)rte_get_tsc_hz();
	wait_cycles = rte_get_tsc_hz() / 1000 * API_TRACE_WAIT_MS;
	wanted_peer = peer;
	wanted = count;
	atomic_store(&followed, 0);
	looked_at = 0;
	tap_follow(true);
	return 0;
}

void follow_stop(void)
{
	tap_follow(false);
}

static void fill(const struct follow_record *record, struct api_trace_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	entry->header.type = API_TRACE_ENTRY;
	entry->header.length = sizeof(*entry);
	entry->time_ns = clock_unix_ns(record->first_tsc);
	entry->ingress = record->ingress;
	entry->peer = record->peer;
	entry->src = record->src;
	entry->dst = record->dst;
	entry->sport = record->sport;
	entry->dport = record->dport;
	entry->proto = record->proto;
	entry->stages = record->stages;
	entry->reason = record->reason;
	entry->end = record->end;
	entry->port = record->port;
	entry->hz_mhz = (uint32_t)(rte_get_tsc_hz() / 1000000);
	memcpy(entry->stage, record->stage, sizeof(entry->stage));
}

static bool has_waited(const struct follow_record *record)
{
	uint64_t last = atomic_load_explicit(&record->last_tsc, memory_order_relaxed);

	/* Another worker's clock may be a little ahead: that is no age at all. */
	return (int64_t)(rte_rdtsc() - last) > (int64_t)wait_cycles;
}

/* A packet that waits may go on at any moment: from TELLING on nobody begins to write. */
static bool is_ripe(struct follow_record *record)
{
	if (state_of(record) == MATCHED &&
		atomic_load_explicit(&record->tag, memory_order_acquire) != 0 && has_waited(record))
		atomic_store_explicit(&record->state, TELLING, memory_order_seq_cst);
	if (state_of(record) == MATCHED)
		return atomic_load_explicit(&record->tag, memory_order_acquire) == 0;
	return state_of(record) == TELLING;
}

static bool take(struct follow_record *record, struct api_trace_entry *entry)
{
	if (!is_ripe(record) || atomic_load_explicit(&record->pins, memory_order_seq_cst) != 0)
		return false;
	fill(record, entry);
	if (entry->end == API_TRACE_UNTOLD)
		entry->end = API_TRACE_WAITS;
	atomic_store_explicit(&record->state, TAKEN, memory_order_release);
	return true;
}

bool follow_take(struct api_trace_entry *entry)
{
	unsigned total = dp_config()->workers * RECORDS;

	for (unsigned i = 0; i < total; i++) {
		unsigned at = looked_at++ % total;
		struct follow_record *records = shelves[at / RECORDS].records;

		if (records != NULL && take(&records[at % RECORDS], entry))
			return true;
	}
	return false;
}

void follow_destroy(void)
{
	tap_follow(false);
	for (unsigned worker = 0; worker < DP_WORKERS_MAX; worker++) {
		free(shelves[worker].records);
		shelves[worker].records = NULL;
	}
}
