/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/port/rx_queues.h"

#include <rte_ethdev.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct rx_list empty;
static struct rx_list *lists[DP_WORKERS_MAX]; /* written by the main thread, read by workers */
static struct rx_list *former[DP_WORKERS_MAX];

const struct rx_list *rx_queues_of(unsigned worker)
{
	const struct rx_list *list = __atomic_load_n(&lists[worker], __ATOMIC_ACQUIRE);

	return list != NULL ? list : &empty;
}

static unsigned count_queues(const struct port *const *ports, unsigned n, unsigned worker)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++) {
		for (uint16_t q = 0; ports[i] != NULL && q < ports[i]->rx_queues; q++)
			count += ports[i]->rx_worker[q] == worker;
	}
	return count;
}

static struct rx_list *build(
	const struct port *const *ports, unsigned n, uint64_t interrupts, unsigned worker)
{
	unsigned count = count_queues(ports, n, worker);
	struct rx_list *list = calloc(1, sizeof(*list) + count * sizeof(list->queues[0]));

	if (list == NULL)
		return NULL;
	for (unsigned i = 0; i < n; i++) {
		for (uint16_t q = 0; ports[i] != NULL && q < ports[i]->rx_queues; q++) {
			if (ports[i]->rx_worker[q] != worker)
				continue;
			list->queues[list->count++] = (struct rx_queue){
				.port = ports[i],
				.queue = q,
				.interrupts = (interrupts >> ports[i]->id & 1) != 0,
			};
		}
	}
	return list;
}

int rx_queues_publish(const struct port *const *ports, unsigned n, uint64_t interrupts)
{
	struct rx_list *fresh[DP_WORKERS_MAX];

	for (unsigned worker = 0; worker < dp_config()->workers; worker++) {
		fresh[worker] = build(ports, n, interrupts, worker);
		if (fresh[worker] == NULL) {
			while (worker-- > 0)
				free(fresh[worker]);
			return -ENOMEM;
		}
	}
	rx_queues_reclaim();
	for (unsigned worker = 0; worker < dp_config()->workers; worker++) {
		former[worker] = lists[worker];
		__atomic_store_n(&lists[worker], fresh[worker], __ATOMIC_RELEASE);
	}
	return 0;
}

void rx_queues_reclaim(void)
{
	for (unsigned worker = 0; worker < DP_WORKERS_MAX; worker++) {
		free(former[worker]);
		former[worker] = NULL;
	}
}

void rx_queues_interrupts(unsigned worker, bool on)
{
	const struct rx_list *list = rx_queues_of(worker);

	for (unsigned i = 0; i < list->count; i++) {
		const struct rx_queue *queue = &list->queues[i];

		if (!queue->interrupts)
			continue;
		if (on)
			rte_eth_dev_rx_intr_enable(queue->port->dpdk, queue->queue);
		else
			rte_eth_dev_rx_intr_disable(queue->port->dpdk, queue->queue);
	}
}
