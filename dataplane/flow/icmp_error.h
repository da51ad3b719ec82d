/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP errors of the gateway's own about a packet it will not forward. A node sets
 * packet->scratch[0] = icmp_error_code(...) and packet->drop (counted as well), and sends the
 * packet to GRAPH_ICMP. Rate limited per worker; never about ICMP errors, fragments beyond the
 * first, multicast or sources that cannot be answered (RFC 1122 3.2.2, RFC 4443 2.4).
 */
#pragma once

#include <stdint.h>

enum icmp_error {
	ICMP_ERROR_TOO_BIG,       /* v4 3/4, v6 2/0; argument = MTU */
	ICMP_ERROR_TIME_EXCEEDED, /* v4 11/0, v6 3/0 */
	ICMP_ERROR_ADMIN,         /* v4 3/13, v6 1/1 */
	ICMP_ERROR_UNREACHABLE,   /* v4 3/1, v6 1/3 */
	ICMP_ERROR_NO_ROUTE,      /* v4 3/0, v6 1/0 */
	ICMP_ERROR_RESET,         /* to a peer, about TCP: no ICMP, but a RST */
};

/* Beside the code: the packet has been rewritten by its flow and failed beyond, on its way to
 * packet->peer. The error goes back along the flow, which takes the rewriting back. */
enum { ICMP_ERROR_BEYOND = 1u << 31 };

static inline uint32_t icmp_error_code(enum icmp_error error, uint16_t argument)
{
	return (uint32_t)error << 16 | argument;
}
