/* SPDX-License-Identifier: BSD-3-Clause */
/* What the daemon is at: of use while another request waits for its answer. */
#include "control/api/api_priv.h"
#include "control/progress/progress.h"

void api_get_progress(struct http_request *request, void *arg)
{
	struct progress now;

	if (!progress_look(&now)) {
		http_reply(request, 200, json_pack("{s:n}", "what"));
		return;
	}
	http_reply(request, 200,
		json_pack("{s:s, s:s, s:o, s:o}", "what", now.what, "unit",
			now.unit == PROGRESS_BYTES ? "bytes" : "objects", "done",
			api_json_count(now.done), "total", api_json_count(now.total)));
}
