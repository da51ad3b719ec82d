/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's devices under the ports, and settings of its network stack. */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/doctor/doctor_priv.h"
#include "control/host/host.h"

/* The next port over a device of the kernel's, from *i on; NULL at the end. */
static const struct model_port *next_port(
	const struct doctor *d, size_t *i, char iface[HOST_IFACE_MAX])
{
	const struct model *m = d->machine->model;

	while (m != NULL && *i < m->tables[MODEL_PORT].n) {
		const struct model_port *port = model_port_at(m, (*i)++);

		host_device_iface(port->device, iface);
		if (iface[0] != '\0')
			return port;
	}
	return NULL;
}

static int device_call(const char *iface, unsigned long what, struct ifreq *request)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result;

	if (sock < 0)
		return -1;
	snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", iface);
	result = ioctl(sock, what, request);
	close(sock);
	return result;
}

static uint32_t get_offload(const char *iface, uint32_t command)
{
	struct ethtool_value value = {.cmd = command};
	struct ifreq request = {.ifr_data = (void *)&value};

	return device_call(iface, SIOCETHTOOL, &request) < 0 ? 0 : value.data;
}

static void check_devices(struct doctor *d)
{
	char iface[HOST_IFACE_MAX], fix[96];
	const struct model_port *port;
	size_t i = 0;

	while ((port = next_port(d, &i, iface)) != NULL) {
		struct ifreq request = {0};
		const char *name = port->object.name;

		snprintf(fix, sizeof(fix), "ip link set %s up", iface);
		if (if_nametoindex(iface) == 0)
			doctor_say(d, DOCTOR_FAIL, "ip -br link", "port %s: there is no device %s",
				name, iface);
		else if (device_call(iface, SIOCGIFFLAGS, &request) < 0)
			doctor_say(d, DOCTOR_SKIP, NULL, "port %s: %m", name);
		else if (!(request.ifr_flags & IFF_UP))
			doctor_say(d, DOCTOR_FAIL, fix, "port %s: %s is down", name, iface);
		else if (!(request.ifr_flags & IFF_RUNNING))
			doctor_say(d, DOCTOR_WARN, NULL, "port %s: %s has no link", name, iface);
		else
			doctor_say(d, DOCTOR_OK, NULL, "port %s: %s is up", name, iface);
	}
}

/* The kernel merges or sends frames larger than the wire's, which a port has to drop. */
static void check_offloads(struct doctor *d)
{
	char iface[HOST_IFACE_MAX], fix[128];
	const struct model_port *port;
	size_t i = 0;

	while ((port = next_port(d, &i, iface)) != NULL) {
		bool gro, lro;

		if (if_nametoindex(iface) == 0)
			continue;
		gro = get_offload(iface, ETHTOOL_GGRO) != 0;
		lro = (get_offload(iface, ETHTOOL_GFLAGS) & ETH_FLAG_LRO) != 0;
		snprintf(fix, sizeof(fix), "ethtool -K %s gro off lro off", iface);
		if (gro || lro)
			doctor_say(d, d->machine->running ? DOCTOR_FAIL : DOCTOR_WARN, fix,
				"port %s: %s merges packets (%s): large ones will be lost%s",
				port->object.name, iface, gro ? "GRO" : "LRO",
				d->machine->running ? "" : ", unless sallyportd switches it off");
		else if (!host_device_wire_sized(iface))
			doctor_say(d, d->machine->running ? DOCTOR_FAIL : DOCTOR_WARN,
				"where the other end of it is: ethtool -K FAR_END tso off gso off",
				"port %s: the other end of %s may send frames larger than the wire",
				port->object.name, iface);
		else
			doctor_say(d, DOCTOR_OK, NULL, "port %s: %s has frames of wire size",
				port->object.name, iface);
	}
}

static void check_forwarding(struct doctor *d)
{
	long v4 = doctor_number(d, "/proc/sys/net/ipv4/ip_forward");
	long v6 = doctor_number(d, "/proc/sys/net/ipv6/conf/all/forwarding");

	if (v4 < 0 && v6 < 0)
		doctor_say(d, DOCTOR_SKIP, NULL, "unknown");
	else if (v4 > 0 || v6 > 0)
		doctor_say(d, DOCTOR_WARN,
			"sysctl -w net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0",
			"the kernel forwards too (%s%s): what it forwards between its own "
			"interfaces no policy of Sallyport sees",
			v4 > 0 ? "IPv4" : "", v6 > 0 ? (v4 > 0 ? " and IPv6" : "IPv6") : "");
	else
		doctor_say(d, DOCTOR_OK, NULL,
			"off in the kernel, as it should be: Sallyport "
			"forwards by itself");
}

/* Strict filtering drops what comes in over a twin while the way back is another interface. */
static void check_rp_filter(struct doctor *d)
{
	long all = doctor_number(d, "/proc/sys/net/ipv4/conf/all/rp_filter");
	const struct model *m = d->machine->model;
	char path[128];

	if (all < 0) {
		doctor_say(d, DOCTOR_SKIP, NULL, "unknown");
		return;
	}
	for (size_t i = 0; m != NULL && all != 2 && i < m->tables[MODEL_PORT].n; i++) {
		long own;

		snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/sp-%s/rp_filter",
			model_port_at(m, i)->object.name);
		own = doctor_number(d, path);
		if (own > all)
			all = own;
	}
	if (all == 1)
		doctor_say(d, DOCTOR_WARN, "sysctl -w net.ipv4.conf.all.rp_filter=2",
			"strict: the gateway's own services do not hear from hosts to which "
			"another interface leads");
	else
		doctor_say(d, DOCTOR_OK, NULL, "%s", all == 2 ? "loose" : "off");
}

const struct doctor_check doctor_network_checks[] = {
	{"devices", "devices of ports", check_devices},
	{"offloads", "offloads", check_offloads},
	{"forwarding", "forwarding by the kernel", check_forwarding},
	{"rp_filter", "reverse path filter", check_rp_filter},
	{NULL, NULL, NULL},
};
