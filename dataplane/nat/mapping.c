/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mappings of one worker: (protocol, inside address and port, egress address) to outside port. A
 * mapping lives as long as flows use it; so its timers are theirs (RFC 4787 REQ-5), and an ICMP
 * error can neither refresh nor end it. One thread; no allocation after creation.
 */
#include <sys/mman.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

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
	uint16_t zero2;
	uint32_t refs;
	uint32_t next; /* in its chain, or in the free list */
	uint32_t chain;
	struct nat_address *address;
	uint64_t unused[2];
};

_Static_assert(sizeof(struct nat_mapping) == 64, "one cache line");

struct nat_worker {
	struct nat_mapping *mappings; /* index 0 is unused */
	uint32_t *chains;
	uint32_t chain_mask;
	uint32_t capacity;
	uint32_t free;
	uint32_t fresh; /* mappings up to here have been used before */
	struct hash_key key;
	struct nat_ports ports;
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
	hash_key_random(&nat->key);
	if (nat->mappings == NULL || nat->chains == NULL ||
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

uint32_t nat_map(struct nat_worker *nat, const struct nat_wanted *wanted, uint16_t *port)
{
	struct nat_mapping probe = {
		.inside_port = wanted->port,
		.egress = wanted->address->id,
		.proto = wanted->proto,
		.family = wanted->inside.family,
	};
	struct nat_mapping *mapping;
	uint32_t chain, index;

	memcpy(probe.inside, wanted->inside.bytes, sizeof(probe.inside));
	chain = (uint32_t)hash_24(&nat->key, &probe) & nat->chain_mask;
	for (index = nat->chains[chain]; index != 0; index = nat->mappings[index].next) {
		mapping = &nat->mappings[index];
		if (mapping->address == wanted->address && memcmp(mapping, &probe, 24) == 0) {
			mapping->refs++;
			*port = mapping->port;
			return index;
		}
	}
	index = take_record(nat);
	*port = index == 0 ? 0
			   : nat_port_take(&nat->ports, wanted->address, nat_class(wanted->proto),
				     wanted->subscriber, wanted->port);
	if (*port == 0) {
		if (index != 0)
			give_record(nat, index);
		__atomic_add_fetch(&wanted->address->refused, 1, __ATOMIC_RELAXED);
		return 0;
	}
	mapping = &nat->mappings[index];
	*mapping = probe;
	mapping->port = *port;
	mapping->refs = 1;
	mapping->address = wanted->address;
	mapping->chain = chain;
	mapping->next = nat->chains[chain];
	nat->chains[chain] = index;
	__atomic_add_fetch(&mapping->address->mappings, 1, __ATOMIC_RELAXED);
	return index;
}

void nat_unmap(struct nat_worker *nat, uint32_t index)
{
	struct nat_mapping *mapping = &nat->mappings[index];
	uint32_t *link = &nat->chains[mapping->chain];

	if (--mapping->refs > 0)
		return;
	while (*link != index)
		link = &nat->mappings[*link].next;
	*link = mapping->next;
	nat_port_give(&nat->ports, mapping->address, nat_class(mapping->proto), mapping->port);
	/* last: from now on the main thread may free a deleted address */
	__atomic_sub_fetch(&mapping->address->mappings, 1, __ATOMIC_RELEASE);
	give_record(nat, index);
}

struct nat_address *nat_mapping_address(const struct nat_worker *nat, uint32_t mapping)
{
	return nat->mappings[mapping].address;
}

bool nat_mapping_valid(const struct nat_worker *nat, unsigned copy, uint32_t mapping)
{
	const struct nat_mapping *record = &nat->mappings[mapping];
	const struct nat_address *address = record->address;
	uint64_t reserved =
		nat_reserved(address, nat_class(record->proto), record->port / NAT_BLOCK_PORTS);

	return nat_address_find(copy, &address->addr) == address &&
	       (reserved >> record->port % NAT_BLOCK_PORTS & 1) == 0;
}
