/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a receiver index to its keypair: a direct table over some of the index's random bits, with
 * a compare of the whole. The handshake thread keeps for every slot who took it (also for pending
 * handshakes, which workers must not see); a fresh index that hits a taken slot is drawn again.
 */
#include <errno.h>
#include <rte_common.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>
#include <sodium.h>

#include "dataplane/wireguard/index.h"
#include "dataplane/wireguard/wireguard_priv.h"

enum {
	SLOTS_PER_PEER = 8, /* three keypairs and a pending handshake, half empty */
	SLOTS_MIN = 1024,
	DRAWS_MAX = 1000, /* at half full, 1000 misses in a row do not happen */
};

struct slot {
	_Atomic uint32_t index; /* 0 = free; read by all */
	struct wg_peer *peer;   /* who took it */
};

static _Atomic(struct keypair *) *keypairs; /* read by workers */
static struct slot *slots;                  /* handshake thread changes */
static uint32_t mask;
static uint64_t secret;

static uint32_t slot_of(uint32_t index)
{
	return (index >> INDEX_OWNER_BITS) & mask;
}

int index_table_init(uint32_t max_peers)
{
	uint32_t count = rte_align32pow2(RTE_MAX(max_peers * SLOTS_PER_PEER, (uint32_t)SLOTS_MIN));

	keypairs = rte_zmalloc("wg_keypairs", count * sizeof(keypairs[0]), RTE_CACHE_LINE_SIZE);
	slots = rte_zmalloc("wg_slots", count * sizeof(slots[0]), RTE_CACHE_LINE_SIZE);
	if (keypairs == NULL || slots == NULL)
		return -ENOMEM;
	mask = count - 1;
	randombytes_buf(&secret, sizeof(secret));
	return 0;
}

uint64_t index_table_secret(void)
{
	return secret;
}

struct keypair *index_table_find(uint32_t index)
{
	struct keypair *keypair =
		atomic_load_explicit(&keypairs[slot_of(index)], memory_order_acquire);

	return keypair != NULL && keypair->local_index == index ? keypair : NULL;
}

void index_table_prefetch(uint32_t index)
{
	rte_prefetch0(&keypairs[slot_of(index)]);
}

void index_table_prefetch_keypair(uint32_t index)
{
	const struct keypair *keypair =
		atomic_load_explicit(&keypairs[slot_of(index)], memory_order_relaxed);

	rte_prefetch0(keypair);
	rte_prefetch0(RTE_PTR_ADD(keypair, offsetof(struct keypair, receive_key)));
}

int index_table_take(struct wg_peer *peer, unsigned owner, uint32_t *index)
{
	for (unsigned draw = 0; draw < DRAWS_MAX; draw++) {
		uint32_t fresh = index_make(owner, randombytes_random(), secret);
		struct slot *slot = &slots[slot_of(fresh)];

		if (fresh == 0 || slot->index != 0)
			continue;
		slot->peer = peer;
		atomic_store_explicit(&slot->index, fresh, memory_order_relaxed);
		*index = fresh;
		return 0;
	}
	return -ENOSPC;
}

void index_table_set(uint32_t index, struct keypair *keypair)
{
	atomic_store_explicit(&keypairs[slot_of(index)], keypair, memory_order_release);
}

void index_table_give(uint32_t index)
{
	if (!index_table_is_taken(index))
		return;
	atomic_store_explicit(&keypairs[slot_of(index)], NULL, memory_order_release);
	atomic_store_explicit(&slots[slot_of(index)].index, 0, memory_order_relaxed);
}

bool index_table_is_taken(uint32_t index)
{
	return index != 0 &&
	       atomic_load_explicit(&slots[slot_of(index)].index, memory_order_relaxed) == index;
}

struct wg_peer *index_table_peer(uint32_t index)
{
	return index_table_is_taken(index) ? slots[slot_of(index)].peer : NULL;
}
