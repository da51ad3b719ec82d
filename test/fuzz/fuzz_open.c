/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datagrams for the listen port of a whole data plane: any bytes; data messages of our session with
 * any header and a tag that is wrong; and authentic ones around any inner packet, which then goes
 * through judging and NAT. The input is a list of datagrams. Nothing may get out on the other side
 * but with the address that masquerading gives, and no buffer may be lost: the pool would be empty
 * soon.
 */
#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/graph/packet.h"
#include "test/unit/dataplane/wireguard/gateway.h"

enum { DATAGRAMS_MAX = 16, PAYLOAD_MAX = 1400, KINDS = 4, EVENTS = 32 };

struct input {
	const uint8_t *data;
	size_t size;
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	if (gateway_setup(NULL) != 0)
		abort();
	return 0;
}

static uint8_t take_byte(struct input *input)
{
	if (input->size == 0)
		return 0;
	input->size--;
	return *input->data++;
}

static uint16_t take_bytes(struct input *input, uint8_t *bytes)
{
	size_t size = (size_t)take_byte(input) * 4 + take_byte(input) % 4;

	size = RTE_MIN(size, RTE_MIN(input->size, (size_t)PAYLOAD_MAX));
	memcpy(bytes, input->data, size);
	input->data += size;
	input->size -= size;
	return (uint16_t)size;
}

/* So that the input need not find the sums, and one in two inner sources is the peer's own. */
static void make_plausible(uint8_t *ip, uint16_t size, uint8_t how)
{
	uint16_t sum;

	if (size < 20 || (how & 1) == 0)
		return;
	ip[0] = 0x45;
	if ((how & 2) != 0) {
		uint32_t source = RTE_BE32(RIG_INSIDE_NET + 10);

		memcpy(ip + 12, &source, sizeof(source));
	}
	memset(ip + 10, 0, sizeof(sum));
	sum = (uint16_t)~rte_raw_cksum(ip, 20);
	memcpy(ip + 10, &sum, sizeof(sum));
}

static void arrive(struct input *input)
{
	static uint8_t bytes[GATEWAY_FRAME_MAX];
	uint8_t kind = take_byte(input), tos = take_byte(input), how = take_byte(input);
	uint16_t size = take_bytes(input, bytes);
	struct gateway_message message = {.receiver = gateway.sessions[0].local_index,
		.plain = bytes,
		.size = size,
		.outer_tos = tos};

	switch (kind % KINDS) {
	case 0:
		gateway_arrive_bytes(bytes, size, tos);
		return;
	case 1:
		message.forged = true;
		memcpy(&message.counter, bytes, sizeof(message.counter));
		break;
	default:
		make_plausible(bytes, size, how);
		message.counter = gateway.sessions[0].counter++;
		break;
	}
	gateway_arrive(gateway.key_up, &message);
}

static void check_forwarded(void)
{
	uint8_t last[GATEWAY_FRAME_MAX];
	size_t size = 0;

	if (gateway_forwarded(last, &size) == 0)
		return;
	if (size < 20 || ((const struct rte_ipv4_hdr *)last)->src_addr != RTE_BE32(RIG_EGRESS_ADDR))
		abort();
}

/* There is no handshake thread to take them. */
static void forget_events(void)
{
	struct wg_event events[EVENTS];
	unsigned n;

	while ((n = events_take(0, events, EVENTS)) != 0) {
		for (unsigned i = 0; i < n; i++)
			rte_pktmbuf_free(events[i].mbuf);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct gateway_sealed sealed;

	for (unsigned i = 0; i < DATAGRAMS_MAX && input.size > 0; i++)
		arrive(&input);
	gateway_walk();
	check_forwarded();
	while (gateway_take(gateway.key_down, &sealed))
		; /* ICMP errors for the peer */
	forget_events();
	return 0;
}
