/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stood on a port's own device when it became a port: addresses, routes over it, neighbours.
 * The twin carries them while the device is a port, and the device gets them back when it is none
 * any more; so a connection to one of these addresses goes on through start and stop, and may be
 * the one by which somebody is logged in.
 *
 * They are kept in a file per device, as the messages by which the kernel told them, in the folder
 * of host_set_folder(), which does not outlive the kernel. So they are put back whatever process
 * does it. What the kernel makes by itself (connected routes, link-local addresses) is not kept,
 * nor are lifetimes: what stands stays until it is given back.
 */
#include "control/host/host_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"

LOG_TYPE(host_moved);

enum {
	BYTES_MAX = 1 << 20, /* of one device: thousands of routes */
	NEIGHBOUR_KNOWN = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT,
};

/* Messages one after the other, each padded to NLMSG_ALIGNTO. */
struct moved {
	char *bytes;
	size_t size;
	int index; /* of the device, while its things are collected */
	unsigned addresses;
};

/* False without a folder: then nothing is moved. */
static bool find_file(const struct host *host, const char *device, char path[PATH_MAX])
{
	return host->folder[0] != '\0' &&
	       snprintf(path, PATH_MAX, "%s/moved-%s", host->folder, device) < PATH_MAX;
}

static bool is_of_device(const struct moved *moved, struct nlmsghdr *header)
{
	const struct ifaddrmsg *address = nlmsg_data(header);
	const struct ndmsg *neighbour = nlmsg_data(header);
	const struct rtmsg *route = nlmsg_data(header);
	struct nlattr *oif;

	switch (header->nlmsg_type) {
	case RTM_NEWADDR:
		return (int)address->ifa_index == moved->index &&
		       (address->ifa_family == AF_INET || address->ifa_scope != RT_SCOPE_LINK);
	case RTM_NEWNEIGH:
		return neighbour->ndm_ifindex == moved->index && neighbour->ndm_flags == 0 &&
		       (neighbour->ndm_state & NEIGHBOUR_KNOWN) != 0;
	case RTM_NEWROUTE:
		oif = nlmsg_find_attr(header, sizeof(*route), RTA_OIF);
		return oif != NULL && (int)nla_get_u32(oif) == moved->index &&
		       route->rtm_table == RT_TABLE_MAIN && route->rtm_type == RTN_UNICAST &&
		       route->rtm_protocol != RTPROT_KERNEL &&
		       (route->rtm_flags & RTM_F_CLONED) == 0;
	default:
		return false;
	}
}

static int collect(struct nl_msg *message, void *context)
{
	struct moved *moved = context;
	struct nlmsghdr *header = nlmsg_hdr(message);
	size_t size = NLMSG_ALIGN(header->nlmsg_len);

	if (!is_of_device(moved, header) || moved->size + size > BYTES_MAX)
		return NL_OK;
	moved->bytes = realloc(moved->bytes, moved->size + size);
	if (moved->bytes == NULL)
		abort();
	memset(moved->bytes + moved->size, 0, size);
	memcpy(moved->bytes + moved->size, header, header->nlmsg_len);
	moved->size += size;
	moved->addresses += header->nlmsg_type == RTM_NEWADDR;
	return NL_OK;
}

/* The next message, or NULL at the end and where the file was cut. */
static struct nlmsghdr *next_message(const struct moved *moved, size_t *at)
{
	struct nlmsghdr *header = (struct nlmsghdr *)(moved->bytes + *at);
	size_t left = moved->size - *at;
	int fixed = sizeof(struct ifaddrmsg);

	if (left < sizeof(*header) || !nlmsg_ok(header, (int)left))
		return NULL;
	if (header->nlmsg_type == RTM_NEWROUTE || header->nlmsg_type == RTM_NEWNEIGH)
		fixed = sizeof(struct rtmsg);
	if (nlmsg_datalen(header) < fixed)
		return NULL;
	*at += NLMSG_ALIGN(header->nlmsg_len) < left ? NLMSG_ALIGN(header->nlmsg_len) : left;
	return header;
}

/* Lifetimes would end what is to stay, a label names the other device, and where it goes is new. */
static bool is_kept(uint16_t type, int attribute)
{
	switch (type) {
	case RTM_NEWADDR:
		return attribute != IFA_CACHEINFO && attribute != IFA_LABEL &&
		       attribute != IFA_FLAGS;
	case RTM_NEWROUTE:
		return attribute != RTA_OIF && attribute != RTA_CACHEINFO &&
		       attribute != RTA_EXPIRES && attribute != RTA_TABLE;
	default:
		return attribute == NDA_DST || attribute == NDA_LLADDR;
	}
}

static size_t size_of_fixed(uint16_t type)
{
	return type == RTM_NEWADDR    ? sizeof(struct ifaddrmsg)
	       : type == RTM_NEWROUTE ? sizeof(struct rtmsg)
				      : sizeof(struct ndmsg);
}

/* The request that makes a kept thing on another device. */
static struct nl_msg *aim(struct nlmsghdr *kept, int type, int index)
{
	union {
		struct ifaddrmsg address;
		struct rtmsg route;
		struct ndmsg neighbour;
	} fixed = {0};
	size_t size = size_of_fixed(kept->nlmsg_type);
	int flags = type == kept->nlmsg_type ? NLM_F_CREATE | NLM_F_EXCL : 0;
	struct nlattr *attribute;
	uint32_t value;
	struct nl_msg *message;
	int left;

	memcpy(&fixed, nlmsg_data(kept), size);
	if (kept->nlmsg_type == RTM_NEWADDR) {
		fixed.address.ifa_index = (uint32_t)index;
		fixed.address.ifa_flags = 0;
	} else if (kept->nlmsg_type == RTM_NEWNEIGH) {
		fixed.neighbour.ndm_ifindex = index;
		if (fixed.neighbour.ndm_state != NUD_PERMANENT)
			fixed.neighbour.ndm_state = NUD_STALE;
	} else {
		fixed.route.rtm_flags &= RTNH_F_ONLINK;
	}
	message = netlink_message(type, flags, &fixed, size);
	nlmsg_for_each_attr(attribute, kept, (int)size, left)
	{
		if (is_kept(kept->nlmsg_type, nla_type(attribute)))
			netlink_put(message, nla_type(attribute), nla_data(attribute),
				(size_t)nla_len(attribute));
	}
	if (kept->nlmsg_type == RTM_NEWROUTE) {
		value = (uint32_t)index;
		netlink_put(message, RTA_OIF, &value, sizeof(value));
	} else if (kept->nlmsg_type == RTM_NEWADDR && type == RTM_NEWADDR &&
		   fixed.address.ifa_family == AF_INET6) {
		value = IFA_F_NODAD; /* it was in use a moment ago: nobody else has it */
		netlink_put(message, IFA_FLAGS, &value, sizeof(value));
	}
	return message;
}

/* Routes to gateways come after what leads to these. */
static unsigned rank(struct nlmsghdr *kept)
{
	if (kept->nlmsg_type == RTM_NEWADDR)
		return 0;
	if (kept->nlmsg_type == RTM_NEWNEIGH)
		return 1;
	return nlmsg_find_attr(kept, sizeof(struct rtmsg), RTA_GATEWAY) == NULL &&
			       nlmsg_find_attr(kept, sizeof(struct rtmsg), RTA_VIA) == NULL
		       ? 2
		       : 3;
}

static void put_all(struct host *host, const struct moved *moved, int index, const char *name)
{
	struct nlmsghdr *kept;

	for (unsigned turn = 0; turn <= 3; turn++) {
		for (size_t at = 0; (kept = next_message(moved, &at)) != NULL;) {
			int error;

			if (rank(kept) != turn)
				continue;
			error = netlink_request(host, aim(kept, kept->nlmsg_type, index));
			if (error < 0 && error != -EEXIST)
				log_warn(host_moved, "%s: one %s could not be put there: %s", name,
					turn == 0   ? "address"
					: turn == 1 ? "neighbour"
						    : "route",
					strerrordesc_np(-error));
		}
	}
}

static void read_file(const char *path, struct moved *moved)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t got = 0;

	*moved = (struct moved){0};
	if (fd < 0)
		return;
	moved->bytes = malloc(BYTES_MAX);
	if (moved->bytes == NULL)
		abort();
	while (moved->size < BYTES_MAX &&
		(got = read(fd, moved->bytes + moved->size, BYTES_MAX - moved->size)) > 0)
		moved->size += (size_t)got;
	close(fd);
}

static int write_file(const char *path, const struct moved *moved)
{
	char fresh[PATH_MAX];
	int fd, error = 0;

	if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
		return -ENAMETOOLONG;
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, moved->bytes, moved->size) != (ssize_t)moved->size)
		error = errno != 0 ? -errno : -ENOSPC;
	if (close(fd) < 0 && error == 0)
		error = -errno;
	if (error == 0 && rename(fresh, path) < 0)
		error = -errno;
	if (error < 0)
		unlink(fresh);
	return error;
}

/* With the addresses the kernel takes away the routes that need them. */
static void remove_addresses(struct host *host, const struct moved *moved, const char *name)
{
	struct nlmsghdr *kept;

	for (size_t at = 0; (kept = next_message(moved, &at)) != NULL;) {
		int error = kept->nlmsg_type != RTM_NEWADDR
				    ? 0
				    : netlink_request(host, aim(kept, RTM_DELADDR, moved->index));

		if (error < 0 && error != -EADDRNOTAVAIL)
			log_warn(host_moved, "%s: an address stays on it: %s", name,
				strerrordesc_np(-error));
	}
}

/* To what was moved before: another process may have given the device an address since. */
static int add_to_file(const char *path, const struct moved *fresh)
{
	struct moved all;
	int error = -EFBIG;

	read_file(path, &all);
	if (all.size + fresh->size <= BYTES_MAX) {
		all.bytes = realloc(all.bytes, all.size + fresh->size);
		if (all.bytes == NULL)
			abort();
		memcpy(all.bytes + all.size, fresh->bytes, fresh->size);
		all.size += fresh->size;
		error = write_file(path, &all);
	}
	free(all.bytes);
	return error;
}

int moved_take(struct host *host, const struct host_link *link)
{
	struct moved moved = {.index = link->index};
	char path[PATH_MAX];
	int error;

	if (!find_file(host, link->name, path))
		return 0;
	error = netlink_dump_to(host, RTM_GETADDR, collect, &moved);
	/* without an address there is nothing that needs the rest */
	if (error < 0 || moved.addresses == 0)
		goto out;
	error = netlink_dump_to(host, RTM_GETNEIGH, collect, &moved);
	if (error == 0)
		error = netlink_dump_to(host, RTM_GETROUTE, collect, &moved);
	if (error == 0)
		error = add_to_file(path, &moved);
	if (error < 0)
		goto out;
	remove_addresses(host, &moved, link->name);
	log_info(host_moved, "%s: %u addresses are the twin's from now on", link->name,
		moved.addresses);
out:
	free(moved.bytes);
	return error;
}

void moved_put(struct host *host, const struct host_link *twin)
{
	const struct host_port *port = link_config(host, twin);
	struct moved moved;
	char path[PATH_MAX];

	if (port == NULL || port->iface[0] == '\0' || !find_file(host, port->iface, path))
		return;
	read_file(path, &moved);
	put_all(host, &moved, twin->index, twin->name);
	free(moved.bytes);
}

bool moved_exists(const struct host *host, const char *device)
{
	char path[PATH_MAX];

	return find_file(host, device, path) && access(path, F_OK) == 0;
}

void moved_give_back(struct host *host, const char *device)
{
	int index = (int)if_nametoindex(device);
	struct moved moved;
	char path[PATH_MAX];

	if (!find_file(host, device, path) || access(path, F_OK) < 0)
		return;
	read_file(path, &moved);
	if (index != 0) {
		put_all(host, &moved, index, device);
		log_info(host_moved, "%s: has its addresses back", device);
	}
	unlink(path);
	free(moved.bytes);
}
