/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What firewalls around the gateway must let through for a configuration to work, inbound and
 * outbound, IPv4 and IPv6: as rows, and as nft rules for a firewall in front of it. Any thread.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "control/model/model.h"

/*
 * [{direction, family, protocol, port, address, remote, why, needed}]: direction "in" or "out"
 * as the gateway sees it, family 4 or 6, port a number, "80-90", "any" or null (icmp), address the
 * gateway's, remote an address or "any", needed false for what merely makes things better. A new
 * reference.
 */
json_t *ports_rows(const struct model *model);

/* A table of two chains, to_gateway and from_gateway, for `nft -f`; the firewall jumps to them
 * from its forward chain. */
void ports_write_nft(FILE *out, const json_t *rows);
