/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gateway's kernel: what the configuration wants of it (addresses, gateways, neighbours, the
 * guard of the ports' own devices) is put there, and what stands there (addresses, routes,
 * neighbours) is mirrored for the data plane, so that ip, FRR, BIRD and keepalived just work.
 *
 * The data plane makes a TAP twin "sp-<port>" for every port and the overlay's TUN. They vanish
 * with it; when they appear again everything that belongs on them is put back.
 *
 * Ownership: what Sallyport has put into the kernel carries HOST_PROTOCOL, and only that is ever
 * changed or removed. Threads: all functions on the event loop's thread; callbacks come from that
 * loop, host_configure() and host_replay(). Needs CAP_NET_ADMIN. One per network namespace.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/api/port.h"
#include "common/api/route.h"

struct event_base;
struct host;

enum {
	HOST_IFACE_MAX = 16, /* IFNAMSIZ */
	HOST_PROTOCOL = 83,  /* of our addresses and routes: `ip route show proto 83` */
	HOST_GIVE_BACK_DEFAULT_S = 30,
	HOST_GIVE_BACK_NEVER = 0,
	HOST_GIVE_BACK_OWN = UINT16_MAX,
	HOST_NEIGHBOURS_MAX = 4096, /* wanted at a time: the oldest one not configured goes */
};

struct host_address {
	struct addr addr;
	uint8_t length; /* of the on-link prefix; 32 or 128: the address alone */
	bool nodad;     /* IPv6: usable at once, without duplicate address detection */
};

struct host_port {
	uint16_t port;                /* id */
	uint16_t mtu;                 /* of the twin; 0 = leave it */
	char name[API_PORT_NAME_MAX]; /* "wan": the twin is "sp-wan" */
	char iface[HOST_IFACE_MAX];   /* the kernel's device under the port, or "" */
	bool own_xdp;                 /* its driver attaches an XDP program (af_xdp) */
	/* Seconds without a data plane after which the kernel has the device back; or _NEVER; _OWN:
	 * the default if the device had addresses of the kernel's when it was taken, else never. */
	uint16_t give_back_s;
	const struct host_address *addresses; /* egress addresses too, with length 32 or 128 */
	size_t address_count;
};

struct host_route {
	struct prefix prefix; /* length 0: the default gateway */
	struct addr gateway;  /* ADDR_NONE = on-link; may be IPv6 for an IPv4 prefix */
	uint16_t port;        /* out of its twin; 0 = the overlay interface */
	uint32_t table;       /* 0 = main; another one to publish overlay prefixes in */
	uint32_t metric;      /* 0 = the kernel's default */
};

struct host_config {
	char overlay[HOST_IFACE_MAX]; /* name of the overlay interface, "sp0" */
	uint16_t overlay_mtu;         /* 0 = leave it */
	const struct host_address *overlay_addresses;
	size_t overlay_address_count;
	const struct host_port *ports;
	size_t port_count;
	const struct host_route *routes;
	size_t route_count;
	/* The NAT's share of addresses that are the kernel's too; first 0 = there is none. */
	uint16_t nat_port_first, nat_port_last;
};

/*
 * What the kernel has, in the form in which the data plane is told. Headers are zero: the
 * receiver fills them. `set` also comes when something known changed.
 *
 * Locals: every address of the gateway but 127.0.0.0/8 and ::1; port 0 if it is on no twin.
 * Routes: the main table, for each prefix the one in force. Those over a twin lead to that port
 * and win over others whatever their metric: a management network's default route does not catch
 * the tunnels. Others (other devices, blackholes) lead to API_NEXT_HOST. Routes over the overlay
 * interface, link-local and multicast ones are left out.
 * Neighbours: those on twins that have a MAC address and are not failed.
 */
struct host_sink {
	void *context;
	void (*local_set)(void *context, const struct api_local_set *local);
	void (*local_del)(void *context, const struct api_local_del *local);
	void (*route_set)(void *context, const struct api_route_set *route);
	void (*route_del)(void *context, const struct api_route_del *route);
	void (*neigh_set)(void *context, const struct api_neigh_set *neigh);
	void (*neigh_del)(void *context, const struct api_neigh_del *neigh);
	/* A batch is complete: the time to commit what came since the last one. May be NULL. */
	void (*settled)(void *context);
};

/*
 * NULL and *error (a negative errno) on failure: no netlink. The sink is copied, what its context
 * points to must outlive the host. Nothing in the kernel changes yet.
 */
struct host *host_create(struct event_base *base, const struct host_sink *sink, int *error)
	__attribute__((warn_unused_result));

/*
 * Where to keep what must be put back when the devices are ports no more: their own addresses,
 * routes and neighbours, and the ports that the kernel had reserved. It should go with the kernel
 * (below /run). Without one they are not touched. 0 or -ENAMETOOLONG.
 */
int host_set_folder(struct host *host, const char *folder) __attribute__((warn_unused_result));

/*
 * Makes the kernel's state that of the configuration, now and whenever a device (re)appears, and
 * brings the mirror up to date before it returns. The first call takes over what an earlier
 * process left. Everything in `config` is copied. Unless the data plane is away, guards stand when
 * it returns: call it before the data plane is told of the ports. A device that does not exist yet
 * is no error.
 * 0, -EINVAL for a name that no interface can have, -errno of a guard that could not be set up
 * (then no port may start on that device), -ENOMEM.
 */
int host_configure(struct host *host, const struct host_config *config)
	__attribute__((warn_unused_result));

enum host_dataplane {
	/* None, or one without ports, as at the start. The kernel keeps what it has; devices on
	 * which no port was started go back at once, the others after host_port.give_back_s. */
	HOST_DATAPLANE_AWAY,
	HOST_DATAPLANE_COMING, /* about to start ports: their devices are taken */
	HOST_DATAPLANE_THERE,  /* has started them */
};

/* 0, or -errno of a guard that could not be set up. Calls the sink if that changed something. */
int host_set_dataplane(struct host *host, enum host_dataplane state);

enum host_holder { HOST_HELD_BY_NOBODY, HOST_HELD_BY_KERNEL, HOST_HELD_BY_PORT };

/* Whose the kernel's device under a port is; NOBODY: there is none. */
enum host_holder host_device_holder(const struct host *host, uint16_t port);

/* Gives all that the mirror holds to `sink`, as sets, and then settled(): for a full replay. */
void host_replay(const struct host *host, const struct host_sink *sink);

/*
 * The data plane wants this neighbour (API_EVENT_NEIGH). The kernel resolves it and keeps it so,
 * even while this process is away; the answer comes as neigh_set. Gateways of routes over twins
 * are wanted by themselves. Unknown ports and addresses that cannot be a neighbour are ignored.
 */
void host_want_neighbour(struct host *host, uint16_t port, const struct addr *addr);

/*
 * Takes back all that Sallyport put into this kernel: guards, addresses, routes, neighbours,
 * reserved ports; devices get back what was moved from them. Only when the data plane is gone for
 * good: while it runs its ports need their guards. Needs no configuration. 0 or -errno of netlink.
 */
int host_withdraw(struct host *host) __attribute__((warn_unused_result));

/* Frees, leaves the kernel as it is (the data plane goes on with it), sets *host to NULL. */
void host_destroy(struct host **host);

/* False if the device is a veth whose far end may hand over frames larger than the wire's. */
bool host_device_wire_sized(const char *device);

/*
 * The kernel's device under a DPDK device string ("net_af_packet0,iface=eth1": "eth1"), or "" if
 * the port takes no device of the kernel's.
 */
void host_device_iface(const char *device, char iface[HOST_IFACE_MAX]);

/*
 * An interface of the kernel's that goes away for a while and comes back without what it had: its
 * state is remembered before and restored after. Blocking, on netlink sockets of its own; needs no
 * struct host, and runs on any thread, also of a process without an event loop.
 */
struct host_interface;

/* NULL if there is no such interface, or it carries nothing: it is down and has no addresses. */
struct host_interface *host_interface_remember(const char *name);

/* Up again if it was, with its MTU, addresses, routes and neighbours; the name may be a new one.
 * 0 or -errno. What has an address already keeps it. */
int host_interface_restore(const struct host_interface *state, const char *name)
	__attribute__((warn_unused_result));

/* The name that it had. */
const char *host_interface_name(const struct host_interface *state);

void host_interface_forget(struct host_interface **state);
