/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is behind /api: the state of the gateway as JSON, checks of a configuration, and the
 * client files that peers are given. The CLI knows nothing that is not here. Loop's thread.
 */
#pragma once

#include "control/health/health.h"
#include "control/http/http.h"
#include "control/program/program.h"
#include "control/revision/revision.h"
#include "control/traffic/traffic.h"

struct api {
	struct program *program;
	struct revision *revision;
	struct ledger *ledger;   /* of port blocks; NULL = none is kept */
	struct traffic *traffic; /* time series; NULL = they cannot be kept */
	struct store *store;     /* the history is read from it */
	const char *config_file; /* what `apply` reads */
	const char *state_dir;
	long started_s;          /* Unix time */
	struct event_base *base; /* for what goes on after a request's handler has returned */
	struct api_stream *capturing, *tracing; /* by one client at a time */
	const struct health *health;            /* NULL = not looked at: not ready */
	const struct failover *failover;        /* NULL = no routing peer is watched */
};

/* For http_create(); arg is a struct api that outlives the server. */
extern const struct http_route api_routes[];

/* Those of them that only tell figures: for a listener on TCP. */
extern const struct http_route api_probe_routes[];

/* The answer to GET /metrics: malloc, or NULL. */
char *api_metrics(struct api *api, bool openmetrics) __attribute__((warn_unused_result));

enum api_export_form {
	API_EXPORT_HALVES, /* 0.0.0.0/1, 128.0.0.0/1, ::/1, 8000::/1 */
	API_EXPORT_FULL,   /* 0.0.0.0/0, ::/0 */
};

struct api_export {
	enum api_export_form form;
	const char *endpoint; /* "host:port", or NULL: the gateway's first uplink address */
};

/* The wg-quick file of a peer, without its private key ("PrivateKey = @PRIVATE_KEY@" is to be
 * replaced). malloc; NULL if there is no such peer or no gateway key (*error). */
char *api_export_peer(const struct compiled *compiled, const char *name,
	const struct key *gateway_public_key, const struct api_export *options, int *error)
	__attribute__((warn_unused_result));

struct why_query;

/* Why a flow is allowed or denied (control/why); `list` as why_judge() takes it. A new reference.
 */
json_t *api_why(const struct compiled *compiled, const struct desired *list,
	const struct why_query *query, const char *file);

/* src, dst, proto, as (the last two may be NULL) to a query; NULL, or what is wrong with them. */
const char *api_why_read(
	const struct compiled *compiled, const char *const words[4], struct why_query *query);
