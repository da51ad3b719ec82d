/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Later fragments find the ports of their first one here; see fragment.h. An entry is made by the
 * first fragment, or by a later one that waits for it, and goes when all bytes of the packet were
 * seen, when it is two seconds old, or when it is the oldest and another needs its place. Senders
 * on plain ports have entries apart, so that nobody there can drive out those of the peers.
 */
#include "dataplane/flow/fragment.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <rte_byteorder.h>
#include <rte_cycles.h>
#include <rte_ip.h>

#include <netinet/in.h>

#include "common/api/flow.h"
#include "dataplane/flow/flow_priv.h"
#include "dataplane/flow/fragment_priv.h"
#include "dataplane/route/route.h"

enum {
	ENTRIES = 2048, /* of each class */
	CLASSES = 2,    /* peers and the host, plain ports */
	CHAINS = 4096,
	LIFETIME_MS = 2000,
	HELD_MAX = 256,       /* of each class */
	HELD_PER_SOURCE = 48, /* one packet of 65,535 bytes in pieces of 1,400 */
	SOURCES = 256,
	EXPIRE_PER_TURN = 64,
};

/* Places in struct packet's scratch; the first word is the ICMP error's. */
enum { SCRATCH_ID = 1, SCRATCH_NEXT = 2, SCRATCH_ROLE = 4 };

struct queue {
	struct rte_mbuf *first, *last;
};

struct entry {
	struct fragment_key key;
	uint32_t ident;
	uint32_t next; /* in its chain, or in the free list */
	uint32_t chain;
	uint32_t older, newer;
	uint64_t born_ms;
	bool known; /* the first fragment was here */
	bool whole; /* is put together before it goes on */
	uint8_t class;
	uint8_t proto;
	uint8_t icmp_type;
	uint8_t source; /* whose held packets these are */
	uint16_t sport, dport;
	uint16_t id_out;
	struct queue held;
	struct fragment_seen seen;
};

struct flow_fragments {
	struct entry entry[CLASSES * ENTRIES + 1]; /* entry 0 is unused */
	uint32_t chain[CHAINS];
	uint32_t free[CLASSES];
	uint32_t oldest[CLASSES], newest[CLASSES];
	uint16_t held_by[SOURCES];
	uint16_t held[CLASSES];
	uint16_t serial;
	struct queue due;
};

static void set_next(struct rte_mbuf *mbuf, struct rte_mbuf *next)
{
	memcpy(&packet_of(mbuf)->scratch[SCRATCH_NEXT], &next, sizeof(struct rte_mbuf *));
}

static void push(struct queue *queue, struct rte_mbuf *mbuf)
{
	set_next(mbuf, NULL);
	if (queue->first == NULL)
		queue->first = mbuf;
	else
		set_next(queue->last, mbuf);
	queue->last = mbuf;
}

static struct rte_mbuf *pop(struct queue *queue)
{
	struct rte_mbuf *mbuf = queue->first;

	if (mbuf != NULL)
		memcpy(&queue->first, &packet_of(mbuf)->scratch[SCRATCH_NEXT],
			sizeof(struct rte_mbuf *));
	return mbuf;
}

int flow_fragments_create(struct flow_fragments **out)
{
	struct flow_fragments *f = calloc(1, sizeof(*f));

	*out = f;
	if (f == NULL)
		return -ENOMEM;
	f->serial = (uint16_t)rte_rdtsc();
	for (uint32_t i = CLASSES * ENTRIES; i > 0; i--) {
		struct entry *entry = &f->entry[i];

		entry->class = (uint8_t)((i - 1) / ENTRIES);
		entry->next = f->free[entry->class];
		f->free[entry->class] = i;
	}
	return 0;
}

static void drop_queue(struct queue *queue, unsigned worker, uint16_t reason)
{
	struct rte_mbuf *mbuf;

	while ((mbuf = pop(queue)) != NULL)
		drop_free(worker, reason, &mbuf, 1);
}

void flow_fragments_destroy(struct flow_fragments **out)
{
	struct flow_fragments *f = *out;

	if (f == NULL)
		return;
	for (uint32_t i = 1; i <= CLASSES * ENTRIES; i++)
		drop_queue(&f->entry[i].held, 0, DROP(flow, FRAGMENT_LATE));
	drop_queue(&f->due, 0, DROP(flow, FRAGMENT_LATE));
	free(f);
	*out = NULL;
}

static void release(struct flow_worker *w, uint32_t index, uint16_t reason)
{
	struct flow_fragments *f = w->fragments;
	struct entry *entry = &f->entry[index];
	uint32_t *link = &f->chain[entry->chain];
	struct rte_mbuf *mbuf;

	while (*link != index)
		link = &f->entry[*link].next;
	*link = entry->next;
	if (entry->older != 0)
		f->entry[entry->older].newer = entry->newer;
	else
		f->oldest[entry->class] = entry->newer;
	if (entry->newer != 0)
		f->entry[entry->newer].older = entry->older;
	else
		f->newest[entry->class] = entry->older;
	while ((mbuf = pop(&entry->held)) != NULL) {
		f->held[entry->class]--;
		f->held_by[entry->source]--;
		drop_free(w->id, reason, &mbuf, 1);
	}
	entry->next = f->free[entry->class];
	f->free[entry->class] = index;
}

static uint32_t find(struct flow_worker *w, const struct fragment_key *key, uint32_t ident)
{
	struct flow_fragments *f = w->fragments;
	uint32_t index = f->chain[hash_40(&w->table.key, key) & (CHAINS - 1)];

	while (index != 0 && (f->entry[index].ident != ident ||
				     memcmp(&f->entry[index].key, key, sizeof(*key)) != 0))
		index = f->entry[index].next;
	if (index == 0 || w->now_ms - f->entry[index].born_ms < LIFETIME_MS)
		return index;
	release(w, index, DROP(flow, FRAGMENT_LATE));
	return 0;
}

/* Of a peer all its addresses together, of a plain port each address. */
static uint8_t find_source(struct flow_worker *w, const struct fragment_key *key, uint32_t ident)
{
	uint8_t who[24] = {0};

	if ((ident & API_IDENT_PORT) != 0)
		memcpy(who, key->src, 16);
	memcpy(who + 16, &ident, 4);
	return (uint8_t)hash_24(&w->table.key, who);
}

static uint8_t class_of(uint32_t ident)
{
	return (ident & API_IDENT_PORT) != 0;
}

static struct entry *make(struct flow_worker *w, const struct fragment_key *key, uint32_t ident)
{
	struct flow_fragments *f = w->fragments;
	uint8_t class = class_of(ident);
	uint32_t index;
	struct entry *entry;

	assert(f != NULL); /* made with the worker */
	if (f->free[class] == 0)
		release(w, f->oldest[class], DROP(flow, FRAGMENT_FULL));
	index = f->free[class];
	entry = &f->entry[index];
	f->free[class] = entry->next;
	*entry = (struct entry){
		.key = *key,
		.ident = ident,
		.class = class,
		.born_ms = w->now_ms,
		.older = f->newest[class],
		.chain = (uint32_t)hash_40(&w->table.key, key) & (CHAINS - 1),
		.source = find_source(w, key, ident),
	};
	if (entry->older != 0)
		f->entry[entry->older].newer = index;
	else
		f->oldest[class] = index;
	f->newest[class] = index;
	entry->next = f->chain[entry->chain];
	f->chain[entry->chain] = index;
	return entry;
}

static void keep(struct flow_fragments *f, struct entry *entry, struct rte_mbuf *mbuf)
{
	f->held[entry->class]++;
	f->held_by[entry->source]++;
	push(&entry->held, mbuf);
}

static struct rte_mbuf *take_held(struct flow_fragments *f, struct entry *entry)
{
	struct rte_mbuf *mbuf = pop(&entry->held);

	if (mbuf != NULL) {
		f->held[entry->class]--;
		f->held_by[entry->source]--;
	}
	return mbuf;
}

/* A later fragment without its first one. */
static uint8_t hold(struct flow_worker *w, struct rte_mbuf *mbuf, struct entry *entry,
	const struct fragment_piece *piece)
{
	struct flow_fragments *f = w->fragments;
	uint32_t ident = packet_of(mbuf)->ingress;

	assert(f != NULL); /* made with the worker */
	if (f->held[class_of(ident)] == HELD_MAX ||
		f->held_by[find_source(w, &piece->key, ident)] == HELD_PER_SOURCE)
		return flow_drop(mbuf, DROP(flow, FRAGMENT_FULL));
	if (entry == NULL)
		entry = make(w, &piece->key, ident);
	keep(f, entry, mbuf);
	return FLOW_HELD;
}

static void make_due(struct flow_fragments *f, struct rte_mbuf *mbuf, uint8_t role)
{
	packet_of(mbuf)->scratch[SCRATCH_ROLE] = role;
	push(&f->due, mbuf);
}

/* A datagram to a service of the data plane's own (WireGuard), which has no use for its parts. */
static bool is_wanted_whole(struct flow_worker *w, struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of(mbuf);
	struct flow_key key;
	struct addr dst;
	uint16_t port;

	if (packet->proto != IPPROTO_UDP || (packet->ingress & API_IDENT_PORT) == 0 ||
		graph_udp_role(packet->dport) == GRAPH_FORWARD)
		return false;
	flow_key_of(w, mbuf, &key);
	flow_key_dst(&key, &dst);
	return local_has(w->copy, &dst, &port);
}

/* What all fragments of the packet are to be treated like; those that waited are due. */
static void learn(struct flow_worker *w, struct rte_mbuf *mbuf, struct entry *entry)
{
	struct flow_fragments *f = w->fragments;
	const struct packet *packet = packet_of(mbuf);
	struct rte_mbuf *held;

	entry->known = true;
	entry->proto = packet->proto;
	entry->icmp_type = packet->icmp_type;
	entry->sport = packet->sport;
	entry->dport = packet->dport;
	entry->id_out = flow_fragment_id(w);
	entry->whole = is_wanted_whole(w, mbuf);
	while ((held = take_held(f, entry)) != NULL)
		make_due(f, held, FLOW_TO_SLOW);
}

/* The worker where all fragments between two addresses come by. */
static unsigned find_meeting(struct flow_worker *w, struct rte_mbuf *mbuf)
{
	struct flow_key key;

	flow_key_of(w, mbuf, &key);
	key.sport = key.dport = 0;
	key.proto = 0;
	return flow_home(w, &key, false);
}

/* To another worker, but not yet to the home of the flow. */
static bool is_elsewhere(struct flow_worker *w, struct rte_mbuf *mbuf)
{
	struct packet *packet = packet_of(mbuf);
	unsigned meeting = find_meeting(w, mbuf);

	if (meeting == w->id || (packet->flags & PACKET_TO_MEETING) != 0)
		return false;
	packet->to = (uint8_t)meeting;
	packet->next = GRAPH_FORWARD;
	packet->flags |= PACKET_TO_MEETING;
	return true;
}

/* The last one of its pieces has come: the datagram is due as what it was. */
static void put_together(struct flow_worker *w, struct entry *entry)
{
	struct flow_fragments *f = w->fragments;
	struct rte_mbuf *pieces[HELD_PER_SOURCE], *whole;
	unsigned n = 0;
	uint16_t reason;

	while (n < HELD_PER_SOURCE && (pieces[n] = take_held(f, entry)) != NULL)
		n++;
	whole = fragment_piece_join(pieces, n, &reason);
	if (whole != NULL)
		make_due(f, whole, (uint8_t)graph_udp_role(packet_of(whole)->dport));
	else
		drop_free(w->id, reason, pieces, n);
}

/* A piece of what is wanted whole. What cannot become whole any more is not kept. */
static uint8_t gather(struct flow_worker *w, struct rte_mbuf *mbuf, struct entry *entry,
	const struct fragment_piece *piece)
{
	struct flow_fragments *f = w->fragments;
	uint32_t index = (uint32_t)(entry - f->entry);
	uint16_t reason = fragment_seen_note(&entry->seen, piece);

	if (reason == 0 &&
		(f->held[entry->class] == HELD_MAX || f->held_by[entry->source] == HELD_PER_SOURCE))
		reason = DROP(flow, FRAGMENT_FULL);
	if (reason != 0) {
		release(w, index, reason);
		return flow_drop(mbuf, reason);
	}
	keep(f, entry, mbuf);
	if (fragment_seen_all(&entry->seen)) {
		put_together(w, entry);
		release(w, index, DROP(flow, FRAGMENT_LATE));
	}
	return FLOW_HELD;
}

bool flow_fragment_meet(struct flow_worker *w, struct rte_mbuf *mbuf, uint8_t *role)
{
	struct packet *packet = packet_of(mbuf);
	bool first = (packet->flags & PACKET_FIRST_FRAGMENT) != 0;
	struct entry *entry;
	struct fragment_piece piece;
	uint16_t reason;
	uint32_t index;

	*role = GRAPH_HANDOFF;
	if (is_elsewhere(w, mbuf))
		return false;
	fragment_piece_read(mbuf, &piece);
	index = find(w, &piece.key, packet->ingress);
	entry = index != 0 ? &w->fragments->entry[index] : NULL;
	if (!first && (entry == NULL || !entry->known)) {
		*role = hold(w, mbuf, entry, &piece);
		return false;
	}
	if (entry == NULL)
		entry = make(w, &piece.key, packet->ingress);
	if (first && !entry->known)
		learn(w, mbuf, entry);
	if (entry->whole) {
		*role = gather(w, mbuf, entry, &piece);
		return false;
	}
	reason = fragment_seen_note(&entry->seen, &piece);
	if (reason != 0) {
		*role = flow_drop(mbuf, reason);
		return false;
	}
	packet->proto = entry->proto;
	packet->icmp_type = entry->icmp_type;
	packet->sport = entry->sport;
	packet->dport = entry->dport;
	packet->scratch[SCRATCH_ID] = entry->id_out;
	packet->flags |= PACKET_MET;
	if (fragment_seen_all(&entry->seen))
		release(w, (uint32_t)(entry - w->fragments->entry), DROP(flow, FRAGMENT_LATE));
	return true;
}

struct rte_mbuf *flow_fragment_next(struct flow_worker *w, uint8_t *role)
{
	struct rte_mbuf *mbuf = pop(&w->fragments->due);

	if (mbuf != NULL)
		*role = (uint8_t)packet_of(mbuf)->scratch[SCRATCH_ROLE];
	return mbuf;
}

void flow_fragment_due(struct flow_worker *w, struct rte_mbuf *mbuf, uint8_t role)
{
	make_due(w->fragments, mbuf, role);
}

bool flow_fragments_tend(struct flow_worker *w)
{
	struct flow_fragments *f = w->fragments;

	for (unsigned class = 0; class < CLASSES; class ++) {
		for (unsigned i = 0; f->oldest[class] != 0; i++) {
			uint32_t index = f->oldest[class];

			if (w->now_ms - f->entry[index].born_ms < LIFETIME_MS)
				break;
			if (i == EXPIRE_PER_TURN)
				return true;
			release(w, index, DROP(flow, FRAGMENT_LATE));
		}
	}
	return false;
}

/* Each worker has its own numbers, so that two never give the same. */
uint16_t flow_fragment_id(struct flow_worker *w)
{
	uint32_t share = 0x10000 / w->workers;
	uint32_t number = w->fragments->serial++ % share;

	return (uint16_t)(number * w->workers + w->id);
}

uint16_t flow_fragment_given_id(struct rte_mbuf *mbuf)
{
	return (uint16_t)packet_of(mbuf)->scratch[SCRATCH_ID];
}
