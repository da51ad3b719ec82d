/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Port blocks. An egress address has 1,024 blocks of 64 ports per class. A worker claims a free
 * block by compare-and-swap for one subscriber, takes ports from its bitmap without any sharing,
 * and gives the block back when all of them are free again. When no block is free any more, what
 * is left in this worker's other blocks is used, whosever they are.
 *
 * Ports are random within what a subscriber has (RFC 6056 3.3.1); a new block starts the search
 * at a random place. Parity is kept while a port of it can be had (RFC 4787 REQ-4), and sources
 * below 1024 are given such a port where the address has them (REQ-3a): they have blocks of their
 * own, so that they use up nobody's ports but those.
 */
#include <sys/mman.h>
#include <sys/random.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <netinet/in.h>

#include <rte_common.h>

#include "common/api/egress.h"
#include "dataplane/nat/nat_priv.h"

#define PARITY_EVEN 0x5555555555555555ull

enum {
	LOOK_MAX = 8,      /* blocks of one subscriber that are looked through for a parity */
	SHARED_MIN = 16,   /* blocks of shared ports at least: so many are drawn from */
	SHARED_TRIES = 16, /* after so many ports in vain another block */
	LOW_PORTS = 1024,  /* the ports below, for those who ask from there */
};

#define SHARED API_BLOCK_OF_ALL /* the subscriber of blocks of shared ports: nobody's identity */

int nat_class(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 0;
	case IPPROTO_UDP:
		return 1;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 2;
	default:
		return -1;
	}
}

bool nat_can_map(uint8_t proto)
{
	return nat_class(proto) >= 0;
}

int nat_port_owner(const struct nat_address *address, uint8_t proto, uint16_t port)
{
	int class = nat_class(proto);

	if (class < 0)
		return -1;
	return (int)__atomic_load_n(
		       &address->owner[class][port / NAT_BLOCK_PORTS], __ATOMIC_RELAXED) -
	       1;
}

bool nat_port_in_share(const struct nat_address *address, uint16_t port)
{
	return port >= address->port_first && port <= address->port_last;
}

static void *take_zeroes(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int nat_ports_create(struct nat_ports *ports, unsigned worker, uint32_t capacity)
{
	memset(ports, 0, sizeof(*ports));
	ports->worker = worker;
	ports->capacity = capacity;
	ports->chain_mask = rte_align32pow2(RTE_MAX(capacity, 2u)) - 1;
	ports->users = take_zeroes((size_t)(capacity + 1) * sizeof(*ports->users));
	ports->chains = take_zeroes((size_t)(ports->chain_mask + 1) * sizeof(*ports->chains));
	if (getrandom(&ports->random, sizeof(ports->random), 0) != sizeof(ports->random) ||
		ports->users == NULL || ports->chains == NULL || nat_log_create(ports) != 0) {
		nat_ports_destroy(ports);
		return -ENOMEM;
	}
	ports->random |= 1;
	return 0;
}

void nat_ports_destroy(struct nat_ports *ports)
{
	if (ports->users != NULL)
		munmap(ports->users, (size_t)(ports->capacity + 1) * sizeof(*ports->users));
	if (ports->chains != NULL)
		munmap(ports->chains, (size_t)(ports->chain_mask + 1) * sizeof(*ports->chains));
	nat_log_destroy(ports);
	memset(ports, 0, sizeof(*ports));
}

/* xorshift64*: the seed is the kernel's; ports are to be hard to guess, not secret. */
static uint32_t draw(struct nat_ports *ports)
{
	uint64_t x = ports->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	ports->random = x;
	return (uint32_t)(x * 0x2545f4914f6cdd1dull >> 32);
}

/* One of the bits that are set. */
static unsigned draw_bit(struct nat_ports *ports, uint64_t bits)
{
	unsigned turn = draw(ports) % NAT_BLOCK_PORTS;

	bits = turn == 0 ? bits : bits >> turn | bits << (64 - turn);
	return ((unsigned)__builtin_ctzll(bits) + turn) % NAT_BLOCK_PORTS;
}

static uint32_t *chain_of(struct nat_ports *ports, const struct nat_user *user)
{
	uint64_t word = (uint64_t)user->address->serial << 35 ^ (uint64_t)user->low << 34 ^
			(uint64_t)user->class << 32 ^ user->subscriber;

	word *= 0x9e3779b97f4a7c15ull;
	return &ports->chains[(uint32_t)(word >> 32) & ports->chain_mask];
}

/* The index of whoever has this address, class, range and subscriber, or 0. */
static uint32_t find_user(struct nat_ports *ports, const struct nat_user *wanted)
{
	uint32_t index = *chain_of(ports, wanted);

	while (index != 0) {
		const struct nat_user *user = &ports->users[index];

		if (user->subscriber == wanted->subscriber && user->address == wanted->address &&
			user->class == wanted->class && user->low == wanted->low)
			return index;
		index = user->next;
	}
	return 0;
}

static uint32_t make_user(struct nat_ports *ports, const struct nat_user *wanted)
{
	uint32_t *chain = chain_of(ports, wanted);
	uint32_t index = ports->free;

	if (index != 0) {
		ports->free = ports->users[index].next;
	} else {
		/* records never used before are taken in order; their count hides in record 0 */
		if (ports->users[0].next == ports->capacity)
			return 0;
		index = ++ports->users[0].next;
	}
	ports->users[index] = *wanted;
	ports->users[index].next = *chain;
	ports->users[index].head = NAT_BLOCKS;
	*chain = index;
	return index;
}

static void drop_user(struct nat_ports *ports, uint32_t index)
{
	struct nat_user *user = &ports->users[index];
	uint32_t *link = chain_of(ports, user);

	while (*link != index)
		link = &ports->users[*link].next;
	*link = user->next;
	user->next = ports->free;
	ports->free = index;
}

static void list_block(struct nat_user *user, struct nat_block *blocks, uint16_t number)
{
	blocks[number].prev = NAT_BLOCKS;
	blocks[number].next = user->head;
	if (user->head != NAT_BLOCKS)
		blocks[user->head].prev = number;
	user->head = number;
}

static void unlist_block(struct nat_user *user, struct nat_block *blocks, uint16_t number)
{
	struct nat_block *block = &blocks[number];

	if (block->prev != NAT_BLOCKS)
		blocks[block->prev].next = block->next;
	else
		user->head = block->next;
	if (block->next != NAT_BLOCKS)
		blocks[block->next].prev = block->prev;
}

/* The ports of a block that are in the address's share. */
static uint64_t share_of(const struct nat_address *address, uint32_t number)
{
	uint32_t first = number * NAT_BLOCK_PORTS, last = first + NAT_BLOCK_PORTS - 1;
	uint64_t bits = ~0ull;

	if (last < address->port_first || first > address->port_last)
		return 0;
	if (first < address->port_first)
		bits &= ~0ull << (address->port_first - first);
	if (last > address->port_last)
		bits &= ~0ull >> (last - address->port_last);
	return bits;
}

/* Those that may be given out now: since the block was claimed the share may have become smaller,
 * and forwards may have come. */
static uint64_t usable(const struct nat_address *address, int class, uint32_t number)
{
	return share_of(address, number) & ~nat_reserved(address, class, number);
}

/* Claims this block for a user, if it is free and has a port to give. */
static bool claim(struct nat_ports *ports, uint32_t index, uint32_t number)
{
	struct nat_user *user = &ports->users[index];
	struct nat_address *address = user->address;
	struct nat_block *block = &address->block[user->class][number];
	uint64_t bits = usable(address, user->class, number);
	uint8_t nobody = 0;

	if (bits == 0 ||
		!__atomic_compare_exchange_n(&address->owner[user->class][number], &nobody,
			(uint8_t)(ports->worker + 1), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	block->free = bits;
	block->all = bits;
	block->user = index;
	user->blocks++;
	list_block(user, address->block[user->class], (uint16_t)number);
	nat_log_put(ports, address, user->class, number, API_BLOCK_TAKEN, user->subscriber);
	return true;
}

/* Claims the first one that it can from `first` up to `end`. Where all are taken, each new flow
 * comes here in vain: memchr() passes over sixteen and more at a time. What it reads may be old,
 * which claim() finds out. */
static bool claim_between(struct nat_ports *ports, uint32_t index, uint32_t first, uint32_t end)
{
	const struct nat_user *user = &ports->users[index];
	const uint8_t *owner = user->address->owner[user->class], *at = owner + first, *free;

	while ((free = memchr(at, 0, (size_t)(owner + end - at))) != NULL) {
		if (claim(ports, index, (uint32_t)(free - owner)))
			return true;
		at = free + 1;
	}
	return false;
}

/* Claims a free block for a user; false if the address has none left. */
static bool claim_block(struct nat_ports *ports, uint32_t index)
{
	const struct nat_user *user = &ports->users[index];
	const struct nat_address *address = user->address;
	uint32_t first = RTE_MAX(address->port_first, user->low ? 0 : LOW_PORTS) / NAT_BLOCK_PORTS;
	uint32_t last = RTE_MIN(address->port_last, user->low ? LOW_PORTS - 1 : UINT16_MAX);
	/* a share that is being changed, or has none of the range, may end before it begins */
	uint32_t end = RTE_MAX(last / NAT_BLOCK_PORTS + 1, first);
	uint32_t start = first + (uint32_t)((uint64_t)draw(ports) * (end - first) >> 32);

	return claim_between(ports, index, start, end) || claim_between(ports, index, first, start);
}

static uint16_t take_from(struct nat_ports *ports, struct nat_address *address, int class,
	uint16_t number, uint64_t wanted)
{
	struct nat_block *block = &address->block[class][number];
	uint64_t bits = block->free & wanted & usable(address, class, number);
	unsigned bit;

	if (bits == 0)
		return 0;
	bit = draw_bit(ports, bits);
	block->free &= ~(1ull << bit);
	if (block->free == 0)
		unlist_block(&ports->users[block->user], address->block[class], number);
	return (uint16_t)(number * NAT_BLOCK_PORTS + bit);
}

/* From the blocks that the user has. */
static uint16_t take_own(struct nat_ports *ports, uint32_t index, uint64_t wanted)
{
	const struct nat_user *user = &ports->users[index];
	uint16_t number = user->head;

	for (unsigned i = 0; i < LOOK_MAX && number != NAT_BLOCKS; i++) {
		uint16_t next = user->address->block[user->class][number].next;
		uint16_t port = take_from(ports, user->address, user->class, number, wanted);

		if (port != 0)
			return port;
		number = next;
	}
	return 0;
}

/* From this worker's blocks between `first` and `end`, whosever they are. */
static uint16_t take_between(
	struct nat_ports *ports, const struct nat_user *wanted, uint16_t first, uint16_t end)
{
	struct nat_address *address = wanted->address;
	int class = wanted->class;

	for (uint16_t number = first; number < end; number++) {
		const struct nat_block *block = &address->block[class][number];
		uint16_t port;

		if (__atomic_load_n(&address->owner[class][number], __ATOMIC_RELAXED) !=
				ports->worker + 1 ||
			block->free == 0 || ports->users[block->user].subscriber == SHARED)
			continue;
		port = take_from(ports, address, class, number, ~0ull);
		if (port == 0)
			continue;
		if (ports->users[block->user].subscriber != wanted->subscriber)
			nat_log_put(ports, address, class, number, API_BLOCK_SHARED,
				wanted->subscriber);
		return port;
	}
	return 0;
}

/* The last resort: any free port of the range in any block of this worker. It looks from a random
 * one on, lest all who come here go through the same blocks, which are used up. */
static uint16_t take_any(struct nat_ports *ports, const struct nat_user *wanted)
{
	uint16_t first = wanted->low ? 0 : LOW_PORTS / NAT_BLOCK_PORTS;
	uint16_t end = wanted->low ? LOW_PORTS / NAT_BLOCK_PORTS : NAT_BLOCKS;
	uint16_t start = (uint16_t)(first + ((uint64_t)draw(ports) * (end - first) >> 32));
	uint16_t port = take_between(ports, wanted, start, end);

	return port != 0 ? port : take_between(ports, wanted, first, start);
}

static uint16_t take_for(struct nat_ports *ports, const struct nat_user *wanted, uint64_t parity)
{
	uint32_t index = find_user(ports, wanted);
	uint16_t port;

	if (index == 0)
		index = make_user(ports, wanted);
	if (index == 0)
		return take_any(ports, wanted);
	port = take_own(ports, index, parity);
	if (port == 0 && claim_block(ports, index))
		port = take_own(ports, index, parity);
	if (port == 0)
		port = take_own(ports, index, ~0ull);
	if (port == 0)
		port = take_any(ports, wanted);
	if (ports->users[index].blocks == 0)
		drop_user(ports, index);
	return port;
}

uint16_t nat_port_take(struct nat_ports *ports, struct nat_address *address, int class,
	uint32_t subscriber, uint32_t like)
{
	uint64_t parity = (like & NAT_ANY_PARITY) != 0 ? ~0ull
			  : (like & 1) != 0            ? ~PARITY_EVEN
						       : PARITY_EVEN;
	struct nat_user wanted = {
		.address = address,
		.subscriber = subscriber,
		.class = (uint8_t) class,
	};
	uint16_t port = 0;

	wanted.low = (like & UINT16_MAX) < LOW_PORTS && address->port_first < LOW_PORTS &&
		     class < NAT_FORWARD_CLASSES;
	if (wanted.low)
		port = take_for(ports, &wanted, parity);
	wanted.low = false;
	return port != 0 ? port : take_for(ports, &wanted, parity);
}

/* All blocks of a user, when none of their ports is in use. */
static void give_all(struct nat_ports *ports, uint32_t index)
{
	struct nat_user *user = &ports->users[index];
	struct nat_address *address = user->address;

	while (user->head != NAT_BLOCKS) {
		uint16_t number = user->head;

		unlist_block(user, address->block[user->class], number);
		nat_log_put(ports, address, user->class, number, API_BLOCK_RELEASED, 0);
		__atomic_store_n(&address->owner[user->class][number], 0, __ATOMIC_RELEASE);
	}
	drop_user(ports, index);
	ports->shared_user = 0;
}

static void list_shared(struct nat_ports *ports, uint32_t index)
{
	const struct nat_user *user = &ports->users[index];
	const struct nat_address *address = user->address;

	ports->shared_user = index;
	ports->shared_count = 0;
	for (uint16_t number = 0; number < NAT_BLOCKS; number++) {
		if (__atomic_load_n(&address->owner[user->class][number], __ATOMIC_RELAXED) ==
				ports->worker + 1 &&
			address->block[user->class][number].user == index)
			ports->shared[ports->shared_count++] = number;
	}
}

/*
 * The next of a row of shared ports; 0 if it cannot be had. It goes from block to block, a bit
 * further each time round: what is free lies together, in the blocks that were claimed last. The
 * division is by the number of blocks; rationed by the caller, off the path of known flows.
 */
static uint16_t sweep_shared(
	struct nat_ports *ports, const struct nat_address *address, int class, unsigned step)
{
	uint32_t round = step / ports->shared_count, place = step % ports->shared_count;
	uint16_t number;
	unsigned bit;

	if (step == 0)
		ports->sweep = draw(ports);
	if (round >= NAT_BLOCK_PORTS)
		return 0;
	number = ports->shared[place];
	bit = (ports->sweep + round) % NAT_BLOCK_PORTS;
	if (((address->block[class][number].all & usable(address, class, number)) >> bit & 1) == 0)
		return 0;
	return (uint16_t)(number * NAT_BLOCK_PORTS + bit);
}

uint16_t nat_port_offer(
	struct nat_ports *ports, struct nat_address *address, int class, unsigned attempt)
{
	struct nat_user wanted = {
		.address = address, .subscriber = SHARED, .class = (uint8_t) class};
	uint32_t index = find_user(ports, &wanted);
	uint16_t number;
	uint64_t bits;

	if (index == 0)
		index = make_user(ports, &wanted);
	if (index == 0)
		return 0;
	if ((ports->users[index].blocks < SHARED_MIN ||
		    (attempt != 0 && attempt < NAT_ATTEMPTS && attempt % SHARED_TRIES == 0)) &&
		claim_block(ports, index))
		ports->shared_user = 0; /* read anew */
	if (ports->users[index].blocks == 0) {
		drop_user(ports, index);
		return 0;
	}
	if (ports->shared_user != index)
		list_shared(ports, index);
	if (attempt >= NAT_ATTEMPTS)
		return sweep_shared(ports, address, class, attempt - NAT_ATTEMPTS);
	number = ports->shared[(uint64_t)draw(ports) * ports->shared_count >> 32];
	bits = address->block[class][number].all & usable(address, class, number);
	return bits == 0 ? 0 : (uint16_t)(number * NAT_BLOCK_PORTS + draw_bit(ports, bits));
}

void nat_port_hold(struct nat_ports *ports, struct nat_address *address, int class, uint16_t port)
{
	uint16_t number = port / NAT_BLOCK_PORTS;
	struct nat_block *block = &address->block[class][number];

	block->free &= ~(1ull << port % NAT_BLOCK_PORTS);
	ports->users[block->user].held++;
	if (block->free == 0)
		unlist_block(&ports->users[block->user], address->block[class], number);
}

void nat_port_give(struct nat_ports *ports, struct nat_address *address, int class, uint16_t port)
{
	uint16_t number = port / NAT_BLOCK_PORTS;
	struct nat_block *block = &address->block[class][number];
	uint32_t index = block->user;
	struct nat_user *user = &ports->users[index];
	uint64_t before = block->free;

	block->free |= 1ull << port % NAT_BLOCK_PORTS;
	if (before == 0)
		list_block(user, address->block[class], number);
	if (user->subscriber == SHARED) {
		if (--user->held == 0)
			give_all(ports, index);
		return;
	}
	if (block->free != block->all)
		return;
	unlist_block(user, address->block[class], number);
	user->blocks--;
	nat_log_put(ports, address, class, number, API_BLOCK_RELEASED, 0);
	__atomic_store_n(&address->owner[class][number], 0, __ATOMIC_RELEASE);
	if (user->blocks == 0)
		drop_user(ports, index);
}
