/* SPDX-License-Identifier: BSD-3-Clause */
/* What is caught by point, port, peer and filter; that a full ring loses copies, and says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/api/flow.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/graph/tap.h"
#include "dataplane/main/args.h"
#include "test/unit/dataplane/eal.h"

enum { SLOTS = 1024, PEER = 7, PORT = 2 };

static struct rte_mempool *pool;

static int start(void **state)
{
	const struct dp_config config = {.workers = 1, .mtu_max = 1500};

	if (eal_start(state) != 0)
		return -1;
	args_set_config(&config);
	pool = rte_pktmbuf_pool_create(
		"packets", 63, 0, PACKET_PRIVATE_SIZE, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	return pool == NULL;
}

static int stop(void **state)
{
	tap_destroy();
	return eal_stop(state);
}

static struct rte_mbuf *make(uint8_t fill, uint16_t length)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);

	memset(packet_of(mbuf), 0, sizeof(struct packet));
	memset(rte_pktmbuf_append(mbuf, length), fill, length);
	return mbuf;
}

static struct tap_setup anything(uint32_t points)
{
	return (struct tap_setup){.points = points, .snap = API_CAPTURE_SNAP_MAX};
}

static void begin(struct tap_setup setup)
{
	assert_int_equal(tap_start(&setup), 0);
}

/* How many there are to take. */
static unsigned take_all(void)
{
	struct tap_slot *slot;
	unsigned n = 0;

	for (; (slot = tap_take()) != NULL; n++)
		tap_give(slot);
	return n;
}

static void test_points(void **state)
{
	struct rte_mbuf *mbuf = make(0x45, 100);
	struct tap_slot *slot;

	assert_false(tap_wants(API_CAPTURE_POINTS));
	begin(anything(API_CAPTURE_PORT_IN));
	assert_true(tap_wants(API_CAPTURE_PORT_IN));
	assert_false(tap_wants(API_CAPTURE_DROP | API_CAPTURE_TUNNEL_IN));
	assert_int_equal(tap_start(&(struct tap_setup){.points = 1, .snap = 1}), -EBUSY);
	tap_frames(0, API_CAPTURE_PORT_IN, PORT, &mbuf, 1);
	slot = tap_take();
	assert_non_null(slot);
	assert_int_equal(slot->captured, 100);
	assert_int_equal(slot->wire, 100);
	assert_int_equal(slot->port, PORT);
	assert_int_equal(slot->link, API_CAPTURE_ETHERNET);
	assert_memory_equal(slot->data, rte_pktmbuf_mtod(mbuf, void *), 100);
	tap_give(slot);
	assert_null(tap_take());
	tap_stop();
	assert_false(tap_wants(API_CAPTURE_POINTS));
	rte_pktmbuf_free(mbuf);
}

static void test_port_peer_and_snap(void **state)
{
	struct rte_mbuf *mbuf = make(0x45, 100);
	struct tap_setup setup = anything(API_CAPTURE_PORT_OUT | API_CAPTURE_TUNNEL_IN);
	struct tap_slot *slot;

	setup.port = PORT;
	setup.peer = PEER;
	setup.snap = 20;
	begin(setup);
	tap_frames(0, API_CAPTURE_PORT_OUT, PORT + 1, &mbuf, 1);
	packet_of(mbuf)->peer = PEER; /* on its way to the peer, not from it */
	tap_packet(0, API_CAPTURE_TUNNEL_IN, mbuf);
	assert_int_equal(take_all(), 0);
	packet_of(mbuf)->ingress = PEER;
	tap_packet(0, API_CAPTURE_TUNNEL_IN, mbuf);
	slot = tap_take();
	assert_non_null(slot);
	assert_int_equal(slot->captured, 20);
	assert_int_equal(slot->wire, 100);
	assert_int_equal(slot->link, API_CAPTURE_IP);
	tap_give(slot);
	tap_stop();
	rte_pktmbuf_free(mbuf);
}

static void test_drops(void **state)
{
	struct rte_mbuf *mbuf = make(0x45, 60);
	struct tap_slot *slot;

	begin(anything(API_CAPTURE_DROP));
	packet_of(mbuf)->ingress = API_IDENT_PORT | PORT;
	packet_of(mbuf)->port_in = PORT;
	tap_drop(HANDOFF_PUNT, 9, mbuf);
	slot = tap_take();
	assert_int_equal(slot->link, API_CAPTURE_ETHERNET); /* port_rx had not stripped it */
	assert_int_equal(slot->reason, 9);
	assert_int_equal(slot->port, PORT);
	tap_give(slot);
	packet_of(mbuf)->l2_len = 14;
	tap_drop(0, 10, mbuf);
	slot = tap_take();
	assert_int_equal(slot->link, API_CAPTURE_IP);
	tap_give(slot);
	tap_stop();
	rte_pktmbuf_free(mbuf);
}

static void test_filter(void **state)
{
	/* The first byte is 0x45. */
	static const struct bpf_insn code[] = {
		{BPF_LD | BPF_B | BPF_ABS, 0, 0, 0},
		{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0x45},
		{BPF_RET | BPF_K, 0, 0, 1},
		{BPF_RET | BPF_K, 0, 0, 0},
	};
	struct rte_mbuf *mbufs[] = {make(0x45, 60), make(0x60, 60), make(0x45, 60)};
	struct tap_setup setup = anything(API_CAPTURE_PORT_IN);

	memcpy(setup.code[API_CAPTURE_ETHERNET], code, sizeof(code));
	setup.length[API_CAPTURE_ETHERNET] = 4;
	begin(setup);
	tap_frames(0, API_CAPTURE_PORT_IN, PORT, mbufs, 3);
	assert_int_equal(take_all(), 2);
	tap_stop();
	rte_pktmbuf_free_bulk(mbufs, 3);
}

static void test_full(void **state)
{
	struct rte_mbuf *mbuf = make(0x45, 60);

	begin(anything(API_CAPTURE_PORT_IN));
	for (unsigned i = 0; i < SLOTS + 5; i++)
		tap_frames(0, API_CAPTURE_PORT_IN, PORT, &mbuf, 1);
	assert_int_equal(tap_lost(), 5);
	assert_int_equal(take_all(), SLOTS);
	tap_frames(0, API_CAPTURE_PORT_IN, PORT, &mbuf, 1);
	tap_stop();
	/* What was left belongs to nobody, and the next capture begins at 0. */
	begin(anything(API_CAPTURE_PORT_IN));
	assert_int_equal(tap_lost(), 0);
	assert_int_equal(take_all(), 0);
	tap_stop();
	rte_pktmbuf_free(mbuf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_port_peer_and_snap),
		cmocka_unit_test(test_drops),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
