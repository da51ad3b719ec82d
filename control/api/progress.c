/* SPDX-License-Identifier: BSD-3-Clause */
/* What the daemon is at: of use while another request waits for its answer. */
#include "control/api/api_priv.h"
#include "control/progress/progress.h"

enum { THOUSANDTHS = 1000 };

/* While the data plane applies a change nothing is left to do here but to look. */
static void look_at_dataplane(const struct api *api, struct progress *now)
{
	struct api_counters header;

	if (now->what != progress_applying ||
		link_counters_header(program_link(api->program), &header) < 0 ||
		header.applied_permille == 0 || header.applied_permille > THOUSANDTHS)
		return;
	now->done = header.applied_permille;
	now->total = THOUSANDTHS;
	now->unit = PROGRESS_THOUSANDTHS;
}

void api_get_progress(struct http_request *request, void *arg)
{
	static const char *const units[] = {[PROGRESS_ITEMS] = "objects",
		[PROGRESS_BYTES] = "bytes",
		[PROGRESS_THOUSANDTHS] = "thousandths"};
	struct progress now;

	if (!progress_look(&now)) {
		http_reply(request, 200, json_pack("{s:n}", "what"));
		return;
	}
	look_at_dataplane(arg, &now);
	http_reply(request, 200,
		json_pack("{s:s, s:s, s:o, s:o}", "what", now.what, "unit", units[now.unit], "done",
			api_json_count(now.done), "total", api_json_count(now.total)));
}
