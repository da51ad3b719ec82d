/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mapped prefixes: behind a peer is `real`, and everybody else knows it as `seen`, address by
 * address. So two peers may have the same range behind them. Routes, allowed-IPs and policies
 * name the seen addresses only.
 */
#pragma once

#include "common/api/api.h"
#include "common/base/addr.h"

enum {
	API_MAP_MAX = 4096,
	/* IPv6, at most /64: translated by RFC 6296 (common/base/nptv6.h), and instead of being
	 * masqueraded */
	API_MAP_NPTV6 = 1 << 0,
};

struct api_map_set {
	struct api_header header;
	struct prefix seen;
	uint32_t peer;
	struct prefix real; /* of the same family and length */
	uint32_t flags;     /* API_MAP_* */
};

struct api_map_del {
	struct api_header header;
	struct prefix seen;
	uint32_t peer;
};
