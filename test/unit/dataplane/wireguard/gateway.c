/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/unit/dataplane/wireguard/gateway.h"

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_udp.h>

#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "common/base/log.h"
#include "dataplane/graph/graph.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/args.h"
#include "dataplane/port/port.h"

enum { WALKS = 4, PEER = 1 };

struct rig gateway;
uint16_t gateway_client_port = RIG_CLIENT_PORT;
uint16_t gateway_port_in = RIG_PORT_WAN;

int gateway_setup(void **state)
{
	char name[] = "test", workers[] = "--workers=1", socket[] = "--socket=/dev/null",
	     memory[] = "--memory=256", huge[] = "--hugepages=off", peers[] = "--max-peers=16";
	char *own[] = {name, workers, socket, memory, huge, peers, NULL};
	struct gateway_sealed first;
	struct args args;

	optind = 1;
	if (sodium_init() < 0 || args_parse(6, own, &args) != ARGS_RUN)
		return -1;
	log_set_level(NULL, LOG_LEVEL_WARN);
	rig_start(&gateway, &args, NULL, 1);
	gateway_walk();
	while (gateway_take(gateway.key_down, &first))
		; /* the keepalive by which an initiator confirms its session */
	return 0;
}

struct wg_peer *gateway_peer(void)
{
	return wg_peer_get(PEER);
}

void gateway_put(const void *inner, uint16_t size)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(packet_pool());

	assert_non_null(mbuf);
	memcpy(rte_pktmbuf_append(mbuf, size), inner, size);
	*packet_of(mbuf) = (struct packet){.peer = PEER};
	assert_int_equal(handoff_send(HANDOFF_HANDSHAKE, 0, GRAPH_SEAL, &mbuf, 1), 1);
}

void gateway_walk(void)
{
	for (unsigned i = 0; i < WALKS; i++)
		rig_walk(&gateway);
}

bool gateway_take(const uint8_t key[32], struct gateway_sealed *sealed)
{
	struct rte_mbuf *mbuf;
	const struct wg_data *data;
	uint8_t nonce[12] = {0};
	size_t length;

	if (rte_ring_dequeue(gateway.wan.from_port, (void **)&mbuf) != 0)
		return false;
	length = rte_pktmbuf_data_len(mbuf) - RTE_ETHER_HDR_LEN - GATEWAY_OUTER;
	assert_in_range(length, WG_KEEPALIVE_SIZE, GATEWAY_FRAME_MAX);
	memcpy(sealed->outer, rte_pktmbuf_mtod_offset(mbuf, uint8_t *, RTE_ETHER_HDR_LEN),
		GATEWAY_OUTER);
	data = rte_pktmbuf_mtod_offset(
		mbuf, const struct wg_data *, RTE_ETHER_HDR_LEN + GATEWAY_OUTER);
	assert_int_equal(le32toh(data->type), WG_TYPE_DATA);
	sealed->receiver = le32toh(data->receiver);
	sealed->counter = le64toh(data->counter);
	sealed->size = length - WG_KEEPALIVE_SIZE;
	memcpy(nonce + 4, &data->counter, sizeof(data->counter));
	assert_int_equal(crypto_aead_chacha20poly1305_ietf_decrypt(sealed->plain, NULL, NULL,
				 (const uint8_t *)(data + 1), sealed->size + WG_TAG_SIZE, NULL, 0,
				 nonce, key),
		0);
	rte_pktmbuf_free(mbuf);
	return true;
}

void gateway_arrive_bytes(const void *payload, uint16_t size, uint8_t outer_tos)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(packet_pool());
	const struct wire *wire;
	struct rte_ether_hdr *ether;
	struct rte_ipv4_hdr *ip;
	struct rte_udp_hdr *udp;

	assert_non_null(mbuf);
	ether = (struct rte_ether_hdr *)rte_pktmbuf_append(
		mbuf, (uint16_t)(sizeof(*ether) + GATEWAY_OUTER + size));
	assert_non_null(ether);
	ip = (struct rte_ipv4_hdr *)(ether + 1);
	udp = (struct rte_udp_hdr *)(ip + 1);
	ether->dst_addr = port_get(gateway_port_in)->mac;
	memset(&ether->src_addr, 2, sizeof(ether->src_addr));
	ether->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.type_of_service = outer_tos,
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.total_length = rte_cpu_to_be_16((uint16_t)(GATEWAY_OUTER + size)),
		.src_addr = RTE_BE32(RIG_CLIENT_ADDR),
		.dst_addr = RTE_BE32(RIG_WAN_ADDR)};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	*udp = (struct rte_udp_hdr){.src_port = rte_cpu_to_be_16(gateway_client_port),
		.dst_port = RTE_BE16(RIG_LISTEN),
		.dgram_len = rte_cpu_to_be_16((uint16_t)(sizeof(*udp) + size))};
	memcpy(udp + 1, payload, size);
	wire = gateway_port_in == RIG_PORT_WAN ? &gateway.wan : &gateway.inet;
	assert_int_equal(rte_ring_enqueue(wire->to_port, mbuf), 0);
}

void gateway_arrive(const uint8_t key[32], const struct gateway_message *message)
{
	uint8_t bytes[GATEWAY_FRAME_MAX];
	struct wg_data *data = (struct wg_data *)bytes;
	uint8_t nonce[12] = {0};

	*data = (struct wg_data){.type = htole32(WG_TYPE_DATA),
		.receiver = htole32(message->receiver),
		.counter = htole64(message->counter)};
	memcpy(nonce + 4, &data->counter, sizeof(data->counter));
	crypto_aead_chacha20poly1305_ietf_encrypt((uint8_t *)(data + 1), NULL, message->plain,
		message->size, NULL, 0, NULL, nonce, key);
	if (message->forged)
		((uint8_t *)(data + 1))[message->size] ^= 1;
	gateway_arrive_bytes(
		bytes, (uint16_t)(WG_KEEPALIVE_SIZE + message->size), message->outer_tos);
}

unsigned gateway_forwarded(uint8_t *last, size_t *size)
{
	struct rte_mbuf *mbuf;
	unsigned n = 0;

	for (; rte_ring_dequeue(gateway.inet.from_port, (void **)&mbuf) == 0; n++) {
		if (last != NULL) {
			*size = rte_pktmbuf_data_len(mbuf) - RTE_ETHER_HDR_LEN;
			memcpy(last, rte_pktmbuf_mtod_offset(mbuf, uint8_t *, RTE_ETHER_HDR_LEN),
				*size);
		}
		rte_pktmbuf_free(mbuf);
	}
	return n;
}
