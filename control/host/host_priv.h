/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside host: one file per noun. Each mirrors its objects from netlink messages (dumps and
 * notifications go the same way), tells the sink what changed, and puts the configuration's
 * objects into the kernel. All on the event loop's thread.
 *
 * Mark and sweep: a full dump raises host->round, every object seen gets it, and what still has
 * an older one afterwards is gone.
 */
#pragma once

#include <limits.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "common/base/addr.h"
#include "control/host/host.h"

struct event;
struct nft_ctx;
struct pool;

enum link_kind {
	LINK_OTHER,
	LINK_TWIN,    /* sp-<port> */
	LINK_OVERLAY, /* sp0 */
	LINK_DEVICE,  /* under a port: nothing on it counts */
};

struct host_link {
	int index;
	unsigned flags; /* IFF_* */
	uint32_t round;
	enum link_kind kind;
	uint16_t port; /* of a twin or device */
	uint8_t mac[6];
	bool pending; /* appeared or came up: its configuration must be put on it */
	bool taken;   /* a device: guarded */
	bool proven;  /* and a port has been started on it */
	char name[HOST_IFACE_MAX];
	UT_hash_handle hh; /* by index */
};

struct host {
	struct event_base *base;
	struct host_sink sink;

	struct nl_sock *requests; /* one at a time, answered at once */
	struct nl_sock *dumps;    /* apart: what a dump tells may lead to requests */
	struct nl_sock *events;   /* notifications; never blocks */
	int kernel_error;         /* of the last request, -errno */
	struct event *readable;
	struct event *resync;  /* a full dump is due */
	struct event *refresh; /* wanted neighbours are looked after */
	struct nft_ctx *nft;

	struct pool *pool; /* of config */
	struct host_config config;

	char folder[PATH_MAX]; /* "" = none */

	enum host_dataplane dataplane;
	uint64_t away_since_ms;  /* CLOCK_MONOTONIC; 0 = it is not, and has not been lately */
	struct event *give_back; /* a device is due; while it is there: it has been for long */

	uint32_t round;
	bool changed; /* something was told since the last settled() */
	struct host_link *links;
	struct local *locals;
	struct route *routes;
	struct owned_route *owned;
	struct neighbour *neighbours;
	struct wanted *wanted;
	size_t wanted_count;
};

/* host.c: a full dump soon (several calls make one). */
void host_resync_soon(struct host *host);
/* Devices of ports, and what that changes. 0, or -errno of a guard. */
int host_apply_devices(struct host *host);

/* netlink.c */
int netlink_open(struct host *host);
/* Only the sockets for requests and dumps; of `host` nothing else is used. */
int netlink_open_requests(struct host *host);
void netlink_close(struct host *host);
/* A request with its fixed header; never NULL: out of memory ends the process. */
struct nl_msg *netlink_message(int type, int flags, const void *header, size_t size);
void netlink_put(struct nl_msg *message, int attribute, const void *data, size_t size);
void netlink_put_addr(struct nl_msg *message, int attribute, const struct addr *addr);
/* Sends, waits for the kernel's answer, frees the message. 0 or the kernel's -errno. */
int netlink_request(struct host *host, struct nl_msg *message);
/* Has every object of a kind received: RTM_GETLINK ... 0 or -errno. */
int netlink_dump(struct host *host, int type);
/* The same, but to `take` (as a libnl callback) instead of the mirror. */
int netlink_dump_to(struct host *host, int type, int (*take)(struct nl_msg *message, void *context),
	void *context);
/* Receives what notifications wait; -ENOBUFS: some were lost. */
int netlink_drain(struct host *host);
int netlink_family(uint8_t family); /* AF_INET, AF_INET6 */
/* A value of an attribute as address; false if it is none of the family. */
bool netlink_addr(const struct nlattr *attribute, int family, struct addr *out);

/* link.c */
void link_receive(struct host *host, struct nlmsghdr *header);
void link_sweep(struct host *host);
void link_classify_all(struct host *host);
struct host_link *link_find(const struct host *host, int index);
struct host_link *link_of_port(const struct host *host, uint16_t port); /* twin; 0 = overlay */
const struct host_port *link_config(const struct host *host, const struct host_link *link);
/* An address came to a link: if that is a device that is a port's now, it is the twin's, like those
 * that were there before. A DHCP client goes on to put its address where it found its device. */
void link_note_address(struct host *host, int index);
/* Puts on a link what belongs there. 0, or -errno of a guard: the rest is logged and goes on. */
int link_apply(struct host *host, struct host_link *link);
int link_set_up(struct host *host, const struct host_link *link, unsigned mtu);
/* Writes net.<family>.conf.<name>.<key>; a failure is logged. */
void link_sysctl(const char *family, const char *name, const char *key, const char *value);
void link_free(struct host *host);

/* address.c */
void local_receive(struct host *host, struct nlmsghdr *header);
void local_forget_link(struct host *host, int index);
void local_sweep(struct host *host);
void local_replay(const struct host *host, const struct host_sink *sink);
bool local_is(const struct host *host, const struct addr *addr);
void local_apply(struct host *host, const struct host_link *link);
void local_withdraw(struct host *host);
void local_free(struct host *host);

/* route.c */
void route_receive(struct host *host, struct nlmsghdr *header);
void route_forget_link(struct host *host, int index);
void route_sweep(struct host *host);
void route_replay(const struct host *host, const struct host_sink *sink);
void route_free(struct host *host);

/* static.c: the configuration's routes */
void owned_receive(struct host *host, bool present, uint32_t table, const struct prefix *prefix,
	uint32_t metric, int index, const struct addr *gateway);
void owned_forget_link(struct host *host, int index);
void owned_sweep(struct host *host);
void owned_apply(struct host *host, const struct host_link *link);
void owned_withdraw(struct host *host);
void owned_free(struct host *host);

/* moved.c: what stood on a port's own device; nothing happens without a folder */
/* Before the device is guarded. 0 or -errno: then it must stay the kernel's. */
int moved_take(struct host *host, const struct host_link *link);
void moved_put(struct host *host, const struct host_link *twin);
bool moved_exists(const struct host *host, const char *device);
/* After the guard has gone. */
void moved_give_back(struct host *host, const char *device);

/* reserved.c: ports of the NAT that the kernel is not to give to its own connections */
void reserved_apply(struct host *host);
void reserved_withdraw(struct host *host);

/* neighbour.c */
void neighbour_receive(struct host *host, struct nlmsghdr *header);
void neighbour_forget_link(struct host *host, int index);
void neighbour_sweep(struct host *host);
void neighbour_replay(const struct host *host, const struct host_sink *sink);
/* Entered by somebody for good: it needs no keeping, and `managed` would take that from it. */
bool neighbour_is_fixed(const struct host *host, int index, const struct addr *addr);
void neighbour_free(struct host *host);

/* wanted.c: neighbours that the kernel is to keep resolved */
void wanted_add(struct host *host, uint16_t port, const struct addr *addr);
void wanted_gateway(struct host *host, uint16_t port, const struct addr *addr, int count);
void wanted_seen(
	struct host *host, uint16_t port, const struct addr *addr, bool resolved, bool managed);
void wanted_apply(struct host *host, const struct host_link *link);
void wanted_refresh(struct host *host);
void wanted_withdraw(struct host *host);
void wanted_free(struct host *host);

/* device.c: whose a port's own device is */
int device_open(struct host *host);
void device_close(struct host *host);
/* Takes it, unless the data plane is away. 0 or -errno: then no port may start on it. */
int device_apply(struct host *host, struct host_link *link);
/* All of them, after those that are no port's any more have gone back. */
int device_apply_all(struct host *host);

/* guard.c */
int guard_open(struct host *host);
void guard_close(struct host *host);
/* Of devices that are no port's any more; ports' devices that have one are marked as taken. */
void guard_remove_stale(struct host *host);
/* With all that was changed for it: the device has its addresses back. */
void guard_remove(struct host *host, const char *device);
int guard_apply(struct host *host, const struct host_link *link);
void guard_withdraw(struct host *host);
