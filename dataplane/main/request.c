/* SPDX-License-Identifier: BSD-3-Clause */
/* What travels over the session's rings: requests in; replies, events and streams out. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "dataplane/main/session_priv.h"

LOG_TYPE(session);

/* --- sending --- */

/* Puts a message if it fits beside `reserve` bytes; cut to what the controller knows of it. */
int session_send(struct session *s, const void *message, size_t reserve)
{
	const struct api_header *header = message;
	const struct api_message *known = api_message_find(header->type);
	union {
		struct api_header header;
		uint8_t bytes[API_MESSAGE_MAX];
	} copy;
	uint16_t size = known == NULL ? 0 : channel_peer_size(&s->channel, known);
	int64_t space;

	/* An older controller does not miss what it does not know. */
	if (size == 0)
		return 0;
	space = ring_space(&s->channel.out);
	if (space < 0)
		return (int)space;
	if ((size_t)space < header->length + reserve)
		return -EAGAIN;
	if (size >= header->length)
		return ring_put(&s->channel.out, message);
	memcpy(copy.bytes, message, size);
	copy.header.length = size;
	return ring_put(&s->channel.out, &copy);
}

static int send_reply(struct session *s, struct api_reply *reply, uint32_t cookie)
{
	reply->header.cookie = cookie;
	return session_send(s, reply, 0);
}

/* Answers a request that is not a transaction; the room is there. */
static int answer(struct session *s, const struct api_header *request, int code, uint32_t detail,
	const char *text)
{
	struct api_reply reply;

	api_message_init(&reply, API_REPLY, sizeof(reply));
	reply.code = code;
	reply.detail = detail;
	snprintf(reply.text, sizeof(reply.text), "%s", text);
	return send_reply(s, &reply, request->cookie);
}

/* True while the ring has room for what may be sent besides replies. */
bool session_has_room(struct session *s, size_t bytes)
{
	return ring_space(&s->channel.out) >= (int64_t)(bytes + SESSION_REPLY_ROOM);
}

int session_tell_resync(struct session *s)
{
	struct api_event_resync resync;
	int rc;

	if (s->events_lost == 0 || !session_has_room(s, sizeof(resync)))
		return 0;
	api_message_init(&resync, API_EVENT_RESYNC, sizeof(resync));
	resync.lost = s->events_lost;
	rc = session_send(s, &resync, sizeof(struct api_reply));
	if (rc == 0)
		s->events_lost = 0;
	return rc == -EAGAIN ? 0 : rc;
}

/* --- requests --- */

static int start_stream(struct session *s, const struct api_header *request)
{
	const struct handler_stream *stream = handler_find_stream(request->type);
	uint32_t detail = 0;
	int code;

	if (stream == NULL)
		return answer(s, request, API_E_UNKNOWN, 0, "no feature answers this request");
	if (s->stream != NULL)
		return answer(s, request, API_E_STATE, 0, "another request is being answered");
	code = stream->validate == NULL ? API_OK : stream->validate(request, &detail);
	if (code == API_OK) {
		s->stream_state = NULL;
		code = stream->open(request, &s->stream_state);
	}
	if (code != API_OK)
		return answer(s, request, code, detail, stream->name);
	s->stream = stream;
	s->stream_cookie = request->cookie;
	return 0;
}

static int start_commit(struct session *s, const struct api_header *request)
{
	commit_start(s->commit, (const void *)request);
	s->commit_connection = s->connection;
	s->commit_cookie = request->cookie;
	secrets_mark(s->secrets);
	return 0;
}

static int handle_txn(struct session *s, const struct api_header *request)
{
	bool staging = commit_state(s->commit) == COMMIT_STAGING;

	switch (request->type) {
	case API_TXN_BEGIN:
		if (staging) {
			commit_discard(s->commit);
			return answer(s, request, API_E_STATE, 0,
				"a transaction was open; both are discarded");
		}
		/* Keys are sent ahead of the transaction that uses them. */
		session_drain_socket(s);
		if (s->connected)
			commit_begin(s->commit, (const void *)request);
		return 0;
	case API_TXN_COMMIT:
		if (!staging)
			return answer(s, request, API_E_STATE, 0, "no transaction is open");
		return start_commit(s, request);
	default:
		commit_discard(s->commit);
		secrets_drop_all(s->secrets);
		return answer(s, request, API_OK, 0, "");
	}
}

/* Brings a request to this build's size. Returns its entry, or NULL and *code. */
static const struct api_message *recognise(struct session *s, struct api_header *request, int *code)
{
	const struct api_message *known = api_message_find(request->type);

	*code = API_E_UNKNOWN;
	if (known == NULL || !api_message_is_request(known))
		return NULL;
	*code = API_E_SIZE;
	if (request->length != channel_peer_size(&s->channel, known))
		return NULL;
	*code = api_message_fit(request, request->length, known->size);
	return *code == API_OK ? known : NULL;
}

static int handle_request(struct session *s, struct api_header *request)
{
	bool staging = commit_state(s->commit) == COMMIT_STAGING;
	int code;
	const struct api_message *known = recognise(s, request, &code);

	if (known == NULL) {
		const char *text = code == API_E_SIZE ? "the message's length does not fit its type"
						      : "unknown message type";

		if (!staging)
			return answer(s, request, code, 0, text);
		commit_refuse(s->commit, code, 0, text);
		return 0;
	}
	switch (known->kind) {
	case API_KIND_TXN:
		return handle_txn(s, request);
	case API_KIND_OBJECT:
		if (!staging)
			return answer(s, request, API_E_STATE, 0, "no transaction is open");
		commit_stage(s->commit, request);
		return 0;
	default:
		if (!staging)
			return start_stream(s, request);
		commit_refuse(s->commit, API_E_STATE, 0, "not allowed in a transaction");
		return 0;
	}
}

void session_read_requests(struct session *s, uint64_t deadline_ns)
{
	union {
		struct api_header header;
		uint8_t bytes[API_MESSAGE_MAX];
	} request;
	int rc = 0;

	while (s->connected && commit_state(s->commit) < COMMIT_RUNNING && session_has_room(s, 0) &&
		!session_late(s, deadline_ns)) {
		rc = ring_get(&s->channel.in, &request);
		if (rc > 0)
			rc = handle_request(s, &request.header) < 0 ? -EPROTO : 1;
		if (rc <= 0)
			break;
	}
	if (!s->connected)
		return;
	if (rc < 0 || s->channel.out.broken)
		session_disconnect(s, "the ring was broken");
	else
		ring_release(&s->channel.in);
}

/* --- work in progress --- */

void session_end_stream(struct session *s)
{
	if (s->stream == NULL)
		return;
	if (s->stream->close != NULL)
		s->stream->close(s->stream_state);
	s->stream = NULL;
}

void session_finish_commit(struct session *s)
{
	struct api_reply reply;

	if (commit_state(s->commit) != COMMIT_DONE)
		return;
	commit_finish(s->commit, &reply);
	if (reply.code != API_OK)
		log_warn(session, "transaction refused: code %d, message %llu: %s", reply.code,
			(unsigned long long)reply.index, reply.text);
	secrets_drop_marked(s->secrets);
	/* The room was there when the commit was read, and events have left it. */
	if (s->connected && s->commit_connection == s->connection &&
		send_reply(s, &reply, s->commit_cookie) != 0)
		session_disconnect(s, "the ring was broken");
}

void session_run_stream(struct session *s, uint64_t deadline_ns)
{
	union {
		struct api_header header;
		uint8_t bytes[API_MESSAGE_MAX];
	} message;
	int rc = 0;

	while (s->stream != NULL && session_has_room(s, API_MESSAGE_MAX) &&
		!session_late(s, deadline_ns)) {
		struct api_header request = {.cookie = s->stream_cookie};

		rc = s->stream->next(s->stream_state, &message);
		if (rc == 0)
			return;
		if (rc == 1) {
			message.header.cookie = s->stream_cookie;
			rc = session_send(s, &message, 0);
		} else {
			session_end_stream(s);
			rc = answer(s, &request, rc == -ENODATA ? API_OK : rc, 0, "");
		}
		if (rc < 0)
			session_disconnect(s, "the ring was broken");
	}
}
