/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data plane's end of the connection to the control process: accepts one controller, stages,
 * validates and applies its transactions in slices, answers, and sends events. Without a
 * controller everything goes on as it was last committed.
 *
 * One session per process; everything here on the main thread. No DPDK: what touches workers
 * (flip, grace period, counters) are callbacks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/api/api.h"
#include "common/base/key.h"

struct session;

enum {
	SESSION_SLICE_NS = 1000000, /* one poll's work at most, plus one handler call */
	SESSION_REQUEST_BYTES = 1 << 20,
	SESSION_REPLY_BYTES = 1 << 20,
	SESSION_STAGING_BYTES = 64 << 20,
	SESSION_SECRETS_MAX = 64, /* memfds with keys held at a time */
};

struct session_options {
	const char *path;       /* of the Unix socket; an old socket there is replaced */
	uid_t uid;              /* who may connect, besides our own uid */
	uint32_t request_bytes; /* ring capacities, powers of two; 0 = SESSION_*_BYTES */
	uint32_t reply_bytes;
	size_t staging_bytes;  /* bound of one transaction; 0 = SESSION_STAGING_BYTES */
	size_t counters_bytes; /* size of the counters memory; 0 = one page without sections */
	void *arg;             /* for the callbacks */
	/* CLOCK_MONOTONIC in ns; NULL = the real one. */
	uint64_t (*clock_ns)(void *arg);
	/* Workers read copy `active` from now on: one store. NULL = nothing to do. */
	void (*flip)(unsigned active, void *arg);
	/* Starts a grace period after a flip; then polled until no worker can read the old copy. */
	void (*grace_start)(void *arg);
	bool (*grace_done)(void *arg);
	/* A commit is complete; called before its reply is sent. */
	void (*committed)(uint64_t generation, void *arg);
	/* Fresh zeroed counters memory for a new connection: lay it out now
	 * (common/ring/counters.h), write to it until counters_close. */
	void (*counters_open)(void *base, size_t bytes, void *arg);
	void (*counters_close)(void *arg);
};

/* Opens the socket. NULL and *error (a negative errno). */
struct session *session_create(const struct session_options *options, int *error)
	__attribute__((warn_unused_result));

/* Closes everything and removes the socket; sets *session to NULL. */
void session_destroy(struct session **session);

/*
 * Does what there is to do for at most SESSION_SLICE_NS. True: there is more, poll again before
 * blocking (a grace period that is awaited counts as more).
 */
bool session_poll(struct session *session, uint64_t now_ns);

/* A descriptor that becomes readable when session_poll() should be called: for epoll or poll. It
 * is an epoll descriptor of the session's; never read from it. */
int session_fd(const struct session *session);

/* Call before blocking on session_fd(). True: nothing to do, the controller will wake us. False:
 * poll first. */
bool session_sleep(struct session *session);

/* Of the last commit; 0 = none yet, nothing is forwarded. */
uint64_t session_generation(const struct session *session);

/* How much of a transaction is applied, in thousandths; 0 = none is being applied. */
uint32_t session_applied_permille(const struct session *session);

/* Random, of this process: a controller that meets another one replays everything. */
uint64_t session_instance(const struct session *session);

/* The copy that workers read, 0 or 1. */
unsigned session_active(const struct session *session);

/* What features call; there is at most one session, so they need no pointer to it. */

/*
 * Sends an event to the controller. 0, or -ENOBUFS (ring full, or no controller): the event is
 * lost, and the controller will be told to resync.
 */
int session_event(const void *message);

/* True: a controller is there and the next session_event() will not be lost. A feature that keeps
 * its own marks of what is unsent asks first, and so loses nothing. */
bool session_event_ready(void);

/* Counts connections from 1; 0 = none at the moment. A feature that sees another number than last
 * time sends its state anew. */
uint64_t session_connection(void);

/* True if the key can be taken: for validate and prepare. */
bool session_secret_present(uint64_t token, uint32_t index);

/* Takes a key, once per (token, index): in apply, pass HANDLER_SHADOW. The caller wipes `out`.
 * 0, or -ENOENT. Keys that a commit did not take are wiped at its end. */
int session_secret(uint64_t token, uint32_t index, uint8_t out[KEY_SIZE])
	__attribute__((warn_unused_result));
