/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The timers of a peer. The kernel arms and cancels five timers from wherever a packet passes; here
 * two of them are only dates that workers leave in the activity:
 *
 *   new handshake       unanswered_since + 15 s + jitter   cancelled by zeroing the date
 *   passive keepalive   unacked_since + 10 s               likewise
 *   persistent          last_any + interval
 *   retransmission      armed by an initiation, in struct timers
 *   zeroing of keys     armed by a session, in struct timers
 *
 * When a date has come, timers_run() takes it back with a compare and swap: a worker that has moved
 * it meanwhile wins, and the next packet may set it again.
 *
 * "Need another keepalive": data that came while the first round ran asks for a second round of
 * 10 s after its keepalive. The first date was taken by then, so that round is kept privately
 * (keepalive_rearmed_ms) until data is sent, or any packet from this thread.
 */
#include "dataplane/wireguard/timers.h"

#include <string.h>

#include "dataplane/wireguard/messages.h"

static uint64_t load(const uint64_t *field)
{
	return __atomic_load_n(field, __ATOMIC_RELAXED);
}

/* Back to "not set", unless someone has changed it since. */
static void take(uint64_t *field, uint64_t seen)
{
	if (seen != 0)
		__atomic_compare_exchange_n(
			field, &seen, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static bool is_due(uint64_t due_ms, uint64_t now_ms)
{
	return due_ms != 0 && now_ms >= due_ms;
}

static uint64_t max_ms(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* When the present round of the passive keepalive began; 0 = not armed. */
static uint64_t keepalive_armed(const struct timers *timers, const struct timers_activity *activity)
{
	uint64_t rearmed = timers->keepalive_rearmed_ms;

	if (rearmed != 0 && load(&activity->last_data_sent_ms) < rearmed)
		return rearmed;
	return load(&activity->unacked_since_ms);
}

static uint64_t keepalive_due(const struct timers *timers, const struct timers_activity *activity)
{
	uint64_t armed = keepalive_armed(timers, activity);

	return armed == 0 ? 0 : armed + WG_KEEPALIVE_TIMEOUT_MS;
}

static uint64_t new_handshake_due(
	const struct timers *timers, const struct timers_activity *activity)
{
	uint64_t since = load(&activity->unanswered_since_ms);
	/* A date that timers_run() has not met yet has no jitter: at worst it runs early once. */
	uint32_t jitter = since == timers->unanswered_seen_ms ? timers->unanswered_jitter_ms : 0;

	return since == 0 ? 0 : since + WG_NEW_HANDSHAKE_MS + jitter;
}

static uint64_t persistent_due(const struct timers *timers, const struct timers_activity *activity)
{
	uint64_t base = max_ms(load(&activity->last_any_ms), timers->persistent_sent_ms);

	return timers->persistent_ms == 0 || base == 0 ? 0 : base + timers->persistent_ms;
}

bool timers_may_initiate(const struct timers *timers, uint64_t now_ms)
{
	return timers->last_sent_ms == 0 || now_ms - timers->last_sent_ms >= WG_REKEY_TIMEOUT_MS;
}

/* True if a worker asked for an initiation. */
static bool take_requests(struct timers *timers, struct timers_activity *activity, uint64_t now_ms)
{
	uint32_t requests = 0;
	bool initiate;

	if (__atomic_load_n(&activity->requests, __ATOMIC_RELAXED) != 0)
		requests = __atomic_exchange_n(&activity->requests, 0, __ATOMIC_RELAXED);
	if ((requests & TIMERS_CONFIRMED) != 0)
		timers_handshake_complete(timers, now_ms);
	initiate = (requests & (TIMERS_REKEY | TIMERS_SEND_STAGED)) != 0;
	/* Once a session; asked too soon after a handshake message it would send nothing. */
	if ((requests & TIMERS_LAST_MINUTE) != 0 && !timers->last_minute_sent &&
		timers_may_initiate(timers, now_ms)) {
		timers->last_minute_sent = true;
		initiate = true;
	}
	return initiate;
}

static void run_zero_keys(struct timers *timers, struct timers_outcome *outcome, uint64_t now_ms)
{
	if (!is_due(timers->zero_keys_due_ms, now_ms))
		return;
	timers->zero_keys_due_ms = 0;
	timers->session_ms = 0;
	outcome->actions |= TIMERS_ZERO_KEYS;
}

static void run_retransmit(struct timers *timers, struct timers_activity *activity,
	struct timers_outcome *outcome, uint64_t now_ms)
{
	if (!is_due(timers->retransmit_due_ms, now_ms))
		return;
	timers->retransmit_due_ms = 0;
	if (timers->attempts > WG_REKEY_RETRIES) {
		take(&activity->unacked_since_ms, load(&activity->unacked_since_ms));
		timers->keepalive_rearmed_ms = 0;
		if (timers->zero_keys_due_ms == 0)
			timers->zero_keys_due_ms = now_ms + WG_ZERO_KEYS_MS;
		outcome->actions |= TIMERS_DROP_STAGED;
		return;
	}
	timers->attempts++;
	outcome->retry = true;
	outcome->actions |= TIMERS_CLEAR_SOURCE;
}

/* True if nothing was heard for too long after data was sent. */
static bool run_new_handshake(struct timers *timers, struct timers_activity *activity,
	struct timers_outcome *outcome, uint64_t now_ms, uint32_t jitter_ms)
{
	uint64_t since = load(&activity->unanswered_since_ms);

	if (since != timers->unanswered_seen_ms) {
		timers->unanswered_seen_ms = since;
		timers->unanswered_jitter_ms = jitter_ms;
	}
	if (since == 0 || now_ms < since + WG_NEW_HANDSHAKE_MS + timers->unanswered_jitter_ms)
		return false;
	take(&activity->unanswered_since_ms, since);
	outcome->actions |= TIMERS_CLEAR_SOURCE;
	return true;
}

/* True if a keepalive is to be sent. */
static bool run_keepalives(struct timers *timers, struct timers_activity *activity, uint64_t now_ms)
{
	uint64_t armed = keepalive_armed(timers, activity);
	bool send = false;

	if (armed != timers->keepalive_rearmed_ms)
		timers->keepalive_rearmed_ms = 0;
	if (armed != 0 && now_ms >= armed + WG_KEEPALIVE_TIMEOUT_MS) {
		bool another = load(&activity->last_data_received_ms) > armed;

		take(&activity->unacked_since_ms, load(&activity->unacked_since_ms));
		timers->keepalive_rearmed_ms = another ? now_ms : 0;
		send = true;
	}
	if (timers->keepalive_now || is_due(persistent_due(timers, activity), now_ms)) {
		timers->keepalive_now = false;
		timers->persistent_sent_ms = now_ms;
		timers->keepalive_rearmed_ms = 0;
		send = true;
	}
	return send;
}

struct timers_outcome timers_run(struct timers *timers, struct timers_activity *activity,
	uint64_t now_ms, uint32_t jitter_ms)
{
	struct timers_outcome outcome = {0};
	bool initiate = take_requests(timers, activity, now_ms);

	run_zero_keys(timers, &outcome, now_ms);
	run_retransmit(timers, activity, &outcome, now_ms);
	if (run_new_handshake(timers, activity, &outcome, now_ms, jitter_ms))
		initiate = true;
	if (run_keepalives(timers, activity, now_ms)) {
		if (timers->session_ms != 0 &&
			now_ms - timers->session_ms < WG_REJECT_AFTER_TIME_MS)
			outcome.actions |= TIMERS_SEND_KEEPALIVE;
		else
			initiate = true;
	}
	/* What is not a retry has a new reason, and so all its attempts before it: even if it is
	 * too soon to send, the retransmission that is armed then goes on for longer. */
	if (initiate) {
		timers->attempts = 0;
		outcome.retry = false;
	}
	if ((initiate || outcome.retry) && timers_may_initiate(timers, now_ms))
		outcome.actions |= TIMERS_INITIATE;
	outcome.next_due_ms = timers_next_due(timers, activity);
	return outcome;
}

static void earlier(uint64_t *next_ms, uint64_t due_ms)
{
	if (due_ms != 0 && due_ms < *next_ms)
		*next_ms = due_ms;
}

uint64_t timers_next_due(const struct timers *timers, const struct timers_activity *activity)
{
	uint64_t next_ms = TIMERS_NEVER;

	/* Work that is there already: in the past, whatever the clock says. */
	if (timers->keepalive_now || __atomic_load_n(&activity->requests, __ATOMIC_RELAXED) != 0)
		return 0;
	earlier(&next_ms, timers->retransmit_due_ms);
	earlier(&next_ms, timers->zero_keys_due_ms);
	earlier(&next_ms, new_handshake_due(timers, activity));
	earlier(&next_ms, keepalive_due(timers, activity));
	earlier(&next_ms, persistent_due(timers, activity));
	return next_ms;
}

static void note_sent(struct timers *timers, struct timers_activity *activity, uint64_t now_ms)
{
	timers->last_sent_ms = now_ms;
	timers->keepalive_rearmed_ms = 0;
	timers_packet_sent(activity, now_ms);
}

void timers_initiation_sent(struct timers *timers, struct timers_activity *activity,
	uint64_t now_ms, uint32_t jitter_ms)
{
	note_sent(timers, activity, now_ms);
	timers->retransmit_due_ms = now_ms + WG_REKEY_TIMEOUT_MS + jitter_ms;
}

void timers_response_sent(struct timers *timers, struct timers_activity *activity, uint64_t now_ms)
{
	note_sent(timers, activity, now_ms);
}

void timers_session_derived(struct timers *timers, uint64_t now_ms)
{
	timers->session_ms = now_ms;
	timers->zero_keys_due_ms = now_ms + WG_ZERO_KEYS_MS;
}

void timers_handshake_complete(struct timers *timers, uint64_t now_ms)
{
	timers->retransmit_due_ms = 0;
	timers->attempts = 0;
	timers->last_minute_sent = false;
	timers->last_handshake_ms = now_ms;
}

void timers_set_persistent(struct timers *timers, uint32_t interval_seconds)
{
	if (timers->persistent_ms == 0 && interval_seconds != 0)
		timers->keepalive_now = true;
	if (interval_seconds == 0)
		timers->keepalive_now = false;
	timers->persistent_ms = interval_seconds * 1000;
}

void timers_session_expired(struct timers *timers)
{
	timers->session_ms = 0;
	timers->last_sent_ms = 0;
}

void timers_down(struct timers *timers, struct timers_activity *activity)
{
	uint32_t persistent_ms = timers->persistent_ms;

	memset(timers, 0, sizeof(*timers));
	timers->persistent_ms = persistent_ms;
	timers_store(&activity->unanswered_since_ms, 0);
	timers_store(&activity->unacked_since_ms, 0);
	timers_store(&activity->last_data_received_ms, 0);
	timers_store(&activity->last_data_sent_ms, 0);
	timers_store(&activity->last_any_ms, 0);
	__atomic_store_n(&activity->requests, 0, __ATOMIC_RELAXED);
}

void timers_up(struct timers *timers)
{
	if (timers->persistent_ms != 0)
		timers->keepalive_now = true;
}
