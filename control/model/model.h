/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The objects that a configuration consists of, whatever syntax they came in: gateway, ports,
 * overlay, groups, peers, routes, exit nodes, egress and policies. A model is filled once, then
 * checked (model_check() also resolves the names by which objects refer to one another), and from
 * then on read only. Everything in it lies in its pool. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "common/base/addr.h"
#include "common/base/key.h"
#include "common/base/pool.h"
#include "control/diag/diag.h"

enum model_kind {
	MODEL_PORT,
	MODEL_GROUP,
	MODEL_PEER,
	MODEL_ROUTE,
	MODEL_EXIT_NODE,
	MODEL_POOL,
	MODEL_POLICY,
	MODEL_FORWARD,
	MODEL_KINDS,
};

enum {
	MODEL_NAME_MAX = 63,
	MODEL_TEXT_MAX = 255,
	MODEL_METRIC_DEFAULT = 100,
	/* A peer answers a packet with content within 10 s (KEEPALIVE-TIMEOUT), and is given
	 * REKEY-TIMEOUT on top, as WireGuard does before it tries another handshake. */
	MODEL_DEAD_AFTER_S = 15,
	MODEL_RETURN_AFTER_S = 30,
	MODEL_MTU_DEFAULT = 1500,
	MODEL_KEEP_DAYS_DEFAULT = 90,
	MODEL_GIVE_BACK_OWN = UINT16_MAX, /* as control/host/host.h has it */
	MODEL_TUNNEL_MTU_DEFAULT = 1420,  /* 1500 less IPv6, UDP and WireGuard */
};

/* The head of every named object. */
struct model_object {
	const char *name;
	uint32_t index; /* in its table */
	UT_hash_handle hh;
};

struct model_table {
	struct model_object **items;
	size_t n;
	struct model_object *by_name;
};

/* Names of objects of one kind; index is filled by model_check(). */
struct model_refs {
	enum model_kind kind;
	const char **names;
	uint32_t *index;
	size_t n;
};

struct model_addrs {
	struct addr *items;
	size_t n;
};

struct model_prefixes {
	struct prefix *items;
	size_t n;
};

/* An address with the length of its network: host bits are set. */
struct model_ifaddr {
	struct addr addr;
	uint8_t length;
};

struct model_ifaddrs {
	struct model_ifaddr *items;
	size_t n;
};

/* Who may change an object: the file's are changed there only. */
enum model_origin {
	MODEL_ORIGIN_FILE,
	MODEL_ORIGIN_API,
};

enum model_idle {
	MODEL_IDLE_ADAPTIVE,
	MODEL_IDLE_POLL,
};

struct model_dataplane {
	uint32_t workers; /* 0 = as many as there are cores to spare */
	uint32_t memory_mib;
	enum model_idle idle;
	const char *cores; /* EAL core list, or NULL */
};

/* What the control process itself listens on, beside its Unix sockets. */
struct model_management {
	struct endpoint metrics; /* /metrics, /livez ...; ADDR_NONE = only on the Unix socket */
};

/* When a routing peer that has an understudy goes out of use, and when it comes back. */
struct model_failover {
	uint32_t dead_after_s;
	uint32_t return_after_s;
};

struct model_port {
	struct model_object object;
	const char *device;
	uint16_t mtu;
	uint16_t queues;    /* 0 = the data plane decides */
	uint16_t give_back; /* s without a data plane; 0 = never; or MODEL_GIVE_BACK_OWN */
	struct model_ifaddrs addresses;
	struct model_addrs gateways;
};

struct model_port_range {
	uint16_t first;
	uint16_t last;
};

struct model_port_ranges {
	struct model_port_range *items;
	size_t n;
};

struct model_wireguard {
	const char *interface;
	const char *private_key_file;
	uint16_t listen_port;
	struct model_port_ranges also_listen;
	uint16_t mtu;
	struct model_ifaddrs addresses;
};

struct model_group {
	struct model_object object;
	const char *description;
};

struct model_peer {
	struct model_object object;
	enum model_origin origin;
	const char *description;
	bool enabled;
	bool can_route; /* false: it forwards nothing, a phone for instance */
	bool has_public_key;
	struct key public_key;
	const char *public_key_file;
	const char *preshared_key_file;
	struct endpoint endpoint; /* ADDR_NONE = the peer comes to us, or: */
	const char *endpoint_text;
	const char *endpoint_name; /* a host to be looked up, at endpoint_port; else NULL */
	uint16_t endpoint_port;
	uint16_t persistent_keepalive;
	uint16_t mtu; /* 0 = the overlay's */
	struct model_addrs addresses;
	struct model_prefixes also_from; /* sources accepted beside addresses and routes */
	struct model_refs groups;
	/* Of an extension: the one of several that the peer leaves by; NULL = nothing selected. */
	const struct model_exit_node *selected;
};

struct model_route {
	struct model_object object;
	const char *description;
	const char *network; /* identifier shared by routes of one set; the name by default */
	bool enabled;
	bool masquerade;
	bool nptv6; /* `map` is translated by RFC 6296 */
	uint32_t metric;
	struct model_prefixes prefixes;
	struct model_prefixes map; /* what is behind the peers; one for each of prefixes, or none */
	struct model_refs via_peers; /* once checked, with the members of via_groups */
	struct model_refs via_groups;
	uint32_t *skipped; /* peers that these name, but that cannot forward or are disabled */
	size_t n_skipped;
	struct model_refs via_port; /* at most one */
	struct addr gateway;        /* behind via_port; ADDR_NONE = on-link or the port's gateway */
	struct model_refs distribute_to;
	struct model_refs to_ports; /* hosts that arrive there without a tunnel receive it too */
	struct model_refs acl_groups;
};

struct model_exit_node {
	struct model_object object;
	const char *description;
	bool enabled;
	struct model_refs offer_to;
	struct model_prefixes also;
};

struct model_pool {
	struct model_object object;
	const char *description;
	struct model_addrs addresses;
};

struct model_source {
	bool any; /* every peer */
	struct model_refs groups;
	struct model_refs peers;
	struct model_refs port; /* plain packets that arrive there; at most one */
	struct model_prefixes prefixes;
};

enum model_mapping {
	MODEL_MAPPING_INDEPENDENT, /* of the destination: one outside port for all of them */
	MODEL_MAPPING_DEPENDENT,   /* ports are shared by different destinations */
};

enum model_filtering {
	MODEL_FILTER_ADDRESS_PORT,
	MODEL_FILTER_ADDRESS,
	MODEL_FILTER_NONE, /* endpoint-independent */
};

struct model_egress_rule {
	struct model_source from; /* groups and peers only */
	int mapping;              /* enum model_mapping */
	int filtering;            /* enum model_filtering */
	bool any_parity;
	struct model_refs exit_nodes; /* only what leaves by one of these; none = by whichever */
	struct model_prefixes to;     /* none = anywhere */
	struct model_refs use;        /* one pool; none = deny */
};

struct model_egress_rules {
	struct model_egress_rule *items;
	size_t n;
};

struct model_egress {
	struct model_egress_rules rules;
	struct model_refs default_pool; /* none = deny */
	uint32_t keep_days;             /* how long it is known who had which ports */
};

/* Seconds; in the order of enum api_flow_timeout. */
enum { MODEL_TIMEOUTS = 7 };

struct model_timeouts {
	bool given;
	bool below_rfc; /* allow less than the RFCs do */
	uint32_t seconds[MODEL_TIMEOUTS];
};

/* Of one sender on a worker: struct api_flow_limits_set. */
enum { MODEL_ICMP_ERRORS_DEFAULT = 100, MODEL_PORT_REST_S = 120 };

struct model_limits {
	bool given;
	uint32_t flows, half_open, new_per_s, icmp_per_s;
	uint32_t rest_s, resting; /* ports of open mappings */
};

struct model_target {
	bool host; /* the gateway itself */
	struct model_refs groups;
	struct model_refs peers;
	struct model_refs routes;
	struct model_refs exit_nodes;
	struct model_refs forwards;
	struct model_prefixes prefixes;
};

enum model_protocol {
	MODEL_ANY = 0,
	MODEL_ICMP = 1,
	MODEL_TCP = 6,
	MODEL_UDP = 17,
};

struct model_policy {
	struct model_object object;
	const char *file; /* NULL = unknown */
	uint32_t line;    /* in the file; 0 = unknown */
	const char *description;
	bool enabled;
	bool allow;
	enum model_protocol protocol;
	struct model_port_ranges ports;
	struct model_source from;
	struct model_target to;
};

/* A port, or as many as there are in a range, of an outside address that lead inside. */
struct model_forward {
	struct model_object object;
	const char *description;
	bool enabled;
	struct addr address;
	enum model_protocol protocol; /* TCP or UDP */
	struct model_port_range ports;
	struct model_refs to_peer; /* one, or none: */
	struct addr to_address;
	struct model_port_range to_ports; /* first 0 = the same as outside */
	struct model_source from;         /* any, or prefixes only */
};

/* What shall become of a flow; judged before a configuration comes into force (control/expect). */
struct model_test {
	struct diag_mark mark;
	const char *from; /* a peer's name, or an address: */
	struct addr from_addr;
	struct model_refs as; /* the peer whose tunnel it comes from; at most one */
	struct endpoint to;   /* port 0 = none */
	enum model_protocol protocol;
	bool allow;
	const char *egress; /* an address or the name of a pool; NULL = whichever */
	struct addr egress_addr;
	struct model_refs egress_pool; /* at most one */
};

struct model_tests {
	struct model_test *items;
	size_t n;
};

struct model_claim;

struct model {
	struct pool *pool;
	unsigned refs;              /* the maker's, and one per extension */
	struct model *base;         /* of an extension: what it extends, else NULL */
	struct model_claim *claims; /* of an extension: keys and addresses that are taken */
	const char *gateway_name;
	struct model_addrs name_servers; /* none: the system's */
	struct model_dataplane dataplane;
	struct model_management management;
	struct model_wireguard wireguard;
	struct model_egress egress;
	struct model_timeouts timeouts;
	struct model_limits limits;
	bool routes_without_acl_groups_allow;
	struct model_failover failover;
	struct model_tests tests;
	struct model_table tables[MODEL_KINDS];
};

/* With the defaults filled in. Never NULL. */
struct model *model_create(void);
void model_destroy(struct model **model);

/*
 * A model with everything that a checked model has, to which peers can be added: those that are
 * in no file. Shares what is in the base's pool and keeps the base alive; of an extension, its
 * base is extended. Never NULL.
 */
struct model *model_extend(struct model *base);

/*
 * Adds a copy of a peer of origin api, whose name, key and addresses are set, and which is in no
 * group. 0; -EEXIST if its name, key or an address is another's, -EADDRNOTAVAIL if an address is
 * outside the overlay; then *owner (may be NULL) says whose, or which.
 */
int model_extend_peer(struct model *model, const struct model_peer *peer, const char **owner)
	__attribute__((warn_unused_result));

/* From now on this peer leaves by that exit node, of the same extension; NULL = whichever is
 * offered first. */
void model_extend_select(
	struct model *model, uint32_t peer, const struct model_exit_node *exit_node);

/* Adds an object whose name is set; -EEXIST if the name is taken. The object lies in the pool. */
int model_add(struct model *model, enum model_kind kind, struct model_object *object)
	__attribute__((warn_unused_result));

/* NULL if there is none. */
struct model_object *model_find(const struct model *model, enum model_kind kind, const char *name);

/* "peer", "exit node" ...: for people; "peers", "exit_nodes": as paths and keys have it. */
const char *model_kind_noun(enum model_kind kind);
const char *model_kind_key(enum model_kind kind);

/* Where findings of model_check() go. `path` names the object or value; `see` the path of the
 * object that the hint names, or NULL. */
struct model_reporter {
	void (*report)(void *context, enum diag_code code, const char *path, const char *message,
		const char *hint, const char *see);
	void *context;
};

/* Resolves names and reports all that is wrong between objects. True if there was no error. */
bool model_check(struct model *model, const struct model_reporter *reporter);

/* The ports inside; the address inside, of the family of the one outside, or false: the peer has
 * none. Of a model whose names are resolved. */
struct model_port_range model_forward_to_ports(const struct model_forward *forward);
bool model_forward_inside(
	const struct model *model, const struct model_forward *forward, struct addr *inside);

/* The network of an interface address. */
struct prefix model_network(const struct model_ifaddr *address);

/* True if the address or prefix lies in, or overlaps, the networks of the overlay. */
bool model_in_overlay(const struct model *model, const struct addr *addr);
bool model_overlaps_overlay(const struct model *model, const struct prefix *prefix);

/* The port on whose network the address lies, or NULL. */
const struct model_port *model_port_of(const struct model *model, const struct addr *addr);

/* True if peer is a member of one of the groups. */
bool model_peer_in_groups(const struct model_peer *peer, const struct model_refs *groups);

#define MODEL_ITEM(model, kind, type, i) ((const struct type *)(model)->tables[kind].items[i])

static inline const struct model_port *model_port_at(const struct model *model, size_t i)
{
	return MODEL_ITEM(model, MODEL_PORT, model_port, i);
}

static inline const struct model_group *model_group_at(const struct model *model, size_t i)
{
	return MODEL_ITEM(model, MODEL_GROUP, model_group, i);
}

static inline const struct model_peer *model_peer_at(const struct model *model, size_t i)
{
	return MODEL_ITEM(model, MODEL_PEER, model_peer, i);
}

static inline const struct model_route *model_route_at(const struct model *model, size_t i)
{
	return MODEL_ITEM(model, MODEL_ROUTE, model_route, i);
}

static inline const struct model_exit_node *model_exit_node_at(const struct model *model, size_t i)
{
	return MODEL_ITEM(model, MODEL_EXIT_NODE, model_exit_node, i);
}

static inline const struct model_pool *model_pool_at(const struct model *model, size_t i)
{
	return MODEL_ITEM(model, MODEL_POOL, model_pool, i);
}

static inline const struct model_policy *model_policy_at(const struct model *model, size_t i)
{
	return MODEL_ITEM(model, MODEL_POLICY, model_policy, i);
}

static inline const struct model_forward *model_forward_at(const struct model *model, size_t i)
{
	return MODEL_ITEM(model, MODEL_FORWARD, model_forward, i);
}
