/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The other end of a memif port that comes and goes, each time in the midst of traffic:
 *
 *   memif_leave SOCKET TIMES
 *
 * Fills the ring towards the port and closes the connection at once, while the port's worker is
 * still reading. Ends with status 0 when it has done so TIMES times.
 */
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "test/e2e/tools/memif_host.h"

enum {
	DESCRIPTORS = 4096,
	MBUFS = 2 * DESCRIPTORS - 1,
	FRAME = 1000,
	LINK_S = 10,
	FDS_MAX = 256,
	SETTLE = 20, /* pauses */
};

static void connect_host(struct memif_host *host, const char *socket)
{
	struct rte_eth_conf conf = {0};
	struct rte_eth_link link = {0};
	uint64_t end = memif_now_ns() + (uint64_t)LINK_S * 1000000000;
	char device[256];
	int rc;

	snprintf(device, sizeof(device),
		"net_memif0,role=client,id=0,rsize=12,socket-abstract=no,socket=%s", socket);
	rc = rte_dev_probe(device);
	if (rc == 0)
		rc = rte_eth_dev_get_port_by_name("net_memif0", &host->port);
	if (rc == 0)
		rc = rte_eth_dev_configure(host->port, 1, 1, &conf);
	if (rc == 0)
		rc = rte_eth_rx_queue_setup(host->port, 0, DESCRIPTORS, 0, NULL, host->pool);
	if (rc == 0)
		rc = rte_eth_tx_queue_setup(host->port, 0, DESCRIPTORS, 0, NULL);
	if (rc == 0)
		rc = rte_eth_dev_start(host->port);
	while (rc == 0 && link.link_status != RTE_ETH_LINK_UP) {
		rc = memif_now_ns() > end ? ETIMEDOUT : rte_eth_link_get_nowait(host->port, &link);
		memif_pause();
	}
	for (unsigned i = 0; i < SETTLE; i++) /* the link is up a little before the rings are */
		memif_pause();
	if (rc != 0)
		memif_die(device, rc);
}

/* The connection to the port: the only socket of its kind. */
static int find_connection(void)
{
	for (int fd = 3; fd < FDS_MAX; fd++) {
		struct sockaddr_un peer;
		socklen_t size = sizeof(peer), type_size = sizeof(int);
		int type;

		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) == 0 &&
			type == SOCK_SEQPACKET &&
			getpeername(fd, (struct sockaddr *)&peer, &size) == 0)
			return fd;
	}
	memif_die("connection", ENOTCONN);
}

/* Our own driver has to see it, too, before anything else is done to it. */
static void leave(struct memif_host *host)
{
	uint64_t end = memif_now_ns() + (uint64_t)LINK_S * 1000000000;
	struct rte_eth_link link = {.link_status = RTE_ETH_LINK_UP};
	struct rte_eth_dev_info info;

	shutdown(find_connection(), SHUT_RDWR);
	while (link.link_status == RTE_ETH_LINK_UP && memif_now_ns() < end) {
		memif_pause();
		if (rte_eth_link_get_nowait(host->port, &link) != 0)
			memif_die("link", EIO);
	}
	for (unsigned i = 0; i < SETTLE; i++)
		memif_pause();
	if (rte_eth_dev_info_get(host->port, &info) != 0 || rte_eth_dev_stop(host->port) != 0 ||
		rte_eth_dev_close(host->port) != 0 || rte_dev_remove(info.device) != 0)
		memif_die("cannot leave", EIO);
}

static void fill_ring(const struct memif_host *host)
{
	static const uint8_t frame[FRAME];

	while (memif_send(host, 0, frame, sizeof(frame)))
		;
}

int main(int argc, char **argv)
{
	const char *eal[] = {"memif_leave", "--no-huge", "-m", "64", "--no-pci", "--no-shconf",
		"--no-telemetry", "--log-level=error"};
	struct memif_host host = {.queues = 1};
	unsigned long times;

	if (argc != 3) {
		fputs("usage: memif_leave SOCKET TIMES\n", stderr);
		return 2;
	}
	times = strtoul(argv[2], NULL, 10);
	if (rte_eal_init(RTE_DIM(eal), (char **)(uintptr_t)eal) < 0)
		memif_die("EAL", EINVAL);
	host.pool = rte_pktmbuf_pool_create(
		"memif", MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (host.pool == NULL)
		memif_die("memory", ENOMEM);
	for (unsigned long i = 0; i < times; i++) {
		connect_host(&host, argv[1]);
		fill_ring(&host);
		leave(&host);
	}
	return 0;
}
