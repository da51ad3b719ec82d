/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connection to the controller.
 *
 *   listening --accept--> greeting --HELLO--> connected --EOF, broken ring--> listening
 *
 * One controller at a time; others are told so. While a transaction is being applied a new hello
 * waits, for the generation that it is answered with must be the one that holds.
 */
#include "dataplane/main/session.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "dataplane/main/session_priv.h"

LOG_TYPE(session);

enum {
	PACKETS_PER_POLL = SESSION_SECRETS_MAX, /* of the socket: keys, above all */
};

#define GREETING_NS 1000000000ULL /* a connection that says nothing must not keep others out */

/* What features call has no session argument; there is only one. Main thread. */
static struct session *the_session;

static uint64_t real_clock(void *arg)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int watch(struct session *s, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

/* --- the connection --- */

void session_disconnect(struct session *s, const char *why)
{
	if (!s->connected)
		return;
	log_info(session, "controller disconnected: %s", why);
	session_end_stream(s);
	commit_discard(s->commit);
	/* What is being applied still needs its keys, and drops them at its end. */
	if (commit_state(s->commit) != COMMIT_RUNNING)
		secrets_drop_all(s->secrets);
	if (s->options.counters_close != NULL)
		s->options.counters_close(s->options.arg);
	/* The controller holds the same eventfd: our close alone would leave it in the set. */
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->channel.eventfd, NULL);
	channel_close(&s->channel);
	s->connected = false;
}

static void drop_greeting(struct session *s)
{
	if (s->greeting >= 0)
		close(s->greeting);
	s->greeting = -1;
}

static void serve(struct session *s, struct channel_received *hello)
{
	struct channel_offer offer = {
		.request_bytes = s->options.request_bytes,
		.reply_bytes = s->options.reply_bytes,
		.counters_bytes = s->options.counters_bytes,
		.instance = s->instance,
		.generation = commit_generation(s->commit),
	};
	int rc;

	rc = channel_serve(
		&s->channel, s->greeting, hello, &offer, s->options.counters_open, s->options.arg);
	if (rc != 0) {
		log_warn(session, "controller refused: %s", strerror(-rc));
		drop_greeting(s);
		return;
	}
	s->greeting = -1;
	s->connected = true;
	s->connection++;
	/* Edge triggered and never read: see channel.h. */
	rc = watch(s, s->channel.eventfd, EPOLLIN | EPOLLET);
	if (rc != 0) {
		session_disconnect(s, strerror(-rc));
		return;
	}
	log_info(session, "controller connected, API %d.%u, generation %llu", API_MAJOR,
		s->channel.peer_minor, (unsigned long long)offer.generation);
}

static void greet(struct session *s, uint64_t now_ns)
{
	struct channel_received received;
	int rc;

	if (s->greeting < 0 || commit_state(s->commit) == COMMIT_RUNNING)
		return;
	rc = channel_receive(s->greeting, &received);
	if (rc == -EAGAIN && now_ns < s->greeting_until_ns)
		return;
	if (rc != 0 || received.kind != CHANNEL_HELLO) {
		if (rc != -ENOTCONN)
			channel_refuse(s->greeting, "expected a hello");
		drop_greeting(s);
	} else {
		serve(s, &received);
	}
	if (rc == 0)
		channel_received_close(&received);
}

static void take_secret(struct session *s, struct channel_received *received)
{
	int rc = secrets_add(s->secrets, received->secret.token, received->fds[0]);

	received->fd_count = 0;
	if (rc != 0)
		log_warn(session, "keys refused: %s", strerror(-rc));
}

/* Reads the connected socket: keys, or the end. */
void session_drain_socket(struct session *s)
{
	struct channel_received received;

	for (unsigned i = 0; s->connected && i < PACKETS_PER_POLL; i++) {
		int rc = channel_receive(s->channel.socket, &received);

		if (rc == -EAGAIN)
			return;
		if (rc != 0) {
			session_disconnect(s, rc == -ENOTCONN ? "closed" : strerror(-rc));
			return;
		}
		if (received.kind == CHANNEL_SECRET) {
			take_secret(s, &received);
		} else if (received.kind != CHANNEL_BELL) {
			channel_received_close(&received);
			session_disconnect(s, "unexpected packet");
		}
	}
}

static void accept_one(struct session *s, uint64_t now_ns)
{
	int fd = channel_accept(s->listener, s->options.uid);

	if (fd == -EPERM)
		log_warn(session, "a connection by another user was refused");
	if (fd < 0)
		return;
	/* A controller that was killed and started again is no second one. */
	session_drain_socket(s);
	if (s->connected || s->greeting >= 0) {
		channel_refuse(fd, "another controller is connected");
		close(fd);
		return;
	}
	if (watch(s, fd, EPOLLIN) != 0) {
		close(fd);
		return;
	}
	s->greeting = fd;
	s->greeting_until_ns = now_ns + GREETING_NS;
}

/* --- public --- */

static struct session *set_defaults(struct session *s, const struct session_options *options)
{
	s->options = *options;
	if (s->options.clock_ns == NULL)
		s->options.clock_ns = real_clock;
	if (s->options.request_bytes == 0)
		s->options.request_bytes = SESSION_REQUEST_BYTES;
	if (s->options.reply_bytes == 0)
		s->options.reply_bytes = SESSION_REPLY_BYTES;
	if (s->options.staging_bytes == 0)
		s->options.staging_bytes = SESSION_STAGING_BYTES;
	assert(ring_capacity_is_valid(s->options.request_bytes));
	assert(ring_capacity_is_valid(s->options.reply_bytes));
	return s;
}

static int make_parts(struct session *s)
{
	struct commit_options commit = {.bound = s->options.staging_bytes,
		.arg = s->options.arg,
		.clock_ns = s->options.clock_ns,
		.flip = s->options.flip,
		.grace_start = s->options.grace_start,
		.grace_done = s->options.grace_done,
		.committed = s->options.committed};

	if (sodium_init() < 0)
		return -ENOSYS;
	while (s->instance == 0)
		randombytes_buf(&s->instance, sizeof(s->instance));
	s->path = strdup(s->options.path);
	s->commit = commit_create(&commit);
	s->secrets = secrets_create(SESSION_SECRETS_MAX);
	if (s->path == NULL || s->commit == NULL || s->secrets == NULL)
		return -ENOMEM;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0)
		return -errno;
	s->listener = channel_listen(s->path, s->options.uid);
	if (s->listener < 0)
		return s->listener;
	return watch(s, s->listener, EPOLLIN);
}

struct session *session_create(const struct session_options *options, int *error)
{
	struct session *s = calloc(1, sizeof(*s));

	assert(the_session == NULL);
	if (s == NULL) {
		*error = -ENOMEM;
		return NULL;
	}
	s->listener = s->epoll = s->greeting = -1;
	*error = make_parts(set_defaults(s, options));
	if (*error != 0) {
		session_destroy(&s);
		return NULL;
	}
	the_session = s;
	return s;
}

void session_destroy(struct session **session)
{
	struct session *s = *session;

	if (s == NULL)
		return;
	session_disconnect(s, "the data plane ends");
	drop_greeting(s);
	if (s->listener >= 0) {
		close(s->listener);
		unlink(s->path);
	}
	if (s->epoll >= 0)
		close(s->epoll);
	secrets_destroy(&s->secrets);
	commit_destroy(&s->commit);
	free(s->path);
	if (the_session == s)
		the_session = NULL;
	free(s);
	*session = NULL;
}

/* Reads what woke us: the listener, the greeting, the connection; the bell needs nothing. */
static void look_at_sockets(struct session *s, uint64_t now_ns)
{
	struct epoll_event events[4];
	int n = epoll_wait(s->epoll, events, 4, 0);

	greet(s, now_ns); /* one that has gone or is silent makes room for the next */
	for (int i = 0; i < n; i++) {
		if (events[i].data.fd == s->listener)
			accept_one(s, now_ns);
		else if (s->connected && events[i].data.fd == s->channel.socket)
			session_drain_socket(s);
	}
	greet(s, now_ns);
}

/* True if a poll would find something to do at once. */
static bool is_busy(struct session *s)
{
	if (commit_state(s->commit) >= COMMIT_RUNNING)
		return true;
	if (!s->connected)
		return false;
	return s->stream != NULL && session_has_room(s, API_MESSAGE_MAX);
}

bool session_poll(struct session *s, uint64_t now_ns)
{
	uint64_t deadline_ns = now_ns + SESSION_SLICE_NS;
	bool more;

	if (s->connected) {
		ring_awake(&s->channel.in, false);
		ring_awake(&s->channel.out, true);
	}
	look_at_sockets(s, now_ns);
	session_read_requests(s, deadline_ns);
	if (commit_state(s->commit) == COMMIT_RUNNING)
		commit_run(s->commit, deadline_ns);
	session_finish_commit(s);
	if (s->connected) {
		session_run_stream(s, deadline_ns);
		if (s->connected && session_tell_resync(s) != 0)
			session_disconnect(s, "the ring was broken");
		if (s->connected)
			ring_publish(&s->channel.out);
	}
	more = is_busy(s) || session_late(s, deadline_ns);
	/* Memory of past transactions goes when there is nothing better to do. */
	if (!more && commit_state(s->commit) == COMMIT_IDLE)
		more = commit_trim(s->commit);
	return more;
}

int session_fd(const struct session *session)
{
	return session->epoll;
}

bool session_sleep(struct session *s)
{
	if (is_busy(s))
		return false;
	if (!s->connected)
		return true;
	ring_publish(&s->channel.out); /* events since the last poll */
	/* While a reply might not fit no request is read: only room wakes us then. */
	if (session_has_room(s, 0) && !ring_wait_data(&s->channel.in))
		return false;
	if (session_has_room(s, API_MESSAGE_MAX))
		return s->events_lost == 0;
	return ring_wait_space(&s->channel.out);
}

uint64_t session_generation(const struct session *session)
{
	return commit_generation(session->commit);
}

uint32_t session_applied_permille(const struct session *session)
{
	return commit_permille(session->commit);
}

uint64_t session_instance(const struct session *session)
{
	return session->instance;
}

unsigned session_active(const struct session *session)
{
	return commit_active(session->commit);
}

int session_event(const void *message)
{
	struct session *s = the_session;

	if (s == NULL)
		return -ENOBUFS;
	/* Order: nothing overtakes the notice that something was lost. */
	if (s->connected && s->events_lost > 0)
		(void)session_tell_resync(s);
	if (!s->connected || s->events_lost > 0 ||
		session_send(s, message, SESSION_REPLY_ROOM) != 0) {
		s->events_lost++;
		return -ENOBUFS;
	}
	return 0;
}

bool session_event_ready(void)
{
	return the_session != NULL && the_session->connected &&
	       session_has_room(the_session, 2 * API_MESSAGE_MAX);
}

uint64_t session_connection(void)
{
	return the_session != NULL && the_session->connected ? the_session->connection : 0;
}

bool session_secret_present(uint64_t token, uint32_t index)
{
	return the_session != NULL && secrets_present(the_session->secrets, token, index);
}

int session_secret(uint64_t token, uint32_t index, uint8_t out[KEY_SIZE])
{
	if (the_session == NULL) {
		memset(out, 0, KEY_SIZE);
		return -ENOENT;
	}
	return secrets_take(the_session->secrets, token, index, out);
}
