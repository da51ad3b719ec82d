/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A session with the toy features behind it, and the controller that speaks to it over the channel,
 * both in one thread: the session gets on only while it is polled here. What does not go as it
 * has to fails the test.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/ring/channel.h"
#include "dataplane/main/session.h"
#include "test/unit/dataplane/main/toy.h"

/* A message as it comes out of a ring. */
union message {
	struct api_header header;
	struct api_reply reply;
	struct api_event_resync resync;
	struct api_event_neigh neigh;
	struct api_event_peer peer;
	struct api_flow_entry flow;
	uint8_t bytes[API_MESSAGE_MAX];
};

extern char session_path[64]; /* where it listens */
extern struct session *session;
extern struct channel control; /* the controller's end */

/* Of a program's tests: the folder of the socket. */
int make_directory(void **state);
int remove_directory(void **state);

/* Of each test: a session with its controller connected; the small one has a ring of 4 KiB for
 * replies. Afterwards nothing may be left of the socket. */
int set_up(void **state);
int set_up_small(void **state);
int tear_down(void **state);

/* The session's turn, until it has nothing left to do. */
void poll_session(void);

/* Whether its descriptor becomes readable within that time. */
bool woken(int ms);

/* A connection's steps. The descriptor is the caller's until it is attached. */
int say_hello(const struct channel_hello *hello);
void attach(int fd);
void connect_control(void);
void disconnect_control(void);

/* To the session, which does not look at it before it is polled. A commit's cookie is its
 * generation
 * + 1000. */
void put(const void *message);
void put_begin(enum api_txn_mode mode, uint64_t base, uint64_t count);
void put_port(uint16_t port, uint16_t mtu);
void put_commit(uint64_t generation);

/* The next message from it, if one lies there: its bytes, or 0. */
int get(union message *message);

/* Polls, and what then comes is this or nothing. */
void expect_reply(uint32_t cookie, int code);
void expect_nothing(void);

/* A whole transaction of one port. */
void commit_port(uint16_t port, uint64_t generation);
