/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Captures and traces of the data plane, as streams of what was caught: asks it to begin, then
 * fetches again and again, and puts packets together from their parts. Loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/api/capture.h"
#include "common/api/trace.h"
#include "control/capture/pcapng.h"

struct capture;
struct event_base;
struct link;

struct capture_filter {
	struct api_capture_insn *insns; /* of classic BPF; the caller's */
	uint16_t n;                     /* 0 = all match */
};

struct capture_options {
	uint32_t points; /* API_CAPTURE_* */
	uint32_t peer;   /* 0 = any */
	uint16_t port;   /* 0 = any */
	uint16_t snap;
	struct capture_filter filter[API_CAPTURE_LINKS];
};

struct capture_handler {
	/* A packet: the first part's fields, with all its data. */
	void (*packet)(const struct api_capture_part *head, const uint8_t *data, void *arg);
	/* A packet's way, of a trace. */
	void (*way)(const struct api_trace_entry *entry, void *arg);
	/* False: fetch nothing for now. May be NULL. */
	bool (*has_room)(void *arg);
	/* True: that was enough; ended() comes next. May be NULL. */
	bool (*finished)(void *arg);
	/* It ended by itself; `reason` is one line. capture_stop() is still to be called. */
	void (*ended)(const char *reason, void *arg);
	void *arg;
};

/* True for a program that libpcap's machine can run: jumps only forward and inside, ends. */
bool capture_filter_valid(const struct capture_filter *filter);

/* NULL and *error: -ENOTCONN, -EOPNOTSUPP (an older data plane), -ENOMEM. */
struct capture *capture_start(struct event_base *base, struct link *link,
	const struct capture_options *options, const struct capture_handler *handler, int *error)
	__attribute__((warn_unused_result));

/* Ways of `count` packets from or to a peer (0 = of anybody). The same errors. */
struct capture *capture_trace(struct event_base *base, struct link *link, uint32_t peer,
	uint32_t count, const struct capture_handler *handler, int *error)
	__attribute__((warn_unused_result));

/* Not from within a callback of its own but ended(). Sets *capture to NULL. */
void capture_stop(struct capture **capture);
