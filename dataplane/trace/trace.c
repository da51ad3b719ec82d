/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/trace/trace.h"

#include <rte_cycles.h>
#include <rte_graph.h>
#include <rte_graph_worker.h>
#include <rte_mbuf.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/addr.h"
#include "dataplane/graph/graph.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/worker.h"

enum {
	RECORDS = 512, /* per worker: nine bits of a tag */
	RECORD_BITS = 9,
	NODES_MAX = 128,
	EDGES_MAX = 64,
	MARKS_MAX = 64, /* packets of one call that are followed */
	TRIES = 16,     /* records looked at for one that may be used again */
	ENDED_MS = 100, /* since the last stage */
	STALE_MS = 3000,
};

enum state {
	UNUSED,
	CANDIDATE, /* whose packet it is has not shown yet */
	MATCHED,
	TAKEN, /* the main thread has it: nobody writes any more */
};

struct record {
	uint8_t state; /* enum state */
	uint8_t stages;
	uint8_t proto;
	uint8_t worker;
	uint16_t reason;
	uint16_t sport, dport;
	uint32_t ingress, peer;
	const struct rte_mbuf *mbuf;
	uint64_t first_tsc, last_tsc;
	struct addr src, dst;
	struct api_trace_stage stage[API_TRACE_STAGES];
};

/* Of one worker. */
struct tracer {
	rte_node_process_t original[NODES_MAX]; /* by node id; constant while wrapped */
	uint8_t row[NODES_MAX];
	uint8_t kind[NODES_MAX]; /* enum kind */
	struct record *records;
	unsigned next;
} __rte_cache_aligned;

enum kind {
	KIND_OTHER,
	KIND_ENTRY,  /* port_rx: gives tags */
	KIND_SOURCE, /* other sources: packets may have one already */
	KIND_DROP,
};

/* The packet's stage and where its cycles go once they are known. */
struct mark {
	struct record *record;
	uint8_t stage;
};

static struct tracer tracers[DP_WORKERS_MAX];
static uint32_t wanted;   /* packets of this trace; 0 = no trace. Written by the main thread */
static uint32_t followed; /* workers add to it */
static uint32_t wanted_peer;
static uint64_t grace = GRACE_NONE;
static uint64_t ended_cycles, stale_cycles;
static unsigned looked_at; /* record that the main thread looks at next */

_Static_assert(sizeof(struct packet) + sizeof(uint16_t) <= PACKET_PRIVATE_SIZE, "room for a tag");

/* Behind struct packet, so that clearing that leaves it alone. */
static uint16_t *tag_of(struct rte_mbuf *mbuf)
{
	return (uint16_t *)(void *)((uint8_t *)rte_mbuf_to_priv(mbuf) + PACKET_PRIVATE_SIZE -
				    sizeof(uint16_t));
}

static struct record *record_of(struct rte_mbuf *mbuf)
{
	unsigned tag = *tag_of(mbuf), worker;
	struct record *record;

	if (tag == 0 || tag > DP_WORKERS_MAX << RECORD_BITS)
		return NULL;
	worker = (tag - 1) >> RECORD_BITS;
	if (tracers[worker].records == NULL)
		return NULL;
	record = &tracers[worker].records[(tag - 1) & (RECORDS - 1)];
	/* A tag of the buffer's earlier life. */
	if (record->mbuf != mbuf || rte_rdtsc() - record->last_tsc > stale_cycles)
		return NULL;
	return record;
}

static uint8_t state_of(const struct record *record)
{
	return __atomic_load_n(&record->state, __ATOMIC_ACQUIRE);
}

static void add_stage(struct record *record, struct mark *mark, uint8_t row, unsigned worker,
	uint16_t burst, uint64_t begin)
{
	struct api_trace_stage *stage;

	mark->record = record;
	mark->stage = API_TRACE_STAGES;
	record->last_tsc = begin;
	if (record->stages == API_TRACE_STAGES)
		return;
	mark->stage = record->stages;
	stage = &record->stage[record->stages++];
	*stage = (struct api_trace_stage){.node = row,
		.worker = (uint8_t)worker,
		.burst = burst,
		/* cycles here; the main thread makes nanoseconds of them */
		.at_ns = (uint32_t)(begin - record->first_tsc)};
}

/* A record for a packet that has just come in. */
static struct record *begin_record(unsigned worker, struct rte_mbuf *mbuf, uint64_t begin)
{
	struct tracer *tracer = &tracers[worker];

	*tag_of(mbuf) = 0;
	for (unsigned i = 0; i < TRIES; i++) {
		unsigned slot = tracer->next++ & (RECORDS - 1);
		struct record *record = &tracer->records[slot];

		if (state_of(record) == MATCHED)
			continue;
		record->stages = 0;
		record->reason = 0;
		record->mbuf = mbuf;
		record->worker = (uint8_t)worker;
		record->first_tsc = begin;
		__atomic_store_n(&record->state, CANDIDATE, __ATOMIC_RELEASE);
		*tag_of(mbuf) = (uint16_t)((worker << RECORD_BITS | slot) + 1);
		return record;
	}
	return NULL;
}

static void describe(struct record *record, struct rte_mbuf *mbuf)
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

static void match(struct record *record, struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of(mbuf);

	if (wanted_peer != 0 && packet->ingress != wanted_peer && packet->peer != wanted_peer)
		return;
	if (__atomic_load_n(&followed, __ATOMIC_RELAXED) >= wanted ||
		__atomic_fetch_add(&followed, 1, __ATOMIC_RELAXED) >= wanted)
		return;
	describe(record, mbuf);
	__atomic_store_n(&record->state, MATCHED, __ATOMIC_RELEASE);
}

static unsigned enter(unsigned worker, const struct rte_node *node, void **objs, uint16_t n,
	uint64_t begin, struct mark marks[MARKS_MAX])
{
	const struct tracer *tracer = &tracers[worker];
	unsigned count = 0;

	for (uint16_t i = 0; i < n && count < MARKS_MAX; i++) {
		struct record *record = record_of(objs[i]);
		const struct packet *packet = packet_of(objs[i]);

		if (record == NULL || state_of(record) == TAKEN || state_of(record) == UNUSED)
			continue;
		record->ingress = packet->ingress;
		if (packet->peer != 0)
			record->peer = packet->peer;
		if (state_of(record) == CANDIDATE) {
			record->peer = packet->peer;
			match(record, objs[i]);
		}
		add_stage(record, &marks[count++], tracer->row[node->id], worker, n, begin);
		if (tracer->kind[node->id] != KIND_DROP)
			continue;
		record->reason = packet->drop;
		*tag_of(objs[i]) = 0; /* the buffer may be another packet's at once */
	}
	return count;
}

/* What a source has just put before the other nodes. */
static void mark_new(unsigned worker, struct rte_node *node, const uint16_t *before, uint16_t n,
	uint64_t begin, uint64_t cycles)
{
	const struct tracer *tracer = &tracers[worker];
	bool entry = tracer->kind[node->id] == KIND_ENTRY;

	for (rte_edge_t edge = 0; edge < node->nb_edges && edge < EDGES_MAX; edge++) {
		struct rte_node *next = node->nodes[edge];

		for (uint16_t i = before[edge]; i < next->idx; i++) {
			struct record *record = entry ? NULL : record_of(next->objs[i]);
			struct mark mark;

			if (record == NULL || state_of(record) == TAKEN)
				record = begin_record(worker, next->objs[i], begin);
			if (record == NULL)
				continue;
			add_stage(record, &mark, tracer->row[node->id], worker, n, begin);
			if (mark.stage < API_TRACE_STAGES)
				record->stage[mark.stage].cycles = (uint32_t)cycles;
		}
	}
}

static uint16_t process_source(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	unsigned worker = worker_self()->id;
	uint16_t before[EDGES_MAX], done;
	uint64_t begin = rte_rdtsc(), cycles;

	for (rte_edge_t edge = 0; edge < node->nb_edges && edge < EDGES_MAX; edge++)
		before[edge] = node->nodes[edge]->idx;
	done = tracers[worker].original[node->id](graph, node, objs, n);
	cycles = rte_rdtsc() - begin;
	/* Divides once per call, while somebody looks. */
	if (done != 0)
		mark_new(worker, node, before, done, begin, cycles / done);
	return done;
}

static uint16_t process_other(
	struct rte_graph *graph, struct rte_node *node, void **objs, uint16_t n)
{
	unsigned worker = worker_self()->id, count;
	struct mark marks[MARKS_MAX];
	uint64_t begin = rte_rdtsc(), cycles;
	uint16_t done;

	count = enter(worker, node, objs, n, begin, marks);
	done = tracers[worker].original[node->id](graph, node, objs, n);
	cycles = n == 0 ? 0 : (rte_rdtsc() - begin) / n;
	for (unsigned i = 0; i < count; i++) {
		if (marks[i].stage < API_TRACE_STAGES)
			marks[i].record->stage[marks[i].stage].cycles = (uint32_t)cycles;
	}
	return done;
}

/* --- the main thread --- */

static enum kind kind_of(const char *name)
{
	if (strcmp(name, "port_rx") == 0)
		return KIND_ENTRY;
	if (strcmp(name, "drop") == 0)
		return KIND_DROP;
	return graph_is_source(name) ? KIND_SOURCE : KIND_OTHER;
}

static void wrap(unsigned worker)
{
	struct rte_graph *graph = graph_of(worker);
	struct tracer *tracer = &tracers[worker];
	rte_graph_off_t offset;
	rte_node_t number;
	struct rte_node *node;

	rte_graph_foreach_node(number, offset, graph, node)
	{
		rte_node_process_t by = process_other;

		if (node->id >= NODES_MAX)
			continue;
		tracer->row[node->id] = (uint8_t)graph_row(node->name);
		tracer->kind[node->id] = (uint8_t)kind_of(node->name);
		tracer->original[node->id] = node->process;
		if (tracer->kind[node->id] == KIND_ENTRY || tracer->kind[node->id] == KIND_SOURCE)
			by = process_source;
		/* The worker reads it once per call: the one or the other. */
		__atomic_store_n(&node->process, by, __ATOMIC_RELEASE);
	}
}

static void unwrap(unsigned worker)
{
	struct rte_graph *graph = graph_of(worker);
	rte_graph_off_t offset;
	rte_node_t number;
	struct rte_node *node;

	rte_graph_foreach_node(number, offset, graph, node)
	{
		if (node->id < NODES_MAX)
			__atomic_store_n(&node->process, tracers[worker].original[node->id],
				__ATOMIC_RELEASE);
	}
}

bool trace_is_idle(void)
{
	if (wanted != 0)
		return false;
	if (grace != GRACE_NONE && grace_over(grace))
		grace = GRACE_NONE;
	return grace == GRACE_NONE;
}

int trace_start(uint32_t peer, uint32_t count)
{
	unsigned workers = dp_config()->workers;

	if (!trace_is_idle())
		return -EBUSY;
	for (unsigned worker = 0; worker < workers; worker++) {
		if (tracers[worker].records == NULL)
			tracers[worker].records = calloc(RECORDS, sizeof(struct record));
		if (tracers[worker].records == NULL)
			return -ENOMEM;
		memset(tracers[worker].records, 0, RECORDS * sizeof(struct record));
	}
	ended_cycles = rte_get_tsc_hz() / 1000 * ENDED_MS;
	stale_cycles = rte_get_tsc_hz() / 1000 * STALE_MS;
	wanted_peer = peer;
	followed = 0;
	looked_at = 0;
	wanted = count;
	for (unsigned worker = 0; worker < workers; worker++)
		wrap(worker);
	return 0;
}

void trace_stop(void)
{
	if (wanted == 0)
		return;
	for (unsigned worker = 0; worker < dp_config()->workers; worker++)
		unwrap(worker);
	wanted = 0;
	grace = grace_start();
}

static void fill(const struct record *record, struct api_trace_entry *entry)
{
	double ns = 1e9 / (double)rte_get_tsc_hz();

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
	entry->hz_mhz = (uint32_t)(rte_get_tsc_hz() / 1000000);
	memcpy(entry->stage, record->stage, sizeof(entry->stage));
	for (unsigned i = 0; i < API_TRACE_STAGES; i++)
		entry->stage[i].at_ns = (uint32_t)((double)record->stage[i].at_ns * ns);
}

static bool has_ended(const struct record *record)
{
	uint64_t passed = rte_rdtsc() - record->last_tsc;

	/* Just now another worker may have gone on: that is no age at all. */
	return (int64_t)passed > (int64_t)ended_cycles;
}

bool trace_take(struct api_trace_entry *entry)
{
	unsigned total = dp_config()->workers * RECORDS;

	for (unsigned i = 0; wanted != 0 && i < total; i++) {
		unsigned at = looked_at++ % total;
		struct record *record = &tracers[at / RECORDS].records[at % RECORDS];

		if (state_of(record) != MATCHED || !has_ended(record))
			continue;
		__atomic_store_n(&record->state, TAKEN, __ATOMIC_RELEASE);
		fill(record, entry);
		return true;
	}
	return false;
}

void trace_destroy(void)
{
	wanted = 0;
	grace = GRACE_NONE;
	for (unsigned worker = 0; worker < DP_WORKERS_MAX; worker++) {
		free(tracers[worker].records);
		tracers[worker].records = NULL;
	}
}
