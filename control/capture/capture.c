/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/capture/capture.h"

#include <errno.h>
#include <event2/event.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/api/table.h"
#include "control/link/link.h"

enum {
	FETCH_MS = 20, /* between fetches that brought little */
	FETCH_PACKETS = 256,
};

struct capture {
	struct link *link;
	struct capture_handler handler;
	struct event *timer;
	bool traces;
	unsigned fetched;             /* packets of the fetch under way */
	struct api_capture_part head; /* of the packet under way */
	uint32_t have;                /* bytes of it */
	uint8_t data[API_CAPTURE_SNAP_MAX];
};

bool capture_filter_valid(const struct capture_filter *filter)
{
	struct bpf_insn *insns;
	bool good;

	if (filter->n == 0)
		return true;
	if (filter->n > API_CAPTURE_CODE_MAX || !api_capture_code_valid(filter->insns, filter->n))
		return false;
	insns = calloc(filter->n, sizeof(*insns));
	if (insns == NULL)
		return false;
	for (uint16_t i = 0; i < filter->n; i++)
		insns[i] = (struct bpf_insn){.code = filter->insns[i].code,
			.jt = filter->insns[i].jt,
			.jf = filter->insns[i].jf,
			.k = filter->insns[i].k};
	good = bpf_validate(insns, filter->n) != 0;
	free(insns);
	return good;
}

/* --- what comes --- */

static void take_part(struct capture *c, const struct api_capture_part *part)
{
	if (part->offset == 0) {
		c->head = *part;
		c->have = 0;
	}
	/* The data plane's word is not taken for it that a packet fits. */
	if (part->offset != c->have || part->length > API_CAPTURE_DATA ||
		part->captured > sizeof(c->data) || c->have + part->length > part->captured)
		return;
	memcpy(c->data + c->have, part->data, part->length);
	c->have += part->length;
	if (c->have != part->captured)
		return;
	c->fetched++;
	c->head.lost = part->lost;
	c->handler.packet(&c->head, c->data, c->handler.arg);
}

static void on_entry(const struct api_header *message, void *arg)
{
	struct capture *c = arg;

	if (message->type == API_CAPTURE_PART && c->handler.packet != NULL) {
		take_part(c, (const void *)message);
	} else if (message->type == API_TRACE_ENTRY && c->handler.way != NULL) {
		struct api_trace_entry entry =
			*(const struct api_trace_entry *)(const void *)message;

		if (entry.stages > API_TRACE_STAGES)
			entry.stages = API_TRACE_STAGES;
		c->handler.way(&entry, c->handler.arg);
	}
}

static void fetch_later(struct capture *c, unsigned ms)
{
	const struct timeval pause = {.tv_usec = (suseconds_t)ms * 1000};

	event_add(c->timer, &pause);
}

static void on_fetched(const struct api_reply *reply, void *arg)
{
	struct capture *c = arg;

	if (reply->code == API_E_STATE) {
		c->handler.ended("another capture took its place", c->handler.arg);
	} else if (reply->code != API_OK) {
		c->handler.ended("the connection to the data plane ended", c->handler.arg);
	} else {
		fetch_later(c, c->fetched < FETCH_PACKETS / 2 ? FETCH_MS : 0);
	}
}

static void on_started(const struct api_reply *reply, void *arg)
{
	struct capture *c = arg;
	char reason[sizeof(reply->text) + 64];

	if (reply->code == API_OK) {
		fetch_later(c, 0);
		return;
	}
	snprintf(reason, sizeof(reason), "the data plane refused (code %d%s%s)", reply->code,
		reply->text[0] == '\0' ? "" : ": ", reply->text);
	c->handler.ended(reason, c->handler.arg);
}

/* --- what is asked --- */

static int ask(struct capture *c, const void *message,
	void (*done)(const struct api_reply *reply, void *arg))
{
	const struct link_question question = {
		.message = message, .entry = on_entry, .done = done, .arg = c};

	return link_ask(c->link, &question);
}

static int ask_fetch(struct capture *c)
{
	struct api_capture_read read;
	struct api_trace_read read_trace;
	bool room = c->handler.has_room == NULL || c->handler.has_room(c->handler.arg);

	c->fetched = 0;
	if (c->traces) {
		api_message_init(&read_trace, API_TRACE_READ, sizeof(read_trace));
		return ask(c, &read_trace, on_fetched);
	}
	api_message_init(&read, API_CAPTURE_READ, sizeof(read));
	/* None, too, tells the data plane that somebody is there. */
	read.max = room ? FETCH_PACKETS : 0;
	return ask(c, &read, on_fetched);
}

static void fetch(evutil_socket_t fd, short what, void *arg)
{
	struct capture *c = arg;

	if (c->handler.finished != NULL && c->handler.finished(c->handler.arg))
		c->handler.ended("done", c->handler.arg);
	else if (ask_fetch(c) < 0)
		c->handler.ended("the connection to the data plane ended", c->handler.arg);
}

static int ask_filter(struct capture *c, uint8_t link, const struct capture_filter *filter)
{
	int rc = 0;

	for (uint16_t first = 0; rc == 0 && first < filter->n; first += API_CAPTURE_CODE_PART) {
		struct api_capture_code code;
		unsigned left = filter->n - first;

		api_message_init(&code, API_CAPTURE_CODE, sizeof(code));
		code.link = link;
		code.first = first;
		code.count = (uint8_t)(left < API_CAPTURE_CODE_PART ? left : API_CAPTURE_CODE_PART);
		memcpy(code.insns, filter->insns + first, code.count * sizeof(code.insns[0]));
		rc = ask(c, &code, NULL);
	}
	return rc;
}

static int ask_start(struct capture *c, const struct capture_options *options)
{
	struct api_capture_start start;
	int rc = 0;

	api_message_init(&start, API_CAPTURE_START, sizeof(start));
	start.points = options->points;
	start.peer = options->peer;
	start.port = options->port;
	start.snap = options->snap;
	for (uint8_t link = 0; rc == 0 && link < API_CAPTURE_LINKS; link++) {
		start.code[link] = options->filter[link].n;
		rc = ask_filter(c, link, &options->filter[link]);
	}
	return rc == 0 ? ask(c, &start, on_started) : rc;
}

static struct capture *make(
	struct event_base *base, struct link *link, const struct capture_handler *handler)
{
	struct capture *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->link = link;
	c->handler = *handler;
	c->timer = event_new(base, -1, 0, fetch, c);
	if (c->timer == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

struct capture *capture_start(struct event_base *base, struct link *link,
	const struct capture_options *options, const struct capture_handler *handler, int *error)
{
	struct capture *c = make(base, link, handler);

	*error = c == NULL ? -ENOMEM : ask_start(c, options);
	if (*error < 0 && c != NULL)
		capture_stop(&c);
	return c;
}

static int ask_trace(struct capture *c, uint32_t peer, uint32_t count)
{
	struct api_trace_start start;

	api_message_init(&start, API_TRACE_START, sizeof(start));
	start.peer = peer;
	start.count = count;
	return ask(c, &start, on_started);
}

struct capture *capture_trace(struct event_base *base, struct link *link, uint32_t peer,
	uint32_t count, const struct capture_handler *handler, int *error)
{
	struct capture *c = make(base, link, handler);

	*error = -ENOMEM;
	if (c == NULL)
		return NULL;
	c->traces = true;
	*error = ask_trace(c, peer, count);
	if (*error < 0)
		capture_stop(&c);
	return c;
}

void capture_stop(struct capture **capture)
{
	struct capture *c = *capture;
	struct api_capture_stop stop;
	struct api_trace_start none;
	const struct link_question end = {
		.message = c == NULL || c->traces ? (void *)&none : &stop};

	if (c == NULL)
		return;
	link_forget(c->link, c);
	api_message_init(&none, API_TRACE_START, sizeof(none));
	api_message_init(&stop, API_CAPTURE_STOP, sizeof(stop));
	if (link_ask(c->link, &end) < 0) {
		/* The data plane is gone, or too old to have begun. */
	}
	event_free(c->timer);
	free(c);
	*capture = NULL;
}
