/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Setting a connection up over a SOCK_SEQPACKET Unix socket, and the socket's part afterwards.
 *
 *   controller                               data plane
 *   connect                        ->        accept; SO_PEERCRED; at most one controller
 *   HELLO version, sizes           ->        another major: REFUSED with one line
 *                                  <-        HELLO version, sizes, instance, generation, geometry
 *                                            + rings memfd, counters memfd, eventfd
 *   SECRET token + key memfd       ->        at any time later
 *                                  <-        bells: one byte each
 *
 * The rings memfd is sealed against resizing, so that neither side can make the other fault; the
 * counters memfd also against any new write access, so that the controller cannot but read.
 *
 * The controller wakes the data plane by the eventfd, which the data plane only waits for, edge
 * triggered, and never reads. The other way round is a byte on the socket: whether an eventfd
 * blocks is a flag of the open file, which both processes share, so a controller could turn it
 * off and hang the data plane's write; MSG_DONTWAIT cannot be turned off by the other side.
 *
 * struct channel belongs to one thread. Nothing here blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/api/table.h"
#include "common/ring/ring.h"

enum {
	CHANNEL_MAGIC = 0x53504348, /* "SPCH" */
	CHANNEL_SIZES_MAX = 1024,   /* message types in a hello */
	CHANNEL_TEXT_MAX = 120,
	CHANNEL_FDS = 3, /* with the data plane's hello: rings, counters, eventfd */
};

enum channel_kind {
	CHANNEL_HELLO = 1,
	CHANNEL_REFUSED = 2,
	CHANNEL_SECRET = 3,
	CHANNEL_BELL = 4, /* not a packet: what a one-byte message is told as */
};

/* How every packet of every major version begins. */
struct channel_packet {
	uint32_t magic;
	uint16_t major;
	uint16_t kind; /* enum channel_kind */
};

/* The same in every major version. */
struct channel_refused {
	struct channel_packet packet;
	char text[CHANNEL_TEXT_MAX]; /* NUL-terminated */
};

struct channel_size {
	uint16_t type;
	uint16_t size;
};

/* Sent cut after the last of `count` sizes. From the controller the geometry is zero. */
struct channel_hello {
	struct channel_packet packet;
	uint16_t minor;
	uint16_t count;
	uint32_t zero;
	uint64_t instance;
	uint64_t generation;
	uint32_t request_bytes; /* ring capacities */
	uint32_t reply_bytes;
	uint64_t counters_bytes;
	struct channel_size sizes[CHANNEL_SIZES_MAX];
};

struct channel_secret {
	struct channel_packet packet;
	uint64_t token;
};

/* What was received: a packet and the descriptors that came with it. */
struct channel_received {
	union {
		struct channel_packet packet;
		struct channel_refused refused;
		struct channel_hello hello;
		struct channel_secret secret;
	};
	size_t length;
	enum channel_kind kind;
	unsigned fd_count;
	int fds[CHANNEL_FDS]; /* owned by whoever received; channel_received_close() */
};

/* An established connection; the socket is included. */
struct channel {
	int socket;
	int eventfd; /* data plane: waits for it; controller: rings it */
	struct ring in;
	struct ring out;
	void *rings; /* mapping */
	size_t rings_bytes;
	void *counters; /* mapping; the controller's is read-only */
	size_t counters_bytes;
	uint64_t instance;
	uint64_t generation; /* at hello */
	uint16_t peer_minor;
	uint16_t *peer_sizes; /* by position in api_messages; 0 = the peer lacks it */
};

/* What the data plane offers. */
struct channel_offer {
	uint32_t request_bytes;
	uint32_t reply_bytes;
	size_t counters_bytes;
	uint64_t instance;
	uint64_t generation;
};

/* Data plane. */

/* Listens at path; a dead socket there is replaced (-EADDRINUSE if it is alive). Only `uid` and
 * root can reach it. Descriptor, non-blocking, or -errno. */
int channel_listen(const char *path, uid_t uid) __attribute__((warn_unused_result));

/* Accepts one connection of `uid`, our own uid or root. Descriptor; -EAGAIN: nobody is there;
 * -EPERM: somebody else was, and has been told so and closed. */
int channel_accept(int listener, uid_t uid) __attribute__((warn_unused_result));

/* Tells why in one line; the caller closes. */
void channel_refuse(int socket, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Answers a hello: makes the memory, then calls prepare (counters can be laid out; may be NULL),
 * then sends. Takes the socket over on success only. 0; -EPROTO or -EPROTONOSUPPORT (has been
 * refused); -errno.
 */
int channel_serve(struct channel *channel, int socket, const struct channel_received *hello,
	const struct channel_offer *offer, void (*prepare)(void *counters, size_t bytes, void *arg),
	void *arg) __attribute__((warn_unused_result));

/* Controller. */

/* Connects; descriptor, non-blocking, or -errno (-EAGAIN too: the backlog is full). */
int channel_connect(const char *path) __attribute__((warn_unused_result));

/* Fills what this build would say; the caller may change it (tests do). */
void channel_hello_init(struct channel_hello *hello);
int channel_send_hello(int socket, const struct channel_hello *hello)
	__attribute__((warn_unused_result));

/*
 * Takes the data plane's hello and its descriptors (which leave *received). Takes the socket over
 * on success only. 0, -EPROTO (with one line in text), -EPROTONOSUPPORT, -errno.
 */
int channel_attach(struct channel *channel, int socket, struct channel_received *hello,
	char text[CHANNEL_TEXT_MAX]) __attribute__((warn_unused_result));

/* Sends a memfd of keys; the caller still closes it. 0, -EAGAIN (later), -errno. */
int channel_send_secret(int socket, uint64_t token, int fd) __attribute__((warn_unused_result));

/* Both. */

/*
 * Receives one packet. 0; -EAGAIN: none now; -ENOTCONN: the other side closed; -EPROTO: not
 * ours (descriptors have been closed). Packets are checked for length and magic, not for major.
 */
int channel_receive(int socket, struct channel_received *received)
	__attribute__((warn_unused_result));

/* Closes the descriptors that nobody has taken. */
void channel_received_close(struct channel_received *received);

/* Size that the other side announced for a message, 0 if it does not know it. */
uint16_t channel_peer_size(const struct channel *channel, const struct api_message *message);

/* Unmaps and closes everything. */
void channel_close(struct channel *channel);
