/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A DPDK device behind a port: found or plugged in by its text, configured, started, stopped.
 * Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/api/port.h"
#include "dataplane/port/port.h"

enum { DEVICE_TEXT_MAX = API_PORT_DEVICE_MAX + 64 };

struct device {
	uint16_t dpdk;
	bool plugged; /* by us: unplug it when it is closed */
	bool started;
	bool interrupts; /* receive interrupts work */
	unsigned fd_count;
	int fds[DP_WORKERS_MAX]; /* per receive queue: what to wait on; not owned */
	unsigned socket_count;
	int sockets[DP_WORKERS_MAX]; /* af_packet's; not owned */
	uint64_t missed;             /* by these: their rings had no room */
};

/* Bytes of an af_packet ring frame, and so of a buffer, for frames of this MTU. */
uint32_t device_frame_bytes(uint16_t mtu);

/* The text with what an af_packet device needs and does not say: queue pairs, frame and block
 * size, frames. 0 or -ENAMETOOLONG. */
int device_complete(const char *text, unsigned queues, uint16_t mtu, char out[DEVICE_TEXT_MAX])
	__attribute__((warn_unused_result));

/*
 * Starts the device that `set` names and fills device and the parts of port that it decides (dpdk,
 * mtu, queues, mac, checksum flags). 0 or -errno, with one line in text; then nothing is left.
 */
int device_start(const struct api_port_set *set, struct device *device, struct port *port,
	char text[96]) __attribute__((warn_unused_result));

/* No thread uses it any more. */
void device_stop(struct device *device);

bool device_link_up(const struct device *device);

/* Frames for which an af_packet ring had no room, so far: the kernel counts them, DPDK's driver
 * does not. */
uint64_t device_missed(struct device *device);
