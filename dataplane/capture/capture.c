/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control process's requests to capture (common/api/capture.h). What is caught lies in the
 * threads' rings (dataplane/graph/tap.h) until it is read. All on the main thread.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <rte_common.h>

#include "common/base/log.h"
#include "dataplane/graph/tap.h"
#include "dataplane/main/feature.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/session.h"
#include "dataplane/main/worker.h"

LOG_TYPE(capture);

static struct {
	struct tap_setup next; /* gathered for the next START */
	bool starting;         /* START waits for the last capture's threads */
	bool running;
	uint64_t connection; /* whose capture it is */
	uint64_t read_ms;    /* when it was read last */
	uint32_t left;       /* packets that this READ may still hand out */
	struct tap_slot *slot;
	uint32_t offset; /* of the slot's data, sent so far */
} capture;

static void stop(const char *why)
{
	if (capture.running)
		log_info(capture, "stopped: %s; %llu packets lost for want of room", why,
			(unsigned long long)tap_lost());
	if (capture.slot != NULL)
		tap_give(capture.slot);
	capture.slot = NULL;
	capture.running = capture.starting = false;
	tap_stop();
}

static int no_answer(void *stream, void *out)
{
	return -ENODATA;
}

/* --- the filter --- */

static int check_code(const void *message, uint32_t *detail)
{
	const struct api_capture_code *code = message;

	*detail = offsetof(struct api_capture_code, link);
	if (code->link >= API_CAPTURE_LINKS)
		return API_E_VALUE;
	*detail = offsetof(struct api_capture_code, count);
	if (code->count == 0 || code->count > API_CAPTURE_CODE_PART)
		return API_E_VALUE;
	*detail = offsetof(struct api_capture_code, first);
	if (code->first + code->count > API_CAPTURE_CODE_MAX)
		return API_E_LIMIT;
	if (code->first != 0 && code->first != capture.next.length[code->link])
		return API_E_VALUE;
	return API_OK;
}

static int take_code(const void *message, void **stream)
{
	const struct api_capture_code *code = message;

	for (unsigned i = 0; i < code->count; i++)
		capture.next.code[code->link][code->first + i] = (struct bpf_insn){
			.code = code->insns[i].code,
			.jt = code->insns[i].jt,
			.jf = code->insns[i].jf,
			.k = code->insns[i].k,
		};
	capture.next.length[code->link] = (uint16_t)(code->first + code->count);
	return API_OK;
}

/* --- start and stop --- */

/* The same bytes in the contract and in libpcap's struct. */
_Static_assert(sizeof(struct api_capture_insn) == sizeof(struct bpf_insn), "no padding");

static bool code_is_good(const struct bpf_insn *code, unsigned n)
{
	return api_capture_code_valid((const void *)code, n) && bpf_validate(code, (int)n) != 0;
}

static int check_start(const void *message, uint32_t *detail)
{
	const struct api_capture_start *start = message;

	*detail = offsetof(struct api_capture_start, points);
	if (start->points == 0 || (start->points & ~(uint32_t)API_CAPTURE_POINTS) != 0)
		return API_E_VALUE;
	*detail = offsetof(struct api_capture_start, snap);
	if (start->snap == 0 || start->snap > API_CAPTURE_SNAP_MAX)
		return API_E_VALUE;
	for (unsigned link = 0; link < API_CAPTURE_LINKS; link++) {
		*detail = offsetof(struct api_capture_start, code) + 2 * link;
		if (start->code[link] == 0)
			continue;
		if (start->code[link] != capture.next.length[link] ||
			!code_is_good(capture.next.code[link], start->code[link]))
			return API_E_VALUE;
	}
	return API_OK;
}

static int open_start(const void *message, void **stream)
{
	const struct api_capture_start *start = message;

	stop("another begins");
	capture.next.points = start->points;
	capture.next.peer = start->peer;
	capture.next.port = start->port;
	capture.next.snap = start->snap;
	memcpy(capture.next.length, start->code, sizeof(capture.next.length));
	capture.starting = true;
	return API_OK;
}

static int next_start(void *stream, void *out)
{
	int rc;

	if (!capture.starting)
		return -ENODATA;
	rc = tap_start(&capture.next);
	if (rc == -EBUSY)
		return 0;
	capture.starting = false;
	capture.running = rc == 0;
	if (rc == 0)
		log_info(capture, "started: points %#x, peer %u, port %u", capture.next.points,
			capture.next.peer, capture.next.port);
	capture.connection = session_connection();
	capture.read_ms = clock_ms();
	return rc == 0 ? -ENODATA : rc;
}

static int open_stop(const void *message, void **stream)
{
	stop("asked to");
	return API_OK;
}

/* --- reading --- */

static int open_read(const void *message, void **stream)
{
	const struct api_capture_read *read = message;

	if (!capture.running)
		return API_E_STATE;
	capture.left = read->max;
	capture.read_ms = clock_ms();
	return API_OK;
}

static void fill(const struct tap_slot *slot, struct api_capture_part *part)
{
	memset(part, 0, sizeof(*part));
	part->header.type = API_CAPTURE_PART;
	part->header.length = sizeof(*part);
	part->time_ns = clock_unix_ns(slot->tsc);
	part->lost = tap_lost();
	part->wire = slot->wire;
	part->captured = slot->captured;
	part->offset = capture.offset;
	part->length =
		(uint16_t)RTE_MIN(slot->captured - capture.offset, (uint32_t)API_CAPTURE_DATA);
	part->point = slot->point;
	part->ingress = slot->ingress;
	part->peer = slot->peer;
	part->port = slot->port;
	part->reason = slot->reason;
	part->worker = slot->thread;
	part->link = slot->link;
	memcpy(part->data, slot->data + capture.offset, part->length);
}

static int next_part(void *stream, void *out)
{
	struct api_capture_part *part = out;

	if (capture.slot == NULL) {
		if (capture.left == 0 || !capture.running)
			return -ENODATA;
		capture.slot = tap_take();
		if (capture.slot == NULL)
			return -ENODATA;
		capture.offset = 0;
		capture.left--;
	}
	fill(capture.slot, part);
	capture.offset += part->length;
	if (capture.offset == capture.slot->captured) {
		tap_give(capture.slot);
		capture.slot = NULL;
	}
	return 1;
}

static const struct handler_stream streams[] = {
	{.type = API_CAPTURE_CODE,
		.name = "capture_code",
		.size = sizeof(struct api_capture_code),
		.validate = check_code,
		.open = take_code,
		.next = no_answer},
	{.type = API_CAPTURE_START,
		.name = "capture_start",
		.size = sizeof(struct api_capture_start),
		.validate = check_start,
		.open = open_start,
		.next = next_start},
	{.type = API_CAPTURE_READ,
		.name = "capture_read",
		.size = sizeof(struct api_capture_read),
		.open = open_read,
		.next = next_part},
	{.type = API_CAPTURE_STOP,
		.name = "capture_stop",
		.size = sizeof(struct api_capture_stop),
		.open = open_stop,
		.next = no_answer},
};

/* --- the feature --- */

static int init(void)
{
	for (size_t i = 0; i < RTE_DIM(streams); i++)
		handler_register_stream(&streams[i]);
	return 0;
}

/* Nobody reads any more: nothing is to be copied for nobody. */
static void housekeep(uint64_t now_ms)
{
	if (capture.running && (capture.connection != session_connection() ||
				       now_ms - capture.read_ms > API_CAPTURE_PATIENCE_MS))
		stop("nobody reads");
}

static void end(void)
{
	capture.slot = NULL;
	capture.running = capture.starting = false;
	tap_destroy();
}

static struct feature feature = {
	.name = "capture",
	.init = init,
	.housekeep = housekeep,
	.stop = end,
};
FEATURE_REGISTER(feature)
