/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/host/host_priv.h"

#include <errno.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	RECEIVE_BYTES = 8 << 20, /* a burst of route changes waits here while the loop is busy */
	RECEIVE_ROUNDS = 100000, /* bounds one turn of the loop */
	DUMP_TRIES = 5,          /* the kernel tells when a dump was not of one piece */
};

static void out_of_memory(void)
{
	fputs("host: out of memory\n", stderr);
	abort();
}

static int receive(struct nl_msg *message, void *context)
{
	struct host *host = context;
	struct nlmsghdr *header = nlmsg_hdr(message);

	switch (header->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		link_receive(host, header);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		local_receive(host, header);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		route_receive(host, header);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		neighbour_receive(host, header);
		break;
	default:
		break;
	}
	return NL_OK;
}

static int take_error(struct sockaddr_nl *from, struct nlmsgerr *error, void *context)
{
	struct host *host = context;

	host->kernel_error = error->error;
	return NL_STOP;
}

static struct nl_sock *open_socket(struct host *host)
{
	struct nl_sock *sock = nl_socket_alloc();

	if (sock == NULL)
		return NULL;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, receive, host);
	nl_socket_modify_err_cb(sock, NL_CB_CUSTOM, take_error, host);
	if (nl_connect(sock, NETLINK_ROUTE) < 0) {
		nl_socket_free(sock);
		return NULL;
	}
	return sock;
}

int netlink_open_requests(struct host *host)
{
	host->requests = open_socket(host);
	host->dumps = open_socket(host);
	if (host->requests == NULL || host->dumps == NULL)
		return errno != 0 ? -errno : -ENOMEM;
	/* A message longer than libnl's page is cut without this; links with many attributes are.
	 */
	nl_socket_enable_msg_peek(host->dumps);
	return 0;
}

int netlink_open(struct host *host)
{
	int bytes = RECEIVE_BYTES, error = netlink_open_requests(host);

	if (error < 0)
		return error;
	host->events = open_socket(host);
	if (host->events == NULL)
		return errno != 0 ? -errno : -ENOMEM;
	nl_socket_disable_seq_check(host->events);
	if (nl_socket_set_nonblocking(host->events) < 0)
		return -EIO;
	if (setsockopt(nl_socket_get_fd(host->events), SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
		    sizeof(bytes)) < 0)
		nl_socket_set_buffer_size(host->events, RECEIVE_BYTES, 0);
	nl_socket_enable_msg_peek(host->events);
	if (nl_socket_add_memberships(host->events, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR,
		    RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEIGH,
		    0) < 0)
		return -EPERM;
	return 0;
}

void netlink_close(struct host *host)
{
	nl_socket_free(host->requests);
	nl_socket_free(host->dumps);
	nl_socket_free(host->events);
	host->requests = NULL;
	host->dumps = NULL;
	host->events = NULL;
}

struct nl_msg *netlink_message(int type, int flags, const void *header, size_t size)
{
	struct nl_msg *message = nlmsg_alloc_simple(type, flags);

	if (message == NULL || nlmsg_append(message, (void *)header, size, NLMSG_ALIGNTO) < 0)
		out_of_memory();
	return message;
}

void netlink_put(struct nl_msg *message, int attribute, const void *data, size_t size)
{
	if (nla_put(message, attribute, (int)size, data) < 0)
		out_of_memory();
}

void netlink_put_addr(struct nl_msg *message, int attribute, const struct addr *addr)
{
	netlink_put(message, attribute, addr->bytes, addr_size(addr->family));
}

int netlink_request(struct host *host, struct nl_msg *message)
{
	int error;

	host->kernel_error = 0;
	error = nl_send_sync(host->requests, message); /* frees it */
	if (error >= 0)
		return 0;
	return host->kernel_error < 0 ? host->kernel_error : -EIO;
}

static int dump(struct host *host, int type, struct nl_cb *callbacks)
{
	/* Zero asks for all of every family; more than the type has would be read as attributes. */
	union {
		struct ifinfomsg link;
		struct ifaddrmsg addr;
		struct rtmsg route;
		struct ndmsg neighbour;
	} header = {0};
	size_t size = type == RTM_GETADDR    ? sizeof(header.addr)
		      : type == RTM_GETNEIGH ? sizeof(header.neighbour)
		      : type == RTM_GETROUTE ? sizeof(header.route)
					     : sizeof(header.link);
	int error = 0;

	for (int i = 0; i < DUMP_TRIES; i++) {
		host->kernel_error = 0;
		error = nl_send_simple(host->dumps, type, NLM_F_DUMP, &header, size);
		if (error >= 0)
			error = nl_recvmsgs(host->dumps, callbacks);
		if (error != -NLE_DUMP_INTR)
			break;
	}
	if (error >= 0 || error == -NLE_DUMP_INTR)
		return 0; /* the notifications bring what an interrupted dump may have missed */
	return host->kernel_error < 0 ? host->kernel_error : -EIO;
}

int netlink_dump(struct host *host, int type)
{
	struct nl_cb *callbacks = nl_socket_get_cb(host->dumps);
	int error = dump(host, type, callbacks);

	nl_cb_put(callbacks);
	return error;
}

int netlink_dump_to(struct host *host, int type, int (*take)(struct nl_msg *message, void *context),
	void *context)
{
	struct nl_cb *usual = nl_socket_get_cb(host->dumps);
	struct nl_cb *callbacks = nl_cb_clone(usual);
	int error;

	nl_cb_put(usual);
	if (callbacks == NULL)
		out_of_memory();
	nl_cb_set(callbacks, NL_CB_VALID, NL_CB_CUSTOM, take, context);
	error = dump(host, type, callbacks);
	nl_cb_put(callbacks);
	return error;
}

int netlink_drain(struct host *host)
{
	for (int i = 0; i < RECEIVE_ROUNDS; i++) {
		int error = nl_recvmsgs_default(host->events);

		if (error == -NLE_AGAIN)
			return 0;
		if (error == -NLE_NOMEM)
			return -ENOBUFS;
		if (error < 0)
			return -EIO;
	}
	return 0;
}

int netlink_family(uint8_t family)
{
	return family == ADDR_V4 ? AF_INET : AF_INET6;
}

bool netlink_addr(const struct nlattr *attribute, int family, struct addr *out)
{
	struct addr addr = {.family = family == AF_INET ? ADDR_V4 : ADDR_V6};

	if (attribute == NULL || (family != AF_INET && family != AF_INET6) ||
		(size_t)nla_len(attribute) != addr_size(addr.family))
		return false;
	memcpy(addr.bytes, nla_data(attribute), addr_size(addr.family));
	*out = addr;
	return true;
}
