/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/revision/revision_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"

LOG_TYPE(trial);

enum { AGAIN_S = 5 };

static void returned(const struct revision_result *result, void *arg)
{
	struct revision *r = arg;

	if (result->error == 0 || result->error == -EINPROGRESS) {
		log_warn(trial,
			"not confirmed in time: what was in force before is back, as version %llu",
			(unsigned long long)result->version);
		return;
	}
	log_error(trial, "not confirmed in time, and going back failed: %s", result->text);
	/* Of a trial that is still on: a return must not be lost because of a moment. */
	if (r->trial.version != 0)
		evtimer_add(r->timer, &(struct timeval){.tv_sec = AGAIN_S});
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct revision *r = arg;
	uint64_t now = (uint64_t)time(NULL);

	/* The clock may have been set back meanwhile. */
	if (r->trial.version == 0)
		return;
	if (r->trial.deadline_s > now) {
		revision_trial_arm(r, &r->trial);
		return;
	}
	revision_rollback(r, r->trial.version,
		&(struct revision_request){.who = "sallyportd", .message = "not confirmed in time"},
		returned, r);
}

void revision_trial_arm(struct revision *r, const struct store_intent *trial)
{
	uint64_t now = (uint64_t)time(NULL);
	struct timeval wait = {
		.tv_sec = trial->deadline_s > now ? (time_t)(trial->deadline_s - now) : 0};

	r->trial = *trial;
	evtimer_add(r->timer, &wait);
}

void revision_trial_end(struct revision *r)
{
	r->trial = (struct store_intent){0};
	evtimer_del(r->timer);
}

int revision_confirm(struct revision *r)
{
	if (r->trial.version == 0)
		return -ENOENT;
	if (store_intent_set(r->store, NULL) < 0)
		return -EIO;
	revision_trial_end(r);
	log_info(trial, "version %llu is confirmed", (unsigned long long)r->version);
	return 0;
}

struct revision *revision_create(const struct revision_options *options)
{
	struct revision *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	r->base = options->base;
	r->program = options->program;
	r->store = options->store;
	r->config_file = strdup(options->config_file);
	r->state_dir = strdup(options->state_dir);
	r->timer = evtimer_new(r->base, on_timer, r);
	if (r->config_file == NULL || r->state_dir == NULL || r->timer == NULL)
		abort();
	return r;
}

void revision_destroy(struct revision **revision)
{
	struct revision *r = *revision;

	if (r == NULL)
		return;
	event_free(r->timer);
	json_decref(r->running);
	json_decref(r->kept);
	free(r->config_file);
	free(r->state_dir);
	free(r);
	*revision = NULL;
}
