/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the link: the connection (link.c) and what is asked over it (request.c). */
#pragma once

#include <event2/event.h>
#include <sys/queue.h>

#include "common/ring/channel.h"
#include "common/ring/counters.h"
#include "control/link/link.h"

enum request_kind {
	REQUEST_TXN,
	REQUEST_QUESTION,
};

/* What of a transaction goes next; a question has only REQUEST_OPEN and REQUEST_SENT. */
enum request_step {
	REQUEST_SECRET,
	REQUEST_OPEN,
	REQUEST_OBJECTS,
	REQUEST_CLOSE,
	REQUEST_ABORT, /* its owner has gone */
	REQUEST_SENT,  /* awaits its reply */
};

struct request {
	STAILQ_ENTRY(request) entry;
	enum request_kind kind;
	enum request_step step;
	uint32_t cookie;    /* of the message whose reply ends it */
	int secret_fd;      /* -1 = none */
	const void *object; /* from next(), did not fit yet */
	union {
		struct link_txn txn;
		struct link_question question;
	};
	union {
		struct api_header header;
		uint8_t bytes[API_MESSAGE_MAX];
	} asked; /* a question's message */
};

STAILQ_HEAD(request_queue, request);

enum link_state {
	LINK_WAITING,  /* for the next attempt */
	LINK_GREETING, /* hello sent */
	LINK_CONNECTED,
};

struct link {
	struct link_options options;
	char *path;
	enum link_state state;
	unsigned backoff_ms;           /* before the next attempt; 0 = at once */
	char reason[CHANNEL_TEXT_MAX]; /* told by the last disconnected() */
	int greeting;                  /* socket while greeting; -1 */
	struct channel channel;
	struct counters_view counters;
	uint64_t generation;
	uint32_t next_cookie;
	struct event *timer;    /* next attempt, or the time to greet */
	struct event *readable; /* socket: hello, bells, the end */
	struct event *writable; /* socket: keys could not be sent */
	struct event *work;     /* see link_wake() */
	struct request_queue txns;
	struct request_queue questions;
};

/* Runs the link from the loop, after what else is ready: an event made active from its own
 * callback would keep the loop from looking at descriptors. */
void link_wake(struct link *link);

/* Sends as much as there is room for. 0; -EAGAIN: waits (for room or a reply); -errno: broken. */
int request_send(struct link *link) __attribute__((warn_unused_result));

/* A reply or an entry, at this build's size. */
void request_receive(struct link *link, const struct api_header *message);

/* Ends everything that is queued. */
void request_fail_all(struct link *link, int code, const char *text);

/* Frees everything without callbacks. */
void request_free_all(struct link *link);
