/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices are plugged in when the control process names them, so that no port exists before its
 * guards stand. A device that exists already (made at start, or by a test) is used as it is.
 *
 * af_packet in DPDK 22.11 always joins a fanout group, which rolls over: what a queue's ring has no
 * room for goes to another's, and so to another worker; a flow's packets may overtake each other
 * there. Fragments come as they are (fanout_guard.c).
 */
#include "dataplane/port/device.h"

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_pci.h>

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_packet.h>

#include "common/base/log.h"
#include "dataplane/main/idle.h"
#include "dataplane/port/memif_socket.h"

LOG_TYPE(device);

enum {
	DESCRIPTORS = 1024,
	FRAME_MIN = 2048,
	FRAME_STEP = 1024,
	FRAME_OVERHEAD = 96, /* af_packet's own header (66 bytes), Ethernet and one VLAN tag */
	PAGE = 4096,
	NAME_MAX_BYTES = 64,
	RING_BYTES = 4 << 20, /* of an af_packet ring, of which each queue has two */
	FRAMES_MIN = 512,     /* the driver's default */
	FRAMES_STEP = 4,      /* a whole number of blocks, whatever the frame's size */
};

uint32_t device_frame_bytes(uint16_t mtu)
{
	uint32_t need = mtu + FRAME_OVERHEAD;

	if (need <= FRAME_MIN)
		return FRAME_MIN;
	return (need + FRAME_STEP - 1) / FRAME_STEP * FRAME_STEP;
}

/* The smallest whole number of pages that holds a whole number of frames. */
static uint32_t block_bytes(uint32_t frame)
{
	uint32_t block = PAGE;

	while (block % frame != 0)
		block += PAGE;
	return block;
}

/* 2,048 for an MTU of 1,500: a second of 2,000 packets/s, which is how long a virtual machine may
 * have to wait for its CPU. */
static uint32_t ring_frames(uint32_t frame)
{
	return RTE_MAX((uint32_t)FRAMES_MIN, RING_BYTES / frame / FRAMES_STEP * FRAMES_STEP);
}

static int append(char *out, const char *key, uint32_t value)
{
	size_t used = strlen(out);
	int n;

	if (strstr(out, key) != NULL)
		return 0;
	n = snprintf(out + used, DEVICE_TEXT_MAX - used, ",%s%u", key, value);
	return n < 0 || (size_t)n >= DEVICE_TEXT_MAX - used ? -ENAMETOOLONG : 0;
}

int device_complete(const char *text, unsigned queues, uint16_t mtu, char out[DEVICE_TEXT_MAX])
{
	uint32_t frame = device_frame_bytes(mtu);
	int rc;

	if (strlen(text) >= DEVICE_TEXT_MAX)
		return -ENAMETOOLONG;
	strcpy(out, text);
	if (strncmp(text, "net_af_packet", strlen("net_af_packet")) != 0)
		return 0;
	rc = append(out, "qpairs=", queues);
	if (rc == 0 && strstr(text, "framesz=") == NULL && strstr(text, "blocksz=") == NULL) {
		rc = append(out, "framesz=", frame);
		if (rc == 0)
			rc = append(out, "blocksz=", block_bytes(frame));
		if (rc == 0)
			rc = append(out, "framecnt=", ring_frames(frame));
	}
	return rc;
}

static bool is_pci_address(const char *text)
{
	char name[NAME_MAX_BYTES];
	struct rte_pci_addr address;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, ","), text);
	return rte_pci_addr_parse(name, &address) == 0;
}

static int find_device(const char *text, const char *name, uint16_t *dpdk)
{
	struct rte_dev_iterator iterator;
	uint16_t id;

	if (rte_eth_dev_get_port_by_name(name, dpdk) == 0)
		return 0;
	RTE_ETH_FOREACH_MATCHING_DEV(id, text, &iterator)
	{
		rte_eth_iterator_cleanup(&iterator);
		*dpdk = id;
		return 0;
	}
	return -ENODEV;
}

static int plug(const char *text, struct device *device)
{
	char name[NAME_MAX_BYTES];
	int rc;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, ","), text);
	if (rte_eth_dev_get_port_by_name(name, &device->dpdk) == 0) {
		device->plugged = false;
		return 0;
	}
	memif_socket_forget(text);
	rc = rte_dev_probe(text);
	/* EAL says EFAULT of a name that no bus knows, drivers often just -1. */
	if (rc < 0)
		return rc == -1 || rc == -EFAULT ? -ENODEV : rc;
	device->plugged = true;
	return find_device(text, name, &device->dpdk);
}

/* af_packet spreads over all the queues that it was made with: all must be polled. These drivers
 * say with nb_*_queues how many that are, before they are configured. */
static bool takes_all_queues(const struct rte_eth_dev_info *info)
{
	return strcmp(info->driver_name, "net_af_packet") == 0 ||
	       strcmp(info->driver_name, "net_ring") == 0;
}

/* As many as workers. Both ends of a memif must have the same number, and its driver loses what is
 * sent on a queue that the other end lacks: one, unless the configuration knows better. */
static unsigned default_queues(const struct rte_eth_dev_info *info)
{
	return strcmp(info->driver_name, "net_memif") == 0 ? 1 : dp_config()->workers;
}

static void decide_queues(
	const struct api_port_set *set, const struct rte_eth_dev_info *info, struct port *port)
{
	unsigned rx = set->rx_queues != 0 ? set->rx_queues : default_queues(info);
	unsigned tx = set->tx_queues != 0 ? set->tx_queues : default_queues(info);

	if (takes_all_queues(info)) {
		rx = info->nb_rx_queues;
		tx = info->nb_tx_queues;
	}
	rx = RTE_MIN(rx, info->max_rx_queues);
	rx = RTE_MIN(rx, (unsigned)DP_WORKERS_MAX);
	tx = RTE_MIN(tx, info->max_tx_queues);
	tx = RTE_MIN(tx, (unsigned)DP_WORKERS_MAX);
	if (strcmp(info->driver_name, "net_tap") == 0)
		rx = tx = RTE_MIN(rx, tx);
	port->rx_queues = (uint16_t)rx;
	port->tx_queues = (uint16_t)tx;
}

/* The driver of packet sockets says that it takes 1,518 bytes, whatever its frames are; those are
 * made for the port's MTU by device_complete(). */
static bool takes_more_than_it_says(const struct port *port, const struct rte_eth_dev_info *info)
{
	return strcmp(info->driver_name, "net_af_packet") == 0 &&
	       port->mtu + RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN > (int)info->max_rx_pktlen;
}

/* What the driver would do if it were let. */
static int set_interface_mtu(unsigned index, uint16_t mtu)
{
	struct ifreq request = {.ifr_mtu = mtu};
	int fd, rc = 0;

	if (if_indextoname(index, request.ifr_name) == NULL)
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCSIFMTU, &request) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int set_mtu(const struct port *port, const struct rte_eth_dev_info *info)
{
	int rc;

	if (takes_more_than_it_says(port, info))
		return set_interface_mtu(info->if_index, port->mtu);
	rc = rte_eth_dev_set_mtu(port->dpdk, port->mtu);
	return rc == -ENOTSUP ? 0 : rc;
}

static int configure(struct port *port, const struct rte_eth_dev_info *info)
{
	const uint64_t checksums = RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	struct rte_eth_conf conf = {0};
	int rc;

	port->tx_checksums = (info->tx_offload_capa & checksums) == checksums;
	if (port->tx_checksums)
		conf.txmode.offloads = checksums;
	if (port->rx_queues > 1 && info->flow_type_rss_offloads != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf =
			(RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP) &
			info->flow_type_rss_offloads;
	}
	if (info->max_mtu >= port->mtu && info->min_mtu <= port->mtu &&
		!takes_more_than_it_says(port, info))
		conf.rxmode.mtu = port->mtu;
	conf.intr_conf.rxq = dp_config()->idle == DP_IDLE_ADAPTIVE;
	rc = rte_eth_dev_configure(port->dpdk, port->rx_queues, port->tx_queues, &conf);
	if (rc == 0 || conf.intr_conf.rxq == 0)
		return rc;
	/* Some drivers refuse where they have no interrupt per queue, as virtio's under
	 * uio_pci_generic: such a port is polled between naps. */
	conf.intr_conf.rxq = 0;
	return rte_eth_dev_configure(port->dpdk, port->rx_queues, port->tx_queues, &conf);
}

static int set_up_queues(const struct port *port)
{
	int socket = rte_eth_dev_socket_id(port->dpdk);
	uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(port->dpdk, &rx, &tx);

	for (uint16_t q = 0; rc == 0 && q < port->rx_queues; q++)
		rc = rte_eth_rx_queue_setup(
			port->dpdk, q, rx, (unsigned)socket, NULL, packet_pool());
	for (uint16_t q = 0; rc == 0 && q < port->tx_queues; q++)
		rc = rte_eth_tx_queue_setup(port->dpdk, q, tx, (unsigned)socket, NULL);
	return rc;
}

static bool try_interrupts(const struct port *port)
{
	/* There is no way to ask; ethdev would log an error for a driver without. */
	int type = rte_log_register("lib.ethdev");
	int level = rte_log_get_level((uint32_t)type);
	bool works = true;

	rte_log_set_level((uint32_t)type, RTE_LOG_CRIT);
	for (uint16_t q = 0; works && q < port->rx_queues; q++) {
		works = rte_eth_dev_rx_intr_ctl_q_get_fd(port->dpdk, q) >= 0 &&
			rte_eth_dev_rx_intr_enable(port->dpdk, q) == 0;
		if (works)
			rte_eth_dev_rx_intr_disable(port->dpdk, q);
	}
	rte_log_set_level((uint32_t)type, (uint32_t)level);
	return works;
}

/* What the workers can wait on, one descriptor per queue; none: they nap. */
static void find_descriptors(const struct port *port, struct device *device)
{
	device->fd_count = 0;
	device->interrupts = false;
	if (dp_config()->idle != DP_IDLE_ADAPTIVE)
		return;
	if (try_interrupts(port)) {
		device->interrupts = true;
		device->fd_count = port->rx_queues;
		for (uint16_t q = 0; q < port->rx_queues; q++)
			device->fds[q] = rte_eth_dev_rx_intr_ctl_q_get_fd(port->dpdk, q);
		return;
	}
	if (device->socket_count != port->rx_queues)
		return;
	device->fd_count = device->socket_count;
	memcpy(device->fds, device->sockets, sizeof(device->fds));
}

static int start(struct port *port, const struct rte_eth_dev_info *info)
{
	int rc = configure(port, info);

	if (rc == 0)
		rc = set_up_queues(port);
	if (rc != 0)
		return rc;
	rc = set_mtu(port, info);
	if (rc != 0)
		return rc;
	rc = rte_eth_dev_start(port->dpdk);
	if (rc != 0)
		return rc;
	/* The twin in the kernel has the same address; multicast and its other addresses too. */
	rc = rte_eth_promiscuous_enable(port->dpdk);
	return rc == -ENOTSUP ? 0 : rc;
}

/* Unfinished checksums come from virtual links, through whatever reads them raw. */
static bool reads_virtual_links(const char *driver)
{
	return strcmp(driver, "net_af_packet") == 0 || strcmp(driver, "net_af_xdp") == 0 ||
	       strcmp(driver, "net_pcap") == 0;
}

/* Some virtual devices have no address of their own; the twin needs one that no other has. */
static int find_mac(struct port *port)
{
	int rc = rte_eth_macaddr_get(port->dpdk, &port->mac);

	if (rc != 0 || rte_is_valid_assigned_ether_addr(&port->mac))
		return rc;
	rte_eth_random_addr(port->mac.addr_bytes); /* locally administered */
	/* The device need not know: it does not filter. */
	rc = rte_eth_dev_default_mac_addr_set(port->dpdk, &port->mac);
	return rc == -ENOTSUP ? 0 : rc;
}

static int failed(char text[96], const char *what, const char *device, int rc)
{
	snprintf(text, 96, "%.48s: %s: %s", device, what, rte_strerror(-rc));
	log_error(device, "%s", text);
	return rc;
}

int device_start(
	const struct api_port_set *set, struct device *device, struct port *port, char text[96])
{
	unsigned queues = set->rx_queues != 0 ? set->rx_queues : dp_config()->workers;
	char completed[DEVICE_TEXT_MAX];
	struct rte_eth_dev_info info;
	int rc;

	memset(device, 0, sizeof(*device));
	rc = device_complete(set->device, queues, set->mtu, completed);
	if (rc != 0)
		return failed(text, "cannot complete its arguments", set->device, rc);
	rc = plug(completed, device);
	if (rc == -ENODEV && !rte_eal_has_pci() && is_pci_address(completed))
		return failed(text, "no PCI without --allow-pci", set->device, rc);
	if (rc != 0)
		return failed(text, "cannot be opened", set->device, rc);
	rc = rte_eth_dev_info_get(device->dpdk, &info);
	if (rc != 0)
		goto err_unplug;
	port->dpdk = device->dpdk;
	port->mtu = set->mtu;
	port->partial_checksums = reads_virtual_links(info.driver_name);
	decide_queues(set, &info, port);
	rc = start(port, &info);
	if (rc != 0)
		goto err_unplug;
	device->started = true;
	rc = find_mac(port);
	if (rc != 0)
		goto err_unplug;
	if (info.if_index != 0)
		device->socket_count =
			idle_packet_sockets(info.if_index, device->sockets, DP_WORKERS_MAX);
	find_descriptors(port, device);
	return 0;

err_unplug:
	device_stop(device);
	/* Drivers that say just -1 do not mean EPERM. */
	return failed(text, "cannot be started", set->device, rc == -1 ? -EIO : rc);
}

void device_stop(struct device *device)
{
	struct rte_eth_dev_info info;

	if (device->started)
		rte_eth_dev_stop(device->dpdk);
	device->started = false;
	device->socket_count = 0;
	if (!device->plugged)
		return;
	device->plugged = false;
	if (rte_eth_dev_info_get(device->dpdk, &info) != 0)
		return;
	rte_eth_dev_close(device->dpdk);
	rte_dev_remove(info.device);
}

uint64_t device_missed(struct device *device)
{
	for (unsigned i = 0; i < device->socket_count; i++) {
		struct tpacket_stats stats; /* since they were read last */
		socklen_t size = sizeof(stats);

		if (getsockopt(device->sockets[i], SOL_PACKET, PACKET_STATISTICS, &stats, &size) ==
			0)
			device->missed += stats.tp_drops;
	}
	return device->missed;
}

bool device_link_up(const struct device *device)
{
	struct rte_eth_link link;

	if (rte_eth_link_get_nowait(device->dpdk, &link) != 0)
		return true;
	return link.link_status == RTE_ETH_LINK_UP;
}
