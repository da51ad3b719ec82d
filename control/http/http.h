/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HTTP/1.1 on a Unix socket: a table of methods and paths, JSON in and out, errors as
 * application/problem+json (RFC 9457). All on the loop's thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/addr.h"

struct event_base;
struct http_server;
struct http_request;

enum {
	HTTP_BODY_MAX = 64 << 20,
	HTTP_PARAM_MAX = 128,
};

struct http_route {
	const char *method; /* "GET", "POST"; NULL ends a table */
	const char *path;   /* "/api/peers/{name}/export": one part may be a parameter */
	void (*handle)(struct http_request *request, void *arg);
};

/* A Unix socket, bound and not blocking, whose file has this mode; one that nobody listens on is
 * replaced. The file descriptor or a negative errno (-EADDRINUSE: somebody listens). */
int http_listen_unix(const char *path, unsigned mode) __attribute__((warn_unused_result));

/* path: of the socket, which is made with this mode; one that nobody listens on is replaced.
 * NULL and *error. Routes are not copied. */
struct http_server *http_create(struct event_base *base, const char *path, unsigned mode,
	const struct http_route *routes, void *arg, int *error) __attribute__((warn_unused_result));

/* The same on a TCP address; port 0 is refused. Whoever reaches it is served:
 * its routes must only read, and tell nothing secret. */
struct http_server *http_create_inet(struct event_base *base, const struct endpoint *endpoint,
	const struct http_route *routes, void *arg, int *error) __attribute__((warn_unused_result));

/* Stops listening, removes the socket; sets *server to NULL. */
void http_destroy(struct http_server **server);

/* The part of the path that stands for {…}, or "". */
const char *http_param(const struct http_request *request);

/* A header of the request, or NULL. */
const char *http_header(const struct http_request *request, const char *name);

/* A value of the query, or NULL. */
const char *http_query(const struct http_request *request, const char *key);

/* The name of the user at the other end ("uid 1000" if it has none). malloc; NULL = unknown. */
char *http_user(const struct http_request *request);

/* The body; not terminated. Valid until the reply. */
const char *http_body(struct http_request *request, size_t *size);

/*
 * Each request is answered exactly once, in the handler or later; the client may have gone
 * meanwhile, which makes no difference to the caller. References to json are taken over.
 */
void http_reply(struct http_request *request, int status, json_t *json);
void http_reply_text(struct http_request *request, int status, const char *type, const char *text);

/*
 * An answer that comes in parts, until http_stream_end(), which frees the request. `closed` is
 * called once, from the loop, if the client goes away before; then, too, http_stream_end() is
 * still to be called. Pending: bytes that the client has not taken yet.
 */
void http_stream_start(
	struct http_request *request, const char *type, void (*closed)(void *arg), void *arg);
void http_stream_send(struct http_request *request, const void *bytes, size_t size);
size_t http_stream_pending(const struct http_request *request);
void http_stream_end(struct http_request *request);

/* {type, title, status, detail} and the members of `more` (may be NULL). */
void http_reply_problem(struct http_request *request, int status, const char *detail, json_t *more);
