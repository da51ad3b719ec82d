/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A change goes through: check and tests (nothing has happened yet), the data plane's transaction
 * (it may refuse, and then nothing has happened), the store, the disk. Between store and disk an
 * intent stands in the store, so that a process that dies there is followed by one that finishes:
 * at every moment the files, or the intent, say what is in force.
 */
#include "control/revision/revision_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "control/expect/expect.h"

LOG_TYPE(revision);

struct store_text *revision_texts(const struct conf_files *files)
{
	struct store_text *texts = pool_alloc(files->pool, (files->n + 1) * sizeof(*texts));

	for (size_t i = 0; i < files->n; i++)
		texts[i] = (struct store_text){
			files->items[i].name, files->items[i].text, files->items[i].size};
	return texts;
}

static void add_text(const struct store_text *text, void *arg)
{
	conf_files_add(arg, text->name, text->text, text->size);
}

struct conf_files *revision_files(struct revision *r, uint64_t version, struct diag **diag)
{
	struct diag_mark nowhere = {0};
	struct conf_files *files;

	if (version == 0)
		return conf_files_read(r->config_file, diag);
	files = conf_files_create(r->config_file);
	if (store_version_texts(r->store, version, add_text, files) == 0 && files->n > 0) {
		*diag = diag_create(
			files->items[0].path, files->items[0].text, files->items[0].size);
		return files;
	}
	*diag = diag_create("history", "", 0);
	diag_add(*diag, DIAG_NO_VERSION, nowhere, NULL, "sallyport history lists them",
		"there is no version %llu", (unsigned long long)version);
	conf_files_destroy(&files);
	return NULL;
}

struct model *revision_check(
	struct revision *r, const struct conf_files *files, struct diag *diag, json_t **json)
{
	struct model *model = conf_files_parse(files, r->state_dir, diag, json);

	if (model == NULL || expect_check(model, diag))
		return model;
	model_destroy(&model);
	if (json != NULL) {
		json_decref(*json);
		*json = NULL;
	}
	return NULL;
}

static void end(struct change *change, const struct revision_result *result)
{
	struct revision *r = change->revision;

	/* The next one may begin within the answer. */
	r->change = NULL;
	if (change->done != NULL)
		change->done(result, change->arg);
	json_decref(change->json);
	conf_files_destroy(&change->files);
	diag_destroy(&change->diag);
	free((char *)change->request.who);
	free((char *)change->request.message);
	free((char *)change->what);
	free(change);
}

void revision_refuse(struct change *change, int error, const char *text)
{
	end(change, &(struct revision_result){
			    .error = error,
			    .text = text,
			    .diag = change->diag,
			    .version = change->revision->version,
		    });
}

struct change *revision_begin(
	struct revision *r, const struct revision_request *request, revision_done *done, void *arg)
{
	struct change *change;

	if (r->change != NULL) {
		done(&(struct revision_result){.error = -EBUSY,
			     .text = "another change is under way",
			     .version = r->version},
			arg);
		return NULL;
	}
	change = calloc(1, sizeof(*change));
	if (change == NULL)
		abort();
	change->revision = r;
	change->request = *request;
	change->request.who = strdup(request->who);
	change->request.message = strdup(request->message);
	change->done = done;
	change->arg = arg;
	r->change = change;
	return change;
}

static bool is_part(const char *name, const char *folder)
{
	size_t length = strlen(folder);

	return strncmp(name, folder, length) == 0 && name[length] == '/';
}

/* What is on disk now is kept beside, unless some version has it. */
static int keep_old(struct revision *r, const struct conf_files *disk, const struct conf_file *file)
{
	const struct store_text text = {file->name, file->text, file->size};
	char *name;
	int rc;

	if (store_has_text(r->store, &text))
		return 0;
	if (asprintf(&name, "%s.old", file->name) < 0)
		return -ENOMEM;
	rc = conf_file_write(disk, name, file->text, file->size);
	if (rc == 0) {
		log_warn(revision, "%s had changes that were never in force: kept as %s",
			file->name, name);
		if (r->kept == NULL)
			r->kept = json_array();
		json_array_append_new(r->kept, json_string(name));
	}
	free(name);
	return rc;
}

static int write_one(
	struct revision *r, const struct conf_files *disk, const struct conf_file *file)
{
	const struct conf_file *old = conf_files_find(disk, file->name);
	int rc = 0;

	if (old != NULL && old->size == file->size &&
		memcmp(old->text, file->text, file->size) == 0)
		return 0;
	if (old != NULL)
		rc = keep_old(r, disk, old);
	return rc < 0 ? rc : conf_file_write(disk, file->name, file->text, file->size);
}

int revision_write(struct revision *r, const struct conf_files *files)
{
	struct diag *diag;
	struct conf_files *disk = conf_files_read(r->config_file, &diag);
	int first = 0, rc;

	diag_destroy(&diag);
	json_decref(r->kept);
	r->kept = NULL;
	if (disk == NULL)
		disk = conf_files_create(r->config_file);
	for (size_t i = 0; i < files->n; i++) {
		rc = write_one(r, disk, &files->items[i]);
		first = first == 0 ? rc : first;
	}
	for (size_t i = 0; i < disk->n; i++) {
		const struct conf_file *file = &disk->items[i];

		if (conf_files_find(files, file->name) != NULL ||
			(!is_part(file->name, CONF_FRAGMENTS_DIR) &&
				!is_part(file->name, CONF_PEERS_DIR)))
			continue;
		rc = keep_old(r, disk, file);
		if (rc == 0)
			rc = conf_file_remove(disk, file->name);
		first = first == 0 ? rc : first;
	}
	conf_files_destroy(&disk);
	return first;
}

int revision_note(struct revision *r, const struct conf_files *files, json_t *json,
	const struct revision_request *request, const char *what)
{
	struct store_version version = {
		.time_s = (uint64_t)time(NULL),
		.who = request->who,
		.what = what,
		.message = request->message,
	};
	struct store_text *texts = revision_texts(files);
	char digest[STORE_TEXT_DIGEST_MAX];

	json_incref(json);
	json_decref(r->running);
	r->running = json;
	store_texts_digest(texts, files->n, digest);
	if (r->version != 0 && strcmp(digest, r->running_digest) == 0)
		return 0;
	strcpy(r->running_digest, digest);
	if (store_version_add(r->store, &version, texts, files->n) < 0) {
		log_error(revision, "this version is not in the history");
		return -EIO;
	}
	r->version = version.id;
	return 0;
}

/* The files of the version in force go to the disk; the intent stands until they are there. A
 * version that the store does not have cannot be intended, only written. */
static int write_files(struct revision *r, const struct conf_files *files, bool noted)
{
	const struct store_intent intent = {.version = r->version};
	int rc = noted ? store_intent_set(r->store, &intent) : 0;

	if (rc == 0)
		rc = revision_write(r, files);
	if (rc == 0)
		rc = store_intent_set(r->store, NULL);
	return rc;
}

/* A change that changed no text has nothing to go back to. */
static void begin_trial(struct change *change)
{
	struct revision *r = change->revision;

	if (change->trial.version != r->version)
		revision_trial_arm(r, &change->trial);
	else if (store_intent_set(r->store, NULL) < 0)
		log_error(revision, "a trial of nothing is not forgotten");
}

static void finish(const struct program_result *result, void *arg)
{
	struct change *change = arg;
	struct revision *r = change->revision;
	bool taken = result->error == 0 || result->error == -EINPROGRESS;
	struct revision_result answer = {
		.error = result->error,
		.text = result->text,
		.diag = change->diag,
		.program = result,
	};
	char text[160];
	bool noted = false;
	int rc = 0;

	if (taken) {
		/* Also what the data plane hears of only by way of the kernel, such as addresses.
		 */
		answer.changed = !json_equal(r->running, change->json);
		noted = revision_note(r, change->files, change->json, &change->request,
				change->what) == 0;
		r->trouble[0] = '\0';
		/* Its intent is replaced by that of writing the files, or removed here. */
		if (change->ends_trial)
			revision_trial_end(r);
		if (change->write) {
			rc = write_files(r, change->files, noted);
			answer.kept = r->kept;
		}
		if (change->trial.version != 0)
			begin_trial(change);
	} else if (change->trial.version != 0) {
		/* It stood there in case this process had died in between. */
		if (store_intent_set(r->store, NULL) < 0)
			log_error(revision, "a trial that was refused is not forgotten");
	}
	if (rc < 0) {
		snprintf(text, sizeof(text), "in force, but the files cannot be written: %s",
			strerror(-rc));
		snprintf(r->trouble, sizeof(r->trouble), "%s", text);
		log_error(revision, "%s", text);
		answer.error = rc;
		answer.text = text;
	}
	answer.version = r->version;
	if (taken)
		log_info(revision, "version %llu is in force: %s by %s",
			(unsigned long long)r->version, change->what, change->request.who);
	end(change, &answer);
}

void revision_submit(struct change *change, const char *what)
{
	struct revision *r = change->revision;
	struct model *model;

	change->what = strdup(what);
	if (change->files == NULL) {
		revision_refuse(change, -EINVAL, "the configuration cannot be read");
		return;
	}
	model = revision_check(r, change->files, change->diag, &change->json);
	if (model == NULL) {
		revision_refuse(change, -EINVAL, "the configuration has errors");
		return;
	}
	if (change->request.confirm_s != 0 && r->version != 0) {
		change->trial = (struct store_intent){
			.version = r->version,
			.deadline_s = (uint64_t)time(NULL) + change->request.confirm_s,
		};
		if (store_intent_set(r->store, &change->trial) < 0) {
			change->trial.version = 0;
			model_destroy(&model);
			revision_refuse(change, -EIO, "the trial cannot be noted in the store");
			return;
		}
	}
	program_apply(r->program, model, finish, change);
}

const json_t *revision_running(const struct revision *r)
{
	return r->running;
}

struct revision_state revision_state(const struct revision *r)
{
	return (struct revision_state){
		.version = r->version,
		.trial_back_to = r->trial.version,
		.trial_ends_s = r->trial.deadline_s,
		.trouble = r->trouble,
	};
}
