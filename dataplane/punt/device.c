/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/punt/punt_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* MAC address and MTU, then the name under which others look for it. */
static int set_up(
	const char *made, const char *name, const struct rte_ether_addr *mac, unsigned mtu)
{
	struct ifreq request = {0};
	int error = 0;
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", made);
	if (mac != NULL) {
		request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
		memcpy(request.ifr_hwaddr.sa_data, mac->addr_bytes, RTE_ETHER_ADDR_LEN);
		if (ioctl(sock, SIOCSIFHWADDR, &request) < 0)
			error = -errno;
	}
	request.ifr_mtu = (int)mtu;
	if (error == 0 && ioctl(sock, SIOCSIFMTU, &request) < 0)
		error = -errno;
	snprintf(request.ifr_newname, sizeof(request.ifr_newname), "%s", name);
	if (error == 0 && ioctl(sock, SIOCSIFNAME, &request) < 0)
		error = -errno;
	close(sock);
	return error;
}

int punt_device_open(const char *name, const struct rte_ether_addr *mac, unsigned mtu)
{
	/* Made under another name: sallyportd sets addresses as soon as it sees the right one, and
	 * an address announced with the wrong MAC would stay in the neighbours' tables. */
	struct ifreq request = {.ifr_name = "sptwin%d", .ifr_flags = IFF_NO_PI};
	int error;
	int fd;

	if (strlen(name) >= sizeof(request.ifr_name))
		return -ENAMETOOLONG;
	request.ifr_flags |= (short)(mac != NULL ? IFF_TAP : IFF_TUN);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		error = -errno;
	else
		error = set_up(request.ifr_name, name, mac, mtu);
	if (error < 0) {
		close(fd);
		return error;
	}
	return fd;
}

int punt_device_carrier(int fd, bool up)
{
	int value = up;

	return ioctl(fd, TUNSETCARRIER, &value) < 0 ? -errno : 0;
}
