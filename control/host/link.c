/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/host/host_priv.h"

#include <fcntl.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

LOG_TYPE(host_link);

struct sysctl {
	const char *family;
	const char *key;
	const char *value;
};

/*
 * Of twins and the overlay interface. The data plane forwards, the kernel only speaks for itself;
 * an address is answered for by ARP only where it is; traffic may leave another way than it came.
 */
static const struct sysctl sysctls[] = {
	{"ipv4", "forwarding", "0"},
	{"ipv4", "rp_filter", "2"},
	{"ipv4", "arp_ignore", "1"},
	{"ipv4", "arp_announce", "2"},
	{"ipv4", "accept_redirects", "0"},
	{"ipv4", "send_redirects", "0"},
	{"ipv4", "promote_secondaries", "1"},
	{"ipv6", "disable_ipv6", "0"},
	{"ipv6", "forwarding", "0"},
	{"ipv6", "addr_gen_mode", "1"}, /* none: address.c gives the link-local one */
	{"ipv6", "accept_ra", "0"},
	{"ipv6", "autoconf", "0"},
	{"ipv6", "accept_redirects", "0"},
};

void link_sysctl(const char *family, const char *name, const char *key, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, name, key);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		log_warn(host_link, "%s: cannot set to %s: %m", path, value);
	if (fd >= 0)
		close(fd);
}

static void classify(const struct host *host, struct host_link *link)
{
	char twin[HOST_IFACE_MAX];

	link->kind = LINK_OTHER;
	link->port = 0;
	if (strcmp(link->name, host->config.overlay) == 0)
		link->kind = LINK_OVERLAY;
	for (size_t i = 0; i < host->config.port_count; i++) {
		const struct host_port *port = &host->config.ports[i];

		snprintf(twin, sizeof(twin), "sp-%.*s", API_PORT_NAME_MAX, port->name);
		if (strcmp(link->name, twin) == 0)
			link->kind = LINK_TWIN;
		else if (strcmp(link->name, port->iface) == 0)
			link->kind = LINK_DEVICE;
		else
			continue;
		link->port = port->port;
	}
}

void link_classify_all(struct host *host)
{
	for (struct host_link *link = host->links; link != NULL; link = link->hh.next) {
		classify(host, link);
		link->pending = link->kind != LINK_OTHER;
	}
}

struct host_link *link_find(const struct host *host, int index)
{
	struct host_link *link;

	HASH_FIND_INT(host->links, &index, link);
	return link;
}

struct host_link *link_of_port(const struct host *host, uint16_t port)
{
	enum link_kind kind = port == 0 ? LINK_OVERLAY : LINK_TWIN;

	for (struct host_link *link = host->links; link != NULL; link = link->hh.next) {
		if (link->kind == kind && link->port == port)
			return link;
	}
	return NULL;
}

const struct host_port *link_config(const struct host *host, const struct host_link *link)
{
	if (link->kind != LINK_TWIN && link->kind != LINK_DEVICE)
		return NULL;
	for (size_t i = 0; i < host->config.port_count; i++) {
		if (host->config.ports[i].port == link->port)
			return &host->config.ports[i];
	}
	return NULL;
}

static void forget(struct host *host, struct host_link *link)
{
	local_forget_link(host, link->index);
	route_forget_link(host, link->index);
	owned_forget_link(host, link->index);
	neighbour_forget_link(host, link->index);
	HASH_DEL(host->links, link);
	free(link);
}

static struct host_link *add(struct host *host, int index)
{
	struct host_link *link = calloc(1, sizeof(*link));

	if (link == NULL)
		abort();
	link->index = index;
	HASH_ADD_INT(host->links, index, link);
	return link;
}

void link_receive(struct host *host, struct nlmsghdr *header)
{
	const struct ifinfomsg *info = nlmsg_data(header);
	struct nlattr *attributes[IFLA_MAX + 1];
	struct host_link *link;
	bool rose;

	if (nlmsg_parse(header, sizeof(*info), attributes, IFLA_MAX, NULL) < 0 ||
		info->ifi_family != AF_UNSPEC) /* a bridge's view of its port */
		return;
	link = link_find(host, info->ifi_index);
	if (header->nlmsg_type == RTM_DELLINK) {
		if (link != NULL)
			forget(host, link);
		return;
	}
	if (attributes[IFLA_IFNAME] == NULL)
		return;
	rose = link == NULL || (info->ifi_flags & ~link->flags & IFF_UP) != 0;
	if (link != NULL && (link->flags & ~info->ifi_flags & IFF_UP) != 0)
		host_resync_soon(host); /* the kernel drops IPv4 routes without a word */
	if (link == NULL)
		link = add(host, info->ifi_index);
	link->flags = info->ifi_flags;
	if (attributes[IFLA_ADDRESS] != NULL && nla_len(attributes[IFLA_ADDRESS]) == 6)
		memcpy(link->mac, nla_data(attributes[IFLA_ADDRESS]), 6);
	link->round = host->round;
	if (strcmp(link->name, nla_get_string(attributes[IFLA_IFNAME])) != 0) {
		rose = true;
		snprintf(link->name, sizeof(link->name), "%s",
			nla_get_string(attributes[IFLA_IFNAME]));
		classify(host, link);
	}
	if (rose && link->kind != LINK_OTHER)
		link->pending = true;
}

void link_sweep(struct host *host)
{
	struct host_link *link, *next;

	HASH_ITER (hh, host->links, link, next) {
		if (link->round != host->round)
			forget(host, link);
	}
}

int link_set_up(struct host *host, const struct host_link *link, unsigned mtu)
{
	struct ifinfomsg info = {
		.ifi_index = link->index,
		.ifi_flags = IFF_UP,
		.ifi_change = IFF_UP,
	};
	struct nl_msg *message = netlink_message(RTM_NEWLINK, 0, &info, sizeof(info));
	uint32_t value = mtu;

	if (mtu != 0)
		netlink_put(message, IFLA_MTU, &value, sizeof(value));
	return netlink_request(host, message);
}

void link_note_address(struct host *host, int index)
{
	struct host_link *link = link_find(host, index), *twin;

	if (link == NULL || link->kind != LINK_DEVICE || !link->taken)
		return;
	link->pending = true;
	twin = link_of_port(host, link->port);
	if (twin != NULL)
		twin->pending = true;
}

int link_apply(struct host *host, struct host_link *link)
{
	const struct host_port *port = link_config(host, link);
	int error;

	link->pending = false;
	if (link->kind == LINK_DEVICE)
		return device_apply(host, link);
	if (link->kind == LINK_OTHER)
		return 0;
	for (size_t i = 0; i < sizeof(sysctls) / sizeof(sysctls[0]); i++)
		link_sysctl(sysctls[i].family, link->name, sysctls[i].key, sysctls[i].value);
	local_apply(host, link);
	error = link_set_up(host, link, port != NULL ? port->mtu : host->config.overlay_mtu);
	if (error < 0)
		log_error(host_link, "%s: cannot be brought up: %s", link->name,
			strerrordesc_np(-error));
	else
		link->flags |= IFF_UP; /* the notification of it is no news */
	owned_apply(host, link);
	moved_put(host, link);
	wanted_apply(host, link);
	log_info(host_link, "%s: configured", link->name);
	return 0;
}

void link_free(struct host *host)
{
	struct host_link *link, *next;

	HASH_ITER (hh, host->links, link, next) {
		HASH_DEL(host->links, link);
		free(link);
	}
}
