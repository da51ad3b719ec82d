/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples: all but the flows come from the counters memory, so that asking costs no worker. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/cli/top.h"

static void drop_sample(struct top_sample *sample)
{
	json_decref(sample->status);
	json_decref(sample->peers);
	json_decref(sample->drops);
	json_decref(sample->egress);
	json_decref(sample->flows);
	*sample = (struct top_sample){0};
}

void top_forget(struct top *top)
{
	drop_sample(&top->now);
	drop_sample(&top->before);
}

/* True if all of it has come. */
static bool fill(struct top *top, bool flows, struct top_sample *sample, int *code)
{
	char path[48];
	struct timespec now;

	sample->status = cli_get(top->cli, "/api/status", code);
	if (sample->status != NULL)
		sample->peers = cli_get(top->cli, "/api/peers", code);
	if (sample->peers != NULL)
		sample->drops = cli_get(top->cli, "/api/drops", code);
	if (sample->drops != NULL)
		sample->egress = cli_get(top->cli, "/api/egress", code);
	snprintf(path, sizeof(path), "/api/flows?max=%d", TOP_FLOWS_MAX);
	if (flows && sample->egress != NULL) {
		/* Only a data plane that runs has flows. */
		const json_t *dataplane = json_object_get(sample->status, "dataplane");

		if (json_is_true(json_object_get(dataplane, "connected")))
			sample->flows = cli_get(top->cli, path, code);
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	sample->time = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	return sample->egress != NULL;
}

bool top_ask(struct top *top, bool flows, int *code, char **trouble)
{
	struct top_sample sample = {0};
	FILE *err = stderr;
	size_t size;
	bool come;

	/* The screen is not to be written on. */
	*trouble = NULL;
	stderr = open_memstream(trouble, &size);
	if (stderr == NULL)
		stderr = err;
	come = fill(top, flows, &sample, code);
	if (stderr != err)
		fclose(stderr);
	stderr = err;
	if (!come) {
		drop_sample(&sample);
		return false;
	}
	drop_sample(&top->before);
	top->before = top->now;
	top->now = sample;
	return true;
}

double top_rate(const struct top *top, const json_t *now, const json_t *before, const char *key)
{
	double passed = top->now.time - top->before.time;
	json_int_t rise = cli_int(now, key) - cli_int(before, key);

	return before == NULL || passed <= 0 || rise < 0 ? 0 : (double)rise / passed;
}
