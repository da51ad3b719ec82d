/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What handshakes cost on one core: whole ones as responder and as initiator, with ephemeral keys
 * made in idle time and without, and the two things an attacker can make us do, a wrong mac1 and a
 * replayed initiation; and the multiplications, of which a responder needs four. A line each, with
 * the median of the batches and the fastest, which other programs disturbed least.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/wireguard/x25519.h"
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
	double median, least;

	qsort(seconds, BATCHES, sizeof(seconds[0]), compare);
	median = seconds[BATCHES / 2] / per_batch;
	least = seconds[0] / per_batch;
	printf("%-28s median %9.0f /s %8.2f us, best %9.0f /s %8.2f us\n", name, 1 / median,
		median * 1e6, 1 / least, least * 1e6);
}

static void use_idle_time(struct node *node)
{
	for (unsigned i = 0; i < BATCH; i++)
		handshake_idle(node->handshake);
}

static void measure_handshakes(bool idle, const char *names[3])
{
	static struct wg_initiation initiations[BATCH];
	double answering[BATCHES], starting[BATCHES], finishing[BATCHES];
	struct handshake_source source = source_of(1, 51820);

	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = now_ms;
		double start;

		if (idle) {
			use_idle_time(&initiator);
			use_idle_time(&responder);
		}
		start = seconds_now();
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
	report(names[0], answering, BATCH);
	report(names[1], starting, BATCH);
	report(names[2], finishing, 1);
}

static void measure_multiplications(void)
{
	double own[BATCHES], openssl[BATCHES], libsodium[BATCHES];
	struct key private_key, public_key, shared;
	struct x25519 *x25519;
	int error;

	key_generate(&private_key);
	assert_int_equal(key_public(&private_key, &public_key), 0);
	x25519 = x25519_create(&private_key, &public_key, &error);
	assert_non_null(x25519);
	for (int b = 0; b < BATCHES; b++) {
		double start = seconds_now();

		for (int i = 0; i < BATCH; i++)
			assert_int_equal(key_public(&private_key, &public_key), 0);
		own[b] = seconds_now() - start;
		start = seconds_now();
		for (int i = 0; i < BATCH; i++)
			assert_int_equal(x25519_of_static(x25519, &public_key, &shared), 0);
		openssl[b] = seconds_now() - start;
		start = seconds_now();
		for (int i = 0; i < BATCH; i++)
			assert_int_equal(crypto_scalarmult(
						 shared.bytes, private_key.bytes, public_key.bytes),
				0);
		libsodium[b] = seconds_now() - start;
	}
	report("X25519, of the base point", own, BATCH);
	report("X25519 by OpenSSL (used)", openssl, BATCH);
	report("X25519 by libsodium", libsodium, BATCH);
	x25519_destroy(&x25519);
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
	measure_handshakes(true, (const char *[]){"responder, keys ready", "initiation, keys ready",
					 "response read, keys ready"});
	measure_handshakes(
		false, (const char *[]){"responder, without rest", "initiation, without rest",
			       "response read, without rest"});
	measure_refusals();
	measure_multiplications();
	node_fini(&responder);
	node_fini(&initiator);
	return at_responder->sessions > 0 ? 0 : 1;
}
