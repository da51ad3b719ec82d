/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy: may this flow be? Judged once per flow on its first packet, and anew after a change.
 * Left-right table; any reader.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/api/policy.h"

struct policy_query {
	uint32_t set; /* source set of the ingress identity; 0 = holds none */
	struct addr src;
	struct addr dst;
	uint8_t proto;
	uint8_t icmp_type; /* where proto is ICMP or ICMPv6 */
	uint16_t dport;
	bool to_host;   /* the destination is the gateway */
	bool to_exit;   /* an exit route carries it */
	bool forwarded; /* a port forward lets it in */
};

struct policy_answer {
	bool allow;
	uint32_t rule; /* that decided; 0 = nothing matched */
};

struct policy_answer policy_judge(unsigned copy, const struct policy_query *query);

/* Memory and handlers; the feature's init. Main thread. 0 or -errno. */
int policy_init(void) __attribute__((warn_unused_result));
