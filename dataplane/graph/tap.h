/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies of packets for whoever captures. Off, it costs one look per burst at a flag that nobody
 * writes. On, a thread that meets a packet asks the filter, takes a slot of its own free ring,
 * copies, and puts it into its own full ring, which the main thread empties; without a free slot
 * the packet is counted as lost and goes its way. Nobody waits for anybody.
 *
 * The set-up is written only while nothing is captured and no thread can still be reading it.
 */
#pragma once

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/api/capture.h"

struct tap_setup {
	uint32_t points; /* API_CAPTURE_*; not 0 */
	uint32_t peer;   /* 0 = any */
	uint16_t port;   /* 0 = any */
	uint16_t snap;
	uint16_t length[API_CAPTURE_LINKS]; /* of the programs; 0 = all match */
	struct bpf_insn code[API_CAPTURE_LINKS][API_CAPTURE_CODE_MAX];
};

struct tap_slot {
	uint64_t tsc;
	uint32_t wire, captured;
	uint32_t ingress, peer;
	uint16_t point, port, reason;
	uint8_t link;
	uint8_t thread;
	uint8_t data[];
};

enum { TAP_FOLLOW = 1 << 30 }; /* no point: packets are followed (graph/follow.h) */

extern uint32_t tap_points; /* what is captured or followed now; 0 = nothing */

static inline bool tap_wants(uint32_t points)
{
	return unlikely((__atomic_load_n(&tap_points, __ATOMIC_RELAXED) & points) != 0);
}

/* Any thread with a hand-off producer's number, after tap_wants(). */

/* n frames of a port, as they are on the wire. */
void tap_frames(
	unsigned thread, uint32_t point, uint16_t port, struct rte_mbuf *const *mbufs, unsigned n);

/* A packet whose data begins at the IP header. */
void tap_packet(unsigned thread, uint32_t point, const struct rte_mbuf *mbuf);

/* A packet about to be freed for this reason. */
void tap_drop(unsigned thread, uint16_t reason, const struct rte_mbuf *mbuf);

/* Main thread. */

/* False while a thread may still be capturing by the last set-up. */
bool tap_is_idle(void);

/* Starts; copies the set-up, whose programs have been found good. -EBUSY if not idle,
 * -ENOMEM. */
int tap_start(const struct tap_setup *setup) __attribute__((warn_unused_result));
void tap_stop(void);

/* The oldest packet caught, or NULL; it goes back by tap_give(). */
struct tap_slot *tap_take(void);
void tap_give(struct tap_slot *slot);

/* Packets of this capture that found no slot. */
uint64_t tap_lost(void);

/* Sets or clears TAP_FOLLOW. */
void tap_follow(bool on);

void tap_destroy(void); /* threads have ended */
