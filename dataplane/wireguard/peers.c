/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peers and interfaces as the control process sets them: main thread. What belongs to the
 * handshake thread goes there as a command; a peer is unlinked here and freed there.
 */
#include <errno.h>
#include <rte_common.h>
#include <rte_malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/api/counters.h"
#include "dataplane/graph/graph.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/session.h"
#include "dataplane/main/stats.h"
#include "dataplane/main/txn.h"
#include "dataplane/route/hold.h"
#include "dataplane/route/route.h"
#include "dataplane/wireguard/wireguard_priv.h"

enum { MTU_MIN = 1280, MTU_MAX = 8920, HOOKS_MAX = 4 };

static _Atomic(struct wg_peer *) *peers;
static uint32_t peers_max;
static uint32_t bound = 1; /* highest id ever used + 1 */
static struct wg_interface interfaces[API_WG_INTERFACE_MAX];
static void (*on_delete[HOOKS_MAX])(uint32_t peer), (*on_create[HOOKS_MAX])(uint32_t peer);
static unsigned on_delete_count, on_create_count;
static bool rejudge; /* a peer's set or MTU is another one: its flows must learn of it */

/* --- Any reader ---------------------------------------------------------------------------- */

struct wg_peer *wg_peer_get(uint32_t peer)
{
	return peer < peers_max ? atomic_load_explicit(&peers[peer], memory_order_acquire) : NULL;
}

struct wg_interface *wg_interface_get(unsigned interface)
{
	return interfaces[interface].used ? &interfaces[interface] : NULL;
}

bool wg_interface_listens(const struct wg_interface *interface, uint16_t port)
{
	bool found = port != 0 && interface->listen_port == port;

	for (unsigned i = 0; i < API_WG_ALSO_LISTEN_MAX && port != 0 && !found; i++)
		found = interface->also_listen[i] == port;
	return found;
}

struct wg_interface *wg_interface_by_port(uint16_t listen_port)
{
	for (unsigned i = 1; i < API_WG_INTERFACE_MAX; i++) {
		if (interfaces[i].used && wg_interface_listens(&interfaces[i], listen_port))
			return &interfaces[i];
	}
	return NULL;
}

bool peer_look(unsigned copy, uint32_t peer, struct peer_view *view)
{
	const struct wg_peer *found = wg_peer_get(peer);

	if (found == NULL)
		return false;
	*view = (struct peer_view){
		.set_id = found->set_id[copy], .mtu = found->mtu, .home = found->home};
	return true;
}

/* --- Main thread --------------------------------------------------------------------------- */

uint32_t peer_bound(void)
{
	return bound;
}

void peer_on_delete(void (*gone)(uint32_t peer))
{
	RTE_VERIFY(on_delete_count < HOOKS_MAX);
	on_delete[on_delete_count++] = gone;
}

void peer_on_create(void (*made)(uint32_t peer))
{
	RTE_VERIFY(on_create_count < HOOKS_MAX);
	on_create[on_create_count++] = made;
}

/* Transport messages of all workers under this id, whoever had it. */
static void sum_workers(uint32_t peer, uint64_t *rx_bytes, uint64_t *tx_bytes)
{
	*rx_bytes = 0;
	*tx_bytes = 0;
	for (unsigned worker = 0; worker < dp_config()->workers; worker++) {
		const struct wg_count *count = &counts_of(worker)[peer];

		*rx_bytes += __atomic_load_n(&count->rx_bytes, __ATOMIC_RELAXED);
		*tx_bytes += __atomic_load_n(&count->tx_bytes, __ATOMIC_RELAXED);
	}
}

/* Of a peer's row the fields that the tunnel knows; flows write the others. */
static uint32_t fill(void *rows, uint32_t max)
{
	struct api_count_peer *row = rows;
	uint32_t n = RTE_MIN(max, bound);

	for (uint32_t id = 1; id < n; id++) {
		const struct wg_peer *peer = wg_peer_get(id);
		uint64_t rx_bytes, tx_bytes;

		row[id].wire_rx_bytes = row[id].wire_tx_bytes = row[id].last_handshake_s = 0;
		if (peer == NULL)
			continue;
		sum_workers(id, &rx_bytes, &tx_bytes);
		row[id].wire_rx_bytes =
			rx_bytes - peer->main.rx_base +
			__atomic_load_n(&peer->thread.handshake_rx_bytes, __ATOMIC_RELAXED);
		row[id].wire_tx_bytes =
			tx_bytes - peer->main.tx_base +
			__atomic_load_n(&peer->thread.handshake_tx_bytes, __ATOMIC_RELAXED);
		row[id].last_handshake_s =
			__atomic_load_n(&peer->thread.last_handshake_s, __ATOMIC_RELAXED);
	}
	return n;
}

static int bad_value(uint32_t *detail, size_t offset)
{
	*detail = (uint32_t)offset;
	return API_E_VALUE;
}

static int interface_set_validate(const void *message, uint32_t *detail)
{
	const struct api_wg_interface_set *set = message;

	if (set->interface == 0 || set->interface >= API_WG_INTERFACE_MAX)
		return bad_value(detail, offsetof(struct api_wg_interface_set, interface));
	if (set->listen_port == 0)
		return bad_value(detail, offsetof(struct api_wg_interface_set, listen_port));
	if (set->mtu < MTU_MIN || set->mtu > MTU_MAX)
		return bad_value(detail, offsetof(struct api_wg_interface_set, mtu));
	return API_OK;
}

static int interface_del_validate(const void *message, uint32_t *detail)
{
	const struct api_wg_interface_del *del = message;

	if (del->interface == 0 || del->interface >= API_WG_INTERFACE_MAX)
		return bad_value(detail, offsetof(struct api_wg_interface_del, interface));
	return API_OK;
}

static int peer_set_validate(const void *message, uint32_t *detail)
{
	const struct api_peer_set *set = message;

	if (set->peer == 0 || set->peer >= peers_max)
		return bad_value(detail, offsetof(struct api_peer_set, peer));
	if (set->interface == 0 || set->interface >= API_WG_INTERFACE_MAX)
		return bad_value(detail, offsetof(struct api_peer_set, interface));
	if (set->set_id >= API_SET_MAX)
		return bad_value(detail, offsetof(struct api_peer_set, set_id));
	if (set->mtu != 0 && (set->mtu < MTU_MIN || set->mtu > MTU_MAX))
		return bad_value(detail, offsetof(struct api_peer_set, mtu));
	if ((set->flags & ~(API_PEER_HAS_PSK | API_PEER_INITIATE | API_PEER_RETURN)) != 0)
		return bad_value(detail, offsetof(struct api_peer_set, flags));
	if (key_is_zero(&set->public_key))
		return bad_value(detail, offsetof(struct api_peer_set, public_key));
	if (set->endpoint.addr.family != ADDR_NONE &&
		(!addr_is_valid(&set->endpoint.addr) || set->endpoint.port == 0))
		return bad_value(detail, offsetof(struct api_peer_set, endpoint));
	return API_OK;
}

static int peer_del_validate(const void *message, uint32_t *detail)
{
	const struct api_peer_del *del = message;

	if (del->peer == 0 || del->peer >= peers_max)
		return bad_value(detail, offsetof(struct api_peer_del, peer));
	return API_OK;
}

/* The secret that a message names; false if it names none. */
static bool secret_take(const struct api_secret *secret, struct key *key)
{
	return secret->token != 0 && session_secret(secret->token, secret->index, key->bytes) == 0;
}

static void peer_delete(struct wg_peer *peer)
{
	struct wg_command *command = command_create(WG_COMMAND_PEER_DEL);

	atomic_store_explicit(&peers[peer->id], NULL, memory_order_release);
	/* What waits for its next hop must find it gone, and no other in its place. */
	hold_release();
	for (unsigned i = 0; i < on_delete_count; i++)
		on_delete[i](peer->id);
	command->peer = peer;
	command_put(command);
}

static void services(const struct wg_interface *interface, enum graph_role role)
{
	graph_udp_service(interface->listen_port, role);
	for (unsigned i = 0; i < API_WG_ALSO_LISTEN_MAX; i++) {
		if (interface->also_listen[i] != 0)
			graph_udp_service(interface->also_listen[i], role);
	}
}

/* Ports that stay are served all the time. */
static void ports_set(struct wg_interface *interface, const struct api_wg_interface_set *set)
{
	struct wg_interface old = *interface;

	interface->listen_port = set->listen_port;
	memcpy(interface->also_listen, set->also_listen, sizeof(interface->also_listen));
	services(interface, GRAPH_OPEN);
	if (!old.used)
		return;
	if (!wg_interface_listens(interface, old.listen_port))
		graph_udp_service_remove(old.listen_port);
	for (unsigned i = 0; i < API_WG_ALSO_LISTEN_MAX; i++) {
		if (old.also_listen[i] != 0 && !wg_interface_listens(interface, old.also_listen[i]))
			graph_udp_service_remove(old.also_listen[i]);
	}
}

static void mtu_set(struct wg_peer *peer)
{
	uint16_t own = peer->main.configured.mtu, mtu = own != 0 ? own : peer->interface->mtu;

	rejudge |= peer->mtu != mtu;
	peer->mtu = mtu;
}

static void interface_mtu_set(struct wg_interface *interface, uint16_t mtu)
{
	if (interface->mtu == mtu)
		return;
	interface->mtu = mtu;
	for (uint32_t id = 1; id < bound; id++) {
		struct wg_peer *peer = wg_peer_get(id);

		if (peer != NULL && peer->interface == interface)
			mtu_set(peer);
	}
}

static void interface_set_apply(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_wg_interface_set *set = message;
	struct wg_interface *interface = &interfaces[set->interface];
	struct wg_command *command;

	if (pass != HANDLER_SHADOW)
		return;
	command = command_create(WG_COMMAND_INTERFACE);
	command->has_ports =
		interface->used && (interface->listen_port != set->listen_port ||
					   memcmp(interface->also_listen, set->also_listen,
						   sizeof(set->also_listen)) != 0);
	ports_set(interface, set);
	interface->id = set->interface;
	interface_mtu_set(interface, set->mtu);
	interface->seen = true;
	interface->used = true;
	command->interface = interface;
	command->has_key = secret_take(&set->private_key, &command->key);
	command_put(command);
}

static void interface_delete(struct wg_interface *interface)
{
	struct wg_command *command;

	for (uint32_t id = 1; id < bound; id++) {
		struct wg_peer *peer = wg_peer_get(id);

		if (peer != NULL && peer->interface == interface)
			peer_delete(peer);
	}
	services(interface, GRAPH_FORWARD);
	interface->used = false;
	command = command_create(WG_COMMAND_INTERFACE_DEL);
	command->interface = interface;
	command_put(command);
}

static void interface_del_apply(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_wg_interface_del *del = message;

	if (pass == HANDLER_CATCH_UP && interfaces[del->interface].used)
		interface_delete(&interfaces[del->interface]);
}

static void peer_create(const struct api_peer_set *set)
{
	struct wg_peer *peer = rte_zmalloc("wg_peer", sizeof(*peer), RTE_CACHE_LINE_SIZE);
	struct wg_command *command;

	/* prepare() saw that there was memory for all; without it the peer stays away, loudly. */
	RTE_VERIFY(peer != NULL);
	peer->id = set->peer;
	peer->set_id[0] = peer->set_id[1] = set->set_id;
	peer->interface = &interfaces[set->interface];
	peer->mtu = set->mtu != 0 ? set->mtu : peer->interface->mtu;
	peer->home = (uint16_t)(set->peer % dp_config()->workers);
	peer->main.configured = *set;
	peer->main.seen = true;
	sum_workers(peer->id, &peer->main.rx_base, &peer->main.tx_base);
	for (unsigned i = 0; i < on_create_count; i++)
		on_create[i](peer->id);
	bound = RTE_MAX(bound, set->peer + 1);
	command = command_create(WG_COMMAND_PEER_ADD);
	command->peer = peer;
	command->set = *set;
	command->has_endpoint = set->endpoint.addr.family != ADDR_NONE;
	command->has_key = (set->flags & API_PEER_HAS_PSK) != 0 &&
			   secret_take(&set->preshared_key, &command->key);
	atomic_store_explicit(&peers[peer->id], peer, memory_order_release);
	command_put(command);
}

/* Only what differs is touched: the session, and an endpoint that the peer roamed to, stay. */
static void peer_update(struct wg_peer *peer, const struct api_peer_set *set, unsigned copy)
{
	struct wg_command *command = command_create(WG_COMMAND_PEER_CHANGE);
	bool changed = peer->main.configured.persistent_keepalive != set->persistent_keepalive ||
		       peer->main.configured.flags != set->flags;

	rejudge |= peer->set_id[!copy] != set->set_id;
	peer->set_id[copy] = set->set_id;
	peer->main.seen = true;
	command->peer = peer;
	command->set = *set;
	command->has_key = (set->flags & API_PEER_HAS_PSK) != 0 &&
			   secret_take(&set->preshared_key, &command->key);
	command->has_endpoint = set->endpoint.addr.family != ADDR_NONE &&
				!endpoint_equal(&set->endpoint, &peer->main.configured.endpoint);
	peer->main.configured = *set;
	mtu_set(peer);
	if (changed || command->has_key || command->has_endpoint)
		command_put(command);
	else
		command_destroy(&command);
}

static void peer_set_apply(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_peer_set *set = message;
	struct wg_peer *peer = wg_peer_get(set->peer);

	if (pass != HANDLER_SHADOW) {
		if (peer != NULL) /* not if its interface went before it */
			peer->set_id[copy] = set->set_id;
		return;
	}
	if (peer != NULL && peer->interface->id == set->interface &&
		key_equal(&peer->main.configured.public_key, &set->public_key)) {
		peer_update(peer, set, copy);
		return;
	}
	if (peer != NULL)
		peer_delete(peer);
	peer_create(set);
}

static void peer_del_apply(const void *message, unsigned copy, enum handler_pass pass)
{
	const struct api_peer_del *del = message;
	struct wg_peer *peer = wg_peer_get(del->peer);

	/* Not one that the same transaction has set anew under this id. */
	if (pass == HANDLER_SHADOW && peer != NULL)
		peer->main.seen = false;
	if (pass == HANDLER_CATCH_UP && peer != NULL && !peer->main.seen)
		peer_delete(peer);
}

static const struct handler handlers[] = {
	{API_WG_INTERFACE_SET, "wg_interface_set", sizeof(struct api_wg_interface_set),
		interface_set_validate, interface_set_apply},
	{API_WG_INTERFACE_DEL, "wg_interface_del", sizeof(struct api_wg_interface_del),
		interface_del_validate, interface_del_apply},
	{API_PEER_SET, "peer_set", sizeof(struct api_peer_set), peer_set_validate, peer_set_apply},
	{API_PEER_DEL, "peer_del", sizeof(struct api_peer_del), peer_del_validate, peer_del_apply},
};

/* Memory for so many new peers; an estimate that errs on the safe side. */
static bool memory_for(uint64_t new_peers)
{
	struct rte_malloc_socket_stats stats;
	size_t room = 0;

	for (unsigned i = 0; i < rte_socket_count(); i++) {
		if (rte_malloc_get_socket_stats(rte_socket_id_by_idx(i), &stats) == 0)
			room += stats.heap_freesz_bytes;
	}
	return new_peers == 0 ||
	       room / 2 / (sizeof(struct wg_peer) + RTE_CACHE_LINE_SIZE) > new_peers;
}

static int secret_check(const struct api_secret *secret)
{
	if (secret->token != 0 && !session_secret_present(secret->token, secret->index))
		return API_E_SECRET;
	return API_OK;
}

static int prepare(const struct txn *txn, uint64_t *index, uint32_t *detail, char text[96])
{
	bool have[API_WG_INTERFACE_MAX];
	struct txn_cursor cursor = {0};
	const struct api_header *header;
	uint64_t new_peers = 0;
	int code = API_OK;

	for (unsigned i = 0; i < API_WG_INTERFACE_MAX; i++)
		have[i] = interfaces[i].used && !txn_is_full(txn);
	while (code == API_OK && (header = txn_next_like(txn, &cursor, API_PEER_SET)) != NULL) {
		const struct api_wg_interface_set *interface = (const void *)header;
		const struct api_peer_set *peer = (const void *)header;

		*index = cursor.index;
		if (header->type == API_WG_INTERFACE_SET) {
			have[interface->interface] = true;
			code = secret_check(&interface->private_key);
		} else if (header->type == API_PEER_SET) {
			new_peers += wg_peer_get(peer->peer) == NULL;
			code = have[peer->interface] ? secret_check(&peer->preshared_key)
						     : API_E_MISSING;
			if (code != API_OK)
				snprintf(text, 96, "peer %u: interface %u", peer->peer,
					peer->interface);
		}
	}
	if (code == API_OK && !memory_for(new_peers)) {
		snprintf(text, 96, "no memory for %ju more peers: raise --memory",
			(uintmax_t)new_peers);
		code = API_E_LIMIT;
	}
	return code;
}

static void begin(unsigned copy, enum handler_pass pass, bool full)
{
	if (!full || pass != HANDLER_SHADOW)
		return;
	for (unsigned i = 1; i < API_WG_INTERFACE_MAX; i++)
		interfaces[i].seen = false;
	for (uint32_t id = 1; id < bound; id++) {
		struct wg_peer *peer = wg_peer_get(id);

		if (peer != NULL)
			peer->main.seen = false;
	}
}

static void end(unsigned copy, enum handler_pass pass, bool full)
{
	if (pass == HANDLER_CATCH_UP && rejudge)
		judge_generation_bump();
	rejudge &= pass != HANDLER_CATCH_UP;
	if (!full || pass != HANDLER_CATCH_UP)
		return;
	for (uint32_t id = 1; id < bound; id++) {
		struct wg_peer *peer = wg_peer_get(id);

		if (peer != NULL && !peer->main.seen)
			peer_delete(peer);
	}
	for (unsigned i = 1; i < API_WG_INTERFACE_MAX; i++) {
		if (interfaces[i].used && !interfaces[i].seen)
			interface_delete(&interfaces[i]);
	}
}

static const struct handler_group group = {
	.feature = "wireguard",
	.handlers = handlers,
	.count = RTE_DIM(handlers),
	.prepare = prepare,
	.begin = begin,
	.end = end,
};

int peers_init(uint32_t max_peers)
{
	peers = rte_zmalloc("wg_peers", max_peers * sizeof(peers[0]), RTE_CACHE_LINE_SIZE);
	if (peers == NULL)
		return -ENOMEM;
	peers_max = max_peers;
	handler_register(&group);
	stats_section(API_SECTION_PEERS, sizeof(struct api_count_peer), max_peers, fill);
	return 0;
}

void peers_housekeep(uint64_t now_ms)
{
	static uint64_t told_connection;
	struct api_event_peer event;

	if (session_connection() != told_connection) {
		told_connection = session_connection();
		if (told_connection != 0)
			command_put(command_create(WG_COMMAND_TELL));
	}
	/* Without a controller they are dropped: the next one is told all. */
	while ((told_connection == 0 || session_event_ready()) && peer_event_take(&event))
		(void)!session_event(&event);
}
