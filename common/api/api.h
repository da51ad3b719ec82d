/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract between the control process and the data plane: what travels on the rings.
 *
 * Every message starts with struct api_header; all fields are host order, fixed size, naturally
 * aligned, reserved bytes zero. Within an API major version structs grow only at the end; sizes
 * are exchanged at hello. A longer message than known is cut to the known size if the surplus is
 * zero, a shorter one is filled with zeros, an unknown type is refused with API_E_UNKNOWN.
 *
 * Requests flow from control to data plane, replies and events the other way. Objects are set and
 * deleted inside a transaction: TXN_BEGIN, any number of object messages, TXN_COMMIT. The data
 * plane stages them privately, validates the whole, applies the whole, and answers once.
 * "set" creates the object with that id or replaces it.
 */
#pragma once

#include <stdint.h>

enum {
	API_MAJOR = 1,
	API_MINOR = 3,
	API_MESSAGE_MAX = 512, /* bytes of the largest message */
	API_ALIGN = 8,         /* every message's length is a multiple of this */
};

/* Ranges of 0x100 per feature; a type is never reused. */
enum api_type {
	API_TXN_BEGIN = 0x0001,
	API_TXN_COMMIT = 0x0002,
	API_TXN_ABORT = 0x0003,
	API_REPLY = 0x0010,        /* one per transaction, one per request outside of one */
	API_EVENT_RESYNC = 0x0011, /* events were lost: read the state again */

	API_PORT_SET = 0x0100,
	API_PORT_DEL = 0x0101,
	API_EVENT_PORT = 0x0110, /* a port came up, went down or failed */

	API_WG_INTERFACE_SET = 0x0200,
	API_WG_INTERFACE_DEL = 0x0201,
	API_PEER_SET = 0x0202,
	API_PEER_DEL = 0x0203,
	API_EVENT_PEER = 0x0210, /* endpoint, handshake or TAI64N marks of a peer changed */

	API_LOCAL_SET = 0x0300,
	API_LOCAL_DEL = 0x0301,
	API_NEIGH_SET = 0x0302,
	API_NEIGH_DEL = 0x0303,
	API_ROUTE_SET = 0x0304,
	API_ROUTE_DEL = 0x0305,
	API_ALLOWED_SET = 0x0306,
	API_ALLOWED_DEL = 0x0307,
	API_EVENT_NEIGH = 0x0310, /* a next hop is wanted and unknown */

	API_POLICY_SET = 0x0400,
	API_POLICY_DEL = 0x0401,

	API_EGRESS_ADDR_SET = 0x0500,
	API_EGRESS_ADDR_DEL = 0x0501,
	API_EGRESS_POOL_SET = 0x0502,
	API_EGRESS_POOL_DEL = 0x0503,
	API_EGRESS_RULE_SET = 0x0504,
	API_EGRESS_RULE_DEL = 0x0505,
	API_EVENT_BLOCK = 0x0510, /* a block of an egress address's ports has another user */
	API_FORWARD_SET = 0x0506,
	API_FORWARD_DEL = 0x0507,

	API_MAP_SET = 0x0700,
	API_MAP_DEL = 0x0701,

	API_FLOW_DUMP = 0x0600,  /* outside a transaction */
	API_FLOW_ENTRY = 0x0601, /* many per FLOW_DUMP, then API_REPLY */
	API_FLOW_TIMEOUTS_SET = 0x0602,
	API_FLOW_TIMEOUTS_DEL = 0x0603, /* the defaults again */
	API_COUNTED_SET = 0x0604,       /* whose the figures under an id are */
	API_COUNTED_DEL = 0x0605,
	API_FLOW_LIMITS_SET = 0x0606,
	API_FLOW_LIMITS_DEL = 0x0607, /* the defaults again */

	API_CAPTURE_CODE = 0x0a00, /* outside a transaction, as all of capture and trace */
	API_CAPTURE_START = 0x0a01,
	API_CAPTURE_READ = 0x0a02,
	API_CAPTURE_PART = 0x0a03, /* many per CAPTURE_READ, then API_REPLY */
	API_CAPTURE_STOP = 0x0a04,

	API_TRACE_START = 0x0b00,
	API_TRACE_READ = 0x0b01,
	API_TRACE_ENTRY = 0x0b02, /* many per TRACE_READ, then API_REPLY */
};

/* Codes in struct api_reply; negative values there are errno. */
enum api_code {
	API_OK = 0,
	API_E_UNKNOWN = 1,  /* unknown message type */
	API_E_SIZE = 2,     /* length does not fit the type */
	API_E_VALUE = 3,    /* a field is out of range; detail = its offset in the message */
	API_E_STATE = 4,    /* not allowed now: no transaction, two transactions ... */
	API_E_LIMIT = 5,    /* staging or a table would exceed its bound */
	API_E_MISSING = 6,  /* refers to an object that does not exist */
	API_E_CONFLICT = 7, /* two objects claim the same thing */
	API_E_DEVICE = 8,   /* a port device could not be started; detail = errno */
	API_E_SECRET = 9,   /* key token unknown, used, or of the wrong size */
};

struct api_header {
	uint16_t type;   /* enum api_type */
	uint16_t length; /* whole message, multiple of API_ALIGN, at most API_MESSAGE_MAX */
	uint32_t cookie; /* chosen by the sender of the request, copied into its reply */
};

enum api_txn_mode {
	API_TXN_INCREMENT = 0, /* base must equal the data plane's generation */
	API_TXN_FULL = 1,      /* what is not mentioned goes; unchanged objects are not touched */
};

struct api_txn_begin {
	struct api_header header;
	uint64_t base;  /* generation this builds on (INCREMENT) */
	uint64_t count; /* object messages to come: checked against the bound at once */
	uint8_t mode;   /* enum api_txn_mode */
	uint8_t zero[7];
};

struct api_txn_commit {
	struct api_header header;
	uint64_t generation; /* the data plane's generation after success; never 0 */
};

struct api_txn_abort {
	struct api_header header;
};

struct api_reply {
	struct api_header header;
	int32_t code;    /* enum api_code, or -errno */
	uint32_t detail; /* see the code */
	uint64_t index;  /* which object message of the transaction failed, from 0 */
	char text[96];   /* one line for people, NUL-terminated */
};

struct api_event_resync {
	struct api_header header;
	uint64_t lost;
};
