/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * WireGuard peers at the far end of a gateway's memif port, simulated by code that shares none with
 * the product (sim_peer.c), and a host on another port that sends back what they send it.
 *
 *   memif_peers keys N                                      their public keys, in base64
 *   memif_peers flood ROLE SOCKET_A SOCKET_B KEY SECONDS    prints one line of JSON
 *   memif_peers rekey ROLE SOCKET_A SOCKET_B KEY PEERS      likewise
 *
 * KEY is the gateway's public key in base64. Peer n is 100.64.<1 + n / 250>.<1 + n % 250>, they
 * send from 10.1.0.2, each from a port of its own; the host is 10.2.0.2.
 *
 * flood: the first peer has a session and a stream through it. Meanwhile others send initiations
 * with a right mac1 and nothing right behind it, ten times as many as one core can answer, from
 * many addresses; and as many with a wrong mac1 as the port takes. And the other peers connect, one
 * after the other, each of them new to the gateway: they initiate again when they are sent a
 * cookie, or hear nothing for as long as a real client waits.
 *
 * rekey: all peers get sessions; then all of them get new ones, some at a time, each with a stream
 * through its tunnel before, while and after that happens.
 *
 * Both print "started" when there are sessions, and go on when they get a line of input.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <rte_common.h>
#include <rte_eal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/e2e/tools/memif_world.h"

enum {
	PEERS_MAX = 20000,
	STREAM_PER_TURN = 32,
	VALID_PER_S = 80000, /* ten times 8,000 */
	FLOOD_PER_TURN = 64,
	FLOOD_MESSAGES = 4096,
	FLOOD_HOSTS = 240, /* addresses it comes from, from 10.1.0.3 on */
	FLOOD_CLIENTS = 8, /* who want to get in meanwhile */
	FLOOD_MAX_S = 30,  /* for all of them */
	HANDSHAKES = 32,   /* under way at once */
	STREAM_MIN = 4,    /* datagrams before a rekey, and as many after it */
	NEIGHBOURS = 64,   /* peers around these that have a stream, too */
	CALM_TURNS = 20,   /* each AGAIN_NS */
	START_S = 60,      /* for the first sessions */
	DRAIN_NS = 3000000000,
	AGAIN_NS = 100000000, /* an initiation without an answer is made again */
	CLIENT_S = 5,         /* likewise, by a client in a flood */
};

/* Its first session, or the second one and a stream that has outlived the first. */
static bool is_done(const struct peer *peer)
{
	return peer->sessions >= peer->wanted && (peer->wanted == 1 || peer->back > 2 * STREAM_MIN);
}

static bool may_initiate(const struct peer *peer, uint64_t now)
{
	return peer->sessions < peer->wanted && now - peer->asked_ns > AGAIN_NS &&
	       (peer->wanted == 1 || peer->sent > STREAM_MIN);
}

/* Handshakes of peers from `first` on that want one, HANDSHAKES at a time. Returns the first peer
 * that has not got there. */
static unsigned run_handshakes(unsigned first)
{
	uint64_t now = memif_now_ns();

	while (first < world.count && is_done(&world.peers[first]))
		first++;
	for (unsigned i = first; i < world.count && i < first + HANDSHAKES; i++) {
		if (may_initiate(&world.peers[i], now))
			peer_initiate(&world.peers[i]);
	}
	return first;
}

static void connect_peers(unsigned count)
{
	uint64_t end = memif_now_ns() + START_S * UINT64_C(1000000000), asked = 0;
	unsigned done = 0;

	for (unsigned i = 0; i < count; i++)
		world.peers[i].wanted = 1;
	while (done < count) {
		uint64_t now = memif_now_ns();

		if (now > end)
			memif_die("no sessions with the gateway", ETIMEDOUT);
		if (!world.a.resolved && now - asked > AGAIN_NS) {
			asked = now;
			memif_ask_gateway(&world.a);
		}
		if (world.a.resolved)
			done = run_handshakes(done);
		world_poll();
	}
}

/* Says that it has started and waits for a line: what the test wants to be true first. */
static void await_go(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	puts("started");
	fflush(stdout);
	while (poll(&input, 1, 0) == 0)
		world_poll();
}

/* Until what is sent has come back for two seconds: the gateway's kernel forgets neighbours when
 * it learns, up to a second late, that a twin had no carrier at first. */
static void warm_up(void)
{
	uint64_t end = memif_now_ns() + START_S * UINT64_C(1000000000);
	unsigned good = 0;

	while (good < CALM_TURNS) {
		uint64_t back = world.back, again = memif_now_ns() + AGAIN_NS;

		if (again > end)
			memif_die("nothing comes back from the host", ETIMEDOUT);
		world.sent = world.back; /* what was lost so far is no matter */
		peer_send_stream(&world.peers[0]);
		while (memif_now_ns() < again) {
			world_poll();
			memif_pause();
		}
		good = world.back > back ? good + 1 : 0;
	}
	world.sent = world.at_host = world.back = 0;
}

static void drain(void)
{
	uint64_t end = memif_now_ns() + DRAIN_NS;

	while (world.back < world.sent && memif_now_ns() < end) {
		world_poll();
		memif_pause();
	}
}

static void print_stream(void)
{
	printf("{\"sent\": %" PRIu64 ", \"at_host\": %" PRIu64 ", \"back\": %" PRIu64
	       ", \"disordered\": %" PRIu64 ", \"strange\": %" PRIu64 ", \"latest\": %" PRIu64,
		world.sent, world.at_host, world.back, world.disordered, world.strange,
		world.latest);
}

/* A right mac1, and nothing right behind it. */
static void make_flood(uint8_t (*messages)[SIM_INITIATION])
{
	struct sim_peer stranger = {0};

	memcpy(stranger.remote_key, world.gateway_key, 32);
	for (uint32_t i = 0; i < FLOOD_MESSAGES; i++) {
		for (unsigned k = 0; k < 4; k++)
			sim_blake2s(messages[i] + 32 * k, 32, "flood", 5, (uint32_t[2]){i, k}, 8);
		messages[i][0] = 1;
		memset(messages[i] + 1, 0, 3);
		memset(messages[i] + 4, 0xff, 4); /* no peer's */
		sim_peer_add_macs(&stranger, messages[i], SIM_INITIATION);
	}
}

/* A burst of the flood, of which the n-th message is next; fewer if the port is full. */
static uint64_t send_flood(uint8_t (*messages)[SIM_INITIATION], uint64_t n, uint64_t elapsed_ns)
{
	for (unsigned i = 0; i < FLOOD_PER_TURN; i++, n++) {
		bool valid = world.valid < elapsed_ns * VALID_PER_S / 1000000000;
		uint8_t message[SIM_INITIATION];

		memcpy(message, messages[n % FLOOD_MESSAGES], sizeof(message));
		message[SIM_INITIATION - 32] ^= !valid;
		if (!message_send(MEMIF_NET(1, 3) + (uint32_t)(n % FLOOD_HOSTS),
			    (uint16_t)(1024 + n % 50000), message, sizeof(message)))
			break;
		*(valid ? &world.valid : &world.bad) += 1;
	}
	return n;
}

/* The first client without a session does what it can. Returns how many have one. */
static unsigned run_clients(unsigned connected)
{
	struct peer *client = &world.peers[1 + connected];
	uint64_t now = memif_now_ns();

	if (client->sessions != 0)
		return connected + 1;
	if (client->cookies >= client->attempts ||
		now - client->asked_ns > CLIENT_S * UINT64_C(1000000000))
		peer_initiate(client);
	return connected;
}

static void print_clients(unsigned connected)
{
	unsigned most = 0, cookies = 0;

	for (unsigned i = 1; i <= FLOOD_CLIENTS; i++) {
		most = RTE_MAX(most, world.peers[i].attempts);
		cookies += world.peers[i].cookies;
	}
	printf(", \"clients\": {\"connected\": %u, \"of\": %u, \"most_initiations\": %u, "
	       "\"cookies\": %u}}\n",
		connected, FLOOD_CLIENTS, most, cookies);
}

static void run_flood(uint64_t seconds)
{
	static uint8_t messages[FLOOD_MESSAGES][SIM_INITIATION];
	uint64_t start, elapsed_ns, n = 0;
	unsigned connected = 0;

	for (unsigned i = 1; i <= FLOOD_CLIENTS; i++)
		world.peers[i].ip = MEMIF_NET(1, 2 + FLOOD_HOSTS + i);
	make_flood(messages);
	connect_peers(1);
	warm_up();
	await_go();
	start = memif_now_ns();
	do {
		elapsed_ns = memif_now_ns() - start;
		for (unsigned i = 0; i < STREAM_PER_TURN && peer_send_stream(&world.peers[0]); i++)
			;
		n = send_flood(messages, n, elapsed_ns);
		/* Into the flood, when it has been going for a while. */
		if (elapsed_ns > seconds * 250000000 && connected < FLOOD_CLIENTS)
			connected = run_clients(connected);
		world_poll();
	} while (elapsed_ns < seconds * 1000000000 ||
		 (connected < FLOOD_CLIENTS && elapsed_ns < FLOOD_MAX_S * UINT64_C(1000000000)));
	drain();
	print_stream();
	printf(", \"valid\": %" PRIu64 ", \"bad\": %" PRIu64 ", \"replies\": %" PRIu64, world.valid,
		world.bad, world.replies);
	print_clients(connected);
}

/* A stream for each peer around those that are at it. */
static void stream_around(unsigned at, unsigned *turn)
{
	unsigned first = at > NEIGHBOURS ? at - NEIGHBOURS : 0;
	unsigned last = RTE_MIN(at + HANDSHAKES + NEIGHBOURS, world.count);

	for (unsigned i = 0; i < STREAM_PER_TURN; i++) {
		if (!peer_send_stream(&world.peers[first + (*turn)++ % (last - first)]))
			return;
	}
}

static void run_rekey(void)
{
	unsigned done = 0, turn = 0, through = 0, attempts = 0;
	uint64_t start, end;

	connect_peers(world.count);
	warm_up();
	await_go();
	for (unsigned i = 0; i < world.count; i++) {
		world.peers[i].wanted = 2;
		world.peers[i].attempts = 0;
	}
	start = memif_now_ns();
	while (done < world.count) {
		if (memif_now_ns() - start > START_S * UINT64_C(1000000000))
			break;
		done = run_handshakes(done);
		stream_around(done, &turn);
		world_poll();
	}
	end = memif_now_ns();
	for (unsigned i = 0; i < 100; i++) { /* and a little beyond the last one */
		stream_around(world.count - 1, &turn);
		world_poll();
	}
	drain();
	for (unsigned i = 0; i < world.count; i++) {
		through += world.peers[i].sessions == 2 && is_done(&world.peers[i]);
		attempts += world.peers[i].attempts;
	}
	print_stream();
	printf(", \"rekeyed\": %u, \"attempts\": %u, \"ms\": %" PRIu64 "}\n", through, attempts,
		(end - start) / 1000000);
}

static void print_keys(unsigned count)
{
	for (uint32_t i = 0; i < count; i++) {
		char text[sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_ORIGINAL)];
		struct peer peer;

		peer_make(&peer, i);
		puts(sodium_bin2base64(text, sizeof(text), peer.sim.public_key, 32,
			sodium_base64_VARIANT_ORIGINAL));
	}
}

int main(int argc, char **argv)
{
	bool flood = argc == 7 && strcmp(argv[1], "flood") == 0;
	size_t size;

	if (sodium_init() < 0)
		return 1;
	if (argc == 3 && strcmp(argv[1], "keys") == 0) {
		print_keys((unsigned)strtoul(argv[2], NULL, 10));
		return 0;
	}
	if (argc != 7 || (!flood && strcmp(argv[1], "rekey") != 0) ||
		sodium_base642bin(world.gateway_key, 32, argv[5], strlen(argv[5]), NULL, &size,
			NULL, sodium_base64_VARIANT_ORIGINAL) != 0) {
		fputs("usage: memif_peers keys N\n"
		      "       memif_peers flood|rekey ROLE SOCKET_A SOCKET_B KEY SECONDS|PEERS\n",
			stderr);
		return 2;
	}
	world.count = flood ? 1 + FLOOD_CLIENTS
			    : RTE_MIN((unsigned)strtoul(argv[6], NULL, 10), PEERS_MAX);
	world.peers = calloc(world.count, sizeof(*world.peers));
	memif_start_eal(argv[2], &argv[3]);
	if (world.peers == NULL)
		memif_die("memory", ENOMEM);
	for (unsigned i = 0; i < world.count; i++)
		peer_make(&world.peers[i], i);
	memif_open_both(&world.a, &world.b, 1);
	if (flood)
		run_flood(strtoull(argv[6], NULL, 10));
	else
		run_rekey();
	rte_eal_cleanup();
	return 0;
}
