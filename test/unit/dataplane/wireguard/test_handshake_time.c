/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* Handshakes over time: two nodes whose workers are modelled here, on an injected clock. */
#include <string.h>

#include "test/unit/dataplane/wireguard/world.h"

enum { TICK_MS = 10 }; /* also how long a handshake message travels */

/* A and B, the packets of data on their way, and what was counted. */
struct link {
	struct node nodes[2];
	struct node_peer *peers[2];
	unsigned taken[2]; /* messages of a node that were delivered */
	uint64_t now_ms;
	bool cut[2]; /* nothing that this node sends arrives */
	unsigned keepalives[2], data[2], staged[2];
	unsigned keepalives_asked[2];
};

static void link_init(struct link *link)
{
	memset(link, 0, sizeof(*link));
	link->now_ms = WORLD_T0_MS;
	for (int i = 0; i < 2; i++)
		node_init(&link->nodes[i], (uint8_t)(21 + i));
	for (int i = 0; i < 2; i++)
		link->peers[i] =
			node_add_peer(&link->nodes[i], link->nodes[!i].public_key.bytes, NULL);
}

static void link_fini(struct link *link)
{
	for (int i = 0; i < 2; i++)
		node_fini(&link->nodes[i]);
}

/* What a worker does to send one packet; size 0 = keepalive. */
static void worker_send(struct link *link, int from, size_t size)
{
	struct node_peer *peer = link->peers[from], *other = link->peers[!from];
	const struct node_keypair *keypair = &peer->current;
	uint64_t age = link->now_ms - keypair->since_ms;

	if (!keypair->valid || age >= WG_REJECT_AFTER_TIME_MS) {
		link->staged[from]++;
		timers_request(&peer->activity, TIMERS_SEND_STAGED);
		return;
	}
	if (keypair->keys.initiator && age >= WG_REKEY_AFTER_TIME_MS)
		timers_request(&peer->activity, TIMERS_REKEY);
	if (size > 0) {
		link->data[from]++;
		timers_data_sent(&peer->activity, link->now_ms);
	} else {
		link->keepalives[from]++;
		timers_packet_sent(&peer->activity, link->now_ms);
	}
	if (link->cut[from])
		return;
	/* It must be one of the keypairs that the receiver holds. */
	assert_true(node_open(other, &keypair->keys));
	if (size > 0)
		timers_data_received(&other->activity, link->now_ms);
	else
		timers_packet_received(&other->activity, link->now_ms);
	if (other->current.keys.initiator &&
		link->now_ms - other->current.since_ms >= WG_LAST_MINUTE_MS)
		timers_request(&other->activity, TIMERS_LAST_MINUTE);
}

static void deliver_handshakes(struct link *link, int from)
{
	struct node *node = &link->nodes[from], *other = &link->nodes[!from];
	struct handshake_source source = source_of((uint8_t)(1 + from), 51820);

	while (link->taken[from] < node->sent) {
		const struct node_message *message =
			&node->outbox[link->taken[from]++ % WORLD_OUTBOX];

		if (link->cut[from])
			continue;
		other->now_ms = link->now_ms;
		handshake_receive(
			other->handshake, message->bytes, message->size, &source, link->now_ms);
	}
}

static void tick(struct link *link)
{
	link->now_ms += TICK_MS;
	for (int i = 0; i < 2; i++) {
		struct node *node = &link->nodes[i];
		struct node_peer *peer = link->peers[i];

		node->now_ms = link->now_ms;
		node->wall.tv_sec = 1700000000 + (time_t)(link->now_ms / 1000);
		node->wall.tv_nsec = (long)(link->now_ms % 1000) * 1000000;
		deliver_handshakes(link, !i);
		handshake_peer_run(node->handshake, &peer->hs, link->now_ms);
		if (node->keepalive_now) {
			node->keepalive_now = false;
			worker_send(link, i, 0);
		}
		if (peer->keepalives > link->keepalives_asked[i]) {
			link->keepalives_asked[i] = peer->keepalives;
			worker_send(link, i, 0);
		}
	}
}

/* Runs for a while; each node sends data this often (0 = never). */
static void run(struct link *link, uint64_t seconds, unsigned every_a_ms, unsigned every_b_ms)
{
	unsigned every[2] = {every_a_ms, every_b_ms};
	uint64_t end_ms = link->now_ms + seconds * 1000;

	while (link->now_ms < end_ms) {
		tick(link);
		for (int i = 0; i < 2; i++)
			if (every[i] != 0 && link->now_ms % every[i] == 0)
				worker_send(link, i, 100);
	}
}

/* Data both ways for ten minutes: one handshake each 120 s, and never a packet without a key once
 * the first is there. */
static void steady_traffic_rekeys_each_two_minutes(void **state)
{
	struct link link;
	unsigned sessions, staged;

	link_init(&link);
	run(&link, 1, 50, 70);
	staged = link.staged[0] + link.staged[1];
	run(&link, 599, 50, 70);
	sessions = link.peers[0]->sessions;
	/* If both began at once the first counts twice, and so may each that follows. */
	assert_in_range(sessions, 5, 10);
	assert_int_equal(link.peers[1]->sessions, sessions);
	assert_int_equal(link.staged[0] + link.staged[1], staged);
	assert_int_equal(link.keepalives[0] + link.keepalives[1], sessions);
	assert_int_equal(link.peers[0]->clears + link.peers[1]->clears, 0);
	link_fini(&link);
}

/* One side sends, the other is silent: it acknowledges each 10 s, and the initiator rekeys. */
static void one_way_traffic(void **state)
{
	struct link link;

	link_init(&link);
	run(&link, 600, 50, 0);
	assert_in_range(link.peers[0]->sessions, 5, 6);
	assert_in_range(link.keepalives[1], 50, 62);
	assert_int_equal(link.data[1], 0);
	/* Nothing ever made the sender think that nobody hears. */
	assert_int_equal(link.peers[0]->clears, 0);
	link_fini(&link);
}

/* The silent side initiated, the other sends: the receiver renews in the last minute. */
static void receiver_renews_in_the_last_minute(void **state)
{
	struct link link;
	unsigned staged;

	link_init(&link);
	worker_send(&link, 0, 100); /* A initiates */
	run(&link, 2, 0, 0);
	assert_true(link.peers[0]->current.keys.initiator);
	staged = link.staged[1];
	/* A's keepalives would renew at 120 s; B's data finds A's keypair 165 s old otherwise. Here
	 * A is kept from asking by its silence: its acknowledgements come only each 10 s. */
	run(&link, 600, 0, 50);
	assert_int_equal(link.staged[1], staged);
	assert_in_range(link.peers[0]->sessions, 4, 6);
	link_fini(&link);
}

/* After the traffic there is silence: an acknowledgement, and then nothing but the end of keys. */
static void idle_tunnel_is_silent(void **state)
{
	struct link link;
	unsigned keepalives, sessions, sent;

	link_init(&link);
	run(&link, 30, 1000, 0);
	run(&link, 30, 0, 0);
	keepalives = link.keepalives[0] + link.keepalives[1];
	sessions = link.peers[0]->sessions;
	sent = link.nodes[0].sent + link.nodes[1].sent;
	run(&link, 480, 0, 0);
	assert_int_equal(link.keepalives[0] + link.keepalives[1], keepalives);
	assert_int_equal(link.peers[0]->sessions, sessions);
	assert_int_equal(link.nodes[0].sent + link.nodes[1].sent, sent);
	assert_true(link.peers[0]->current.valid);
	run(&link, 10, 0, 0);
	assert_int_equal(link.peers[0]->zeroings, 1);
	assert_int_equal(link.peers[1]->zeroings, 1);
	assert_false(link.peers[0]->current.valid || link.peers[1]->current.valid);
	assert_int_equal(link.nodes[0].indexes_used + link.nodes[1].indexes_used, 0);
	link_fini(&link);
}

/* The other end dies: after 15 s a handshake, source cleared, 20 sends, staged packets dropped. */
static void dead_peer_is_given_up(void **state)
{
	struct link link;
	struct node_peer *peer;
	unsigned sent;

	link_init(&link);
	run(&link, 10, 500, 500);
	peer = link.peers[0];
	sent = link.nodes[0].sent;
	link.cut[0] = link.cut[1] = true;
	worker_send(&link, 0, 100);
	run(&link, 14, 0, 0);
	assert_int_equal(link.nodes[0].sent, sent);
	run(&link, 2, 0, 0);
	assert_int_equal(link.nodes[0].sent, sent + 1);
	assert_int_equal(peer->clears, 1);
	run(&link, 110, 0, 0);
	assert_int_equal(link.nodes[0].sent, sent + 20);
	assert_int_equal(peer->clears, 20);
	assert_int_equal(peer->drops, 1);
	run(&link, 600, 0, 0);
	assert_int_equal(link.nodes[0].sent, sent + 20);
	assert_int_equal(peer->zeroings, 1);
	assert_int_equal(link.nodes[0].indexes_used, 0);
	/* It comes back with the next packet. */
	link.cut[0] = link.cut[1] = false;
	worker_send(&link, 0, 100);
	run(&link, 1, 0, 0);
	assert_true(peer->current.valid);
	link_fini(&link);
}

/* Lost handshake messages cost 5 s and some jitter each, no more. */
static void lost_messages_are_sent_again(void **state)
{
	struct link link;
	uint64_t begun;

	link_init(&link);
	link.cut[1] = true; /* responses are lost */
	worker_send(&link, 0, 100);
	run(&link, 12, 0, 0);
	assert_int_equal(link.nodes[0].sent, 3);
	assert_false(link.peers[0]->current.valid);
	link.cut[1] = false;
	begun = link.now_ms;
	while (!link.peers[0]->current.valid && link.now_ms - begun < 6000)
		tick(&link);
	assert_true(link.peers[0]->current.valid);
	run(&link, 1, 100, 100);
	assert_true(link.peers[1]->current.valid);
	link_fini(&link);
}

static void persistent_keepalive_holds_the_tunnel(void **state)
{
	struct link link;

	link_init(&link);
	timers_set_persistent(&link.peers[0]->hs.timers, 25);
	run(&link, 1, 0, 0);
	assert_true(link.peers[0]->current.valid);
	run(&link, 599, 0, 0);
	/* One each 25 s, less those that a handshake stood in for. */
	assert_in_range(link.keepalives[0], 20, 30);
	assert_in_range(link.peers[0]->sessions, 4, 5);
	assert_int_equal(link.keepalives[1], 0);
	link_fini(&link);
}

static void down_and_up_again(void **state)
{
	struct link link;
	struct node_peer *peer;

	link_init(&link);
	peer = link.peers[0];
	run(&link, 5, 100, 100);
	handshake_peer_down(link.nodes[0].handshake, &peer->hs);
	node_drop_sessions(&link.nodes[0], peer);
	link.cut[1] = true; /* what is down hears nothing */
	run(&link, 100, 0, 0);
	assert_false(peer->current.valid);
	link.cut[1] = false;
	timers_set_persistent(&peer->hs.timers, 25);
	timers_up(&peer->hs.timers);
	run(&link, 1, 0, 0);
	assert_true(peer->current.valid);
	link_fini(&link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steady_traffic_rekeys_each_two_minutes),
		cmocka_unit_test(one_way_traffic),
		cmocka_unit_test(receiver_renews_in_the_last_minute),
		cmocka_unit_test(idle_tunnel_is_silent),
		cmocka_unit_test(dead_peer_is_given_up),
		cmocka_unit_test(lost_messages_are_sent_again),
		cmocka_unit_test(persistent_keepalive_holds_the_tunnel),
		cmocka_unit_test(down_and_up_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
