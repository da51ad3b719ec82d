/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mappings of one worker: (protocol, inside address and port, egress address) to outside port. A
 * mapping lives as long as flows use it; so its timers are theirs (RFC 4787 REQ-5), and an ICMP
 * error can neither refresh nor end it. One thread; no allocation after creation.
 *
 * A mapping that lets in others than those it was made for is found by its port as well, and its
 * port rests for two minutes, or as the configuration has it, when its last flow has gone (RFC 6888
 * REQ-8), unless the same inside port wants it again. TCP's need no rest, since connections are
 * tracked (REQ-8 a).
 *
 * A shared port is a mapping of no inside: it counts the flows that use the port.
 */
#include <sys/mman.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <rte_common.h>

#include "common/api/egress.h"
#include "dataplane/flow/hash.h"
#include "dataplane/nat/nat_priv.h"

struct nat_mapping {
	uint8_t inside[16]; /* hashed from here ... */
	uint16_t inside_port;
	uint16_t egress;
	uint8_t proto;
	uint8_t family;
	uint16_t zero; /* ... to here: 24 bytes */
	uint16_t port;
	uint8_t flags; /* enum mapping_flag */
	uint8_t zero2;
	uint32_t refs; /* 0 = rests */
	uint32_t next; /* in its chain, or in the free list */
	uint32_t chain;
	struct nat_address *address;
	uint32_t subscriber;
	uint32_t next_outside; /* in its chain by port */
	uint32_t next_resting; /* in the queue of those that rest */
	uint32_t since_ms;     /* low bits of when it began to */
};

enum mapping_flag {
	MAPPING_OUTSIDE = 1 << 0, /* is found by its port */
	MAPPING_RESTS = 1 << 1,   /* is in the queue */
};

enum {
	TEND_MAX = 64, /* of the queue in one turn */
};

_Static_assert(sizeof(struct nat_mapping) == 64, "one cache line");

struct nat_worker {
	struct nat_mapping *mappings; /* index 0 is unused */
	uint32_t *chains;
	uint32_t *outside; /* chains by port */
	uint32_t chain_mask;
	uint32_t capacity;
	uint32_t free;
	uint32_t fresh; /* mappings up to here have been used before */
	uint32_t resting_first, resting_last;
	uint32_t resting; /* without those of the queue that are in use again */
	uint64_t now_ms;
	struct hash_key key;
	struct nat_ports ports;
	struct nat_contacts contacts;
};

static void *take_zeroes(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int nat_worker_create(struct nat_worker **out, unsigned id, uint32_t capacity)
{
	struct nat_worker *nat = calloc(1, sizeof(*nat));

	*out = NULL;
	if (nat == NULL)
		return -ENOMEM;
	nat->capacity = capacity;
	nat->chain_mask = rte_align32pow2(RTE_MAX(capacity, 2u)) - 1;
	nat->mappings = take_zeroes((size_t)(capacity + 1) * sizeof(*nat->mappings));
	nat->chains = take_zeroes((size_t)(nat->chain_mask + 1) * sizeof(*nat->chains));
	nat->outside = take_zeroes((size_t)(nat->chain_mask + 1) * sizeof(*nat->outside));
	hash_key_random(&nat->key);
	if (nat->mappings == NULL || nat->chains == NULL || nat->outside == NULL ||
		nat_contacts_create(&nat->contacts, capacity) != 0 ||
		nat_ports_create(&nat->ports, id, capacity) != 0) {
		nat_worker_destroy(&nat);
		return -ENOMEM;
	}
	*out = nat;
	return 0;
}

void nat_worker_destroy(struct nat_worker **out)
{
	struct nat_worker *nat = *out;

	if (nat == NULL)
		return;
	if (nat->mappings != NULL)
		munmap(nat->mappings, (size_t)(nat->capacity + 1) * sizeof(*nat->mappings));
	if (nat->chains != NULL)
		munmap(nat->chains, (size_t)(nat->chain_mask + 1) * sizeof(*nat->chains));
	if (nat->outside != NULL)
		munmap(nat->outside, (size_t)(nat->chain_mask + 1) * sizeof(*nat->outside));
	nat_contacts_destroy(&nat->contacts);
	nat_ports_destroy(&nat->ports);
	free(nat);
	*out = NULL;
}

static uint32_t take_record(struct nat_worker *nat)
{
	uint32_t index = nat->free;

	if (index != 0)
		nat->free = nat->mappings[index].next;
	else if (nat->fresh < nat->capacity)
		index = ++nat->fresh;
	return index;
}

static void give_record(struct nat_worker *nat, uint32_t index)
{
	nat->mappings[index].next = nat->free;
	nat->free = index;
}

/* The chain by egress address, protocol and port. */
static uint32_t *outside_chain(
	struct nat_worker *nat, uint16_t egress, uint8_t proto, uint16_t port)
{
	uint64_t word = (uint64_t)egress << 32 | (uint64_t)proto << 16 | port;

	/* the port was drawn by us: nobody outside can choose what collides */
	word = (word ^ nat->key.word[0]) * 0x9e3779b97f4a7c15ull;
	return &nat->outside[(uint32_t)(word >> 32) & nat->chain_mask];
}

static void show_outside(struct nat_worker *nat, uint32_t index)
{
	struct nat_mapping *mapping = &nat->mappings[index];
	uint32_t *chain = outside_chain(nat, mapping->egress, mapping->proto, mapping->port);

	if ((mapping->flags & MAPPING_OUTSIDE) != 0)
		return;
	mapping->flags |= MAPPING_OUTSIDE;
	mapping->next_outside = *chain;
	*chain = index;
}

static void hide_outside(struct nat_worker *nat, uint32_t index)
{
	struct nat_mapping *mapping = &nat->mappings[index];
	uint32_t *link = outside_chain(nat, mapping->egress, mapping->proto, mapping->port);

	while (*link != index)
		link = &nat->mappings[*link].next_outside;
	*link = mapping->next_outside;
}

static void fill_probe(struct nat_mapping *probe, const struct nat_wanted *wanted)
{
	*probe = (struct nat_mapping){
		.inside_port = wanted->port,
		.egress = wanted->address->id,
		.proto = wanted->proto,
		.family = wanted->inside.family,
		.address = wanted->address,
		.subscriber = wanted->subscriber,
	};
	memcpy(probe->inside, wanted->inside.bytes, sizeof(probe->inside));
}

/* The mapping of this inside, or 0; its chain in both cases. */
static uint32_t find(const struct nat_worker *nat, const struct nat_mapping *probe, uint32_t *chain)
{
	uint32_t index;

	*chain = (uint32_t)hash_24(&nat->key, probe) & nat->chain_mask;
	for (index = nat->chains[*chain]; index != 0; index = nat->mappings[index].next) {
		const struct nat_mapping *mapping = &nat->mappings[index];

		if (mapping->address == probe->address && memcmp(mapping, probe, 24) == 0)
			return index;
	}
	return 0;
}

static void enter(
	struct nat_worker *nat, uint32_t index, const struct nat_mapping *probe, uint32_t chain)
{
	struct nat_mapping *mapping = &nat->mappings[index];

	*mapping = *probe;
	mapping->refs = 1;
	mapping->chain = chain;
	mapping->next = nat->chains[chain];
	nat->chains[chain] = index;
	__atomic_add_fetch(&mapping->address->mappings, 1, __ATOMIC_RELAXED);
}

/* Is its port still the NAT's, or now the host's, or a forward's? */
static bool has_its_port(const struct nat_mapping *mapping)
{
	uint64_t reserved = nat_reserved(
		mapping->address, nat_class(mapping->proto), mapping->port / NAT_BLOCK_PORTS);

	return nat_port_in_share(mapping->address, mapping->port) &&
	       (reserved >> mapping->port % NAT_BLOCK_PORTS & 1) == 0;
}

void nat_count_refused(struct nat_address *address)
{
	__atomic_add_fetch(&address->refused, 1, __ATOMIC_RELAXED);
}

uint32_t nat_map(struct nat_worker *nat, const struct nat_wanted *wanted, uint16_t *port)
{
	uint32_t like = wanted->port |
			((wanted->options & API_EGRESS_ANY_PARITY) != 0 ? NAT_ANY_PARITY : 0u);
	struct nat_mapping probe;
	uint32_t chain, index;

	fill_probe(&probe, wanted);
	index = find(nat, &probe, &chain);
	/* one whose flows are yet to be cut is left to them, and found behind the new one */
	if (index != 0 && has_its_port(&nat->mappings[index])) {
		nat->resting -= nat->mappings[index].refs++ == 0;
	} else {
		index = take_record(nat);
		probe.port = index == 0
				     ? 0
				     : nat_port_take(&nat->ports, wanted->address,
					       nat_class(wanted->proto), wanted->subscriber, like);
		if (probe.port == 0) {
			if (index != 0)
				give_record(nat, index);
			nat_count_refused(wanted->address);
			*port = 0;
			return 0;
		}
		enter(nat, index, &probe, chain);
	}
	if ((wanted->options & (API_EGRESS_OPEN | API_EGRESS_BY_ADDR)) != 0)
		show_outside(nat, index);
	*port = nat->mappings[index].port;
	return index;
}

uint16_t nat_offer(struct nat_worker *nat, const struct nat_wanted *wanted, unsigned attempt)
{
	return nat_port_offer(&nat->ports, wanted->address, nat_class(wanted->proto), attempt);
}

/* The mapping of a shared port: of no inside, which the family tells from others. */
static struct nat_mapping shared_probe(const struct nat_wanted *wanted, uint16_t port)
{
	return (struct nat_mapping){
		.inside_port = port,
		.egress = wanted->address->id,
		.proto = wanted->proto,
		.port = port,
		.address = wanted->address,
	};
}

bool nat_shared_to(struct nat_worker *nat, const struct nat_wanted *wanted, uint16_t port,
	const struct addr *remote)
{
	struct nat_mapping probe = shared_probe(wanted, port);
	uint32_t chain, index = find(nat, &probe, &chain);

	return index != 0 && nat_contact_has(nat, index, remote);
}

uint32_t nat_share(struct nat_worker *nat, const struct nat_wanted *wanted, uint16_t port)
{
	struct nat_mapping probe = shared_probe(wanted, port);
	uint32_t chain, index = find(nat, &probe, &chain);

	if (index != 0) {
		nat->mappings[index].refs++;
		return index;
	}
	index = take_record(nat);
	if (index == 0)
		return 0;
	nat_port_hold(&nat->ports, wanted->address, nat_class(wanted->proto), port);
	enter(nat, index, &probe, chain);
	return index;
}

static void end(struct nat_worker *nat, uint32_t index)
{
	struct nat_mapping *mapping = &nat->mappings[index];
	uint32_t *link = &nat->chains[mapping->chain];

	while (*link != index)
		link = &nat->mappings[*link].next;
	*link = mapping->next;
	if ((mapping->flags & MAPPING_OUTSIDE) != 0)
		hide_outside(nat, index);
	nat_port_give(&nat->ports, mapping->address, nat_class(mapping->proto), mapping->port);
	/* last: from now on the main thread may free a deleted address */
	__atomic_sub_fetch(&mapping->address->mappings, 1, __ATOMIC_RELEASE);
	give_record(nat, index);
}

static void queue(struct nat_worker *nat, uint32_t index)
{
	nat->mappings[index].next_resting = 0;
	if (nat->resting_first == 0)
		nat->resting_first = index;
	else
		nat->mappings[nat->resting_last].next_resting = index;
	nat->resting_last = index;
}

void nat_unmap(struct nat_worker *nat, uint32_t index)
{
	struct nat_mapping *mapping = &nat->mappings[index];

	if (--mapping->refs > 0)
		return;
	if ((mapping->flags & MAPPING_OUTSIDE) == 0 || mapping->proto == IPPROTO_TCP) {
		end(nat, index);
		return;
	}
	mapping->since_ms = (uint32_t)nat->now_ms;
	nat->resting++;
	if ((mapping->flags & MAPPING_RESTS) == 0)
		queue(nat, index);
	mapping->flags |= MAPPING_RESTS;
}

bool nat_tend(struct nat_worker *nat, uint64_t now_ms, uint32_t rest_ms, uint32_t resting)
{
	nat->now_ms = now_ms;
	for (unsigned i = 0; i < TEND_MAX && nat->resting_first != 0; i++) {
		uint32_t index = nat->resting_first;
		struct nat_mapping *mapping = &nat->mappings[index];
		bool due = (uint32_t)now_ms - mapping->since_ms >= rest_ms ||
			   (resting != 0 && nat->resting > resting);

		if (!due && mapping->refs == 0)
			return false;
		nat->resting_first = mapping->next_resting;
		/* one that is in use again is queued anew when its flows have gone */
		mapping->flags &= (uint8_t)~MAPPING_RESTS;
		if (mapping->refs == 0) {
			nat->resting--;
			end(nat, index);
		}
	}
	return nat->resting_first != 0;
}

bool nat_find_inside(struct nat_worker *nat, const struct nat_address *address, uint8_t proto,
	uint16_t port, struct nat_inside *inside)
{
	uint32_t index = *outside_chain(nat, address->id, proto, port);

	for (; index != 0; index = nat->mappings[index].next_outside) {
		const struct nat_mapping *mapping = &nat->mappings[index];

		if (mapping->address != address || mapping->proto != proto || mapping->port != port)
			continue;
		if (mapping->refs == 0 || !has_its_port(mapping))
			return false; /* rests, or is about to end */
		*inside = (struct nat_inside){
			.mapping = index,
			.addr.family = mapping->family,
			.port = mapping->inside_port,
			.subscriber = mapping->subscriber,
		};
		memcpy(inside->addr.bytes, mapping->inside, sizeof(mapping->inside));
		return true;
	}
	return false;
}

uint32_t nat_contact_add(struct nat_worker *nat, uint32_t mapping, const struct addr *remote)
{
	return nat_contacts_add(&nat->contacts, mapping, remote);
}

void nat_contact_drop(struct nat_worker *nat, uint32_t contact)
{
	nat_contacts_drop(&nat->contacts, contact);
}

bool nat_contact_has(struct nat_worker *nat, uint32_t mapping, const struct addr *remote)
{
	return nat_contacts_find(&nat->contacts, mapping, remote) != 0;
}

struct nat_address *nat_mapping_address(const struct nat_worker *nat, uint32_t mapping)
{
	return nat->mappings[mapping].address;
}

bool nat_mapping_valid(const struct nat_worker *nat, unsigned copy, uint32_t mapping)
{
	const struct nat_mapping *record = &nat->mappings[mapping];

	return nat_address_find(copy, &record->address->addr) == record->address &&
	       has_its_port(record);
}
