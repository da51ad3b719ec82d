/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The handshake thread: takes what workers saw and what the main thread wants, runs handshakes
 * and timers, and publishes keypairs and paths. It is a reader of the shared tables; it sleeps in
 * events_wait() when there is nothing to do.
 */
#include <errno.h>
#include <pthread.h>
#include <rte_cycles.h>
#include <rte_ip.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_udp.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "dataplane/graph/follow.h"
#include "dataplane/graph/handoff.h"
#include "dataplane/graph/packet.h"
#include "dataplane/main/watchdog.h"
#include "dataplane/wireguard/inbox.h"
#include "dataplane/wireguard/renew.h"
#include "dataplane/wireguard/wireguard_priv.h"

LOG_TYPE(wireguard);

enum {
	BATCH = 32,
	MESSAGES = 128,       /* taken from a worker's inbox at once */
	WATCH_MS = 250,       /* an active peer's timers are looked at this often */
	WAIT_MAX_MS = 500,    /* the watchdog expects a loop each second */
	UNSENT_AGAIN_MS = 32, /* how often an unresolved next hop is looked for */
	UNSENT_MAX_MS = 2000, /* the retransmission comes after 5 s, with a fresh message */
};

static struct {
	pthread_t thread;
	_Atomic bool stop;
	struct wheel wheel;
	uint64_t now_ms;
	uint64_t beat;                          /* loops, for the watchdog */
	unsigned worker;                        /* whose event is being handled */
	struct renew_load load[DP_WORKERS_MAX]; /* of each one's queue, apart */
} self;

static struct wg_peer *peer_of(struct handshake_peer *handshake)
{
	return (struct wg_peer *)((char *)handshake - offsetof(struct wg_peer, thread.handshake));
}

static struct wg_interface *interface_of(void *context)
{
	return context;
}

/* --- What handshake.c asks of us ----------------------------------------------------------- */

/* Written here, read by the main thread. */
static void count(uint64_t *counter, size_t bytes)
{
	__atomic_store_n(counter, *counter + bytes, __ATOMIC_RELAXED);
}

static struct endpoint local_of(const struct handshake_source *source)
{
	return (struct endpoint){.addr = source->local, .port = source->local_port};
}

static void op_send(void *context, struct handshake_peer *handshake,
	const struct handshake_message *answered, const void *message, size_t length)
{
	const struct wg_path *path;
	struct endpoint local;

	/* A cookie reply to a stranger is nobody's. */
	if (handshake != NULL)
		count(&peer_of(handshake)->thread.handshake_tx_bytes, length);
	if (answered != NULL) {
		local = local_of(&answered->source);
		path_send(&answered->source.remote, &local, message, length, answered->user);
		return;
	}
	path = atomic_load_explicit(&peer_of(handshake)->path, memory_order_relaxed);
	if (path == NULL)
		return;
	local = (struct endpoint){.port = path->local.port};
	if (path->learned)
		local.addr = path->local.addr;
	peer_of(handshake)->thread.unsent_length = 0;
	if (path_send(&path->remote, &local, message, length, NULL) ||
		length > sizeof(peer_of(handshake)->thread.unsent))
		return;
	/* After a start the kernel still asks for neighbours: not worth five seconds. */
	memcpy(peer_of(handshake)->thread.unsent, message, length);
	peer_of(handshake)->thread.unsent_length = (uint8_t)length;
	peer_of(handshake)->thread.unsent_ms = self.now_ms;
}

static bool op_has_endpoint(void *context, struct handshake_peer *handshake)
{
	return atomic_load_explicit(&peer_of(handshake)->path, memory_order_relaxed) != NULL;
}

static struct handshake_peer *op_find_peer(void *context, const struct key *public_key)
{
	struct wg_peer *peer;

	HASH_FIND(
		thread.by_key, interface_of(context)->peers, public_key, sizeof(*public_key), peer);
	return peer != NULL ? &peer->thread.handshake : NULL;
}

static struct handshake_peer *op_find_index(void *context, uint32_t local_index)
{
	struct wg_peer *peer = index_table_peer(local_index);

	return peer != NULL && peer->interface == context ? &peer->thread.handshake : NULL;
}

static int op_alloc_index(void *context, struct handshake_peer *handshake, uint32_t *local_index)
{
	struct wg_peer *peer = peer_of(handshake);

	return index_table_take(peer, peer->thread.worker, local_index);
}

static void op_free_index(void *context, uint32_t local_index)
{
	index_table_give(local_index);
}

static void op_session_derived(
	void *context, struct handshake_peer *handshake, const struct noise_keys *keys)
{
	struct wg_peer *peer = peer_of(handshake);

	keypair_install(peer, keys, self.now_ms);
	peer->thread.event_due = true;
}

static void op_roam(
	void *context, struct handshake_peer *handshake, const struct handshake_message *message)
{
	struct wg_peer *peer = peer_of(handshake);
	const struct wg_path *path = atomic_load_explicit(&peer->path, memory_order_relaxed);
	struct endpoint local = local_of(&message->source);

	count(&peer->thread.handshake_rx_bytes, message->length);
	/* Adopt the worker on which the peer's packets arrive: rekeys are when ownership moves. */
	peer->thread.worker = (uint8_t)self.worker;
	if (path != NULL && path->adjacency != 0 && path->learned &&
		endpoint_equal(&path->remote, &message->source.remote) &&
		endpoint_equal(&path->local, &local))
		return;
	path_set(peer, &message->source.remote, &local);
	peer->thread.event_due = true;
}

static bool op_under_load(void *context, const struct handshake_message *message)
{
	return renew_under_load(&self.load[self.worker], self.now_ms);
}

static void op_send_keepalive(void *context, struct handshake_peer *handshake)
{
	keepalive_send(peer_of(handshake));
}

static void op_clear_source(void *context, struct handshake_peer *handshake)
{
	path_forget_source(peer_of(handshake));
}

static void op_drop_staged(void *context, struct handshake_peer *handshake)
{
	struct wg_peer *peer = peer_of(handshake);

	staged_drop(peer);
	path_return(peer);
}

static void op_zero_keys(void *context, struct handshake_peer *handshake)
{
	keypairs_destroy(peer_of(handshake));
}

static void op_wall_clock(void *context, struct timespec *wall)
{
	clock_gettime(CLOCK_REALTIME, wall);
}

static void op_random(void *context, void *bytes, size_t size)
{
	randombytes_buf(bytes, size);
}

static const struct handshake_ops ops = {
	.send = op_send,
	.has_endpoint = op_has_endpoint,
	.find_peer = op_find_peer,
	.find_index = op_find_index,
	.alloc_index = op_alloc_index,
	.free_index = op_free_index,
	.session_derived = op_session_derived,
	.roam = op_roam,
	.under_load = op_under_load,
	.send_keepalive = op_send_keepalive,
	.clear_source = op_clear_source,
	.drop_staged = op_drop_staged,
	.zero_keys = op_zero_keys,
	.wall_clock = op_wall_clock,
	.random = op_random,
};

/* --- Peers --------------------------------------------------------------------------------- */

static void tell_control(struct wg_peer *peer)
{
	const struct wg_path *path = atomic_load_explicit(&peer->path, memory_order_relaxed);
	struct api_event_peer event = {
		.header = {.type = API_EVENT_PEER, .length = sizeof(event)},
		.peer = peer->id,
		.last_handshake_s = peer->thread.last_handshake_s,
	};

	if (path != NULL)
		event.endpoint = path->remote;
	memcpy(event.tai64n_received, &peer->thread.handshake.received,
		sizeof(event.tai64n_received));
	memcpy(event.tai64n_sent, &peer->thread.handshake.sent, sizeof(event.tai64n_sent));
	peer_event_put(&event);
	peer->thread.event_due = false;
}

/* Tries again with an initiation that had no next hop. True: it still has none. */
static bool unsent_try(struct wg_peer *peer)
{
	const struct wg_path *path;
	struct endpoint local;

	if (peer->thread.unsent_length == 0)
		return false;
	path = atomic_load_explicit(&peer->path, memory_order_relaxed);
	local = (struct endpoint){.port = path != NULL ? path->local.port : 0};
	if (path != NULL && self.now_ms - peer->thread.unsent_ms < UNSENT_MAX_MS &&
		!path_send(&path->remote, &local, peer->thread.unsent, peer->thread.unsent_length,
			NULL))
		return true;
	peer->thread.unsent_length = 0;
	return false;
}

/*
 * After the peer's timers ran: sees to it that we come back when they are due. While packets flow
 * the peer is `watched` and looked at every WATCH_MS; when a look finds nothing new it is left to
 * its timers, and the next packet's worker tells us.
 */
static void come_back(struct wg_peer *peer, uint64_t due)
{
	uint64_t seen = __atomic_load_n(&peer->activity.last_any_ms, __ATOMIC_RELAXED);
	bool active = seen != peer->thread.last_seen_ms;

	peer->thread.last_seen_ms = seen;
	atomic_store_explicit(&peer->watched, active, memory_order_relaxed);
	if (!active) {
		/* A packet between the look and the store saw `watched` and told nobody. */
		atomic_thread_fence(memory_order_seq_cst);
		if (__atomic_load_n(&peer->activity.last_any_ms, __ATOMIC_RELAXED) != seen) {
			atomic_store_explicit(&peer->watched, true, memory_order_relaxed);
			active = true;
		}
		due = RTE_MIN(
			due, timers_next_due(&peer->thread.handshake.timers, &peer->activity));
	}
	if (active)
		due = RTE_MIN(due, self.now_ms + WATCH_MS);
	if (unsent_try(peer))
		due = RTE_MIN(due, self.now_ms + UNSENT_AGAIN_MS);
	if (due != TIMERS_NEVER)
		wheel_set(&self.wheel, &peer->thread.timer, due);
	else
		wheel_remove(&self.wheel, &peer->thread.timer);
	if (peer->thread.event_due)
		tell_control(peer);
}

/* Peers of one interface, none of them twice. */
static void peers_run(struct wg_peer **peers, unsigned n)
{
	struct handshake_peer *handshakes[HANDSHAKE_BURST];
	uint64_t due[HANDSHAKE_BURST];

	if (n == 0)
		return;
	for (unsigned i = 0; i < n; i++)
		handshakes[i] = &peers[i]->thread.handshake;
	handshake_run_burst(peers[0]->interface->handshake, handshakes, n, self.now_ms, due);
	for (unsigned i = 0; i < n; i++)
		come_back(peers[i], due[i]);
}

static void peer_run(struct wg_peer *peer)
{
	peers_run(&peer, 1);
}

static void peer_list(struct wg_peer *peer)
{
	struct wg_peer *other;

	HASH_FIND(thread.by_key, peer->interface->peers, &peer->main.configured.public_key,
		KEY_SIZE, other);
	if (other != NULL) {
		log_warn(wireguard, "peer %u: has the public key of peer %u, stays silent",
			peer->id, other->id);
		return;
	}
	HASH_ADD_KEYPTR(thread.by_key, peer->interface->peers,
		&peer->thread.handshake.noise.public_key, KEY_SIZE, peer);
	peer->thread.listed = true;
}

static void restore_marks(struct wg_peer *peer, const struct api_peer_set *set)
{
	_Static_assert(sizeof(peer->thread.handshake.received) == API_TAI64N_SIZE, "wire form");
	memcpy(&peer->thread.handshake.received, set->tai64n_received, API_TAI64N_SIZE);
	memcpy(&peer->thread.handshake.sent, set->tai64n_sent, API_TAI64N_SIZE);
}

static bool has_session(const struct wg_peer *peer)
{
	const struct keypair *current = atomic_load_explicit(&peer->current, memory_order_relaxed);

	return current != NULL && renew_is_usable(current->birth_ms, self.now_ms);
}

static void anchor_set(struct wg_peer *peer, const struct api_peer_set *set)
{
	peer->thread.anchor =
		(set->flags & API_PEER_RETURN) != 0 ? set->endpoint : (struct endpoint){0};
}

static void peer_add(const struct wg_command *command)
{
	struct wg_peer *peer = command->peer;
	const struct api_peer_set *set = &command->set;
	int rc;

	if (peer->interface->handshake == NULL)
		return; /* its creation failed and was said */
	rc = handshake_peer_init(peer->interface->handshake, &peer->thread.handshake,
		&set->public_key, command->has_key ? &command->key : NULL, &peer->activity);
	if (rc < 0) {
		log_warn(wireguard, "peer %u: cannot be used: %s", peer->id, strerror(-rc));
		return;
	}
	peer->thread.worker = (uint8_t)peer->home;
	restore_marks(peer, set);
	peer_list(peer);
	anchor_set(peer, set);
	if (command->has_endpoint)
		path_set(peer, &set->endpoint, NULL);
	timers_set_persistent(&peer->thread.handshake.timers, set->persistent_keepalive);
	if ((set->flags & API_PEER_INITIATE) != 0 && command->has_endpoint)
		timers_request(&peer->activity, TIMERS_SEND_STAGED);
	peer_run(peer);
}

/* A name's new address waits until the session has ended by itself. */
static void endpoint_change(struct wg_peer *peer, const struct wg_command *command)
{
	const struct api_peer_set *set = &command->set;

	anchor_set(peer, set);
	if (!command->has_endpoint || ((set->flags & API_PEER_RETURN) != 0 && has_session(peer)))
		return;
	path_set(peer, &set->endpoint, NULL);
	if ((set->flags & (API_PEER_RETURN | API_PEER_INITIATE)) ==
		(API_PEER_RETURN | API_PEER_INITIATE))
		timers_request(&peer->activity, TIMERS_SEND_STAGED);
}

static void peer_change(const struct wg_command *command)
{
	struct wg_peer *peer = command->peer;

	if (!peer->thread.listed)
		return;
	if (command->has_key)
		handshake_peer_set_preshared_key(
			peer->interface->handshake, &peer->thread.handshake, &command->key);
	else if ((command->set.flags & API_PEER_HAS_PSK) == 0)
		handshake_peer_set_preshared_key(
			peer->interface->handshake, &peer->thread.handshake, NULL);
	endpoint_change(peer, command);
	timers_set_persistent(&peer->thread.handshake.timers, command->set.persistent_keepalive);
	peer_run(peer);
}

static void peer_remove(struct wg_peer *peer)
{
	wheel_remove(&self.wheel, &peer->thread.timer);
	staged_drop(peer);
	keypairs_destroy(peer);
	path_clear(peer);
	if (peer->thread.listed) {
		HASH_DELETE(thread.by_key, peer->interface->peers, peer);
		handshake_peer_clear(peer->interface->handshake, &peer->thread.handshake);
	}
	reclaim_later(peer, sizeof(*peer));
}

/* A controller that starts anew sends the key anew: sessions survive that. */
static bool is_own_key(const struct handshake *handshake, const struct key *private_key)
{
	const struct key *own = handshake_public_key(handshake);
	struct key public_key;

	return own != NULL && key_public(private_key, &public_key) == 0 &&
	       key_equal(own, &public_key);
}

static void interface_set(const struct wg_command *command)
{
	struct wg_interface *interface = command->interface;
	struct wg_peer *peer, *tmp;
	int error = 0;

	if (interface->handshake == NULL)
		interface->handshake = handshake_create(&ops, interface, &error);
	if (interface->handshake == NULL) {
		log_error(wireguard, "interface %u: %s", interface->id, strerror(-error));
		return;
	}
	if (command->has_ports) {
		HASH_ITER (thread.by_key, interface->peers, peer, tmp)
			path_refresh(peer);
	}
	if (!command->has_key || is_own_key(interface->handshake, &command->key))
		return;
	error = handshake_set_private_key(interface->handshake, &command->key);
	if (error < 0) {
		log_error(wireguard, "interface %u: private key refused: %s", interface->id,
			strerror(-error));
		return;
	}
	HASH_ITER (thread.by_key, interface->peers, peer, tmp) {
		handshake_peer_renew(interface->handshake, &peer->thread.handshake);
		keypairs_destroy(peer);
	}
}

/* A controller has connected: it gets what it may have missed. */
static void tell_all(void)
{
	for (unsigned i = 1; i < API_WG_INTERFACE_MAX; i++) {
		struct wg_interface *interface = wg_interface_get(i);
		struct wg_peer *peer, *tmp;

		if (interface == NULL)
			continue;
		HASH_ITER (thread.by_key, interface->peers, peer, tmp) {
			if (peer->thread.last_handshake_s != 0)
				tell_control(peer);
		}
	}
}

static void command_run(struct wg_command *command)
{
	switch (command->kind) {
	case WG_COMMAND_INTERFACE:
		interface_set(command);
		break;
	case WG_COMMAND_INTERFACE_DEL:
		handshake_destroy(&command->interface->handshake);
		break;
	case WG_COMMAND_PEER_ADD:
		peer_add(command);
		break;
	case WG_COMMAND_PEER_CHANGE:
		peer_change(command);
		break;
	case WG_COMMAND_PEER_DEL:
		peer_remove(command->peer);
		break;
	case WG_COMMAND_TELL:
		tell_all();
		break;
	}
}

/* At most BATCH, so that a large transaction does not keep handshakes waiting. */
static unsigned commands_run(void)
{
	struct wg_command *command;
	unsigned n = 0;

	while (n < BATCH && (command = command_take()) != NULL) {
		command_run(command);
		command_destroy(&command);
		n++;
	}
	return n;
}

/* --- What workers saw ---------------------------------------------------------------------- */

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
	peer_run(peer);
}

static void events_run(const struct wg_event *events, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		event_run(&events[i]);
}

/* What one worker saw, in its order as far as it matters: whatever it told before it handed over a
 * message is heard before that message, such as that a keypair is confirmed which the message's
 * handshake would replace. */
static unsigned worker_run(unsigned worker)
{
	struct inbox_message messages[MESSAGES];
	struct wg_event events[BATCH];
	unsigned received, total, n;

	self.worker = worker;
	renew_load_note(&self.load[worker], inbox_queued(worker), self.now_ms);
	received = inbox_take(worker, messages, MESSAGES);
	total = received;
	for (unsigned left = events_queued_by(worker); left != 0; left -= n) {
		n = events_take(worker, events, RTE_MIN(left, (unsigned)BATCH));
		events_run(events, n);
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

static void timers_due_run(void)
{
	struct wg_peer *peers[HANDSHAKE_BURST];
	struct wheel_entry *entry;
	unsigned n = 0;

	while ((entry = wheel_next(&self.wheel, self.now_ms)) != NULL) {
		struct wg_peer *peer =
			(struct wg_peer *)((char *)entry - offsetof(struct wg_peer, thread.timer));

		if (n == HANDSHAKE_BURST || (n != 0 && peer->interface != peers[0]->interface)) {
			peers_run(peers, n);
			n = 0;
		}
		peers[n++] = peer;
	}
	peers_run(peers, n);
}

static void *run(void *arg)
{
	reader_register(READER_HANDSHAKE);
	reader_online(READER_HANDSHAKE);
	self.now_ms = clock_ms();
	wheel_init(&self.wheel, self.now_ms);
	while (!atomic_load_explicit(&self.stop, memory_order_relaxed)) {
		unsigned work = 0;

		self.now_ms = clock_ms();
		__atomic_store_n(&self.beat, self.beat + 1, __ATOMIC_RELAXED);
		work += commands_run();
		work += workers_run();
		timers_due_run();
		reader_quiescent(READER_HANDSHAKE);
		reclaim_run();
		if (work != 0)
			continue;
		reader_offline(READER_HANDSHAKE);
		events_wait((int)wheel_wait_ms(&self.wheel, self.now_ms, WAIT_MAX_MS));
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
