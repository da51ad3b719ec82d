/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connection: attempts, hello, bells, and what comes in by itself.
 *
 *   waiting --timer--> greeting --HELLO--> connected --EOF, broken ring--> waiting (0 ms)
 *      ^----- refused, not there (10 ms doubling to 1 s) -----+
 *
 * Bells arrive as bytes on the socket. Before the link lets the loop block it raises the flags of
 * both rings and looks again, so no bell is missed; one turn of the loop takes a bounded amount of
 * messages, then others have theirs.
 */
#include "control/link/link.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/api/table.h"
#include "common/base/log.h"
#include "control/link/link_priv.h"

LOG_TYPE(link);

enum {
	MESSAGES_PER_TURN = 4096, /* received in one turn of the loop: about a millisecond, */
	TURN_NS = 5000000,        /* but there are receivers that take their time */
	CLOCK_EVERY = 64,
	PACKETS_PER_TURN = 64, /* of the socket */
	GREETING_MS = 5000,    /* a data plane that applies a transaction answers after it */
};

static void schedule(struct link *link, unsigned ms)
{
	struct timeval after = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	event_add(link->timer, &after);
}

void link_wake(struct link *link)
{
	static const struct timeval now = {0};

	event_add(link->work, &now);
}

static void watch_socket(struct link *link, int fd);

static void unwatch_socket(struct link *link)
{
	if (link->readable != NULL)
		event_free(link->readable);
	if (link->writable != NULL)
		event_free(link->writable);
	link->readable = link->writable = NULL;
}

static void close_connection(struct link *link)
{
	unwatch_socket(link);
	if (link->state == LINK_CONNECTED)
		channel_close(&link->channel);
	if (link->greeting >= 0)
		close(link->greeting);
	link->greeting = -1;
	link->generation = 0;
	link->state = LINK_WAITING;
	event_del(link->timer);
}

static unsigned next_backoff(unsigned ms)
{
	if (ms == 0)
		return LINK_BACKOFF_MIN_MS;
	return 2 * ms < LINK_BACKOFF_MAX_MS ? 2 * ms : LINK_BACKOFF_MAX_MS;
}

/* Back to waiting; at once after a connection that worked. */
static void retry(struct link *link, const char *reason)
{
	bool was_connected = link->state == LINK_CONNECTED;
	bool news = was_connected || strcmp(reason, link->reason) != 0;

	if (was_connected && link->options.ending != NULL)
		link->options.ending(link->options.arg);
	close_connection(link);
	link->backoff_ms = was_connected ? 0 : next_backoff(link->backoff_ms);
	schedule(link, link->backoff_ms);
	snprintf(link->reason, sizeof(link->reason), "%s", reason);
	if (was_connected)
		request_fail_all(link, -ECONNRESET, link->reason);
	if (!news)
		return;
	log_warn(link, "data plane: %s", link->reason);
	if (link->options.disconnected != NULL)
		link->options.disconnected(link->reason, link->options.arg);
}

static void try_connect(struct link *link)
{
	struct channel_hello hello;
	int rc, fd = channel_connect(link->path);

	if (fd < 0) {
		char text[CHANNEL_TEXT_MAX];

		snprintf(text, sizeof(text), "%.80s: %s", link->path, strerror(-fd));
		retry(link, text);
		return;
	}
	link->greeting = fd;
	link->state = LINK_GREETING;
	channel_hello_init(&hello);
	rc = channel_send_hello(fd, &hello);
	/* EPIPE: refused before we spoke; the reason lies in the socket. */
	if (rc != 0 && rc != -EPIPE && rc != -ECONNRESET) {
		retry(link, strerror(-rc));
		return;
	}
	watch_socket(link, fd);
	schedule(link, GREETING_MS);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;

	if (link->state == LINK_WAITING)
		try_connect(link);
	else if (link->state == LINK_GREETING)
		retry(link, "no answer to hello");
}

/* --- connected --- */

static void dispatch(struct link *link, struct api_header *message)
{
	const struct api_message *known = api_message_find(message->type);
	const struct link_options *options = &link->options;

	/* The data plane sends nothing that we did not name at hello, nor longer than we said. */
	if (known == NULL || api_message_is_request(known) ||
		api_message_fit(message, message->length, known->size) != API_OK)
		return;
	if (known->kind == API_KIND_REPLY) {
		request_receive(link, message);
	} else if (message->type == API_EVENT_RESYNC) {
		if (options->resync != NULL)
			options->resync(((struct api_event_resync *)message)->lost, options->arg);
	} else if (options->event != NULL) {
		options->event(message, options->arg);
	}
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* 0: all received; 1: there is more; -EPROTO. */
static int receive(struct link *link)
{
	union {
		struct api_header header;
		uint8_t bytes[API_MESSAGE_MAX];
	} message;
	uint64_t end = now_ns() + TURN_NS;
	int rc = 1;

	for (unsigned i = 0; rc > 0 && i < MESSAGES_PER_TURN; i++) {
		rc = ring_get(&link->channel.in, &message);
		if (rc > 0)
			dispatch(link, &message.header);
		if (i % CLOCK_EVERY == CLOCK_EVERY - 1 && now_ns() > end)
			break;
	}
	ring_release(&link->channel.in);
	return rc > 0 ? 1 : rc;
}

/* A turn: receive, send, and go on at once if the rings do not let us wait. */
static void run(struct link *link)
{
	int received, sent;

	ring_awake(&link->channel.in, false);
	ring_awake(&link->channel.out, true);
	received = receive(link);
	sent = request_send(link);
	if (received < 0 || (sent < 0 && sent != -EAGAIN)) {
		retry(link, "the data plane broke the rules of the rings");
		return;
	}
	/* Keys wait for the socket, everything else for room in the ring. */
	if (sent == -EAGAIN && !event_pending(link->writable, EV_WRITE, NULL) &&
		!ring_wait_space(&link->channel.out))
		received = 1;
	if (received > 0 || !ring_wait_data(&link->channel.in))
		link_wake(link);
}

static void on_work(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;

	if (link->state == LINK_CONNECTED)
		run(link);
}

static void connected(struct link *link)
{
	link->greeting = -1;
	link->state = LINK_CONNECTED;
	link->backoff_ms = 0;
	link->reason[0] = '\0';
	link->generation = link->channel.generation;
	event_del(link->timer);
	if (counters_attach(
		    &link->counters, link->channel.counters, link->channel.counters_bytes) != 0) {
		log_warn(link, "the data plane's counters do not make sense: not read");
		link->counters.sections = 0;
	}
	log_info(link, "connected to the data plane, API %d.%u, generation %llu", API_MAJOR,
		link->channel.peer_minor, (unsigned long long)link->generation);
	link_wake(link);
	if (link->options.connected != NULL)
		link->options.connected(
			link->channel.instance, link->generation, link->options.arg);
}

static void greeted(struct link *link, struct channel_received *received)
{
	char text[CHANNEL_TEXT_MAX] = "expected a hello from the data plane";
	int rc = -EPROTO;

	if (received->kind == CHANNEL_HELLO) {
		rc = channel_attach(&link->channel, link->greeting, received, text);
	} else if (received->kind == CHANNEL_REFUSED) {
		snprintf(text, sizeof(text), "%s", received->refused.text);
	}
	channel_received_close(received);
	if (rc == 0)
		connected(link);
	else
		retry(link, text);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;
	struct channel_received received;

	for (unsigned i = 0; i < PACKETS_PER_TURN; i++) {
		int rc = channel_receive(fd, &received);

		if (rc == -EAGAIN)
			break;
		if (rc != 0) {
			retry(link, rc == -ENOTCONN ? "closed the connection" : strerror(-rc));
			return;
		}
		if (link->state == LINK_GREETING) {
			greeted(link, &received);
			return;
		}
		channel_received_close(&received);
	}
	run(link);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	run(arg);
}

static void watch_socket(struct link *link, int fd)
{
	link->readable = event_new(link->options.base, fd, EV_READ | EV_PERSIST, on_readable, link);
	link->writable = event_new(link->options.base, fd, EV_WRITE, on_writable, link);
	assert(link->readable != NULL && link->writable != NULL);
	event_add(link->readable, NULL);
}

/* --- public --- */

struct link *link_create(const struct link_options *options, int *error)
{
	struct link *link = calloc(1, sizeof(*link));

	*error = -ENOMEM;
	if (link == NULL || sodium_init() < 0)
		goto err_free;
	link->options = *options;
	link->greeting = -1;
	STAILQ_INIT(&link->txns);
	STAILQ_INIT(&link->questions);
	randombytes_buf(&link->next_cookie, sizeof(link->next_cookie));
	link->path = strdup(options->path);
	link->timer = event_new(options->base, -1, 0, on_timer, link);
	link->work = event_new(options->base, -1, 0, on_work, link);
	if (link->path == NULL || link->timer == NULL || link->work == NULL) {
		link_destroy(&link);
		return NULL;
	}
	schedule(link, 0);
	*error = 0;
	return link;
err_free:
	free(link);
	return NULL;
}

void link_destroy(struct link **link)
{
	struct link *l = *link;

	if (l == NULL)
		return;
	if (l->timer != NULL)
		close_connection(l);
	request_free_all(l);
	if (l->timer != NULL)
		event_free(l->timer);
	if (l->work != NULL)
		event_free(l->work);
	free(l->path);
	free(l);
	*link = NULL;
}

bool link_is_connected(const struct link *link)
{
	return link->state == LINK_CONNECTED;
}

uint64_t link_instance(const struct link *link)
{
	return link_is_connected(link) ? link->channel.instance : 0;
}

uint64_t link_generation(const struct link *link)
{
	return link->generation;
}

bool link_supports(const struct link *link, uint16_t type)
{
	const struct api_message *message = api_message_find(type);

	return message != NULL && link_is_connected(link) &&
	       channel_peer_size(&link->channel, message) != 0;
}

int link_counters_header(const struct link *link, struct api_counters *header)
{
	if (!link_is_connected(link))
		return -ENOTCONN;
	counters_header(&link->counters, header);
	return 0;
}

uint32_t link_counters_used(const struct link *link, uint32_t section)
{
	return link_is_connected(link) ? counters_used(&link->counters, section) : 0;
}

int link_counters_read(const struct link *link, uint32_t section, uint32_t first, uint32_t n,
	void *rows, size_t row_size)
{
	if (!link_is_connected(link))
		return -ENOTCONN;
	return counters_read(&link->counters, section, first, n, rows, row_size);
}
