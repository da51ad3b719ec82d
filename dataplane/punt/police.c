/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/punt/punt_priv.h"

#include "common/base/addr.h"

/* Packets per second and at once that one worker gives the kernel. */
struct limit {
	uint32_t rate;
	uint32_t burst;
};

static const struct limit limits[PUNT_CLASSES] = {
	[PUNT_ARP] = {1000, 200},
	[PUNT_ND] = {1000, 200},
	[PUNT_DHCP] = {100, 50},
	[PUNT_MULTICAST] = {500, 100},
	[PUNT_HOST] = {50000, 1000},
};

enum {
	TOKEN = 1000,
	REFILL_MAX_MS = 10000, /* fills every bucket; keeps the product within 32 bits */
	DHCP_SERVER = 67,
	DHCP_CLIENT = 68,
	DHCP6_CLIENT = 546,
	DHCP6_SERVER = 547,
};

static bool is_dhcp(uint16_t port)
{
	return port == DHCP_SERVER || port == DHCP_CLIENT || port == DHCP6_CLIENT ||
	       port == DHCP6_SERVER;
}

static uint16_t ether_type(const struct rte_mbuf *mbuf, uint8_t l2_len)
{
	const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);

	return l2_len < RTE_ETHER_HDR_LEN ? 0 : (uint16_t)(data[-2] << 8 | data[-1]);
}

static bool to_many(const struct rte_mbuf *mbuf, const struct packet *packet)
{
	const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);

	if (packet->l2_len >= RTE_ETHER_HDR_LEN && (data[-(int)packet->l2_len] & 1) != 0)
		return true;
	return packet->family == ADDR_V4 ? data[16] >= 224 : data[24] == 0xff;
}

enum punt_class punt_classify(const struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of((struct rte_mbuf *)mbuf);

	if (packet->family == ADDR_NONE)
		return ether_type(mbuf, packet->l2_len) == RTE_ETHER_TYPE_ARP ? PUNT_ARP
									      : PUNT_MULTICAST;
	if (punt_is_nd(packet))
		return PUNT_ND;
	if (packet->proto == IPPROTO_UDP && is_dhcp(packet->dport))
		return PUNT_DHCP;
	return to_many(mbuf, packet) ? PUNT_MULTICAST : PUNT_HOST;
}

void punt_policer_init(struct punt_policer *policer, uint64_t now_ms)
{
	policer->last_ms = now_ms;
	for (unsigned i = 0; i < PUNT_CLASSES; i++)
		policer->tokens[i] = limits[i].burst * TOKEN;
}

static void refill(struct punt_policer *policer, uint64_t now_ms)
{
	uint64_t passed = now_ms - policer->last_ms;

	policer->last_ms = now_ms;
	passed = RTE_MIN(passed, (uint64_t)REFILL_MAX_MS);
	for (unsigned i = 0; i < PUNT_CLASSES; i++) {
		/* rate per second in packets is the same number per millisecond in tokens/1000 */
		uint64_t tokens = policer->tokens[i] + passed * limits[i].rate;

		policer->tokens[i] = (uint32_t)RTE_MIN(tokens, (uint64_t)limits[i].burst * TOKEN);
	}
}

bool punt_admit(struct punt_policer *policer, enum punt_class class, uint64_t now_ms)
{
	if (now_ms != policer->last_ms)
		refill(policer, now_ms);
	if (policer->tokens[class] < TOKEN)
		return false;
	policer->tokens[class] -= TOKEN;
	return true;
}

uint16_t punt_police_reason(enum punt_class class)
{
	switch (class) {
	case PUNT_ARP:
		return DROP(punt, RATE_ARP);
	case PUNT_ND:
		return DROP(punt, RATE_ND);
	case PUNT_DHCP:
		return DROP(punt, RATE_DHCP);
	case PUNT_MULTICAST:
		return DROP(punt, RATE_MULTICAST);
	default:
		return DROP(punt, RATE_HOST);
	}
}
