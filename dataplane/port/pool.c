/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool of packet buffers. Its ring tolerates preemption where threads share cores: with the
 * plain multi-producer ring a thread that is preempted between its two steps holds up all others
 * for a time slice.
 */
#include <rte_errno.h>
#include <rte_mbuf.h>

#include <errno.h>

#include "dataplane/graph/packet.h"
#include "dataplane/port/device.h"
#include "dataplane/port/port.h"

enum {
	CACHE = 256,
	ROOM_MIN = 2048,
};

static struct rte_mempool *pool;

int packet_pool_create(void)
{
	uint32_t room = device_frame_bytes(dp_config()->mtu_max);

	if (room < ROOM_MIN)
		room = ROOM_MIN;
	pool = rte_pktmbuf_pool_create_by_ops("packets", dp_config()->mbufs, CACHE,
		PACKET_PRIVATE_SIZE, (uint16_t)(room + RTE_PKTMBUF_HEADROOM), SOCKET_ID_ANY,
		dp_config()->cores_shared ? "ring_mt_rts" : "ring_mp_mc");
	return pool != NULL ? 0 : -rte_errno;
}

struct rte_mempool *packet_pool(void)
{
	return pool;
}

uint16_t packet_pool_room(void)
{
	return (uint16_t)(rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM);
}
