/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a feature takes part in transactions and requests of the control process. The core never
 * names a feature: each registers its handlers at start, before session_create(). All functions
 * run on the main thread; none may block, and each call should take microseconds: the session
 * measures after every call and yields after 1 ms.
 *
 * Left-right tables: every feature keeps two copies of what workers read. A commit applies the
 * staged messages to the copy that no worker reads (pass HANDLER_SHADOW), flips `active` in one
 * store, waits for a grace period, then applies the same messages to the other copy (pass
 * HANDLER_CATCH_UP). Objects with live state (peers, ports) are created in SHADOW and deleted in
 * CATCH_UP, when no worker can hold them any more.
 *
 * Order of one commit:
 *   validate  every message, in the order sent
 *   prepare   every group, in registration order; the first failure aborts the whole
 *   SHADOW    begin of every group; apply: groups in registration order, the messages of a group
 *             in the order sent; end of every group in reverse order (what depends lets go first)
 *   flip, grace period
 *   CATCH_UP  the same for the other copy
 *   the generation is the transaction's; one reply
 * With several slices, workers forward between them and read only the active copy.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct txn; /* dataplane/main/txn.h */

enum handler_pass {
	HANDLER_SHADOW,
	HANDLER_CATCH_UP,
};

/* An object message. The message has been brought to `size` before any function sees it. */
struct handler {
	uint16_t type; /* enum api_type */
	const char *name;
	uint16_t size;
	/* Field checks on one message alone. 0, or an enum api_code and *detail (offset). NULL: all
	 * values are good. */
	int (*validate)(const void *msg, uint32_t *detail);
	/* May not fail: validate and prepare have made sure of it. `copy` is 0 or 1. */
	void (*apply)(const void *msg, unsigned copy, enum handler_pass pass);
};

/* All but `feature` and `handlers` may be NULL. */
struct handler_group {
	const char *feature;
	const struct handler *handlers;
	unsigned count;
	/*
	 * Cross-object checks over the whole staged transaction and reservation of memory, before
	 * anything is applied. 0; or an enum api_code with *index of the message at fault
	 * (txn_cursor.index), *detail, and one line of text; or -EAGAIN: call again in the next
	 * slice (the feature keeps its place). A group that fails has undone its own part.
	 */
	int (*prepare)(const struct txn *txn, uint64_t *index, uint32_t *detail, char text[96]);
	/* Around the applies of each pass, for every transaction, also for groups without a message
	 * in it. full: what the transaction does not mention goes (begin clears the copy or marks
	 * the objects, end sweeps); unchanged objects must stay untouched. */
	void (*begin)(unsigned copy, enum handler_pass pass, bool full);
	void (*end)(unsigned copy, enum handler_pass pass, bool full);
	/* Undoes prepare: called for groups whose prepare returned 0 if a later one failed. */
	void (*abort)(void);
};

/*
 * A request outside of transactions whose answer is a stream of messages, then one API_REPLY. The
 * session asks for the next message only when the ring has room for it. One stream at a time; a
 * second request is answered API_E_STATE.
 */
struct handler_stream {
	uint16_t type;
	const char *name;
	uint16_t size;
	int (*validate)(const void *msg, uint32_t *detail); /* as above */
	/* 0 and *stream, or an enum api_code. */
	int (*open)(const void *msg, void **stream);
	/* One message into out (API_MESSAGE_MAX bytes, header type and length filled by the
	 * feature, cookie by the session). 1: there is one; 0: none now, ask at the next poll;
	 * -ENODATA: the end; an errno else: ends the stream with that code. */
	int (*next)(void *stream, void *out);
	void (*close)(void *stream); /* after the end, and on disconnect */
};

/* The structs stay the feature's and must live for ever. A type has one handler (asserted). */
void handler_register(const struct handler_group *group);
void handler_register_stream(const struct handler_stream *stream);

/* For the session and its tests. */
enum { HANDLER_GROUP_MAX = 32, HANDLER_STREAM_MAX = 16 };

unsigned handler_group_count(void);
const struct handler_group *handler_group_at(unsigned group);

/* NULL for an unknown type; *group is the number of the group it belongs to. */
const struct handler *handler_find(uint16_t type, unsigned *group);
const struct handler_stream *handler_find_stream(uint16_t type);

/* Forgets all registrations: tests only. */
void handler_clear(void);
