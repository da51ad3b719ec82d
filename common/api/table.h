/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every message of the contract in one table: hello exchanges it, sizes are checked by it, logs
 * and fuzzers name messages from it. A new message is one line here. Constant data, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/api/api.h"
#include "common/api/capture.h"
#include "common/api/egress.h"
#include "common/api/flow.h"
#include "common/api/forward.h"
#include "common/api/map.h"
#include "common/api/policy.h"
#include "common/api/port.h"
#include "common/api/route.h"
#include "common/api/trace.h"
#include "common/api/wireguard.h"

enum api_kind {
	API_KIND_TXN,     /* control to data plane: bounds of a transaction */
	API_KIND_OBJECT,  /* control to data plane, only inside a transaction */
	API_KIND_REQUEST, /* control to data plane, only outside of one */
	API_KIND_REPLY,   /* data plane to control, answers a request or a transaction */
	API_KIND_EVENT,   /* data plane to control, unasked */
};

/* X(type, struct, kind, feature, name) */
#define API_MESSAGES(X)                                                                            \
	X(API_TXN_BEGIN, api_txn_begin, API_KIND_TXN, "core", "txn.begin")                         \
	X(API_TXN_COMMIT, api_txn_commit, API_KIND_TXN, "core", "txn.commit")                      \
	X(API_TXN_ABORT, api_txn_abort, API_KIND_TXN, "core", "txn.abort")                         \
	X(API_REPLY, api_reply, API_KIND_REPLY, "core", "reply")                                   \
	X(API_EVENT_RESYNC, api_event_resync, API_KIND_EVENT, "core", "event.resync")              \
	X(API_PORT_SET, api_port_set, API_KIND_OBJECT, "port", "port.set")                         \
	X(API_PORT_DEL, api_port_del, API_KIND_OBJECT, "port", "port.del")                         \
	X(API_EVENT_PORT, api_event_port, API_KIND_EVENT, "port", "event.port")                    \
	X(API_WG_INTERFACE_SET, api_wg_interface_set, API_KIND_OBJECT, "wireguard",                \
		"wg_interface.set")                                                                \
	X(API_WG_INTERFACE_DEL, api_wg_interface_del, API_KIND_OBJECT, "wireguard",                \
		"wg_interface.del")                                                                \
	X(API_PEER_SET, api_peer_set, API_KIND_OBJECT, "wireguard", "peer.set")                    \
	X(API_PEER_DEL, api_peer_del, API_KIND_OBJECT, "wireguard", "peer.del")                    \
	X(API_EVENT_PEER, api_event_peer, API_KIND_EVENT, "wireguard", "event.peer")               \
	X(API_LOCAL_SET, api_local_set, API_KIND_OBJECT, "route", "local.set")                     \
	X(API_LOCAL_DEL, api_local_del, API_KIND_OBJECT, "route", "local.del")                     \
	X(API_NEIGH_SET, api_neigh_set, API_KIND_OBJECT, "route", "neigh.set")                     \
	X(API_NEIGH_DEL, api_neigh_del, API_KIND_OBJECT, "route", "neigh.del")                     \
	X(API_ROUTE_SET, api_route_set, API_KIND_OBJECT, "route", "route.set")                     \
	X(API_ROUTE_DEL, api_route_del, API_KIND_OBJECT, "route", "route.del")                     \
	X(API_ALLOWED_SET, api_allowed_set, API_KIND_OBJECT, "route", "allowed.set")               \
	X(API_ALLOWED_DEL, api_allowed_del, API_KIND_OBJECT, "route", "allowed.del")               \
	X(API_EVENT_NEIGH, api_event_neigh, API_KIND_EVENT, "route", "event.neigh")                \
	X(API_POLICY_SET, api_policy_set, API_KIND_OBJECT, "policy", "policy.set")                 \
	X(API_POLICY_DEL, api_policy_del, API_KIND_OBJECT, "policy", "policy.del")                 \
	X(API_EGRESS_ADDR_SET, api_egress_addr_set, API_KIND_OBJECT, "egress", "egress_addr.set")  \
	X(API_EGRESS_ADDR_DEL, api_egress_addr_del, API_KIND_OBJECT, "egress", "egress_addr.del")  \
	X(API_EGRESS_POOL_SET, api_egress_pool_set, API_KIND_OBJECT, "egress", "egress_pool.set")  \
	X(API_EGRESS_POOL_DEL, api_egress_pool_del, API_KIND_OBJECT, "egress", "egress_pool.del")  \
	X(API_EGRESS_RULE_SET, api_egress_rule_set, API_KIND_OBJECT, "egress", "egress_rule.set")  \
	X(API_EGRESS_RULE_DEL, api_egress_rule_del, API_KIND_OBJECT, "egress", "egress_rule.del")  \
	X(API_FORWARD_SET, api_forward_set, API_KIND_OBJECT, "egress", "forward.set")              \
	X(API_FORWARD_DEL, api_forward_del, API_KIND_OBJECT, "egress", "forward.del")              \
	X(API_MAP_SET, api_map_set, API_KIND_OBJECT, "map", "map.set")                             \
	X(API_MAP_DEL, api_map_del, API_KIND_OBJECT, "map", "map.del")                             \
	X(API_EVENT_BLOCK, api_event_block, API_KIND_EVENT, "egress", "event.block")               \
	X(API_FLOW_TIMEOUTS_SET, api_flow_timeouts_set, API_KIND_OBJECT, "flow",                   \
		"flow_timeouts.set")                                                               \
	X(API_FLOW_TIMEOUTS_DEL, api_flow_timeouts_del, API_KIND_OBJECT, "flow",                   \
		"flow_timeouts.del")                                                               \
	X(API_COUNTED_SET, api_counted_set, API_KIND_OBJECT, "flow", "counted.set")                \
	X(API_COUNTED_DEL, api_counted_del, API_KIND_OBJECT, "flow", "counted.del")                \
	X(API_FLOW_LIMITS_SET, api_flow_limits_set, API_KIND_OBJECT, "flow", "flow_limits.set")    \
	X(API_FLOW_LIMITS_DEL, api_flow_limits_del, API_KIND_OBJECT, "flow", "flow_limits.del")    \
	X(API_FLOW_DUMP, api_flow_dump, API_KIND_REQUEST, "flow", "flow.dump")                     \
	X(API_FLOW_ENTRY, api_flow_entry, API_KIND_REPLY, "flow", "flow.entry")                    \
	X(API_CAPTURE_CODE, api_capture_code, API_KIND_REQUEST, "capture", "capture.code")         \
	X(API_CAPTURE_START, api_capture_start, API_KIND_REQUEST, "capture", "capture.start")      \
	X(API_CAPTURE_READ, api_capture_read, API_KIND_REQUEST, "capture", "capture.read")         \
	X(API_CAPTURE_PART, api_capture_part, API_KIND_REPLY, "capture", "capture.part")           \
	X(API_CAPTURE_STOP, api_capture_stop, API_KIND_REQUEST, "capture", "capture.stop")         \
	X(API_TRACE_START, api_trace_start, API_KIND_REQUEST, "trace", "trace.start")              \
	X(API_TRACE_READ, api_trace_read, API_KIND_REQUEST, "trace", "trace.read")                 \
	X(API_TRACE_ENTRY, api_trace_entry, API_KIND_REPLY, "trace", "trace.entry")

struct api_message {
	uint16_t type; /* enum api_type */
	uint16_t size; /* bytes, as this build knows the struct */
	enum api_kind kind;
	const char *feature;
	const char *name;
};

extern const struct api_message api_messages[];
extern const unsigned api_message_count;

/* NULL for a type that this build does not know. */
const struct api_message *api_message_find(uint16_t type);

/* "peer.set", or "unknown". */
const char *api_message_name(uint16_t type);

/* True for what the control process may send. */
bool api_message_is_request(const struct api_message *message);

/*
 * Brings a received message of `length` bytes to the size of this build: cuts a zero surplus,
 * fills what is missing with zeros, and sets header.length to `size`. `message` has room for
 * API_MESSAGE_MAX bytes. 0, or API_E_SIZE.
 */
int api_message_fit(void *message, uint16_t length, uint16_t size)
	__attribute__((warn_unused_result));

/* Zeroes *message and fills the header. */
void api_message_init(void *message, uint16_t type, uint16_t size);
