/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The punt thread: the only one that reads and writes the twins. Single consumer of the workers'
 * punt rings, producer HANDOFF_PUNT of the hand-off rings, reader READER_PUNT of the ports.
 *
 * Sleep: it says so in `sleeping`, looks at the rings once more, and blocks in epoll_wait(). A
 * worker fills its ring, then looks at the flag. Both have a full fence in between, so one of
 * them always sees what the other did.
 */
#include "dataplane/punt/punt_priv.h"

#include <errno.h>
#include <rte_jhash.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/api/flow.h"
#include "common/base/addr.h"
#include "dataplane/graph/follow.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/main/worker.h"
#include "dataplane/port/port.h"

enum {
	EVENTS = API_PORT_MAX + 1,
	WAIT_MAX_MS = 500, /* the watchdog expects a loop each second */
};

void punt_ring_bell(void)
{
	uint64_t one = 1;

	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&punt.sleeping, memory_order_relaxed) ||
		!atomic_exchange(&punt.sleeping, false))
		return;
	/* An eventfd takes it unless its count would overflow; then it is readable anyway. */
	if (write(punt.bell, &one, sizeof(one)) < 0)
		return;
}

/* Counts and frees on a worker: drop counters are the workers'. */
static void drop(struct rte_mbuf *mbuf, uint16_t reason)
{
	packet_of(mbuf)->drop = reason;
	handoff_send(HANDOFF_PUNT, 0, GRAPH_DROP, &mbuf, 1);
}

void punt_to_kernel(struct rte_mbuf **mbufs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *mbuf = mbufs[i];
		uint16_t port = packet_of(mbuf)->port_in;
		int fd = port < API_PORT_MAX ? punt.twins[port].fd : -1;
		ssize_t length = rte_pktmbuf_data_len(mbuf);

		if (fd < 0)
			drop(mbuf, DROP(punt, NO_DEVICE));
		else if (write(fd, rte_pktmbuf_mtod(mbuf, void *), (size_t)length) != length)
			drop(mbuf, DROP(punt, WRITE));
		else
			follow_free(&mbuf, 1, API_TRACE_HOST, port);
	}
}

/* True if the kernel's packet is for somebody on the link itself, past all forwarding. */
static bool for_link(const struct rte_mbuf *mbuf, const struct packet *packet)
{
	const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);

	if (packet->family == ADDR_V4)
		return data[16] >= 224;
	return data[24] == 0xff || punt_is_nd(packet);
}

static bool is_ip(const uint8_t *frame)
{
	uint16_t type = (uint16_t)(frame[12] << 8 | frame[13]);

	return type == RTE_ETHER_TYPE_IPV4 || type == RTE_ETHER_TYPE_IPV6;
}

/* A frame that the kernel sent on a port's twin: where it goes on, or GRAPH_DROP. */
static enum graph_role judge_frame(struct rte_mbuf *mbuf, const struct port *port)
{
	struct packet *packet = packet_of(mbuf);
	const uint8_t *frame = rte_pktmbuf_mtod(mbuf, const uint8_t *);

	packet->drop = DROP(punt, FROM_HOST_SHORT);
	if (rte_pktmbuf_data_len(mbuf) < RTE_ETHER_HDR_LEN)
		return GRAPH_DROP;
	packet->drop = DROP(punt, FROM_HOST_LONG);
	if (rte_pktmbuf_data_len(mbuf) > port->mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN)
		return GRAPH_DROP;
	packet->drop = DROP_NONE;
	packet->port_out = port->id;
	packet->l2_len = RTE_ETHER_HDR_LEN;
	packet->flags = PACKET_FROM_HOST | PACKET_KEEP_L2;
	rte_pktmbuf_adj(mbuf, RTE_ETHER_HDR_LEN);
	if (!is_ip(frame) || (frame[0] & 1) != 0)
		return GRAPH_SEND;
	packet->drop = packet_parse(mbuf);
	if (packet->drop != DROP_NONE)
		return GRAPH_DROP;
	return for_link(mbuf, packet) ? GRAPH_SEND : GRAPH_FORWARD;
}

/* A packet that the kernel sent on the overlay interface. */
static enum graph_role judge_overlay(struct rte_mbuf *mbuf)
{
	struct packet *packet = packet_of(mbuf);

	packet->flags = PACKET_FROM_HOST;
	packet->drop = packet_parse(mbuf);
	if (packet->drop != DROP_NONE)
		return GRAPH_DROP;
	if (for_link(mbuf, packet)) {
		packet->drop = DROP(punt, FROM_HOST_OVERLAY);
		return GRAPH_DROP;
	}
	return GRAPH_FORWARD;
}

/* Both directions of a flow give the same worker; the flow's own home may be another. */
static unsigned pick_worker(const struct rte_mbuf *mbuf)
{
	const struct packet *packet = packet_of((struct rte_mbuf *)mbuf);
	const uint8_t *data = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	uint32_t size = packet->family == ADDR_V4 ? 4 : 16;
	uint32_t addrs[8]; /* source and destination; in the packet they are not aligned */

	if ((packet->ingress & ~(uint32_t)API_IDENT_HOST) == 0)
		return 0; /* overlay: the peer's home decides, found by the flow's first lookup */
	memcpy(addrs, data + (packet->family == ADDR_V4 ? 12 : 8), 2 * (size_t)size);
	return (rte_jhash(addrs, size, 0) ^ rte_jhash(addrs + size / 4, size, 0)) %
	       dp_config()->workers;
}

/* Passes a batch on, one call per worker. */
static void pass_on(struct rte_mbuf **mbufs, const uint8_t *workers, unsigned n, enum graph_role to)
{
	struct rte_mbuf *batch[PUNT_BURST];

	for (unsigned worker = 0; n > 0 && worker < dp_config()->workers; worker++) {
		unsigned count = 0;

		for (unsigned i = 0; i < n; i++) {
			if (workers[i] == worker)
				batch[count++] = mbufs[i];
		}
		if (count > 0)
			handoff_send(HANDOFF_PUNT, worker, to, batch, count);
	}
}

/* Reads one frame; NULL when there is none left. Without buffers the frame is lost. */
static struct rte_mbuf *read_frame(int fd, unsigned id)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(packet_pool());
	struct packet *packet;
	char discard[64];
	ssize_t length;

	if (mbuf == NULL) {
		length = read(fd, discard, sizeof(discard));
		return NULL;
	}
	length = read(fd, rte_pktmbuf_mtod(mbuf, void *), rte_pktmbuf_tailroom(mbuf));
	if (length <= 0) {
		rte_pktmbuf_free(mbuf);
		return NULL;
	}
	rte_pktmbuf_append(mbuf, (uint16_t)length);
	packet = packet_of(mbuf);
	memset(packet, 0, sizeof(*packet));
	packet->ingress = (uint32_t)API_IDENT_HOST | id;
	return mbuf;
}

unsigned punt_from_kernel(unsigned id)
{
	const struct port *port = id == 0 ? NULL : port_get((uint16_t)id);
	struct rte_mbuf *forward[PUNT_BURST], *send[PUNT_BURST];
	uint8_t workers[PUNT_BURST];
	unsigned forwards = 0, sends = 0;
	unsigned n;

	for (n = 0; n < PUNT_BURST; n++) {
		struct rte_mbuf *mbuf = read_frame(punt.twins[id].fd, id);
		enum graph_role role;

		if (mbuf == NULL)
			break;
		if (id != 0 && port == NULL) {
			drop(mbuf, DROP(punt, FROM_HOST_DOWN));
			continue;
		}
		role = id == 0 ? judge_overlay(mbuf) : judge_frame(mbuf, port);
		if (role == GRAPH_FORWARD) {
			workers[forwards] = (uint8_t)pick_worker(mbuf);
			forward[forwards++] = mbuf;
		} else if (role == GRAPH_SEND) {
			send[sends++] = mbuf;
		} else {
			drop(mbuf, packet_of(mbuf)->drop);
		}
	}
	pass_on(forward, workers, forwards, GRAPH_FORWARD);
	if (sends > 0)
		handoff_send(HANDOFF_PUNT, port_sender(port), GRAPH_SEND, send, sends);
	return n;
}

/* A burst from each worker's ring; true if there was anything. */
static bool drain_rings(void)
{
	struct rte_mbuf *mbufs[PUNT_BURST];
	bool any = false;

	for (unsigned i = 0; i < dp_config()->workers; i++) {
		unsigned n =
			rte_ring_sc_dequeue_burst(punt.rings[i], (void **)mbufs, PUNT_BURST, NULL);

		if (n == 0)
			continue;
		any = true;
		pthread_mutex_lock(&punt.lock);
		punt_to_kernel(mbufs, n);
		pthread_mutex_unlock(&punt.lock);
	}
	return any;
}

static bool rings_empty(void)
{
	for (unsigned i = 0; i < dp_config()->workers; i++) {
		if (!rte_ring_empty(punt.rings[i]))
			return false;
	}
	return true;
}

static void serve(const struct epoll_event *event)
{
	uint64_t count;

	if (event->data.u32 == PUNT_BELL) {
		while (read(punt.bell, &count, sizeof(count)) > 0)
			;
		return;
	}
	pthread_mutex_lock(&punt.lock);
	/* It may have been closed since epoll_wait() returned. */
	if (punt.twins[event->data.u32].fd >= 0)
		punt_from_kernel(event->data.u32);
	pthread_mutex_unlock(&punt.lock);
}

/* Waits for the bell or a twin; with work at hand it only looks. */
static int await(struct epoll_event *events, bool busy)
{
	int n;

	if (busy)
		return epoll_wait(punt.epoll, events, EVENTS, 0);
	atomic_store(&punt.sleeping, true);
	atomic_thread_fence(memory_order_seq_cst);
	reader_offline(READER_PUNT);
	n = epoll_wait(punt.epoll, events, EVENTS, rings_empty() ? WAIT_MAX_MS : 0);
	reader_online(READER_PUNT);
	atomic_store(&punt.sleeping, false);
	return n;
}

void *punt_thread(void *arg)
{
	struct epoll_event events[EVENTS];

	reader_register(READER_PUNT);
	reader_online(READER_PUNT);
	while (!atomic_load(&punt.stopping)) {
		bool busy = drain_rings();

		int n = await(events, busy);

		__atomic_store_n(&punt.beat, punt.beat + 1, __ATOMIC_RELAXED);
		for (int i = 0; i < n; i++)
			serve(&events[i]);
		reader_quiescent(READER_PUNT);
	}
	reader_offline(READER_PUNT);
	return NULL;
}
