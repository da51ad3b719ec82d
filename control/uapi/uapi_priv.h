/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parse.c: text to a request. device.c: what the gateway has. format.c: that as text. edit.c:
 * what a request makes of it. uapi.c: connections.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/addr.h"
#include "common/base/key.h"
#include "common/base/pool.h"
#include "control/compile/compile.h"
#include "control/program/program.h"

enum {
	UAPI_REQUEST_MAX = 32 << 20, /* bytes; 100,000 peers with three addresses each fit */
	UAPI_LINE_MAX = 160,         /* the longest valid one is a key in hexadecimal */
};

/* One "public_key" and what follows it. */
struct uapi_change {
	struct key public_key;
	bool remove, update_only, replace_allowed;
	bool has_preshared_key, has_endpoint, has_keepalive;
	struct key preshared_key; /* zero = none */
	struct endpoint endpoint;
	uint16_t keepalive;
	struct prefix *allowed;
	size_t n_allowed;
};

struct uapi_request {
	bool get;
	bool has_private_key, has_listen_port, has_fwmark, replace_peers;
	struct key private_key;
	uint16_t listen_port;
	uint32_t fwmark;
	struct uapi_change *changes; /* sodium_malloc */
	size_t n_changes;
	struct pool *pool;
};

/* True if text holds a whole request; *size is then its length, with the empty line that ends it.
 * `from`: nothing before it need be looked at again; advanced. */
bool uapi_find_end(const char *text, size_t n, size_t *from, size_t *size);

/*
 * A whole request. 0; -EINVAL, -ENOMEM, -EPROTO (not a request at all: hang up); then *why is one
 * line. Wipe it in any case.
 */
int uapi_parse(const char *text, size_t size, struct uapi_request *request, const char **why)
	__attribute__((warn_unused_result));
void uapi_request_wipe(struct uapi_request *request);

/* A peer as `wg` shows it. */
struct uapi_peer {
	const struct model_peer *model;
	const struct key *preshared_key; /* NULL = none */
	struct endpoint endpoint;        /* where it is now; ADDR_NONE = unknown */
	uint64_t last_handshake_s;
	uint64_t rx_bytes, tx_bytes;
	struct prefix *allowed; /* each once */
	size_t n_allowed;
};

struct uapi_device {
	struct pool *pool;
	const struct key *private_key; /* NULL = none */
	uint16_t listen_port;
	struct uapi_peer *peers; /* in the model's order, disabled ones too */
	size_t n;
};

/* Points into `compiled`. program NULL: without endpoints learned and counters. Never NULL. */
struct uapi_device *uapi_device_create(
	const struct compiled *compiled, const struct program *program);
void uapi_device_destroy(struct uapi_device **device);

/* Text that is wiped when it goes. */
struct uapi_text {
	char *bytes; /* malloc */
	size_t n, capacity;
};

void uapi_text_add(struct uapi_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void uapi_text_wipe(struct uapi_text *text);

/* The answer to get=1, without "errno". Secrets only if `secrets`. */
void uapi_format(struct uapi_text *text, const struct uapi_device *device, bool secrets);

/* A preshared key that needs a file in the state directory. */
struct uapi_key_file {
	const char *name;
	const struct key *key; /* the request's */
};

/* What an edit needs, and what it leaves to be done; arrays and names lie in the pool. */
struct uapi_edit {
	const struct uapi_request *request;
	struct pool *pool;
	struct uapi_key_file *fresh; /* to be written before, removed again after a failure */
	size_t n_fresh;
	const char **stale; /* names, to be removed after success */
	size_t n_stale;
	char why[256]; /* after an error: one line for the log */
};

/*
 * Adds to `next` the peers of origin api as they are to be after the request. 0; -EPERM (the
 * configuration file's business), -EEXIST, -EADDRNOTAVAIL, -EINVAL; then edit->why is set and
 * `next` of no use.
 */
int uapi_edit_model(struct uapi_edit *edit, const struct uapi_device *device, struct model *next)
	__attribute__((warn_unused_result));
