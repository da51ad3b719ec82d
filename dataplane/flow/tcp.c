/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP as the gateway needs it: the state machine of RFC 7857 section 2 (RFC 6146 section 3.5.2)
 * without sequence numbers, and clamping of the maximum segment size.
 *
 *	opening ----SYN the other way----> established --FIN both ways--> closing
 *	any --RST--> reset --anything but RST--> established
 *
 * A RST does not end a flow at once: it may be forged (RFC 7857 section 2.2).
 */
#include <rte_byteorder.h>
#include <rte_tcp.h>

#include "dataplane/flow/flow_priv.h"
#include "dataplane/flow/rewrite.h"

static void enter(struct flow_worker *w, struct flow *flow, enum flow_tcp state)
{
	static const enum flow_timeout timeouts[] = {
		[FLOW_TCP_OPENING] = FLOW_TIMEOUT_TCP_OPENING,
		[FLOW_TCP_ESTABLISHED] = FLOW_TIMEOUT_TCP,
		[FLOW_TCP_CLOSING] = FLOW_TIMEOUT_TCP_CLOSING,
		[FLOW_TCP_RESET] = FLOW_TIMEOUT_TCP_CLOSING,
	};
	bool watch = state != FLOW_TCP_ESTABLISHED && state != FLOW_TCP_CLOSING;

	if (state != FLOW_TCP_OPENING)
		flow_opened(w, flow);
	flow->cold.tcp_state = (uint8_t)state;
	for (unsigned i = 0; i < 2; i++) {
		struct flow_action *action = &flow->dir[i].action;

		action->flags =
			(uint8_t)(watch ? action->flags | FLOW_WATCH : action->flags & ~FLOW_WATCH);
	}
	flow_set_timeout(w, flow, flow_timeout(w, timeouts[state]));
}

/* The packet in hand is not to refresh the flow (RFC 7857 section 4: RST). What is noted is the
 * time of every packet, so the bound shrinks by as much. */
static void keep_end(struct flow_worker *w, struct flow *flow)
{
	uint32_t idle = flow_idle_ms(w, flow), timeout = flow->cold.timeout_ms;

	flow_set_timeout(w, flow, timeout > idle ? timeout - idle : 0);
}

void flow_tcp(struct flow_worker *w, struct flow *flow, unsigned dir, uint8_t tcp_flags)
{
	struct flow_cold *cold = &flow->cold;
	bool syn = (tcp_flags & RTE_TCP_SYN_FLAG) != 0;

	if ((tcp_flags & RTE_TCP_RST_FLAG) != 0) {
		if (cold->tcp_state != FLOW_TCP_RESET)
			enter(w, flow, FLOW_TCP_RESET);
		else
			keep_end(w, flow);
		return;
	}
	if ((tcp_flags & RTE_TCP_FIN_FLAG) != 0 && cold->tcp_state != FLOW_TCP_OPENING) {
		cold->tcp_fin |= (uint8_t)(1u << dir);
		if (cold->tcp_fin == 3 && cold->tcp_state != FLOW_TCP_CLOSING)
			enter(w, flow, FLOW_TCP_CLOSING);
		return;
	}
	switch (cold->tcp_state) {
	case FLOW_TCP_OPENING:
		if (dir != cold->opener && syn)
			enter(w, flow, FLOW_TCP_ESTABLISHED);
		break;
	case FLOW_TCP_RESET:
		enter(w, flow, FLOW_TCP_ESTABLISHED);
		break;
	case FLOW_TCP_CLOSING:
		/* the ports are used for a new connection */
		if (syn && dir == cold->opener) {
			cold->tcp_fin = 0;
			enter(w, flow, FLOW_TCP_OPENING);
		}
		break;
	default:
		break;
	}
}

/* Lowers the MSS option of a SYN to what fits; both ways, so that neither end sends too much. */
void flow_clamp_mss(struct rte_mbuf *mbuf, uint8_t l4, uint16_t mss)
{
	struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod_offset(mbuf, struct rte_tcp_hdr *, l4);
	unsigned end = (unsigned)(tcp->data_off >> 4) * 4;
	uint8_t *byte = (uint8_t *)tcp;

	if (l4 + end > rte_pktmbuf_data_len(mbuf))
		return;
	for (unsigned i = sizeof(*tcp); i + 1 < end;) {
		if (byte[i] == 0)
			return;
		if (byte[i] == 1) {
			i++;
			continue;
		}
		if (byte[i + 1] < 2 || i + byte[i + 1] > end)
			return;
		if (byte[i] == 2 && byte[i + 1] == 4) {
			uint16_t old_mss = (uint16_t)(byte[i + 2] << 8 | byte[i + 3]);
			/* as words of the checksum: an option may start at an odd offset */
			uint16_t old_word = rte_cpu_to_be_16(old_mss), new_word;

			if (old_mss <= mss)
				return;
			new_word = rte_cpu_to_be_16(mss);
			byte[i + 2] = (uint8_t)(mss >> 8);
			byte[i + 3] = (uint8_t)mss;
			if (i & 1) {
				old_word = (uint16_t)(old_word << 8 | old_word >> 8);
				new_word = (uint16_t)(new_word << 8 | new_word >> 8);
			}
			tcp->cksum = rewrite_checksum(
				tcp->cksum, rewrite_delta(0, &old_word, &new_word, 2));
			return;
		}
		i += byte[i + 1];
	}
}
