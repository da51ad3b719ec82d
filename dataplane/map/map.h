/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mapped prefixes (common/api/map.h). A left-right table: pass worker_self()->copy.
 *
 * Packets of a mapped peer are known to flows by their seen source, from the first look at them
 * (flow_key_of); what they are on the wire is put back where a flow's actions are made. So
 * whatever else is asked about a flow is asked about addresses that are nobody else's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* True if there is any. Worker. */
bool map_any(unsigned copy);

/*
 * Turns an address of a peer's real prefixes into the seen one, and the other way round: so what
 * a peer sends from a seen address is its own under no name, and is refused as forged. Others are
 * left as they are. True if it was turned. Peers without a map cost one look. Worker.
 */
bool map_turn(unsigned copy, uint32_t peer, uint8_t family, uint8_t addr[16]);

/* True for a seen address of this peer's that leaves as it is, never masqueraded. Worker. */
bool map_is_final(unsigned copy, uint32_t peer, uint8_t family, const uint8_t addr[16]);

/* Memory and handlers; the feature's init. Main thread. 0 or -errno. */
int map_init(void) __attribute__((warn_unused_result));
