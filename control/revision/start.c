/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The beginning of the process: an unfinished return is finished first, since the files on disk
 * are not yet what was decided. Files with errors do not bring a gateway down that a reboot or a
 * crash started again: then it runs what was in force, and says so.
 */
#include "control/revision/revision_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"

LOG_TYPE(start);

static const struct revision_request by_start = {.who = "sallyportd", .message = ""};

static void note_newest(const struct store_version *version, void *arg)
{
	struct revision *r = arg;

	if (r->version != 0)
		return;
	r->version = version->id;
	strcpy(r->running_digest, version->digest);
}

/* The files of a version to the disk; a return that cannot be made is tried at every start. */
static void finish_intent(struct revision *r)
{
	struct store_intent intent;
	struct conf_files *files;
	struct diag *diag;
	int rc;

	if (!store_intent_get(r->store, &intent))
		return;
	if (intent.deadline_s > (uint64_t)time(NULL)) {
		revision_trial_arm(r, &intent);
		return;
	}
	files = revision_files(r, intent.version, &diag);
	diag_destroy(&diag);
	rc = files == NULL ? -ENOENT : revision_write(r, files);
	if (rc == 0)
		rc = store_intent_set(r->store, NULL);
	if (rc == 0)
		log_warn(start, "the files of version %llu are back%s",
			(unsigned long long)intent.version,
			intent.deadline_s != 0 ? ": a change was not confirmed in time" : "");
	else
		log_error(start, "the files of version %llu cannot be written: %s",
			(unsigned long long)intent.version, strerror(-rc));
	conf_files_destroy(&files);
}

/* NULL after findings were printed. */
static struct model *read_version(
	struct revision *r, uint64_t version, bool colour, struct conf_files **files, json_t **json)
{
	struct diag *diag;
	struct model *model = NULL;

	*files = revision_files(r, version, &diag);
	if (*files != NULL)
		model = revision_check(r, *files, diag, json);
	diag_print(diag, stderr, colour);
	diag_destroy(&diag);
	return model;
}

int revision_start(struct revision *r, bool colour, program_done *done, void *arg)
{
	struct conf_files *files;
	struct model *model;
	json_t *json = NULL;
	int rc;

	if (store_versions_each(r->store, note_newest, r) < 0)
		log_warn(start, "the history cannot be read");
	finish_intent(r);
	model = read_version(r, 0, colour, &files, &json);
	if (model == NULL && r->version != 0) {
		snprintf(r->trouble, sizeof(r->trouble),
			"%s has errors: version %llu, which was in force, runs instead",
			r->config_file, (unsigned long long)r->version);
		log_error(start, "%s", r->trouble);
		conf_files_destroy(&files);
		model = read_version(r, r->version, colour, &files, &json);
	}
	if (model == NULL) {
		conf_files_destroy(&files);
		return -EINVAL;
	}
	program_apply(r->program, model, done, arg); /* takes the model */
	rc = program_compiled(r->program) == NULL ? -EIO : 0;
	if (rc == 0 && revision_note(r, files, json, &by_start, "start") < 0)
		log_warn(start, "the history lacks what is in force");
	json_decref(json);
	conf_files_destroy(&files);
	return rc;
}
