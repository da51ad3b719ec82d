/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/host/kept.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "control/host/host_priv.h"

LOG_TYPE(host_kept);

enum { NEIGHBOUR_KNOWN = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT };

static bool is_of_device(const struct kept *all, struct nlmsghdr *header)
{
	const struct ifaddrmsg *address = nlmsg_data(header);
	const struct ndmsg *neighbour = nlmsg_data(header);
	const struct rtmsg *route = nlmsg_data(header);
	struct nlattr *oif;

	switch (header->nlmsg_type) {
	case RTM_NEWADDR:
		return (int)address->ifa_index == all->index &&
		       (address->ifa_family == AF_INET || address->ifa_scope != RT_SCOPE_LINK);
	case RTM_NEWNEIGH:
		return neighbour->ndm_ifindex == all->index && neighbour->ndm_flags == 0 &&
		       (neighbour->ndm_state & NEIGHBOUR_KNOWN) != 0;
	case RTM_NEWROUTE:
		oif = nlmsg_find_attr(header, sizeof(*route), RTA_OIF);
		return oif != NULL && (int)nla_get_u32(oif) == all->index &&
		       route->rtm_table == RT_TABLE_MAIN && route->rtm_type == RTN_UNICAST &&
		       route->rtm_protocol != RTPROT_KERNEL &&
		       (route->rtm_flags & RTM_F_CLONED) == 0;
	default:
		return false;
	}
}

static int collect(struct nl_msg *message, void *context)
{
	struct kept *all = context;
	struct nlmsghdr *header = nlmsg_hdr(message);
	size_t size = NLMSG_ALIGN(header->nlmsg_len);

	if (!is_of_device(all, header) || all->size + size > KEPT_BYTES_MAX)
		return NL_OK;
	all->bytes = realloc(all->bytes, all->size + size);
	if (all->bytes == NULL)
		abort();
	memset(all->bytes + all->size, 0, size);
	memcpy(all->bytes + all->size, header, header->nlmsg_len);
	all->size += size;
	all->addresses += header->nlmsg_type == RTM_NEWADDR;
	return NL_OK;
}

/* The next message, or NULL at the end and where the file was cut. */
static struct nlmsghdr *next_message(const struct kept *all, size_t *at)
{
	struct nlmsghdr *header = (struct nlmsghdr *)(all->bytes + *at);
	size_t left = all->size - *at;
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

void kept_put(struct host *host, const struct kept *all, int index, const char *name)
{
	struct nlmsghdr *kept;

	for (unsigned turn = 0; turn <= 3; turn++) {
		for (size_t at = 0; (kept = next_message(all, &at)) != NULL;) {
			int error;

			if (rank(kept) != turn)
				continue;
			error = netlink_request(host, aim(kept, kept->nlmsg_type, index));
			if (error < 0 && error != -EEXIST)
				log_warn(host_kept, "%s: one %s could not be put there: %s", name,
					turn == 0   ? "address"
					: turn == 1 ? "neighbour"
						    : "route",
					strerrordesc_np(-error));
		}
	}
}

void kept_remove_addresses(struct host *host, const struct kept *all, const char *name)
{
	struct nlmsghdr *kept;

	for (size_t at = 0; (kept = next_message(all, &at)) != NULL;) {
		int error = kept->nlmsg_type != RTM_NEWADDR
				    ? 0
				    : netlink_request(host, aim(kept, RTM_DELADDR, all->index));

		if (error < 0 && error != -EADDRNOTAVAIL)
			log_warn(host_kept, "%s: an address stays on it: %s", name,
				strerrordesc_np(-error));
	}
}

int kept_collect(struct host *host, int index, struct kept *all)
{
	int error;

	*all = (struct kept){.index = index};
	error = netlink_dump_to(host, RTM_GETADDR, collect, all);
	/* without an address there is nothing that needs the rest */
	if (error == 0 && all->addresses != 0)
		error = netlink_dump_to(host, RTM_GETNEIGH, collect, all);
	if (error == 0 && all->addresses != 0)
		error = netlink_dump_to(host, RTM_GETROUTE, collect, all);
	return error;
}

/* As it would be put on a device: what is not kept of it (lifetimes) makes no difference. */
static bool is_same(struct nlmsghdr *a, struct nlmsghdr *b)
{
	struct nl_msg *left = aim(a, a->nlmsg_type, 0), *right = aim(b, b->nlmsg_type, 0);
	struct nlmsghdr *x = nlmsg_hdr(left), *y = nlmsg_hdr(right);
	bool same = x->nlmsg_type == y->nlmsg_type && x->nlmsg_len == y->nlmsg_len &&
		    memcmp(nlmsg_data(x), nlmsg_data(y), (size_t)nlmsg_datalen(x)) == 0;

	nlmsg_free(left);
	nlmsg_free(right);
	return same;
}

static bool has(const struct kept *all, struct nlmsghdr *fresh)
{
	struct nlmsghdr *kept;

	for (size_t at = 0; (kept = next_message(all, &at)) != NULL;) {
		if (is_same(kept, fresh))
			return true;
	}
	return false;
}

int kept_add(struct kept *all, const struct kept *fresh)
{
	struct nlmsghdr *message;

	for (size_t at = 0; (message = next_message(fresh, &at)) != NULL;) {
		size_t size = NLMSG_ALIGN(message->nlmsg_len);

		if (has(all, message))
			continue;
		if (all->size + size > KEPT_BYTES_MAX)
			return -EFBIG;
		all->bytes = realloc(all->bytes, all->size + size);
		if (all->bytes == NULL)
			abort();
		memcpy(all->bytes + all->size, message, size);
		all->size += size;
	}
	return 0;
}
