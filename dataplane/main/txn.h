/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The staged messages of one transaction, private to the data plane, bounded in bytes, kept by
 * handler group in the order sent. Main thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct txn;
struct handler;

/* A place in a transaction: zero it to start. After txn_next*, `index` is the message's number in
 * the transaction as sent, from 0, and `handler` its handler. */
struct txn_cursor {
	uint64_t index;
	const struct handler *handler;
	/* private */
	unsigned group;
	bool started;
	const void *chunk;
	size_t offset;
};

/* What is not mentioned goes. */
bool txn_is_full(const struct txn *txn);

/* Object messages staged so far. */
uint64_t txn_count(const struct txn *txn);

/* Next message of one group (its number as registered), in the order sent; NULL at the end. */
const void *txn_next_in_group(const struct txn *txn, struct txn_cursor *cursor, unsigned group);

/* Next message of the group that `type` belongs to; other types of that group come too: look at
 * the header. This is what a prepare uses. */
const void *txn_next_like(const struct txn *txn, struct txn_cursor *cursor, uint16_t type);

/* Next message of all, group after group. */
const void *txn_next(const struct txn *txn, struct txn_cursor *cursor);

/* For the session and tests. */

/* NULL if out of memory. bound: bytes of staged messages, bookkeeping included. */
struct txn *txn_create(size_t bound) __attribute__((warn_unused_result));
void txn_destroy(struct txn **txn);

/* Forgets the staged messages; their memory goes piecemeal in txn_trim(). */
void txn_reset(struct txn *txn, bool full);

/* Stages a message that has been fitted to its handler's size. 0, -ENOSPC (the bound), -ENOMEM. */
int txn_stage(struct txn *txn, const void *message, const struct handler *handler, unsigned group)
	__attribute__((warn_unused_result));

/* True if `count` messages of the smallest size could fit the bound. */
bool txn_could_hold(const struct txn *txn, uint64_t count);

/* Frees a little of the memory of earlier transactions; true while there is more. */
bool txn_trim(struct txn *txn);
