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
#include "dataplane/wireguard/inbox.h"
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

/* A helper is away with the oldest job, and there is no room for another. */
static void take_all_jobs(void)
{
	struct lend_job *job;

	while ((job = lend_begin(0)) != NULL) {
		job->count = 0;
		job->finish = keep;
		lend_end(gateway.worker, job);
		atomic_store(&job->state, TAKEN);
	}
}

static void put_data(void)
{
	const uint8_t plain[SIZE] = {0x45};

	gateway_arrive(gateway.key_up,
		&(struct gateway_message){.receiver = gateway.sessions[0].local_index,
			.counter = gateway.sessions[0].counter++,
			.plain = plain,
			.size = SIZE});
}

/* What is to be opened is dropped for that; what is not goes where it always goes. */
static void handshakes_need_no_job(void **state)
{
	const struct wg_initiation initiation = {.type = htole32(WG_TYPE_INITIATION)};
	uint64_t full = drop_total(DROP(wireguard, LEND_FULL));
	uint64_t malformed = drop_total(DROP(wireguard, MALFORMED));
	struct inbox_message message;

	take_all_jobs();
	put_data();
	gateway_arrive_bytes(&initiation, sizeof(initiation), 0);
	gateway_arrive_bytes(&initiation, sizeof(initiation) - 1, 0);
	put_data();
	gateway_walk();
	assert_int_equal(drop_total(DROP(wireguard, LEND_FULL)), full + 2);
	assert_int_equal(drop_total(DROP(wireguard, MALFORMED)), malformed + 1);
	assert_int_equal(inbox_take(0, &message, 1), 1);
	assert_memory_equal(rte_pktmbuf_mtod_offset(message.mbuf, void *, GATEWAY_OUTER),
		&initiation, sizeof(initiation));
	assert_int_equal(inbox_queued(0), 0);
	rte_pktmbuf_free(message.mbuf);
}

/* What has no key yet waits for it at the handshake thread as ever. What is back from there and
 * finds no job is dropped, and keeps nobody waiting for it. */
static void what_finds_no_job_keeps_nobody(void **state)
{
	struct wg_peer *peer = gateway_peer();
	struct keypair *keypair = atomic_load(&peer->current);
	uint64_t before = drop_total(DROP(wireguard, LEND_FULL));
	uint8_t plain[SIZE] = {0x45};
	struct wg_event event;

	take_all_jobs();
	atomic_store(&peer->current, NULL);
	gateway_put(plain, SIZE);
	gateway_walk();
	assert_int_equal(events_take(0, &event, 1), 1);
	assert_int_equal(event.kind, WG_EVENT_STAGE);
	assert_int_equal(drop_total(DROP(wireguard, LEND_FULL)), before);
	atomic_store(&peer->current, keypair);
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
		cmocka_unit_test(handshakes_need_no_job), /* from here on all jobs are taken */
		cmocka_unit_test(what_finds_no_job_keeps_nobody),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
