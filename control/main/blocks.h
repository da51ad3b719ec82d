/* SPDX-License-Identifier: BSD-3-Clause */
/* Port blocks from the data plane's events to the ledger: names the users, writes once a second,
 * forgets what is older than the configuration says. Loop's thread. */
#pragma once

#include "control/ledger/ledger.h"

struct blocks;
struct event_base;
struct program;

/* path: of the ledger's database. NULL and *error. */
struct blocks *blocks_create(struct event_base *base, const char *path, int *error)
	__attribute__((warn_unused_result));

/* Whose configuration names the peers; NULL = none any more. */
void blocks_attach(struct blocks *blocks, const struct program *program);

/* For struct program_options; arg is the struct blocks. */
void blocks_take(const struct api_event_block *event, void *arg);

/* With what is not written yet flushed before it is asked. */
struct ledger *blocks_ledger(struct blocks *blocks);

/* Writes the rest; sets *blocks to NULL. */
void blocks_destroy(struct blocks **blocks);
