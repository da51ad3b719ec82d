/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/ring/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/api/api.h"

_Static_assert(sizeof(struct api_header) == API_ALIGN, "a header never wraps around");

static uint64_t position(const struct ring *ring, uint64_t index)
{
	return index & (ring->capacity - 1);
}

static int give_up(struct ring *ring)
{
	ring->broken = true;
	return -EPROTO;
}

static void copy_in(struct ring *ring, const uint8_t *from, uint64_t length)
{
	uint64_t at = position(ring, ring->tail);
	uint64_t first = ring->capacity - at < length ? ring->capacity - at : length;

	memcpy(ring->shared->data + at, from, first);
	memcpy(ring->shared->data, from + first, length - first);
}

static void copy_out(const struct ring *ring, uint64_t index, uint8_t *to, uint64_t length)
{
	uint64_t at = position(ring, index);
	uint64_t first = ring->capacity - at < length ? ring->capacity - at : length;

	memcpy(to, ring->shared->data + at, first);
	memcpy(to + first, ring->shared->data, length - first);
	/* What follows works on the copy: the compiler may not read the original again. */
	atomic_signal_fence(memory_order_seq_cst);
}

/* Producer: looks where the consumer is. */
static int see_head(struct ring *ring)
{
	uint64_t head = atomic_load_explicit(&ring->shared->head, memory_order_acquire);

	if (ring->tail - head > ring->capacity || head % API_ALIGN != 0)
		return give_up(ring);
	ring->head = head;
	return 0;
}

/* Consumer: looks where the producer is. */
static int see_tail(struct ring *ring)
{
	uint64_t tail = atomic_load_explicit(&ring->shared->tail, memory_order_acquire);

	if (tail - ring->head > ring->capacity || tail % API_ALIGN != 0)
		return give_up(ring);
	ring->tail = tail;
	return 0;
}

/* After the caller's store: whoever set the flag before looking either sees it or is rung. */
static void wake(struct ring *ring, _Atomic uint32_t *sleeps)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(sleeps, memory_order_relaxed) == 0)
		return;
	if (atomic_exchange_explicit(sleeps, 0, memory_order_relaxed) == 0)
		return;
	ring->bells++;
	ring_bell_ring(&ring->bell);
}

void ring_bell_ring(const struct ring_bell *bell)
{
	static const uint64_t one = 1;
	ssize_t done;

	if (bell->fd < 0)
		return;
	/* EAGAIN means that enough bells are waiting unheard; other errors are seen elsewhere. */
	if (bell->is_socket)
		done = send(bell->fd, &one, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		done = write(bell->fd, &one, sizeof(one));
	(void)done;
}

size_t ring_bytes(uint32_t capacity)
{
	return sizeof(struct ring_shared) + capacity;
}

bool ring_capacity_is_valid(uint64_t capacity)
{
	return capacity >= RING_CAPACITY_MIN && capacity <= RING_CAPACITY_MAX &&
	       (capacity & (capacity - 1)) == 0;
}

void ring_attach(struct ring *ring, void *memory, uint32_t capacity, struct ring_bell bell)
{
	*ring = (struct ring){.shared = memory, .capacity = capacity, .bell = bell};
}

int64_t ring_space(struct ring *ring)
{
	if (ring->broken || see_head(ring) != 0)
		return -EPROTO;
	return (int64_t)(ring->capacity - (ring->tail - ring->head));
}

int ring_put(struct ring *ring, const void *message)
{
	uint64_t length = ((const struct api_header *)message)->length;

	if (ring->broken)
		return -EPROTO;
	if (ring->capacity - (ring->tail - ring->head) < length) {
		if (see_head(ring) != 0)
			return -EPROTO;
		if (ring->capacity - (ring->tail - ring->head) < length)
			return -EAGAIN;
	}
	copy_in(ring, message, length);
	ring->tail += length;
	return 0;
}

void ring_publish(struct ring *ring)
{
	if (ring->published == ring->tail)
		return;
	ring->published = ring->tail;
	atomic_store_explicit(&ring->shared->tail, ring->tail, memory_order_release);
	wake(ring, &ring->shared->consumer_sleeps);
}

bool ring_wait_space(struct ring *ring)
{
	if (ring->broken)
		return false;
	atomic_store_explicit(&ring->shared->producer_sleeps, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (see_head(ring) == 0 && ring->tail - ring->head > ring->capacity / 2)
		return true;
	atomic_store_explicit(&ring->shared->producer_sleeps, 0, memory_order_relaxed);
	return false;
}

int ring_get(struct ring *ring, void *out)
{
	struct api_header *header = out;
	uint64_t first;

	if (ring->broken)
		return -EPROTO;
	if (ring->tail == ring->head) {
		if (see_tail(ring) != 0)
			return -EPROTO;
		if (ring->tail == ring->head)
			return 0;
	}
	/* One load: what is checked below is what the caller gets. */
	first = atomic_load_explicit(
		(_Atomic uint64_t *)(void *)(ring->shared->data + position(ring, ring->head)),
		memory_order_relaxed);
	memcpy(out, &first, sizeof(first));
	/* Messages become visible whole, so one that reaches beyond the tail is a lie. */
	if (header->length < sizeof(*header) || header->length % API_ALIGN != 0 ||
		header->length > API_MESSAGE_MAX || header->length > ring->tail - ring->head)
		return give_up(ring);
	copy_out(ring, ring->head + sizeof(*header), (uint8_t *)out + sizeof(*header),
		header->length - sizeof(*header));
	ring->head += header->length;
	return header->length;
}

void ring_release(struct ring *ring)
{
	if (ring->published == ring->head)
		return;
	ring->published = ring->head;
	atomic_store_explicit(&ring->shared->head, ring->head, memory_order_release);
	/* Not for each message: a producer that waits has a good deal to send. */
	if (ring->tail - ring->head <= ring->capacity / 2)
		wake(ring, &ring->shared->producer_sleeps);
}

bool ring_wait_data(struct ring *ring)
{
	if (ring->broken)
		return false;
	atomic_store_explicit(&ring->shared->consumer_sleeps, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (see_tail(ring) == 0 && ring->tail == ring->head)
		return true;
	atomic_store_explicit(&ring->shared->consumer_sleeps, 0, memory_order_relaxed);
	return false;
}

void ring_awake(struct ring *ring, bool is_producer)
{
	_Atomic uint32_t *sleeps =
		is_producer ? &ring->shared->producer_sleeps : &ring->shared->consumer_sleeps;

	if (atomic_load_explicit(sleeps, memory_order_relaxed) != 0)
		atomic_store_explicit(sleeps, 0, memory_order_relaxed);
}
