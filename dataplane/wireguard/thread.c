/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The handshake thread: takes what workers saw and what the main thread wants, runs handshakes
 * and timers, and publishes keypairs and paths. It is a reader of the shared tables; it sleeps in
 * events_wait() when there is nothing to do.
 */
#include <pthread.h>
#include <rte_lcore.h>
#include <rte_udp.h>

#include "common/base/log.h"
#include "dataplane/graph/follow.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/watchdog.h"
#include "dataplane/wireguard/inbox.h"
#include "dataplane/wireguard/renew.h"
#include "dataplane/wireguard/thread_priv.h"

LOG_TYPE(wireguard);

enum {
	EVENTS = 32,
	MESSAGES = 128,    /* taken from a worker's inbox at once */
	WAIT_MAX_MS = 500, /* the watchdog expects a loop each second */
};

static struct {
	pthread_t thread;
	_Atomic bool stop;
	uint64_t now_ms;
	uint64_t beat;                          /* loops, for the watchdog */
	unsigned worker;                        /* who saw what is being handled */
	struct renew_load load[DP_WORKERS_MAX]; /* of each one's queue, apart */
} self;

uint64_t thread_now_ms(void)
{
	return self.now_ms;
}

unsigned thread_worker(void)
{
	return self.worker;
}

bool thread_under_load(void)
{
	return renew_under_load(&self.load[self.worker], self.now_ms);
}

/* Messages to one interface. */
static void receive(struct wg_interface *interface, struct handshake_message *messages, unsigned n)
{
	handshake_receive_burst(interface->handshake, messages, n, self.now_ms);
	for (unsigned i = 0; i < n; i++)
		log_debug(wireguard, "interface %u: message: %s", interface->id,
			handshake_result_name(messages[i].result));
}

/* In bursts of those to one interface. */
static void messages_run(const struct inbox_message *incoming, unsigned n)
{
	struct handshake_message messages[MESSAGES];
	struct rte_mbuf *mbufs[MESSAGES];
	struct wg_interface *interface = NULL;
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++) {
		struct packet *packet = packet_of(incoming[i].mbuf);
		size_t offset = packet->l4 + sizeof(struct rte_udp_hdr);
		struct wg_interface *to = wg_interface_by_port(packet->dport);

		mbufs[i] = incoming[i].mbuf;
		if (to == NULL || to->handshake == NULL)
			continue;
		if (to != interface && count != 0) {
			receive(interface, messages, count);
			count = 0;
		}
		interface = to;
		messages[count++] = (struct handshake_message){
			.bytes = rte_pktmbuf_mtod_offset(mbufs[i], const void *, offset),
			.length = rte_pktmbuf_data_len(mbufs[i]) - offset,
			.source = incoming[i].source,
			.user = mbufs[i],
		};
	}
	if (count != 0)
		receive(interface, messages, count);
	follow_free(mbufs, n, API_TRACE_HANDSHAKE, 0);
}

static void stage_run(struct wg_peer *peer, const struct wg_event *event)
{
	const struct keypair *current = atomic_load_explicit(&peer->current, memory_order_relaxed);

	staged_put(peer, event->mbuf);
	/* event->index: the keypair that would not do, 0 = none. A better one may have come while
	 * the packet was on its way. */
	if (current != NULL && current->local_index != event->index)
		staged_flush(peer);
	else
		timers_request(&peer->activity, TIMERS_SEND_STAGED);
}

static void event_run(const struct wg_event *event)
{
	struct wg_peer *peer = wg_peer_get(event->peer);

	if (peer == NULL || !peer->thread.listed) {
		struct rte_mbuf *mbuf = event->mbuf;

		if (mbuf != NULL)
			drop_free(HANDOFF_HANDSHAKE, DROP(wireguard, NO_PEER), &mbuf, 1);
		if (mbuf != NULL && peer != NULL)
			staged_lost(peer);
		return;
	}
	switch ((enum wg_event_kind)event->kind) {
	case WG_EVENT_CONFIRMED:
		keypair_confirm(peer, event->index, self.now_ms);
		timers_request(&peer->activity, TIMERS_CONFIRMED);
		peer->thread.event_due = true;
		break;
	case WG_EVENT_ROAM:
		path_set(peer, &event->source.remote,
			&(struct endpoint){
				.addr = event->source.local, .port = event->source.local_port});
		roam_end(&peer->roam);
		peer->thread.event_due = true;
		break;
	case WG_EVENT_PATH:
		path_refresh(peer);
		atomic_store_explicit(&peer->stale, false, memory_order_release);
		break;
	case WG_EVENT_STAGE:
		stage_run(peer, event);
		break;
	case WG_EVENT_ACTIVITY:
		break;
	}
	turns_run_one(peer);
}

/* What one worker saw, in its order as far as it matters: whatever it told before it handed over a
 * message is heard before that message, such as that a keypair is confirmed which the message's
 * handshake would replace. */
static unsigned worker_run(unsigned worker)
{
	struct inbox_message messages[MESSAGES];
	struct wg_event events[EVENTS];
	unsigned received, total, n;

	self.worker = worker;
	renew_load_note(&self.load[worker], inbox_queued(worker), self.now_ms);
	received = inbox_take(worker, messages, MESSAGES);
	total = received;
	for (unsigned left = events_queued_by(worker); left != 0; left -= n) {
		n = events_take(worker, events, RTE_MIN(left, (unsigned)EVENTS));
		for (unsigned i = 0; i < n; i++)
			event_run(&events[i]);
		total += n;
	}
	messages_run(messages, received);
	return total;
}

static unsigned workers_run(void)
{
	unsigned total = 0;

	for (unsigned worker = 0; worker < dp_config()->workers; worker++)
		total += worker_run(worker);
	return total;
}

static void *run(void *arg)
{
	reader_register(READER_HANDSHAKE);
	reader_online(READER_HANDSHAKE);
	self.now_ms = clock_ms();
	turns_init();
	while (!atomic_load_explicit(&self.stop, memory_order_relaxed)) {
		unsigned work = 0;

		self.now_ms = clock_ms();
		__atomic_store_n(&self.beat, self.beat + 1, __ATOMIC_RELAXED);
		work += thread_run_commands();
		work += workers_run();
		turns_run_due();
		reader_quiescent(READER_HANDSHAKE);
		reclaim_run();
		if (work != 0)
			continue;
		reader_offline(READER_HANDSHAKE);
		events_wait((int)turns_wait_ms(WAIT_MAX_MS));
		reader_online(READER_HANDSHAKE);
	}
	reader_offline(READER_HANDSHAKE);
	return NULL;
}

int thread_start(void)
{
	watchdog_watch(&self.beat, "handshake thread");
	return -rte_ctrl_thread_create(&self.thread, "sp-handshake", NULL, run, NULL);
}

void thread_stop(void)
{
	atomic_store_explicit(&self.stop, true, memory_order_relaxed);
	events_wake();
	pthread_join(self.thread, NULL);
}
