/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whom an inside host sends to from a mapping, by address alone: what address-dependent filtering
 * asks (RFC 4787 section 5). Counted, since several flows may lead to one address. A table of one
 * worker; no allocation after creation.
 */
#include <sys/mman.h>

#include <errno.h>
#include <string.h>

#include <rte_common.h>

#include "dataplane/nat/nat_priv.h"

struct nat_contact {
	uint8_t remote[16]; /* hashed from here ... */
	uint32_t mapping;
	uint32_t family; /* ... to here: 24 bytes */
	uint32_t refs;
	uint32_t next; /* in its chain, or in the free list */
};

static void *take_zeroes(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int nat_contacts_create(struct nat_contacts *contacts, uint32_t capacity)
{
	contacts->capacity = capacity;
	contacts->chain_mask = rte_align32pow2(RTE_MAX(capacity, 2u)) - 1;
	contacts->records = take_zeroes((size_t)(capacity + 1) * sizeof(*contacts->records));
	contacts->chains =
		take_zeroes((size_t)(contacts->chain_mask + 1) * sizeof(*contacts->chains));
	hash_key_random(&contacts->key);
	return contacts->records == NULL || contacts->chains == NULL ? -ENOMEM : 0;
}

void nat_contacts_destroy(struct nat_contacts *contacts)
{
	if (contacts->records != NULL)
		munmap(contacts->records,
			(size_t)(contacts->capacity + 1) * sizeof(*contacts->records));
	if (contacts->chains != NULL)
		munmap(contacts->chains,
			(size_t)(contacts->chain_mask + 1) * sizeof(*contacts->chains));
	memset(contacts, 0, sizeof(*contacts));
}

static void fill(struct nat_contact *contact, uint32_t mapping, const struct addr *remote)
{
	*contact = (struct nat_contact){.mapping = mapping, .family = remote->family, .refs = 1};
	memcpy(contact->remote, remote->bytes, sizeof(contact->remote));
}

static uint32_t *chain_of(struct nat_contacts *contacts, const struct nat_contact *contact)
{
	return &contacts->chains[(uint32_t)hash_24(&contacts->key, contact) & contacts->chain_mask];
}

static uint32_t find_in(
	const struct nat_contacts *contacts, uint32_t index, const struct nat_contact *wanted)
{
	while (index != 0 && memcmp(&contacts->records[index], wanted, 24) != 0)
		index = contacts->records[index].next;
	return index;
}

uint32_t nat_contacts_find(
	struct nat_contacts *contacts, uint32_t mapping, const struct addr *remote)
{
	struct nat_contact wanted;

	fill(&wanted, mapping, remote);
	return find_in(contacts, *chain_of(contacts, &wanted), &wanted);
}

uint32_t nat_contacts_add(
	struct nat_contacts *contacts, uint32_t mapping, const struct addr *remote)
{
	struct nat_contact wanted;
	uint32_t *chain, index;

	fill(&wanted, mapping, remote);
	chain = chain_of(contacts, &wanted);
	index = find_in(contacts, *chain, &wanted);
	if (index != 0) {
		contacts->records[index].refs++;
		return index;
	}
	index = contacts->free;
	if (index != 0)
		contacts->free = contacts->records[index].next;
	else if (contacts->fresh < contacts->capacity)
		index = ++contacts->fresh;
	else
		return 0;
	wanted.next = *chain;
	contacts->records[index] = wanted;
	*chain = index;
	return index;
}

void nat_contacts_drop(struct nat_contacts *contacts, uint32_t index)
{
	struct nat_contact *contact = &contacts->records[index];
	uint32_t *link = chain_of(contacts, contact);

	if (--contact->refs > 0)
		return;
	while (*link != index)
		link = &contacts->records[*link].next;
	*link = contact->next;
	contact->next = contacts->free;
	contacts->free = index;
}
