/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libevent's server does the protocol. A request may be answered after its handler returned (an
 * apply waits for the data plane); should its connection close before, the answer is dropped.
 */
#include "control/http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/log.h"

LOG_TYPE(http);

enum {
	BACKLOG = 64,
	TIMEOUT_S = 60,
	HEADERS_BYTES_MAX = 16384,
	INET_BODY_MAX = 4096, /* what is asked there has no body */
};

struct http_server {
	struct evhttp *http;
	const struct http_route *routes;
	void *arg;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

struct http_request {
	struct evhttp_request *request; /* NULL once the connection is gone */
	struct evkeyvalq query;
	char param[HTTP_PARAM_MAX];
	void (*closed)(void *arg); /* of a stream */
	void *closed_arg;
};

static const char *method_name(enum evhttp_cmd_type type)
{
	switch (type) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_PUT:
		return "PUT";
	case EVHTTP_REQ_DELETE:
		return "DELETE";
	default:
		return "";
	}
}

/* True if the path fits the pattern; the part that stands for {…} is decoded into param. */
static bool match(const char *pattern, const char *path, char param[HTTP_PARAM_MAX])
{
	const char *brace = strchr(pattern, '{');
	size_t before, length;
	char *decoded;

	param[0] = '\0';
	if (brace == NULL)
		return strcmp(pattern, path) == 0;
	before = (size_t)(brace - pattern);
	if (strncmp(pattern, path, before) != 0)
		return false;
	length = strcspn(path + before, "/");
	if (length == 0 || length >= HTTP_PARAM_MAX ||
		strcmp(strchr(brace, '}') + 1, path + before + length) != 0)
		return false;
	memcpy(param, path + before, length);
	param[length] = '\0';
	decoded = evhttp_uridecode(param, 0, NULL);
	if (decoded == NULL || strlen(decoded) >= HTTP_PARAM_MAX) {
		free(decoded);
		return false;
	}
	strcpy(param, decoded);
	free(decoded);
	return true;
}

static void on_close(struct evhttp_connection *connection, void *arg)
{
	struct http_request *request = arg;

	request->request = NULL;
	if (request->closed != NULL)
		request->closed(request->closed_arg);
}

static struct http_request *make_request(struct evhttp_request *raw)
{
	struct http_request *request = calloc(1, sizeof(*request));
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(raw));

	if (request == NULL)
		return NULL;
	request->request = raw;
	TAILQ_INIT(&request->query);
	if (query != NULL && evhttp_parse_query_str(query, &request->query) < 0)
		evhttp_clear_headers(&request->query);
	evhttp_connection_set_closecb(evhttp_request_get_connection(raw), on_close, request);
	return request;
}

static void on_request(struct evhttp_request *raw, void *arg)
{
	const struct http_server *server = arg;
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(raw));
	const char *method = method_name(evhttp_request_get_command(raw));
	struct http_request *request = make_request(raw);
	bool known = false;

	if (request == NULL) {
		evhttp_send_error(raw, 503, NULL);
		return;
	}
	for (const struct http_route *route = server->routes; route->method != NULL; route++) {
		if (path == NULL || !match(route->path, path, request->param))
			continue;
		known = true;
		if (strcmp(route->method, method) != 0)
			continue;
		route->handle(request, server->arg);
		return;
	}
	if (known)
		http_reply_problem(request, 405, "this path has no such method", NULL);
	else
		http_reply_problem(request, 404, "there is no such path", NULL);
}

/* A socket file of a process that is gone is in the way; one that answers is not ours to take. */
static int remove_stale(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		rc = -EADDRINUSE;
	else if (errno == ECONNREFUSED)
		unlink(address->sun_path);
	close(fd);
	return rc;
}

int http_listen_unix(const char *path, unsigned mode)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t mask;
	int fd, rc;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	rc = remove_stale(&address);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* The file must never stand there with more rights than meant. */
	mask = umask(0777 & ~mode);
	rc = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	umask(mask);
	if (rc < 0)
		close(fd);
	return rc < 0 ? rc : fd;
}

/* Takes the descriptor over in any case. */
static int serve(struct http_server *server, struct event_base *base, int fd, size_t body_max)
{
	struct evconnlistener *listener;

	server->http = evhttp_new(base);
	listener = evconnlistener_new(
		base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
	if (server->http == NULL || listener == NULL)
		goto err_fd;
	if (evhttp_bind_listener(server->http, listener) == NULL)
		goto err_fd;
	evhttp_set_timeout(server->http, TIMEOUT_S);
	evhttp_set_max_headers_size(server->http, HEADERS_BYTES_MAX);
	evhttp_set_max_body_size(server->http, (ev_ssize_t)body_max);
	evhttp_set_allowed_methods(server->http,
		EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE);
	evhttp_set_gencb(server->http, on_request, server);
	return 0;
err_fd:
	if (listener != NULL)
		evconnlistener_free(listener);
	else
		close(fd);
	if (server->http != NULL)
		evhttp_free(server->http);
	return -ENOMEM;
}

struct http_server *http_create(struct event_base *base, const char *path, unsigned mode,
	const struct http_route *routes, void *arg, int *error)
{
	struct http_server *server = calloc(1, sizeof(*server));
	int fd;

	*error = -ENOMEM;
	if (server == NULL)
		return NULL;
	server->routes = routes;
	server->arg = arg;
	fd = http_listen_unix(path, mode);
	if (fd < 0) {
		*error = fd;
		goto err_server;
	}
	*error = serve(server, base, fd, HTTP_BODY_MAX);
	if (*error < 0)
		goto err_path;
	strcpy(server->path, path);
	return server;
err_path:
	unlink(path);
err_server:
	free(server);
	return NULL;
}

static socklen_t to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (endpoint->addr.family == ADDR_V4) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)out;

		v4->sin_family = AF_INET;
		v4->sin_port = htons(endpoint->port);
		memcpy(&v4->sin_addr, endpoint->addr.bytes, sizeof(v4->sin_addr));
		return sizeof(*v4);
	}
	((struct sockaddr_in6 *)out)->sin6_family = AF_INET6;
	((struct sockaddr_in6 *)out)->sin6_port = htons(endpoint->port);
	memcpy(&((struct sockaddr_in6 *)out)->sin6_addr, endpoint->addr.bytes,
		sizeof(struct in6_addr));
	return sizeof(struct sockaddr_in6);
}

static int listen_inet(const struct endpoint *endpoint)
{
	struct sockaddr_storage address;
	socklen_t length = to_sockaddr(endpoint, &address);
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, length) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

struct http_server *http_create_inet(struct event_base *base, const struct endpoint *endpoint,
	const struct http_route *routes, void *arg, int *error)
{
	struct http_server *server = calloc(1, sizeof(*server));
	int fd;

	*error = -ENOMEM;
	if (server == NULL)
		return NULL;
	server->routes = routes;
	server->arg = arg;
	fd = listen_inet(endpoint);
	*error = fd < 0 ? fd : serve(server, base, fd, INET_BODY_MAX);
	if (*error < 0) {
		free(server);
		return NULL;
	}
	return server;
}

void http_destroy(struct http_server **server)
{
	if (*server == NULL)
		return;
	evhttp_free((*server)->http);
	if ((*server)->path[0] != '\0')
		unlink((*server)->path);
	free(*server);
	*server = NULL;
}

const char *http_param(const struct http_request *request)
{
	return request->param;
}

const char *http_header(const struct http_request *request, const char *name)
{
	if (request->request == NULL)
		return NULL;
	return evhttp_find_header(evhttp_request_get_input_headers(request->request), name);
}

const char *http_query(const struct http_request *request, const char *key)
{
	return evhttp_find_header(&request->query, key);
}

char *http_user(const struct http_request *request)
{
	struct evhttp_connection *connection =
		request->request == NULL ? NULL : evhttp_request_get_connection(request->request);
	struct bufferevent *stream =
		connection == NULL ? NULL : evhttp_connection_get_bufferevent(connection);
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct passwd entry, *found;
	char *text, buffer[1024];

	if (stream == NULL ||
		getsockopt(bufferevent_getfd(stream), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return NULL;
	if (getpwuid_r(peer.uid, &entry, buffer, sizeof(buffer), &found) == 0 && found != NULL)
		return strdup(entry.pw_name);
	return asprintf(&text, "uid %u", peer.uid) < 0 ? NULL : text;
}

const char *http_body(struct http_request *request, size_t *size)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(request->request);
	const unsigned char *bytes;

	*size = evbuffer_get_length(body);
	bytes = evbuffer_pullup(body, -1);
	return bytes == NULL ? "" : (const char *)bytes;
}

void http_reply_text(struct http_request *request, int status, const char *type, const char *text)
{
	struct evhttp_request *raw = request->request;

	if (raw != NULL) {
		struct evkeyvalq *headers = evhttp_request_get_output_headers(raw);

		evhttp_connection_set_closecb(evhttp_request_get_connection(raw), NULL, NULL);
		evhttp_add_header(headers, "Content-Type", type);
		evhttp_add_header(headers, "Cache-Control", "no-store");
		evbuffer_add(evhttp_request_get_output_buffer(raw), text, strlen(text));
		evhttp_send_reply(raw, status, NULL, NULL);
	}
	evhttp_clear_headers(&request->query);
	free(request);
}

void http_stream_start(
	struct http_request *request, const char *type, void (*closed)(void *arg), void *arg)
{
	struct evkeyvalq *headers;

	request->closed = closed;
	request->closed_arg = arg;
	if (request->request == NULL)
		return;
	headers = evhttp_request_get_output_headers(request->request);
	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	/* Nothing may be sent for long, and nothing is read any more. */
	bufferevent_set_timeouts(
		evhttp_connection_get_bufferevent(evhttp_request_get_connection(request->request)),
		NULL, NULL);
	evhttp_send_reply_start(request->request, 200, NULL);
}

void http_stream_send(struct http_request *request, const void *bytes, size_t size)
{
	struct evbuffer *part;

	if (request->request == NULL || size == 0)
		return;
	part = evbuffer_new();
	if (part != NULL && evbuffer_add(part, bytes, size) == 0)
		evhttp_send_reply_chunk(request->request, part);
	if (part != NULL)
		evbuffer_free(part);
}

size_t http_stream_pending(const struct http_request *request)
{
	struct bufferevent *buffers;

	if (request->request == NULL)
		return 0;
	buffers =
		evhttp_connection_get_bufferevent(evhttp_request_get_connection(request->request));
	return evbuffer_get_length(bufferevent_get_output(buffers));
}

void http_stream_end(struct http_request *request)
{
	if (request->request != NULL) {
		evhttp_connection_set_closecb(
			evhttp_request_get_connection(request->request), NULL, NULL);
		evhttp_send_reply_end(request->request);
	}
	evhttp_clear_headers(&request->query);
	free(request);
}

static void reply_json(struct http_request *request, int status, const char *type, json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);

	json_decref(json);
	http_reply_text(request, text == NULL ? 500 : status, type, text == NULL ? "{}" : text);
	free(text);
}

void http_reply(struct http_request *request, int status, json_t *json)
{
	reply_json(request, status, "application/json", json);
}

static const char *title_of(int status)
{
	switch (status) {
	case 400:
		return "Bad request";
	case 404:
		return "Not found";
	case 405:
		return "Method not allowed";
	case 409:
		return "Conflict";
	case 422:
		return "Refused";
	case 503:
		return "Not available";
	default:
		return "Failed";
	}
}

void http_reply_problem(struct http_request *request, int status, const char *detail, json_t *more)
{
	json_t *problem = json_object();

	json_object_set_new(problem, "type", json_string("about:blank"));
	json_object_set_new(problem, "title", json_string(title_of(status)));
	json_object_set_new(problem, "status", json_integer(status));
	json_object_set_new(problem, "detail", json_string(detail));
	if (more != NULL) {
		json_object_update(problem, more);
		json_decref(more);
	}
	if (status >= 500)
		log_warn(http, "%d: %s", status, detail);
	reply_json(request, status, "application/problem+json", problem);
}
