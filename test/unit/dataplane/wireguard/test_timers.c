/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/*
 * The timers on an injected clock. Each rule is a table of steps: what happens when, and, after
 * RUN, which actions are asked for and when the next is due. T0 is when the story begins.
 */
#include <string.h>

#include "dataplane/wireguard/messages.h"
#include "dataplane/wireguard/timers.h"

enum event {
	RUN, /* argument: jitter; then actions and due are checked */
	DATA_SENT,
	DATA_RECEIVED,
	KEEPALIVE_SENT,
	KEEPALIVE_RECEIVED, /* or a handshake message */
	INITIATED,          /* argument: jitter */
	RESPONDED,
	DERIVED,
	COMPLETE,
	REQUEST,    /* argument: enum timers_request */
	PERSISTENT, /* argument: seconds */
	EXPIRED,
	DOWN,
	UP,
};

struct step {
	uint32_t at_ms; /* after T0 */
	enum event event;
	uint32_t argument;
	uint32_t actions;
	int64_t due_ms; /* after T0, or NEVER */
};

#define T0    UINT64_C(1000000)
#define NEVER INT64_C(-1)

#define NEW_HANDSHAKE (TIMERS_INITIATE | TIMERS_CLEAR_SOURCE)

static void apply(struct timers *timers, struct timers_activity *activity, const struct step *step)
{
	uint64_t now_ms = T0 + step->at_ms;

	switch (step->event) {
	case RUN:
		break;
	case DATA_SENT:
		timers_data_sent(activity, now_ms);
		break;
	case DATA_RECEIVED:
		timers_data_received(activity, now_ms);
		break;
	case KEEPALIVE_SENT:
		timers_packet_sent(activity, now_ms);
		break;
	case KEEPALIVE_RECEIVED:
		timers_packet_received(activity, now_ms);
		break;
	case INITIATED:
		timers_initiation_sent(timers, activity, now_ms, step->argument);
		break;
	case RESPONDED:
		timers_response_sent(timers, activity, now_ms);
		break;
	case DERIVED:
		timers_session_derived(timers, now_ms);
		break;
	case COMPLETE:
		timers_handshake_complete(timers, now_ms);
		break;
	case REQUEST:
		timers_request(activity, step->argument);
		break;
	case PERSISTENT:
		timers_set_persistent(timers, step->argument);
		break;
	case EXPIRED:
		timers_session_expired(timers);
		break;
	case DOWN:
		timers_down(timers, activity);
		break;
	case UP:
		timers_up(timers);
		break;
	}
}

static void play(const struct step *steps, size_t n)
{
	struct timers timers = {0};
	struct timers_activity activity = {0};

	for (size_t i = 0; i < n; i++) {
		struct timers_outcome outcome;
		uint64_t due;

		apply(&timers, &activity, &steps[i]);
		if (steps[i].event != RUN)
			continue;
		outcome = timers_run(&timers, &activity, T0 + steps[i].at_ms, steps[i].argument);
		due = steps[i].due_ms == NEVER ? TIMERS_NEVER : T0 + (uint64_t)steps[i].due_ms;
		if (outcome.actions != steps[i].actions || outcome.next_due_ms != due)
			print_error("step %zu at %u ms\n", i, steps[i].at_ms);
		assert_int_equal(outcome.actions, steps[i].actions);
		assert_int_equal(outcome.next_due_ms, due);
		assert_int_equal(outcome.next_due_ms, timers_next_due(&timers, &activity));
	}
}

#define PLAY(...)                                                                                  \
	play((const struct step[]){__VA_ARGS__},                                                   \
		sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step))

static void idle_peer_does_nothing(void **state)
{
	PLAY({0, RUN, 0, 0, NEVER}, {1000000, RUN, 333, 0, NEVER});
}

/* initiation sent: retransmit after 5 s + jitter */
static void initiation_is_retransmitted(void **state)
{
	PLAY({0, REQUEST, TIMERS_SEND_STAGED, 0, 0}, {0, RUN, 0, TIMERS_INITIATE, NEVER},
		{0, INITIATED, 250, 0, 0}, {0, RUN, 0, 0, 5250}, {5249, RUN, 0, 0, 5250},
		{5250, RUN, 0, NEW_HANDSHAKE, NEVER}, {5250, INITIATED, 0, 0, 0},
		{5250, RUN, 0, 0, 10250}, {10250, RUN, 0, NEW_HANDSHAKE, NEVER});
}

/* not more than one initiation per 5 s, nor one within 5 s of a response */
static void initiations_are_spaced(void **state)
{
	PLAY({0, REQUEST, TIMERS_SEND_STAGED, 0, 0}, {0, RUN, 0, TIMERS_INITIATE, NEVER},
		{0, INITIATED, 333, 0, 0}, {1000, REQUEST, TIMERS_SEND_STAGED, 0, 0},
		{1000, RUN, 0, 0, 5333}, {4999, REQUEST, TIMERS_REKEY, 0, 0},
		{4999, RUN, 0, 0, 5333}, {5000, REQUEST, TIMERS_REKEY, 0, 0},
		{5000, RUN, 0, TIMERS_INITIATE, 5333});
	PLAY({0, RESPONDED, 0, 0, 0}, {4999, REQUEST, TIMERS_SEND_STAGED, 0, 0},
		{4999, RUN, 0, 0, NEVER}, {5000, REQUEST, TIMERS_SEND_STAGED, 0, 0},
		{5000, RUN, 0, TIMERS_INITIATE, NEVER});
}

/* 1 + 19 sends (the kernel's count), then give up: drop staged, arm the zeroing of keys */
static void retries_end(void **state)
{
	struct timers timers = {0};
	struct timers_activity activity = {0};
	uint64_t now_ms = T0;
	unsigned sends = 0;
	struct timers_outcome outcome;

	timers_request(&activity, TIMERS_SEND_STAGED);
	outcome = timers_run(&timers, &activity, now_ms, 0);
	while ((outcome.actions & TIMERS_INITIATE) != 0 && sends < 100) {
		assert_int_equal(outcome.retry, sends > 0);
		timers_initiation_sent(&timers, &activity, now_ms, sends % 334);
		sends++;
		timers_data_received(&activity, now_ms + 1); /* arms a keepalive */
		now_ms += WG_REKEY_TIMEOUT_MS + (sends - 1) % 334;
		outcome = timers_run(&timers, &activity, now_ms, 0);
	}
	assert_int_equal(sends, 20);
	assert_int_equal(outcome.actions, TIMERS_DROP_STAGED);
	/* The passive keepalive was stopped; 540 s later the keys go. */
	assert_int_equal(outcome.next_due_ms, now_ms + WG_ZERO_KEYS_MS);
	outcome = timers_run(&timers, &activity, outcome.next_due_ms, 0);
	assert_int_equal(outcome.actions, TIMERS_ZERO_KEYS);
	assert_int_equal(outcome.next_due_ms, TIMERS_NEVER);
}

/* giving up does not move a zeroing that is armed already */
static void giving_up_keeps_the_earlier_zeroing(void **state)
{
	struct timers timers = {.attempts = WG_REKEY_RETRIES + 1, .retransmit_due_ms = T0};
	struct timers_activity activity = {0};
	struct timers_outcome outcome;

	timers_session_derived(&timers, T0 - 100000);
	outcome = timers_run(&timers, &activity, T0, 0);
	assert_int_equal(outcome.actions, TIMERS_DROP_STAGED);
	assert_int_equal(outcome.next_due_ms, T0 - 100000 + WG_ZERO_KEYS_MS);
}

/* a packet that waits begins the count anew, even when it is too soon to send */
static void new_reason_renews_the_retries(void **state)
{
	struct timers timers = {0};
	struct timers_activity activity = {0};
	struct timers_outcome outcome;

	timers_initiation_sent(&timers, &activity, T0, 0);
	timers.attempts = WG_REKEY_RETRIES + 1;
	timers_request(&activity, TIMERS_SEND_STAGED);
	outcome = timers_run(&timers, &activity, T0 + 100, 0);
	assert_int_equal(outcome.actions, 0);
	outcome = timers_run(&timers, &activity, T0 + 5000, 0);
	assert_int_equal(outcome.actions, NEW_HANDSHAKE);
	assert_true(outcome.retry);
}

/* the handshake completes: no retransmission, the count is back at zero */
static void completion_ends_retransmission(void **state)
{
	PLAY({0, INITIATED, 0, 0, 0}, {100, KEEPALIVE_RECEIVED, 0, 0, 0}, {100, DERIVED, 0, 0, 0},
		{100, COMPLETE, 0, 0, 0}, {5000, RUN, 0, 0, 540100});
	/* as responder: the worker reports the first packet on the new keypair */
	PLAY({0, INITIATED, 0, 0, 0}, {90, RESPONDED, 0, 0, 0}, {90, DERIVED, 0, 0, 0},
		{90, RUN, 0, 0, 5000}, {100, REQUEST, TIMERS_CONFIRMED, 0, 0},
		{101, RUN, 0, 0, 540090}, {5000, RUN, 0, 0, 540090});
}

/* data sent: if idle, arm new handshake 15 s + jitter; expiry: clear source, initiate */
static void silence_after_data_begins_a_handshake(void **state)
{
	PLAY({0, DERIVED, 0, 0, 0}, {1000, DATA_SENT, 0, 0, 0}, {1010, RUN, 333, 0, 16333},
		/* more data does not move it, nor another draw of jitter */
		{9000, DATA_SENT, 0, 0, 0}, {9000, RUN, 1, 0, 16333}, {16332, RUN, 2, 0, 16333},
		{16333, RUN, 3, NEW_HANDSHAKE, 540000},
		/* it is armed again by the next data, from then */
		{16333, INITIATED, 0, 0, 0}, {17000, DATA_SENT, 0, 0, 0},
		{17001, RUN, 100, 0, 21333}, {17001, COMPLETE, 0, 0, 0}, {17001, RUN, 0, 0, 32100});
}

/* keepalives are no data: they never arm it */
static void keepalives_expect_no_answer(void **state)
{
	PLAY({0, DERIVED, 0, 0, 0}, {1000, KEEPALIVE_SENT, 0, 0, 0}, {1000, RUN, 0, 0, 540000},
		{100000, RUN, 0, 0, 540000});
}

/* any authenticated packet received cancels the new handshake */
static void any_packet_is_an_answer(void **state)
{
	PLAY({0, DERIVED, 0, 0, 0}, {1000, DATA_SENT, 0, 0, 0}, {1000, RUN, 0, 0, 16000},
		{15999, KEEPALIVE_RECEIVED, 0, 0, 0}, {15999, RUN, 0, 0, 540000},
		{16000, RUN, 0, 0, 540000}, {20000, DATA_SENT, 0, 0, 0},
		{20000, RUN, 50, 0, 35050});
}

/* data received: arm the passive keepalive, 10 s; expiry: send */
static void received_data_is_acknowledged(void **state)
{
	PLAY({0, DERIVED, 0, 0, 0}, {1000, DATA_RECEIVED, 0, 0, 0}, {1000, RUN, 0, 0, 11000},
		{10999, RUN, 0, 0, 11000}, {11000, RUN, 0, TIMERS_SEND_KEEPALIVE, 540000},
		{11001, KEEPALIVE_SENT, 0, 0, 0}, {30000, RUN, 0, 0, 540000});
}

/* received keepalives do not arm it: two idle peers would talk for ever */
static void keepalives_are_not_acknowledged(void **state)
{
	PLAY({0, DERIVED, 0, 0, 0}, {1000, KEEPALIVE_RECEIVED, 0, 0, 0}, {1000, RUN, 0, 0, 540000},
		{60000, RUN, 0, 0, 540000});
}

/* measured from the data received, not from the last packet sent */
static void acknowledgement_counts_from_reception(void **state)
{
	PLAY({0, DERIVED, 0, 0, 0}, {0, DATA_SENT, 0, 0, 0}, {9000, DATA_RECEIVED, 0, 0, 0},
		{10000, RUN, 0, 0, 19000}, {19000, RUN, 0, TIMERS_SEND_KEEPALIVE, 540000});
}

/* any authenticated packet sent cancels it: data, keepalive, handshake message */
static void anything_sent_acknowledges(void **state)
{
	PLAY({0, DERIVED, 0, 0, 0}, {1000, DATA_RECEIVED, 0, 0, 0}, {5000, KEEPALIVE_SENT, 0, 0, 0},
		{5000, RUN, 0, 0, 540000}, {6000, DATA_RECEIVED, 0, 0, 0},
		{6001, DATA_SENT, 0, 0, 0}, {6002, KEEPALIVE_RECEIVED, 0, 0, 0},
		{6002, RUN, 0, 0, 540000}, {7000, DATA_RECEIVED, 0, 0, 0},
		{7500, RESPONDED, 0, 0, 0}, {7500, RUN, 0, 0, 540000},
		{13000, DATA_RECEIVED, 0, 0, 0}, {13000, INITIATED, 0, 0, 0},
		{13000, RUN, 0, 0, 18000});
}

/* need another: data within the first round asks for a second, once */
static void later_data_asks_for_another_keepalive(void **state)
{
	PLAY({0, DERIVED, 0, 0, 0}, {1000, DATA_RECEIVED, 0, 0, 0}, {10500, DATA_RECEIVED, 0, 0, 0},
		{11000, RUN, 0, TIMERS_SEND_KEEPALIVE, 21000}, {11001, KEEPALIVE_SENT, 0, 0, 0},
		{11002, RUN, 0, 0, 21000}, {21000, RUN, 0, TIMERS_SEND_KEEPALIVE, 540000},
		{21001, KEEPALIVE_SENT, 0, 0, 0}, {60000, RUN, 0, 0, 540000});
}

/* data in the second round: a third; data sent ends it */
static void second_round_is_like_the_first(void **state)
{
	PLAY({0, DERIVED, 0, 0, 0}, {1000, DATA_RECEIVED, 0, 0, 0}, {10500, DATA_RECEIVED, 0, 0, 0},
		{11000, RUN, 0, TIMERS_SEND_KEEPALIVE, 21000}, {11001, KEEPALIVE_SENT, 0, 0, 0},
		{15000, DATA_RECEIVED, 0, 0, 0}, {15000, RUN, 0, 0, 21000},
		{21000, RUN, 0, TIMERS_SEND_KEEPALIVE, 31000}, {21001, KEEPALIVE_SENT, 0, 0, 0},
		{25000, DATA_SENT, 0, 0, 0}, {25001, KEEPALIVE_RECEIVED, 0, 0, 0},
		{25001, RUN, 0, 0, 540000}, {31000, RUN, 0, 0, 540000});
}

static void handshake_message_ends_the_second_round(void **state)
{
	PLAY({0, DERIVED, 0, 0, 0}, {1000, DATA_RECEIVED, 0, 0, 0}, {10500, DATA_RECEIVED, 0, 0, 0},
		{11000, RUN, 0, TIMERS_SEND_KEEPALIVE, 21000}, {12000, RESPONDED, 0, 0, 0},
		{12000, RUN, 0, 0, 540000});
}

/* session derived: keys are zeroed 540 s later, however often it is used; a new one moves that */
static void keys_are_zeroed(void **state)
{
	PLAY({0, DERIVED, 0, 0, 0}, {0, RUN, 0, 0, 540000}, {120000, DERIVED, 0, 0, 0},
		{540000, RUN, 0, 0, 660000}, {660000, RUN, 0, TIMERS_ZERO_KEYS, NEVER},
		{2000000, RUN, 0, 0, NEVER});
}

/* any authenticated packet either way re-arms the persistent keepalive */
static void persistent_keepalive_fills_silence(void **state)
{
	PLAY({0, DERIVED, 0, 0, 0}, {0, PERSISTENT, 25, 0, 0},
		{0, RUN, 0, TIMERS_SEND_KEEPALIVE, 25000}, {1, KEEPALIVE_SENT, 0, 0, 0},
		{25000, RUN, 0, 0, 25001}, {25001, RUN, 0, TIMERS_SEND_KEEPALIVE, 50001},
		{25001, KEEPALIVE_SENT, 0, 0, 0}, {40000, KEEPALIVE_RECEIVED, 0, 0, 0},
		{50001, RUN, 0, 0, 65000}, {65000, RUN, 0, TIMERS_SEND_KEEPALIVE, 90000});
}

/* while packets pass more often than the interval, none is sent */
static void persistent_keepalive_is_silent_while_active(void **state)
{
	struct timers timers = {0};
	struct timers_activity activity = {0};

	timers_set_persistent(&timers, 1);
	timers_session_derived(&timers, T0);
	assert_int_equal(timers_run(&timers, &activity, T0, 0).actions, TIMERS_SEND_KEEPALIVE);
	for (uint64_t ms = 0; ms < 100000; ms += 500) {
		timers_packet_received(&activity, T0 + ms);
		timers_packet_sent(&activity, T0 + ms);
		assert_int_equal(timers_run(&timers, &activity, T0 + ms + 499, 0).actions, 0);
	}
}

static void persistent_keepalive_can_be_switched_off(void **state)
{
	PLAY({0, DERIVED, 0, 0, 0}, {0, PERSISTENT, 25, 0, 0}, {0, PERSISTENT, 0, 0, 0},
		{0, RUN, 0, 0, 540000}, {0, KEEPALIVE_SENT, 0, 0, 0}, {60000, RUN, 0, 0, 540000});
}

/* without a session that may be used, what was to be a keepalive becomes a handshake */
static void keepalive_without_session_initiates(void **state)
{
	PLAY({0, PERSISTENT, 25, 0, 0}, {0, RUN, 0, TIMERS_INITIATE, 25000},
		{0, INITIATED, 0, 0, 0}, {100, DERIVED, 0, 0, 0}, {100, COMPLETE, 0, 0, 0},
		{100, KEEPALIVE_RECEIVED, 0, 0, 0}, {25100, RUN, 0, TIMERS_SEND_KEEPALIVE, 50100},
		{179999, RUN, 0, TIMERS_SEND_KEEPALIVE, 204999},
		{204999, RUN, 0, TIMERS_INITIATE, 229999});
}

/* a retry that was given up is begun anew by the persistent keepalive */
static void persistent_keepalive_survives_giving_up(void **state)
{
	struct timers timers = {.attempts = WG_REKEY_RETRIES + 1, .retransmit_due_ms = T0};
	struct timers_activity activity = {.last_any_ms = T0 - 5000};

	timers.persistent_ms = 25000;
	timers.last_sent_ms = T0 - 5000;
	assert_int_equal(timers_run(&timers, &activity, T0, 0).actions, TIMERS_DROP_STAGED);
	assert_int_equal(timers_run(&timers, &activity, T0 + 20000, 0).actions, TIMERS_INITIATE);
	assert_int_equal(timers.attempts, 0);
}

/* send with an old keypair: initiate */
static void sender_asks_for_new_keys(void **state)
{
	PLAY({0, DERIVED, 0, 0, 0}, {120000, REQUEST, TIMERS_REKEY, 0, 0},
		{120000, RUN, 0, TIMERS_INITIATE, 540000});
}

/* receive with an old keypair: initiate once per session */
static void last_minute_handshake_is_asked_for_once(void **state)
{
	PLAY({0, DERIVED, 0, 0, 0}, {165000, REQUEST, TIMERS_LAST_MINUTE, 0, 0},
		{165000, RUN, 0, TIMERS_INITIATE, 540000},
		{171000, REQUEST, TIMERS_LAST_MINUTE, 0, 0}, {171000, RUN, 0, 0, 540000},
		{172000, COMPLETE, 0, 0, 0}, {340000, REQUEST, TIMERS_LAST_MINUTE, 0, 0},
		{340000, RUN, 0, TIMERS_INITIATE, 540000});
}

/* asked within 5 s of a response it would send nothing: it counts when it is asked again */
static void last_minute_handshake_is_not_lost_to_the_spacing(void **state)
{
	PLAY({0, DERIVED, 0, 0, 0}, {164000, RESPONDED, 0, 0, 0},
		{165000, REQUEST, TIMERS_LAST_MINUTE, 0, 0}, {165000, RUN, 0, 0, 540000},
		{169000, REQUEST, TIMERS_LAST_MINUTE, 0, 0},
		{169000, RUN, 0, TIMERS_INITIATE, 540000});
}

/* requests are seen by whoever asks when to come back */
static void request_is_due_at_once(void **state)
{
	struct timers timers = {0};
	struct timers_activity activity = {0};

	timers_request(&activity, TIMERS_REKEY);
	assert_int_equal(timers_next_due(&timers, &activity), 0);
	timers_run(&timers, &activity, T0, 0);
	assert_int_equal(timers_next_due(&timers, &activity), TIMERS_NEVER);
	assert_int_equal(activity.requests, 0);
}

/* interface down: everything is forgotten; up: a handshake if there is a persistent keepalive */
static void down_forgets_and_up_begins_anew(void **state)
{
	PLAY({0, PERSISTENT, 25, 0, 0}, {0, RUN, 0, TIMERS_INITIATE, 25000},
		{0, INITIATED, 0, 0, 0}, {1, DERIVED, 0, 0, 0}, {1, DATA_SENT, 0, 0, 0},
		{2, DATA_RECEIVED, 0, 0, 0}, {3, REQUEST, TIMERS_REKEY, 0, 0}, {4, DOWN, 0, 0, 0},
		{100000, RUN, 0, 0, NEVER}, {100000, UP, 0, 0, 0},
		{100000, RUN, 0, TIMERS_INITIATE, 125000});
	PLAY({0, INITIATED, 0, 0, 0}, {4, DOWN, 0, 0, 0}, {100, UP, 0, 0, 0},
		{100, RUN, 0, 0, NEVER});
}

/* private key changed: the next packet may initiate without waiting for 5 s */
static void expired_session_lifts_the_spacing(void **state)
{
	PLAY({0, INITIATED, 0, 0, 0}, {10, DERIVED, 0, 0, 0}, {10, COMPLETE, 0, 0, 0},
		{20, EXPIRED, 0, 0, 0}, {30, REQUEST, TIMERS_SEND_STAGED, 0, 0},
		{30, RUN, 0, TIMERS_INITIATE, 540010});
}

/* jitter spans 0..333 ms: the caller draws, the bounds are the constants' */
static void constants_are_the_protocols(void **state)
{
	assert_int_equal(WG_REKEY_TIMEOUT_MS, 5000);
	assert_int_equal(WG_REKEY_JITTER_MAX_MS, 333);
	assert_int_equal(WG_KEEPALIVE_TIMEOUT_MS, 10000);
	assert_int_equal(WG_NEW_HANDSHAKE_MS, 15000);
	assert_int_equal(WG_REKEY_AFTER_TIME_MS, 120000);
	assert_int_equal(WG_REJECT_AFTER_TIME_MS, 180000);
	assert_int_equal(WG_LAST_MINUTE_MS, 165000);
	assert_int_equal(WG_ZERO_KEYS_MS, 540000);
	assert_int_equal(WG_REKEY_RETRIES, 18);
	assert_true(WG_REKEY_AFTER_MESSAGES == UINT64_C(1152921504606846976));
	assert_true(WG_REJECT_AFTER_MESSAGES == UINT64_C(18446744073709543423));
	assert_int_equal(WG_COOKIE_SECRET_MAX_AGE_MS, 120000);
	assert_int_equal(WG_COOKIE_SECRET_LATENCY_MS, 5000);
	assert_int_equal(WG_INITIATION_GAP_MS, 20);
	assert_int_equal(WG_FLOOD_PER_SECOND, 20);
	assert_int_equal(WG_FLOOD_BURST, 5);
	assert_int_equal(WG_PADDING, 16);
	assert_int_equal(WG_STAGED_MAX, 128);
	assert_int_equal(WG_HANDSHAKES_QUEUED_MAX, 4096);
	assert_int_equal(WG_PEERS_MAX, 1048576);
	assert_int_equal(WG_HANDSHAKE_DSCP, 0x88);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_peer_does_nothing),
		cmocka_unit_test(initiation_is_retransmitted),
		cmocka_unit_test(initiations_are_spaced),
		cmocka_unit_test(retries_end),
		cmocka_unit_test(giving_up_keeps_the_earlier_zeroing),
		cmocka_unit_test(new_reason_renews_the_retries),
		cmocka_unit_test(completion_ends_retransmission),
		cmocka_unit_test(silence_after_data_begins_a_handshake),
		cmocka_unit_test(keepalives_expect_no_answer),
		cmocka_unit_test(any_packet_is_an_answer),
		cmocka_unit_test(received_data_is_acknowledged),
		cmocka_unit_test(keepalives_are_not_acknowledged),
		cmocka_unit_test(acknowledgement_counts_from_reception),
		cmocka_unit_test(anything_sent_acknowledges),
		cmocka_unit_test(later_data_asks_for_another_keepalive),
		cmocka_unit_test(second_round_is_like_the_first),
		cmocka_unit_test(handshake_message_ends_the_second_round),
		cmocka_unit_test(keys_are_zeroed),
		cmocka_unit_test(persistent_keepalive_fills_silence),
		cmocka_unit_test(persistent_keepalive_is_silent_while_active),
		cmocka_unit_test(persistent_keepalive_can_be_switched_off),
		cmocka_unit_test(keepalive_without_session_initiates),
		cmocka_unit_test(persistent_keepalive_survives_giving_up),
		cmocka_unit_test(sender_asks_for_new_keys),
		cmocka_unit_test(last_minute_handshake_is_asked_for_once),
		cmocka_unit_test(last_minute_handshake_is_not_lost_to_the_spacing),
		cmocka_unit_test(request_is_due_at_once),
		cmocka_unit_test(down_forgets_and_up_begins_anew),
		cmocka_unit_test(expired_session_lifts_the_spacing),
		cmocka_unit_test(constants_are_the_protocols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
