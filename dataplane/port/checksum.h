/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP and UDP checksums over whatever precedes them (extension headers, options), in software.
 */
#pragma once

#include <rte_mbuf.h>

/*
 * Completes a partial checksum: virtual links deliver TCP and UDP with only the pseudo-header's
 * sum in the field, without saying so. The packet was parsed and is no fragment; any other
 * checksum stays as it is. Worker.
 */
void checksum_complete(struct rte_mbuf *mbuf);
