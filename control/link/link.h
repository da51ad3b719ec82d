/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sallyportd's end of the connection to the data plane, on libevent. Connects, and reconnects at
 * once when the connection is lost, then with growing pauses; submits transactions without ever
 * blocking the loop; hands on events; reads counters.
 *
 * All on the loop's thread. Callbacks come from the loop, never from within a call into the link,
 * and may call any function of the link but link_destroy().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/api/api.h"
#include "common/api/counters.h"
#include "common/base/key.h"

struct event_base;
struct link;

enum {
	LINK_BACKOFF_MIN_MS = 10,
	LINK_BACKOFF_MAX_MS = 1000,
};

struct link_options {
	struct event_base *base;
	const char *path; /* the data plane's socket; copied */
	void *arg;        /* for the callbacks below, each of which may be NULL */
	/* Connected. Resume if instance and generation are the ones last committed, else submit a
	 * FULL transaction. */
	void (*connected)(uint64_t instance, uint64_t generation, void *arg);
	/* It has ended, and its counters can be read for the last time. */
	void (*ending)(void *arg);
	/* Lost, or refused: `reason` is one line. Pending transactions and questions have ended.
	 * Called once per change, not per attempt, unless the reason is another. */
	void (*disconnected)(const char *reason, void *arg);
	/* Any event but RESYNC; the message is valid during the call, at this build's size. */
	void (*event)(const struct api_header *message, void *arg);
	/* Events were lost: what they tell must be assumed stale. */
	void (*resync)(uint64_t lost, void *arg);
};

/* NULL and *error (a negative errno). The first attempt to connect runs from the loop. */
struct link *link_create(const struct link_options *options, int *error)
	__attribute__((warn_unused_result));

/* Closes without callbacks; sets *link to NULL. */
void link_destroy(struct link **link);

bool link_is_connected(const struct link *link);

/* Of the data plane at the other end; 0 when not connected. The generation follows commits. */
uint64_t link_instance(const struct link *link);
uint64_t link_generation(const struct link *link);

/* True if the data plane knows this message. */
bool link_supports(const struct link *link, uint16_t type);

struct link_txn {
	enum api_txn_mode mode;
	uint64_t base;       /* INCREMENT: link_generation() */
	uint64_t generation; /* after success; not 0 */
	uint64_t count;      /* messages that next() will return */
	/* Next object message, valid until the next call; NULL at the end. Header type and length
	 * are filled (api_message_init). Called as the ring has room. */
	const void *(*next)(void *arg);
	/* Keys that the messages name by (token, index); sent ahead, wiped by nobody here: `keys`
	 * is read before link_submit() returns. token from link_token(). keys NULL = none. */
	uint64_t token;
	const struct key *keys;
	uint32_t key_count;
	/* The end, exactly once: reply.code 0, or why not (-ECONNRESET: the connection ended, and
	 * whether it was applied will be seen by the generation at the next connected()). */
	void (*done)(const struct api_reply *reply, void *arg);
	void *arg;
};

/* Queues a transaction; it is sent when earlier ones are answered. The struct is copied. 0,
 * -ENOTCONN, -EINVAL, -ENOMEM; done is called only after 0. */
int link_submit(struct link *link, const struct link_txn *txn) __attribute__((warn_unused_result));

/* A random token, never 0. */
uint64_t link_token(void);

struct link_question {
	const void *message; /* a request, type and length filled; copied */
	/* Each message of the answer before the reply, at this build's size; may be NULL. */
	void (*entry)(const struct api_header *message, void *arg);
	void (*done)(const struct api_reply *reply, void *arg); /* as above */
	void *arg;
};

/* Asks something outside of transactions; several are answered one after the other. As
 * link_submit(); -EOPNOTSUPP: an older data plane. */
int link_ask(struct link *link, const struct link_question *question)
	__attribute__((warn_unused_result));

/* Stops entry() and done() of every question and transaction with this arg: its owner goes away. */
void link_forget(struct link *link, const void *arg);

/* Counters of the data plane, straight from shared memory; -ENOTCONN when not connected. */
int link_counters_header(const struct link *link, struct api_counters *header)
	__attribute__((warn_unused_result));

/* Rows in use of a section (enum api_section_id); 0 if there is none. */
uint32_t link_counters_used(const struct link *link, uint32_t section);

/* n rows from `first`, consistent; row_size is sizeof the caller's struct. 0, -ENOTCONN, -ENOENT,
 * -EAGAIN (being written just now, after many tries). */
int link_counters_read(const struct link *link, uint32_t section, uint32_t first, uint32_t n,
	void *rows, size_t row_size) __attribute__((warn_unused_result));
