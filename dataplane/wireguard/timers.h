/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The timers of one peer (WireGuard paper, section 6, with the Linux kernel's semantics) as a
 * state machine without clock, threads or timers of its own.
 *
 * Workers never touch a timer. They leave coarse times and requests in a struct timers_activity
 * with relaxed atomics, one or two stores per burst; the handshake thread reads them, keeps struct
 * timers to itself and is told what to do. It calls timers_run() for a peer when the time it was
 * last told is reached, and soon (250 ms or less) after activity appears on a peer: a start of
 * `unanswered_since_ms`/`unacked_since_ms` moves the next due time, a request wants an answer.
 *
 * Times are milliseconds of one monotonic clock that starts above zero; 0 means "not set". Jitter,
 * 0..WG_REKEY_JITTER_MAX_MS, is drawn by the caller.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What workers ask the handshake thread for. */
enum timers_request {
	/* Sealed with a keypair that we initiated over 120 s ago, or a counter past 2^60. */
	TIMERS_REKEY = 1 << 0,
	/* Opened with a current keypair that we initiated over 165 s ago. Answered once per
	   session. */
	TIMERS_LAST_MINUTE = 1 << 1,
	/* Packets (or a keepalive) wait and no key may seal them. */
	TIMERS_SEND_STAGED = 1 << 2,
	/* The first data packet arrived on the responder's new keypair: the handshake is complete.
	 */
	TIMERS_CONFIRMED = 1 << 3,
};

/* What timers_run() wants done. */
enum timers_action {
	TIMERS_INITIATE = 1 << 0, /* create and send an initiation, then timers_initiation_sent() */
	TIMERS_SEND_KEEPALIVE = 1 << 1, /* the owning worker seals an empty packet; without a key
					   that may seal it raises TIMERS_SEND_STAGED */
	TIMERS_CLEAR_SOURCE = 1 << 2,   /* forget the remembered source address of this peer */
	TIMERS_DROP_STAGED = 1 << 3,    /* nobody answers: drop what waits for a key */
	TIMERS_ZERO_KEYS = 1 << 4,      /* wipe the handshake and every keypair */
};

#define TIMERS_NEVER UINT64_MAX

/* Shared. Every field is written by workers and by the handshake thread, with relaxed atomics and
 * only through the functions below. 40 bytes: keep it in one cache line of the peer. */
struct timers_activity {
	uint64_t unanswered_since_ms; /* first data sent since anything authentic arrived */
	uint64_t unacked_since_ms;    /* first data received since anything was sent */
	uint64_t last_data_received_ms;
	uint64_t last_data_sent_ms;
	uint64_t last_any_ms; /* last authenticated packet, either way */
	uint32_t requests;    /* enum timers_request */
	uint32_t zero;
};

/* Private to the handshake thread. Zero-initialised is a peer that has seen nothing. */
struct timers {
	uint64_t last_sent_ms;      /* initiation or response; none is initiated within 5 s of it */
	uint64_t last_handshake_ms; /* completed; for status */
	uint64_t session_ms;        /* derived */
	uint64_t retransmit_due_ms;
	uint64_t zero_keys_due_ms;
	uint64_t unanswered_seen_ms;   /* value of the activity that the jitter below is for */
	uint64_t keepalive_rearmed_ms; /* "need another": when the second round began */
	uint64_t persistent_sent_ms;   /* when a persistent keepalive was last asked for */
	uint32_t unanswered_jitter_ms;
	uint32_t persistent_ms; /* interval; 0 = off */
	uint32_t attempts;
	bool last_minute_sent;
	bool keepalive_now;
};

struct timers_outcome {
	uint32_t actions;     /* enum timers_action; INITIATE after CLEAR_SOURCE */
	bool retry;           /* the initiation repeats one that was not answered */
	uint64_t next_due_ms; /* TIMERS_NEVER if nothing is armed */
};

/* --- Workers ------------------------------------------------------------------------------- */

static inline void timers_store(uint64_t *field, uint64_t value)
{
	/* The line is shared: a store that changes nothing would still take it from the others. */
	if (__atomic_load_n(field, __ATOMIC_RELAXED) != value)
		__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

static inline void timers_start(uint64_t *field, uint64_t now_ms)
{
	if (__atomic_load_n(field, __ATOMIC_RELAXED) == 0)
		__atomic_store_n(field, now_ms, __ATOMIC_RELAXED);
}

/* Sent any authenticated packet: data, keepalive or (handshake thread) handshake message. */
static inline void timers_packet_sent(struct timers_activity *activity, uint64_t now_ms)
{
	timers_store(&activity->unacked_since_ms, 0);
	timers_store(&activity->last_any_ms, now_ms);
}

/* Sent data that is not a keepalive. */
static inline void timers_data_sent(struct timers_activity *activity, uint64_t now_ms)
{
	timers_packet_sent(activity, now_ms);
	timers_start(&activity->unanswered_since_ms, now_ms);
	timers_store(&activity->last_data_sent_ms, now_ms);
}

/* Received any authenticated packet, keepalives and handshake messages included. */
static inline void timers_packet_received(struct timers_activity *activity, uint64_t now_ms)
{
	timers_store(&activity->unanswered_since_ms, 0);
	timers_store(&activity->last_any_ms, now_ms);
}

/* Received data that is not a keepalive. */
static inline void timers_data_received(struct timers_activity *activity, uint64_t now_ms)
{
	timers_packet_received(activity, now_ms);
	timers_start(&activity->unacked_since_ms, now_ms);
	timers_store(&activity->last_data_received_ms, now_ms);
}

/* Raises requests, a set of enum timers_request. */
static inline void timers_request(struct timers_activity *activity, uint32_t requests)
{
	if ((__atomic_load_n(&activity->requests, __ATOMIC_RELAXED) & requests) != requests)
		__atomic_fetch_or(&activity->requests, requests, __ATOMIC_RELAXED);
}

/* --- Handshake thread ---------------------------------------------------------------------- */

/* Looks at the clock and at what workers left; takes their requests. */
struct timers_outcome timers_run(struct timers *timers, struct timers_activity *activity,
	uint64_t now_ms, uint32_t jitter_ms);

/* When timers_run() has something to do, if nothing happens before. */
uint64_t timers_next_due(const struct timers *timers, const struct timers_activity *activity);

/* True if an initiation may be sent now: no initiation or response in the last 5 s. */
bool timers_may_initiate(const struct timers *timers, uint64_t now_ms);

/* An initiation went out: arms the retransmission. */
void timers_initiation_sent(struct timers *timers, struct timers_activity *activity,
	uint64_t now_ms, uint32_t jitter_ms);

/* A response went out: an authenticated packet, and no reason to initiate for 5 s. */
void timers_response_sent(struct timers *timers, struct timers_activity *activity, uint64_t now_ms);

/* A session was derived, in either role: arms the zeroing of its keys. */
void timers_session_derived(struct timers *timers, uint64_t now_ms);

/* The handshake is complete: a response was consumed, or (TIMERS_CONFIRMED, taken by timers_run)
 * the first data packet came on the responder's new keypair. Ends retransmission. */
void timers_handshake_complete(struct timers *timers, uint64_t now_ms);

/* Interval of the persistent keepalive, 0 = off. Switching it on sends one at once. */
void timers_set_persistent(struct timers *timers, uint32_t interval_seconds);

/* The keys are gone (private key changed): the next packet may initiate without waiting. */
void timers_session_expired(struct timers *timers);

/* Interface down: forgets everything but the persistent interval. Up: sends a keepalive, and so
 * begins a handshake, if one is set. */
void timers_down(struct timers *timers, struct timers_activity *activity);
void timers_up(struct timers *timers);
