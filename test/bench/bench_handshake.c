/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What handshakes cost on one core: whole ones as responder and as initiator, and the two things an
 * attacker can make us do, a wrong mac1 and a replayed initiation. Prints a line each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/dataplane/wireguard/world.h"

enum { BATCH = 200, BATCHES = 11, GAP_MS = 5000 };

static struct node responder, initiator;
static struct node_peer *at_responder, *at_initiator;
static uint64_t now_ms = WORLD_T0_MS;

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(const char *name, double seconds[BATCHES], int per_batch)
{
	qsort(seconds, BATCHES, sizeof(seconds[0]), compare);
	printf("%-22s %9.0f /s  %8.2f us (median of %d)\n", name, per_batch / seconds[BATCHES / 2],
		seconds[BATCHES / 2] * 1e6 / per_batch, BATCHES);
}

static void measure_handshakes(void)
{
	static struct wg_initiation initiations[BATCH];
	double answering[BATCHES], starting[BATCHES], finishing[BATCHES];
	struct handshake_source source = source_of(1, 51820);

	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = now_ms;
		double start = seconds_now();

		for (int i = 0; i < BATCH; i++, t += GAP_MS) {
			initiator.wall.tv_sec++;
			assert_int_equal(
				handshake_initiate(initiator.handshake, &at_initiator->hs, t), 0);
			memcpy(&initiations[i],
				node_sent(&initiator, initiator.sent - 1, WG_INITIATION_SIZE),
				sizeof(initiations[i]));
		}
		starting[b] = seconds_now() - start;
		start = seconds_now();
		for (int i = 0; i < BATCH; i++, now_ms += GAP_MS)
			assert_int_equal(handshake_receive(responder.handshake, &initiations[i],
						 sizeof(initiations[i]), &source, now_ms),
				HANDSHAKE_OK_INITIATION);
		answering[b] = seconds_now() - start;
		/* Only the last is still pending at the initiator. */
		start = seconds_now();
		assert_int_equal(
			node_deliver(&responder, &initiator, now_ms), HANDSHAKE_OK_RESPONSE);
		finishing[b] = seconds_now() - start;
	}
	report("responder, whole", answering, BATCH);
	report("initiator, initiation", starting, BATCH);
	report("initiator, response", finishing, 1);
}

static void measure_refusals(void)
{
	struct handshake_source source = source_of(1, 51820);
	double replays[BATCHES], macs[BATCHES];
	uint8_t message[WG_INITIATION_SIZE];

	memcpy(message, node_sent(&initiator, initiator.sent - 1, WG_INITIATION_SIZE),
		sizeof(message));
	for (int b = 0; b < BATCHES; b++) {
		double start = seconds_now();

		for (int i = 0; i < BATCH; i++)
			assert_int_equal(handshake_receive(responder.handshake, message,
						 sizeof(message), &source, now_ms),
				HANDSHAKE_REPLAYED);
		replays[b] = seconds_now() - start;
	}
	message[20] ^= 1;
	for (int b = 0; b < BATCHES; b++) {
		double start = seconds_now();

		for (int i = 0; i < BATCH * 100; i++)
			assert_int_equal(handshake_receive(responder.handshake, message,
						 sizeof(message), &source, now_ms),
				HANDSHAKE_BAD_MAC);
		macs[b] = seconds_now() - start;
	}
	report("replayed initiation", replays, BATCH);
	report("wrong mac1", macs, BATCH * 100);
}

int main(void)
{
	node_init(&responder, 41);
	node_init(&initiator, 42);
	at_responder = node_add_peer(&responder, initiator.public_key.bytes, NULL);
	at_initiator = node_add_peer(&initiator, responder.public_key.bytes, NULL);
	measure_handshakes();
	measure_refusals();
	node_fini(&responder);
	node_fini(&initiator);
	return at_responder->sessions > 0 ? 0 : 1;
}
