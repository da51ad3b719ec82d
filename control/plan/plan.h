/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a change would do, before it is made: which objects differ, whose egress address and routes
 * become others, whose tunnel ends, and which running flows would be cut. Pure comparisons; all on
 * one thread.
 */
#pragma once

#include <jansson.h>

#include "common/api/flow.h"
#include "control/compile/compile.h"

/*
 * What two configurations say differently, whatever their layout and comments: a list of {change:
 * added | removed | changed, kind, name, fields: [{key, from, to}]}. As conf_files_parse() gives
 * them, NULL = an empty one. A new reference.
 */
json_t *plan_difference(const json_t *from, const json_t *to);

/*
 * Whom it touches: {egress: {count, peers: [{name, from, to}]}, reach: {count, peers: [{name,
 * exit_node_from, exit_node_to, gains, loses}]}, tunnels: {count, peers: [{name, why}]}}. Peers
 * are those in both configurations, and for tunnels those that `from` has. At most
 * PLAN_PEERS_MAX are listed. A new reference.
 */
enum { PLAN_PEERS_MAX = 200 };

json_t *plan_touched(const struct compiled *from, const struct compiled *to);

/*
 * What the networks behind routes without masquerading need: a list of {route, to, via}; via null =
 * the routing peer. Of a whole configuration, or of one route. A new reference.
 */
json_t *plan_return_routes(const struct model *model);
json_t *plan_return_routes_of(const struct model *model, const struct model_route *route);

/* The items of `to` that `from` (NULL = nothing) lacks. A new reference. */
json_t *plan_new_items(const json_t *from, const json_t *to);

/* Judges running flows by another configuration. */
struct plan_flows;

/* list: what the data plane would be given; both outlive this. */
struct plan_flows *plan_flows_create(const struct compiled *to, const struct desired *list);
void plan_flows_destroy(struct plan_flows **flows);

/* Why the data plane would cut this flow at its next packet, or NULL: it would not. */
const char *plan_flow_cut(const struct plan_flows *flows, const struct api_flow_entry *entry);
