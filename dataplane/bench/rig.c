/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/bench/rig.h"

#include <rte_cycles.h>
#include <rte_eth_ring.h>
#include <rte_graph_worker.h>
#include <rte_ip.h>
#include <rte_ring.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/egress.h"
#include "common/api/policy.h"
#include "common/api/port.h"
#include "common/api/route.h"
#include "dataplane/aead/aead.h"
#include "dataplane/bench/direct.h"
#include "dataplane/graph/graph.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/dataplane.h"
#include "dataplane/main/eal.h"
#include "dataplane/main/feature.h"
#include "dataplane/main/reader.h"
#include "dataplane/main/worker.h"
#include "dataplane/port/port.h"
#include "dataplane/port/port_tx.h"
#include "dataplane/wireguard/wireguard_priv.h"

enum {
	FIRST_PEER = 1,
	SET = 1,
	MTU = 1500,
};

void rig_die(const char *what, int rc)
{
	fprintf(stderr, "path-bench: %s: %s\n", what, strerror(-rc));
	exit(EXIT_FAILURE);
}

static struct addr v4(uint32_t host)
{
	struct addr addr = {.family = ADDR_V4};
	uint32_t big = rte_cpu_to_be_32(host);

	memcpy(addr.bytes, &big, sizeof(big));
	return addr;
}

static struct prefix net(uint32_t host, uint8_t length)
{
	struct addr addr = v4(host);
	struct prefix prefix = prefix_of_addr(&addr);

	prefix.length = length;
	prefix_mask(&prefix);
	return prefix;
}

static struct wire wire_create(const char *name)
{
	struct wire wire;
	char text[32];

	snprintf(text, sizeof(text), "%s_in", name);
	wire.to_port =
		rte_ring_create(text, RIG_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	snprintf(text, sizeof(text), "%s_out", name);
	wire.from_port =
		rte_ring_create(text, RIG_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (wire.to_port == NULL || wire.from_port == NULL)
		rig_die(name, -ENOMEM);
	if (rte_eth_from_rings(name, &wire.to_port, 1, &wire.from_port, 1, 0) < 0)
		rig_die(name, -EIO);
	return wire;
}

static void program_ports(struct rig *rig)
{
	rig->wan = wire_create("wan");
	rig->inet = wire_create("inet");
	DIRECT_COMMIT(rig->worker, API_PORT_SET, api_port_set, .port = RIG_PORT_WAN, .mtu = MTU,
		.name = "wan", .device = "net_ring_wan");
	DIRECT_COMMIT(rig->worker, API_PORT_SET, api_port_set, .port = RIG_PORT_INET, .mtu = MTU,
		.name = "inet", .device = "net_ring_inet");
	DIRECT_COMMIT(rig->worker, API_LOCAL_SET, api_local_set, .addr = v4(RIG_WAN_ADDR),
		.port = RIG_PORT_WAN);
	DIRECT_COMMIT(rig->worker, API_LOCAL_SET, api_local_set, .addr = v4(RIG_INET_ADDR),
		.port = RIG_PORT_INET);
	DIRECT_COMMIT(rig->worker, API_NEIGH_SET, api_neigh_set, .addr = v4(RIG_CLIENT_ADDR),
		.port = RIG_PORT_WAN, .mac = {2, 0, 0, 0, 0, 9});
	DIRECT_COMMIT(rig->worker, API_NEIGH_SET, api_neigh_set, .addr = v4(RIG_SERVER_ADDR),
		.port = RIG_PORT_INET, .mac = {2, 0, 0, 0, 0, 80});
	DIRECT_COMMIT(rig->worker, API_ROUTE_SET, api_route_set, .table = API_TABLE_UNDERLAY,
		.prefix = net(RIG_WAN_ADDR, 24), .next = API_NEXT_PORT, .port = RIG_PORT_WAN);
	DIRECT_COMMIT(rig->worker, API_ROUTE_SET, api_route_set, .table = API_TABLE_UNDERLAY,
		.prefix = net(RIG_INET_ADDR, 24), .next = API_NEXT_PORT, .port = RIG_PORT_INET);
}

static void program_gateway(struct rig *rig)
{
	DIRECT_COMMIT(rig->worker, API_WG_INTERFACE_SET, api_wg_interface_set, .interface = 1,
		.listen_port = RIG_LISTEN, .mtu = RIG_TUNNEL_MTU);
	for (unsigned half = 0; half < 2; half++)
		DIRECT_COMMIT(rig->worker, API_ROUTE_SET, api_route_set, .table = API_TABLE_OVERLAY,
			.prefix = net(half << 31, 1), .next = API_NEXT_UNDERLAY, .set_id = SET,
			.flags = API_ROUTE_MASQUERADE | API_ROUTE_EXIT, .route_id = 1);
	DIRECT_COMMIT(rig->worker, API_POLICY_SET, api_policy_set, .rule = 1, .priority = 1,
		.src_set = SET, .verdict = API_ALLOW, .flags = API_POLICY_TO_EXIT,
		.port_last = UINT16_MAX);
	DIRECT_COMMIT(rig->worker, API_EGRESS_ADDR_SET, api_egress_addr_set, .egress = 1,
		.addr = v4(RIG_EGRESS_ADDR), .port_first = 1024, .port_last = UINT16_MAX);
	DIRECT_COMMIT(rig->worker, API_EGRESS_POOL_SET, api_egress_pool_set, .pool = 1, .count = 1,
		.egress = {1});
	DIRECT_COMMIT(rig->worker, API_EGRESS_RULE_SET, api_egress_rule_set, .rule = 1,
		.priority = 1, .src_set = SET, .pool = 1);
}

static void program_peer(struct rig *rig, unsigned number)
{
	struct key key = {.bytes = {1}};
	uint32_t id = FIRST_PEER + number;

	memcpy(&key.bytes[1], &number, sizeof(number));
	DIRECT_COMMIT(rig->worker, API_PEER_SET, api_peer_set, .peer = id, .interface = 1,
		.set_id = SET, .public_key = key);
	DIRECT_COMMIT(rig->worker, API_ALLOWED_SET, api_allowed_set,
		.prefix = number == 0 ? net(RIG_INSIDE_NET, 10) : net(RIG_OTHERS_NET + number, 32),
		.peer = id);
}

/* A session with known keys instead of a handshake; the path to the client's endpoint. */
static void program_session(struct rig *rig, unsigned number)
{
	struct wg_peer *peer = wg_peer_get(FIRST_PEER + number);
	struct endpoint remote = {.addr = v4(RIG_CLIENT_ADDR), .port = RIG_CLIENT_PORT};
	struct endpoint local = {.addr = v4(RIG_WAN_ADDR)};
	struct noise_keys keys = {.remote_index = 77, .initiator = true};

	memset(rig->key_up, 0x11, sizeof(rig->key_up));
	memset(rig->key_down, 0x22, sizeof(rig->key_down));
	memcpy(keys.receive.bytes, rig->key_up, sizeof(rig->key_up));
	memcpy(keys.send.bytes, rig->key_down, sizeof(rig->key_down));
	path_set(peer, &remote, &local);
	if (index_table_take(peer, 0, &keys.local_index) != 0)
		rig_die("index", -ENOSPC);
	rig->sessions[number].local_index = keys.local_index;
	keypair_install(peer, &keys, clock_ms());
	peer->watched = true; /* there is no handshake thread to tell */
}

void rig_start(struct rig *rig, struct args *args, const char *aead, unsigned peers)
{
	int rc = eal_start(args);

	if (rc == 0)
		rc = reader_create();
	if (rc == 0)
		rc = packet_pool_create();
	if (rc == 0)
		rc = handoff_create_all(1);
	if (rc == 0)
		rc = aead_select(aead);
	if (rc == 0)
		rc = feature_init_all();
	if (rc == 0)
		rc = worker_create_all();
	if (rc == 0)
		rc = graph_create_all(1);
	if (rc == 0)
		rc = feature_worker_init_all(worker_get(0));
	if (rc == 0)
		rig->aead = aead_create(&rc);
	if (rc != 0)
		rig_die("cannot start", rc);
	rig->worker = worker_get(0);
	RTE_PER_LCORE(worker) = rig->worker;
	reader_register(0);
	program_ports(rig);
	program_gateway(rig);
	rig->peers = peers;
	rig->sessions = calloc(peers, sizeof(*rig->sessions));
	if (rig->sessions == NULL)
		rig_die("memory", -ENOMEM);
	for (unsigned number = 0; number < peers; number++) {
		program_peer(rig, number);
		program_session(rig, number);
	}
}

/* xorshift64*: the same routes every time. */
static uint64_t draw(void)
{
	static uint64_t seed = 0x9e3779b97f4a7c15;

	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545f4914f6cdd1d;
}

/* Not the nets that the rig itself lies in, nor what is no host's. */
static uint32_t draw_host(void)
{
	uint32_t host;

	do
		host = (uint32_t)draw();
	while (host >> 24 == 0 || host >> 24 == 127 || host >> 24 >= 224 || host >> 24 == 100 ||
		host >> 24 == 203 || host >> 24 == 198 || host >> 16 == 0xa9fe);
	return host;
}

/* Each address is another one, also where routes are few. */
static uint32_t draw_behind(struct prefix prefix)
{
	uint32_t host;

	memcpy(&host, prefix.bytes, sizeof(host));
	return rte_be_to_cpu_32(host) | (uint32_t)(draw() & (UINT32_MAX >> prefix.length));
}

void rig_add_routes(struct rig *rig, unsigned routes, uint32_t *behind, unsigned addresses)
{
	static const uint8_t lengths[] = {24, 24, 24, 24, 24, 24, 23, 22, 22, 21, 20, 19, 18, 16};
	struct prefix *prefixes = calloc(routes, sizeof(*prefixes));

	if (prefixes == NULL)
		rig_die("memory", -ENOMEM);
	for (unsigned i = 0; i < routes; i++) {
		prefixes[i] = net(draw_host(), lengths[draw() % sizeof(lengths)]);
		DIRECT_COMMIT(rig->worker, API_ROUTE_SET, api_route_set, .prefix = prefixes[i],
			.table = API_TABLE_OVERLAY, .next = API_NEXT_UNDERLAY, .set_id = SET,
			.flags = API_ROUTE_MASQUERADE | API_ROUTE_EXIT, .route_id = 1);
		DIRECT_COMMIT(rig->worker, API_ROUTE_SET, api_route_set, .prefix = prefixes[i],
			.table = API_TABLE_UNDERLAY, .next = API_NEXT_PORT, .port = RIG_PORT_INET,
			.gateway = v4(RIG_SERVER_ADDR));
	}
	for (unsigned i = 0; i < addresses; i++)
		behind[i] = draw_behind(prefixes[draw() % routes]);
	free(prefixes);
}

uint64_t rig_walk(struct rig *rig)
{
	uint64_t start;

	rig->worker->now_ms = clock_ms();
	rig->worker->copy = (uint16_t)tables_active();
	start = rte_rdtsc_precise();
	rte_graph_walk(graph_of(0));
	port_tx_drain(0);
	return rte_rdtsc_precise() - start;
}
