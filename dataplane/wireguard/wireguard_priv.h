/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * WireGuard in the data plane: who owns what.
 *
 *   main thread       creates and deletes peers and interfaces (handlers), hands commands to the
 *                     handshake thread, passes its events on to the control process
 *   handshake thread  keypairs, paths, staged packets, timers, handshakes; publishes to workers
 *   workers           open and seal; replay windows of the keypairs they own; tell the handshake
 *                     thread what they saw through a ring each (struct wg_event)
 *
 * Published pointers (peers, keypairs, paths) are unlinked, a grace period passes, then they are
 * wiped and freed.
 */
#pragma once

#include <rte_ether.h>
#include <rte_mbuf.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <uthash.h>

#include "common/api/wireguard.h"
#include "dataplane/graph/drop.h"
#include "dataplane/main/worker.h"
#include "dataplane/wireguard/handshake.h"
#include "dataplane/wireguard/peer.h"
#include "dataplane/wireguard/replay.h"
#include "dataplane/wireguard/roam.h"
#include "dataplane/wireguard/wheel.h"

#define WG_DROPS(X)                                                                                \
	X(MALFORMED, "malformed", "not a WireGuard message, or of a wrong length")                 \
	X(UNKNOWN_INDEX, "unknown_index", "no session has this receiver index")                    \
	X(EXPIRED, "expired", "session older than 180 s, or counter past the limit")               \
	X(BAD_TAG, "bad_tag", "packet does not authenticate")                                      \
	X(REPLAYED, "replayed", "counter was seen before, or is too old")                          \
	X(BAD_ECN, "bad_ecn", "outer header says congestion, inner cannot carry it (RFC 6040)")    \
	X(NO_PEER, "no_peer", "the peer is gone")                                                  \
	X(NO_ENDPOINT, "no_endpoint", "the peer's endpoint is not known yet: it must speak first") \
	X(NO_NEIGHBOUR, "no_neighbour", "the next hop to the peer's endpoint is not resolved yet") \
	X(NO_ROOM, "no_room", "no room in the buffer for headers, padding or tag")                 \
	X(STAGED_FULL, "staged_full", "too many packets wait for a handshake")                     \
	X(STAGED_DROPPED, "staged_dropped", "the handshake that the packet waited for failed")     \
	X(BEHIND, "behind", "too many packets wait, or for too long, behind others of their peer") \
	X(QUEUE_FULL, "queue_full", "handshake queue is full")                                     \
	X(LEND_FULL, "lend_full", "a worker that was lent packets has been at them for too long")

DROP_GROUP_DECLARE(wireguard, WG_DROPS);

struct wg_peer;

/* One session: keys and counters, never written anywhere else, dead with the process. */
struct keypair {
	/* Sealing: read by every worker that seals for the peer. */
	uint8_t send_key[WG_KEY_SIZE];
	uint32_t remote_index;
	uint32_t local_index;
	struct wg_peer *peer; /* goes in the same grace period */
	uint64_t birth_ms;
	bool initiator;
	uint8_t owner;                   /* worker that opens */
	_Atomic bool unconfirmed;        /* responder's, until the first packet arrives */
	_Atomic uint64_t rekey_asked_ms; /* when a sender asked for a new one; 0 = never */
	_Atomic uint64_t last_minute_asked_ms;
	/* The peer's home takes them, a burst at a time (nonces.h). */
	_Atomic uint64_t send_counter __rte_cache_aligned;
	/* Opening: the owner's. */
	uint8_t receive_key[WG_KEY_SIZE] __rte_cache_aligned;
	struct replay_window replay;
} __rte_cache_aligned;

/* The way to a peer's endpoint; immutable once published. */
struct wg_path {
	struct endpoint remote;
	struct endpoint local; /* addr ADDR_NONE = could not be chosen */
	uint32_t adjacency;    /* 0 = next hop not resolved */
	uint16_t port;
	uint8_t header_length; /* IP and UDP */
	bool learned;          /* local address came from a packet: "sticky source" */
	uint32_t generation;   /* judge_generation() it was made under */
	uint16_t header_sum;   /* IPv4: of the header so, as checksum_v4_sum() gives it */
	uint8_t header[48];    /* IPv4 or IPv6, and UDP; lengths, id, TOS, checksums blank */
};

/* Of a peer, what only the handshake thread touches, but for three figures that the main thread
 * reads. */
struct wg_peer_thread {
	struct handshake_peer handshake;
	struct keypair *previous;
	struct rte_mbuf *staged_first, *staged_last; /* a list: few peers have any at a time */
	uint16_t staged_count;
	uint8_t worker; /* that received the last handshake: owner of the next keypair */
	bool listed;    /* in the interface's table by key */
	bool event_due;
	uint8_t unsent_length; /* of the initiation that waits for the next hop; 0 = none */
	uint8_t unsent[WG_INITIATION_SIZE];
	uint64_t unsent_ms;     /* since when */
	struct endpoint anchor; /* whither it returns; ADDR_NONE = nowhere */
	uint64_t last_seen_ms;  /* activity.last_any_ms at the last look */
	struct wheel_entry timer;
	UT_hash_handle by_key;
	/* Read by the main thread. Bytes are UDP payload of messages. */
	uint64_t last_handshake_s, handshake_rx_bytes, handshake_tx_bytes;
};

/* What only the main thread touches. */
struct wg_peer_main {
	struct api_peer_set configured;
	uint64_t rx_base, tx_base; /* what workers had counted under this id before */
	bool seen;
};

struct wg_peer {
	/* Read by all, by workers for every burst. The main thread writes them, when it makes the
	 * peer and (set_id, mtu) in commits. */
	uint32_t id;
	uint32_t set_id[2]; /* by copy of the tables, whose routes and rules are the set's */
	uint16_t home;
	uint16_t mtu;
	struct wg_interface *interface;
	/* The handshake thread publishes them. */
	_Atomic(struct keypair *) current; /* to seal with; NULL = none */
	_Atomic(struct keypair *) next;    /* a responder's; to seal with once it is confirmed */
	_Atomic(struct wg_path *) path;    /* NULL = no endpoint */
	/* Workers tell (one event per flag that goes up), the handshake thread lowers them. */
	_Atomic bool watched; /* it looks at the activity by itself, no event needed */
	_Atomic bool stale;   /* an event about the path is under way */
	/* Packets that its home has given to the handshake thread for want of a key and has not got
	 * back: later ones wait until these have been sealed. Who drops one takes it off. */
	_Atomic uint32_t staged;
	struct roam roam; /* goes before `path` while it is pending */
	/* Workers and the handshake thread write it, by its own functions. */
	struct timers_activity activity __rte_cache_aligned;

	struct wg_peer_thread thread __rte_cache_aligned;
	struct wg_peer_main main __rte_cache_aligned;
};

/* One of peer->staged less; true if it was the last. Never below none: a packet may be that of a
 * peer who had this id before. */
static inline bool staged_leaves(struct wg_peer *peer)
{
	uint32_t n = atomic_load_explicit(&peer->staged, memory_order_relaxed);

	while (n != 0 && !atomic_compare_exchange_weak_explicit(&peer->staged, &n, n - 1,
				 memory_order_relaxed, memory_order_relaxed))
		;
	return n == 1;
}

/* What a worker asks for every burst stands in the first line, but for where a peer has roamed. */
_Static_assert(offsetof(struct wg_peer, roam.words) <= RTE_CACHE_LINE_SIZE, "one line");

struct wg_interface {
	/* Main thread writes, all read. */
	uint16_t id;
	uint16_t listen_port;                         /* from which a peer is spoken to first */
	uint16_t also_listen[API_WG_ALSO_LISTEN_MAX]; /* 0 = none */
	uint16_t mtu;
	/* Handshake thread. */
	struct handshake *handshake;
	struct wg_peer *peers; /* uthash by public key */
	/* Main thread. */
	bool used, seen;
};

/* From a worker to the handshake thread. */
enum wg_event_kind {
	WG_EVENT_ACTIVITY,  /* look at the peer's timers */
	WG_EVENT_CONFIRMED, /* index: the first packet came on this responder's keypair */
	WG_EVENT_ROAM,      /* an authentic packet came from `source`; peer->roam has it, too */
	WG_EVENT_PATH,      /* the path is stale, or its next hop unresolved */
	WG_EVENT_STAGE,     /* mbuf: waits for a key */
};

struct wg_event {
	uint32_t kind;
	uint32_t peer;
	struct rte_mbuf *mbuf;
	uint32_t index;
	uint32_t zero;
	struct handshake_source source;
};

/* peers.c */
int peers_init(uint32_t max_peers);
void peers_housekeep(uint64_t now_ms);
/* Any reader. */
struct wg_peer *wg_peer_get(uint32_t peer);
struct wg_interface *wg_interface_get(unsigned interface);
bool wg_interface_listens(const struct wg_interface *interface, uint16_t port);
struct wg_interface *wg_interface_by_port(uint16_t listen_port);

/* index_table.c: workers find, the handshake thread changes. */
int index_table_init(uint32_t max_peers);
uint64_t index_table_secret(void);
struct keypair *index_table_find(uint32_t index);
/* Hints to the cache: where the keypair is said to be; then, once that is there, what opens. */
void index_table_prefetch(uint32_t index);
void index_table_prefetch_keypair(uint32_t index);
int index_table_take(struct wg_peer *peer, unsigned owner, uint32_t *index);
void index_table_set(uint32_t index, struct keypair *keypair);
void index_table_give(uint32_t index);
/* Any thread: whether it was given out; a hint, it may be gone by now. */
bool index_table_is_taken(uint32_t index);
struct wg_peer *index_table_peer(uint32_t index);

/* events.c: workers put, the handshake thread takes. What goes through inbox.h wakes it, too. */
int events_init(unsigned workers);
bool events_put(const struct wg_event *event); /* on a worker; false if there is no room */
unsigned events_take(unsigned worker, struct wg_event *events, unsigned max);
unsigned events_queued_by(unsigned worker);
void events_wait(int timeout_ms);
void events_wake(void);

/* commands.c: main thread to handshake thread, and back. */
enum wg_command_kind {
	WG_COMMAND_INTERFACE, /* key may be absent: keep it */
	WG_COMMAND_INTERFACE_DEL,
	WG_COMMAND_PEER_ADD,
	WG_COMMAND_PEER_CHANGE,
	WG_COMMAND_PEER_DEL,
	WG_COMMAND_TELL, /* a controller connected: tell it all peers' state */
};

struct wg_command {
	STAILQ_ENTRY(wg_command) link;
	enum wg_command_kind kind;
	bool has_key;
	bool has_endpoint;
	bool has_ports; /* the interface listens at others than before */
	struct wg_interface *interface;
	struct wg_peer *peer;
	struct key key; /* private or preshared */
	struct api_peer_set set;
};

struct wg_command *command_create(enum wg_command_kind kind);
void command_put(struct wg_command *command); /* main thread; owns it from now on */
struct wg_command *command_take(void);        /* handshake thread; NULL if none */
bool command_pending(void);
void command_destroy(struct wg_command **command);
void peer_event_put(const struct api_event_peer *event); /* handshake thread */
bool peer_event_take(struct api_event_peer *event);      /* main thread */

/* keypairs.c: handshake thread. */
void keypair_install(struct wg_peer *peer, const struct noise_keys *keys, uint64_t now_ms);
void keypair_confirm(struct wg_peer *peer, uint32_t index, uint64_t now_ms);
void keypairs_destroy(struct wg_peer *peer);
void keepalive_send(struct wg_peer *peer);
void staged_put(struct wg_peer *peer, struct rte_mbuf *mbuf);
void staged_flush(struct wg_peer *peer);
void staged_drop(struct wg_peer *peer);
/* A packet of `staged` will not come back. */
void staged_lost(struct wg_peer *peer);

/* paths.c: handshake thread, but for the first. */
/* Any reader: the way to where a peer is moving, of the copy's tables; false if it is not, and
 * peer->path, read after this, is the way. */
bool path_roamed(const struct wg_peer *peer, unsigned copy, struct wg_path *path);
/* local: what the peer sent to, or NULL; an address or port that is not ours is not spoken from. */
void path_set(struct wg_peer *peer, const struct endpoint *remote, const struct endpoint *local);
void path_refresh(struct wg_peer *peer);
void path_forget_source(struct wg_peer *peer);

/* Nobody answers where the peer was last: back to its anchor, if it has one. */
void path_return(struct wg_peer *peer);
void path_clear(struct wg_peer *peer);
/* False if the next hop is not resolved yet: then nothing was sent, and it has been asked for.
 * received: the message that is answered, or NULL; then its layer-2 source will do as next hop. */
bool path_send(const struct endpoint *remote, const struct endpoint *local, const void *payload,
	size_t length, struct rte_mbuf *received);

/* reclaim.c: handshake thread. Frees after a grace period. */
void reclaim_later(void *memory, size_t wipe_bytes);
void reclaim_run(void);

/* thread.c */
int thread_start(void);
void thread_stop(void);

/* counters.c: workers add, main thread reads. */
struct wg_count {
	uint64_t rx_bytes, tx_bytes; /* UDP payload */
};
int counts_init(unsigned workers, uint32_t max_peers);
struct wg_count *counts_of(unsigned worker); /* array by peer id */
