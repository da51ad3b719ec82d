/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/e2e/tools/memif_world.h"

#include <rte_ethdev.h>
#include <rte_udp.h>

#include <sodium.h>
#include <string.h>

enum {
	LISTEN = 51820,
	FIRST_PORT = 2000,
	WINDOW = 256,     /* as many as may wait on a worker (HOLD_MAX), so that it may be late */
	INDEX_SHIFT = 16, /* of a receiver index: above it the peer */
};

struct inner {
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
	uint32_t peer;
	uint32_t zero;
	uint64_t number;
	uint32_t pad; /* to a multiple of 16, as WireGuard pads */
} __attribute__((packed));

struct outer {
	struct memif_headers headers;
	struct rte_udp_hdr udp;
	uint8_t payload[SIM_INITIATION];
} __attribute__((packed, aligned(2)));

struct world world;

static void put32(uint8_t *to, uint32_t value)
{
	value = htole32(value);
	memcpy(to, &value, sizeof(value));
}

static uint32_t get32(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return le32toh(value);
}

void peer_make(struct peer *peer, uint32_t number)
{
	memset(peer, 0, sizeof(*peer));
	sim_peer_init(&peer->sim, 0);
	sim_blake2s(peer->sim.private_key, 32, "peer", 4, &number, sizeof(number));
	crypto_scalarmult_base(peer->sim.public_key, peer->sim.private_key);
	memcpy(peer->sim.remote_key, world.gateway_key, 32);
	peer->sim.local_index = number << INDEX_SHIFT;
}

static uint32_t inside_addr(uint32_t peer)
{
	return RTE_IPV4(100, 64, 1 + peer / 250, 1 + peer % 250);
}

/* --- Sending ------------------------------------------------------------------------------- */

bool message_send(uint32_t source, uint16_t port, const void *payload, uint16_t size)
{
	struct outer outer;
	uint16_t length = (uint16_t)(sizeof(outer.headers.ip) + sizeof(outer.udp) + size);

	memif_write_headers(&outer.headers, &world.a, source, world.a.gateway, length);
	outer.udp = (struct rte_udp_hdr){.src_port = rte_cpu_to_be_16(port),
		.dst_port = rte_cpu_to_be_16(LISTEN),
		.dgram_len = rte_cpu_to_be_16((uint16_t)(sizeof(outer.udp) + size))};
	memcpy(outer.payload, payload, size);
	return memif_send(
		&world.a, 0, &outer, sizeof(outer.headers) + sizeof(outer.udp) + (size_t)size);
}

static bool send_of(const struct peer *peer, const void *payload, uint16_t size)
{
	return message_send(peer->ip != 0 ? peer->ip : world.a.ip,
		(uint16_t)(FIRST_PORT + (peer - world.peers)), payload, size);
}

void peer_initiate(struct peer *peer)
{
	uint8_t message[SIM_INITIATION];

	peer->sim.seconds++;
	peer->asked_ns = memif_now_ns();
	sim_peer_initiate(&peer->sim, message);
	if (send_of(peer, message, sizeof(message)))
		peer->attempts++;
}

static bool send_sealed(struct peer *peer, const void *plain, size_t size)
{
	struct session *session = &peer->now;
	uint8_t message[16 + sizeof(struct inner) + 16];
	uint8_t nonce[12] = {0};

	put32(message, 4);
	put32(message + 4, session->remote);
	memcpy(message + 8, &session->counter, 8);
	memcpy(nonce + 4, &session->counter, 8);
	crypto_aead_chacha20poly1305_ietf_encrypt(
		message + 16, NULL, plain, size, NULL, 0, NULL, nonce, session->send);
	session->counter++;
	return send_of(peer, message, (uint16_t)(16 + size + 16));
}

/* The next datagram of the peer's stream. */
bool peer_send_stream(struct peer *peer)
{
	uint32_t number = (uint32_t)(peer - world.peers);
	struct inner inner = {
		.ip = {.version_ihl = RTE_IPV4_VHL_DEF,
			.total_length = rte_cpu_to_be_16(offsetof(struct inner, pad)),
			.time_to_live = 64,
			.next_proto_id = IPPROTO_UDP,
			.src_addr = rte_cpu_to_be_32(inside_addr(number)),
			.dst_addr = rte_cpu_to_be_32(world.b.ip)},
		.udp = {.src_port = rte_cpu_to_be_16(FIRST_PORT),
			.dst_port = rte_cpu_to_be_16(FIRST_PORT),
			.dgram_len =
				rte_cpu_to_be_16(offsetof(struct inner, pad) - sizeof(inner.ip))},
		.peer = number,
		.number = peer->sent,
	};

	if (peer->sessions == 0 || world.sent - world.back >= WINDOW)
		return false;
	inner.ip.hdr_checksum = rte_ipv4_cksum(&inner.ip);
	if (!send_sealed(peer, &inner, sizeof(inner)))
		return false;
	peer->sent++;
	world.sent++;
	return true;
}

/* --- Receiving ----------------------------------------------------------------------------- */

/* Numbers of a flow only rise; what is missing shows in the sums. */
static void note(uint64_t *next, uint64_t number)
{
	if (number < *next)
		world.disordered++;
	else
		*next = number + 1;
}

static void take_response(struct peer *peer, const uint8_t *message)
{
	if (get32(message + 8) != peer->sim.local_index)
		return; /* to an initiation that was made again before its answer came */
	if (!sim_peer_finish(&peer->sim, message)) {
		world.strange++;
		return;
	}
	peer->before = peer->now;
	peer->now =
		(struct session){.local = peer->sim.local_index, .remote = peer->sim.remote_index};
	memcpy(peer->now.send, peer->sim.send_key, 32);
	memcpy(peer->now.receive, peer->sim.receive_key, 32);
	peer->sessions++;
	send_sealed(peer, NULL, 0); /* a keepalive: the gateway may send from now on */
}

/* Counters are sent in order; a receiver's window may be as small as 1,024. */
static void note_counter(struct session *session, const uint8_t *message)
{
	uint64_t counter;

	memcpy(&counter, message + 8, sizeof(counter));
	counter = le64toh(counter);
	if (counter >= session->newest)
		session->newest = counter + 1;
	else
		world.latest = RTE_MAX(world.latest, session->newest - 1 - counter);
}

static void take_data(struct peer *peer, const uint8_t *message, size_t size)
{
	uint32_t local = get32(message + 4);
	struct session *session = local == peer->now.local ? &peer->now : &peer->before;
	uint8_t nonce[12] = {0};
	struct inner inner;

	memcpy(nonce + 4, message + 8, 8);
	if (size == 32 && session->local == local)
		return; /* a keepalive */
	if (session->local != local || size != 32 + sizeof(inner) ||
		crypto_aead_chacha20poly1305_ietf_decrypt((uint8_t *)&inner, NULL, NULL,
			message + 16, size - 16, NULL, 0, nonce, session->receive) != 0 ||
		inner.peer != (uint32_t)(peer - world.peers)) {
		world.strange++;
		return;
	}
	note_counter(session, message);
	note(&peer->back, inner.number);
	world.back++;
}

static struct peer *peer_of(uint32_t index)
{
	uint32_t number = index >> INDEX_SHIFT;

	return number < world.count ? &world.peers[number] : NULL;
}

static void take_message(const uint8_t *message, size_t size)
{
	uint32_t type = get32(message);
	struct peer *peer = peer_of(get32(message + (type == 2 ? 8 : 4)));

	if (type == 3)
		world.replies++;
	if (peer == NULL)
		return; /* the flood's */
	if (type == 2 && size == SIM_RESPONSE)
		take_response(peer, message);
	else if (type == 3 && size == SIM_COOKIE)
		peer->cookies += sim_peer_take_cookie(&peer->sim, message);
	else if (type == 4)
		take_data(peer, message, size);
}

static void take_at_a(const struct rte_mbuf *mbuf)
{
	size_t offset = sizeof(struct memif_headers) + sizeof(struct rte_udp_hdr);

	if (rte_pktmbuf_data_len(mbuf) >= offset + 32)
		take_message(rte_pktmbuf_mtod_offset(mbuf, const uint8_t *, offset),
			rte_pktmbuf_data_len(mbuf) - offset);
}

/* The host sends back what it got. */
static void take_at_b(const struct rte_mbuf *mbuf)
{
	struct {
		struct rte_ether_hdr ether;
		struct inner inner;
	} __attribute__((packed, aligned(2))) frame;
	size_t size = sizeof(frame) - sizeof(frame.inner.pad);
	uint32_t source;

	if (rte_pktmbuf_data_len(mbuf) < size)
		return;
	memcpy(&frame, rte_pktmbuf_mtod(mbuf, const void *), size);
	if (frame.inner.udp.dst_port != rte_cpu_to_be_16(FIRST_PORT) ||
		frame.inner.peer >= world.count) {
		world.strange++;
		return;
	}
	note(&world.peers[frame.inner.peer].at_host, frame.inner.number);
	world.at_host++;
	frame.ether.dst_addr = frame.ether.src_addr;
	frame.ether.src_addr = world.b.mac;
	source = frame.inner.ip.src_addr;
	frame.inner.ip.src_addr = frame.inner.ip.dst_addr;
	frame.inner.ip.dst_addr = source;
	memif_send(&world.b, 0, &frame, size);
}

static void poll_host(struct memif_host *host)
{
	struct rte_mbuf *mbufs[MEMIF_BURST];
	uint16_t n = rte_eth_rx_burst(host->port, 0, mbufs, MEMIF_BURST);

	for (uint16_t i = 0; i < n; i++) {
		uint16_t type = rte_pktmbuf_mtod(mbufs[i], struct rte_ether_hdr *)->ether_type;

		if (type == rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP))
			memif_take_arp(host, mbufs[i]);
		else if (type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4))
			; /* IPv6 neighbours */
		else if (host == &world.a)
			take_at_a(mbufs[i]);
		else
			take_at_b(mbufs[i]);
		rte_pktmbuf_free(mbufs[i]);
	}
}

void world_poll(void)
{
	for (unsigned i = 0; i < 4; i++) {
		poll_host(&world.a);
		poll_host(&world.b);
	}
}
