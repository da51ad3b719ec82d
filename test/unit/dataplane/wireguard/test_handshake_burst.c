/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages and peers in bursts: what comes of them is what would have come of one after the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "test/unit/dataplane/wireguard/sim_peer.h"
#include "test/unit/dataplane/wireguard/world.h"

enum {
	PEERS = 6,
	STRANGER = PEERS, /* a simulated peer that nobody knows */
	ITEMS_MAX = 80,   /* more than fit into one burst */
	ROUNDS = 30,
	ROUND_MS = 6000, /* initiations are spaced by 5 s */
};

/* A node and the simulated peers that it knows. */
struct side {
	struct node node;
	struct node_peer *peers[PEERS];
	struct sim_peer sims[PEERS + 1];
	uint8_t bytes[ITEMS_MAX][WG_INITIATION_SIZE];
	struct handshake_message messages[ITEMS_MAX];
	unsigned count;
};

/* What is sent; of all kinds, in any order. */
enum kind {
	FRESH,       /* an initiation */
	AGAIN,       /* a copy of something before it in the same burst */
	STALE,       /* an initiation with the timestamp of the last one */
	ALTERED,     /* an initiation or response that does not authenticate */
	BAD_MAC,     /* an initiation */
	RESPONSE,    /* to our initiation, if there is one */
	COOKIE,      /* asked of our initiation, if there is one */
	OF_STRANGER, /* an initiation by nobody we know */
	SHORT,       /* no message at all */
	KINDS,
};

static uint64_t random_state;

static unsigned draw(unsigned bound)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(random_state >> 33) % bound;
}

static void side_init(struct side *side)
{
	memset(side, 0, sizeof(*side));
	node_init(&side->node, 7);
	for (unsigned i = 0; i <= PEERS; i++) {
		sim_peer_init(&side->sims[i], (uint8_t)(1 + i));
		memcpy(side->sims[i].remote_key, side->node.public_key.bytes, KEY_SIZE);
		if (i < PEERS)
			side->peers[i] = node_add_peer(&side->node, side->sims[i].public_key, NULL);
	}
}

static uint8_t *add(struct side *side, size_t size, unsigned host)
{
	uint8_t *bytes = side->bytes[side->count];

	side->messages[side->count++] = (struct handshake_message){
		.bytes = bytes, .length = size, .source = source_of((uint8_t)host, 40000)};
	return bytes;
}

static void add_initiation(struct side *side, unsigned peer)
{
	sim_peer_initiate(&side->sims[peer], add(side, WG_INITIATION_SIZE, 1 + peer));
}

static const uint8_t *pending_initiation(const struct side *side, unsigned peer)
{
	for (unsigned i = side->node.sent; i-- > 0 && side->node.sent - i <= WORLD_OUTBOX;) {
		const struct node_message *message = &side->node.outbox[i % WORLD_OUTBOX];

		if (message->peer == side->peers[peer] && message->size == WG_INITIATION_SIZE)
			return message->bytes;
	}
	return NULL;
}

/* An answer to our initiation; without one, nothing. */
static void add_answer(struct side *side, unsigned peer, enum kind kind, bool alter)
{
	static const uint8_t cookie[16] = {1, 2, 3};
	struct sim_peer *sim = &side->sims[peer];
	const uint8_t *initiation = pending_initiation(side, peer);
	uint8_t *bytes;

	if (initiation == NULL)
		return;
	bytes = add(side, kind == COOKIE ? WG_COOKIE_REPLY_SIZE : WG_RESPONSE_SIZE, 1 + peer);
	if (kind == COOKIE) {
		sim_peer_demand_cookie(sim, initiation, WG_INITIATION_SIZE, cookie, bytes);
		return;
	}
	assert_true(sim_peer_answer(sim, initiation, bytes));
	if (alter) {
		bytes[50] ^= 1;
		sim_peer_add_macs(sim, bytes, WG_RESPONSE_SIZE);
	}
}

/* The same item for each side; `with` is drawn, too. */
static void add_item(struct side *side, enum kind kind, unsigned peer, unsigned with)
{
	uint8_t *bytes;

	switch (kind) {
	case FRESH:
		side->sims[peer].seconds++;
		add_initiation(side, peer);
		break;
	case AGAIN:
		if (side->count == 0)
			break;
		with %= side->count;
		bytes = add(side, side->messages[with].length, 1 + peer);
		memcpy(bytes, side->bytes[with], WG_INITIATION_SIZE);
		break;
	case STALE:
		add_initiation(side, peer);
		break;
	case ALTERED:
		if (with % 2 == 0) {
			add_answer(side, peer, RESPONSE, true);
			break;
		}
		side->sims[peer].seconds++;
		add_initiation(side, peer);
		bytes = side->bytes[side->count - 1];
		bytes[with % 3 == 0 ? 45 : 90] ^= 1;
		sim_peer_add_macs(&side->sims[peer], bytes, WG_INITIATION_SIZE);
		break;
	case BAD_MAC:
		side->sims[peer].seconds++;
		add_initiation(side, peer);
		side->bytes[side->count - 1][20] ^= 1;
		break;
	case RESPONSE:
	case COOKIE:
		add_answer(side, peer, kind, false);
		break;
	case OF_STRANGER:
		add_initiation(side, STRANGER);
		break;
	case SHORT:
	case KINDS:
		memset(add(side, 40, 1), 1, 40);
		break;
	}
}

static void assert_same_keypair(const struct node_keypair *a, const struct node_keypair *b)
{
	assert_int_equal(a->valid, b->valid);
	assert_int_equal(a->since_ms, b->since_ms);
	assert_int_equal(a->keys.initiator, b->keys.initiator);
}

static void assert_same(const struct side *a, const struct side *b)
{
	assert_int_equal(a->count, b->count);
	for (unsigned i = 0; i < a->count; i++)
		assert_int_equal(a->messages[i].result, b->messages[i].result);
	assert_int_equal(a->node.sent, b->node.sent);
	assert_int_equal(a->node.indexes_used, b->node.indexes_used);
	for (unsigned i = 0; i < PEERS; i++) {
		const struct node_peer *p = a->peers[i], *q = b->peers[i];

		assert_int_equal(p->sessions, q->sessions);
		assert_int_equal(p->roams, q->roams);
		assert_memory_equal(&p->roamed, &q->roamed, sizeof(p->roamed));
		assert_memory_equal(&p->hs.received, &q->hs.received, TAI64N_SIZE);
		assert_memory_equal(&p->hs.timers, &q->hs.timers, sizeof(p->hs.timers));
		assert_memory_equal(&p->activity, &q->activity, sizeof(p->activity));
		assert_int_equal(p->hs.pending.pending, q->hs.pending.pending);
		assert_int_equal(p->hs.cookie.cookie_since_ms, q->hs.cookie.cookie_since_ms);
		assert_same_keypair(&p->current, &q->current);
		assert_same_keypair(&p->next, &q->next);
		assert_same_keypair(&p->previous, &q->previous);
	}
}

static void receive(struct side *side, bool together, uint64_t now_ms)
{
	side->node.now_ms = now_ms;
	if (together) {
		handshake_receive_burst(side->node.handshake, side->messages, side->count, now_ms);
		return;
	}
	for (unsigned i = 0; i < side->count; i++)
		handshake_receive_burst(side->node.handshake, &side->messages[i], 1, now_ms);
}

static void burst_equals_one_by_one(void **state)
{
	static struct side sides[2];
	unsigned results[HANDSHAKE_RESULT_COUNT] = {0};
	uint64_t now_ms = WORLD_T0_MS;

	random_state = 0xb0257;
	for (int s = 0; s < 2; s++)
		side_init(&sides[s]);
	for (unsigned round = 0; round < ROUNDS; round++, now_ms += ROUND_MS) {
		unsigned items = 1 + draw(ITEMS_MAX - 1), starting = draw(1 << PEERS);

		for (int s = 0; s < 2; s++) {
			sides[s].count = 0;
			sides[s].node.under_load = round % 8 == 7;
			sides[s].node.wall.tv_sec++;
			for (unsigned i = 0; i < PEERS; i++)
				if ((starting >> i & 1) != 0)
					(void)!handshake_initiate(sides[s].node.handshake,
						&sides[s].peers[i]->hs, now_ms);
		}
		for (unsigned i = 0; i < items; i++) {
			enum kind kind = draw(KINDS);
			unsigned peer = draw(PEERS), with = draw(1000);

			for (int s = 0; s < 2; s++)
				add_item(&sides[s], kind, peer, with);
		}
		for (int s = 0; s < 2; s++)
			receive(&sides[s], s == 1, now_ms + 10);
		assert_same(&sides[0], &sides[1]);
		for (unsigned i = 0; i < sides[0].count; i++)
			results[sides[0].messages[i].result]++;
	}
	/* And all of it happened. */
	for (int i = 0; i < HANDSHAKE_RESULT_COUNT; i++) {
		if (i != HANDSHAKE_NO_IDENTITY && i != HANDSHAKE_NO_RESOURCE &&
			i != HANDSHAKE_RATE_LIMITED)
			assert_in_range(results[i], 1, ROUNDS * ITEMS_MAX);
	}
	for (int s = 0; s < 2; s++)
		node_fini(&sides[s].node);
}

/* --- Whole handshakes ------------------------------------------------------------------------ */

static void assert_session(const struct node_keypair *keypair, const struct sim_peer *sim)
{
	assert_true(keypair->valid && sim->established);
	assert_memory_equal(keypair->keys.send.bytes, sim->receive_key, KEY_SIZE);
	assert_memory_equal(keypair->keys.receive.bytes, sim->send_key, KEY_SIZE);
	assert_int_equal(keypair->keys.local_index, sim->remote_index);
	assert_int_equal(keypair->keys.remote_index, sim->local_index);
}

static struct node node;
static struct node_peer *peers[WORLD_PEERS];
static struct sim_peer sims[WORLD_PEERS];
static uint8_t bytes[WORLD_PEERS][WG_INITIATION_SIZE];
static struct handshake_message messages[WORLD_PEERS];

static int setup(void **state)
{
	node_init(&node, 7);
	for (unsigned i = 0; i < WORLD_PEERS; i++) {
		sim_peer_init(&sims[i], (uint8_t)(1 + i));
		memcpy(sims[i].remote_key, node.public_key.bytes, KEY_SIZE);
		peers[i] = node_add_peer(&node, sims[i].public_key, NULL);
	}
	return 0;
}

static int teardown(void **state)
{
	node_fini(&node);
	return 0;
}

static void receive_all(size_t length, uint64_t now_ms, enum handshake_result expected)
{
	for (unsigned i = 0; i < WORLD_PEERS; i++)
		messages[i] = (struct handshake_message){.bytes = bytes[i],
			.length = length,
			.source = source_of((uint8_t)(1 + i), 40000)};
	node.now_ms = now_ms;
	handshake_receive_burst(node.handshake, messages, WORLD_PEERS, now_ms);
	for (unsigned i = 0; i < WORLD_PEERS; i++) {
		assert_int_equal(messages[i].result, expected);
		assert_true(endpoint_equal(&peers[i]->roamed.remote, &messages[i].source.remote));
	}
}

/* More than fit into one burst; each gets its own keys. */
static void many_initiate_at_once(void **state)
{
	for (unsigned i = 0; i < WORLD_PEERS; i++)
		sim_peer_initiate(&sims[i], bytes[i]);
	receive_all(WG_INITIATION_SIZE, WORLD_T0_MS, HANDSHAKE_OK_INITIATION);
	assert_int_equal(node.sent, WORLD_PEERS);
	for (unsigned i = 0; i < WORLD_PEERS; i++) {
		const uint8_t *response = node_sent(&node, i, WG_RESPONSE_SIZE);

		assert_ptr_equal(node.outbox[i].peer, peers[i]);
		assert_true(sim_peer_finish(&sims[i], response));
		assert_session(&peers[i]->next, &sims[i]);
	}
}

/* Their timers are due together, and so are the answers. */
static void we_initiate_to_many_at_once(void **state)
{
	struct handshake_peer *due[HANDSHAKE_BURST];
	uint64_t due_ms[HANDSHAKE_BURST];

	for (unsigned first = 0; first < WORLD_PEERS; first += HANDSHAKE_BURST) {
		unsigned n = WORLD_PEERS - first < HANDSHAKE_BURST ? WORLD_PEERS - first
								   : HANDSHAKE_BURST;

		for (unsigned i = 0; i < n; i++) {
			due[i] = &peers[first + i]->hs;
			timers_request(&peers[first + i]->activity, TIMERS_SEND_STAGED);
		}
		handshake_run_burst(node.handshake, due, n, WORLD_T0_MS, due_ms);
		for (unsigned i = 0; i < n; i++)
			assert_in_range(due_ms[i], WORLD_T0_MS + WG_REKEY_TIMEOUT_MS,
				WORLD_T0_MS + WG_REKEY_TIMEOUT_MS + WG_REKEY_JITTER_MAX_MS);
	}
	assert_int_equal(node.sent, WORLD_PEERS);
	for (unsigned i = 0; i < WORLD_PEERS; i++) {
		assert_ptr_equal(node.outbox[i].peer, peers[i]);
		assert_true(sim_peer_answer(
			&sims[i], node_sent(&node, i, WG_INITIATION_SIZE), bytes[i]));
	}
	receive_all(WG_RESPONSE_SIZE, WORLD_T0_MS + 30, HANDSHAKE_OK_RESPONSE);
	for (unsigned i = 0; i < WORLD_PEERS; i++)
		assert_session(&peers[i]->current, &sims[i]);
}

/* No two of our messages carry the same ephemeral key, however many are made together. */
static void ephemeral_keys_are_used_once(void **state)
{
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < WORLD_PEERS; i++) {
			sims[i].seconds++;
			sim_peer_initiate(&sims[i], bytes[i]);
		}
		receive_all(
			WG_INITIATION_SIZE, WORLD_T0_MS + round * 1000, HANDSHAKE_OK_INITIATION);
	}
	for (unsigned i = 0; i < 2 * WORLD_PEERS; i++) {
		const struct wg_response *a = (const void *)node_sent(&node, i, WG_RESPONSE_SIZE);

		for (unsigned k = 0; k < i; k++) {
			const struct wg_response *b =
				(const void *)node_sent(&node, k, WG_RESPONSE_SIZE);

			assert_memory_not_equal(a->ephemeral, b->ephemeral, KEY_SIZE);
			assert_int_not_equal(a->sender, b->sender);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(burst_equals_one_by_one),
		cmocka_unit_test_setup_teardown(many_initiate_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(we_initiate_to_many_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(ephemeral_keys_are_used_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
