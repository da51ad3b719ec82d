/* SPDX-License-Identifier: BSD-3-Clause */
/* Why ports drop: receiving (port_rx.c) and sending (port_tx.c). */
#pragma once

#include "dataplane/graph/drop.h"

#define PORT_DROPS(X)                                                                              \
	X(RUNT, "runt", "frame shorter than an Ethernet header")                                   \
	X(OTHER_MAC, "other_mac", "frame for another station")                                     \
	X(L2_BROADCAST, "l2_broadcast", "unicast packet in a broadcast frame")                     \
	X(MULTICAST, "multicast", "multicast that the gateway does not forward")                   \
	X(OVER_MTU, "over_mtu", "longer than the port's MTU: switch off TSO, GSO and GRO")         \
	X(ND_HOP_LIMIT, "nd_hop_limit", "neighbour discovery from beyond the link")                \
	X(GONE, "gone", "the port to send on was deleted")                                         \
	X(TOO_BIG, "too_big", "longer than the MTU of the port to send on")                        \
	X(NO_NEIGHBOUR, "no_neighbour", "the next hop's neighbour entry went away")                \
	X(HEADROOM, "headroom", "no room for the Ethernet header: a defect of the program")        \
	X(TX_FULL, "tx_full", "the device did not take the packet: its queue is full or it is down")
DROP_GROUP_DECLARE(port, PORT_DROPS);
