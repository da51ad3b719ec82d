/* SPDX-License-Identifier: BSD-3-Clause */
/* Unlinked objects of the handshake thread, waiting for their grace period in batches. */
#include <rte_malloc.h>
#include <sodium.h>
#include <stdlib.h>

#include "dataplane/wireguard/wireguard_priv.h"

struct garbage {
	STAILQ_ENTRY(garbage) link;
	void *memory; /* of rte_malloc */
	size_t wipe_bytes;
};

STAILQ_HEAD(garbage_list, garbage);

static struct garbage_list fresh = STAILQ_HEAD_INITIALIZER(fresh);     /* no grace period yet */
static struct garbage_list waiting = STAILQ_HEAD_INITIALIZER(waiting); /* for `token` */
static uint64_t token;

void reclaim_later(void *memory, size_t wipe_bytes)
{
	struct garbage *garbage = malloc(sizeof(*garbage));

	if (garbage == NULL)
		abort(); /* leaking keys would be worse */
	*garbage = (struct garbage){.memory = memory, .wipe_bytes = wipe_bytes};
	STAILQ_INSERT_TAIL(&fresh, garbage, link);
}

static void release(struct garbage_list *list)
{
	struct garbage *garbage;

	while ((garbage = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, link);
		sodium_memzero(garbage->memory, garbage->wipe_bytes);
		rte_free(garbage->memory);
		free(garbage);
	}
}

void reclaim_run(void)
{
	if (!STAILQ_EMPTY(&waiting)) {
		if (!grace_over(token))
			return;
		release(&waiting);
	}
	if (!STAILQ_EMPTY(&fresh)) {
		STAILQ_CONCAT(&waiting, &fresh);
		token = grace_start();
	}
}
