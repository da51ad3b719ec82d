/* SPDX-License-Identifier: BSD-3-Clause */
/* The control process's requests to trace (common/api/trace.h). Main thread. */
#include <errno.h>
#include <stddef.h>

#include <rte_common.h>

#include "dataplane/main/feature.h"
#include "dataplane/main/handler.h"
#include "dataplane/main/session.h"
#include "dataplane/main/worker.h"
#include "dataplane/trace/trace.h"

static struct {
	uint32_t peer;
	uint32_t count; /* START waits for the last trace's workers; 0 = nothing waits */
	bool running;
	uint64_t connection; /* whose trace it is */
	uint64_t read_ms;    /* when it was read last */
	uint32_t told;       /* packets told of so far */
} trace;

static int check_start(const void *message, uint32_t *detail)
{
	const struct api_trace_start *start = message;

	*detail = offsetof(struct api_trace_start, count);
	return start->count > API_TRACE_COUNT_MAX ? API_E_VALUE : API_OK;
}

static int open_start(const void *message, void **stream)
{
	const struct api_trace_start *start = message;

	trace_stop();
	trace.running = false;
	trace.peer = start->peer;
	trace.count = start->count;
	return API_OK;
}

static int next_start(void *stream, void *out)
{
	int rc;

	if (trace.count == 0)
		return -ENODATA;
	rc = trace_start(trace.peer, trace.count);
	if (rc == -EBUSY)
		return 0;
	trace.count = 0;
	trace.told = 0;
	trace.running = rc == 0;
	trace.connection = session_connection();
	trace.read_ms = clock_ms();
	return rc == 0 ? -ENODATA : rc;
}

static int open_read(const void *message, void **stream)
{
	if (!trace.running)
		return API_E_STATE;
	trace.read_ms = clock_ms();
	return API_OK;
}

static int next_entry(void *stream, void *out)
{
	struct api_trace_entry *entry = out;

	if (!trace.running || !trace_take(entry))
		return -ENODATA;
	entry->followed = ++trace.told;
	return 1;
}

static const struct handler_stream streams[] = {
	{.type = API_TRACE_START,
		.name = "trace_start",
		.size = sizeof(struct api_trace_start),
		.validate = check_start,
		.open = open_start,
		.next = next_start},
	{.type = API_TRACE_READ,
		.name = "trace_read",
		.size = sizeof(struct api_trace_read),
		.open = open_read,
		.next = next_entry},
};

static int init(void)
{
	for (size_t i = 0; i < RTE_DIM(streams); i++)
		handler_register_stream(&streams[i]);
	return 0;
}

static void housekeep(uint64_t now_ms)
{
	if (trace.running && (trace.connection != session_connection() ||
				     now_ms - trace.read_ms > API_TRACE_PATIENCE_MS)) {
		trace.running = false;
		trace_stop();
	}
}

static void end(void)
{
	trace.running = false;
	trace_destroy();
}

static struct feature feature = {
	.name = "trace",
	.init = init,
	.housekeep = housekeep,
	.stop = end,
};
FEATURE_REGISTER(feature)
