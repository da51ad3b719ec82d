/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Masquerading: egress addresses, pools and rules (left-right tables, written by the main thread),
 * port blocks (shared, claimed by compare-and-swap), mappings (private to one worker).
 *
 * Mapping is endpoint-independent: one mapping per protocol, inside address and port, and egress
 * address, for all destinations (RFC 4787 REQ-1). A block of 64 ports belongs to one worker and
 * one subscriber; any worker can read whose a block is. Pooling is paired: a subscriber keeps its
 * address for as long as the pool is what it is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/api/forward.h"
#include "common/base/addr.h"
#include "dataplane/main/config.h"

struct nat_address; /* one egress address */
struct nat_worker;  /* the mappings of one worker */

enum {
	NAT_BLOCK_PORTS = 64,
	NAT_BLOCKS = 1024, /* of one address and class: 65,536 ports */
	NAT_CLASSES = 3,   /* TCP, UDP, ICMP queries */
};

/* An egress address by what packets carry; NULL if it is none. Worker. */
const struct nat_address *nat_address_find(unsigned copy, const struct addr *addr);

/* The worker to whose mappings a port belongs; -1 if to nobody's. Any thread. */
int nat_port_owner(const struct nat_address *address, uint8_t proto, uint16_t port);

/* True if the NAT has this port, so that the host has it not. Any thread. */
bool nat_port_in_share(const struct nat_address *address, uint16_t port);

uint16_t nat_address_id(const struct nat_address *address);
const struct addr *nat_address_addr(const struct nat_address *address);

struct nat_asked {
	uint32_t set_id;
	uint32_t subscriber; /* identity of the inside: a peer, or a port */
	struct addr src;
	struct addr dst;
};

/* A port forward as the configuration has it, in one copy of the tables. */
struct nat_forward {
	uint32_t id;
	struct addr outside;
	struct addr inside;
	uint16_t port_first;
	uint16_t port_last;
	uint16_t inside_first;
	uint8_t proto;
	uint8_t from_count; /* 0 = whoever it is */
	struct prefix from[API_FORWARD_FROM];
};

/* The forward of this destination; NULL if there is none. Worker. */
const struct nat_forward *nat_forward_find(
	unsigned copy, const struct addr *addr, uint8_t proto, uint16_t port);

/* Is this one of the senders that the forward names? Worker. */
bool nat_forward_admits(const struct nat_forward *forward, const struct addr *src);

static inline uint16_t nat_forward_port(const struct nat_forward *forward, uint16_t port)
{
	return (uint16_t)(forward->inside_first + (port - forward->port_first));
}

/* Which address this traffic leaves with, NULL: refused; and how it is mapped, as API_EGRESS_OPEN
 * ... The kernel's own keeps its address. Worker. */
struct nat_address *nat_select(unsigned copy, const struct nat_asked *asked, uint16_t *options);

/* False for what has no ports that can be changed. */
bool nat_can_map(uint8_t proto);

struct nat_wanted {
	struct nat_address *address;
	struct addr inside;
	uint16_t port; /* host order; of an ICMP query the identifier */
	uint8_t proto;
	uint16_t options; /* of the rule */
	uint32_t subscriber;
};

/*
 * Takes a reference to the mapping, making it if need be. Returns its index (never 0) and the
 * outside port, or 0: no free port (counted in the address) or no memory. Worker.
 */
uint32_t nat_map(struct nat_worker *nat, const struct nat_wanted *wanted, uint16_t *port);
void nat_unmap(struct nat_worker *nat, uint32_t mapping);

/*
 * With API_EGRESS_SHARED the flow's owner looks for a port that no other flow to this destination
 * address has (RFC 7857 section 3, and section 13: addresses have to differ): offered is one at
 * random (0: none), attempt counts from 0. From NAT_ATTEMPTS on, which is for the few that found
 * none, they are offered in a row, block by block. nat_shared_to says whether a flow with a contact
 * (below) to this address has the port. nat_share takes it, and may fail (0) for want of memory;
 * nat_unmap gives it back. Worker.
 */
enum { NAT_ATTEMPTS = 128, NAT_SWEEP = 1024 };
uint16_t nat_offer(struct nat_worker *nat, const struct nat_wanted *wanted, unsigned attempt);
bool nat_shared_to(struct nat_worker *nat, const struct nat_wanted *wanted, uint16_t port,
	const struct addr *remote);
uint32_t nat_share(struct nat_worker *nat, const struct nat_wanted *wanted, uint16_t port);

/* One more flow refused for want of a port, which nat_map() counts by itself. Worker. */
void nat_count_refused(struct nat_address *address);

/* Who is behind an outside port that is not only for those whom he sent to; false: nobody. */
struct nat_inside {
	uint32_t mapping;
	struct addr addr;
	uint16_t port;
	uint32_t subscriber;
};
bool nat_find_inside(struct nat_worker *nat, const struct nat_address *address, uint8_t proto,
	uint16_t port, struct nat_inside *inside);

/*
 * With API_EGRESS_BY_ADDR or API_EGRESS_SHARED: the addresses that are sent to from a mapping.
 * Returns an index to give back, or 0 for want of memory. Worker.
 */
uint32_t nat_contact_add(struct nat_worker *nat, uint32_t mapping, const struct addr *remote);
void nat_contact_drop(struct nat_worker *nat, uint32_t contact);
bool nat_contact_has(struct nat_worker *nat, uint32_t mapping, const struct addr *remote);

/* Ends what was held back for rest_ms, and the oldest of what is more than `resting` (0 = as many
 * as there are); true if there is more to do. Worker, between packets. */
bool nat_tend(struct nat_worker *nat, uint64_t now_ms, uint32_t rest_ms, uint32_t resting);

/* The address of a mapping, and whether it is still configured in this copy, its port the NAT's. */
struct nat_address *nat_mapping_address(const struct nat_worker *nat, uint32_t mapping);
bool nat_mapping_valid(const struct nat_worker *nat, unsigned copy, uint32_t mapping);

/* Memory for this many mappings. 0 or -ENOMEM. Main thread, before workers run. */
int nat_worker_create(struct nat_worker **nat, unsigned id, uint32_t capacity)
	__attribute__((warn_unused_result));
void nat_worker_destroy(struct nat_worker **nat);

/* For counters; id 1..API_EGRESS_ADDR_MAX - 1. False if there is none. Main thread. */
struct nat_figures {
	uint64_t mappings;
	uint64_t blocks_used;
	uint64_t blocks_total;
	uint64_t refused;
};
bool nat_figures(uint16_t id, struct nat_figures *figures);

/* Registers the handlers and the feature's own tables. Main thread. */
int nat_init(void) __attribute__((warn_unused_result));
void nat_housekeep(void);
