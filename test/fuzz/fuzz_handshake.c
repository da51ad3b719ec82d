/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handshake messages as an attacker may send them: any bytes, and genuine messages altered, with
 * their macs made right again so that what lies behind the macs is reached, under load or not, with
 * time passing. The input is a list of operations. Whatever it says, indexes must not leak and
 * only an authentic message may move an endpoint.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/wireguard/handshake_priv.h"
#include "test/unit/dataplane/wireguard/world.h"

enum { OPERATIONS_MAX = 24, INDEXES_MAX = 4 /* pending, current, next, previous */ };

struct input {
	const uint8_t *data;
	size_t size;
};

struct fuzz {
	struct node nodes[2];
	struct node_peer *peers[2];
	uint64_t now_ms;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t take_byte(struct input *input)
{
	if (input->size == 0)
		return 0;
	input->size--;
	return *input->data++;
}

static void receive(struct fuzz *fuzz, int at, const void *message, size_t size)
{
	struct node *node = &fuzz->nodes[at];
	struct node_peer *peer = fuzz->peers[at];
	struct handshake_source source = source_of((uint8_t)(1 + !at), 51820);
	unsigned roams = peer->roams, sessions = peer->sessions;
	enum handshake_result result;

	node->now_ms = fuzz->now_ms;
	result = handshake_receive(node->handshake, message, size, &source, fuzz->now_ms);
	if (result >= HANDSHAKE_RESULT_COUNT)
		abort();
	if (peer->roams != roams && result != HANDSHAKE_OK_INITIATION &&
		result != HANDSHAKE_OK_RESPONSE)
		abort();
	if (peer->sessions != sessions && peer->roams == roams)
		abort();
	if (node->indexes_used > INDEXES_MAX)
		abort();
}

static void receive_bytes(struct fuzz *fuzz, struct input *input)
{
	static const uint8_t sizes[] = {WG_INITIATION_SIZE, WG_RESPONSE_SIZE, WG_COOKIE_REPLY_SIZE};
	uint8_t choice = take_byte(input);
	size_t size = choice < 128 ? sizes[choice % 3] : take_byte(input);
	uint8_t *message = malloc(size + 1); /* its own, so that reading past it is seen */

	if (message == NULL)
		return;
	for (size_t i = 0; i < size; i++)
		message[i] = take_byte(input);
	receive(fuzz, 0, message, size);
	free(message);
}

/* The last message of one node reaches the other, some bytes changed. */
static void receive_altered(struct fuzz *fuzz, struct input *input)
{
	int from = take_byte(input) & 1;
	struct node *node = &fuzz->nodes[from];
	uint8_t changes = take_byte(input) % 4;
	uint8_t message[WG_INITIATION_SIZE];
	size_t size;

	if (node->sent == 0)
		return;
	size = node->outbox[(node->sent - 1) % WORLD_OUTBOX].size;
	memcpy(message, node->outbox[(node->sent - 1) % WORLD_OUTBOX].bytes, size);
	for (uint8_t i = 0; i < changes; i++) {
		uint8_t at = take_byte(input);

		message[at % size] ^= take_byte(input);
	}
	if (changes > 0 && size != WG_COOKIE_REPLY_SIZE) {
		struct cookie_jar jar = fuzz->peers[from]->hs.cookie;

		cookie_add_macs(&jar, message, size, fuzz->now_ms);
	}
	receive(fuzz, !from, message, size);
}

static void operate(struct fuzz *fuzz, struct input *input)
{
	uint8_t operation = take_byte(input);
	int at = operation >> 4 & 1;
	struct node *node = &fuzz->nodes[at];
	struct node_peer *peer = fuzz->peers[at];

	switch (operation % 8) {
	case 0:
		receive_bytes(fuzz, input);
		break;
	case 1:
	case 2:
		receive_altered(fuzz, input);
		break;
	case 3:
		(void)!handshake_initiate(node->handshake, &peer->hs, fuzz->now_ms);
		break;
	case 4:
		fuzz->now_ms += (uint64_t)take_byte(input) * take_byte(input) * 10;
		node->wall.tv_sec = 1700000000 + (time_t)(fuzz->now_ms / 1000);
		break;
	case 5:
		handshake_peer_run(node->handshake, &peer->hs, fuzz->now_ms);
		break;
	case 6:
		node->under_load = !node->under_load;
		break;
	case 7:
		timers_request(&peer->activity, take_byte(input) & 15);
		timers_data_received(&peer->activity, fuzz->now_ms);
		timers_data_sent(&peer->activity, fuzz->now_ms);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz fuzz;
	struct input input = {data, size};

	fuzz.now_ms = WORLD_T0_MS;
	for (int i = 0; i < 2; i++)
		node_init(&fuzz.nodes[i], (uint8_t)(31 + i));
	for (int i = 0; i < 2; i++)
		fuzz.peers[i] =
			node_add_peer(&fuzz.nodes[i], fuzz.nodes[!i].public_key.bytes, NULL);
	for (int i = 0; i < OPERATIONS_MAX && input.size > 0; i++)
		operate(&fuzz, &input);
	for (int i = 0; i < 2; i++)
		node_fini(&fuzz.nodes[i]);
	return 0;
}
