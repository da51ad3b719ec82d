/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this folder share: an egress address and its port blocks. */
#pragma once

#include "dataplane/flow/hash.h"
#include "dataplane/nat/nat.h"

struct rte_ring;

enum { NAT_FORWARD_CLASSES = 2 }; /* TCP and UDP: what can be forwarded */

/* Written only by the worker that owns it, but by the claim of `owner`. */
struct nat_block {
	uint64_t free;       /* one bit per port */
	uint64_t all;        /* the ports of the block that are in the share */
	uint32_t user;       /* the owning worker's record of the subscriber */
	uint32_t subscriber; /* for the log: written by the owner, read by the main thread */
	uint32_t taken_s;    /* as subscriber; monotonic */
	uint16_t next;       /* blocks of this user with free ports; NAT_BLOCKS = none */
	uint16_t prev;
};

struct nat_address {
	struct addr addr;
	uint16_t id;
	uint16_t port_first; /* written by the main thread, read by workers */
	uint16_t port_last;
	bool retired; /* the main thread's: deleted, waits for its last mapping */
	uint32_t serial;
	struct nat_address *next; /* the main thread's list of all */
	/* worker + 1, or 0: claimed by compare-and-swap, given back by a store; read by any */
	uint8_t owner[NAT_CLASSES][NAT_BLOCKS];
	uint64_t refused;  /* atomic */
	uint64_t mappings; /* atomic */
	/* ports that forwards have: set by the main thread in a commit, read by workers */
	uint64_t reserved[NAT_FORWARD_CLASSES][NAT_BLOCKS];
	bool has_reserved; /* the main thread's */
	struct nat_block block[NAT_CLASSES][NAT_BLOCKS];
};

/* TCP, UDP, ICMP: 0..2; -1 for others. */
int nat_class(uint8_t proto);

/* The ports of a block that forwards have. */
static inline uint64_t nat_reserved(const struct nat_address *address, int class, uint32_t block)
{
	if (class >= NAT_FORWARD_CLASSES)
		return 0;
	return __atomic_load_n(&address->reserved[class][block], __ATOMIC_RELAXED);
}

/* All addresses, linked by `next`, also those that wait for their last mapping. Main thread. */
struct nat_address *nat_address_list(void);

/* Forwards (forward.c): tables and handlers, in init; and after a commit the ports that are
 * theirs. Main thread. */
int nat_forward_init(void) __attribute__((warn_unused_result));
void nat_forward_reserve(unsigned copy);

/* A list of a user's blocks in one address and class. */
struct nat_user {
	struct nat_address *address;
	uint32_t subscriber;
	uint32_t next; /* in its chain, or in the free list */
	uint16_t head; /* of the blocks with free ports; NAT_BLOCKS = none */
	uint16_t blocks;
	uint8_t class;
	bool low;      /* for sources below 1024 */
	uint32_t held; /* of the user of shared ports: how many are in use */
};

struct nat_ports {
	struct nat_user *users; /* index 0 is unused */
	uint32_t *chains;
	uint32_t chain_mask;
	uint32_t capacity;
	uint32_t free;
	uint64_t random; /* state of the generator of ports */
	/* the blocks of the user of shared ports that was asked last, to draw one from */
	uint16_t shared[NAT_BLOCKS];
	uint16_t shared_count;
	uint32_t shared_user; /* 0 = none */
	uint32_t sweep;       /* of each block the bit from which a row began */
	unsigned worker;
	struct rte_ring *log; /* of struct nat_log_entry, to the main thread */
};

/* log.c: who had which block when, for the control process. */
int nat_log_create(struct nat_ports *ports) __attribute__((warn_unused_result));
void nat_log_destroy(struct nat_ports *ports);

/* The owner tells that a block was taken or given back, or is shared (enum api_block_kind). If the
 * main thread does not keep up, the entry is lost and all is told anew. Worker. */
void nat_log_put(struct nat_ports *ports, const struct nat_address *address, int class,
	uint32_t number, unsigned kind, uint32_t subscriber);

/* Sends what there is and fits; at most a millisecond's work. Main thread. */
void nat_log_housekeep(void);

/* The address with the smallest serial above this one, or NULL. Main thread. */
const struct nat_address *nat_address_after(uint32_t serial);

int nat_ports_create(struct nat_ports *ports, unsigned worker, uint32_t capacity)
	__attribute__((warn_unused_result));
void nat_ports_destroy(struct nat_ports *ports);

/* A free port of the same parity and range (below 1024 or not) if there is one; 0 = none. */
enum { NAT_ANY_PARITY = 1 << 16 }; /* with like */
uint16_t nat_port_take(struct nat_ports *ports, struct nat_address *address, int class,
	uint32_t subscriber, uint32_t like);

/*
 * Ports that flows to different destinations share: the worker's blocks of nobody in particular.
 * nat_port_offer names one at random, in use or not, and claims more blocks with every so many
 * attempts; 0 = there is none. nat_port_hold marks it as in use, nat_port_give as free.
 */
uint16_t nat_port_offer(
	struct nat_ports *ports, struct nat_address *address, int class, unsigned attempt);
void nat_port_hold(struct nat_ports *ports, struct nat_address *address, int class, uint16_t port);
void nat_port_give(struct nat_ports *ports, struct nat_address *address, int class, uint16_t port);

/* Who was sent to from which mapping (contacts.c). Indices are never 0; find: 0 = nobody. */
struct nat_contact;
struct nat_contacts {
	struct nat_contact *records; /* index 0 is unused */
	uint32_t *chains;
	uint32_t chain_mask;
	uint32_t capacity;
	uint32_t free;
	uint32_t fresh; /* records up to here have been used before */
	struct hash_key key;
};

int nat_contacts_create(struct nat_contacts *contacts, uint32_t capacity)
	__attribute__((warn_unused_result));
void nat_contacts_destroy(struct nat_contacts *contacts);
uint32_t nat_contacts_add(
	struct nat_contacts *contacts, uint32_t mapping, const struct addr *remote);
uint32_t nat_contacts_find(
	struct nat_contacts *contacts, uint32_t mapping, const struct addr *remote);
void nat_contacts_drop(struct nat_contacts *contacts, uint32_t index);
