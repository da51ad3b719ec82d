/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets that are lent go through the same nodes. Nobody helps here: the owner does it all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <rte_ip.h>

#include <string.h>

#include "common/api/capture.h"
#include "dataplane/graph/tap.h"
#include "dataplane/main/args.h"
#include "dataplane/wireguard/lend.h"
#include "test/unit/dataplane/wireguard/gateway.h"

enum { PACKETS = 5, SIZE = 64, TAKEN = 2 /* enum lend_state: a helper is at it */ };

static int setup(void **state)
{
	int rc = gateway_setup(state);
	struct dp_config config = *dp_config();

	config.lend = DP_LEND_ALWAYS;
	args_set_config(&config);
	return rc != 0 ? rc : lend_init(2);
}

/* Protocol 253 (RFC 3692) from inside, to nobody who would take it. */
static const struct rte_ipv4_hdr inner = {.version_ihl = 0x45,
	.time_to_live = 64,
	.next_proto_id = 253,
	.total_length = RTE_BE16(SIZE),
	.src_addr = RTE_BE32(RIG_INSIDE_NET + 10),
	.dst_addr = RTE_BE32(RIG_SERVER_ADDR)};

static unsigned take_captured(uint16_t point)
{
	struct tap_slot *slot;
	unsigned n = 0;

	for (; (slot = tap_take()) != NULL; n++) {
		assert_int_equal(slot->point, point);
		assert_int_equal(slot->wire, SIZE);
		tap_give(slot);
	}
	return n;
}

static void lent_packets_are_captured(void **state)
{
	const struct tap_setup setup = {.points = API_CAPTURE_TUNNEL_IN | API_CAPTURE_TUNNEL_OUT,
		.snap = API_CAPTURE_SNAP_MAX};
	struct gateway_sealed sealed;
	uint8_t plain[SIZE] = {0};
	unsigned left = 0;

	memcpy(plain, &inner, sizeof(inner));
	((struct rte_ipv4_hdr *)plain)->hdr_checksum = rte_ipv4_cksum(&inner);
	assert_int_equal(tap_start(&setup), 0);
	for (unsigned i = 0; i < PACKETS; i++)
		gateway_put(plain, SIZE);
	gateway_walk();
	while (gateway_take(gateway.key_down, &sealed))
		left++;
	assert_int_equal(left, PACKETS);
	assert_int_equal(take_captured(API_CAPTURE_TUNNEL_OUT), PACKETS);
	for (unsigned i = 0; i < PACKETS; i++)
		gateway_arrive(gateway.key_up,
			&(struct gateway_message){.receiver = gateway.sessions[0].local_index,
				.counter = gateway.sessions[0].counter++,
				.plain = plain,
				.size = SIZE,
				.forged = i == 0});
	gateway_walk();
	assert_int_equal(take_captured(API_CAPTURE_TUNNEL_IN), PACKETS - 1);
	tap_stop();
}

static void keep(
	struct lend_job *job, struct worker *worker, const struct lend_edges *edges, uint16_t *next)
{
}

/* A helper is away with the oldest job, and there is no room for another: what is dropped for that
 * on its way back from the handshake thread keeps nobody waiting for it. */
static void what_finds_no_job_keeps_nobody(void **state)
{
	struct wg_peer *peer = gateway_peer();
	struct keypair *keypair = atomic_load(&peer->current);
	uint64_t before = drop_total(DROP(wireguard, LEND_FULL));
	uint8_t plain[SIZE] = {0x45};
	struct lend_job *job;
	struct wg_event event;

	atomic_store(&peer->current, NULL);
	gateway_put(plain, SIZE);
	gateway_walk();
	assert_int_equal(events_take(0, &event, 1), 1);
	assert_int_equal(event.kind, WG_EVENT_STAGE);
	atomic_store(&peer->current, keypair);
	while ((job = lend_begin(0)) != NULL) {
		job->count = 0;
		job->finish = keep;
		lend_end(gateway.worker, job);
		atomic_store(&job->state, TAKEN);
	}
	staged_put(peer, event.mbuf);
	staged_flush(peer);
	gateway_walk();
	assert_int_equal(drop_total(DROP(wireguard, LEND_FULL)), before + 1);
	assert_int_equal(atomic_load(&peer->staged), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lent_packets_are_captured),
		cmocka_unit_test(what_finds_no_job_keeps_nobody), /* the last: jobs stay taken */
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
