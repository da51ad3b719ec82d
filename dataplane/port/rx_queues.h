/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which receive queues each worker polls. The main thread publishes a new list per worker when
 * ports come and go; the old ones are freed after a grace period.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/port/port.h"

struct rx_queue {
	const struct port *port;
	uint16_t queue;
	bool interrupts; /* the driver can wake us */
};

struct rx_list {
	unsigned count;
	struct rx_queue queues[];
};

/* The calling worker's list; never NULL once published. Valid until its next quiescent state. */
const struct rx_list *rx_queues_of(unsigned worker);

/* Main thread: builds and publishes lists from the ports given, NULL entries skipped; the former
 * lists stay until rx_queues_reclaim(), after a grace period. 0 or -ENOMEM: nothing changed. */
int rx_queues_publish(const struct port *const *ports, unsigned n, uint64_t interrupts)
	__attribute__((warn_unused_result));
void rx_queues_reclaim(void);

/* The worker's own queues: receive interrupts on before it blocks, off afterwards. */
void rx_queues_interrupts(unsigned worker, bool on);
