/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections: each reads requests one after the other and is answered in turn; while an answer is
 * awaited (a change waits for the data plane) nothing more is read. Bytes may be keys, so they are
 * kept in buffers of our own, which are wiped.
 */
#include "control/uapi/uapi.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "control/conf/conf.h"
#include "control/http/http.h"
#include "control/uapi/uapi_priv.h"

LOG_TYPE(uapi);

enum {
	BACKLOG = 8,
	CONNECTIONS_MAX = 16,
	TIMEOUT_S = 30,
	READ_BYTES = 65536,
};

struct connection {
	struct uapi *uapi;
	TAILQ_ENTRY(connection) link;
	struct event *reading, *writing;
	int fd;
	bool is_root;
	char *input; /* malloc */
	size_t n, capacity, searched;
	struct uapi_text output;
	size_t written;
	struct setting *setting; /* under way; nothing is read meanwhile */
};

struct uapi {
	struct event_base *base;
	struct program *program;
	char *state_dir;
	char path[PATH_MAX];
	struct evconnlistener *listener;
	TAILQ_HEAD(connection_list, connection) connections;
	unsigned n;
};

/* A change on its way. */
struct setting {
	struct uapi *uapi;
	struct connection *connection; /* NULL once it is gone */
	struct uapi_request request;
	struct uapi_edit edit;
};

static void answer(struct connection *c);
static void next_request(struct connection *c);

static void *check(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

static void close_connection(struct connection *c)
{
	if (c->setting != NULL)
		c->setting->connection = NULL;
	TAILQ_REMOVE(&c->uapi->connections, c, link);
	c->uapi->n--;
	event_free(c->reading);
	event_free(c->writing);
	close(c->fd);
	if (c->input != NULL)
		sodium_memzero(c->input, c->n);
	free(c->input);
	uapi_text_wipe(&c->output);
	free(c);
}

/* --- set=1 --------------------------------------------------------------------------------- */

static void remove_key_file(const struct uapi *uapi, const char *name)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", uapi->state_dir, name) < (int)sizeof(path))
		unlink(path);
}

static int write_key_files(struct setting *s)
{
	for (size_t i = 0; i < s->edit.n_fresh; i++) {
		int rc = conf_key_file_write(
			s->uapi->state_dir, s->edit.fresh[i].name, s->edit.fresh[i].key);

		if (rc < 0) {
			snprintf(s->edit.why, sizeof(s->edit.why), "%s: %s", s->edit.fresh[i].name,
				strerror(-rc));
			return rc;
		}
	}
	return 0;
}

static int edit(const struct compiled *current, struct model *next, void *arg)
{
	struct setting *s = arg;
	struct uapi_device *device = uapi_device_create(current, s->uapi->program);
	int rc = uapi_edit_model(&s->edit, device, next);

	if (rc == 0)
		rc = write_key_files(s);
	uapi_device_destroy(&device);
	return rc;
}

static void set_done(const struct program_result *result, void *arg)
{
	struct setting *s = arg;
	struct connection *c = s->connection;
	int error = result->error == -EINPROGRESS ? 0 : result->error;

	if (error != 0)
		log_warn(uapi, "refused: %s",
			s->edit.why[0] != '\0'    ? s->edit.why
			: result->text[0] != '\0' ? result->text
						  : strerror(-error));
	else if (result->changed)
		log_info(uapi, "peers changed: %zu set, %zu deleted", result->sets,
			result->deletions);
	for (size_t i = 0; error != 0 && i < s->edit.n_fresh; i++)
		remove_key_file(s->uapi, s->edit.fresh[i].name);
	for (size_t i = 0; error == 0 && i < s->edit.n_stale; i++)
		remove_key_file(s->uapi, s->edit.stale[i]);
	uapi_request_wipe(&s->request);
	pool_destroy(&s->edit.pool);
	free(s);
	if (c == NULL)
		return;
	c->setting = NULL;
	uapi_text_add(&c->output, "errno=%d\n\n", error);
	answer(c);
}

/* --- Requests ------------------------------------------------------------------------------ */

static void get(struct connection *c)
{
	const struct compiled *compiled = program_compiled(c->uapi->program);
	struct uapi_device *device;

	if (compiled != NULL) {
		device = uapi_device_create(compiled, c->uapi->program);
		uapi_format(&c->output, device, c->is_root);
		uapi_device_destroy(&device);
	}
	uapi_text_add(&c->output, "errno=%d\n\n", compiled != NULL ? 0 : -EAGAIN);
	answer(c);
}

/* Takes the request out of the input. */
static void run_request(struct connection *c, size_t size)
{
	struct setting *s = check(calloc(1, sizeof(*s)));
	const char *why;
	int rc = uapi_parse(c->input, size, &s->request, &why);
	bool is_get = s->request.get;

	sodium_memzero(c->input, size);
	memmove(c->input, c->input + size, c->n - size);
	sodium_memzero(c->input + c->n - size, size);
	c->n -= size;
	c->searched = 0;
	if (rc == 0 && !is_get) {
		s->uapi = c->uapi;
		s->connection = c;
		s->edit.request = &s->request;
		s->edit.pool = pool_create();
		c->setting = s;
		event_del(c->reading);
		program_edit_peers(c->uapi->program, edit, set_done, s);
		return;
	}
	uapi_request_wipe(&s->request);
	free(s);
	if (rc == 0) {
		get(c);
	} else if (rc == -EPROTO) {
		close_connection(c);
	} else {
		log_warn(uapi, "bad request: %s", why);
		uapi_text_add(&c->output, "errno=%d\n\n", rc);
		answer(c);
	}
}

static void next_request(struct connection *c)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_S};
	size_t size;

	if (uapi_find_end(c->input, c->n, &c->searched, &size))
		run_request(c, size);
	else if (c->n > UAPI_REQUEST_MAX || event_add(c->reading, &timeout) < 0)
		close_connection(c);
}

/* --- Bytes --------------------------------------------------------------------------------- */

static void make_room(struct connection *c)
{
	size_t capacity = c->capacity == 0 ? READ_BYTES : 2 * c->capacity;
	char *input;

	if (c->capacity - c->n >= READ_BYTES / 2)
		return;
	input = check(malloc(capacity));
	if (c->n > 0) {
		memcpy(input, c->input, c->n);
		sodium_memzero(c->input, c->n);
	}
	free(c->input);
	c->input = input;
	c->capacity = capacity;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;
	ssize_t n;

	make_room(c);
	n = (what & EV_READ) != 0 ? read(fd, c->input + c->n, c->capacity - c->n) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		next_request(c);
		return;
	}
	if (n <= 0) { /* the end, an error, or nothing for too long */
		close_connection(c);
		return;
	}
	c->n += (size_t)n;
	next_request(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;
	ssize_t n = -1;

	if ((what & EV_WRITE) != 0)
		n = send(fd, c->output.bytes + c->written, c->output.n - c->written, MSG_NOSIGNAL);
	else
		errno = ETIMEDOUT;
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		close_connection(c);
		return;
	}
	c->written += n > 0 ? (size_t)n : 0;
	answer(c);
}

/* Sends what there is to send, and then looks for the next request. May end the connection. */
static void answer(struct connection *c)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_S};

	if (c->written < c->output.n) {
		if (event_add(c->writing, &timeout) < 0)
			close_connection(c);
		return;
	}
	uapi_text_wipe(&c->output);
	c->written = 0;
	next_request(c);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
	int length, void *arg)
{
	struct uapi *uapi = arg;
	struct connection *c;
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
		(peer.uid != 0 && peer.uid != geteuid()) || uapi->n >= CONNECTIONS_MAX) {
		close(fd);
		return;
	}
	c = check(calloc(1, sizeof(*c)));
	c->uapi = uapi;
	c->fd = fd;
	c->is_root = peer.uid == 0;
	c->reading = check(event_new(uapi->base, fd, EV_READ, on_readable, c));
	c->writing = check(event_new(uapi->base, fd, EV_WRITE, on_writable, c));
	TAILQ_INSERT_TAIL(&uapi->connections, c, link);
	uapi->n++;
	next_request(c);
}

struct uapi *uapi_create(const struct uapi_options *options, int *error)
{
	struct uapi *uapi = check(calloc(1, sizeof(*uapi)));
	int fd;

	uapi->base = options->base;
	uapi->program = options->program;
	uapi->state_dir = check(strdup(options->state_dir));
	TAILQ_INIT(&uapi->connections);
	*error = -ENAMETOOLONG;
	if (snprintf(uapi->path, sizeof(uapi->path), "%s/%s.sock", options->dir,
		    options->interface) >= (int)sizeof(uapi->path))
		goto err;
	if (mkdir(options->dir, 0700) < 0 && errno != EEXIST) {
		*error = -errno;
		goto err;
	}
	fd = http_listen_unix(uapi->path, 0600);
	if (fd < 0) {
		*error = fd;
		goto err;
	}
	uapi->listener = evconnlistener_new(uapi->base, on_accept, uapi,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
	if (uapi->listener != NULL)
		return uapi;
	*error = -ENOMEM;
	close(fd);
	unlink(uapi->path);
err:
	free(uapi->state_dir);
	free(uapi);
	return NULL;
}

void uapi_destroy(struct uapi **uapi)
{
	struct connection *c;

	if (*uapi == NULL)
		return;
	while ((c = TAILQ_FIRST(&(*uapi)->connections)) != NULL) {
		if (c->setting != NULL) /* nobody will call set_done() any more */
			uapi_request_wipe(&c->setting->request);
		close_connection(c);
	}
	evconnlistener_free((*uapi)->listener);
	unlink((*uapi)->path);
	free((*uapi)->state_dir);
	free(*uapi);
	*uapi = NULL;
}
