/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What handshakes cost on one core: whole ones as responder and as initiator, one at a time and in
 * bursts, and the two things an attacker can make us do, a wrong mac1 and a replayed initiation;
 * and the multiplications, of which a responder needs four. A line each, with the median of the
 * batches and the fastest, which other programs disturbed least. Nothing is made ahead, so what is
 * measured can go on for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/x25519/x25519.h"
#include "test/unit/dataplane/wireguard/world.h"

enum { BATCH = 192, BATCHES = 11, OTHERS = 32, GAP_MS = 6000 };

/* The one that is measured, and those it speaks with. */
static struct node gateway, others[OTHERS];
static struct node_peer *peers[OTHERS], *at_others[OTHERS];
static uint64_t now_ms = WORLD_T0_MS;

/* What is delivered to the gateway; no two of a burst are of one peer. */
static uint8_t bytes[BATCH][WG_INITIATION_SIZE];
static struct handshake_message messages[BATCH];

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

static void report(const char *name, double seconds[BATCHES])
{
	double median, least;

	qsort(seconds, BATCHES, sizeof(seconds[0]), compare);
	median = seconds[BATCHES / 2] / BATCH;
	least = seconds[0] / BATCH;
	printf("%-28s median %9.0f /s %8.2f us, best %9.0f /s %8.2f us\n", name, 1 / median,
		median * 1e6, 1 / least, least * 1e6);
}

/* What a node sent last is to be delivered as number i. */
static void prepare(unsigned i, const struct node *from, size_t length)
{
	memcpy(bytes[i], node_sent(from, from->sent - 1, length), length);
	messages[i] = (struct handshake_message){.bytes = bytes[i],
		.length = length,
		.source = source_of((uint8_t)(1 + i % OTHERS), 51820)};
}

static double receive(unsigned count, unsigned together, enum handshake_result expected)
{
	double start = seconds_now();

	for (unsigned i = 0; i < count; i += together, now_ms += GAP_MS)
		handshake_receive_burst(gateway.handshake, &messages[i], together, now_ms);
	start = seconds_now() - start;
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(messages[i].result, expected);
	return start;
}

static void measure_responder(unsigned together, const char *name)
{
	double seconds[BATCHES];

	for (int b = 0; b < BATCHES; b++) {
		for (unsigned i = 0; i < BATCH; i++, now_ms += GAP_MS) {
			struct node *other = &others[i % OTHERS];

			other->wall.tv_sec++;
			assert_int_equal(handshake_initiate(other->handshake,
						 &at_others[i % OTHERS]->hs, now_ms),
				0);
			prepare(i, other, WG_INITIATION_SIZE);
		}
		seconds[b] = receive(BATCH, together, HANDSHAKE_OK_INITIATION);
	}
	report(name, seconds);
}

static double initiate_to_all(unsigned together)
{
	struct handshake_peer *due[OTHERS];
	uint64_t due_ms[OTHERS];
	double start;

	for (unsigned i = 0; i < OTHERS; i++) {
		due[i] = &peers[i]->hs;
		timers_request(&peers[i]->activity, TIMERS_SEND_STAGED);
	}
	gateway.wall.tv_sec++;
	start = seconds_now();
	for (unsigned i = 0; i < OTHERS; i += together)
		handshake_run_burst(gateway.handshake, &due[i], together, now_ms, due_ms);
	return seconds_now() - start;
}

static void answer(unsigned i)
{
	struct handshake_source source = source_of(1, 51820);
	const uint8_t *initiation =
		node_sent(&gateway, gateway.sent - OTHERS + i, WG_INITIATION_SIZE);

	others[i].now_ms = now_ms;
	assert_int_equal(handshake_receive(others[i].handshake, initiation, WG_INITIATION_SIZE,
				 &source, now_ms),
		HANDSHAKE_OK_INITIATION);
	prepare(i, &others[i], WG_RESPONSE_SIZE);
}

static void measure_initiator(unsigned together, const char *starting, const char *finishing)
{
	double started[BATCHES] = {0}, finished[BATCHES] = {0};

	for (int b = 0; b < BATCHES; b++) {
		for (unsigned done = 0; done < BATCH; done += OTHERS, now_ms += GAP_MS) {
			started[b] += initiate_to_all(together);
			for (unsigned i = 0; i < OTHERS; i++)
				answer(i);
			finished[b] += receive(OTHERS, together, HANDSHAKE_OK_RESPONSE);
		}
	}
	report(starting, started);
	report(finishing, finished);
}

static void measure_refusals(void)
{
	double replays[BATCHES], macs[BATCHES];

	for (int b = 0; b < BATCHES; b++)
		replays[b] = receive(BATCH, OTHERS, HANDSHAKE_REPLAYED);
	for (unsigned i = 0; i < BATCH; i++)
		bytes[i][20] ^= 1;
	for (int b = 0; b < BATCHES; b++)
		macs[b] = receive(BATCH, OTHERS, HANDSHAKE_BAD_MAC);
	report("replayed initiation", replays);
	report("wrong mac1", macs);
}

static void measure_multiplications(unsigned together, const char *name)
{
	struct key private_key, public_key, products[BATCH];
	struct x25519_job jobs[BATCH];
	double seconds[BATCHES];

	key_generate(&private_key);
	assert_int_equal(key_public(&private_key, &public_key), 0);
	for (unsigned i = 0; i < BATCH; i++)
		jobs[i] = (struct x25519_job){
			.scalar = &private_key, .point = &public_key, .product = &products[i]};
	for (int b = 0; b < BATCHES; b++) {
		double start = seconds_now();

		for (unsigned i = 0; i < BATCH; i += together)
			x25519_burst(&jobs[i], together);
		seconds[b] = seconds_now() - start;
	}
	report(name, seconds);
}

int main(void)
{
	assert_int_equal(x25519_select(NULL), 0);
	printf("X25519: %s\n", x25519_description());
	node_init(&gateway, 41);
	for (unsigned i = 0; i < OTHERS; i++) {
		node_init(&others[i], (uint8_t)(100 + i));
		peers[i] = node_add_peer(&gateway, others[i].public_key.bytes, NULL);
		at_others[i] = node_add_peer(&others[i], gateway.public_key.bytes, NULL);
	}
	measure_responder(1, "responder, one at a time");
	measure_responder(8, "responder, 8 together");
	measure_responder(32, "responder, 32 together");
	measure_refusals();
	measure_initiator(1, "initiation, one at a time", "response read, one at a time");
	measure_initiator(32, "initiation, 32 together", "response read, 32 together");
	measure_multiplications(1, "X25519, one at a time");
	measure_multiplications(32, "X25519, 32 together");
	for (unsigned i = 0; i < OTHERS; i++)
		node_fini(&others[i]);
	node_fini(&gateway);
	return 0;
}
