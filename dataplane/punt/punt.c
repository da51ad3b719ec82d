/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel is the slow path. Every port has a TAP twin "sp-<port>" with the port's MAC address,
 * and the overlay a TUN; ARP, neighbour discovery, echo, DHCP, ssh and BGP are the kernel's. What
 * workers want it to see goes through node "punt" (policers by class, then a bounded ring per
 * worker); what it sends comes back through a worker as if it had arrived, so that the host's
 * packets are judged and tracked like anybody's. ARP, neighbour discovery and multicast go
 * straight out of the port.
 *
 * The twins are created here, down and bare. The control process brings them up and puts
 * addresses and routes on them; they vanish with this process.
 *
 * Threads: the twins belong to the punt thread (thread.c); the main thread opens and closes them
 * under the lock, and lets their carrier follow the port's link.
 */
#include "dataplane/punt/punt_priv.h"

#include <errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/log.h"
#include "dataplane/main/feature.h"
#include "dataplane/main/watchdog.h"
#include "dataplane/main/worker.h"
#include "dataplane/port/port.h"
#include "dataplane/punt/node.h"

LOG_TYPE(punt);
DROP_GROUP_DEFINE(punt, PUNT_DROPS);

enum {
	OVERLAY_MTU = 1420, /* until the control process sets it */
	LINK_POLL_MS = 500,
};

struct punt punt = {.epoll = -1, .bell = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_t thread;
static bool running;
static uint64_t link_polled_ms;

static int watch(int fd, uint32_t data)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = data};

	return epoll_ctl(punt.epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int add_twin(unsigned id, const char *name, const struct rte_ether_addr *mac, unsigned mtu)
{
	int fd = punt_device_open(name, mac, mtu);
	int error;

	if (fd < 0)
		return fd;
	pthread_mutex_lock(&punt.lock);
	punt.twins[id].fd = fd;
	punt.twins[id].carrier = true;
	pthread_mutex_unlock(&punt.lock);
	error = watch(fd, id);
	if (error < 0) {
		punt.twins[id].fd = -1;
		close(fd);
	}
	return error;
}

static void remove_twin(unsigned id)
{
	int fd;

	pthread_mutex_lock(&punt.lock);
	fd = punt.twins[id].fd;
	punt.twins[id].fd = -1;
	pthread_mutex_unlock(&punt.lock);
	if (fd >= 0)
		close(fd); /* epoll forgets it, and the device goes */
}

static void add_port(const struct port *port)
{
	char name[sizeof("sp-") + API_PORT_NAME_MAX];
	int error;

	snprintf(name, sizeof(name), "sp-%.*s", API_PORT_NAME_MAX, port->name);
	remove_twin(port->id);
	punt.twins[port->id].dpdk = port->dpdk;
	error = add_twin(port->id, name, &port->mac, port->mtu);
	if (error < 0)
		log_error(
			punt, "port %s: no twin %s: %s", port->name, name, strerrordesc_np(-error));
	else
		log_info(punt, "port %s: twin %s", port->name, name);
}

static void remove_port(const struct port *port)
{
	remove_twin(port->id);
}

static int create_rings(void)
{
	char name[RTE_RING_NAMESIZE];

	for (unsigned i = 0; i < dp_config()->workers; i++) {
		snprintf(name, sizeof(name), "punt_%u", i);
		punt.rings[i] = rte_ring_create(
			name, PUNT_RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (punt.rings[i] == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int init(void)
{
	int error = drop_register(&drop_group_punt);

	if (error < 0)
		return error;
	for (unsigned i = 0; i < API_PORT_MAX; i++)
		punt.twins[i].fd = -1;
	punt.epoll = epoll_create1(EPOLL_CLOEXEC);
	punt.bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (punt.epoll < 0 || punt.bell < 0)
		return -errno;
	error = create_rings();
	if (error == 0)
		error = watch(punt.bell, PUNT_BELL);
	if (error < 0)
		return error;
	punt_node_init();
	port_on_change(add_port, remove_port);
	return 0;
}

static int worker_init(struct worker *worker)
{
	punt_node_worker_init(worker);
	return 0;
}

static int start(void)
{
	const char *overlay = dp_config()->overlay_name;
	int error = overlay == NULL ? 0 : add_twin(0, overlay, NULL, OVERLAY_MTU);

	if (error < 0) {
		log_error(punt, "overlay interface %s: %s", overlay, strerrordesc_np(-error));
		return error;
	}
	watchdog_watch(&punt.beat, "punt thread");
	error = rte_ctrl_thread_create(&thread, "sp-punt", NULL, punt_thread, NULL);
	if (error != 0)
		return -error;
	running = true;
	return 0;
}

/* The twins' carrier follows the ports' link, so that routing daemons see it. */
static void housekeep(uint64_t now_ms)
{
	if (now_ms - link_polled_ms < LINK_POLL_MS)
		return;
	link_polled_ms = now_ms;
	for (unsigned i = 1; i < API_PORT_MAX; i++) {
		struct punt_twin *twin = &punt.twins[i];
		struct rte_eth_link link;

		if (twin->fd < 0 || rte_eth_link_get_nowait(twin->dpdk, &link) < 0 ||
			(link.link_status == RTE_ETH_LINK_UP) == twin->carrier)
			continue;
		twin->carrier = !twin->carrier;
		if (punt_device_carrier(twin->fd, twin->carrier) < 0)
			log_warn(punt, "port %u: cannot set its twin's carrier", i);
	}
}

static void stop(void)
{
	uint64_t one = 1;
	ssize_t written;

	if (running) {
		atomic_store(&punt.stopping, true);
		written = write(punt.bell, &one, sizeof(one));
		(void)written;
		pthread_join(thread, NULL);
		running = false;
	}
	for (unsigned i = 0; i < API_PORT_MAX; i++)
		remove_twin(i);
	for (unsigned i = 0; i < DP_WORKERS_MAX; i++) {
		struct rte_mbuf *mbuf;

		while (punt.rings[i] != NULL &&
			rte_ring_sc_dequeue(punt.rings[i], (void **)&mbuf) == 0)
			rte_pktmbuf_free(mbuf);
		rte_ring_free(punt.rings[i]);
		punt.rings[i] = NULL;
	}
	close(punt.epoll);
	close(punt.bell);
}

static struct feature feature_punt = {
	.name = "punt",
	.after = {"graph", "port", "capture", "trace"}, /* whose memory its thread writes */
	.init = init,
	.worker_init = worker_init,
	.start = start,
	.housekeep = housekeep,
	.stop = stop,
};

FEATURE_REGISTER(feature_punt);
