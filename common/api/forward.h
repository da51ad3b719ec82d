/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Port forwarding: TCP or UDP to some ports of an outside address goes to an inside address. The
 * NAT gives these ports to nobody. A forward lets a sender in whom `from` names; policy has to
 * allow the flow as well, as one to the inside address and port.
 */
#pragma once

#include "common/api/api.h"
#include "common/base/addr.h"

enum {
	API_FORWARD_MAX = 4096, /* ids 1.. */
	API_FORWARD_FROM = 16,  /* prefixes of senders */
};

struct api_forward_set {
	struct api_header header;
	uint32_t forward; /* id; also the index of its counters */
	struct addr outside;
	struct addr inside; /* of the same family */
	uint16_t port_first;
	uint16_t port_last;
	uint16_t inside_first; /* port_first becomes this one, and so on */
	uint8_t proto;         /* TCP or UDP */
	uint8_t from_count;
	struct prefix from[API_FORWARD_FROM]; /* none = whoever it is */
	uint32_t zero;
};

struct api_forward_del {
	struct api_header header;
	uint32_t forward;
	uint32_t zero;
};
