/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

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
	assert_ptr_equal(peer->previous, previous);
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
		cmocka_unit_test(nothing_is_left),
	};

	return cmocka_run_group_tests(tests, gateway_setup, NULL);
}
