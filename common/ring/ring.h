/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A single-producer/single-consumer ring of messages in memory shared with another process that
 * is not trusted. A message begins with struct api_header; its length is a multiple of API_ALIGN.
 *
 * Each side has its own struct ring with the geometry and its own index; of the shared memory it
 * believes only what it has range-checked. Messages are copied out before anyone looks at them.
 * An impossible index or length is -EPROTO for ever after: the caller ends the connection.
 *
 * Indices count bytes since the start and never wrap in practice (64 bits). Producer and consumer
 * are one thread each; they may be in different processes and mapped at different addresses.
 *
 * Sleeping: the side that wants to block calls ring_wait_data() or ring_wait_space(), which sets
 * its flag, fences and looks again; the other side rings the bell only if the flag is set.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RING_CACHE_LINE = 64,
	RING_CAPACITY_MIN = 4096,    /* bytes */
	RING_CAPACITY_MAX = 1 << 28, /* bytes */
};

/* What lies in shared memory, followed by the data. Written by the side named. */
struct ring_shared {
	_Alignas(RING_CACHE_LINE) _Atomic uint64_t tail; /* producer: bytes put */
	_Atomic uint32_t producer_sleeps;                /* producer sets, both clear */
	_Alignas(RING_CACHE_LINE) _Atomic uint64_t head; /* consumer: bytes taken */
	_Atomic uint32_t consumer_sleeps;                /* consumer sets, both clear */
	_Alignas(RING_CACHE_LINE) uint8_t data[];
};

/* A way to wake the other side; never blocks, whatever the other side did to the descriptor. */
struct ring_bell {
	int fd;
	bool is_socket; /* else an eventfd */
};

/* Private to one side. */
struct ring {
	struct ring_shared *shared;
	uint64_t capacity;  /* bytes, a power of two */
	uint64_t head;      /* consumer: own index; producer: last valid value seen */
	uint64_t tail;      /* producer: own index; consumer: last valid value seen */
	uint64_t published; /* own index as the other side can see it */
	struct ring_bell bell;
	uint64_t bells; /* rung by this side */
	bool broken;    /* the other side broke the rules */
};

/* Bytes of shared memory that a ring of this capacity takes. */
size_t ring_bytes(uint32_t capacity);

/* True for a power of two within the limits. */
bool ring_capacity_is_valid(uint64_t capacity);

/*
 * Attaches one side to zeroed shared memory of ring_bytes(capacity), aligned to RING_CACHE_LINE.
 * The bell wakes the other side; its descriptor is borrowed (fd -1 = none).
 */
void ring_attach(struct ring *ring, void *memory, uint32_t capacity, struct ring_bell bell);

/* Producer. */

/*
 * Copies a message into the ring, invisible to the other side until ring_publish(). The header's
 * length must be valid. 0, -EAGAIN (no room now), -EPROTO.
 */
int ring_put(struct ring *ring, const void *message) __attribute__((warn_unused_result));

/* Makes all that was put visible, and rings the bell if the consumer sleeps. */
void ring_publish(struct ring *ring);

/* Bytes that can be put now, or -EPROTO. */
int64_t ring_space(struct ring *ring);

/* True: the ring is more than half full and its consumer will ring when it is not; block. */
bool ring_wait_space(struct ring *ring);

/* Consumer. */

/*
 * Copies the next message out; `out` has API_MESSAGE_MAX bytes. Returns its length (8 or more, a
 * multiple of 8, equal to the length in the copied header), 0 if there is none, or -EPROTO.
 */
int ring_get(struct ring *ring, void *out) __attribute__((warn_unused_result));

/* Gives the room of all that was got back, and rings the bell if the producer waits for it. */
void ring_release(struct ring *ring);

/* True: the ring is empty and its producer will ring; block. False also after -EPROTO. */
bool ring_wait_data(struct ring *ring);

/* Either side, after waking up for whatever reason: no bell is needed while it is awake. */
void ring_awake(struct ring *ring, bool is_producer);

void ring_bell_ring(const struct ring_bell *bell);
