/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the session: the connection (session.c) and what travels over it (request.c). */
#pragma once

#include "common/api/table.h"
#include "common/ring/channel.h"
#include "dataplane/main/commit.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/secrets.h"
#include "dataplane/main/session.h"

struct session {
	struct session_options options;
	char *path;
	int listener;
	int epoll;
	uint64_t instance;

	int greeting; /* accepted, has not said hello; -1 = none */
	uint64_t greeting_until_ns;
	bool connected;
	struct channel channel;
	uint64_t connection;  /* number of the current or last connection */
	uint64_t events_lost; /* since the controller was told last */

	struct commit *commit;
	uint64_t commit_connection; /* which one sent it: nobody else gets the reply */
	uint32_t commit_cookie;
	struct secrets *secrets;

	const struct handler_stream *stream; /* being answered; NULL = none */
	void *stream_state;
	uint32_t stream_cookie;
};

/* True once this poll has used up its time. */
static inline bool session_late(const struct session *s, uint64_t deadline_ns)
{
	return s->options.clock_ns(s->options.arg) >= deadline_ns;
}

/* session.c */

/* Ends the connection, if there is one; the listener stays. */
void session_disconnect(struct session *s, const char *why);

/* Reads the connected socket: keys, or the end of the connection. */
void session_drain_socket(struct session *s);

/* request.c */

/*
 * Room for a reply is kept free in the reply ring: a request is read only when its reply fits, and
 * events and streams take no more than leaves that room. So a reply is never lost, and a
 * controller that does not read is not read from either.
 */
enum { SESSION_REPLY_ROOM = 2 * sizeof(struct api_reply) + sizeof(struct api_event_resync) };

/* True while the ring has room for `bytes` besides that for replies. */
bool session_has_room(struct session *s, size_t bytes);

/* Puts a message if it fits beside `reserve` bytes. 0, -EAGAIN, -EPROTO. */
int session_send(struct session *s, const void *message, size_t reserve);

/* Tells of lost events as soon as there is room. 0 or -EPROTO. */
int session_tell_resync(struct session *s);

/* Reads and handles requests, until deadline_ns or while a transaction is being applied. */
void session_read_requests(struct session *s, uint64_t deadline_ns);

/* Answers a transaction that is done. */
void session_finish_commit(struct session *s);

/* Goes on with the stream that is being answered; and ends it. */
void session_run_stream(struct session *s, uint64_t deadline_ns);
void session_end_stream(struct session *s);
