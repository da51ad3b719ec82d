/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy rules: (source set, source prefix, destination prefix, protocol, ports) to verdict. The
 * lowest priority number that matches decides; nothing matches = denied. Judged on the first
 * packet of a flow; packets of an allowed flow pass both ways.
 */
#pragma once

#include "common/api/api.h"
#include "common/base/addr.h"

enum api_verdict {
	API_DENY = 0,
	API_ALLOW = 1,
};

enum {
	API_PROTO_ANY = 0,        /* else the IP protocol number; 1 also stands for ICMPv6 */
	API_POLICY_MAX = 1 << 20, /* rule ids are 1..API_POLICY_MAX - 1 */

	API_POLICY_TO_HOST = 1 << 0,   /* only flows to the gateway itself, whatever address */
	API_POLICY_TO_EXIT = 1 << 1,   /* only flows that an exit route carries */
	API_POLICY_ECHO_ONLY = 1 << 2, /* of ICMP only echo requests */
	API_POLICY_FORWARDED = 1 << 3, /* only flows that a port forward lets in */
};

struct api_policy_set {
	struct api_header header;
	uint32_t rule; /* id; also the index of its counters */
	uint32_t priority;
	uint32_t src_set; /* 0 = any identity */
	uint8_t proto;
	uint8_t verdict; /* enum api_verdict */
	uint16_t flags;
	struct prefix src;   /* family ADDR_NONE = any */
	struct prefix dst;   /* family ADDR_NONE = any */
	uint16_t port_first; /* of the destination; 0..65535 = any; only TCP, UDP, SCTP */
	uint16_t port_last;
	uint32_t zero;
};

struct api_policy_del {
	struct api_header header;
	uint32_t rule;
	uint32_t zero;
};
