/* SPDX-License-Identifier: BSD-3-Clause */
/* The handlers, one file per kind of answer, and what they share. */
#pragma once

#include "common/api/counters.h"
#include "control/api/api.h"

enum {
	API_LIVE_S = 180, /* a handshake within it: REJECT-AFTER-TIME of the protocol */
	API_FLOWS_DEFAULT = 1000,
	API_FLOWS_MAX = 100000,
};

/* All rows in use of a section; NULL and *n = 0 if there are none. free() it. */
void *api_read_rows(struct api *api, uint32_t section, size_t row_size, uint32_t *n);

json_t *api_json_addr(const struct addr *addr);             /* null for ADDR_NONE */
json_t *api_json_endpoint(const struct endpoint *endpoint); /* null for ADDR_NONE */
json_t *api_json_prefix(const struct prefix *prefix);
json_t *api_json_prefixes(const struct model_prefixes *prefixes);
json_t *api_json_names(const struct model_refs *refs);
json_t *api_json_count(uint64_t value);
json_t *api_json_text(const char *text); /* null for NULL */

/* Packets, bytes and flows of row `id` of n, both ways, into an object; zeros without such a row.
 */
void api_add_pair(json_t *json, const struct api_count_pair *rows, uint32_t n, uint32_t id);

/* Findings as JSON, and as the text that a person is shown. */
json_t *api_json_findings(struct diag *diag);

struct api_flow_entry;

/* What is to be looked at if a flow by such a route has had no answer; else null. */
json_t *api_flow_hint(const struct compiled *c, const struct api_flow_entry *entry);

/* True if packets went out by this route, unmasked, and none came back. */
bool api_is_unanswered(const struct model_route *route, const struct api_count_pair *row);

/* A flow with names; c NULL = without. */
json_t *api_json_flow(const struct compiled *c, const struct api_flow_entry *entry);

/* A free address in each network of the overlay that has one. */
json_t *api_free_addresses(const struct model *model);

/* The configuration in force; answers 503 and returns NULL if there is none. */
const struct compiled *api_need_config(struct api *api, struct http_request *request);

/* A decimal number of the query; *out stays as it is if it is not there. False after answering 400.
 */
bool api_read_number(struct http_request *request, const char *key, unsigned long min,
	unsigned long max, unsigned long *out);

/* What `status` shows first: [{code, severity, message, next}]. ports: as the status has them. */
json_t *api_problems(struct api *api, const struct compiled *c, const json_t *ports);
bool api_has_error(const json_t *problems);

/* Sums the counters of all rules that came of one policy. */
struct api_count_pair api_sum_rules(const struct compiled *c, const char *policy,
	const struct api_count_pair *rows, uint32_t n);

void api_post_capture(struct http_request *request, void *arg);
void api_get_trace(struct http_request *request, void *arg);
void api_get_metrics(struct http_request *request, void *arg);
void api_get_livez(struct http_request *request, void *arg);
void api_get_readyz(struct http_request *request, void *arg);
void api_get_startupz(struct http_request *request, void *arg);
void api_get_progress(struct http_request *request, void *arg);
void api_get_status(struct http_request *request, void *arg);
void api_get_drops(struct http_request *request, void *arg);
void api_get_flows(struct http_request *request, void *arg);
void api_get_peers(struct http_request *request, void *arg);
void api_get_routes(struct http_request *request, void *arg);
void api_get_exit_nodes(struct http_request *request, void *arg);
void api_get_egress(struct http_request *request, void *arg);
void api_get_forwards(struct http_request *request, void *arg);
void api_get_policies(struct http_request *request, void *arg);
void api_get_choice(struct http_request *request, void *arg);
void api_put_choice(struct http_request *request, void *arg);
void api_delete_choice(struct http_request *request, void *arg);
void api_get_export(struct http_request *request, void *arg);
void api_get_doctor(struct http_request *request, void *arg);
void api_get_traffic(struct http_request *request, void *arg);
void api_get_who(struct http_request *request, void *arg);
void api_get_why(struct http_request *request, void *arg);
void api_post_check(struct http_request *request, void *arg);
void api_post_apply(struct http_request *request, void *arg);
void api_post_confirm(struct http_request *request, void *arg);
void api_post_rollback(struct http_request *request, void *arg);
void api_post_peer(struct http_request *request, void *arg);
void api_delete_peer(struct http_request *request, void *arg);
void api_get_plan(struct http_request *request, void *arg);
void api_get_history(struct http_request *request, void *arg);
void api_get_version(struct http_request *request, void *arg);
void api_get_diff(struct http_request *request, void *arg);
