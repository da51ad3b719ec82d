/* SPDX-License-Identifier: BSD-3-Clause */
/* What is asked of the data plane: transactions and questions, one of each at a time. */
#include "control/link/link_priv.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/api/table.h"
#include "common/ring/secret.h"

static void request_free(struct request **request)
{
	if ((*request)->secret_fd >= 0)
		close((*request)->secret_fd);
	free(*request);
	*request = NULL;
}

static struct request_queue *queue_of(struct link *link, enum request_kind kind)
{
	return kind == REQUEST_TXN ? &link->txns : &link->questions;
}

/* Unqueues, then tells: the owner may submit the next from within. */
static void finish(struct link *link, struct request *request, const struct api_reply *reply)
{
	STAILQ_REMOVE(queue_of(link, request->kind), request, request, entry);
	if (request->kind == REQUEST_TXN) {
		if (reply->code == API_OK && request->step == REQUEST_SENT &&
			request->txn.next != NULL)
			link->generation = request->txn.generation;
		if (request->txn.done != NULL)
			request->txn.done(reply, request->txn.arg);
	} else if (request->question.done != NULL) {
		request->question.done(reply, request->question.arg);
	}
	request_free(&request);
}

static int submit(struct link *link, struct request *request)
{
	STAILQ_INSERT_TAIL(queue_of(link, request->kind), request, entry);
	link_wake(link);
	return 0;
}

int link_submit(struct link *link, const struct link_txn *txn)
{
	struct request *request;

	if (link->state != LINK_CONNECTED)
		return -ENOTCONN;
	if (txn->next == NULL || txn->generation == 0 || (txn->keys != NULL && txn->token == 0))
		return -EINVAL;
	request = calloc(1, sizeof(*request));
	if (request == NULL)
		return -ENOMEM;
	request->kind = REQUEST_TXN;
	request->txn = *txn;
	request->txn.keys = NULL;
	request->step = REQUEST_OPEN;
	request->secret_fd = -1;
	if (txn->keys != NULL && txn->key_count > 0) {
		request->secret_fd = secret_seal(txn->keys, txn->key_count);
		request->step = REQUEST_SECRET;
		if (request->secret_fd < 0) {
			int rc = request->secret_fd;

			free(request);
			return rc;
		}
	}
	return submit(link, request);
}

int link_ask(struct link *link, const struct link_question *question)
{
	const struct api_header *message = question->message;
	struct request *request;

	if (link->state != LINK_CONNECTED)
		return -ENOTCONN;
	if (!link_supports(link, message->type))
		return -EOPNOTSUPP;
	request = calloc(1, sizeof(*request));
	if (request == NULL)
		return -ENOMEM;
	request->kind = REQUEST_QUESTION;
	request->question = *question;
	request->question.message = NULL;
	memcpy(request->asked.bytes, message, message->length);
	request->step = REQUEST_OPEN;
	request->secret_fd = -1;
	return submit(link, request);
}

uint64_t link_token(void)
{
	uint64_t token = 0;

	while (token == 0)
		randombytes_buf(&token, sizeof(token));
	return token;
}

static void forget_txn(struct link *link, struct request *request)
{
	request->txn.done = NULL;
	request->txn.arg = NULL;
	switch (request->step) {
	case REQUEST_SECRET:
	case REQUEST_OPEN:
		STAILQ_REMOVE(&link->txns, request, request, entry);
		request_free(&request);
		break;
	case REQUEST_OBJECTS:
	case REQUEST_CLOSE:
		request->step = REQUEST_ABORT;
		request->txn.next = NULL;
		link_wake(link);
		break;
	default: /* sent: the reply still says the generation */
		break;
	}
}

void link_forget(struct link *link, const void *arg)
{
	struct request *request, *next;

	for (request = STAILQ_FIRST(&link->txns); request != NULL; request = next) {
		next = STAILQ_NEXT(request, entry);
		if (request->txn.arg == arg)
			forget_txn(link, request);
	}
	for (request = STAILQ_FIRST(&link->questions); request != NULL; request = next) {
		next = STAILQ_NEXT(request, entry);
		if (request->question.arg != arg)
			continue;
		request->question.entry = NULL;
		request->question.done = NULL;
	}
}

/* --- sending --- */

static void prepare_header(struct link *link, void *message, uint16_t type, uint16_t size)
{
	api_message_init(message, type, size);
	((struct api_header *)message)->cookie = link->next_cookie;
}

/* The cookie is used up only if the message found room. */
static int put(struct link *link, struct request *request, const void *message)
{
	int rc = ring_put(&link->channel.out, message);

	if (rc == 0)
		request->cookie = link->next_cookie++;
	return rc;
}

static int send_secret(struct link *link, struct request *request)
{
	int rc = channel_send_secret(link->channel.socket, request->txn.token, request->secret_fd);

	if (rc == -EAGAIN)
		event_add(link->writable, NULL);
	if (rc != 0)
		return rc;
	close(request->secret_fd);
	request->secret_fd = -1;
	request->step = REQUEST_OPEN;
	return 0;
}

static int send_begin(struct link *link, struct request *request)
{
	struct api_txn_begin begin;
	int rc;

	prepare_header(link, &begin, API_TXN_BEGIN, sizeof(begin));
	begin.mode = (uint8_t)request->txn.mode;
	begin.base = request->txn.base;
	begin.count = request->txn.count;
	rc = put(link, request, &begin);
	if (rc == 0)
		request->step = REQUEST_OBJECTS;
	return rc;
}

static int send_objects(struct link *link, struct request *request)
{
	for (;;) {
		int rc;

		if (request->object == NULL)
			request->object = request->txn.next(request->txn.arg);
		if (request->object == NULL) {
			request->step = REQUEST_CLOSE;
			return 0;
		}
		rc = ring_put(&link->channel.out, request->object);
		if (rc != 0)
			return rc;
		request->object = NULL;
	}
}

static int send_end(struct link *link, struct request *request)
{
	struct api_txn_commit commit;
	int rc;

	if (request->step == REQUEST_ABORT) {
		prepare_header(link, &commit, API_TXN_ABORT, sizeof(struct api_txn_abort));
	} else {
		prepare_header(link, &commit, API_TXN_COMMIT, sizeof(commit));
		commit.generation = request->txn.generation;
	}
	rc = put(link, request, &commit);
	if (rc == 0)
		request->step = REQUEST_SENT;
	return rc;
}

static int send_question(struct link *link, struct request *request)
{
	int rc;

	request->asked.header.cookie = link->next_cookie;
	rc = put(link, request, &request->asked);
	if (rc == 0)
		request->step = REQUEST_SENT;
	return rc;
}

static int send_step(struct link *link, struct request *request)
{
	if (request->kind == REQUEST_QUESTION)
		return send_question(link, request);
	switch (request->step) {
	case REQUEST_SECRET:
		return send_secret(link, request);
	case REQUEST_OPEN:
		return send_begin(link, request);
	case REQUEST_OBJECTS:
		return send_objects(link, request);
	default:
		return send_end(link, request);
	}
}

static bool between_bounds(const struct request *request)
{
	return request != NULL && request->step != REQUEST_SECRET &&
	       request->step != REQUEST_OPEN && request->step != REQUEST_SENT;
}

static int send_all(struct link *link, struct request *request)
{
	while (request != NULL && request->step != REQUEST_SENT) {
		int rc = send_step(link, request);

		if (rc != 0)
			return rc;
	}
	return 0;
}

int request_send(struct link *link)
{
	struct request *txn = STAILQ_FIRST(&link->txns);
	int rc = send_all(link, txn);

	/* A question is refused inside a transaction: it goes before or after. */
	if (rc == 0 || (rc == -EAGAIN && !between_bounds(txn))) {
		int question_rc = send_all(link, STAILQ_FIRST(&link->questions));

		if (rc == 0)
			rc = question_rc;
	}
	ring_publish(&link->channel.out);
	return rc;
}

/* --- receiving --- */

static struct request *sent_with(struct request_queue *queue, uint32_t cookie)
{
	struct request *first = STAILQ_FIRST(queue);

	return first != NULL && first->step == REQUEST_SENT && first->cookie == cookie ? first
										       : NULL;
}

void request_receive(struct link *link, const struct api_header *message)
{
	struct request *request;

	if (message->type != API_REPLY) {
		request = sent_with(&link->questions, message->cookie);
		if (request != NULL && request->question.entry != NULL)
			request->question.entry(message, request->question.arg);
		return;
	}
	request = sent_with(&link->txns, message->cookie);
	if (request == NULL)
		request = sent_with(&link->questions, message->cookie);
	if (request != NULL) {
		struct api_reply reply = *(const struct api_reply *)message;

		reply.text[sizeof(reply.text) - 1] = '\0';
		finish(link, request, &reply);
		link_wake(link);
	}
}

void request_fail_all(struct link *link, int code, const char *text)
{
	struct request *request;
	struct api_reply reply;

	api_message_init(&reply, API_REPLY, sizeof(reply));
	reply.code = code;
	snprintf(reply.text, sizeof(reply.text), "%s", text);
	while ((request = STAILQ_FIRST(&link->txns)) != NULL)
		finish(link, request, &reply);
	while ((request = STAILQ_FIRST(&link->questions)) != NULL)
		finish(link, request, &reply);
}

static void free_queue(struct request_queue *queue)
{
	struct request *request;

	while ((request = STAILQ_FIRST(queue)) != NULL) {
		STAILQ_REMOVE_HEAD(queue, entry);
		request_free(&request);
	}
}

void request_free_all(struct link *link)
{
	free_queue(&link->txns);
	free_queue(&link->questions);
}
