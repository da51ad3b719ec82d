/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The registry of features: sorts them by `after` and runs their stages. A name in `after` that is
 * not part of this build is no constraint.
 */
#include "dataplane/main/feature.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "common/base/log.h"
#include "dataplane/main/worker.h"

LOG_TYPE(feature);

enum { FEATURES_MAX = 64 };

static struct feature *registered;
static struct feature *ordered[FEATURES_MAX];
static unsigned ordered_count;
static unsigned initialised;

void feature_register(struct feature *feature)
{
	feature->next = registered;
	registered = feature;
}

static struct feature *find(const char *name)
{
	for (struct feature *f = registered; f != NULL; f = f->next) {
		if (strcmp(f->name, name) == 0)
			return f;
	}
	return NULL;
}

static bool is_ordered(const struct feature *feature)
{
	for (unsigned i = 0; i < ordered_count; i++) {
		if (ordered[i] == feature)
			return true;
	}
	return false;
}

static bool is_ready(const struct feature *feature)
{
	for (unsigned i = 0; i < FEATURE_AFTER_MAX && feature->after[i] != NULL; i++) {
		const struct feature *other = find(feature->after[i]);

		if (other != NULL && !is_ordered(other))
			return false;
	}
	return true;
}

/* Link order must not show: of those that are ready the first by name goes next. */
static struct feature *choose(void)
{
	struct feature *best = NULL;

	for (struct feature *f = registered; f != NULL; f = f->next) {
		if (is_ordered(f) || !is_ready(f))
			continue;
		if (best == NULL || strcmp(f->name, best->name) < 0)
			best = f;
	}
	return best;
}

static int sort(void)
{
	unsigned count = 0;

	for (struct feature *f = registered; f != NULL; f = f->next)
		count++;
	if (count > FEATURES_MAX)
		return -ENOSPC;
	ordered_count = 0;
	while (ordered_count < count) {
		struct feature *next = choose();

		if (next == NULL) {
			log_error(feature, "features wait for each other in a circle");
			return -ELOOP;
		}
		ordered[ordered_count++] = next;
	}
	return 0;
}

static int failed(const struct feature *feature, const char *stage, int rc)
{
	log_error(feature, "%s: %s failed: %s", feature->name, stage, strerror(-rc));
	return rc;
}

int feature_init_all(void)
{
	int rc = sort();

	for (initialised = 0; rc == 0 && initialised < ordered_count; initialised++) {
		const struct feature *f = ordered[initialised];

		if (f->init == NULL)
			continue;
		rc = f->init();
		if (rc != 0)
			return failed(f, "init", rc);
	}
	return rc;
}

int feature_worker_init_all(struct worker *w)
{
	for (unsigned i = 0; i < ordered_count; i++) {
		const struct feature *f = ordered[i];
		int rc = f->worker_init == NULL ? 0 : f->worker_init(w);

		if (rc != 0)
			return failed(f, "worker_init", rc);
	}
	return 0;
}

int feature_start_all(void)
{
	for (unsigned i = 0; i < ordered_count; i++) {
		const struct feature *f = ordered[i];
		int rc = f->start == NULL ? 0 : f->start();

		if (rc != 0)
			return failed(f, "start", rc);
	}
	return 0;
}

void feature_tick_all(struct worker *w)
{
	for (unsigned i = 0; i < ordered_count; i++) {
		if (ordered[i]->tick != NULL)
			ordered[i]->tick(w);
	}
}

void feature_housekeep_all(uint64_t now_ms)
{
	for (unsigned i = 0; i < ordered_count; i++) {
		if (ordered[i]->housekeep != NULL)
			ordered[i]->housekeep(now_ms);
	}
}

void feature_stop_all(void)
{
	while (initialised > 0) {
		const struct feature *f = ordered[--initialised];

		if (f->stop != NULL)
			f->stop();
	}
}
