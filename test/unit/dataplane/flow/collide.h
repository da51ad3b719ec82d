/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tuples of one sender's choice that have one and the same CRC32C, as it is commonly used for
 * tables of flows. The CRC is linear: which bits may change together without changing it is found
 * by elimination.
 */
#pragma once

#include <stdint.h>

enum {
	/* As struct flow_key begins: source, destination, both ports, protocol, family. */
	COLLIDE_BYTES = 40,
	COLLIDE_LOW = 24,  /* the destination's second half, an IPv6 host: of the sender's choice */
	COLLIDE_PORTS = 32 /* source and destination port, too */
};

/* The nth of 2^32; n = 0 is the one that the others are made from. */
void collide_tuple(uint8_t bytes[COLLIDE_BYTES], uint32_t n);

uint32_t collide_crc(const uint8_t bytes[COLLIDE_BYTES]);
