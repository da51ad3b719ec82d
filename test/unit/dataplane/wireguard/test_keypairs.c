/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <rte_ip.h>
#include <rte_udp.h>

#include <string.h>

#include "common/api/route.h"
#include "dataplane/bench/direct.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/worker.h"
#include "dataplane/port/port.h"
#include "test/unit/dataplane/wireguard/gateway.h"

static uint32_t remote_index = 100;

/* A session as a handshake would derive it; its keys are its remote index, repeated. */
static struct noise_keys derive(bool initiator)
{
	struct noise_keys keys = {.remote_index = ++remote_index, .initiator = initiator};

	memset(keys.send.bytes, (int)remote_index, KEY_SIZE);
	memset(keys.receive.bytes, (int)remote_index + 100, KEY_SIZE);
	assert_int_equal(index_table_take(gateway_peer(), 0, &keys.local_index), 0);
	return keys;
}

static struct keypair *install(bool initiator)
{
	struct noise_keys keys = derive(initiator);

	keypair_install(gateway_peer(), &keys, clock_ms());
	return index_table_find(keys.local_index);
}

static void drain(void)
{
	struct rte_mbuf *mbuf;

	gateway_walk();
	while (rte_ring_dequeue(gateway.wan.from_port, (void **)&mbuf) == 0)
		rte_pktmbuf_free(mbuf);
}

static void expect(
	const struct keypair *next, const struct keypair *current, const struct keypair *previous)
{
	const struct wg_peer *peer = gateway_peer();

	assert_ptr_equal(atomic_load(&peer->next), next);
	assert_ptr_equal(atomic_load(&peer->current), current);
	assert_ptr_equal(peer->thread.previous, previous);
}

static void rotation_is_the_kernels(void **state)
{
	struct wg_peer *peer = gateway_peer();
	struct keypair *first = atomic_load(&peer->current), *second, *third, *fourth;
	uint32_t gone;

	expect(NULL, first, NULL);
	second = install(true);
	expect(NULL, second, first);
	gone = first->local_index;
	third = install(false); /* nobody may have the previous one and a next one */
	expect(third, second, NULL);
	assert_null(index_table_find(gone));
	gone = third->local_index;
	third = install(false); /* the peer answered its own retransmission */
	expect(third, second, NULL);
	assert_null(index_table_find(gone));
	keypair_confirm(peer, gone, clock_ms()); /* too late, and of no effect */
	expect(third, second, NULL);
	keypair_confirm(peer, third->local_index, clock_ms());
	expect(NULL, third, second);
	fourth = install(false);
	gone = third->local_index;
	expect(fourth, third, NULL);
	second = install(true); /* both began: what the peer made may be in use already */
	expect(NULL, second, fourth);
	assert_null(index_table_find(gone));
	assert_ptr_equal(index_table_find(fourth->local_index), fourth);
	drain();
}

static void responder_waits_for_the_first_packet(void **state)
{
	struct keypair *before = atomic_load(&gateway_peer()->current), *keypair = install(false);
	uint8_t inner[64] = {0x45};
	struct gateway_sealed sealed;

	assert_true(atomic_load(&keypair->unconfirmed));
	gateway_put(inner, sizeof(inner));
	gateway_walk();
	assert_true(gateway_take(before->send_key, &sealed));
	assert_int_equal(sealed.receiver, before->remote_index);
	gateway_arrive(keypair->receive_key,
		&(struct gateway_message){.receiver = keypair->local_index, .plain = ""});
	gateway_walk();
	assert_false(atomic_load(&keypair->unconfirmed));
}

/* A keepalive, or else what waits: the responder may not send before it has heard us. */
static void initiator_speaks_at_once(void **state)
{
	struct wg_peer *peer = gateway_peer();
	struct gateway_sealed sealed;
	struct keypair *keypair = install(true);
	struct rte_mbuf *mbuf;

	gateway_walk();
	assert_true(gateway_take(keypair->send_key, &sealed));
	assert_int_equal(sealed.size, 0);
	assert_false(gateway_take(keypair->send_key, &sealed));
	for (unsigned i = 0; i < WG_STAGED_MAX + 2; i++) {
		mbuf = rte_pktmbuf_alloc(packet_pool());
		assert_non_null(mbuf);
		*packet_of(mbuf) = (struct packet){.peer = peer->id};
		memset(rte_pktmbuf_append(mbuf, 32), (int)i, 32);
		staged_put(peer, mbuf);
	}
	keypair = install(true);
	gateway_walk();
	for (unsigned i = 2; i < WG_STAGED_MAX + 2; i++) { /* the oldest two had to go */
		assert_true(gateway_take(keypair->send_key, &sealed));
		assert_int_equal(sealed.size, 32);
		assert_int_equal(sealed.plain[0], i);
	}
	assert_false(gateway_take(keypair->send_key, &sealed));
}

/* A packet of the peer's to the server, and what leaves of it after its translation. */
static void begin_flow(const struct keypair *keypair, uint8_t *sent, size_t *size)
{
	struct {
		struct rte_ipv4_hdr ip;
		struct rte_udp_hdr udp;
	} __rte_packed inner = {.ip = {.version_ihl = 0x45,
					.time_to_live = 64,
					.next_proto_id = IPPROTO_UDP,
					.total_length = rte_cpu_to_be_16(sizeof(inner)),
					.src_addr = rte_cpu_to_be_32(RIG_INSIDE_NET + 10),
					.dst_addr = rte_cpu_to_be_32(RIG_SERVER_ADDR)},
		.udp = {.src_port = RTE_BE16(1000),
			.dst_port = RTE_BE16(2000),
			.dgram_len = RTE_BE16(8)}};

	inner.ip.hdr_checksum = rte_ipv4_cksum(&inner.ip);
	gateway_arrive(keypair->receive_key,
		&(struct gateway_message){
			.receiver = keypair->local_index, .plain = &inner, .size = sizeof(inner)});
	gateway_walk();
	assert_int_equal(gateway_forwarded(sent, size), 1);
}

/* What left by `inet` comes back as its answer: sums stay as they are. */
static void answer(const uint8_t *sent, size_t size)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(packet_pool());
	struct rte_ether_hdr *ether;
	struct rte_ipv4_hdr *ip;
	struct rte_udp_hdr *udp;

	assert_non_null(mbuf);
	ether = (struct rte_ether_hdr *)rte_pktmbuf_append(mbuf, (uint16_t)(sizeof(*ether) + size));
	assert_non_null(ether);
	*ether = (struct rte_ether_hdr){.dst_addr = port_get(RIG_PORT_INET)->mac,
		.src_addr = {{2}},
		.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)};
	ip = memcpy(ether + 1, sent, size);
	udp = (struct rte_udp_hdr *)(ip + 1);
	RTE_SWAP(ip->src_addr, ip->dst_addr);
	RTE_SWAP(udp->src_port, udp->dst_port);
	assert_int_equal(rte_ring_enqueue(gateway.inet.to_port, mbuf), 0);
}

/* Who sent what waited for a handshake that is given up is told, as the address translation has
 * it: host unreachable. The handshake thread's part is done here. */
static void given_up_is_told(void **state)
{
	struct wg_peer *peer = gateway_peer();
	uint64_t dropped = drop_total(DROP(wireguard, STAGED_DROPPED));
	uint8_t sent[GATEWAY_FRAME_MAX], told[GATEWAY_FRAME_MAX];
	const struct rte_ipv4_hdr *ip = (const void *)told;
	size_t size, told_size;
	struct wg_event event;

	/* from which the gateway speaks to those behind a tunnel */
	DIRECT_COMMIT(gateway.worker, API_LOCAL_SET, api_local_set,
		.addr = {.family = ADDR_V4, .bytes = {100, 64, 0, 1}});
	begin_flow(install(true), sent, &size);
	drain();
	while (events_take(0, &event, 1) == 1)
		;
	keypairs_destroy(peer);
	answer(sent, size);
	gateway_walk();
	assert_int_equal(events_take(0, &event, 1), 1);
	assert_int_equal(event.kind, WG_EVENT_STAGE);
	staged_put(peer, event.mbuf);
	staged_drop(peer);
	assert_int_equal(peer->thread.staged_count, 0);
	gateway_walk();
	assert_int_equal(drop_total(DROP(wireguard, STAGED_DROPPED)), dropped + 1);
	assert_int_equal(gateway_forwarded(told, &told_size), 1);
	assert_int_equal(ip->next_proto_id, IPPROTO_ICMP);
	assert_int_equal(ip->dst_addr, rte_cpu_to_be_32(RIG_SERVER_ADDR));
	assert_int_equal(told[20], 3);
	assert_int_equal(told[21], 1);
	/* quoted as the server sent it: to the egress address and port */
	assert_memory_equal(told + 28 + 16, sent + 12, 4);
	assert_memory_equal(told + 28 + 22, sent + 20, 2);
	install(true);
	drain();
}

static struct endpoint endpoint_at(uint8_t host, uint16_t port)
{
	return (struct endpoint){
		.addr = {.family = ADDR_V4, .bytes = {198, 51, 100, host}}, .port = port};
}

/* Where the name leads is tried again when nobody answers where the peer was last heard; without
 * a name, or there already, nothing changes. When that is: handshake_time. */
static void given_up_leads_back_to_the_name(void **state)
{
	const struct endpoint name = endpoint_at(9, RIG_CLIENT_PORT), roamed = endpoint_at(10, 7);
	struct wg_peer *peer = gateway_peer();
	const struct wg_path *path;

	peer->thread.anchor = (struct endpoint){0};
	path_set(peer, &roamed, NULL);
	path_return(peer);
	path = atomic_load(&peer->path);
	assert_true(endpoint_equal(&path->remote, &roamed));
	peer->thread.anchor = name;
	path_return(peer);
	path = atomic_load(&peer->path);
	assert_true(endpoint_equal(&path->remote, &name));
	path_return(peer);
	assert_ptr_equal(atomic_load(&peer->path), path);
	peer->thread.anchor = (struct endpoint){0};
}

static void nothing_is_left(void **state)
{
	struct wg_peer *peer = gateway_peer();
	uint32_t local = atomic_load(&peer->current)->local_index;

	install(false);
	keypairs_destroy(peer);
	expect(NULL, NULL, NULL);
	assert_null(index_table_find(local));
	assert_null(index_table_peer(local));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rotation_is_the_kernels),
		cmocka_unit_test(responder_waits_for_the_first_packet),
		cmocka_unit_test(initiator_speaks_at_once),
		cmocka_unit_test(given_up_is_told),
		cmocka_unit_test(given_up_leads_back_to_the_name),
		cmocka_unit_test(nothing_is_left),
	};

	return cmocka_run_group_tests(tests, gateway_setup, NULL);
}
